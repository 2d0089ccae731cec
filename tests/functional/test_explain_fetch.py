"""POST /explain?fetch=1 and `cache204 explain --fetch`: the origin is asked once, and its answer looked at."""

import json
import re
import threading
from urllib.parse import quote

import pytest

from support.origin import CLOSE, NEVER, respond
from support.ports import free_port
from support.proxy import ROOT, run
from support.rawclient import Client

FRESH = ["Cache-Control: max-age=60", 'ETag: "a"']
FINDINGS = re.findall(r'^LINT\((\w+), \w+, (\w+), "([^"]*)", "((?:[^"\\]|\\.)*)", "([^"]*)"\)',
                      (ROOT / "cache/policy/lint.def").read_text(), re.M)


def ask(proxy, url, *lines, method="GET", status=200):
    target = f"/explain?fetch=1&method={method}" + "".join(f"&header={quote(line, '')}" for line in lines)
    answer = proxy.admin(f"{target}&uri={quote(url, '')}", "POST")
    assert answer.status == status, answer.body
    if status != 200:
        return answer.body
    said = json.loads(answer.body)
    assert answer.body.isascii()
    return {**said["fetch"], "reason": said["reason"], "cache_status": said["cache_status"], "do": said["do"]}


def names(fetch):
    return [(kind, name) for kind, name, _ in fetch["lint"] if kind != "ok"]


def test_an_origin_is_asked_as_for_a_client(proxy, origin):
    ask(proxy, origin.url("/x"), "Max-Forwards: 7", method="OPTIONS")
    assert origin.last.fields.get("Max-Forwards") == "6"


def test_an_answer_as_it_should_be(proxy, client, origin):
    origin.on("/x?y", respond(204, *FRESH))
    fetch = ask(proxy, origin.url("/x?y"), "X-A: b", "Accept-Language: de")
    assert (fetch["status"], fetch["stored"], fetch["do"], fetch["lifetime_s"]) == (204, True, None, 60)
    assert (names(fetch), fetch["failure"], fetch["origin"]) == ([], None, origin.authority)
    assert fetch["cache_status"] == "cache204; fwd=uri-miss; fwd-status=204; stored"
    assert fetch["took_us"] > 0 and "Such an answer is stored, for 60 s" in fetch["summary"]
    head = fetch["head"].split("\n")
    assert head[0].startswith("HTTP/1.1 204 ") and head[-2:] == FRESH
    assert {"no content", "field syntax"} <= {name for kind, name, _ in fetch["lint"] if kind == "ok"}
    request, = origin.requests
    assert request.line == "GET /x?y HTTP/1.1"
    assert request.fields.get("X-A") == "b" and request.fields.get("Host") == origin.authority
    assert proxy.instance in request.fields.get("Via")
    assert not client.get(origin.url("/x?y")).hit  # it was not stored
    assert len(origin.requests) == 2


BARE = {
    "no lifetime": [], "no-store": [*FRESH, "Cache-Control: no-store"], "private": [*FRESH, "Cache-Control: private"],
    "Cache-Control": ['ETag: "a"', 'Cache-Control: max-age=60; x'], "Vary": [*FRESH, "Vary: *"],
    "Set-Cookie": ['ETag: "a"', "Set-Cookie: a=b"], "Content-Length": [*FRESH, "Content-Length: 5"],
    "Transfer-Encoding": [*FRESH, "Transfer-Encoding: chunked"], "mended": [*FRESH, "X : y"],
    "not stored": [*FRESH, "X-Large: " + "x" * 20000],
}


@pytest.mark.parametrize("name", BARE)
def test_what_is_not_stored_has_its_fault(proxy, client, origin, name):
    """The reason is that of the same answer to a client."""
    origin.on("/", respond(204, *BARE[name]))
    fetch = ask(proxy, origin.url())
    assert ("no", name) in names(fetch) and not fetch["stored"]
    origin.on("/", respond(204, *BARE[name]))
    assert client.get(origin.url())["Cache-Status"] == fetch["cache_status"]
    assert f"({fetch['reason']})" in fetch["summary"]


def test_bytes_after_the_head(proxy, origin):
    origin.on("/", [b"HTTP/1.1 204 N\r\nCache-Control: max-age=5\r\n\r\nhello", CLOSE])
    assert names(ask(proxy, origin.url()))[0] == ("no", "content")


@pytest.mark.parametrize("line, fault", [
    ("X : y", "line 3: white space before the colon"), ("X: a\r\n b", "line 4: goes on"), ("X: a\x01b", "line 3: a control byte")])
def test_what_was_mended_is_named(proxy, origin, line, fault):
    origin.on("/", [f"HTTP/1.1 204 N\r\nCache-Control: max-age=5\r\n{line}\r\n\r\n".encode("latin-1"), CLOSE])
    kind, name, text = ask(proxy, origin.url())["lint"][0]
    assert (kind, name) == ("no", "mended") and f": {fault}" in text


def test_another_status_is_not_read_to_its_end(proxy, origin):
    """Content of any size: the head is enough, and the connection is closed."""
    origin.on("/", [b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 1000, NEVER])
    fetch = ask(proxy, origin.url())
    assert names(fetch) == [("no", "status")] and len(fetch["lint"]) == 1 and fetch["reason"] == "status"
    origin.wait_all_closed()


def test_a_head(proxy, origin):
    origin.on("/", respond(204, *FRESH))
    assert ask(proxy, origin.url(), method="HEAD")["stored"]
    assert origin.last.line.startswith("HEAD ")


FAILING = {"closed": ([CLOSE], "origin_closed"), "bad": ([b"rubbish\r\n\r\n", CLOSE], "bad_response"),
           "cut": ([b"HTTP/1.1 204 N\r\nX", CLOSE], "origin_closed")}


@pytest.mark.parametrize("name", FAILING)
def test_failures_of_the_origin(proxy, origin, name):
    reply, failure = FAILING[name]
    origin.on("/", reply)
    fetch = ask(proxy, origin.url())
    assert (fetch["failure"], fetch["origin"]) == (failure, origin.authority)
    assert failure in fetch["summary"] and "status" not in fetch


def test_what_cannot_be_reached(proxy):
    port = free_port()
    fetch = ask(proxy, f"http://127.0.0.1:{port}/")
    assert fetch["failure"] == "origin_refused" and fetch["origin"] is None


@pytest.mark.one_worker("it has a proxy of its own")
def test_an_origin_that_does_not_answer(start_proxy, origin):
    proxy = start_proxy("first_byte_timeout=300ms")
    origin.on("/", [NEVER])
    assert ask(proxy, origin.url())["failure"] == "origin_timeout"


# ---- where it may go ------------------------------------------------------------------------------------

def test_by_the_rules_for_clients(start_proxy, origin):
    """The operator asks as a client would, and no further."""
    proxy = start_proxy("deny=127.0.0.0/8")
    target = f"/explain?fetch=1&uri={origin.url()}"
    said = json.loads(proxy.admin(target, "POST").body)
    assert (said["verdict"], said["failure"], said["fetch"]) == ("refused", "denied_destination", None)
    fetch = ask(proxy, f"http://localhost:{origin.port}/")  # a name, which is looked up
    assert fetch["failure"] == "denied_destination"
    assert not origin.connections


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
@pytest.mark.parametrize("which", ["port", "admin_port"])
def test_not_the_proxy_itself(proxy, host, which):
    url = f"http://{host}:{getattr(proxy, which)}/stats"
    said = json.loads(proxy.admin(f"/explain?fetch=1&uri={url}", "POST").body)
    failure = said["failure"] if said["fetch"] is None else said["fetch"]["failure"]
    assert failure in ("own_address", "denied_reserved", "loop")


def test_a_gateway_reaches_what_the_operator_chose(start_proxy, origin):
    proxy = start_proxy(f"gateway=127.0.0.1:{free_port()}={origin.url('')}", "deny=127.0.0.0/8")
    origin.on("/", respond(204, *FRESH))
    assert ask(proxy, origin.url())["stored"]


@pytest.mark.parametrize("method, lines", [("POST", []), ("DELETE", []), ("FROB", []), ("GET", ["Content-Length: 5"]),
                                           ("GET", ["Transfer-Encoding: chunked"])])
def test_what_could_change_something_is_refused(proxy, origin, method, lines):
    assert b"safe" in ask(proxy, origin.url(), *lines, method=method, status=400)
    assert not origin.connections


def test_a_post_of_another_page_is_refused(proxy, origin):
    target = f"/explain?fetch=1&uri={origin.url()}"
    assert proxy.admin(target, "POST", "Origin: http://evil.example").status == 403
    assert proxy.admin(target, "POST", "Sec-Fetch-Site: cross-site").status == 403
    assert proxy.admin(f"/explain?uri={origin.url()}", "POST").status == 400
    with Client(proxy.admin_port) as client:
        client.send(f"POST {target} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
        assert client.response().status == 403
    assert not origin.connections


# ---- waiting --------------------------------------------------------------------------------------------

def test_no_traffic_is_counted(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/", respond(204, *FRESH))
    ask(proxy, origin.url())
    stats = proxy.stats()
    assert stats["requests"] == 0 and stats["stores"] == 0
    assert not any(stats["outcomes"].values()) and not any(stats["not_stored"].values())
    assert stats["counters"]["origin_requests"] == 1
    assert not proxy.log_lines()
    assert f'explain: the origin of "{origin.url()}" is asked for 127.0.0.1' in proxy.errors()


def test_an_operator_who_leaves(proxy, origin):
    """The origin's connection is closed with it."""
    origin.on("/", [NEVER])
    with Client(proxy.admin_port) as operator:
        operator.send(f"POST /explain?fetch=1&uri={origin.url()} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        origin.wait_heads(1)
        operator.reset()
    origin.wait_all_closed()


def test_several_at_once(proxy, origin):
    gate = threading.Event()
    origin.on("/", [gate, respond(204, *FRESH)])
    results = []
    threads = [threading.Thread(target=lambda: results.append(ask(proxy, origin.url()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    origin.wait_heads(4)
    gate.set()
    for thread in threads:
        thread.join()
    assert [fetch["stored"] for fetch in results] == [True] * 4


@pytest.mark.one_worker("it ends the proxy")
def test_the_proxy_ends_meanwhile(start_proxy, origin):
    proxy = start_proxy("drain_timeout=200ms")
    origin.on("/", [NEVER])
    with Client(proxy.admin_port) as operator:
        operator.send(f"POST /explain?fetch=1&uri={origin.url()} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        origin.wait_heads(1)
        proxy.terminate()
        proxy.wait()


# ---- the command, and the table -------------------------------------------------------------------------

def test_the_command(proxy, origin):
    origin.on("/collect", respond(204, "Content-Length: 0"))
    result = run("explain", "--fetch", "-o", f"admin=127.0.0.1:{proxy.admin_port}", origin.url("/collect"))
    assert result.returncode == 1 and not result.stderr
    text = result.stdout
    assert re.match(r"MISS\. (?:.*\n)+?Do this: Send \"Cache-Control: max-age=60\"\. See cache204-origins\(7\), LIFETIME\.\n", text)
    assert re.search(rf"^Asked {re.escape(origin.authority)} once, 204 in \d+\.\d ms\. Such an answer is not\nstored \(no-freshness\):|"
                     rf"^Asked {re.escape(origin.authority)} once, 204 in \d+\.\d ms\. Such an answer is not stored\n\(no-freshness\):",
                     text, re.M)
    assert re.search(r"^  x  no lifetime +not stored: send", text, re.M)
    assert re.search(r"^  !  Content-Length: 0 +a 204 must not have it", text, re.M)
    assert re.search(r"^  ok .*Vary", text, re.M)
    assert "\n  | HTTP/1.1 204 " in text
    assert max(map(len, text.split("\n"))) <= 79


def test_the_manual_has_each_finding():
    """In the table's order, as it is told."""
    text = (ROOT / "conf/cache204-origins.7").read_text()
    faults = text.partition(".Sh FAULTS\n")[2].partition(".Sh ")[0]
    told = [(name, said.replace("\n", " "), section) for name, said, section in
            re.findall(r"^\.It Li (.+)\n((?:[^.].*\n)+)\.Pq (.+) \.\n", faults, re.M)]

    def manual(text):
        return text.replace('\\"', "\\(dq").replace('"', "\\(dq").replace("'", "\\(aq")

    expected = [(manual(label), manual(text[0].upper() + text[1:]) + " ", section)
                for kind in ("BARS", "WARNS") for _, level, label, text, section in FINDINGS if level == kind]
    assert told == expected


def test_each_finding_is_a_sentence_with_its_section():
    assert len(FINDINGS) > 40
    for name, level, label, text, section in FINDINGS:
        assert level in ("BARS", "WARNS") and label and text and not text.endswith("."), name
        assert re.fullmatch(r"RFC \d{4}, \d+(\.\d+)*", section), name
