"""Successful unsafe requests remove what they may have changed (RFC 9111 4.4)."""

import threading

import pytest

from support.origin import CLOSE, respond
from support.until import until

FRESH = "Cache-Control: max-age=60"
UNSAFE = ["PUT", "POST", "DELETE", "PATCH", "FOO", "M-SEARCH", "PURGE", "get"]


@pytest.fixture
def stored(client, origin):
    """Records of three paths; the origin answers unsafe requests to /do as a test says."""
    origin.default = respond(204, FRESH)
    for path in ("/", "/do", "/other"):
        assert client.get(origin.url(path)).stored


def is_hit(client, origin, path):
    return client.get(origin.url(path)).hit


@pytest.mark.parametrize("status", [200, 201, 204, 303])
@pytest.mark.parametrize("method", UNSAFE)
def test_success_invalidates(client, origin, stored, method, status):
    origin.on("/do", respond(status), respond(204, FRESH))
    assert client.ask(method, origin.url("/do"), body=b"x").status == status
    assert not is_hit(client, origin, "/do")
    assert is_hit(client, origin, "/other")


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "GET", "PROPFIND", "REPORT", "SEARCH", "QUERY"])
def test_safe_method_does_not(client, origin, stored, method):
    client.ask(method, origin.url("/do"))
    assert is_hit(client, origin, "/do")


@pytest.mark.parametrize("status", [400, 404, 409, 500, 503])
@pytest.mark.parametrize("method", ["PUT", "FOO"])
def test_error_does_not(client, origin, stored, method, status):
    origin.on("/do", respond(status), respond(204, FRESH))
    assert client.ask(method, origin.url("/do"), body=b"x").status == status
    assert is_hit(client, origin, "/do")


def test_failed_request_does_not_and_is_not_answered_from_the_store(client, connect, origin, stored):
    origin.on("/do", [CLOSE])
    assert client.ask("POST", origin.url("/do"), body=b"x").status == 502
    assert is_hit(connect(), origin, "/do")


@pytest.mark.parametrize("field", ["Location", "Content-Location"])
@pytest.mark.parametrize("form", ["absolute", "path", "relative", "network"])
def test_location_of_the_same_origin_goes_too(client, origin, stored, field, form):
    reference = {"absolute": origin.url("/other"), "path": "/other", "relative": "other",
                 "network": f"//{origin.authority}/other"}[form]
    origin.on("/do", respond(201, f"{field}: {reference}"))
    client.ask("POST", origin.url("/do"), body=b"x")
    assert not is_hit(client, origin, "/other")
    assert is_hit(client, origin, "/")


@pytest.mark.parametrize("field", ["Location", "Content-Location"])
def test_location_of_another_origin_does_not(client, origin, start_origin, field):
    other = start_origin()
    other.default = respond(204, FRESH)
    client.get(other.url("/x"))
    origin.on("/do", respond(201, f"{field}: {other.url('/x')}"))
    client.ask("POST", origin.url("/do"), body=b"x")
    assert client.get(other.url("/x")).hit


def test_location_of_an_error_does_not(client, origin, stored):
    origin.on("/do", respond(500, "Location: /other"))
    client.ask("POST", origin.url("/do"), body=b"x")
    assert is_hit(client, origin, "/other")


def test_unsafe_request_is_never_a_hit(client, origin, stored):
    for method in UNSAFE:
        answer = client.ask(method, origin.url("/"), body=b"x")
        assert not answer.hit
    assert len(origin.requests) == 3 + len(UNSAFE)


def test_query_is_part_of_the_uri(client, origin, stored):
    client.get(origin.url("/do?a"))
    client.ask("DELETE", origin.url("/do?a"))
    assert is_hit(client, origin, "/do")
    assert not is_hit(client, origin, "/do?a")


def begin_get(connect, origin, path):
    """A GET that the origin has got when this returns."""
    client, asked = connect(), len(origin.requests) + 1
    client.send(f"GET {origin.url(path)} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
    origin.wait_requests(asked)
    return client


def test_answer_to_an_earlier_question_is_not_stored(client, connect, origin):
    """The origin may have made it before the unsafe request changed what it says."""
    go = threading.Event()
    origin.on("/do", [go, respond(204, FRESH, "X-Old: yes")], respond(204), respond(204, FRESH))
    early = begin_get(connect, origin, "/do")
    client.ask("POST", origin.url("/do"), body=b"x")
    go.set()
    answer = early.response()
    assert (answer["X-Old"], answer.stored) == ("yes", False)
    answer = client.get(origin.url("/do"))
    assert (answer.hit, answer["X-Old"]) == (False, None)
    assert is_hit(client, origin, "/do")


def test_one_who_comes_later_is_not_answered_with_it(proxy, client, connect, origin):
    """A GET that waits for one that was sent before the invalidation."""
    go = threading.Event()
    origin.on("/do", [go, respond(204, FRESH, "X-Old: yes")], respond(204), respond(204, FRESH))
    early = begin_get(connect, origin, "/do")
    client.ask("POST", origin.url("/do"), body=b"x")
    late = connect()
    late.send(f"GET {origin.url('/do')} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
    until(lambda: late.readable(0.01) or proxy.stats()["gauges"]["exchanges"] >= 2,
          "neither waits nor has an answer of another worker")
    go.set()
    assert early.response()["X-Old"] == "yes"
    assert late.response()["X-Old"] is None


@pytest.mark.parametrize("reply", [respond(503, body=b"x"), respond(304, 'ETag: "a"')], ids=["error", "304"])
def test_record_that_is_being_validated_is_gone_too(client, connect, origin, reply):
    """Neither an error nor a confirmation that was asked for before brings it back."""
    go = threading.Event()
    stale = ["Cache-Control: max-age=60, stale-if-error=600", "Age: 100", 'ETag: "a"', "X-Old: yes"]
    origin.on("/do", respond(204, *stale), [go, reply], respond(204), respond(204, FRESH))
    client.get(origin.url("/do"))
    early = begin_get(connect, origin, "/do")
    client.ask("POST", origin.url("/do"), body=b"x")
    go.set()
    assert early.response()["X-Old"] is None
    assert client.get(origin.url("/do"))["X-Old"] is None
