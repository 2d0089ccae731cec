"""Stale records are validated with the origin; what it says decides."""

import threading
import time

import pytest

from support.origin import CLOSE, RESET, http_date, respond
from support.requirement import requirement

STALE = ["Cache-Control: max-age=60", "Age: 100", 'ETag: "a"']  # stale on arrival
FRESH = ["Cache-Control: max-age=60", 'ETag: "a"']


@pytest.fixture
def stale(client, origin):
    """A stale record of "/"; returns a function to say what the origin answers next."""
    origin.on("/", respond(204, *STALE, "X-Generation: 1"))
    assert client.get(origin.url()).stored
    return lambda *replies: origin.on("/", *replies)


def test_304_confirms_the_record(client, origin, stale):
    stale(respond(304, *FRESH))
    answer = client.get(origin.url())
    assert answer.status == 204
    assert (answer.fwd, answer.cache_status["fwd-status"]) == ("stale", 304)
    assert answer["X-Generation"] == "1"
    assert origin.last.fields.all("If-None-Match") == ['"a"']
    hit = client.get(origin.url())
    assert hit.hit
    assert hit["X-Generation"] == "1"
    assert hit.age < 5
    assert len(origin.requests) == 2


def test_304_replaces_the_fields_it_has(client, origin, stale):
    stale(respond(304, *FRESH, "X-Generation: 2", "X-New: yes", "Content-Length: 5"))
    for answer in (client.get(origin.url()), client.get(origin.url())):
        assert answer.fields.all("X-Generation") == ["2"]
        assert answer["X-New"] == "yes"
        assert "Content-Length" not in answer.fields


def test_last_modified_is_used_too(client, origin):
    date = http_date(-86400)
    origin.on("/", respond(204, "Cache-Control: max-age=0", f"Last-Modified: {date}"), respond(304))
    client.get(origin.url())
    assert client.get(origin.url()).status == 204
    assert origin.last.fields.all("If-Modified-Since") == [date]
    assert "If-None-Match" not in origin.last.fields


def test_204_replaces_the_record(client, origin, stale):
    stale(respond(204, "Cache-Control: max-age=60", 'ETag: "b"', "X-Generation: 2"))
    answer = client.get(origin.url())
    assert (answer.fwd, answer.cache_status["fwd-status"], answer.stored) == ("stale", 204, True)
    hit = client.get(origin.url())
    assert (hit.hit, hit["X-Generation"], hit["ETag"]) == (True, "2", '"b"')


def test_204_that_is_not_storable_removes_it(client, origin, stale):
    stale(respond(204, "Cache-Control: no-store"))
    client.get(origin.url())
    assert client.get(origin.url()).fwd == "uri-miss"
    assert "If-None-Match" not in origin.last.fields


@pytest.mark.parametrize("status", [200, 404, 410, 301])
@requirement("RFC 9111 4.3.3 MUST")
def test_another_answer_is_passed_on_and_removes_it(client, origin, stale, status):
    stale(respond(status, body=b"moved on"))
    answer = client.get(origin.url())
    assert (answer.status, answer.body) == (status, b"moved on")
    assert client.get(origin.url()).fwd == "uri-miss"


def test_clients_condition_gets_304_when_it_matches(client, origin, stale):
    stale(respond(304, *FRESH))
    answer = client.get(origin.url(), 'If-None-Match: "a"')
    assert (answer.status, answer.fwd) == (304, "stale")
    assert client.get(origin.url()).hit


@requirement("RFC 9110 15.4.5 SHOULD")
def test_clients_own_tags_are_asked_too(client, origin, stale):
    stale(respond(304, 'ETag: "mine"', "Cache-Control: max-age=60"))
    answer = client.get(origin.url(), 'If-None-Match: "mine"')
    assert answer.status == 304
    assert answer["ETag"] == '"mine"'
    asked = origin.last.fields.get("If-None-Match")
    assert '"a"' in asked and '"mine"' in asked
    assert client.get(origin.url()).fwd == "stale"  # the record is left alone


@requirement("RFC 9111 4.3.2 MUST union")
def test_304_for_the_record_answers_a_client_with_other_tags(client, origin, stale):
    stale(respond(304, *FRESH))
    assert client.get(origin.url(), 'If-None-Match: "mine"').status == 204


def test_without_a_validator_the_whole_is_fetched(client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60"))
    client.get(origin.url())
    assert client.get(origin.url(), "Cache-Control: no-cache").fwd == "request"
    assert "If-None-Match" not in origin.last.fields
    assert "If-Modified-Since" not in origin.last.fields


@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["fin", "rst"])
def test_validation_that_breaks_off_is_an_error(client, connect, origin, stale, end):
    stale([b"HTTP/1.1 304 Not Mod", end])
    assert client.get(origin.url()).status == 502
    stale(respond(304, *FRESH))
    assert connect().get(origin.url()).fwd == "stale"  # the record is still there


def test_refused_validation_is_an_error(client, origin, stale):
    origin.refuse()
    assert client.get(origin.url()).status == 502


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_error_is_passed_on(client, origin, stale, status):
    stale(respond(status, body=b"sorry"))
    assert client.get(origin.url()).status == status


def test_stale_if_error(client, origin):
    origin.on("/", respond(204, *STALE, "Cache-Control: stale-if-error=600"), respond(503), [CLOSE])
    client.get(origin.url())
    for _ in range(2):
        answer = client.get(origin.url())
        assert (answer.status, answer.age >= 100) == (204, True)
    origin.refuse()
    assert client.get(origin.url()).status == 204


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "s-maxage=1", "no-cache"])
def test_stale_if_error_is_forbidden(client, origin, directive):
    origin.on("/", respond(204, *STALE, f"Cache-Control: stale-if-error=600, {directive}"), respond(503))
    client.get(origin.url())
    assert client.get(origin.url()).status in (503, 504)


def test_response_no_cache_is_validated_each_time(client, origin):
    origin.on("/", respond(204, "Cache-Control: no-cache, max-age=60", 'ETag: "a"'), respond(304, 'ETag: "a"'))
    client.get(origin.url())
    for n in (2, 3):
        assert client.get(origin.url()).status == 204
        assert origin.last.fields.get("If-None-Match") == '"a"'
        assert len(origin.requests) == n


def test_stale_while_revalidate(client, origin):
    go = threading.Event()
    origin.on("/", respond(204, *STALE, "Cache-Control: stale-while-revalidate=600"),
              [go, respond(304, *FRESH)])
    client.get(origin.url())
    for _ in range(3):
        answer = client.get(origin.url())
        assert (answer.status, answer.hit, answer.cache_status["ttl"] < 0) == (204, True, True)
    origin.wait_requests(2)
    go.set()
    deadline = time.monotonic() + 5
    while client.get(origin.url()).cache_status["ttl"] < 0:
        assert time.monotonic() < deadline
    assert len(origin.requests) == 2  # one validation for all of them
    assert origin.last.fields.get("If-None-Match") == '"a"'


def test_freshness_ends(client, origin):
    """The one test that waits for a clock, whose seconds may end at any moment: two of them."""
    origin.on("/", respond(204, "Cache-Control: max-age=2", 'ETag: "a"'))
    client.get(origin.url())
    assert client.get(origin.url()).hit
    deadline = time.monotonic() + 5
    while (answer := client.get(origin.url())).hit:
        assert answer.age < 2
        assert time.monotonic() < deadline
    assert answer.fwd == "stale"
