"""Each reason of the list is provoked: the request's Cache-Status, the last URI in /stats and the explanation
agree."""

import json
import re
import threading
from urllib.parse import quote

import pytest

from support.origin import CLOSE, respond
from support.proxy import ROOT
from support.until import until

FRESH = ["Cache-Control: max-age=60", 'ETag: "a"']
STALE = [*FRESH, "Age: 100"]
PROXY_OPTIONS = ["preflight_cache=on", "upgrade=on"]
PREFLIGHT = ["Origin: http://b.example", "Access-Control-Request-Method: PUT"]

TOKENS = {token: where for token, where in re.findall(
    r'^REASON\(\w+, "([^"]+)", (\w+),', (ROOT / "cache/policy/reasons.def").read_text(), re.M) if token != "none"}

# What is stored first, or None; the request; and the answer to it.
PROVOKED = {
    "method": (FRESH, "PUT", [], respond(204)),
    "request-no-store": (FRESH, "GET", ["Cache-Control: no-store"], respond(204)),
    "request-bad-cache-control": (FRESH, "GET", ['Cache-Control: x="'], respond(204)),
    "request-body": (FRESH, "GET", ["Content-Length: 0", "Transfer-Encoding: x"], None),
    "precondition": (FRESH, "GET", ['If-Match: "a"'], respond(204)),
    "override": (FRESH, "GET", ["X-HTTP-Method-Override: PUT"], respond(204)),
    "upgrade": (FRESH, "GET", ["Connection: upgrade", "Upgrade: x"], respond(204)),
    "no-record": (None, "GET", [], respond(204, *FRESH)),
    "vary": ([*FRESH, "Vary: X"], "GET", ["X: 1"], respond(204)),
    "expired": (STALE, "GET", [], respond(204)),
    "no-cache": ([*FRESH, "Cache-Control: no-cache"], "GET", [], respond(204)),
    "request-no-cache": (FRESH, "GET", ["Cache-Control: no-cache"], respond(204)),
    "pragma": (FRESH, "GET", ["Pragma: no-cache"], respond(204)),
    "request-max-age": (FRESH, "GET", ["Cache-Control: max-age=0"], respond(204)),
    "request-min-fresh": (FRESH, "GET", ["Cache-Control: min-fresh=100"], respond(204)),
    "post-location": (None, "POST", [], respond(204, *FRESH)),
    "no-store": (None, "GET", [], respond(204, "Cache-Control: no-store")),
    "private": (None, "GET", [], respond(204, *FRESH, "Cache-Control: private")),
    "authorization": (None, "GET", ["Authorization: Basic QTpC"], respond(204, *FRESH)),
    "vary-star": (None, "GET", [], respond(204, *FRESH, "Vary: *")),
    "no-freshness": (None, "GET", [], respond(204)),
    "framing": (None, "GET", [], respond(204, *FRESH, "Content-Length: 5")),
    "mended": (None, "GET", [], respond(204, *FRESH, "X : y")),
    "set-cookie": (None, "GET", [], respond(204, 'ETag: "a"', "Set-Cookie: a=b")),
    "bad-cache-control": (None, "GET", [], respond(204, 'Cache-Control: max-age=60, x="')),
    "preflight-no-cache": (None, "OPTIONS", PREFLIGHT, respond(204, "Access-Control-Max-Age: 60", "Cache-Control: no-cache")),
    "range": (None, "GET", ["Range: bytes=0-1"], respond(204, *FRESH)),
    "too-large": (None, "GET", [], respond(204, *FRESH, "X-Large: " + "x" * 20000)),
}

# Those that a stale answer is given for: they are no misses, and no URI is kept of them.
ANSWERED = {
    "revalidating": ([*STALE, "Cache-Control: stale-while-revalidate=600"], []),
    "max-stale": (STALE, ["Cache-Control: max-stale"]),
    "stale-if-error": ([*STALE, "Cache-Control: stale-if-error=600"], []),
}

# Tests of their own, here and elsewhere.
ELSEWHERE = {
    "status": "test_no_204", "only-if-cached": "test_no_204",
    "request-body": "test_a_body", "admission": "test_explain.py", "overtaken": "test_overtaken",
    "purged": "test_purged",
    "store-busy": "a full queue: tests/unit/cache/test_cache.c", "clock": "tests/vectors/reuse.txt",
    "restored": "test_sync.py", "rule-store-off": "test_rules.py", "rule-key": "test_rules.py",
}


def explain(proxy, url, *lines, method="GET"):
    proxy.until_written()
    target = f"/explain?method={method}" + "".join(f"&header={quote(line, '')}" for line in lines)
    return json.loads(proxy.admin(f"{target}&uri={quote(url, '')}").body)


def last_uris(proxy):
    return proxy.stats()["last_uris"]


def test_no_reason_is_left_out():
    assert set(PROVOKED) | set(ANSWERED) | set(ELSEWHERE) == set(TOKENS)


@pytest.mark.parametrize("token", [token for token in PROVOKED if token not in ELSEWHERE])
def test_what_is_provoked_has_its_uri(proxy, origin, token):
    stored, method, lines, reply = PROVOKED[token]
    url = origin.url(f"/{token}")
    if stored:
        with proxy.connect() as client:
            origin.on(f"/{token}", respond(204, *stored))
            assert client.get(url).stored
    said = explain(proxy, url, *lines, method=method)
    if reply:
        origin.on(f"/{token}", reply)
    with proxy.connect() as client:
        answer = client.ask(method, url, *lines)
    assert last_uris(proxy)[token] == url
    if TOKENS[token] in ("REQUEST", "ASKED"):
        assert said["reason"] == token and not said["from_store"]  # before the request was made
    else:
        assert answer.cache_status["detail"] == token
        after = explain(proxy, url, *lines, method=method)
        if after["verdict"] == "miss" and TOKENS[token] == "STORE":  # and now it is known why there is nothing
            assert after["reason"] == token and "Its last answer was not stored" in after["line"]
    for text in (said["line"], said["do"] or "Well."):
        assert text[0].isupper() and text.endswith(".")


@pytest.mark.parametrize("token", ANSWERED)
def test_what_is_answered_is_no_miss(proxy, origin, token):
    stored, lines = ANSWERED[token]
    url = origin.url(f"/{token}")
    with proxy.connect() as client:
        origin.on(f"/{token}", respond(204, *stored))
        assert client.get(url).stored
    said = explain(proxy, url, *lines)
    origin.on(f"/{token}", respond(503) if token == "stale-if-error" else [CLOSE])
    with proxy.connect() as client:
        assert client.get(url, *lines).cache_status["detail"] == token
    assert token not in last_uris(proxy)
    assert said["reason"] == ("expired" if token == "stale-if-error" else token)


def test_no_204(proxy, client, origin):
    """No 204 came of it, and it is in no list."""
    before = last_uris(proxy)
    origin.on("/", respond(200, *FRESH))
    assert client.get(origin.url()).cache_status["detail"] == "status"
    lines = ["Cache-Control: only-if-cached"]
    assert explain(proxy, origin.url(), *lines)["reason"] == "only-if-cached"
    assert client.get(origin.url(), *lines).cache_status["detail"] == "only-if-cached"
    assert last_uris(proxy) == before


def test_a_body(proxy, client, origin):
    url = origin.url("/request-body")
    client.ask("GET", url, body=b"x")
    assert last_uris(proxy)["request-body"] == url
    assert explain(proxy, url, "Content-Length: 1")["reason"] == "request-body"


def test_overtaken(proxy, connect, origin):
    """Purged while the answer is on its way."""
    gate = threading.Event()
    origin.on("/overtaken", [gate, respond(204, *FRESH)])
    client = connect()
    client.request("GET", origin.url("/overtaken"))
    origin.wait_heads(1)
    assert proxy.admin(f"/purge?uri={origin.url('/overtaken')}", "POST").status == 200
    gate.set()
    assert client.response().cache_status["detail"] == "overtaken"
    assert last_uris(proxy)["overtaken"] == origin.url("/overtaken")


def test_purged(proxy, client, origin):
    """Softly: it is there, and has to be confirmed."""
    url = origin.url("/purged")
    origin.on("/purged", respond(204, *FRESH))
    client.get(url)
    assert proxy.admin(f"/purge?soft=1&uri={url}", "POST").status == 200
    said = explain(proxy, url)
    assert (said["verdict"], said["reason"], said["record"]["others"]) == ("validate", "purged", [])
    client.get(url)
    assert last_uris(proxy)["purged"] == url


def test_a_hit_leaves_them_alone(proxy, client, origin):
    origin.on("/", respond(204, *FRESH))
    client.get(origin.url())
    until(lambda: proxy.stats()["gauges"]["writes_waiting"] == 0, "it is stored")
    before = last_uris(proxy)
    assert client.get(origin.url()).hit
    assert client.get(origin.url(), 'If-None-Match: "a"').status == 304
    assert last_uris(proxy) == before


def test_passwords_and_hostile_bytes(proxy, client, origin):
    path = "/?to=http://user:secret@h/\"<script>\x80\xff"
    client.get(origin.url(path))
    answer = proxy.admin("/stats")
    assert answer.body.isascii() and b"secret" not in answer.body
    assert json.loads(answer.body)["last_uris"]["no-record"] == origin.url('/?to=http://***@h/"<script>\x80\xff')


def test_a_long_uri_is_cut(proxy, client, origin):
    client.get(origin.url("/" + "x" * 5000))
    uri = last_uris(proxy)["no-record"]
    assert len(uri) == 496 and origin.url("/" + "x" * 5000).startswith(uri)


def test_of_a_gateway(start_proxy, origin):
    from support.ports import free_port
    from support.rawclient import Client
    port = free_port()
    proxy = start_proxy(f"gateway=127.0.0.1:{port}={origin.url('')}")
    with Client(port) as client:
        client.send(f"GET /x?y HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        client.response()
    assert last_uris(proxy)["no-freshness"] == origin.url("/x?y")
