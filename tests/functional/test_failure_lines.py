"""What failed is told on stderr in one line: which origin, for whom, and what the system said of it."""

import socket
import threading

import pytest

from support.nameserver import SERVFAIL, NameServer
from support.origin import CLOSE, RESET, respond
from support.ports import free_port
from support.until import until


def lines(proxy, kind):
    return [line.split(" ", 1)[1] for line in proxy.errors().splitlines() if f": {kind}: " in line]


def told(proxy, kind):
    """The one line of that kind."""
    until(lambda: lines(proxy, kind), f"{kind} is not told")
    (line,) = lines(proxy, kind)
    return line


def fetch(proxy, url, *fields):
    with proxy.connect() as client:
        return client.get(url, *fields)


ORIGINS = {
    "closed": ([CLOSE], "origin_closed", "The origin closed the connection before a whole response head."),
    "reset": ([RESET], "origin_closed", "(Connection reset by peer)"),
    "no head": ([b"220 ESMTP\r\n\r\n", CLOSE], "bad_response", "(line 1, byte 1: 0x32 in the place of HTTP/1.)"),
    "NUL": ([b"HTTP/1.1 204 No Content\r\nA: b\r\nX: secret\0\r\n\r\n"], "bad_response",
            "(line 3, byte 10: 0x00 in a value)"),
    "two lengths": ([b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"], "bad_response",
                    "(line 3: Content-Length, beside that of line 2)"),
    "407": ([b"HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n"], "bad_response", "(a 407 asks the proxy for credentials)"),
    "chunk": ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], "response_cut",
              "(a chunk is malformed)"),
    "reset in the body": ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12", RESET], "response_cut",
                          "(Connection reset by peer)"),
}


@pytest.mark.parametrize("name", ORIGINS)
def test_broken_origin(start_proxy, origin, name):
    steps, kind, text = ORIGINS[name]
    origin.on("/path", steps)
    proxy = start_proxy()
    with proxy.connect() as client:
        client.request("GET", origin.url("/path"))
        line = told(proxy, kind)
    assert line.startswith(f"cache204: info: {kind}: {origin.authority} ") and text in line, line
    assert "for client 127.0.0.1: " in line and "secret" not in line and "/path" not in line


def test_refused(start_proxy):
    proxy, port = start_proxy(), free_port()
    assert fetch(proxy, f"http://127.0.0.1:{port}/").status == 502
    assert told(proxy, "origin_refused").endswith(
        f"for client 127.0.0.1: The origin refused the connection. "
        f"(connect to 127.0.0.1:{port}: Connection refused)")


def test_names(start_proxy):
    server = NameServer({"broken.test": SERVFAIL, "private.test": ["10.0.0.1"]})
    proxy = start_proxy(f"resolvers={server.address}", "listen=127.0.0.1:0,0.0.0.0:0")
    fetch(proxy, "http://nothing.test/")
    fetch(proxy, "http://private.test/")
    assert told(proxy, "dns_error").endswith("(no such name (NXDOMAIN))")
    assert told(proxy, "denied_private").endswith("(address 10.0.0.1:80)")
    server.close()
    second = start_proxy(f"resolvers={server.address}")
    fetch(second, "http://nothing.test/")
    assert told(second, "dns_error").endswith("(the name servers failed, refused, or cannot be reached)")


def test_hosts_file_that_goes_bad(start_proxy, origin, tmp_path):
    """It is read again while the proxy runs; what cannot be read is told, and changes nothing."""
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 a.test\n")
    origin.default = respond(204, "Connection: close")  # so that the name is looked up each time
    proxy = start_proxy(f"hosts_file={file}")
    url = origin.url().replace("127.0.0.1", "a.test")
    assert fetch(proxy, url).status == 204
    file.unlink()
    file.mkdir()
    line = f"cache204: error: hosts_file: {file}: cannot be read, its earlier content stays in effect: not a regular file"
    until(lambda: fetch(proxy, url).status == 204 and line in proxy.errors(), "it is not told")
    proxy.stop()
    assert proxy.errors().count(line) == 1


def test_refused_tunnel(start_proxy):
    proxy, port = start_proxy("connect_ports=*"), free_port()
    with proxy.connect() as client:
        client.send(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert client.response("CONNECT").status == 502
    assert told(proxy, "origin_refused").endswith(f"(connect to 127.0.0.1:{port}: Connection refused)")


def test_parent(start_proxy, start_origin):
    """The parent's port and the parent's answer, not the origin's."""
    proxy = start_proxy(f"parent=http://127.0.0.1:{free_port()}", "no_proxy=")
    assert fetch(proxy, "http://a.test/").status == 502
    assert "(connect to 127.0.0.1:" in told(proxy, "parent_down")
    parent = start_origin()
    parent.default = respond(403)
    proxy = start_proxy(f"parent=http://{parent.authority}", "no_proxy=", "connect_ports=*")
    assert fetch(proxy, "https://a.test/").status == 502
    assert told(proxy, "parent_refused").endswith("(the parent answered CONNECT with 403)")


def test_https_at_a_plain_port(start_proxy):
    """A server of plain http answers a TLS handshake with an error of its own."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listener.accept()
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        sock.recv(1000)
        sock.close()

    threading.Thread(target=serve, daemon=True).start()
    proxy = start_proxy()
    authority = f"127.0.0.1:{listener.getsockname()[1]}"
    answer = fetch(proxy, f"https://{authority}/")
    assert answer.status == 502 and b"is not TLS: the port may be one of plain http" in answer.body
    line = told(proxy, "tls_plain")
    assert line.endswith(f"is not TLS: the port may be one of plain http. (TLS with {authority}: wrong version number)")
    proxy.stop()
    about = [other for other in proxy.errors().splitlines() if authority in other and "first request" not in other]
    assert len(about) == 1 and about[0].endswith(line)
    listener.close()


def test_stale_answer_is_logged(start_proxy, origin):
    """The client does not see that the origin is away; the operator does."""
    origin.default = respond(204, "Cache-Control: max-age=0, stale-if-error=600", 'ETag: "a"')
    proxy = start_proxy()
    assert fetch(proxy, origin.url()).status == 204
    authority = origin.authority
    origin.close()
    assert fetch(proxy, f"http://{authority}/").status == 204
    assert told(proxy, "origin_refused").endswith("Connection refused) Answered from the store.")


def test_one_line_a_kind(start_proxy):
    proxy, port = start_proxy(), free_port()
    with proxy.connect() as client:
        for _ in range(30):
            assert client.get(f"http://127.0.0.1:{port}/").status == 502
    proxy.stop()
    assert len(lines(proxy, "origin_refused")) == 1


HEADS = {
    "NUL": (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nA: secret\0\r\n\r\n", "bad_request", "(line 3, byte 10: 0x00 in a value)"),
    "TLS": (b"\x16\x03\x01\x02\x00", "bad_request", "(line 1, byte 1: 0x16 begins TLS, this address speaks plain HTTP)"),
    "no Host": (b"GET http://a/ HTTP/1.1\r\n\r\n", "bad_host", "(no Host)"),
    "both lengths": (b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                     "bad_framing", "(line 4: Transfer-Encoding, beside that of line 3)"),
}


@pytest.mark.parametrize("name", HEADS)
def test_refused_head(start_proxy, name):
    """One line each at debug, which says what was wrong where, and none at info: clients send rubbish."""
    head, kind, text = HEADS[name]
    for level, count in (("debug", 2), ("info", 0)):
        proxy = start_proxy(f"log_level={level}")
        for _ in range(2):
            with proxy.connect() as client:
                client.send(head)
                client.response()
        proxy.stop()
        assert len(lines(proxy, kind)) == count
        for line in lines(proxy, kind):
            assert line.startswith(f"cache204: debug: {kind}: for client 127.0.0.1: ") or \
                line.startswith(f"cache204: debug: {kind}: a:80 for client 127.0.0.1: ")
            assert line.endswith(text) and "secret" not in line


def test_debug_logs_what_does_not_fail(start_proxy, start_origin):
    """A response that is mended, a client that leaves: nothing else shows it."""
    origin = start_origin()
    origin.on("/mended", [b"HTTP/1.1 204 No Content\r\nA : b\r\n\r\n"])
    for level, count in (("debug", 1), ("info", 0)):
        proxy = start_proxy(f"log_level={level}")
        assert fetch(proxy, origin.url("/mended")).status == 204
        with proxy.connect() as client:
            client.send(b"GET http://a/ HTTP/1.1\r\n")
            client.half_close()
            client.end()
        proxy.stop()
        text = proxy.errors()
        line = f"cache204: debug: mended: {origin.authority} for client 127.0.0.1: a response broke the grammar of HTTP"
        assert text.count(line) == count
        assert text.count("cache204: debug: client 127.0.0.1 left after 24 bytes of a request head") == count
