"""The operator's page in a real browser: every state in three widths, dark and light; what it does; and that
nothing which comes over the wire is taken for more than text."""

import json
import re
import time
import unicodedata

import pytest

from support import dash
from support.until import until

WIDTHS = (390, 900, 1440)
SCHEMES = (False, True)
URI = "http://api.example.com/v2/heartbeat"


def fresh(name):
    return lambda query: dash.whole(name, int(query["after"][0]) if "after" in query else None)


STATES = {
    "normal": fresh("normal"),
    "failing": fresh("failing"),
    "begun": lambda query: dash.begun(),
    "hostile": lambda query: dash.spoilt(dash.whole("failing"), dash.HOSTILE),
    "unknown": lambda query: dash.unknown(dash.whole("normal")),
    "gap": lambda query: dash.whole("normal", gap=range(100, 150)),
}

# what a control is called, in the tree that a screen reader gets
CONTROLS = {"button", "textbox", "combobox", "radio", "link", "searchbox", "checkbox", "DisclosureTriangle"}
WIDER = """[...document.querySelectorAll('body *')].filter(node => node.getBoundingClientRect().right > innerWidth + 1
  && !node.closest('.vh, .wide, .box') && !node.ownerSVGElement).map(node => node.outerHTML.slice(0, 160)).slice(0, 5)"""
LAID_OUT = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def check_layout(page):
    page.run(LAID_OUT)
    assert page.run("document.documentElement.scrollWidth <= innerWidth"), page.run(WIDER)
    assert page.run("document.querySelectorAll('[style]').length") == 0
    small = page.run("""[...document.querySelectorAll('button, input, select, summary, a')].filter(node => {
      const box = node.getBoundingClientRect();
      return box.width > 0 && !node.closest('.vh, .skip') && Math.min(box.width, box.height) < 24;
    }).map(node => node.outerHTML.slice(0, 120))""")
    assert not small, small


def check_names(page):
    tree = page.accessible()
    unnamed = [(role, node) for role, name, node in tree if role in CONTROLS | {"image", "img"} and not name.strip()]
    assert not unnamed, unnamed
    roles = {role for role, _, _ in tree}
    assert {"banner", "main", "contentinfo", "search", "heading"} <= roles, roles


@pytest.mark.parametrize("dark", SCHEMES, ids=["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_states(state, dark, server, open_page, picture):
    server.state = STATES[state]
    page = open_page(server.url, dark=dark)
    for width in WIDTHS:
        page.size(width)
        check_layout(page)
        picture(page, f"{state}-{width}-{'dark' if dark else 'light'}")
    check_names(page)
    page.size(720, scale=2)  # a window of 1440 at 200 %
    check_layout(page)


@pytest.mark.parametrize("dark", SCHEMES, ids=["light", "dark"])
@pytest.mark.parametrize("fetches", [False, True], ids=["stored", "fetched"])
def test_explained(fetches, dark, server, open_page, picture):
    page = open_page(server.url, dark=dark)
    page.run(f"explain({json.dumps(URI)}, {json.dumps(fetches)})")
    assert page.run("document.activeElement.textContent") in (
        "A request now is answered from the store: fresh for 18 s more.",
        "A request now goes to the origin. Its answers have no lifetime, so none is kept.")
    for width in WIDTHS:
        page.size(width)
        check_layout(page)
        picture(page, f"explained-{'fetched' if fetches else 'stored'}-{width}-{'dark' if dark else 'light'}")
    check_names(page)


@pytest.mark.parametrize("dark", SCHEMES, ids=["light", "dark"])
def test_cut_off_and_back(dark, server, open_page, picture):
    rows = [88231]
    server.state = lambda query: dash.whole("normal", int(query["after"][0]) if "after" in query else None, next_row=rows[0])
    page = open_page(server.url, dark=dark)
    server.going.clear()
    begun = time.monotonic()
    page.until("!document.getElementById('band').hidden", "the band is there", timeout=20)
    assert time.monotonic() - begun < 12  # with what a busy machine takes; the waits are 9 s at most
    assert "Not connected to 127.0.0.1" in page.text("#band-what") and "14:12:11" in page.text("#band-more")
    assert "Not known since 14:12:11" in page.text("#verdict") and page.run("document.title").startswith("(!)")
    assert page.run("[...document.querySelectorAll('#strips text')].pop().textContent") == "14:12:11"
    assert any(role == "alert" and "Not connected" in name or role == "alert" for role, name, _ in page.accessible())
    for width in WIDTHS:
        page.size(width)
        check_layout(page)
        picture(page, f"lost-{width}-{'dark' if dark else 'light'}")
    rows[0] += 4
    server.going.set()
    page.click("#try")
    page.until("document.getElementById('band').hidden", "the band is gone")
    page.until("past1h.next === 88235", "the newest row is there")
    assert page.run("series().filter(row => row === null).length") == 0  # the gap is filled
    assert asked(server)[-1]["after"] == ["88230"] or asked(server)[-1]["after"] == ["88234"]
    page.complaints.clear()  # the browser tells of questions that were given up


# ---- what it says -----------------------------------------------------------------------------------


def grouped(n):
    return f"{n:,}".replace(",", "\u202f")


def test_numbers_are_those_of_the_answer(server, open_page):
    d = dash.whole("normal")
    page = open_page(server.url)
    total, all_text = sum(d["answers204"].values()), page.run("document.querySelector('main').textContent")
    assert page.text("#number") == "97.4%" and page.run("document.title") == "97.4 % · cache204"
    assert page.text("#windows") == "last minute · 1 h 96.5 % · since start 96.2 %"
    for name, count in d["answers204"].items():
        row = page.text(f"#sources tr.{name}")
        assert f"{100 * count / total:.1f} %" in row and f"{grouped(round(count / 60))}/s" in row, row
    assert f"{grouped(round(total / 60))}/s" in page.text("#sources tr.all")
    for item in d["asked"] + d["not_stored"]:
        assert f">{item['reason']}<" in page.run("document.body.innerHTML") and grouped(item["n"]) in all_text
    assert page.text("#asked-n").startswith(grouped(sum(item["n"] for item in d["asked"])))
    for i, host in enumerate(d["hosts"]):
        row = page.run(f"[...document.querySelectorAll('#hosts tbody tr')[{i}].children].map(cell => cell.innerText.trim())")
        assert row[0] == host["host"] and row[1] == grouped(host["requests"]) and row[3] == grouped(host["asked"]), row
        assert row[-1] == str(host["failures"])
    for value in ("15\u202f837", "15\u202f105", "46 µs", "8.7 ms", "8.2 ms", "1\u202f284 clients · 2.1 % not 204", "origins see 1 of 39",
                  "441 MiB of 512 MiB", "1\u202f184\u202f220", "99.1 %", "2 d 15 h", "33 h", "351 exchanges, 44 wait"):
        assert value.replace(" ", "") in all_text.replace(" ", ""), value
    assert "No client got an error in the last 28 min" in page.text("#verdict")


def test_shares_are_never_rounded_to_all_or_nothing(server, open_page):
    page = open_page(server.url)
    assert page.run("[percent(1), percent(0.99999), percent(0), percent(0.00001), percent(null), percent(0.9749), percent(0.9995), percent(0.9994)]") == [
        "100.0 %", ">99.9 %", "0.0 %", "<0.1 %", "–", "97.5 %", ">99.9 %", "99.9 %"]
    assert page.run("[micros(0), micros(999), micros(1000), micros(9949), micros(12345), micros(1e6), micros(3e7), micros(null)]") == [
        "0 µs", "999 µs", "1.0 ms", "9.9 ms", "12 ms", "1.0 s", "30 s", "–"]
    assert page.run("[bytes(0), bytes(1023), bytes(1024), bytes(200000), bytes(48200000), bytes(1e15)]") == [
        "0 B", "1023 B", "1.0 KiB", "195 KiB", "46 MiB", "909 TiB"]
    assert page.run("[age(0), age(59), age(60), age(3600), age(12900), age(226800), age(-1)]") == [
        "0 s", "59 s", "1 min", "1 h", "3 h 35 min", "2 d 15 h", "0 s"]
    assert page.run("[scale(0), scale(0.9), scale(26000), scale(425 / 60)]") == [
        [0, 1], [0, 0.5, 1], [0, 10000, 20000, 30000], [0, 5, 10]]


def test_empty_says_how_to_begin(server, open_page):
    server.state = STATES["begun"]
    page = open_page(server.url)
    assert "No 204 yet" in page.text("#begin") and "0 %" not in page.text("main")
    assert "http://127.0.0.1:3128" in page.text("#steps") and page.run("document.getElementById('all').hidden")
    assert page.run("document.title") == "No 204 yet · cache204"
    server.state = STATES["normal"]
    page.until("!document.getElementById('all').hidden", "the first answer is counted")


def test_trouble_comes_first(server, open_page):
    server.state = STATES["failing"]
    page = open_page(server.url)
    assert page.run("document.title") == "(!) 98.6 % · cache204"
    notes = page.run("[...document.querySelectorAll('#verdict .note')].map(note => note.innerText)")
    assert len(notes) == 2 and notes[0].startswith("pay.example.net does not answer") and "since 14:03" in notes[0]
    assert "44.2 % stale" in page.text("#split") and "refuses connections" in page.text("#hosts")
    assert "none answered" in page.text("#hosts") and "a stale 204" in page.text("#errors") and "504 error" in page.text("#errors")


def test_change_of_verdict_is_spoken_once(server, open_page):
    page = open_page(server.url)
    assert page.text("#status") == ""
    server.state = STATES["failing"]
    page.until("document.getElementById('status').textContent.includes('does not answer')", "it is told")
    told = page.text("#status")
    changed = dash.whole("failing")
    changed["notes"][0]["text"] = changed["notes"][0]["text"].replace("425", "430")
    server.state = lambda query: changed
    page.until("document.getElementById('verdict').textContent.includes('430')", "the number goes on")
    assert page.text("#status") == told


def test_two_notes_of_one_kind_are_two(server, open_page):
    d = dash.whole("failing")
    d["notes"] = [{**d["notes"][0], "text": f"h{i}.test does not answer."} for i in range(3)]
    server.state = lambda query: d
    page = open_page(server.url)
    assert page.run("document.querySelectorAll('#verdict .note').length") == 3


def test_restart_is_reported(server, open_page):
    page = open_page(server.url)
    d = dash.whole("normal")
    d["start_ms"] = d["now_ms"] - 5000
    server.state = lambda query: d
    page.until("document.getElementById('verdict').textContent.includes('Restarted at 14:12:06')", "it is told")


# ---- hostile text -----------------------------------------------------------------------------------


TAGS = "[...new Set([...document.querySelectorAll('*')].map(node => node.tagName.toLowerCase()))].sort()"


def test_text_is_only_text(server, open_page):
    server.state = STATES["failing"]
    usual = open_page(server.url)
    server.state = STATES["hostile"]
    server.explained = lambda query: dash.spoilt(dash.load("answers")["hit"], dash.HOSTILE)
    page = open_page(server.url)
    for each in (usual, page):
        each.run(f"explain({json.dumps(URI)})")
        each.run("document.querySelectorAll('details').forEach(node => { node.open = true; })")
    page.run("document.querySelector('input[value=urls]').click()")
    page.run(LAID_OUT)
    assert set(page.run(TAGS)) <= set(usual.run(TAGS)) | {"code", "br"}
    assert page.run("document.scripts.length") == 1 and page.run("document.images.length") == 0
    text = page.run("document.documentElement.textContent + document.title")
    for character in set(text):
        assert unicodedata.category(character) not in ("Cf", "Co") and (character >= " " or character == "\n"), hex(ord(character))
    assert "\\u202e" in text and "<script>alert(2)</script>" in text
    assert page.run("[...document.querySelectorAll('[href], [src], [action]')].map(node => node.getAttribute('href') || '').filter("
                    "href => !/^(\\/[a-z]*|#main|data:,)$/.test(href))") == []
    assert page.run("[...document.querySelectorAll('*')].flatMap(node => [...node.attributes]).filter("
                    "attribute => /^on/.test(attribute.name)).length") == 0
    check_layout(page)


def test_bad_answers_are_refused(server, open_page):
    """Arrays, numbers and texts where something else is expected, and what is no JSON at all."""
    page = open_page(server.url)
    d = dash.whole("normal")
    for wrong in ([], 7, "x", {}, True):
        odd = {key: wrong if key not in ("v", "now_ms") else value for key, value in d.items()}
        server.state = lambda query, odd=odd: odd
        before = len(server.asked)
        until(lambda: len([a for a in server.asked[before:] if a[1] == "/dash.json"]) > 1, "it goes on asking", 20)
    server.state = STATES["normal"]
    page.until("document.getElementById('number').textContent === '97.4%'", "it is all there again", 30)


# ---- what it does -----------------------------------------------------------------------------------


def asked(server):
    return [query for _, path, query in server.asked if path == "/dash.json"]


def test_window_and_order_are_asked_for(server, open_page):
    page = open_page(server.url)
    assert asked(server)[0]["window"] == ["60"] and "after" not in asked(server)[0]
    page.click("#window input[value='3600']")
    until(lambda: asked(server)[-1]["window"] == ["3600"], "the hour is asked for", 10)
    page.run("document.getElementById('sort').value = 'failures'; document.getElementById('sort').dispatchEvent(new Event('change'))")
    until(lambda: asked(server)[-1]["sort"] == ["failures"], "the order is asked for", 10)


def test_paused_and_hidden_ask_nothing(server, open_page):
    page = open_page(server.url)
    page.click("#pause")
    assert page.run("document.getElementById('pause').getAttribute('aria-pressed')") == "true"
    page.until("!isAsking", "the last answer is there")
    before = len(asked(server))
    page.run("new Promise(done => setTimeout(done, 2 * EVERY_MS + 500))")
    assert len(asked(server)) == before and "Paused" in page.text("#live")
    page.click("#pause")
    until(lambda: len(asked(server)) > before, "it goes on at once", 10)
    page.run("Object.defineProperty(document, 'hidden', {get: () => window.away, configurable: true}); window.away = true;"
             "document.dispatchEvent(new Event('visibilitychange'))")
    page.until("!isAsking", "the last answer is there")
    before = len(asked(server))
    page.run("new Promise(done => setTimeout(done, 2 * EVERY_MS + 500))")
    assert len(asked(server)) == before
    page.run("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    until(lambda: len(asked(server)) > before, "it goes on at once", 10)


HOSTS = "[...document.querySelectorAll('#hosts tbody th')].map(cell => cell.textContent)"


def test_rows_stay_under_the_pointer(server, open_page):
    page = open_page(server.url)
    before = page.run(HOSTS)
    page.run("document.getElementById('hosts').scrollIntoView({block: 'center'})")
    x, y = page.run("(box => [box.x + 30, box.y + 90])(document.querySelector('#hosts table').getBoundingClientRect())")
    page.move(x, y)
    d = dash.whole("normal")
    d["hosts"].reverse()
    d["hosts"][0]["requests"] = 7777777
    server.state = lambda query: d
    page.until("document.querySelector('#hosts').textContent.includes('7\u202f777\u202f777')", "the number is new")
    assert page.run(HOSTS) == before
    page.move(2, 2)
    page.until(f"{HOSTS}[0] === {json.dumps(before[-2])}", "the order is new")


def test_rows_stay_under_the_focus(server, open_page):
    page = open_page(server.url)
    before = page.run(HOSTS)
    page.run("document.querySelectorAll('#hosts button')[3].focus()")
    d = dash.whole("normal")
    d["hosts"] = d["hosts"][:3] + [{**d["hosts"][0], "host": "new.example"}]
    server.state = lambda query: d
    n = len(asked(server))
    until(lambda: len(asked(server)) > n + 1, "it has asked again", 10)
    assert page.run(HOSTS) == before and page.run("document.activeElement.textContent") == before[3]
    page.run("document.activeElement.blur()")
    page.until(f"{HOSTS}.includes('new.example') && {HOSTS}.length === 5", "the rows are new")


def test_token_is_asked_for_and_kept_in_memory(server, open_page):
    server.token = "s3cret"
    page = open_page(server.url, wait=False)
    page.until("typeof needsToken !== 'undefined' && needsToken && !document.getElementById('token-form').hidden", "it is asked for")
    n = len(asked(server))
    page.run("new Promise(done => setTimeout(done, EVERY_MS + 500))")
    assert len(asked(server)) == n  # a wrong guess is not repeated
    page.run("document.getElementById('token').focus()")
    page.type("s3cret")
    page.key("Enter")
    page.until("shown !== null", "an answer is shown")
    assert page.run("localStorage.length + sessionStorage.length") == 0
    assert page.run("document.getElementById('token').value") == "" and page.run("document.getElementById('token-form').hidden")
    page.complaints = [c for c in page.complaints if "401" not in c[1]]


def test_explain_by_hand(server, open_page):
    page = open_page(server.url)
    page.run("document.getElementById('uri').focus()")
    page.type("api.example.com/v2/heartbeat?a=1&b=ü#x")
    page.key("Enter")
    page.until("!document.getElementById('explained').hidden", "it is explained")
    assert [q for _, path, q in server.asked if path == "/explain"][-1]["uri"] == ["http://api.example.com/v2/heartbeat?a=1&b=ü#x"]
    assert page.run("document.activeElement.id") == "explained-h"
    page.run("document.querySelector('#explained details').open = true; document.getElementById('lines').focus()")
    page.type("Accept-Language: de")
    page.run("document.querySelector('#explained form button').click()")
    until(lambda: [q for _, path, q in server.asked if path == "/explain"][-1].get("header") == ["Accept-Language: de"], "it is asked again", 10)
    page.until("document.querySelector('#explained summary').textContent.includes('Accept-Language: de')", "it is told")
    page.run("[...document.querySelectorAll('#explained button')].find(button => button.textContent === 'Ask the origin once').click()")
    until(lambda: ("POST", "/explain") == [(m, p) for m, p, q in server.asked if p == "/explain"][-1], "the origin is asked", 10)
    page.until("document.getElementById('explained').textContent.includes('What is wrong with it')", "the answer is judged")
    page.run("document.querySelector('#explained h2').focus()")
    page.key("Escape")
    assert page.run("document.getElementById('explained').hidden && document.activeElement.id === 'uri'")


def test_forget_is_one_purge(server, open_page):
    page = open_page(server.url)
    page.run(f"explain({json.dumps(URI + '?a=1&b=2')})")
    page.run("[...document.querySelectorAll('#explained button')].find(button => button.textContent === 'Forget it').click()")
    until(lambda: server.purged, "it is purged", 10)
    assert server.purged == [{"uri": [URI + "?a=1&b=2"]}]


def test_load_tests_side_by_side(server, open_page):
    page = open_page(server.url)
    page.until("document.querySelector('#compare table') !== null", "the runs are compared")
    assert {(q["since"][0], q["until"][0]) for _, path, q in server.asked if path == "/stats"} == {("run-a", "run-a-end"), ("run-b", "run-b-end")}
    text = page.text("#compare")
    for words in ("24\u202f537", "26\u202f432", "+7.7 % better", "+18.7 % worse", "+0.1 points same"):
        assert words in text, text
    page.run("document.getElementById('mark').focus()")
    page.type("1bad")
    page.key("Enter")
    page.until("document.getElementById('mark-said').textContent.includes('begins with a letter')", "it is refused")
    page.run("document.getElementById('mark').value = 'run-c'")
    page.key("Enter")
    until(lambda: server.marks == ["run-c"], "the mark is set", 10)


# ---- by keyboard ------------------------------------------------------------------------------------


WHERE = "(node => node.id || (node.name || '') + (node.value || '') || node.textContent.slice(0, 40))(document.activeElement)"
REACHED = """[...document.querySelectorAll('a, button, input, select, summary')].filter(node => node.checkVisibility()
  && !(node.type === 'radio' && !node.checked)).length"""


def test_keyboard_alone(server, open_page):
    page = open_page(server.url)
    page.click("#pause")  # so that nothing is made anew on the way
    page.until("!isAsking && document.querySelector('#compare table') !== null", "all is there")
    page.run("document.activeElement.blur()")
    seen = []
    for _ in range(120):
        page.key("Tab")
        if page.run("document.activeElement === document.body"):
            break
        seen.append(page.run(WHERE))
        ring = page.run("(node => getComputedStyle(node.closest('.seg') && node.type === 'radio' ? node.nextSibling : node).outlineStyle)(document.activeElement)")
        assert ring == "solid" or seen[-1] == "main", (seen[-1], ring)
    assert seen[0] == "Skip to the numbers" and len(seen) >= page.run(REACHED), (len(seen), page.run(REACHED), seen)
    page.run("document.querySelector('#asked summary').focus()")
    page.key("Enter")
    assert page.run("document.querySelector('#asked details').open") and "Last:" in page.text("#asked details")
    page.run("document.querySelector('#window input').focus()")
    page.key("ArrowRight")
    assert page.run("document.querySelector('#window :checked').value") == "3600"
    page.run("document.querySelector('#hosts button').focus()")
    page.key("Enter")
    page.until("!document.getElementById('explained').hidden", "the host is explained")


def test_an_hour_as_a_table(server, open_page):
    server.state = STATES["gap"]
    page = open_page(server.url)
    page.run("document.querySelector('#strips-more summary').click()")
    page.until("document.querySelectorAll('#strips-more tbody tr').length > 40", "the table is there")
    rows = page.run("document.querySelectorAll('#strips-more tbody tr').length")
    assert rows < 60  # of minutes that nothing was kept of there is no row
    assert not re.search(r"NaN|undefined|null|Infinity", page.run("document.querySelector('main').textContent"))


@pytest.mark.parametrize("state", STATES)
def test_the_page_shows_no_nan_or_undefined(state, server, open_page):
    server.state = STATES[state]
    page = open_page(server.url)
    page.run("document.querySelectorAll('details').forEach(node => { node.open = true; })")
    text = page.run("document.querySelector('main').textContent + document.title + [...document.querySelectorAll('path, rect, line, text, circle')]"
                    ".map(node => [...node.attributes].map(a => a.value).join(' ')).join(' ')")
    assert not re.search(r"NaN|undefined|\bnull\b|Infinity|\[object", text), re.search(r".{40}(NaN|undefined|\bnull\b|Infinity|\[object).{40}", text)
