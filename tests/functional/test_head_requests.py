"""HEAD: a head and no more, with the length that GET would have."""

import pytest

from support.origin import CLOSE, chunked, respond
from support.requirement import requirement


def test_content_length_is_kept(client, origin):
    origin.on("/", b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")
    answer = client.head(origin.url())
    assert (answer.status, answer["Content-Length"]) == (200, "12345")
    assert client.get(origin.url("/next")).status == 204
    assert len(origin.connections) == 1


def test_chunked_head_has_no_body(client, origin):
    origin.on("/", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.head(origin.url()).status == 200
    assert client.get(origin.url("/next")).status == 204


def test_head_without_length_does_not_wait_for_the_end(client, origin):
    origin.on("/", b"HTTP/1.1 200 OK\r\n\r\n")
    assert client.head(origin.url()).status == 200
    assert client.get(origin.url("/next")).status == 204


@pytest.mark.parametrize("body", [b"hello", chunked(b"hello"), respond(200, body=b"poison")],
                         ids=["length", "chunked", "response"])
@requirement("RFC 9110 9.3.2 MUST NOT")
def test_body_after_a_head_answer_reaches_no_client(client, origin, body):
    origin.on("/", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body])
    assert client.head(origin.url()).status == 200
    origin.wait_all_closed()
    assert client.get(origin.url("/next")).status == 204
    assert len(origin.connections) == 2


def test_304_with_content_length(client, origin):
    origin.on("/", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n")
    assert client.get(origin.url(), 'If-None-Match: "a"').status == 304
    assert client.get(origin.url("/next")).status == 204


def test_head_on_a_closing_origin(client, origin):
    origin.on("/", [b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", CLOSE])
    answer = client.head(origin.url())
    assert answer["Content-Length"] == "7"
    assert client.get(origin.url("/next")).status == 204
