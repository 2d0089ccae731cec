"""A request in absolute-form becomes one in origin-form for the authority of its target."""

import pytest

from support.origin import respond
from support.requirement import requirement


@pytest.mark.parametrize("target", [
    "/", "/a/b", "/?", "/?a=b&a=b", "//double//", "/%7Ea/%2e%2E/../x", "/a;b=c,d:e@f!$'()*+",
    "/%00%0d%0a", "/UPPER/lower?Q=%C3%A9",
    "/?a=b|c", "/{x}?{y}", "/\"^`<>[]\\", "/\xc3\xa9?\xff", "/a\\b/..\\c",
])
@requirement("RFC 9110 7.7 MUST NOT")
def test_path_and_query_go_upstream_byte_for_byte(client, origin, target):
    assert client.get(origin.url(target)).status == 204
    assert origin.last.target == target


def test_empty_path_becomes_slash(client, origin):
    assert client.get(f"http://{origin.authority}").status == 204
    assert origin.last.target == "/"


def test_empty_path_with_a_query(client, origin):
    assert client.get(f"http://{origin.authority}?q").status == 204
    assert origin.last.target == "/?q"


def test_empty_path_of_options_becomes_star(client, origin):
    client.send(f"OPTIONS http://{origin.authority} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert client.response("OPTIONS").status == 204
    assert origin.last.line == "OPTIONS * HTTP/1.1"


def test_scheme_and_host_in_any_case(client, origin):
    client.send(f"GET HTTP://LocalHost:{origin.port}/x HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert client.response().status == 204
    assert origin.last.fields.get("Host") == f"localhost:{origin.port}"


@requirement("RFC 9112 3.2.2 MUST")
def test_host_is_rewritten_from_the_target(client, origin):
    client.send(f"GET {origin.url('/h')} HTTP/1.1\r\nHost: other.example:81\r\n\r\n".encode())
    assert client.response().status == 204
    assert origin.last.fields.all("Host") == [origin.authority]


@requirement("RFC 9112 2.3 MUST")
def test_request_is_sent_as_http_1_1(client, origin):
    client.send(f"GET {origin.url('/v')} HTTP/1.2\r\nHost: {origin.authority}\r\n\r\n".encode())
    assert client.response().version == "1.1"
    assert origin.last.version == "1.1"


@pytest.mark.parametrize("method", [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "REPORT", "QUERY", "FOO",
    "M-SEARCH", "get", "X!#$%&'*+-.^_`|~0", "A" * 32,
])
def test_any_method_is_passed_on(client, origin, method):
    origin.on("/m", respond(200, "X-From: origin", body=b"" if method == "HEAD" else b"body"))
    answer = client.ask(method, origin.url("/m"))
    assert (answer.status, answer["X-From"]) == (200, "origin")
    assert origin.last.method == method


def test_trace_shows_nothing_of_the_way(client, origin):
    """Refused, for the answer would show fields between proxy and origin."""
    assert client.ask("TRACE", origin.url(), "Cookie: secret").status == 405
    assert not origin.connections


@requirement("RFC 9110 7.6.2 MUST")
def test_max_forwards_ends_options_here(client, origin):
    answer = client.ask("OPTIONS", origin.url("/x"), "Max-Forwards: 0")
    assert answer.status in (200, 204) and "GET" in answer["Allow"]
    assert not origin.connections
    client.ask("OPTIONS", origin.url("/x"), "Max-Forwards: 7")
    assert origin.last.fields.get("Max-Forwards") == "6"


@requirement("RFC 9110 5.3 MUST NOT")
def test_end_to_end_fields_pass_in_order_both_ways(client, origin):
    fields = ["X-A: 1", "x-b: two  words", "X-A: 2", "X-Empty:", "Cookie: a=b; c=d",
              "X-High: \xe9\xff", "Accept: */*"]
    origin.on("/f", respond(200, *fields))
    answer = client.get(origin.url("/f"), *fields)
    expected = [tuple(line.partition(":")[::2]) for line in fields]
    expected = [(name, value.strip()) for name, value in expected]
    for received in (origin.last.fields, answer.fields):
        assert [pair for pair in received if pair in expected] == expected


def test_every_status_passes(client, origin):
    for status in (200, 201, 202, 203, 205, 300, 301, 302, 307, 400, 401, 403, 404, 410, 418, 451,
                   500, 501, 503, 599):
        origin.on(f"/{status}", respond(status))
        assert client.get(origin.url(f"/{status}")).status == status


def test_the_whitespace_around_a_value_is_no_part_of_it(client, origin):
    client.send(f"GET {origin.url()} HTTP/1.1\r\nHost:{origin.authority}\r\nX: \t a b \t \r\n\r\n"
                .encode())
    assert client.response().status == 204
    assert origin.last.fields.all("X") == ["a b"]


@pytest.mark.parametrize("target", ["/?a=b|c", "/\xc3\xa9", "/\"<>\\^`{|}"])
def test_raw_bytes_are_a_key_as_they_are(proxy, client, origin, target):
    """Clients send more than RFC 3986 has: forwarded, kept, purged and logged byte for byte."""
    origin.on(target, respond(204, "Cache-Control: max-age=60"))
    assert client.get(origin.url(target)).stored
    assert client.get(origin.url(target)).hit
    assert len(origin.requests) == 1
    purged = proxy.admin(f"/purge?uri={origin.url(target)}", "POST", "Content-Length: 0")
    assert (purged.status, purged.body) == (200, b'{"purged": 1}\n')
    assert not client.get(origin.url(target)).hit


@pytest.mark.parametrize("line, word", [
    ("GET http://u:secret@a.test/ HTTP/1.1", "user"), ("GET http://a.test/#x HTTP/1.1", "fragment"),
    ("CONNECT a.test HTTP/1.1", "port")])
def test_what_is_wrong_with_a_target_is_said(client, line, word):
    client.send(f"{line}\r\nHost: a.test\r\n\r\n".encode())
    answer = client.response()
    assert answer.status == 400 and word in answer.body.decode() and "secret" not in answer.body.decode()


def test_an_empty_host_beside_an_absolute_target_is_not_heeded(client, origin):
    client.send(f"GET {origin.url('/h')} HTTP/1.1\r\nHost:\r\n\r\n".encode())
    assert client.response().status == 204
    assert origin.last.fields.all("Host") == [origin.authority]
