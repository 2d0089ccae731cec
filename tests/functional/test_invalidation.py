"""Successful unsafe requests remove what they may have changed (RFC 9111 4.4)."""

import pytest

from support.origin import CLOSE, respond

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
