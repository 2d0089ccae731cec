"""Clients that speak HTTP/1.0."""

from support.origin import CLOSE, chunked, respond
from support.requirement import requirement

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_connection_closes_after_the_answer(client, origin):
    client.request("GET", origin.url(), version="1.0")
    assert client.response().status == 204
    assert client.end() == "fin"


def test_keep_alive_is_not_for_a_proxy_to_promise(client, origin):
    """RFC 9112 9.3: between an HTTP/1.0 client and a proxy no connection persists."""
    client.request("GET", origin.url(), "Connection: keep-alive", version="1.0")
    answer = client.response()
    assert answer.status == 204
    assert "keep-alive" not in answer.fields.members("Connection")
    assert client.end() == "fin"


def test_chunked_answer_is_decoded(client, origin):
    origin.on("/", [CHUNKED, chunked(b"hello ", b"world")])
    client.request("GET", origin.url(), version="1.0")
    answer = client.response()
    assert "Transfer-Encoding" not in answer.fields
    assert answer.body == b"hello world"


def test_chunked_answer_closes_even_with_keep_alive(client, origin):
    origin.on("/", [CHUNKED, chunked(b"hello")])
    client.request("GET", origin.url(), "Connection: keep-alive", version="1.0")
    answer = client.response()
    assert (answer.framing, answer.body) == ("close", b"hello")


def test_chunked_answer_cut_short_is_reset(client, origin):
    """Without framing a reset is the only way to tell that the body is not whole."""
    origin.on("/", [CHUNKED, b"5\r\nhello\r\n", CLOSE])
    client.request("GET", origin.url(), version="1.0")
    answer = client.response()
    assert not answer.complete


@requirement("RFC 9110 15.2 MUST NOT")
def test_no_interim_responses(client, origin):
    origin.on("/", respond(103, "Link: </x>") + respond(200, body=b"hi"))
    client.request("GET", origin.url(), version="1.0")
    answer = client.message()
    assert (answer.status, answer.body) == (200, b"hi")


def test_expect_is_ignored(client, origin):
    client.request("POST", origin.url(), "Expect: 100-continue", body=b"hello", version="1.0")
    answer = client.message()
    assert answer.status == 204
    assert origin.last.body == b"hello"
    assert "Expect" not in origin.last.fields


def test_host_may_be_absent(client, origin):
    client.send(f"GET {origin.url('/x')} HTTP/1.0\r\n\r\n".encode())
    assert client.response().status == 204
    assert origin.last.fields.all("Host") == [origin.authority]


def test_bytes_after_the_request_are_not_another(client, origin):
    one = f"GET {origin.url('/one')} HTTP/1.0\r\nHost: {origin.authority}\r\n\r\n".encode()
    client.send(one + one.replace(b"/one", b"/two"))
    assert client.response().status == 204
    client.end()
    assert origin.lines == ["GET /one HTTP/1.1"]
