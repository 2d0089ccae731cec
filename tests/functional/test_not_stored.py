"""204s that must not be stored, or not be reused without asking."""

import pytest

from support.origin import http_date, respond

FRESH = "Cache-Control: max-age=60"

FORBIDDEN = [
    ["Cache-Control: no-store"], ["Cache-Control: max-age=60, no-store"],
    [FRESH, "Cache-Control: No-Store"], ["Cache-Control: private, max-age=60"],
    ["Cache-Control: max-age=60, private, public"], [FRESH, "Vary: *"],
    [FRESH, "Vary: Accept", "Vary: X, *"], [], ["Cache-Control: max-age=60, no-store=1"],
    ["Cache-Control: foo, max-age=60,,no-store"], ["Cache-Control: private=, max-age=60"],
    ['Cache-Control: max-age=60, ext="broken'],
]


@pytest.mark.parametrize("lines", FORBIDDEN, ids=lambda lines: " ".join(lines) or "no freshness")
def test_response_that_forbids_it(client, origin, lines):
    origin.default = respond(204, *lines)
    for _ in range(2):
        answer = client.get(origin.url())
        assert answer.status == 204
        assert answer.fwd == "uri-miss"
        assert not answer.stored
    assert len(origin.requests) == 2


ALREADY_STALE = [
    ["Cache-Control: max-age=0"], ["Cache-Control: max-age=-1"], ["Cache-Control: max-age=1.5"],
    ["Cache-Control: max-age='60'"], ["Cache-Control: max-age=abc"], ["Cache-Control: max-age"],
    ["Expires: 0"], ["Expires: Fri, 01 Jan 2100 00:00:00 EST"], ["Expires: Sun, 06 Nov 1994 08:49:37 GMT"],
    [FRESH, "Age: 61"], [FRESH, "Age: 99999999999"], ["Expires: Fri, 01 Jan 2100 00:00:00 GMT", "Expires: Fri, 01 Jan 2100 00:00:00 GMT"],
    ["Cache-Control: max-age=60, s-maxage=0"], ["Cache-Control: max-age=0", FRESH],
    [FRESH, "Cache-Control: max-age=0"],
]


@pytest.mark.parametrize("lines", ALREADY_STALE, ids=" ".join)
def test_response_that_is_stale_at_once(client, origin, lines):
    origin.default = respond(204, *lines)
    for _ in range(2):
        assert not client.get(origin.url()).hit
    assert len(origin.requests) == 2


def test_date_long_ago_makes_it_stale(client, origin):
    origin.default = respond(204, FRESH, date=-3600)
    for _ in range(2):
        assert not client.get(origin.url()).hit


def test_request_no_store(client, origin):
    origin.default = respond(204, FRESH)
    assert not client.get(origin.url(), "Cache-Control: no-store").stored
    assert not client.get(origin.url()).hit
    assert not client.get(origin.url(), "Cache-Control: no-store").hit


def test_authorization(client, origin):
    origin.default = respond(204, FRESH)
    for _ in range(2):
        assert not client.get(origin.url(), "Authorization: Basic QTpC").stored
    assert not client.get(origin.url()).hit


@pytest.mark.parametrize("directive", ["public", "s-maxage=60", "must-revalidate"])
def test_authorization_with_leave(client, origin, directive):
    origin.default = respond(204, f"Cache-Control: max-age=60, {directive}")
    assert client.get(origin.url(), "Authorization: Basic QTpC").stored
    assert client.get(origin.url()).hit


def test_authorized_request_may_use_what_an_open_one_stored(client, origin):
    origin.default = respond(204, FRESH)
    client.get(origin.url())
    assert client.get(origin.url(), "Authorization: Basic QTpC").hit


def test_must_understand_overrides_no_store(client, origin):
    origin.default = respond(204, "Cache-Control: max-age=60, no-store, must-understand")
    assert client.get(origin.url()).stored
    assert client.get(origin.url()).hit


def test_qualified_private_drops_its_field_only(client, origin):
    origin.default = respond(204, 'Cache-Control: max-age=60, private="X-Secret"', "X-Secret: 1", "X-Open: 2")
    assert client.get(origin.url())["X-Secret"] == "1"
    hit = client.get(origin.url())
    assert hit.hit and hit["X-Open"] == "2"
    assert "X-Secret" not in hit.fields


def test_set_cookie_without_explicit_freshness(client, origin):
    origin.default = respond(204, f"Last-Modified: {http_date(-864000)}", "Set-Cookie: a=b")
    client.get(origin.url())
    assert not client.get(origin.url()).hit


def test_set_cookie_can_be_refused(start_proxy, origin):
    origin.default = respond(204, FRESH, "Set-Cookie: a=b")
    client = start_proxy("store_set_cookie=off").connect()
    assert not client.get(origin.url()).stored
    assert not client.get(origin.url()).hit


@pytest.mark.parametrize("fields", [["Range: bytes=0-1"]], ids=" ".join)
def test_answer_to_a_range_request(client, origin, fields):
    origin.default = respond(204, FRESH)
    assert not client.get(origin.url(), *fields).stored
    assert client.get(origin.url()).fwd == "uri-miss"


def test_answer_to_a_get_with_a_body(client, origin):
    origin.default = respond(204, FRESH)
    assert not client.ask("GET", origin.url(), body=b"query").stored
    assert client.get(origin.url()).fwd == "uri-miss"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "POST", "FOO", "get"])
def test_answer_to_another_method(client, origin, method):
    origin.default = respond(204, FRESH)
    answer = client.ask(method, origin.url())
    assert answer.fwd == "method"
    assert not answer.stored
    assert client.get(origin.url()).fwd == "uri-miss"


def test_post_with_content_location_of_the_target(client, origin):
    origin.default = respond(204, FRESH, f"Content-Location: {origin.url('/p')}")
    assert client.ask("POST", origin.url("/p"), body=b"x").stored
    assert client.get(origin.url("/p")).hit
    assert client.head(origin.url("/p")).hit
    assert client.ask("POST", origin.url("/p"), body=b"x").fwd == "method"
    assert origin.lines == ["POST /p HTTP/1.1"] * 2


@pytest.mark.parametrize("lines", [
    [FRESH, "Content-Location: /other"], ["Content-Location: /p", 'ETag: "a"'], [FRESH]], ids=" ".join)
def test_post_without_leave(client, origin, lines):
    origin.default = respond(204, *lines)
    assert not client.ask("POST", origin.url("/p"), body=b"x").stored
    assert client.get(origin.url("/p")).fwd == "uri-miss"


def test_stored_for_validation_only(client, origin):
    origin.default = respond(204, 'ETag: "a"')
    assert client.get(origin.url()).stored
    answer = client.get(origin.url())
    assert answer.fwd == "stale"
    assert origin.last.fields.get("If-None-Match") == '"a"'
