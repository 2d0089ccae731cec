"""One line an exchange, whatever bytes it held."""

import json
import re
import time

import pytest

from support.origin import CLOSE, respond
from support.rawclient import Client

pytestmark = pytest.mark.one_worker("lines of several workers come in no order")


def entries(proxy):
    proxy.stop()
    return [json.loads(line) for line in proxy.log_lines()]


def test_one_json_line_per_exchange(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/", respond(204, "Cache-Control: max-age=60", 'ETag: "a"'))
    origin.on("/body", respond(200, body=b"x" * 1000))
    origin.on("/dead", [CLOSE])
    with proxy.connect() as client:
        client.get(origin.url(), "User-Agent: test/1")
        client.get(origin.url())
        client.get(origin.url(), 'If-None-Match: "a"')
        client.get(origin.url("/body"))
        client.ask("POST", origin.url("/post"), body=b"hello")
        client.get(origin.url("/dead"))
    with proxy.connect() as client:
        client.send(b"rubbish\r\n\r\n")
        client.response()
    log = entries(proxy)
    assert [e["status"] for e in log] == [204, 204, 304, 200, 204, 502, 400]
    assert [e["outcome"] for e in log] == ["miss", "hit", "hit_304", "miss", "bypass", "failed", "failed"]
    assert [e["method"] for e in log][:6] == ["GET"] * 4 + ["POST", "GET"]
    assert log[0]["target"] == origin.url()
    assert log[0]["user_agent"] == "test/1"
    assert log[0]["client"].startswith("127.0.0.1")
    assert log[0]["origin"] == origin.authority
    assert log[3]["bytes_out"] > 1000
    assert log[5]["failure"] == "origin_closed"
    assert log[6]["failure"] == "bad_request"


def test_controls_and_high_bytes_are_escaped(start_proxy, origin):
    proxy = start_proxy()
    with proxy.connect() as client:
        client.get(origin.url("/?a=%0d%0a'"), 'User-Agent: a"b\\c\xe9\xff\t</script>')
    with proxy.connect() as client:
        client.send(b"GET http://a/\x01\x7f\xff\" HTTP/1.1\r\nHost: a\r\n\r\n")
        client.response()
    proxy.stop()
    raw = proxy.access_log.read_bytes()
    assert raw.count(b"\n") == 2 and raw.endswith(b"\n")
    assert all(0x20 <= byte < 0x7f or byte == 0x0a for byte in raw)
    log = [json.loads(line) for line in raw.splitlines()]
    assert log[0]["user_agent"].startswith('a"b\\c')


def test_lengths_are_limited(start_proxy, origin):
    proxy = start_proxy()
    with proxy.connect() as client:
        client.get(origin.url("/" + "x" * 8000), "User-Agent: " + "y" * 50_000)
    proxy.stop()
    lines = proxy.log_lines()
    assert len(lines) == 1 and len(lines[0]) < 20_000
    json.loads(lines[0])


def test_no_credentials(start_proxy, origin):
    proxy = start_proxy()
    with proxy.connect() as client:
        client.get(origin.url(), "Authorization: Basic c2VjcmV0", "Cookie: secret=1",
                   "Proxy-Authorization: Basic c2VjcmV0")
    with proxy.connect() as client:
        client.send(f"GET http://user:password@{origin.authority}/ HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert client.response().status == 400
    proxy.stop()
    text = proxy.access_log.read_text()
    for secret in ("c2VjcmV0", "secret=1", "password"):
        assert secret not in text


SECRET = "s3cret"


UNREAD = [
    "GET ftp://alice:s3cret@files.example/x HTTP/1.1",
    "GET ws://alice:s3cret@h.example/ HTTP/1.1",
    "GET http://alice:s3cret@h.example/ HTTP/1.1",
    "GET http://alice:s3cret@h.example/ HTTP/2.0",
    "GET http://alice:s3cret@h.example/ HTTP/1.1x",
    "GET http://alice:s3cret@h.example/ http/1.1",
    "GET http://alice:s3cret@h.example/",
    "GET http://alice:s3cret HTTP/1.1",
    "GET  http://alice:s3cret@h.example/  HTTP/1.1",
    "GET /http://alice:s3cret@h/ HTTP/1.1",
    "GET //alice:s3cret@h/ HTTP/1.1",
    "GET alice:s3cret@h HTTP/1.1",
    "GET http://alice:s3cret@h.example/" + "x" * 9000 + " HTTP/1.1",
    "http://alice:s3cret@h.example/ GET HTTP/1.1",
    "CONNECT alice:s3cret@h.example:443 HTTP/1.1",
    "CONNECT http://alice:s3cret@h.example:443 HTTP/1.1",
    "OPTIONS alice:s3cret HTTP/1.1",
]


@pytest.mark.parametrize("form", ["json", "squid"])
def test_a_password_of_a_url_is_shown_nowhere(start_proxy, form):
    """HAZARDS M3: whatever else is wrong with the request; by the proxy and a gateway; and the admin page, which is
    not in the access log."""
    proxy = start_proxy(f"access_log_format={form}", "cache_status_key=on", "log_level=debug",
                        "gateway=127.0.0.1:0=http://127.0.0.1:1")
    gateway = int(re.search(r"^gateway: http://127\.0\.0\.1:(\d+) ", "\n".join(proxy.output), re.M)[1])
    for port in (proxy.port, gateway, proxy.admin_port):
        for line in UNREAD:
            with Client(port) as client:
                client.send(f"{line}\r\nHost: 127.0.0.1\r\n\r\n".encode())
                answer = client.response()
            assert answer.status >= 400 and SECRET.encode() not in answer.body, line
            key = answer["Cache-Status"] if port != gateway else None  # there it is a path like others
            assert SECRET not in (key or ""), line
    told = proxy.told()
    assert len(proxy.log_lines()) == 2 * len(UNREAD)
    assert SECRET.encode() not in told


def test_squid_format(start_proxy, origin):
    proxy = start_proxy("access_log_format=squid")
    origin.on("/", respond(204, "Cache-Control: max-age=60"))
    with proxy.connect() as client:
        client.get(origin.url())
        client.get(origin.url())
    proxy.stop()
    lines = [line.split() for line in proxy.log_lines()]
    assert [line[3].split("/")[0].startswith("TCP_") for line in lines] == [True, True]
    assert [line[3].split("/")[1] for line in lines] == ["204", "204"]
    assert "MISS" in lines[0][3] and "HIT" in lines[1][3]
    assert lines[0][5:7] == ["GET", origin.url()]


def test_log_to_stdout(start_proxy, origin):
    proxy = start_proxy("access_log=-")
    with proxy.connect() as client:
        client.get(origin.url())
    proxy.stop()
    proxy.reader.join(5)
    lines = [line for line in proxy.output if line.startswith("{")]
    assert [json.loads(line)["status"] for line in lines] == [204]


def test_lines_are_written_while_it_runs(start_proxy, origin):
    """Buffered, but not for long."""
    proxy = start_proxy()
    with proxy.connect() as client:
        client.get(origin.url())
    deadline = time.monotonic() + 5
    while not (proxy.access_log.exists() and proxy.log_lines()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
