"""CONNECT: bytes both ways, whole and unchanged, and an end that both sides see."""

import hashlib
import json
import os
import socket
import threading
import time

import pytest

from support.nameserver import NameServer
from support.proxy import Proxy
from support.target import WAIT, Target, connect_bytes, open_tunnel, reset, until

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def module_proxy(worker_count, tmp_path_factory):
    """Like the others, but tunnels lead everywhere."""
    proxy = Proxy(tmp_path_factory.mktemp("proxy"), "connect_ports=*", start=False)
    yield proxy
    proxy.stop()
    proxy.remove()


@pytest.fixture
def tunnel(connect, start_target):
    """Both ends of one, with nothing said yet."""
    target = start_target(Target.silent)
    client = connect()
    open_tunnel(client, target.authority)
    return client, target.wait_connections(1)[0]


def closed(sock):
    """How the connection ended, after which bytes."""
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        return "rst", data
    return "fin", data


# Beginning

def test_answer_has_no_body_and_no_length(connect, start_target):
    target = start_target()
    client = connect()
    open_tunnel(client, target.authority)
    assert bytes(client.stream.raw) == b"HTTP/1.1 200 OK\r\n\r\n"


def test_bytes_sent_with_the_request_arrive_once(connect, start_target):
    target = start_target()
    client = connect()
    client.send(connect_bytes(target.authority) + b"early")
    assert client.message("CONNECT").status == 200
    assert client.stream.exactly(5) == b"early"
    client.send(b"late")
    assert client.stream.exactly(4) == b"late"
    assert client.is_open()


def test_many_early_bytes(connect, start_target):
    """More than is kept: the rest waits in the sockets."""
    target = start_target()
    client = connect()
    data = os.urandom(4 * MIB)
    sender = threading.Thread(target=client.send, args=(connect_bytes(target.authority) + data,), daemon=True)
    sender.start()
    assert client.message("CONNECT").status == 200
    assert client.stream.exactly(len(data)) == data
    sender.join(WAIT)


def test_request_byte_by_byte(connect, start_target):
    target = start_target()
    client = connect()
    client.send_bytewise(connect_bytes(target.authority))
    assert client.message("CONNECT").status == 200


def test_target_that_speaks_first(connect, start_target):
    target = start_target(lambda connection: connection.sendall(b"220 hello\r\n"))
    client = connect()
    open_tunnel(client, target.authority)
    assert client.stream.exactly(11) == b"220 hello\r\n"


def test_http10_client(connect, start_target):
    target = start_target()
    client = connect()
    client.send(f"CONNECT {target.authority} HTTP/1.0\r\n\r\n".encode())
    assert client.message("CONNECT").status == 200
    client.send(b"ping")
    assert client.stream.exactly(4) == b"ping"


def test_nothing_of_the_head_enters_the_tunnel(tunnel):
    client, end = tunnel
    client.send(b"first")
    assert end.recv(100) == b"first"


def test_after_other_requests_of_the_connection(connect, start_target, origin):
    target = start_target()
    client = connect()
    assert client.get(origin.url()).status == 204
    open_tunnel(client, target.authority)
    client.send(b"x")
    assert client.stream.exactly(1) == b"x"


def test_what_looks_like_a_request_is_not_one(tunnel, origin):
    client, end = tunnel
    data = f"GET {origin.url()} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    client.send(data)
    assert end.recv(1000) == data
    assert not origin.connections


# Failures

def assert_refused(client, authority, status, error):
    client.send(connect_bytes(authority) + b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = client.response("CONNECT")
    assert answer.status == status
    assert f"error={error}" in answer["Proxy-Status"]
    assert client.end() == "fin"  # what followed was no request


def test_target_that_refuses(connect, start_target):
    target = start_target()
    target.close()
    assert_refused(connect(), target.authority, 502, "connection_refused")


def test_no_answer_before_the_connection_stands(start_proxy):
    names = NameServer({"silent.test": None})
    proxy = start_proxy("connect_ports=*", f"resolvers={names.address}", "dns_timeout=600ms")
    with proxy.connect() as client:
        client.send(connect_bytes("silent.test:443"))
        assert not client.readable(0.3)
        assert client.response("CONNECT").status == 504
    with proxy.connect() as client:
        assert_refused(client, "nowhere.test:443", 502, "dns_error")
    names.close()


def test_target_that_does_not_answer(start_proxy):
    """A listener whose backlog is full: a SYN gets no answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        with start_proxy("connect_ports=*", "connect_timeout=400ms").connect() as client:
            assert_refused(client, "127.0.0.1:%d" % listener.getsockname()[1], 504, "connection_timeout")
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("port", [22, 25, 53, 80, 3306, 8443])
def test_ports_but_443_are_refused_by_default(start_proxy, port):
    with start_proxy().connect() as client:
        assert_refused(client, f"127.0.0.1:{port}", 403, "http_request_denied")


@pytest.mark.parametrize("port", [80, 8080])
def test_refused_tunnel_for_plain_http_says_what_to_do(start_proxy, port):
    """Node's undici asks for one unless it is told not to: its user finds the reason in answer and log."""
    proxy = start_proxy()
    with proxy.connect() as client:
        client.send(connect_bytes(f"127.0.0.1:{port}"))
        answer = client.response()
    assert answer.status == 403
    for text in (answer.body.decode(), proxy.errors()):
        assert "connect_ports" in text and "proxyTunnel: false" in text, text
    assert f"denied_tunnel: 127.0.0.1:{port} for client 127.0.0.1" in proxy.errors()


def test_ports_of_the_option(start_proxy, start_target):
    target, other = start_target(), start_target()
    proxy = start_proxy(f"connect_ports=443,{target.port}")
    with proxy.connect() as client:
        open_tunnel(client, target.authority)
    with proxy.connect() as client:
        assert_refused(client, other.authority, 403, "http_request_denied")
    assert not other.connections


def test_client_that_leaves_before_it_stands(start_proxy):
    names = NameServer({"silent.test": None})
    proxy = start_proxy("connect_ports=*", f"resolvers={names.address}", "dns_timeout=10s")
    client = proxy.connect()
    client.send(connect_bytes("silent.test:443") + b"early")
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 1, "no exchange")
    client.reset()
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 0, "the exchange stays")
    names.close()


# Ends

def test_client_says_fin_first(tunnel):
    client, end = tunnel
    client.send(b"question")
    client.half_close()
    assert closed(end) == ("fin", b"question")
    end.sendall(b"answer")
    end.close()
    assert client.stream.exactly(6) == b"answer"
    assert client.end() == "fin"


def test_target_says_fin_first(tunnel):
    client, end = tunnel
    end.sendall(b"answer")
    end.shutdown(1)
    assert client.stream.exactly(6) == b"answer"
    assert client.end() == "fin"
    client.send(b"after all")
    client.half_close()
    assert closed(end) == ("fin", b"after all")


def test_fin_with_the_request(connect, start_target):
    """A client that will say no more, before the tunnel stands."""
    target = start_target()
    client = connect()
    client.send(connect_bytes(target.authority) + b"all")
    client.half_close()
    assert client.message("CONNECT").status == 200
    assert client.stream.exactly(3) == b"all"
    assert client.end() == "fin"


@pytest.mark.parametrize("who", ["client", "target"])
def test_reset_ends_both_sides(proxy, tunnel, who):
    client, end = tunnel
    before = proxy.stats()["gauges"]["tunnels_open"]
    if who == "client":
        client.reset()
        assert closed(end) == ("rst", b"")
    else:
        reset(end)
        assert client.end() == "rst"
    until(lambda: proxy.stats()["gauges"]["tunnels_open"] < before, "the tunnel stays")


@pytest.mark.long
def test_idle_tunnel_is_closed(start_proxy, start_target):
    target = start_target()
    client = start_proxy("connect_ports=*", "tunnel_timeout=2s").connect()
    open_tunnel(client, target.authority)
    for _ in range(3):  # whoever speaks is not idle
        time.sleep(0.8)
        began = time.monotonic()
        client.send(b"x")
        assert client.stream.exactly(1) == b"x"
    assert client.end() == "rst"  # what it was told may be a part only
    assert time.monotonic() - began > 1.9


def test_slow_tunnel_is_let_be(start_proxy, start_target):
    """The least rate is one of bodies."""
    target = start_target()
    client = start_proxy("connect_ports=*", "body_timeout=200ms", "body_rate=1KiB").connect()
    open_tunnel(client, target.authority)
    for _ in range(10):
        time.sleep(0.08)
        client.send(b"x")
        assert client.stream.exactly(1) == b"x"


def test_tunnels_are_kept_until_drain_timeout(start_proxy, start_target):
    target = start_target()
    proxy = start_proxy("connect_ports=*", "drain_timeout=1s")
    client = proxy.connect()
    open_tunnel(client, target.authority)
    proxy.terminate()
    until(lambda: "going down" in proxy.errors(), "it drains")
    client.send(b"x")
    assert client.stream.exactly(1) == b"x"
    proxy.wait()
    assert "drain_timeout is over" in proxy.errors()
    client.end()


# Load

def hashing_source(size, seed):
    block = hashlib.sha256(seed).digest() * 2048  # 64 KiB
    digest = hashlib.sha256()
    for at in range(0, size, len(block)):
        piece = block[:size - at]
        digest.update(piece)
        yield piece
    yield digest.digest()


def exchange_many(client, end, up, down):
    """Both ways at once; the digests are compared at each far end."""
    failed = []

    def send(sock, size, seed):
        *pieces, digest = hashing_source(size, seed)
        for piece in pieces:
            sock.sendall(piece)
        sock.shutdown(1)
        return digest

    def receive(sock, size, seed):
        digest, got = hashlib.sha256(), 0
        while data := sock.recv(262144):
            digest.update(data)
            got += len(data)
        *_, expected = hashing_source(size, seed)
        if (got, digest.digest()) != (size, expected):
            failed.append((seed, got))

    tasks = [(send, client.sock, up, b"up"), (receive, end, up, b"up"),
             (send, end, down, b"down"), (receive, client.sock, down, b"down")]
    threads = [threading.Thread(target=task, args=arguments, daemon=True) for task, *arguments in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "the transfer hangs"
    assert not failed


@pytest.mark.one_worker("counts the descriptors of the process")
@pytest.mark.parametrize("up, down", [(24 * MIB + 1, 24 * MIB + 7), (40 * MIB, 0), (0, 40 * MIB), (511 * 1024, 513 * 1024)])
def test_large_transfers_arrive_whole(proxy, tunnel, up, down):
    descriptors = f"/proc/{proxy.worker}/fd"
    client, end = tunnel
    before = len(os.listdir(descriptors))
    exchange_many(client, end, up, down)
    until(lambda: len(os.listdir(descriptors)) <= before - 2, lambda: f"{len(os.listdir(descriptors))} of {before}")


def test_many_tunnels_at_once(proxy, connect, start_target):
    target = start_target()
    clients = [connect() for _ in range(100)]
    for n, client in enumerate(clients):
        open_tunnel(client, target.authority)
        client.send(b"%d." % n)
    assert [client.stream.until(b".") for client in clients] == [b"%d" % n for n in range(100)]
    assert proxy.stats()["gauges"]["tunnels_open"] >= 100


def test_side_that_does_not_take_stops_the_other(proxy, tunnel):
    client, end = tunnel
    before = proxy.memory()
    sent = 0
    end.setblocking(False)
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 0.5:
        try:
            sent += end.send(bytes(65536))
            quiet_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
        assert sent < 100 * MIB, "the proxy takes without end"
    assert proxy.grew_less_than(8 * MIB, before)
    client.reset()


# What is told of it

def test_access_log(start_proxy, start_target):
    target = start_target()
    proxy = start_proxy("connect_ports=*")
    with proxy.connect() as client:
        open_tunnel(client, target.authority)
        client.send(b"x" * 1000)
        assert client.stream.exactly(1000) == b"x" * 1000
    until(lambda: proxy.stats()["gauges"]["tunnels_open"] == 0, "the tunnel stays")
    proxy.stop()
    entry, = [e for e in map(json.loads, proxy.log_lines()) if e["method"] == "CONNECT"]
    assert (entry["status"], entry["outcome"], entry["target"]) == (200, "tunnel", target.authority)
    assert entry["origin"] == target.authority
    assert entry["bytes_in"] >= 1000 and entry["bytes_out"] == len("HTTP/1.1 200 OK\r\n\r\n") + 1000
