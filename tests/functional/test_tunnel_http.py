"""Tunnels that are read as HTTP: what is answered from the cache there, and what is left to the origin."""

import base64
import json
import os
import socket
import subprocess

import pytest

from support.nameserver import NameServer
from support.origin import READ_BODY, chunked, respond
from support.proxy import Proxy, run
from support.target import connect_bytes, open_tunnel
from support.until import until


@pytest.fixture(scope="module")
def module_proxy(worker_count, tmp_path_factory):
    """Like the others, but each tunnel is one that may be read."""
    proxy = Proxy(tmp_path_factory.mktemp("proxy"), "connect_ports=*", "tunnel_http=*", start=False)
    yield proxy
    proxy.stop()
    proxy.remove()


@pytest.fixture
def reading(start_proxy, origin):
    """A proxy of one's own, for tunnels to the origin alone."""
    return lambda *options: start_proxy(f"connect_ports={origin.port}", f"tunnel_http={origin.port}", *options)


def head(target="/", *fields, host, method="GET", version="1.1"):
    lines = [f"{method} {target} HTTP/{version}", *([f"Host: {host}"] if host else []), *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def fresh():
    return respond(204, "Cache-Control: max-age=60", 'ETag: "v1"')


def ask(client, data, method="GET"):
    client.send(data)
    return client.response(method)


def counters(proxy):
    counted = proxy.stats()["counters"]
    return {name: counted[name] for name in ("requests", "tunnels", "tunnels_read", "tunnel_requests")}


# ---- read -----------------------------------------------------------------------------------------


def test_what_is_asked_for_in_it_is_cached(reading, origin):
    """By the key of the same request in absolute-form, in both directions."""
    proxy = reading()
    origin.on("/a", fresh())
    origin.on("/b", fresh())
    with proxy.connect() as client:
        assert client.get(origin.url("/a")).stored
    proxy.until_written()
    with proxy.connect() as client:
        open_tunnel(client, origin.authority)
        assert ask(client, head("/a", host=origin.authority)).hit
        assert ask(client, head("/a", 'If-None-Match: "v1"', host=origin.authority)).status == 304
        answer = ask(client, head("/b", host=origin.authority))
        assert answer.stored and answer["Via"] == "1.1 cache204"
        assert origin.last.fields.get("Via") == f"1.1 {proxy.instance}"
        proxy.written = True
        proxy.until_written()
        assert ask(client, head("/b", host=origin.authority)).hit
    with proxy.connect() as client:
        assert client.get(origin.url("/b")).hit
    assert origin.lines == ["GET /a HTTP/1.1", "GET /b HTTP/1.1"]
    assert counters(proxy) == {"requests": 7, "tunnels": 0, "tunnels_read": 1, "tunnel_requests": 4}
    assert "tunnelled, not seen" not in proxy.errors()
    proxy.stop()
    lines = [json.loads(line) for line in proxy.log_lines()]
    inside = [line for line in lines if line.get("in_tunnel")]
    assert sorted({line["target"] for line in inside}) == [origin.url("/a"), origin.url("/b")] and len(inside) == 4
    connect, = [line for line in lines if line["method"] == "CONNECT"]
    assert (connect["status"], connect["outcome"], connect["target"]) == (200, "tunnel", origin.authority)


def test_nothing_is_asked_of_the_origin_for_a_hit(reading, origin):
    proxy = reading()
    origin.on("/", fresh())
    with proxy.connect() as client:
        assert client.get(origin.url()).stored
    proxy.until_written()
    origin.refuse()
    with proxy.connect() as client:
        open_tunnel(client, origin.authority)
        assert ask(client, head(host=origin.authority)).hit
        assert ask(client, head("/other", host=origin.authority)).status == 502
        assert ask(client, head(host=origin.authority)).hit


@pytest.mark.long
@pytest.mark.parametrize("host, same", [
    ("a.test:PORT", True), ("A.Test:PORT", True), ("a.test", False), ("a.test:80", False), ("b.test:PORT", False),
    ("a.test.:PORT", False), ("a.test:0PORT", False)])
def test_hosts(start_proxy, start_origin, host, same):
    """Only the authority of the CONNECT is one to us: what others might mean is the origin's to tell."""
    origin = start_origin()
    servers = NameServer({"a.test": ["127.0.0.1"]})
    try:
        proxy = start_proxy("connect_ports=*", "tunnel_http=*", f"resolvers={servers.address}", "allow=127.0.0.1")
        with proxy.connect() as client:
            open_tunnel(client, f"a.test:{origin.port}")
            answer = ask(client, head(host=host.replace("PORT", str(origin.port))))
            assert answer.status == 204 and (answer["Cache-Status"] is not None) == same
    finally:
        servers.close()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_bodies_in_both_directions(connect, origin, version):
    body = os.urandom(200_000)
    origin.on("/u", respond(200, body=body))
    client = connect()
    open_tunnel(client, origin.authority)
    keep = ["Connection: keep-alive"] if version == "1.0" else []
    for framed in ([f"Content-Length: {len(body)}"], ["Transfer-Encoding: chunked"])[:1 if version == "1.0" else 2]:
        data = body if "Content" in framed[0] else chunked(body[:70_000], body[70_000:])
        answer = ask(client, head("/u", *framed, *keep, host=origin.authority, method="POST", version=version) + data)
        assert answer.body == body and origin.last.body == body
    assert client.is_open()


def test_pipelined_requests_and_those_sent_with_connect(connect, origin):
    origin.on("/a", respond(200, body=b"a"))
    origin.on("/b", respond(200, body=b"b"))
    client = connect()
    client.send(connect_bytes(origin.authority) + head("/a", host=origin.authority) + head("/b", host=origin.authority))
    assert client.message("CONNECT").status == 200
    assert [client.response().body for _ in range(2)] == [b"a", b"b"]
    client.send(head("/b", "Connection: close", host=origin.authority))
    assert client.response().body == b"b" and client.end() == "fin"


def test_each_byte_by_itself(connect, origin):
    client = connect()
    client.send(connect_bytes(origin.authority))
    assert client.message("CONNECT").status == 200
    client.send_bytewise(head("/x", host=origin.authority, method="OPTIONS"))
    assert client.response().status == 204 and origin.last.fields.get("Via")


def test_expectations(connect, origin):
    origin.on("/e", [respond(100), READ_BODY, respond(200, body=b"x")], early=True)
    client = connect()
    open_tunnel(client, origin.authority)
    client.send(head("/e", "Expect: 100-continue", "Content-Length: 3", host=origin.authority, method="PUT"))
    assert client.message().status == 100
    client.send(b"abc")
    assert client.response().body == b"x" and origin.last.body == b"abc"


def test_the_absolute_form_of_the_same_origin(connect, origin):
    client = connect()
    open_tunnel(client, origin.authority)
    assert ask(client, head(origin.url("/abs"), host=origin.authority))["Cache-Status"]
    assert origin.last.line == "GET /abs HTTP/1.1"
    assert ask(client, head("*", host=origin.authority, method="OPTIONS")).status == 204
    assert origin.last.line == "OPTIONS * HTTP/1.1"


@pytest.mark.parametrize("fields, status", [(["Max-Forwards: 0"], 204), (["Via: 1.1 INSTANCE"], 508)])
def test_the_rules_of_a_proxy_hold(reading, origin, fields, status):
    proxy = reading()
    with proxy.connect() as client:
        open_tunnel(client, origin.authority)
        fields = [field.replace("INSTANCE", proxy.instance) for field in fields]
        assert ask(client, head("/", *fields, host=origin.authority, method="OPTIONS")).status == status
    assert not origin.requests


def test_methods_and_destinations_are_judged(start_proxy, origin):
    proxy = start_proxy("connect_ports=*", "tunnel_http=*", "methods=GET,CONNECT", "deny=127.0.0.3")
    with proxy.connect() as client:
        open_tunnel(client, origin.authority)
        assert ask(client, head(host=origin.authority, method="DELETE")).status == 405
        assert ask(client, head(host=origin.authority, method="TRACE")).status == 405
        assert ask(client, head(host=origin.authority)).status == 204
    with proxy.connect() as client:
        client.send(connect_bytes(f"127.0.0.3:{origin.port}"))
        assert client.response("CONNECT").status == 403


def test_a_private_destination_is_refused_in_it(start_proxy, origin):
    """200 was said before the name was looked up."""
    servers = NameServer({"in.test": ["127.0.0.1"]})
    try:
        proxy = start_proxy("connect_ports=*", "tunnel_http=*", f"resolvers={servers.address}")
        with proxy.connect() as client:
            open_tunnel(client, f"in.test:{origin.port}")
            assert ask(client, head(host=f"in.test:{origin.port}")).status == 403
        with proxy.connect() as client:
            open_tunnel(client, f"in.test:{origin.port}")
            client.send(b"\0")
            assert client.end() == "rst"
    finally:
        servers.close()


def test_users_are_those_of_the_connect(reading, origin, tmp_path):
    file = tmp_path / "passwords"
    file.write_text("ann:" + subprocess.run(["openssl", "passwd", "-5", "pw"], capture_output=True, text=True,
                                            check=True).stdout)
    file.chmod(0o600)
    proxy = reading(f"password_file={file}")
    login = "Proxy-Authorization: Basic " + base64.b64encode(b"ann:pw").decode()
    with proxy.connect() as client:
        client.send(connect_bytes(origin.authority))
        assert client.response("CONNECT").status == 407
    with proxy.connect() as client:
        client.send(connect_bytes(origin.authority, login) + head("/1", host=origin.authority))
        assert client.message("CONNECT").status == 200 and client.response().status == 204
        assert ask(client, head("/2", login.replace("Basic", "Bearer"), host=origin.authority)).status == 204
        assert origin.last.fields.get("Proxy-Authorization") is None
    proxy.stop()
    lines = [json.loads(line) for line in proxy.log_lines()]
    assert [line.get("user") for line in lines if line["status"] != 407] == ["ann"] * 3


def test_a_tunnel_that_is_read_is_no_tunnel_to_the_limits(reading, origin, start_target):
    proxy = reading("connect_ports=*", "tunnel_http=*", "tunnels_max=1")
    target = start_target()
    with proxy.connect() as one, proxy.connect() as other:
        for client in (one, other):
            open_tunnel(client, origin.authority)
            assert ask(client, head(host=origin.authority)).status == 204
        with proxy.connect() as tunnel, proxy.connect() as late:
            open_tunnel(tunnel, target.authority)
            tunnel.send(b"\0")
            until(lambda: proxy.stats()["gauges"]["tunnels_open"] == 1, "it is one")
            late.send(connect_bytes(origin.authority))
            assert late.response("CONNECT").status == 503
    until(lambda: proxy.stats()["gauges"]["tunnels_open"] == 0, "it is none any more")


def test_it_drains_like_a_client(reading, origin):
    """What is under way is answered, as the last; who is idle is closed, and holds nothing up."""
    proxy = reading("drain_timeout=10s")
    with proxy.connect() as idle, proxy.connect() as looked_at:
        open_tunnel(idle, origin.authority)
        assert ask(idle, head(host=origin.authority)).status == 204
        looked_at.send(connect_bytes(origin.authority))
        assert looked_at.message("CONNECT").status == 200
        looked_at.send(head(host=origin.authority)[:-2])
        proxy.process.terminate()
        assert idle.end() == "fin"
        looked_at.send(b"\r\n")
        answer = looked_at.response()
        assert answer.status == 204 and answer["Connection"] == "close"
        assert looked_at.end() == "fin"
    assert proxy.process.wait(10) == 0


# ---- once a request was answered ------------------------------------------------------------------


@pytest.mark.parametrize("data, status", [
    (head(host="other.example"), 421),
    (head(host="127.0.0.1:1"), 421),
    (head("http://other.example/", host="ORIGIN"), 421),
    (head("https://ORIGIN/", host="ORIGIN"), 421),
    (head("http://ORIGIN/", host="other.example"), 421),
    (head("http://ORIGIN/", host=None, version="1.0"), 421),
    (head(host=None, version="1.0"), 421),
    (head(host=None), 400),
    (head("/", "Host: ORIGIN", host="ORIGIN"), 400),
    (head("/", "Host: other.example", host="ORIGIN"), 400),
    (head("/", "Content-Length: 1", "Transfer-Encoding: chunked", host="ORIGIN"), 400),
    (head("/", "Content-Length: 1", "Content-Length: 1", host="ORIGIN"), 400),
    (head("/", "Transfer-Encoding : chunked", host="ORIGIN"), 400),
    (head("/", "Transfer-Encoding: xchunked", host="ORIGIN"), 501),
    (head("/", " folded", host="ORIGIN"), 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"\x16\x03\x01\0\0", 400),
    (b"GET /\r\n", 400),
    (head("other.example:443", host="other.example:443", method="CONNECT"), 405),
    (head("ORIGIN", host="ORIGIN", method="CONNECT"), 405),
])
def test_what_ends_a_tunnel_that_is_read(connect, origin, data, status):
    """What follows is not read, here or by the origin."""
    client = connect()
    open_tunnel(client, origin.authority)
    assert ask(client, head("/first", host=origin.authority)).status == 204
    client.send(data.replace(b"ORIGIN", origin.authority.encode()) + head("/after", host=origin.authority))
    answer = client.response()
    assert answer.status == status
    assert status != 421 or "not for the authority of the CONNECT" in answer["Proxy-Status"]
    assert client.end() in ("fin", "rst")
    assert origin.lines == ["GET /first HTTP/1.1"]


def test_a_body_that_breaks_off(connect, origin):
    client = connect()
    open_tunnel(client, origin.authority)
    client.send(head("/p", "Transfer-Encoding: chunked", host=origin.authority, method="POST") + b"3\r\nabcX\r\n")
    assert client.response().status == 400 and client.end() in ("fin", "rst")
    assert not origin.requests


# ---- left alone -----------------------------------------------------------------------------------


FOREIGN = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a zero": b"\0",
    "empty lines": b"\r\n\r\n\r\n\r\n\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "HTTP/0.9": b"GET /\r\n",
    "no version": b"GET / FTP/1.1\r\n\r\n",
    "SMTP": b"EHLO a.test\r\n",
    "another Host": head(host="other.example"),
    "no Host": head(host=None),
    "no Host of HTTP/1.0": head(host=None, version="1.0"),
    "two Hosts": head("/", "Host: AUTHORITY", host="AUTHORITY"),
    "an empty Host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "another port": head(host="127.0.0.1:1"),
    "another absolute form": head("http://other.example/", host="AUTHORITY"),
    "https": head("https://AUTHORITY/", host="AUTHORITY"),
    "a WebSocket": head("/ws", "Connection: Upgrade", "Upgrade: websocket", host="AUTHORITY"),
    "h2c": head("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA", host="AUTHORITY"),
    "a tunnel": head("AUTHORITY", host="AUTHORITY", method="CONNECT"),
    "two lengths": head("/", "Content-Length: 1", "Content-Length: 2", host="AUTHORITY") + b"xy",
    "length and coding": head("/", "Content-Length: 3", "Transfer-Encoding: chunked", host="AUTHORITY") + b"0\r\n\r\n",
    "an odd coding": head("/", "Transfer-Encoding: gzip, chunked", host="AUTHORITY") + b"0\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost: AUTHORITY\r\nX : y\r\n\r\n",
    "a bare LF": b"GET / HTTP/1.1\nHost: AUTHORITY\n\n",
    "an expectation": head("/", "Expect: the-unexpected", host="AUTHORITY"),
    "a long head": head("/", "X: " + "x" * 70_000, host="AUTHORITY"),
    "a long target": b"GET /" + b"x" * 40_000,
}


def echoed(client, sent):
    """What comes back, as long as what was sent."""
    got = b""
    while len(got) < len(sent):
        if not client.stream.buffered():
            client.stream.fill()
        got += client.stream.take(len(client.stream.buffered()))
    return got


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("early", [False, True], ids=["", "with CONNECT"])
def test_other_tongues_pass_unchanged(connect, start_target, data, early):
    """The echo of the first bytes, and of more, is what was sent."""
    target = start_target()
    client = connect()
    data = data.replace(b"AUTHORITY", target.authority.encode())
    if early:
        client.send(connect_bytes(target.authority) + data)
        assert client.message("CONNECT").status == 200
    else:
        open_tunnel(client, target.authority)
        client.send(data)
    assert echoed(client, data) == data
    more = os.urandom(50_000)
    client.send(more)
    assert echoed(client, more) == more
    client.half_close()
    assert client.end() == "fin"


def test_who_waits_for_the_other_end(connect, start_target):
    """No byte of the client's for a while: the origin may be one that speaks first."""
    def greet(connection):
        connection.sendall(b"220 mail.test\r\n")
        assert connection.recv(100) == b"EHLO a\r\n"
        connection.sendall(b"250 ok\r\n")
    client = connect()
    open_tunnel(client, start_target(greet).authority)
    assert client.stream.until(b"\r\n") == b"220 mail.test"
    client.send(b"EHLO a\r\n")
    assert client.stream.until(b"\r\n") == b"250 ok"


@pytest.mark.parametrize("start", [b"", b"GET", b"GET /long/path", b"GET / HTTP/1.1\r\nHost: a"],
                         ids=["nothing", "a word", "part of a line", "part of a head"])
def test_who_sends_no_more(connect, start_target, start):
    """FIN before a whole request: all of it is the origin's, and so is the answer."""
    got = []

    def take(connection):
        data = b""
        while piece := connection.recv(1000):
            data += piece
        got.append(data)
        connection.sendall(b"bye")
        connection.close()
    client = connect()
    open_tunnel(client, start_target(take).authority)
    client.send(start)
    client.half_close()
    client.stream.fill()
    assert client.stream.take(3) == b"bye" and got == [start]


def test_the_beginning_of_a_line_is_waited_for_as_long(connect, start_target):
    client = connect()
    target = start_target()
    open_tunnel(client, target.authority)
    client.send(b"PING")
    assert echoed(client, b"PING") == b"PING"


def test_an_origin_that_is_not_there_is_a_reset(reading, origin):
    proxy = reading()
    origin.refuse()
    with proxy.connect() as client:
        open_tunnel(client, origin.authority)
        client.send(b"\0")
        assert client.end() == "rst"
    proxy.stop()
    line, = [json.loads(line) for line in proxy.log_lines()]
    assert (line["status"], line["outcome"], line["failure"]) == (200, "failed", "origin_refused")


def test_a_client_that_leaves_meanwhile(reading, origin):
    proxy = reading()
    for left in (b"", b"GET", head(host=origin.authority)[:-1]):
        with proxy.connect() as client:
            open_tunnel(client, origin.authority)
            client.send(left)
            client.reset()
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 0, "all have ended")
    assert proxy.stats()["gauges"]["clients"] == 0


# ---- off, and wrong -------------------------------------------------------------------------------


def test_without_the_option_a_tunnel_is_one(start_proxy, origin):
    proxy = start_proxy("connect_ports=*")
    with proxy.connect() as client:
        open_tunnel(client, origin.authority)
        assert ask(client, head(host=origin.authority))["Via"] is None
    assert counters(proxy)["tunnels_read"] == 0


@pytest.mark.long
def test_only_ports_of_the_option(start_proxy, start_origin):
    one, other = start_origin(), start_origin()
    proxy = start_proxy("connect_ports=*", f"tunnel_http={one.port}")
    for origin in (one, other):
        with proxy.connect() as client:
            open_tunnel(client, origin.authority)
            assert (ask(client, head(host=origin.authority))["Via"] is None) == (origin is other)


@pytest.mark.parametrize("options, says", [
    (["tunnel_http=80"], "port 80 is not in connect_ports; add it there"),
    (["tunnel_http=80,8080", "connect_ports=80,443"], "port 8080 is not in connect_ports"),
    (["tunnel_http=8000-8100", "connect_ports=8000-8050,8060-8100"], "port 8051 is not in connect_ports"),
    (["tunnel_http=*", "connect_ports=1-65534"], "port 65535 is not in connect_ports"),
    (["tunnel_http=http"], "http is not a port"),
])
def test_configurations_that_are_refused(options, says):
    ended = run("-t", *(a for option in options for a in ("-o", option)))
    assert ended.returncode == 2 and says in ended.stderr, ended.stderr


@pytest.mark.parametrize("ports", ["80,8080", "8000-8100", "*"])
def test_configurations_that_are_taken(ports):
    assert run("-t", "-o", f"tunnel_http={ports}", "-o", f"connect_ports={ports}").returncode == 0
