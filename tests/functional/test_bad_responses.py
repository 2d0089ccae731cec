"""Origins that break the rules: 502 or a visible cut, nothing stored, the connection not used again.

Every response here says max-age=60, so a second request shows whether anything was stored.
"""

import threading

import pytest

from support.origin import CLOSE, HALF_CLOSE, NEVER, RESET, chunked, respond
from support.requirement import requirement

FRESH = b"Cache-Control: max-age=60\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n" + FRESH
OK = b"HTTP/1.1 200 OK\r\n" + FRESH
POISON = respond(200, "Cache-Control: max-age=60", "X-Poison: 1", body=b"poison")


def line(status_line):
    return status_line + b"\r\n" + FRESH + b"\r\n"


def field(text):
    return NO_CONTENT + text + b"\r\n\r\n"


BAD_HEADS = {
    **{f"status line {text!r}": line(text) for text in (
        b"ICY 200 OK", b"HTTP/2.0 204 No Content", b"HTTP/0.9 204 No Content", b"HTTP/1.1 20 X", b"HTTP/1.1 2 X",
        b"HTTP/1.1 2040 X", b"HTTP/1.1 099 X", b"HTTP/1.1 000 X", b"HTTP/1.1  204 X", b"HTTP/1.1\t204 X",
        b"HTTP/1.1 2O4 X", b"HTTP/1.1 -204 X", b"HTTP/1.1 +04 X", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/11.1 204 X",
        b"HTTP/1.10 204 X", b"HTTP/1 204 X", b"http/1.1 204 X", b" HTTP/1.1 204 X", b"HTTP /1.1 204 X",
        b"204 No Content", b"rubbish", b"HTTP/1.1 204 \0", b"HTTP/1.1 204 a\x07b", b"HTTP/1.1 204 a\rb",
        b"HTTP/1.1 204X", b"220 mail.example ESMTP")},
    "bytes before the status line": b"xx" + NO_CONTENT + b"\r\n",
    "line before the status line": b"\r\n\r\n\r\n\r\n" + b"x\r\n" + NO_CONTENT + b"\r\n",
    "name that is no token": field(b"X(y): z"),
    "space in a name": field(b"X Y: z"),
    "empty name": field(b": y"),
    "no colon": field(b"no colon here"),
    "NUL in a value": field(b"X: a\0b"),
    "NUL in a name": field(b"X\0: b"),
    "bare CR in a value": field(b"X: a\rb"),
    "space before the first field": b"HTTP/1.1 204 N\r\n X: y\r\n" + FRESH + b"\r\n",
    "too many lines": NO_CONTENT + b"X: y\r\n" * 1000 + b"\r\n",
    "too many lines to mend": NO_CONTENT + b"X: y\n" * 10_000 + b"\r\n",
    "one line too long": NO_CONTENT + b"X: " + b"y" * 70_000 + b"\r\n\r\n",
    "endless head": NO_CONTENT + b"X: y\r\n" * 50_000,
    "endless status line": b"HTTP/1.1 204 " + b"x" * 200_000,
    "HTML without HTTP": b"<html>hello</html>",
    **{f"Content-Length {value!r}": [OK + b"Content-Length: " + value + b"\r\n\r\nhello", CLOSE]
       for value in (b"5x", b"-5", b"+5", b"0x5", b"5, 6", b"5 5", b"", b"18446744073709551621", b"9" * 30)},
    "two different Content-Lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    **{f"Transfer-Encoding {value!r}": [OK + b"Transfer-Encoding: " + value + b"\r\n\r\nhello", CLOSE]
       for value in (b"gzip", b"identity, identity", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"xchunked", b"")},
    "101 unasked": respond(101, "Connection: upgrade", "Upgrade: x"),
    "nothing, then FIN": [CLOSE],
    "nothing, then RST": [RESET],
    "half a status line": [b"HTTP/1.1 20", CLOSE],
    "half a head": [NO_CONTENT + b"X: y\r\n", CLOSE],
    "half a head, RST": [NO_CONTENT + b"X: y\r\n", RESET],
    "103, then FIN": [respond(103), CLOSE],
}


def steps(reply):
    """Bad bytes and then silence, so that it is the proxy that closes; or the steps as they are."""
    return [reply, NEVER] if isinstance(reply, bytes) else reply


def assert_not_stored_and_not_reused(connect, origin, path="/"):
    """The next request opens a connection and gets its own answer."""
    origin.wait_all_closed()
    before = len(origin.connections)
    origin.on(path, respond(204, "X-Clean: 1"))
    answer = connect().get(origin.url(path))
    assert (answer.status, answer["X-Clean"]) == (204, "1")
    assert answer.fwd == "uri-miss"
    assert len(origin.connections) == before + 1


@pytest.mark.parametrize("name", BAD_HEADS)
def test_bad_head_is_a_502(connect, origin, name):
    origin.on("/", steps(BAD_HEADS[name]))
    client = connect()
    answer = client.get(origin.url())
    assert answer.status == 502
    assert answer.complete and answer.body
    assert "cache204" in answer["Proxy-Status"] and "error=" in answer["Proxy-Status"]
    assert answer.fwd == "uri-miss" and not answer.stored
    assert_not_stored_and_not_reused(connect, origin)


def test_too_many_lines_name_the_option(connect, origin):
    origin.on("/", steps(NO_CONTENT + b"X: y\r\n" * 256 + b"\r\n"))
    answer = connect().get(origin.url())
    assert answer.status == 502 and b"field_count" in answer.body


def test_many_lines_pass(start_proxy, origin):
    origin.on("/", NO_CONTENT + b"X: y\r\n" * 255 + b"\r\n")
    origin.on("/more", NO_CONTENT + b"X: y\r\n" * 1023 + b"\r\n")
    with start_proxy("field_count=1024").connect() as client:
        for path in ("/", "/more"):
            assert client.get(origin.url(path)).status == 204
        assert len(client.get(origin.url("/more")).fields.all("X")) == 1023


# What is not by the grammar in which line (HAZARDS A7), and whether it is passed on mended: it is when it
# can be read in one way only.
def has_length(text):
    return OK + text + b"\r\nhello"


def is_chunked(text, body=chunked(b"hello")):
    return OK + text + b"\r\n" + body


FAULTS = {
    "space before the colon of a field": (NO_CONTENT + b"X : y\r\n\r\n", 204),
    "space before the colon of Content-Length": (has_length(b"Content-Length : 5\r\n"), 200),
    "space before the colon of Transfer-Encoding": (is_chunked(b"Transfer-Encoding\t: chunked\r\n"), 200),
    "bare LF behind a field": (NO_CONTENT + b"X: y\n\r\n", 204),
    "bare LF behind Content-Length": (has_length(b"Content-Length: 5\n"), 200),
    "bare LF behind Transfer-Encoding": (is_chunked(b"Transfer-Encoding: chunked\n"), 200),
    "bare LF behind the first line": (b"HTTP/1.1 204 No Content\n" + FRESH + b"\r\n", 204),
    "bare LF as empty line": (NO_CONTENT + b"\n", 204),
    "bare LFs everywhere": (NO_CONTENT.replace(b"\r\n", b"\n") + b"\n", 204),
    "fold in a field": (NO_CONTENT + b"X: a\r\n\t b\r\n\r\n", 204),
    "fold in Content-Length": (has_length(b"Content-Length:\r\n 5\r\n"), 502),
    "fold in Transfer-Encoding": (is_chunked(b"Transfer-Encoding:\r\n chunked\r\n"), 502),
    "fold in Connection": (NO_CONTENT + b"Connection: x,\r\n y\r\n\r\n", 502),
    "fold in the first line": (b"HTTP/1.1 204 No\r\n Content\r\n" + FRESH + b"\r\n", 502),
    "control byte in a field": (NO_CONTENT + b"X: a\x01b\x7f\r\n\r\n", 204),
    "control byte in Content-Length": (has_length(b"Content-Length: 5\x0b\r\n"), 502),
    "control byte in Transfer-Encoding": (is_chunked(b"Transfer-Encoding: \x0bchunked\r\n"), 502),
    "control byte in the first line": (b"HTTP/1.1 204 No\x01Content\r\n" + FRESH + b"\r\n", 502),
    "equal Content-Lengths": (has_length(b"Content-Length: 5\r\nContent-Length: 5\r\n"), 200),
    "a list of equal Content-Lengths": (has_length(b"Content-Length: 5, 5\r\n"), 200),
    "equal Content-Lengths of a 204": (NO_CONTENT + b"Content-Length: 0\r\n" * 2 + b"\r\n", 204),
    "two Transfer-Encodings": (is_chunked(b"Transfer-Encoding: chunked\r\n" * 2), 502),
    "two first lines": (b"HTTP/1.1 204 No Content\r\n" + NO_CONTENT + b"\r\n", 502),
    "identity": (has_length(b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n"), 200),
    "blanks behind a chunk size": (
        is_chunked(b"Transfer-Encoding: chunked\r\n", b"5  \r\nhello\r\n0 \t \r\n\r\n"), 200),
    "status 600": (b"HTTP/1.1 600 X\r\n" + FRESH + b"Content-Length: 5\r\n\r\nhello", 600),
    "status 999": (b"HTTP/1.1 999 X\r\n" + FRESH + b"Content-Length: 0\r\n\r\n", 999),
    "interim response": (b"HTTP/1.1 103 Early Hints\nX : y\n\n" + NO_CONTENT + b"\r\n", 204),
}


def mended_of(proxy, origin):
    """How many answers were mended: of this origin, and of all."""
    stats = proxy.stats()
    count = stats["responses_mended_by_origin"].get(origin.authority, 0)
    line = f'cache204_responses_mended_by_origin{{origin="{origin.authority}"}} {count}\n'
    assert (line in proxy.admin("/metrics").body.decode()) == (count > 0)
    return [count, stats["counters"]["responses_mended"]]


@pytest.mark.parametrize("after", [b"", POISON], ids=["clean end", "bytes after"])
@pytest.mark.parametrize("name", FAULTS)
@requirement("RFC 9112 5.1 MUST", "RFC 9112 5.2 MUST")
def test_what_can_be_read_in_one_way_is_mended_and_not_stored(proxy, origin, name, after):
    reply, status = FAULTS[name]
    before = mended_of(proxy, origin)
    origin.on("/", steps(reply + after))
    with proxy.connect() as client:
        answer = client.get(origin.url())  # its parser is strict
        assert answer.status == status and answer.complete and not answer.stored
        if status == 204:
            assert answer.cache_status["detail"] == ("framing" if after else "mended")
        elif status in (200, 600):
            assert answer.body == b"hello"
        assert_not_stored_and_not_reused(proxy.connect, origin)
        if status != 502:
            assert "X-Poison" not in client.get(origin.url("/next")).fields
    assert mended_of(proxy, origin) == [n + (status != 502) for n in before]


def test_mended_values_are_those_that_were_meant(client, origin):
    origin.on("/", NO_CONTENT + b"X : a\r\n  b\r\nY: c\x08d\nZ\t:e\r\n\r\n")
    answer = client.get(origin.url())
    assert (answer["X"], answer["Y"], answer["Z"]) == ("a b", "c d", "e")


@pytest.mark.one_worker("what was stored is asked for at once on another connection")
def test_a_mended_304_confirms_and_leaves_nothing(connect, origin):
    """Its lines are this client's alone."""
    stale = respond(204, "Cache-Control: max-age=0", 'ETag: "1"')
    origin.on("/", stale, steps(b'HTTP/1.1 304 N\r\nETag : "1"\r\nX-Poison: 1\r\n' + FRESH + b"\r\n"),
              respond(204, "X-Clean: 1"))
    assert connect().get(origin.url()).stored
    answer = connect().get(origin.url())
    assert answer.status == 204 and not answer.stored and answer.cache_status["detail"] == "mended"
    origin.wait_all_closed()
    answer = connect().get(origin.url())
    assert answer["X-Clean"] == "1" and "X-Poison" not in answer.fields
    assert "If-None-Match" not in origin.requests[-1].fields


REPAIRED = {
    "length": NO_CONTENT + b"Content-Length: 5\r\n\r\n",
    "length and body": NO_CONTENT + b"Content-Length: 5\r\n\r\nhello",
    "length and a response as body": NO_CONTENT + b"Content-Length: %d\r\n\r\n" % len(POISON) + POISON,
    "chunked": NO_CONTENT + b"Transfer-Encoding: chunked\r\n\r\n",
    "chunked and body": NO_CONTENT + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"hello"),
    "chunked and empty body": NO_CONTENT + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(),
    "body without length": NO_CONTENT + b"\r\nhello",
    "response behind it": NO_CONTENT + b"\r\n" + POISON,
    "one byte behind it": NO_CONTENT + b"\r\n\n",
    "HTTP/1.0 with a body": NO_CONTENT.replace(b"1.1", b"1.0") + b"\r\nhello",
}


@pytest.mark.parametrize("name", REPAIRED)
def test_204_with_a_body_is_repaired_and_not_stored(connect, origin, name):
    """RULES 1, HAZARDS A1-A3; the strict client would see a Content-Length or a byte too many."""
    origin.on("/", steps(REPAIRED[name]))
    client = connect()
    answer = client.get(origin.url())
    assert (answer.status, answer.stored) == (204, False)
    assert "Content-Length" not in answer.fields and "Transfer-Encoding" not in answer.fields
    assert_not_stored_and_not_reused(connect, origin)
    answer = client.get(origin.url("/next"))
    assert answer.status == 204 and "X-Poison" not in answer.fields


@pytest.mark.one_worker("each worker keeps connections of its own")
@requirement("RFC 9112 9.2 SHOULD", "RFC 9112 9.2 MUST NOT")
def test_bytes_after_a_204_that_come_later_reach_no_client(connect, origin):
    """The idle connection is closed when it speaks unasked (A2)."""
    later = threading.Event()
    origin.on("/", [NO_CONTENT + b"\r\n", later, POISON, NEVER])
    assert connect().get(origin.url()).status == 204
    later.set()
    origin.wait_all_closed()
    for _ in range(2):
        answer = connect().get(origin.url("/next"))
        assert answer.status == 204 and "X-Poison" not in answer.fields
    assert len(origin.connections) == 2


AFTER_OTHERS = {
    "200 with length": respond(200, body=b"hello") + POISON,
    "200 with length, one byte": respond(200, body=b"hello") + b"\n",
    "200 chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello") + POISON,
    "200 empty": respond(200) + POISON,
    "304": respond(304) + b"hello",
    "304 with length": b"HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\nhello",
    "404": respond(404, body=b"no") + POISON,
}


@pytest.mark.parametrize("name", AFTER_OTHERS)
def test_bytes_after_any_answer_are_dropped(connect, origin, name):
    origin.on("/", steps(AFTER_OTHERS[name]))
    client = connect()
    answer = client.get(origin.url(), 'If-None-Match: "x"')
    assert answer.complete and b"poison" not in answer.body
    origin.wait_all_closed()
    answer = client.get(origin.url("/next"))
    assert answer.status == 204 and "X-Poison" not in answer.fields


BAD_BODIES = {
    "chunk size": b"x\r\nhello\r\n0\r\n\r\n",
    "chunk size signed": b"+5\r\nhello\r\n0\r\n\r\n",
    "chunk size overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "bare LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "bytes after the data": b"5\r\nhelloXX0\r\n\r\n",
    "bare LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "bare LF in an extension": b"5;x\ny\r\nhello\r\n0\r\n\r\n",
    "bare LF at the end": b"5\r\nhello\r\n0\r\n\n",
    "trailer without colon": b"5\r\nhello\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n",
    "endless trailers": b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    "endless extension": b"5;" + b"x" * 100_000 + b"\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_BODIES)
@requirement("RFC 9112 8 MUST")
def test_bad_chunks_end_the_answer_visibly(connect, origin, name):
    origin.on("/", [OK + b"Transfer-Encoding: chunked\r\n\r\n" + BAD_BODIES[name], NEVER])
    answer = connect().get(origin.url())
    assert answer.status == 502 or not answer.complete
    assert answer.status == 502 or answer.body in (b"", b"hello")
    assert_not_stored_and_not_reused(connect, origin)


def test_length_beside_chunked_is_dropped(connect, origin):
    """RFC 9112 6.3: decode, and do not trust the connection any more."""
    origin.on("/", OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello"))
    answer = connect().get(origin.url())
    assert answer.status == 502 or answer.body == b"hello"
    assert_not_stored_and_not_reused(connect, origin)


def test_chunked_in_http_1_0_closes_the_connection(connect, origin):
    origin.on("/", [b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + chunked(b"hello"), HALF_CLOSE, NEVER])
    connect().get(origin.url())
    assert_not_stored_and_not_reused(connect, origin)


def test_response_to_no_request(connect, origin):
    """A connection that speaks first: those bytes answer nothing."""
    origin.on("/", [respond(204)])
    assert connect().get(origin.url()).status == 204
    connection = origin.connections[0]
    connection.send(POISON)
    origin.wait_all_closed()
    assert "X-Poison" not in connect().get(origin.url("/x")).fields


def test_reason_phrase_is_ours(connect, origin):
    origin.on("/", b"HTTP/1.1 200 <script>alert(1)</script>\r\nContent-Length: 0\r\n\r\n")
    client = connect()
    client.get(origin.url())
    assert b"script" not in bytes(client.stream.raw)


def test_204_without_reason_phrase(connect, origin):
    origin.on("/", b"HTTP/1.1 204 \r\n\r\n")
    assert connect().get(origin.url()).status == 204
    origin.on("/", b"HTTP/1.1 204\r\n\r\n")
    assert connect().get(origin.url()).status == 204


def test_head_split_everywhere(connect, origin):
    """The verdict on a good response does not depend on how it is split."""
    whole = respond(204, "Cache-Control: no-store", "X-A: b")
    client = connect()
    for at in range(1, len(whole), 5):
        origin.on(f"/{at}", [whole[:at], whole[at:]])
        assert client.get(origin.url(f"/{at}"))["X-A"] == "b"
    assert len(origin.connections) == 1
