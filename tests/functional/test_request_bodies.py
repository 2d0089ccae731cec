"""Bodies of requests reach the origin whole, whatever their framing and size."""

import os

import pytest

from support.origin import chunked, respond
from support.rawclient import request_bytes

MIB = 1024 * 1024


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "FOO", "GET", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_body_of_any_method(client, origin, method, framing):
    if framing == "length":
        answer = client.ask(method, origin.url("/"), body=b"some body")
    else:
        client.request(method, origin.url("/"), "Transfer-Encoding: chunked")
        client.send(chunked(b"some", b" ", b"body"))
        answer = client.response()
    assert answer.status == 204
    assert (origin.last.method, origin.last.body) == (method, b"some body")
    assert client.get(origin.url("/next")).status == 204


def test_empty_bodies(client, origin):
    assert client.ask("POST", origin.url(), body=b"").status == 204
    assert origin.last.fields.get("Content-Length") == "0"
    client.request("POST", origin.url(), "Transfer-Encoding: chunked")
    client.send(chunked())
    assert client.response().status == 204
    assert origin.last.body == b""


def test_post_without_any_length_has_no_body(client, origin):
    assert client.ask("POST", origin.url()).status == 204
    assert origin.last.body == b""
    assert client.get(origin.url("/next")).status == 204


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_body_byte_by_byte(client, origin, framing):
    if framing == "length":
        data = request_bytes("POST", origin.url("/"), body=b"0123456789")
    else:
        data = request_bytes("POST", origin.url("/"), "Transfer-Encoding: chunked")
        data += chunked(b"01234", b"56789")
    client.send_bytewise(data)
    assert client.response().status == 204
    assert origin.last.body == b"0123456789"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_eight_mib_upload(client, origin, framing):
    data = os.urandom(MIB) * 8
    origin.on("/up", respond(200, body=b"thanks"))
    if framing == "length":
        answer = client.ask("PUT", origin.url("/up"), body=data)
    else:
        client.request("PUT", origin.url("/up"), "Transfer-Encoding: chunked")
        client.send(chunked(*(data[at:at + 100_000] for at in range(0, len(data), 100_000))))
        answer = client.response()
    assert answer.body == b"thanks"
    assert origin.last.body == data


@pytest.mark.parametrize("body", [
    b"5;a=b\r\nhello\r\n0\r\n\r\n",
    b'5;a="b;c";d\r\nhello\r\n0;last\r\n\r\n',
    b"0005\r\nhello\r\n0000\r\n\r\n",
    b"000000000000000000000005\r\nhello\r\n0\r\n\r\n",
    b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\nContent-Length: 3\r\nHost: evil\r\n\r\n",
], ids=["extension", "quoted extension", "leading zeros", "many zeros", "two chunks", "trailers"])
def test_chunk_extensions_and_trailers_are_read_and_dropped(client, origin, body):
    client.request("POST", origin.url("/"), "Transfer-Encoding: chunked")
    client.send(body)
    assert client.response().status == 204
    request = origin.last
    assert request.body == b"hello"
    assert not request.trailers
    assert b"a=b" not in request.connection.received and b"X-Trailer" not in request.connection.received
    assert client.get(origin.url("/next")).status == 204


def test_hex_digits_of_either_case(client, origin):
    for size in (b"a", b"A", b"0a"):
        client.request("POST", origin.url("/"), "Transfer-Encoding: chunked")
        client.send(size + b"\r\n0123456789\r\n0\r\n\r\n")
        assert client.response().status == 204
        assert origin.last.body == b"0123456789"


@pytest.mark.parametrize("value", ["chunked", "Chunked", "CHUNKED", " \t chunked"])
def test_chunked_in_any_case_and_with_white_space(client, origin, value):
    client.send(f"POST {origin.url()} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:{value}\r\n\r\n".encode())
    client.send(chunked(b"hello"))
    assert client.response().status == 204
    assert origin.last.body == b"hello"


def test_upload_is_passed_on_as_it_comes(client, origin):
    """Nothing waits for the end of the body."""
    client.request("POST", origin.url("/"), "Content-Length: 10")
    client.send(b"01234")
    head = origin.wait_heads(1)[0]
    origin.wait(lambda: b"01234" in head.connection.received, "the first half did not come")
    client.send(b"56789")
    assert client.response().status == 204
    assert origin.last.body == b"0123456789"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_client_that_leaves_mid_body_does_not_complete_the_request(connect, origin, framing):
    client = connect()
    if framing == "length":
        client.request("POST", origin.url("/"), "Content-Length: 10")
        client.send(b"01234")
    else:
        client.request("POST", origin.url("/"), "Transfer-Encoding: chunked")
        client.send(b"5\r\n01234\r\n")
    origin.wait_heads(1)
    client.close()
    origin.wait_all_closed()
    assert not origin.requests
    assert not origin.connections[0].received.endswith(b"\r\n0\r\n\r\n")
    assert connect().get(origin.url("/next")).status == 204


def test_early_answer_ends_the_exchange(client, origin):
    """An origin that refuses an upload early: its answer arrives, the rest is no request (F11)."""
    origin.on("/big", respond(413, "Connection: close"), early=True)
    client.request("PUT", origin.url("/big"), "Content-Length: 1000000")
    assert client.response().status == 413
    smuggled = request_bytes("GET", origin.url("/smuggled"))
    try:
        client.send(smuggled * 10)
    except OSError:
        pass  # closed already: just as good
    client.close()
    origin.close()
    assert "GET /smuggled HTTP/1.1" not in origin.lines
