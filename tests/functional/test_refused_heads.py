"""A refused head is told where it is wrong, and which option decided: in Proxy-Status, in the body and in the log."""

import re

import pytest

from support.origin import CLOSE

HOST = b"Host: a.test\r\n"


def details(answer):
    """The String of RFC 9209 2.1.4."""
    found = re.search(r'; details="((?:[^"\\]|\\.)*)"', answer["Proxy-Status"] or "")
    return found and found[1]


@pytest.mark.parametrize("head, where", [
    (b"GET http://a.test/ HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", "line 3, byte 5: 0x00 in a value"),
    (b"GET http://a.test/ HTTP/1.1\r\n" + HOST + b"X y: z\r\n\r\n", "line 3, byte 2: 0x20 in a field name"),
    (b"GET http://a.test/ HTTP/1.1\r\n" + HOST + b"X: y\r\n folded\r\n\r\n", "line 4, byte 1: white space begins the line"),
    (b"GET http://a.test/ HTTP/1.1\r\n" + HOST + b"nothing\r\n\r\n", "line 3: no colon"),
    (b"GET http://a.test/ HTTP/1.1\r\nX: y\r\n\r\n", "no Host"),
    (b"GET http://a.test/ HTTP/1.1\n" + HOST + b"\r\n", "line 1, byte 28: LF without CR"),
    (b"POST http://a.test/ HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     "line 4: Transfer-Encoding, beside that of line 3"),
    (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", "line 1, byte 1: 0x16 begins TLS, this address speaks plain HTTP"),
    (b"GET ftp://a.test/ HTTP/1.1\r\n" + HOST + b"\r\n", "line 1: the target")])
def test_where_a_request_is_wrong(start_proxy, head, where):
    proxy = start_proxy("log_level=debug")
    with proxy.connect() as client:
        client.send(head)
        answer = client.response()
    assert answer.status in (400, 501) and details(answer) == where
    assert f"Where: {where}.\n".encode() in answer.body
    assert f"({where})" in proxy.errors()


def test_a_head_has_no_details_of_others(proxy):
    with proxy.connect() as client:
        client.send(b"GET http://a.test/ HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n")
        assert details(client.response())
    with proxy.connect() as client:
        answer = client.get("http://127.0.0.1:1/")  # connection refused, or a port that is not allowed
        assert details(answer) in (None, "option allow_ports")


def test_limits_name_their_option(start_proxy):
    proxy = start_proxy("uri_length=64", "head_size=1KiB", "field_count=8", "methods=GET", "deny=deny.test")
    for head, status, where in [
            (b"GET http://a.test/" + b"x" * 100 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414,
             "2 lines, 145 bytes as far as it came; option uri_length"),
            (b"GET http://a.test/ HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 8 + b"\r\n", 431,
             "10 lines, 93 bytes as far as it came; options head_size, field_count"),
            (b"PUT http://a.test/ HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n", 405, "option methods"),
            (b"GET http://deny.test/ HTTP/1.1\r\nHost: deny.test\r\n\r\n", 403, "option deny")]:
        with proxy.connect() as client:
            client.send(head)
            answer = client.response()
        assert answer.status == status
        shown = details(answer)
        assert shown == where or re.sub(r"\d+ (lines|bytes)", "n", shown) == re.sub(r"\d+ (lines|bytes)", "n", where), shown
        for option in re.sub(r".*options? ", "", where).split(", "):
            assert option.encode() in answer.body


@pytest.mark.parametrize("bytes_of_it, where", [
    (b"HTTP/2.0 204 No\r\n\r\n", "line 1, byte 6: 0x32 in the place of HTTP/1."),
    (b"HTTP/1.1 2x4 No\r\n\r\n", "line 1, byte 11: 0x78 in the status"),
    (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", "line 2, byte 5: 0x00 in a value")])
def test_where_a_response_is_wrong(proxy, origin, bytes_of_it, where):
    origin.on("/", [bytes_of_it, CLOSE])
    with proxy.connect() as client:
        answer = client.get(origin.url())
    assert answer.status == 502 and details(answer) == where


def test_nothing_of_the_network_is_shown(start_proxy, origin):
    """What connecting says, and to which address, is for the log alone."""
    origin.close()
    proxy = start_proxy()
    with proxy.connect() as client:
        answer = client.get(origin.url())
    assert answer.status == 502 and details(answer) is None
    assert b"refused" in answer.body and b"127.0.0.1" not in answer.body
