"""Cache-Status on every kind of answer, and the same reason in the access log and in the statistics."""

import json
import re

import pytest

from support.origin import CLOSE, respond
from support.proxy import ROOT
from support.requirement import requirement

FRESH = ["Cache-Control: max-age=60", 'ETag: "a"']
STALE = [*FRESH, "Age: 100"]
REASONS = re.findall(r'^REASON\(\w+, "([^"]+)", (\w+),', (ROOT / "cache/policy/reasons.def").read_text(), re.M)[1:]
LISTS = {name: [reason for reason, where in REASONS if where in these]
         for name, these in (("asked", ("REQUEST", "ASKED")), ("not_stored", ("STORE",)), ("stale", ("STALE",)))}


def store(client, origin, *lines):
    origin.on("/", respond(204, *lines))
    assert client.get(origin.url()).stored


@requirement("RFC 9211 2.1 DEF", "RFC 9211 2.4 DEF")
def test_hit(client, origin):
    store(client, origin, *FRESH)
    status = client.get(origin.url()).cache_status
    assert status == {"name": "cache204", "hit": True, "ttl": status["ttl"]}
    assert 58 <= status["ttl"] <= 60


@requirement("RFC 9211 2.4 DEF")
@pytest.mark.parametrize("lines, request_line, detail", [
    (STALE, "Cache-Control: max-stale", "max-stale"),
    ([*STALE, "Cache-Control: stale-while-revalidate=600"], "X: y", "revalidating")], ids=["max-stale", "swr"])
def test_stale_hit_has_a_negative_ttl(client, origin, lines, request_line, detail):
    store(client, origin, *lines)
    status = client.get(origin.url(), request_line).cache_status
    assert (status["hit"], status["detail"]) == (True, detail)
    assert -42 <= status["ttl"] <= -40


@requirement("RFC 9211 2.2 DEF", "RFC 9211 2.3 DEF", "RFC 9211 2.5 DEF")
def test_miss(client, origin):
    origin.on("/", respond(204, *FRESH))
    assert client.get(origin.url()).cache_status == \
        {"name": "cache204", "fwd": "uri-miss", "fwd-status": 204, "stored": True}


@requirement("RFC 9211 2.2 DEF")
def test_vary_miss(client, origin):
    origin.on("/", respond(204, *FRESH, "Vary: X-A"))
    client.get(origin.url(), "X-A: 1")
    assert client.get(origin.url(), "X-A: 2").cache_status == \
        {"name": "cache204", "fwd": "vary-miss", "fwd-status": 204, "stored": True}


@requirement("RFC 9211 2.2 DEF", "RFC 9211 2.3 DEF")
@pytest.mark.parametrize("status", [304, 204, 200, 404, 503])
def test_stale(client, origin, status):
    store(client, origin, *STALE)
    origin.on("/", respond(status, *FRESH))
    answer = client.get(origin.url())
    assert (answer.fwd, answer.cache_status["fwd-status"], answer.hit) == ("stale", status, False)
    assert answer.status == (204 if status == 304 else status)


def test_stale_for_an_error(client, origin):
    store(client, origin, *STALE, "Cache-Control: stale-if-error=600")
    origin.on("/", respond(503), [CLOSE])
    for expected in (503, None):
        status = client.get(origin.url()).cache_status
        assert (status["fwd"], status.get("fwd-status"), status["detail"]) == ("stale", expected, "stale-if-error")


@requirement("RFC 9211 2.2 DEF")
@pytest.mark.parametrize("line", ["Cache-Control: no-cache", "Cache-Control: no-store", "Cache-Control: max-age=0",
                                  "Cache-Control: min-fresh=1000", "Pragma: no-cache"])
def test_request(client, origin, line):
    store(client, origin, *FRESH)
    assert client.get(origin.url(), line).fwd == "request"


@requirement("RFC 9211 2.2 DEF")
@pytest.mark.parametrize("line, detail", [('If-Match: "a"', "precondition"), ("If-Unmodified-Since: x", "precondition"),
                                          ('If-Range: "a"', "precondition")])
def test_bypass(client, origin, line, detail):
    store(client, origin, *FRESH)
    status = client.get(origin.url(), line).cache_status
    assert (status["fwd"], status["detail"]) == ("bypass", detail)


@requirement("RFC 9211 2.2 DEF")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "M-SEARCH"])
def test_method(client, origin, method):
    status = client.ask(method, origin.url()).cache_status
    assert (status["fwd"], status["fwd-status"], "stored" in status) == ("method", 204, False)
    assert status["detail"] in ("method", "post-location")


NOT_STORED = {
    "no-store": ["Cache-Control: no-store"], "private": ["Cache-Control: private"], "vary-star": ["Vary: *", *FRESH],
    "no-freshness": [], "bad-cache-control": ['Cache-Control: max-age=60, x="'], "framing": [*FRESH, "Content-Length: 5"],
    "set-cookie": ["Set-Cookie: a=b", 'ETag: "a"'], "too-large": [*FRESH, "X-Large: " + "x" * 20000],
}


@requirement("RFC 9211 2.8 DEF")
@pytest.mark.parametrize("detail", NOT_STORED)
def test_detail_of_what_is_not_stored(client, origin, detail):
    origin.on("/", respond(204, *NOT_STORED[detail]))
    status = client.get(origin.url()).cache_status
    assert (status["fwd"], status["detail"], "stored" in status) == ("uri-miss", detail, False)


@requirement("RFC 9211 2.8 DEF")
@pytest.mark.parametrize("detail, lines, reply", [
    ("status", [], respond(200, *FRESH, body=b"x")), ("authorization", ["Authorization: Basic QTpC"], respond(204, *FRESH)),
    ("request-no-store", ["Cache-Control: no-store"], respond(204, *FRESH)),
    ("range", ["Range: bytes=0-1"], respond(204, *FRESH))], ids=lambda value: value if isinstance(value, str) else "")
def test_detail_of_what_the_exchange_bars(client, origin, detail, lines, reply):
    origin.on("/", reply)
    assert client.get(origin.url(), *lines).cache_status["detail"] == detail


def test_only_if_cached(client, origin):
    assert client.get(origin.url(), "Cache-Control: only-if-cached").cache_status == \
        {"name": "cache204", "detail": "only-if-cached"}


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
                                  b"GET http://x:0/ HTTP/1.1\r\nHost: x\r\n\r\n", b"BAD\r\n\r\n",
                                  b"TRACE http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
                                  b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_answers_made_here_have_it_too(client, data):
    client.send(data)
    status = client.response().cache_status
    assert status["name"] == "cache204"
    assert "hit" not in status and "fwd" not in status


def test_origin_that_cannot_be_reached(client, origin):
    origin.refuse()
    assert client.get(origin.url()).cache_status == {"name": "cache204", "fwd": "uri-miss"}


@requirement("RFC 9211 2 SHOULD")
def test_what_others_said_is_kept_before_it(client, origin):
    store(client, origin, *FRESH, 'Cache-Status: ExampleCache; hit; ttl=1, "other one"; fwd=miss')
    for expected in ("cache204; hit",):
        lines = client.get(origin.url()).fields.all("Cache-Status")
        assert lines[0] == 'ExampleCache; hit; ttl=1, "other one"; fwd=miss'
        assert lines[1].startswith(expected)
        assert len(lines) == 2


@requirement("RFC 9211 2 SHOULD")
@pytest.mark.parametrize("status", [200, 404])
def test_also_in_what_is_passed_on(client, origin, status):
    origin.on("/", respond(status, "Cache-Status: ExampleCache; hit"))
    lines = client.get(origin.url()).fields.all("Cache-Status")
    assert lines == ["ExampleCache; hit", f"cache204; fwd=uri-miss; fwd-status={status}; detail=status"]


def test_own_name(start_proxy, origin):
    with start_proxy("pseudonym=edge-1").connect() as client:
        origin.on("/", respond(204, *FRESH))
        assert client.get(origin.url()).cache_status["name"] == "edge-1"


@pytest.fixture(scope="module")
def telling(worker_count, tmp_path_factory):
    from support.proxy import Proxy
    proxy = Proxy(tmp_path_factory.mktemp("proxy"), "cache_status_key=on")
    yield proxy
    proxy.stop()
    proxy.remove()


@requirement("RFC 9211 2.7 DEF")
def test_key_on_every_kind_of_answer(telling, origin):
    origin.on("/a?b", respond(204, *FRESH), respond(204, *FRESH), respond(200, body=b"x"))
    url = origin.url("/a?b").replace("http", "HTTP")
    with telling.connect() as client:
        answers = [client.get(url), client.get(url), client.head(url), client.get(url, "Cache-Control: no-cache"),
                   client.get(url, 'If-None-Match: "a"'), client.ask("POST", url),
                   client.get(origin.url("/none"), "Cache-Control: only-if-cached")]
    assert [a.cache_status["key"] for a in answers] == [origin.url("/a?b")] * 6 + [origin.url("/none")]
    assert [a.hit for a in answers] == [False, True, True, False, True, False, False]


def test_key_of_a_long_uri(telling, origin):
    path = "/" + "x" * 8000
    origin.on(path, respond(204, *FRESH))
    with telling.connect() as client:
        for hit in (False, True):
            answer = client.get(origin.url(path))
            assert (answer.hit, answer.cache_status["key"]) == (hit, origin.url(path))
        assert client.get(origin.url("/" + "y" * 8000), "Cache-Control: only-if-cached").status == 504


def test_key_in_a_failure(telling, origin):
    origin.refuse()
    with telling.connect() as client:
        assert client.get(origin.url("/" + "z" * 4000)).cache_status["key"] == origin.url("/" + "z" * 4000)


def test_no_key_by_default(client, origin):
    store(client, origin, *FRESH)
    assert "key" not in client.get(origin.url()).cache_status


def test_the_same_reason_is_in_the_log_and_in_the_statistics(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/", respond(204, "Cache-Control: no-store"), respond(200, body=b"x"), respond(204, *STALE),
              respond(503), respond(204, *FRESH))
    with proxy.connect() as client:
        answers = [client.get(origin.url()), client.get(origin.url()), client.get(origin.url()),
                   client.get(origin.url(), "Cache-Control: max-stale"), client.get(origin.url()),
                   client.get(origin.url(), "Cache-Control: only-if-cached"), client.get(origin.url()),
                   client.get(origin.url()), client.ask("DELETE", origin.url())]
    details = [a.cache_status.get("detail", "none") for a in answers]
    assert details == ["no-store", "status", "none", "max-stale", "expired", "only-if-cached", "none", "none", "method"]
    stats = proxy.stats()
    # Of the 204s to the client: why the origin was asked, why they are not stored, why one was stale.
    counted = {name: {reason: n for reason, n in stats[name].items() if n} for name in LISTS}
    assert counted == {"asked": {"no-record": 2, "expired": 1, "method": 1}, "not_stored": {"no-store": 1},
                       "stale": {"max-stale": 1}}
    assert {name: list(stats[name]) for name in LISTS} == LISTS
    proxy.stop()
    logged = [json.loads(line) for line in proxy.log_lines()]
    assert [entry.get("reason", "none") for entry in logged if entry["outcome"] != "local"] == details


def test_metrics_have_the_same_lists(proxy):
    text = proxy.admin("/metrics").body.decode()
    for group, reasons in LISTS.items():
        assert re.findall(rf'^cache204_{group}_total\{{reason="([^"]+)"\}}', text, re.M) == reasons


def test_why_what_is_stored_is_not_used(start_proxy, origin):
    """Each reason that stands between a record and a request is counted, whether the origin confirms it or not."""
    proxy = start_proxy()
    origin.on("/", respond(204, *FRESH), *[respond(304, *FRESH)] * 4, respond(204, *FRESH))
    origin.on("/old", respond(204, *STALE), respond(304, *FRESH))
    origin.on("/no-cache", respond(204, "Cache-Control: no-cache", 'ETag: "a"'), respond(304, 'ETag: "a"'))
    origin.on("/vary", respond(204, *FRESH, "Vary: X"))
    with proxy.connect() as client:
        for path in ("/", "/old", "/no-cache", "/vary"):
            assert client.get(origin.url(path)).stored
        for line in ("Cache-Control: no-cache", "Pragma: no-cache", "Cache-Control: max-age=0",
                     "Cache-Control: min-fresh=100", 'If-Match: "a"', "Cache-Control: no-store"):
            client.get(origin.url(), line)
        client.get(origin.url("/old"))
        client.get(origin.url("/no-cache"))
        client.get(origin.url("/vary"), "X: y")
    assert {name: n for name, n in proxy.stats()["asked"].items() if n} == \
        {"no-record": 4, "request-no-cache": 1, "pragma": 1, "request-max-age": 1, "request-min-fresh": 1,
         "precondition": 1, "request-no-store": 1, "expired": 1, "no-cache": 1, "vary": 1}
