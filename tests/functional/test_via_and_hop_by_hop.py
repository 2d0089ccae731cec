"""Fields that belong to one connection stop at the proxy; Via tells that it was there."""

import pytest

from support.origin import respond
from support.requirement import requirement

HOP_BY_HOP = [
    "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: trailers", "Trailer: X-T",
    "Upgrade: websocket", "HTTP2-Settings: AAMAAABkAAQAAP__", "Proxy-Authorization: Basic QTpC",
    "Proxy-Authenticate: Basic", "Proxy-Authentication-Info: x",
]


def names(fields):
    return {name.lower() for name, _ in fields}


@pytest.mark.parametrize("line", HOP_BY_HOP, ids=lambda line: line.partition(":")[0])
@requirement("RFC 9110 7.6.1 SHOULD")
def test_hop_by_hop_field_is_dropped_from_the_request(client, origin, line):
    client.get(origin.url(), line, "X-Stays: yes")
    assert line.partition(":")[0].lower() not in names(origin.last.fields)
    assert origin.last.fields.get("X-Stays") == "yes"


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("line", HOP_BY_HOP, ids=lambda line: line.partition(":")[0])
@requirement("RFC 9110 7.6.1 SHOULD")
def test_hop_by_hop_field_is_dropped_from_the_answer(client, origin, line, status):
    origin.on("/", respond(status, "Cache-Control: max-age=60", line, "X-Stays: yes"))
    for _ in range(2):  # the second 204 comes from the store
        answer = client.get(origin.url())
        assert line.partition(":")[0].lower() not in names(answer.fields)
        assert answer["X-Stays"] == "yes"


NOMINATIONS = [
    ["Connection: X-Drop"], ["connection: x-drop, X-DROP2"], ["Connection: a,,X-Drop ,\t x-drop2,"],
    ["Connection: foo", "Connection: x-drop,x-drop2"],
]


@pytest.mark.parametrize("lines", NOMINATIONS, ids=" ".join)
@requirement("RFC 9110 7.6.1 MUST")
def test_nominated_fields_are_dropped_both_ways(client, origin, lines):
    fields = [*lines, "X-Drop: 1", "X-Stays: yes", "X-DROP: 2"]
    origin.on("/", respond(204, "Cache-Control: max-age=60", *fields))
    for _ in range(2):
        answer = client.get(origin.url(), *fields)
        assert "x-drop" not in names(answer.fields)
        assert answer["X-Stays"] == "yes"
    assert len(origin.requests) == 1
    assert "x-drop" not in names(origin.last.fields)
    assert origin.last.fields.get("X-Stays") == "yes"


def test_fields_the_proxy_needs_cannot_be_nominated_away(client, origin):
    answer = client.ask("POST", origin.url(), "Connection: Host, Content-Length, Via, Authorization",
                        "Authorization: Basic QTpC", body=b"12345")
    assert answer.status == 204
    assert origin.last.body == b"12345"
    assert origin.last.fields.get("Host") == origin.authority
    assert "Via" in origin.last.fields and "Authorization" in origin.last.fields


def test_a_nominated_no_store_still_forbids_storing(client, origin):
    origin.on("/", respond(204, "Connection: Cache-Control", "Cache-Control: max-age=60, no-store"))
    client.get(origin.url())
    client.get(origin.url())
    assert len(origin.requests) == 2


def test_a_nominated_authorization_still_forbids_storing(client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60"))
    client.get(origin.url(), "Connection: Authorization", "Authorization: Basic QTpC")
    client.get(origin.url())
    assert len(origin.requests) == 2


@requirement("RFC 9110 7.6.3 MUST")
def test_via_is_added_both_ways(proxy, client, origin):
    answer = client.get(origin.url())
    assert origin.last.fields.get("Via") == f"1.1 {proxy.instance}"
    assert answer["Via"] == "1.1 cache204"


def test_via_is_appended_to_what_is_there(proxy, client, origin):
    origin.on("/", respond(200, "Via: 1.0 first", "Via: 1.1 second"))
    answer = client.get(origin.url(), "Via: 1.0 fred, 1.1 p.example.net")
    assert origin.last.fields.get("Via") == f"1.0 fred, 1.1 p.example.net, 1.1 {proxy.instance}"
    assert answer["Via"] == "1.0 first, 1.1 second, 1.1 cache204"


def test_via_names_the_version_received(proxy, connect, origin):
    client = connect()
    client.request("GET", origin.url(), version="1.0")
    client.response()
    assert origin.last.fields.get("Via") == f"1.0 {proxy.instance}"
    origin.on("/old", [respond(200, version="1.0")])
    assert connect().get(origin.url("/old"))["Via"] == "1.0 cache204"


def test_via_is_on_hits_and_304s_once(client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60", 'ETag: "a"', "Via: 1.1 inner"))
    client.get(origin.url())
    assert client.get(origin.url())["Via"] == "1.1 inner, 1.1 cache204"
    assert client.get(origin.url(), 'If-None-Match: "a"')["Via"] == "1.1 inner, 1.1 cache204"


def test_upgrade_is_not_passed_on(client, origin):
    answer = client.get(origin.url(), "Connection: Upgrade", "Upgrade: websocket")
    assert answer.status == 204
    assert "Upgrade" not in origin.last.fields
    assert "upgrade" not in origin.last.fields.members("Connection")
    assert client.get(origin.url("/next")).status == 204


def test_origins_own_connection_close_does_not_close_the_client(client, origin):
    origin.on("/", respond(204, "Connection: close"))
    assert client.get(origin.url()).status == 204
    assert client.get(origin.url("/next")).status == 204
    assert origin.requests[0].connection is not origin.requests[1].connection


def test_a_quote_hides_no_option_of_connection(client, origin):
    """Options are tokens, so the next reader may not see a quoted string there (HAZARDS H1)."""
    client.get(origin.url(), 'Connection: "x, X-Drop', "X-Drop: 1")
    assert "x-drop" not in names(origin.last.fields)
    assert client.get(origin.url("/close"), 'Connection: "x, close')["Connection"] == "close"
    assert client.end()


@requirement("RFC 9110 7.6.3 MUST")
def test_a_hit_names_the_version_that_the_origin_spoke(client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60", 'ETag: "a"', version="1.0"),
              respond(304, 'ETag: "a"', version="1.1"))
    for fields in ([], [], ['If-None-Match: "a"']):
        assert client.get(origin.url(), *fields)["Via"] == "1.0 cache204"
    for fields in (["Cache-Control: no-cache"], []):  # the message that confirmed it
        assert client.get(origin.url(), *fields)["Via"] == "1.1 cache204"
    assert len(origin.requests) == 2


@requirement("RFC 9110 7.6.3 MUST")
def test_so_does_what_is_answered_for_an_error(client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=1, stale-if-error=600", "Age: 9", version="1.0"), respond(503))
    client.get(origin.url())
    answer = client.get(origin.url())
    assert (answer.status, answer["Via"]) == (204, "1.0 cache204")
