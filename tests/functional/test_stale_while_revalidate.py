"""stale-while-revalidate: a stale answer at once, and one validation that nobody waits for."""

import threading

import pytest

from support.origin import CLOSE, NEVER, RESET, respond
from support.requirement import requirement
from support.until import until

WINDOW = "stale-while-revalidate=600"
# stale on arrival, for 40 s; no connection is kept that might be tried once too often
STALE = ["Cache-Control: max-age=60", "Age: 100", 'ETag: "a"', "Connection: close"]
FRESH = ["Cache-Control: max-age=60", 'ETag: "a"', "X-Generation: 2"]


@pytest.fixture
def stale(client, origin):
    """Store a record that is stale, with these lines; then what the origin answers next."""
    def stale(*replies, lines=(f"Cache-Control: {WINDOW}",)):
        origin.on("/", [respond(204, *STALE, *lines, "X-Generation: 1"), CLOSE])
        assert client.get(origin.url()).stored
        origin.on("/", *replies)

    return stale


def until_idle(proxy):
    """Until nothing is under way but the question for it."""
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 0, "an idle proxy")


@requirement("RFC 5861 3 MAY", "RFC 5861 3 SHOULD revalidate")
def test_it_answers_at_once_and_validates(client, origin, stale):
    go = threading.Event()
    stale([go, respond(304, *FRESH)])
    answer = client.get(origin.url())
    assert (answer.status, answer.hit, answer["X-Generation"]) == (204, True, "1")
    assert answer.cache_status["detail"] == "revalidating"
    assert -42 <= answer.cache_status["ttl"] <= -40
    assert answer.age >= 100
    origin.wait_heads(2)
    assert origin.heads[1].fields.all("If-None-Match") == ['"a"']
    go.set()
    fresh = until(lambda: (a := client.get(origin.url()))["X-Generation"] == "2" and a, "the new one")
    assert (fresh.hit, fresh.cache_status["ttl"] > 0) == (True, True)
    assert len(origin.heads) == 2


def test_one_validation_however_many_ask(client, connect, origin, stale):
    go = threading.Event()
    stale([go, respond(304, *FRESH)])
    clients = [connect() for _ in range(30)]
    for one in clients:
        one.request("GET", origin.url())
    answers = [one.response() for one in clients]
    assert all(a.hit and a["X-Generation"] == "1" for a in answers)
    origin.wait_heads(2)
    assert client.get(origin.url())["X-Generation"] == "1"
    assert len(origin.heads) == 2
    go.set()


@pytest.mark.parametrize("fields", [["Authorization: Basic QTpC"], ["Range: bytes=0-1"], ["Cookie: a=b"],
                                    ['If-None-Match: "x"'], ["Cache-Control: max-stale"]], ids=" ".join)
def test_nor_whatever_they_ask_with(client, origin, stale, fields):
    """What bars a request from waiting for another does not bar its validation from being the only one."""
    go = threading.Event()
    stale([go, respond(304, *FRESH)], lines=[f"Cache-Control: public, {WINDOW}"])
    for _ in range(3):
        assert client.get(origin.url(), *fields).hit
    origin.wait_heads(2)
    assert client.get(origin.url()).hit
    assert len(origin.heads) == 2
    go.set()
    until(lambda: client.get(origin.url())["X-Generation"] == "2", "the new one")


@requirement("RFC 9111 4.3.1 MUST")
@pytest.mark.parametrize("field", ['If-None-Match: "x"', "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT",
                                   "Range: bytes=0-1", "Cache-Control: max-stale=1000", "Pragma: x"])
def test_the_validation_is_for_the_record_alone(client, origin, stale, field):
    stale(respond(304, *FRESH))
    client.get(origin.url(), field, "X-Other: 1")
    asked = origin.wait_requests(2)[1].fields
    assert asked.all("If-None-Match") == ['"a"']
    assert not [value for name, value in asked if name in ("Range", "Cache-Control", "Pragma",
                                                           "If-Modified-Since")]
    assert asked.get("X-Other") == "1"
    until(lambda: client.get(origin.url())["X-Generation"] == "2", "the new one")


def test_a_head_has_the_record_of_a_get_validated_by_get(client, origin, stale):
    stale(respond(204, *FRESH))
    assert client.head(origin.url()).hit
    assert origin.wait_requests(2)[1].method == "GET"
    until(lambda: client.get(origin.url())["X-Generation"] == "2", "the new one")


def test_fields_of_vary_go_into_the_validation(client, origin):
    origin.on("/", respond(204, *STALE, f"Cache-Control: {WINDOW}", "Vary: X-A"), respond(304, *FRESH))
    client.get(origin.url(), "X-A: one")
    assert client.get(origin.url(), "X-A: one").hit
    assert origin.wait_requests(2)[1].fields.get("X-A") == "one"


@pytest.mark.parametrize("reply", [respond(503), respond(500), [CLOSE], [RESET],
                                   [b"HTTP/1.1 304 Not Mod", CLOSE]],
                         ids=["503", "500", "fin", "rst", "cut"])
def test_validation_that_fails_leaves_the_record(proxy, client, origin, stale, reply):
    stale(reply, respond(204, *FRESH))
    assert client.get(origin.url()).hit
    origin.wait_heads(2)
    until_idle(proxy)
    answer = client.get(origin.url())
    assert (answer.hit, answer["X-Generation"]) == (True, "1")
    until(lambda: client.get(origin.url())["X-Generation"] == "2", "the new one")


def test_304_for_another_record_makes_it_ask_anew(client, origin, stale):
    stale(respond(304, 'ETag: "other"'), respond(204, *FRESH))
    assert client.get(origin.url()).hit
    origin.wait_requests(3)
    assert "If-None-Match" not in origin.last.fields
    until(lambda: client.get(origin.url())["X-Generation"] == "2", "the new one")


@requirement("RFC 9111 4.3.3 MUST")
@pytest.mark.parametrize("status", [200, 301])
def test_validation_with_another_answer_removes_the_record(proxy, client, origin, stale, status):
    stale(respond(status, body=b"x"))
    assert client.get(origin.url()).hit
    origin.wait_heads(2)
    until_idle(proxy)
    answer = client.get(origin.url())
    assert (answer.status, answer.fwd) == (status, "uri-miss")


@pytest.mark.parametrize("status", [400, 403, 404, 410, 412, 429, 500, 503])
def test_validation_with_an_error_changes_nothing(proxy, client, origin, stale, status):
    """It may be the fault of the client whose request made us ask."""
    stale(respond(status, body=b"x"))
    assert client.get(origin.url(), "X-Odd: 1").hit
    origin.wait_heads(2)
    until_idle(proxy)
    assert client.get(origin.url()).hit


@requirement("RFC 9111 4.2.4 MUST NOT", "RFC 9111 5.2.2.2 MUST NOT", "RFC 9111 5.2.2.8 MUST NOT",
             "RFC 9111 5.2.2.10 MUST NOT", "RFC 9111 5.2.2.4 MUST NOT")
@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"])
def test_it_is_forbidden(client, origin, stale, directive):
    stale(respond(304, *FRESH), lines=[f"Cache-Control: {WINDOW}, {directive}"])
    answer = client.get(origin.url())
    assert (answer.status, answer.fwd, answer.cache_status["fwd-status"]) == (204, "stale", 304)
    assert len(origin.requests) == 2


@requirement("RFC 5861 3 SHOULD NOT")
def test_its_window_ends(client, origin, stale):
    stale(respond(304, *FRESH), lines=["Cache-Control: stale-while-revalidate=30"])
    assert client.get(origin.url()).fwd == "stale"


@pytest.mark.parametrize("field", ["Cache-Control: no-cache", "Cache-Control: max-age=0",
                                   "Cache-Control: max-age=600", "Cache-Control: min-fresh=1",
                                   "Pragma: no-cache"])
def test_a_client_that_wants_it_fresh_waits(client, origin, stale, field):
    stale(respond(304, *FRESH))
    answer = client.get(origin.url(), field)
    assert (answer.status, answer.cache_status["fwd-status"], answer["X-Generation"]) == (204, 304, "2")


def test_it_is_counted_and_not_logged_as_a_request(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/", respond(204, *STALE, f"Cache-Control: {WINDOW}"), respond(304, *FRESH))
    with proxy.connect() as client:
        client.get(origin.url())
        client.get(origin.url())
        origin.wait_requests(2)
        until(lambda: client.get(origin.url()).cache_status["ttl"] > 0, "a fresh record")
    stats = proxy.stats()
    assert stats["counters"]["validations_background"] == 1
    assert stats["outcomes"]["background"] == 1
    proxy.stop()
    outcomes = [line.split('"outcome":"')[1].split('"')[0] for line in proxy.log_lines()]
    # Workers write their lines when they have some: that of the statistics may be the first.
    assert [outcome for outcome in outcomes if outcome != "local"][:2] == ["miss", "stale"]
    assert "background" not in outcomes


def test_the_end_does_not_wait_for_a_validation(start_proxy, origin):
    """A background validation under way is given up; nothing of it is left."""
    proxy = start_proxy()
    origin.on("/", respond(204, "Cache-Control: max-age=1, stale-while-revalidate=600", "Age: 5", 'ETag: "1"'), [NEVER])
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 204
        assert client.get(origin.url()).status == 204
        origin.wait_requests(2)
    proxy.stop()
