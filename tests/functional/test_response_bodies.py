"""Bodies of answers reach the client whole, whatever their framing and size; never a false end."""

import os
import threading

import pytest

from support.origin import CLOSE, HALF_CLOSE, RESET, chunked, respond

MIB = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def reply(framing, body, pieces=100_000):
    if framing == "length":
        return [HEAD + b"Content-Length: %d\r\n\r\n" % len(body), body]
    if framing == "chunked":
        return [CHUNKED, chunked(*(body[at:at + pieces] for at in range(0, len(body), pieces)))]
    return [HEAD + b"\r\n", body, CLOSE]


@pytest.mark.parametrize("size", [0, 1, 1000, 8 * MIB])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_body_of_any_framing_and_size(connect, origin, framing, size):
    body = (os.urandom(4096) * (size // 4096 + 1))[:size]
    origin.on("/", reply(framing, body))
    client = connect()
    answer = client.get(origin.url())
    assert answer.complete
    assert answer.body == body
    assert answer["Content-Type"] == "text/plain"
    if answer.framing != "close":
        assert client.get(origin.url("/next")).status == 204


def test_length_is_kept(client, origin):
    origin.on("/", reply("length", b"hello"))
    assert client.get(origin.url())["Content-Length"] == "5"


def test_body_is_passed_on_as_it_comes(client, origin):
    more = threading.Event()
    origin.on("/", [CHUNKED, b"5\r\nfirst\r\n", more, b"6\r\nsecond\r\n0\r\n\r\n"])
    client.request("GET", origin.url())
    client.stream.until(b"first")
    more.set()
    client.stream.until(b"second")


def test_body_byte_by_byte(client, origin):
    for framing in ("length", "chunked"):
        steps = [step[at:at + 1] for step in reply(framing, b"hello world", pieces=4)
                 for at in range(len(step))]
        origin.on(f"/{framing}", steps)
        assert client.get(origin.url(f"/{framing}")).body == b"hello world"


def test_extensions_and_trailers_of_the_origin_are_dropped(client, origin):
    origin.on("/", [CHUNKED, b"5;x=y\r\nhello\r\n0\r\nX-Trailer: 1\r\nSet-Cookie: a=b\r\n\r\n"])
    answer = client.get(origin.url())
    assert answer.body == b"hello"
    assert "X-Trailer" not in answer.fields and "Set-Cookie" not in answer.fields
    assert not answer.trailers
    assert client.get(origin.url("/next")).status == 204


def test_http_1_0_origin_ends_its_body_by_closing(client, origin):
    origin.on("/", [b"HTTP/1.0 200 OK\r\n\r\nold but whole", CLOSE])
    answer = client.get(origin.url())
    assert (answer.body, answer.complete) == (b"old but whole", True)
    assert answer.version == "1.1"


def test_http_1_0_origin_is_not_reused_without_keep_alive(client, origin):
    origin.on("/", [respond(200, body=b"old", version="1.0")])
    for _ in range(2):
        assert client.get(origin.url()).body == b"old"
    assert len(origin.connections) == 2


SHORT = {
    "length": [HEAD + b"Content-Length: 10\r\n\r\n12345"],
    "length, nothing yet": [HEAD + b"Content-Length: 10\r\n\r\n"],
    "chunk cut": [CHUNKED + b"a\r\n12345"],
    "chunk size cut": [CHUNKED + b"5\r\n12345\r\n5"],
    "last chunk missing": [CHUNKED + b"5\r\n12345\r\n"],
    "last line missing": [CHUNKED + b"5\r\n12345\r\n0\r\n"],
    "trailers cut": [CHUNKED + b"5\r\n12345\r\n0\r\nX: y\r\n"],
}


@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["fin", "rst"])
@pytest.mark.parametrize("name", SHORT)
def test_body_cut_short_is_seen_by_the_client(client, origin, name, end):
    """The client must be able to tell (A5): an early close, never a clean end."""
    passed = threading.Event()
    origin.on("/", [*SHORT[name], passed, end])
    client.request("GET", origin.url())
    client.readable(5)  # the head has come through, so a 502 is not possible any more
    passed.set()
    answer = client.response()
    assert answer.status == 200
    assert not answer.complete
    assert answer.body in (b"", b"12345")


def test_close_delimited_body_that_is_reset_is_not_a_clean_end(client, origin):
    passed = threading.Event()
    origin.on("/", [HEAD + b"\r\n12345", passed, RESET])
    client.request("GET", origin.url())
    client.readable(5)
    passed.set()
    assert not client.response().complete


def test_half_closing_origin_is_complete(client, origin):
    origin.on("/", [*reply("length", b"hello"), HALF_CLOSE, CLOSE])
    assert client.get(origin.url()).body == b"hello"


def test_half_closing_client_still_gets_its_answer(client, origin):
    go = threading.Event()
    origin.on("/", [go, *reply("length", b"hello")])
    client.request("GET", origin.url())
    client.half_close()
    origin.wait_requests(1)
    go.set()
    assert client.response().body == b"hello"
