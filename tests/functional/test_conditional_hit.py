"""A client's condition on a fresh record: answered 304 or 204 without the origin."""

import pytest

from support.origin import http_date, respond
from support.requirement import requirement

FRESH = "Cache-Control: max-age=60"
MODIFIED = http_date(-86400)
KEPT_IN_304 = ["Cache-Control: max-age=60", 'ETag: "a"', "Content-Location: /c", "Vary: Accept",
               "Expires: Fri, 01 Jan 2100 00:00:00 GMT"]


@pytest.fixture
def stored(client, origin):
    """A stored record with both validators."""
    origin.default = respond(204, FRESH, 'ETag: "a"', f"Last-Modified: {MODIFIED}")
    assert client.get(origin.url()).stored
    yield
    assert len(origin.requests) == 1  # no test here contacts the origin again


MATCHING = ['"a"', '"b", "a"', '"b","a","c"', 'W/"a"', "*", ' , "x" ,, W/"a"', '"b" , W/"a" , "c"']
OTHERS = ['"b"', '"A"', 'W/"b"', '"a', "a", '""', '"b", "c"', '"x, \\"a\\""']


@pytest.mark.parametrize("tags", MATCHING)
def test_if_none_match_that_matches(client, origin, stored, tags):
    answer = client.get(origin.url(), f"If-None-Match: {tags}")
    assert (answer.status, answer.hit) == (304, True)


@pytest.mark.parametrize("tags", OTHERS)
def test_if_none_match_that_does_not(client, origin, stored, tags):
    answer = client.get(origin.url(), f"If-None-Match: {tags}")
    assert (answer.status, answer.hit) == (204, True)


def test_if_none_match_on_two_lines(client, origin, stored):
    assert client.get(origin.url(), 'If-None-Match: "x"', 'If-None-Match: "a"').status == 304


def test_weak_record_matches_both(client, origin):
    origin.default = respond(204, FRESH, 'ETag: W/"a"')
    client.get(origin.url())
    for tag in ('"a"', 'W/"a"'):
        assert client.get(origin.url(), f"If-None-Match: {tag}").status == 304
    assert len(origin.requests) == 1


def test_head_too(client, origin, stored):
    assert client.head(origin.url(), 'If-None-Match: "a"').status == 304


DATES = {"same": (MODIFIED, 304), "later": (http_date(-3600), 304), "earlier": (http_date(-90000), 204)}


@pytest.mark.parametrize("name", DATES)
def test_if_modified_since(client, origin, stored, name):
    date, status = DATES[name]
    answer = client.get(origin.url(), f"If-Modified-Since: {date}")
    assert (answer.status, answer.hit) == (status, True)


@pytest.mark.parametrize("date", ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])
def test_if_modified_since_in_old_forms(client, origin, date):
    origin.default = respond(204, FRESH, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")
    client.get(origin.url())
    assert client.get(origin.url(), f"If-Modified-Since: {date}").status == 304


@pytest.mark.parametrize("date", ["rubbish", "0", "Sun, 06 Nov 1994 08:49:37 EST", ""])
def test_if_modified_since_that_is_no_date(client, origin, stored, date):
    assert client.get(origin.url(), f"If-Modified-Since: {date}").status == 204


@requirement("RFC 9110 13.2.2 MUST")
def test_if_none_match_makes_if_modified_since_void(client, origin, stored):
    answer = client.get(origin.url(), 'If-None-Match: "b"', f"If-Modified-Since: {http_date()}")
    assert answer.status == 204
    answer = client.get(origin.url(), 'If-None-Match: "a"', f"If-Modified-Since: {http_date(-864000)}")
    assert answer.status == 304


def test_without_last_modified_date_counts(client, origin):
    date = http_date(-30)
    origin.default = respond(204, FRESH, f"Date: {date}", date=False)
    client.get(origin.url())
    assert client.get(origin.url(), f"If-Modified-Since: {date}").status == 304
    assert client.get(origin.url(), f"If-Modified-Since: {http_date(-40)}").status == 204


@requirement("RFC 9110 15.4.5 MUST")
def test_304_carries_the_fields_of_the_record(client, origin):
    origin.default = respond(204, *KEPT_IN_304, "X-Other: 1", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")
    date = client.get(origin.url())["Date"]
    answer = client.get(origin.url(), 'If-None-Match: "a"')
    assert answer.status == 304
    for line in KEPT_IN_304:
        name, value = line.split(": ", 1)
        assert answer.fields.all(name) == [value]
    assert answer["Date"] == date
    assert "Age" in answer.fields and "Via" in answer.fields and "Cache-Status" in answer.fields
    assert "Content-Length" not in answer.fields


def test_unconditional_request_never_gets_304(client, origin, stored):
    client.get(origin.url(), 'If-None-Match: "a"')
    assert client.get(origin.url()).status == 204


def test_conditional_hit_option(start_proxy, origin):
    origin.default = respond(204, FRESH, 'ETag: "a"')
    client = start_proxy("conditional_hit=204").connect()
    client.get(origin.url())
    answer = client.get(origin.url(), 'If-None-Match: "a"')
    assert (answer.status, answer.hit) == (204, True)


@pytest.mark.parametrize("line", ['If-Match: "a"', "If-Unmodified-Since: Fri, 01 Jan 2100 00:00:00 GMT", 'If-Range: "a"'])
def test_conditions_that_are_the_origins_to_judge(client, origin, line):
    origin.default = respond(204, FRESH, 'ETag: "a"')
    client.get(origin.url())
    assert not client.get(origin.url(), line).hit
    assert len(origin.requests) == 2
    assert origin.last.fields.get(line.partition(":")[0])


def test_condition_on_a_miss_goes_to_the_origin(client, origin):
    origin.default = respond(304, 'ETag: "mine"')
    answer = client.get(origin.url(), 'If-None-Match: "mine"')
    assert (answer.status, answer.stored) == (304, False)
    assert origin.last.fields.get("If-None-Match") == '"mine"'
    origin.default = respond(204, FRESH)
    assert client.get(origin.url()).fwd == "uri-miss"
