"""The operator's page beside a running proxy: its numbers are those of known traffic, and it comes through what
happens to a proxy."""

import json
import os
import signal
import socket
import time

import pytest

from support.origin import Origin, respond
from support.proxy import Proxy
from support.until import until

HITS, MISSES, NOT_STORED, OTHERS, FAILED = 40, 4, 6, 3, 2


@pytest.fixture
def proxy(tmp_path):
    proxy = Proxy(tmp_path / "proxy")
    yield proxy
    proxy.stop()
    proxy.remove()


@pytest.fixture
def origin():
    origin = Origin()
    yield origin
    origin.close()


def traffic(proxy, origin):
    """Requests of each kind, as many as above."""
    origin.default = respond(204, "Cache-Control: max-age=600", 'ETag: "v1"')
    origin.on("/nostore", *[respond(204, "Cache-Control: no-store")] * NOT_STORED)
    origin.on("/page", *[respond(200)] * OTHERS)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = "http://127.0.0.1:%d/" % closed.getsockname()[1]
    with proxy.connect() as client:
        for i in range(MISSES):
            assert client.get(origin.url(f"/u{i}")).status == 204
        for i in range(HITS):
            assert client.get(origin.url(f"/u{i % MISSES}")).hit
        for _ in range(NOT_STORED):
            client.get(origin.url("/nostore"))
        for _ in range(OTHERS):
            client.get(origin.url("/page"))
        for _ in range(FAILED):
            assert client.get(nobody).status == 502


def url(proxy):
    return f"http://127.0.0.1:{proxy.admin_port}/"


def test_numbers_are_those_of_the_traffic(proxy, origin, open_page):
    page = open_page(url(proxy))
    assert "No 204 yet" in page.text("#begin")
    assert f"http://127.0.0.1:{proxy.port}" in page.text("#steps")
    traffic(proxy, origin)
    all204 = HITS + MISSES + NOT_STORED
    page.until(f"shown.requests >= {all204 + OTHERS + FAILED}", "all is counted")
    assert page.text("#number") == f"{100 * HITS / all204:.1f}%"
    assert f"{100 * HITS / all204:.1f} %" in page.text("#sources tr.fresh")
    row = page.run("[...document.querySelectorAll('#hosts tbody tr')].map(row => [...row.children].map(cell => cell.innerText.trim()))")
    mine, = [cells for cells in row if cells[0].endswith(f":{origin.port}")]
    assert mine[1] == str(all204 + OTHERS) and mine[3] == str(MISSES + NOT_STORED + OTHERS), mine
    dead, = [cells for cells in row if cells[4] == "refuses connections"]
    assert dead[-1] == str(FAILED), dead
    assert page.text("#asked-n").startswith(str(MISSES + NOT_STORED)), page.text("#asked-n")
    assert page.text("#not-n").startswith(str(NOT_STORED)), page.text("#not-n")
    assert "refuses connections" in page.text("#verdict") and page.run("document.title").startswith("(!)")
    assert "502 error" in page.text("#errors")
    stats = proxy.stats()
    assert page.run("shown.requests") == stats["requests"] and page.run("shown.answers204.fresh") == stats["hits"]
    page.until("series().some(row => row !== null && row.fresh > 0)", "the chart has it", 30)
    page.click("#kind input[value=urls]")
    assert "/u0" in page.text("#hosts")


def test_explained_by_the_proxy(proxy, origin, open_page):
    origin.default = respond(204, "Cache-Control: max-age=600, stale-if-error=60", 'ETag: "v1"')
    with proxy.connect() as client:
        client.get(origin.url("/known"))
    page = open_page(url(proxy))
    page.run(f"explain({json.dumps(origin.url('/known'))})")
    text = page.text("#explained")
    assert "answered from the store" in text and "max-age=600" in text and '"v1"' in text and "hit; ttl=" in text, text
    assert page.run("document.querySelector('#explained svg[role=img]') !== null")
    page.run("[...document.querySelectorAll('#explained button')].find(button => button.textContent === 'Forget it').click()")
    page.until("document.querySelector('#explained h2').textContent.includes('goes to the origin')", "it is forgotten")
    page.run("[...document.querySelectorAll('#explained button')].find(button => button.textContent === 'Ask the origin once').click()")
    page.until("document.querySelector('#explained').textContent.includes('Asked once')", "the origin is asked")
    assert "HTTP/1.1 204" in page.text("#explained")
    page.run("explain('ftp://x/')")
    page.until("document.querySelector('#explained h2').textContent.includes('could not be explained')", "it is told")
    page.complaints = [c for c in page.complaints if "400" not in c[1]]


def test_marks_of_the_proxy(proxy, origin, open_page):
    origin.default = respond(204, "Cache-Control: max-age=600")
    page = open_page(url(proxy))
    for name in ("run-a", "run-b"):
        with proxy.connect() as client:
            assert proxy.admin(f"/marks/{name}", "POST").status in (200, 201)
            for _ in range(20):
                client.get(origin.url("/load"))
            proxy.admin(f"/marks/{name}-end", "POST")
    page.until("document.querySelector('#compare thead')?.textContent.includes('run-b')", "the runs are compared", 20)
    assert "run-a" in page.text("#compare") and "95.0 %" in page.text("#compare") and "100.0 %" in page.text("#compare"), page.text("#compare")


def test_stopped_and_gone_on(proxy, origin, open_page):
    origin.default = respond(204, "Cache-Control: max-age=600")
    with proxy.connect() as client:
        client.get(origin.url("/a"))
    page = open_page(url(proxy))
    stopped = [proxy.pid, *proxy.workers()]
    begun = time.monotonic()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        page.until("!document.getElementById('band').hidden", "the band is there", 30)
        took = time.monotonic() - begun
        assert "Not known since" in page.text("#verdict")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    page.until("document.getElementById('band').hidden", "the band is gone", 30)
    assert took < 15  # 9 s at most, and what a busy machine takes
    with proxy.connect() as client:
        client.get(origin.url("/a"))
    page.until("past1h.next !== null && series().slice(-1)[0] !== null", "the newest row is there", 30)
    page.complaints.clear()  # the browser tells of questions that were given up


def test_restarted(proxy, origin, open_page):
    origin.default = respond(204, "Cache-Control: max-age=600")
    with proxy.connect() as client:
        client.get(origin.url("/a"))
    page = open_page(url(proxy))
    port, admin = proxy.port, proxy.admin_port
    proxy.options += [f"listen=127.0.0.1:{port}", f"admin=127.0.0.1:{admin}"]
    proxy.restart()
    page.until("document.getElementById('verdict').textContent.includes('Restarted at')", "it is told", 30)
    page.complaints.clear()
    with proxy.connect() as client:
        assert client.get(origin.url("/a")).hit
    page.until("shown.requests === 1 && document.getElementById('band').hidden", "counters began anew", 30)


def test_hostile_names_through_the_proxy(proxy, origin, open_page):
    """Bytes that clients may send in a URL, and origins in a head."""
    origin.default = respond(204, "Cache-Control: max-age=600", 'ETag: "<img src=x onerror=alert(1)>"', "X: <script>alert(1)</script>")
    with proxy.connect() as client:
        for target in ("/<img%20src=x>\"'", "/\xff\xfe\u202e".encode("utf-8").decode("latin-1"), "/" + "<b>" * 300):
            client.send(f"GET {origin.url('')}{target} HTTP/1.1\r\nHost: 127.0.0.1:{origin.port}\r\n\r\n".encode("latin-1"))
            client.response("GET")
    page = open_page(url(proxy))
    page.until("shown.requests >= 3", "they are counted")
    page.click("#kind input[value=urls]")
    page.run("Promise.all([...document.querySelectorAll('#hosts button')].map(button => explain(shown.urls[0].uri)))")
    assert page.run("document.images.length") == 0 and page.run("document.scripts.length") == 1
    until(lambda: "<img" in page.text("#hosts") or "<b>" in page.text("#hosts"), "names are shown as text", 10)
