"""What a cache must leave alone: credentials, trailers, conditions and ranges of others, tunnels."""

import pytest

from support.origin import CLOSE, chunked, respond
from support.requirement import requirement

FRESH = "Cache-Control: max-age=60"


@requirement("RFC 9110 11.6.2 MUST NOT")
@pytest.mark.parametrize("value", ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", 'Digest a="b",  c=d', "", "x\ty"])
def test_authorization_goes_on_as_it_came(client, origin, value):
    origin.on("/", respond(204, "Cache-Control: max-age=60, public"))
    client.get(origin.url(), f"Authorization: {value}")
    assert origin.last.fields.all("Authorization") == [value]
    assert client.get(origin.url(), f"Authorization: {value}").hit


@requirement("RFC 9111 3.1 MUST NOT trailers")
def test_trailers_become_no_fields(client, origin):
    origin.on("/", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n\r\n"
              + chunked(b"x", trailer=b"X-Trailer: 1\r\nCache-Control: max-age=60\r\n"))
    for _ in range(2):
        answer = client.get(origin.url())
        assert (answer.status, answer.body) == (200, b"x")
        assert "X-Trailer" not in answer.fields and "Cache-Control" not in answer.fields
    assert len(origin.requests) == 2


@requirement("RFC 9110 13.2.1 MUST", "RFC 9110 13.1.3 MUST")
@pytest.mark.parametrize("condition", ['If-None-Match: "a"', "If-None-Match: *",
                                       "If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "M-SEARCH"])
def test_conditions_of_other_methods_go_to_the_origin(client, origin, method, condition):
    origin.on("/", respond(204, FRESH, 'ETag: "a"'), respond(200, body=b"x"))
    client.get(origin.url())
    answer = client.ask(method, origin.url(), condition)
    assert (answer.status, answer.hit) == (200, False)
    name, _, value = condition.partition(": ")
    assert origin.last.fields.all(name) == [value]


@requirement("RFC 9111 4.3.2 MUST NOT")
@pytest.mark.parametrize("condition", ['If-None-Match: "a"', "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT"])
def test_conditions_on_what_is_not_stored_go_to_the_origin(client, origin, condition):
    origin.on("/", respond(304, 'ETag: "a"'))
    answer = client.get(origin.url(), condition)
    assert (answer.status, answer.fwd, answer["ETag"]) == (304, "uri-miss", '"a"')
    name, _, value = condition.partition(": ")
    assert origin.last.fields.all(name) == [value]


@requirement("RFC 9110 14.2 MUST")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_range_of_a_204_is_nothing(client, origin, method):
    origin.on("/", respond(204, FRESH))
    client.get(origin.url())
    answer = client.ask(method, origin.url(), "Range: bytes=0-1")
    assert (answer.status, answer.hit, "Content-Range" in answer.fields) == (204, True, False)


@requirement("RFC 9110 9.3.6 MUST NOT")
def test_a_tunnel_leaves_nothing(start_proxy, origin):
    proxy = start_proxy(f"connect_ports={origin.port}")
    origin.on("/", respond(204, FRESH))
    for n in (1, 2):
        with proxy.connect() as client:
            client.send(f"CONNECT {origin.authority} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
            status, _ = client.stream.head()
            assert status.startswith(b"HTTP/1.1 200 ")
            client.send(f"GET / HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
            assert client.response().status == 204
        assert len(origin.requests) == n
    assert proxy.stats()["store"]["stored"] == 0


@requirement("RFC 9112 8 MUST", "RFC 9111 3 MUST NOT final")
@pytest.mark.parametrize("steps", [[b"HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\n"],
                                   [b"HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\nX-Cut: of"],
                                   [b"HTTP/1.1 204"]], ids=["lines", "line", "status"])
def test_a_head_that_is_cut_is_not_stored(client, connect, origin, steps):
    origin.on("/", [*steps, CLOSE], respond(204, FRESH))
    assert client.get(origin.url()).status == 502
    assert connect().get(origin.url()).fwd == "uri-miss"
