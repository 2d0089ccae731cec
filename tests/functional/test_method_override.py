"""Fields by which some origins take another method or target than the request has (HAZARDS C10)."""

import pytest

from support.origin import CLOSE, respond

FRESH = "Cache-Control: max-age=600, stale-if-error=600"
METHODS = ["X-HTTP-Method-Override", "X-HTTP-Method", "x-method-override"]
TARGETS = ["X-Original-URL", "X-Rewrite-URL"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("field", METHODS + TARGETS)
def test_what_they_bring_is_not_stored(client, connect, origin, field, method):
    origin.on("/", respond(204, FRESH, "X-Done: DELETE"), respond(204, FRESH, "X-Done: GET"))
    answer = client.ask(method, origin.url(), f"{field}: DELETE")
    assert (answer.fwd, answer.stored, answer.cache_status["detail"]) == ("bypass", False, "override")
    assert origin.last.fields.get(field) == "DELETE"
    assert connect().get(origin.url())["X-Done"] == "GET"


@pytest.mark.parametrize("field", METHODS)
def test_another_method_is_not_answered_from_the_store_and_invalidates(client, origin, field):
    origin.on("/", respond(204, FRESH), respond(204, FRESH, "X-Done: DELETE"), respond(204, FRESH))
    client.get(origin.url())
    assert client.get(origin.url(), f"{field}: DELETE")["X-Done"] == "DELETE"
    assert client.get(origin.url()).fwd == "uri-miss"


@pytest.mark.parametrize("field", TARGETS)
def test_another_target_is_not_answered_from_the_store_and_leaves_it(client, origin, field):
    origin.on("/", respond(204, FRESH), respond(404))
    client.get(origin.url())
    assert client.get(origin.url(), f"{field}: /admin").status == 404
    assert client.get(origin.url()).hit


@pytest.mark.parametrize("field", METHODS + TARGETS)
def test_an_error_leaves_what_is_stored_and_is_not_hidden_by_it(client, connect, origin, field):
    origin.on("/", respond(204, FRESH), [CLOSE])
    client.get(origin.url())
    assert connect().get(origin.url(), f"{field}: x").status == 502
    assert client.get(origin.url()).hit


def test_no_client_waits_for_them(connect, origin):
    origin.on("/", [b"HTTP/1.1 204 No"], respond(204, FRESH))
    one, two = connect(), connect()
    one.request("GET", origin.url(), "X-HTTP-Method-Override: DELETE")
    origin.wait_heads(1)
    assert two.get(origin.url()).stored


def test_one_that_connection_nominates_is_ignored(client, origin):
    origin.on("/", respond(204, FRESH))
    client.get(origin.url(), "Connection: X-HTTP-Method-Override", "X-HTTP-Method-Override: DELETE")
    assert "X-HTTP-Method-Override" not in origin.last.fields
    assert client.get(origin.url()).hit
