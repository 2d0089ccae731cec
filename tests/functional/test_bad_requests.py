"""Requests that are refused: one answer, the connection closed, nothing at the origin.

Each row goes in one piece and byte by byte, for a verdict must not depend on how bytes arrive.
ORIGIN stands for the authority of an origin that is there; a request like it that is right passes.
"""

import pytest

from support.rawclient import request_bytes

GET = b"GET http://ORIGIN/x HTTP/1.1\r\nHost: ORIGIN\r\n"
POST = b"POST http://ORIGIN/x HTTP/1.1\r\nHost: ORIGIN\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"


def with_field(line):
    return GET + line + b"\r\n\r\n"


def with_line(line):
    return line + b"\r\nHost: ORIGIN\r\n\r\n"


def with_host(*lines):
    return b"GET http://ORIGIN/x HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def with_target(target):
    return with_line(b"GET " + target + b" HTTP/1.1")


FIELDS = {
    "space before colon": with_field(b"X : y"),
    "tab before colon": with_field(b"X\t: y"),
    "space in a name": with_field(b"X Y: z"),
    "empty name": with_field(b": y"),
    "no colon": with_field(b"X"),
    "name that is no token": with_field(b"X(y): z"),
    "name with a high byte": with_field(b"X\xe9: z"),
    "name with a NUL": with_field(b"X\0: z"),
    "NUL in a value": with_field(b"X: a\0b"),
    "bell in a value": with_field(b"X: a\x07b"),
    "DEL in a value": with_field(b"X: a\x7fb"),
    "bare CR in a value": with_field(b"X: a\rb"),
    "bare CR at the end of a value": with_field(b"X: a\r"),
    "bare CR then LF twice": GET + b"X: a\r\r\n\r\n",
    "bare LF as line end": with_field(b"X: a\nY: b"),
    "bare LF before the empty line": GET + b"X: a\n\r\n",
    "bare LF as empty line": GET + b"X: a\r\n\n",
    "bare LF after the request line": b"GET http://ORIGIN/x HTTP/1.1\nHost: ORIGIN\r\n\r\n",
    "only bare LFs": b"GET http://ORIGIN/x HTTP/1.1\nHost: ORIGIN\n\n",
    "CR with a letter as empty line": GET + b"X: a\r\n\rA",
    "obs-fold": with_field(b"X: a\r\n b"),
    "obs-fold with a tab": with_field(b"X: a\r\n\tb"),
    "obs-fold of Host": b"GET http://ORIGIN/x HTTP/1.1\r\nHost:\r\n ORIGIN\r\n\r\n",
    "obs-fold of Content-Length": POST + b"Content-Length:\r\n 5\r\n\r\nhello",
    "obs-fold of Transfer-Encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "empty folded line": with_field(b"X: a\r\n "),
    "space before the first field": b"GET http://ORIGIN/x HTTP/1.1\r\n X: y\r\nHost: ORIGIN\r\n\r\n",
}

HOSTS = {
    "no Host": with_host(b"X: y"),
    "two Hosts": with_host(b"Host: ORIGIN", b"Host: ORIGIN"),
    "two different Hosts": with_host(b"Host: ORIGIN", b"host: other"),
    "Host with a list": with_host(b"Host: ORIGIN, other"),
    "Host with a path": with_host(b"Host: ORIGIN/x"),
    "Host with userinfo": with_host(b"Host: user@ORIGIN"),
    "Host with a space": with_host(b"Host: a b"),
    "Host with a bad port": with_host(b"Host: a:b"),
    "Host with two ports": with_host(b"Host: a:1:2"),
}

LENGTHS = {
    **{f"Content-Length {value!r}": POST + b"Content-Length: " + value + b"\r\n\r\nhello"
       for value in (b"+5", b"-5", b"5x", b"0x5", b"5 5", b"5,5", b"5, 5", b"", b"5.0", b"\xd9\xa5",
                     b"18446744073709551616", b"18446744073709551621", b"9223372036854775808",
                     b"99999999999999999999999999999999")},
    "two different Content-Lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two equal Content-Lengths": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "space before the colon of Content-Length": POST + b"Content-Length : 5\r\n\r\nhello",
    "length and chunked": CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "chunked and length": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length and another coding": POST + b"Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    "length and identity": POST + b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello",
    "length 0 and chunked": POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length and nominated chunked": CHUNKED + b"Connection: Transfer-Encoding\r\n"
                                    b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0") + b"\r\n0\r\n\r\n",
    **{f"Transfer-Encoding {value!r}": POST + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n"
       for value in (b"gzip", b"identity", b"gzip, chunked", b"chunked, gzip", b"identity, chunked",
                     b"chunked, chunked", b"chunked,", b",chunked", b"chunked;q=1", b"chunke", b"xchunked",
                     b'"chunked"', b"", b"chunked chunked", b"\x0bchunked", b"chunked\x00")},
    "chunked on two lines": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and gzip on two lines": CHUNKED + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
}

TARGETS = {
    **{f"target {target!r}": with_target(target) for target in (
        b"/x", b"*", b"ORIGIN", b"http:/ORIGIN/", b"http:ORIGIN/", b"http:///x", b"http://", b"//ORIGIN/x",
        b"http://:80/x", b"http://u:p@ORIGIN/x", b"http://u@ORIGIN/x", b"http://a@b@ORIGIN/", b"http://@ORIGIN/",
        b"http://ORIGIN/x#y", b"http://ORIGIN/#", b"http://ORIGIN\\x",
        b"http://ORIGIN/x\ty", b"http://ORIGIN/x\x0cy", b"http://ORIGIN/x\x00y",
        b"http://ORIGIN/\x7f",
        b"http://127.0.0.1:0/", b"http://127.0.0.1:65536/",
        b"http://127.0.0.1:99999999999/", b"http://127.0.0.1:8x/", b"http://127.0.0.1:/x", b"http://127.0.0.1:+80/",
        b"http://[::1/", b"http://::1]/", b"http://[::1]x/", b"http://[fe80::1%25lo]/", b"http://[x]/",
        b"http://[]/", b"http://a..b/", b"http://a b/", b"http://ex\xc3\xa9mple/", b"http://" + b"a" * 64 + b"/",
        b"http://" + b"a." * 127 + b"aa/", b"ftp://ORIGIN/x", b"file:///etc/passwd", b"gopher://ORIGIN/",
        b"ws://ORIGIN/", b"javascript:x")},
}

LINES = {
    "two spaces after the method": with_line(b"GET  http://ORIGIN/x HTTP/1.1"),
    "two spaces before the version": with_line(b"GET http://ORIGIN/x  HTTP/1.1"),
    "space before the method": with_line(b" GET http://ORIGIN/x HTTP/1.1"),
    "space after the version": with_line(b"GET http://ORIGIN/x HTTP/1.1 "),
    "tab for a space": with_line(b"GET\thttp://ORIGIN/x HTTP/1.1"),
    "space in the target": with_line(b"GET http://ORIGIN/x y HTTP/1.1"),
    "method that is no token": with_line(b"G(T http://ORIGIN/x HTTP/1.1"),
    "method with a high byte": with_line(b"G\xe9T http://ORIGIN/x HTTP/1.1"),
    "no method": with_line(b" http://ORIGIN/x HTTP/1.1"),
    "no version": with_line(b"GET http://ORIGIN/x"),
    "HTTP/0.9": b"GET http://ORIGIN/x\r\n\r\n",
    "HTTP/0.9 with a path": b"GET /x\r\n\r\n",
    "other protocol": with_line(b"SOURCE x ICE/1.0"),
    "lower-case http": with_line(b"GET http://ORIGIN/x http/1.1"),
    "many empty lines": b"\r\n" * 5000 + GET + b"\r\n",
    "bare LFs before": b"\n\n" + GET + b"\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n\r\n",
    "SMTP": b"EHLO example.org\r\nMAIL FROM:<a@b>\r\n\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n\r\n",
    "NULs": b"\0" * 200,
    **{f"version {version!r}": with_line(b"GET http://ORIGIN/x " + version) for version in (
        b"HTTP/0.9", b"HTTP/0.0", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9", b"HTTP/1", b"HTTP/1.", b"HTTP/1.1.1", b"HTTP/11.1",
        b"HTTP/1.10", b"HTTP/01.1", b"HTTP/ 1.1", b"HTTP /1.1", b"HTTP/-1.1", b"HTTP/1.x", b"HTTPS/1.1", b"HTTP/")},
}

CONNECTS = {
    f"CONNECT {target!r}": with_line(b"CONNECT " + target + b" HTTP/1.1") for target in (
        b"127.0.0.1", b"/x", b"http://ORIGIN/", b"user@ORIGIN", b"ORIGIN/path", b"*", b":443", b"127.0.0.1:",
        b"127.0.0.1:0", b"127.0.0.1:65536", b"127.0.0.1:4 3")
}

HEADS = {**FIELDS, **HOSTS, **LENGTHS, **TARGETS, **LINES, **CONNECTS}
REFUSED = {400, 501, 505}

CHUNKS = {
    "no hex": b"x\r\nhello\r\n0\r\n\r\n",
    "empty size": b"\r\nhello\r\n0\r\n\r\n",
    "sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "space before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "space after the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "overflow of 63 bits": b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "bare LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "bare CR after the size": b"5\rhello\r\n0\r\n\r\n",
    "bare LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "other bytes after the data": b"5\r\nhelloXY0\r\n\r\n",
    "CR and another byte after the data": b"5\r\nhello\rX0\r\n\r\n",
    "data too long": b"5\r\nhello!\r\n0\r\n\r\n",
    "data too short": b"5\r\nhell\r\n0\r\n\r\n",
    "bare LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "last chunk with bare LF": b"5\r\nhello\r\n0\n\r\n",
    "end with bare LF": b"5\r\nhello\r\n0\r\n\n",
    "end with CR and a letter": b"5\r\nhello\r\n0\r\n\rX",
    "trailer with a space before its colon": b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
    "trailer without a colon": b"5\r\nhello\r\n0\r\nGET /evil HTTP/1.1\r\n\r\n",
    "trailer with bare LF": b"5\r\nhello\r\n0\r\nX: y\n\r\n",
    "trailer folded": b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n",
    "trailer with a NUL": b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
    "endless extension": b"5;" + b"a" * 100_000 + b"\r\nhello\r\n0\r\n\r\n",
    "endless size": b"0" * 100_000 + b"5\r\nhello\r\n0\r\n\r\n",
    "endless trailers": b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    "more extension than body": b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n" * 5000 + b"0\r\n\r\n",
}


def smuggled(origin):
    return request_bytes("GET", origin.url("/smuggled"))


def deliver(client, data, how):
    if how == "whole":
        try:
            client.send(data)
        except OSError:
            pass  # refused before all of it was sent
    else:
        client.send_bytewise(data)


def assert_refused(client, statuses):
    answer = client.response()
    assert answer.status in statuses
    assert answer.complete and answer.body
    assert "close" in answer.fields.members("Connection")
    assert answer["Content-Type"].startswith("text/plain")
    assert "no-store" in answer.fields.members("Cache-Control")
    assert "cache204" in answer["Proxy-Status"]
    assert "cache204" in answer["Cache-Status"]
    client.end()


def assert_untouched(connect, origin, seen=()):
    """Only the request sent here, after the bad one, gets to the origin."""
    assert connect().get(origin.url("/sentinel")).status == 204
    assert [r.line for r in origin.heads] == [*seen, "GET /sentinel HTTP/1.1"]


@pytest.mark.parametrize("how", ["whole", "bytewise"])
@pytest.mark.parametrize("name", HEADS)
def test_bad_head_is_refused(connect, origin, name, how):
    client = connect()
    data = HEADS[name].replace(b"ORIGIN", origin.authority.encode())
    if how == "bytewise" and len(data) > 5000:
        deliver(client, data + smuggled(origin), "whole")
    else:
        deliver(client, data + smuggled(origin), how)
    assert_refused(client, {*REFUSED, 403, 405} if name in CONNECTS else REFUSED)
    assert_untouched(connect, origin)


@pytest.mark.parametrize("how", ["whole", "bytewise"])
@pytest.mark.parametrize("name", CHUNKS)
def test_bad_chunks_never_complete_a_request(connect, origin, name, how):
    """The head may be at the origin already: then its connection is closed, the body unfinished (F6)."""
    client = connect()
    data = CHUNKED.replace(b"ORIGIN", origin.authority.encode()) + b"\r\n" + CHUNKS[name]
    deliver(client, data + smuggled(origin), "whole" if len(data) > 5000 else how)
    assert_refused(client, {400, 431})
    origin.wait_all_closed()
    assert not origin.requests
    assert not any(c.received.endswith(b"\r\n0\r\n\r\n") for c in origin.connections)
    assert connect().get(origin.url("/sentinel")).status == 204
    assert origin.lines == ["GET /sentinel HTTP/1.1"]


LIMITS = {
    "target": (414, lambda n: b"GET http://ORIGIN/" + b"x" * n + b" HTTP/1.1\r\nHost: a\r\n\r\n", 7000, 9000),
    "target far over": (414, lambda n: b"GET http://ORIGIN/" + b"x" * n + b" HTTP/1.1\r\nHost: a\r\n\r\n",
                        8000, 200_000),
    "one field": (431, lambda n: GET + b"X: " + b"y" * n + b"\r\n\r\n", 60_000, 66_000),
    "all fields": (431, lambda n: GET + (b"X: " + b"y" * 995 + b"\r\n") * n + b"\r\n", 60, 70),
    "head far over": (431, lambda n: GET + b"X: " + b"y" * n + b"\r\n\r\n", 50_000, 1_000_000),
    "field lines": (431, lambda n: GET + b"X: y\r\n" * n + b"\r\n", 126, 128),
    "field lines far over": (431, lambda n: GET + b"X: y\r\n" * n + b"\r\n", 100, 10_000),
    "field name": (431, lambda n: GET + b"X" * n + b": y\r\n\r\n", 100, 70_000),
    "method": (400, lambda n: b"M" * n + GET[3:] + b"\r\n", 20, 70_000),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limit_of(connect, origin, name):
    """Under the limit it passes, over it it is refused. The lines count with Host: 127 and 129 of 128."""
    status, make, good, bad = LIMITS[name]
    origin.default = b"HTTP/1.1 204 N\r\n\r\n"
    client = connect()
    client.send(make(good).replace(b"ORIGIN", origin.authority.encode()))
    assert client.response().status == 204
    seen = [r.line for r in origin.heads]
    client = connect()
    deliver(client, make(bad).replace(b"ORIGIN", origin.authority.encode()), "whole")
    assert_refused(client, {status} if name != "method" else {400, 414, 431, 501})
    assert_untouched(connect, origin, seen)


def test_head_that_never_ends_is_refused_at_its_limit(connect):
    client = connect()
    deliver(client, GET + b"X: y\r\n" * 20_000, "whole")
    assert_refused(client, {431})


def test_upgrade_does_not_end_the_parsing(connect, origin):
    """What follows a request with Upgrade is the next request, no tunnel."""
    client = connect()
    client.send(request_bytes("GET", origin.url("/1"), "Connection: Upgrade", "Upgrade: h2c")
                + request_bytes("GET", origin.url("/2")))
    assert [client.response().status for _ in range(2)] == [204, 204]
    assert origin.lines == ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]


def test_bytes_after_a_refused_connect_are_no_requests(connect, origin):
    client = connect()
    deliver(client, b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled(origin), "whole")
    assert client.response("GET").status >= 400
    client.end()
    assert_untouched(connect, origin)


def test_connect_is_refused_with_a_length(connect, origin):
    for line in (b"Content-Length: 5", b"Transfer-Encoding: chunked"):
        client = connect()
        deliver(client, b"CONNECT ORIGIN HTTP/1.1\r\nHost: a\r\n".replace(b"ORIGIN", origin.authority.encode())
                + line + b"\r\n\r\nhello" + smuggled(origin), "whole")
        assert client.response().status >= 400
        client.end()
    assert_untouched(connect, origin)


def test_refusals_hold_no_bytes_of_the_request(connect):
    client = connect()
    client.send(with_target(b"http://<script>alert(1)</script>/"))
    answer = client.response()
    assert answer.status == 400
    assert b"script" not in answer.body and "script" not in str(list(answer.fields))
