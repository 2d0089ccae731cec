"""Where only the end of a connection tells that a transfer is whole, one that was cut ends with an RST."""

import os
import socket
import threading

import pytest

from support.http1 import Closed
from support.origin import CLOSE, NEVER, RESET
from support.proxy import Proxy
from support.rawclient import request_bytes
from support.target import Target, connect_bytes, open_tunnel, reset
from support.tls import Authority, TlsOrigin, close_notify
from support.until import until

MIB = 1024 * 1024
ASK = ["Connection: Upgrade", "Upgrade: echo"]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def module_proxy(tmp_path_factory, authority):
    directory = tmp_path_factory.mktemp("proxy")
    hosts = directory / "hosts"
    hosts.write_text("127.0.0.1 origin.test\n")
    proxy = Proxy(directory, "connect_ports=*", "upgrade=on", f"tls_ca_file={authority.file}",
                  f"hosts_file={hosts}", start=False)
    yield proxy
    proxy.stop()
    proxy.remove()


@pytest.fixture
def target():
    target = Target(Target.silent)
    yield target
    target.close()


@pytest.fixture
def tls_origin(authority):
    origin = TlsOrigin(authority.issue("DNS:origin.test"))
    yield origin
    origin.close()


def how_it_ends(sock):
    """"fin" or "rst", whatever comes before."""
    sock.settimeout(5)
    try:
        while sock.recv(262144):
            pass
    except ConnectionResetError:
        return "rst"
    return "fin"


def through(proxy, client, target):
    open_tunnel(client, target.authority)
    return target.wait_connections(1)[0]


def move(sender, receiver, size):
    """So much from one to the other."""
    thread = threading.Thread(target=sender.sendall, args=(bytes(size),), daemon=True)
    thread.start()
    got = 0
    while got < size:
        got += len(receiver.recv(min(262144, size - got)))
    thread.join()


# Tunnels, and with so much moved that the kernel moves the rest

@pytest.mark.parametrize("moved", [0, 1, 4 * MIB])
@pytest.mark.parametrize("who", ["client", "target"])
def test_reset_in_a_tunnel(proxy, connect, target, who, moved):
    client = connect()
    end = through(proxy, client, target)
    leaver, other = (client.sock, end) if who == "client" else (end, client.sock)
    move(leaver, other, moved)
    reset(leaver)
    assert how_it_ends(other) == "rst"


@pytest.mark.parametrize("who", ["client", "target"])
def test_reset_after_the_other_said_fin(proxy, connect, target, who):
    """What it still waits for was cut."""
    client = connect()
    end = through(proxy, client, target)
    leaver, other = (client.sock, end) if who == "client" else (end, client.sock)
    other.shutdown(socket.SHUT_WR)
    assert leaver.recv(1) == b""
    leaver.sendall(b"some")
    assert other.recv(4) == b"some"
    reset(leaver)
    assert how_it_ends(other) == "rst"


def test_reset_of_one_who_is_not_read(proxy, connect, target):
    """The client takes nothing, so nothing is read of the target; it sees the RST when it goes on."""
    client = connect(receive_buffer=64 * 1024)
    end = through(proxy, client, target)
    end.settimeout(0.3)
    with pytest.raises(TimeoutError):
        while True:
            end.send(bytes(65536))
    reset(end)
    assert how_it_ends(client.sock) == "rst"


@pytest.mark.parametrize("who", ["client", "target"])
def test_reset_through_a_parent(start_proxy, tmp_path, target, who):
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 origin.test\n")
    parent = start_proxy("pseudonym=parent", "connect_ports=*", f"hosts_file={hosts}")
    child = start_proxy(f"parent=http://127.0.0.1:{parent.port}", "connect_ports=*")
    with child.connect() as client:
        open_tunnel(client, f"origin.test:{target.port}")
        end = target.wait_connections(1)[0]
        leaver, other = (client.sock, end) if who == "client" else (end, client.sock)
        move(leaver, other, 1000)
        reset(leaver)
        assert how_it_ends(other) == "rst"


def test_fin_by_both_is_a_clean_end(proxy, connect, target):
    client = connect()
    end = through(proxy, client, target)
    thread = threading.Thread(target=lambda: (end.sendall(bytes(4 * MIB)), end.close()), daemon=True)
    client.half_close()
    thread.start()
    got = 0
    while data := client.sock.recv(262144):
        got += len(data)
    assert got == 4 * MIB


@pytest.mark.parametrize("signal", ["terminate", "kill9"])
def test_tunnel_that_ends_with_the_proxy(start_proxy, target, signal):
    proxy = start_proxy("connect_ports=*", "drain_timeout=200ms")
    client = proxy.connect()
    end = through(proxy, client, target)
    move(end, client.sock, 1000)
    getattr(proxy, signal)()
    assert how_it_ends(client.sock) == how_it_ends(end) == "rst"


def fin_without_tls(connection, how=socket.SHUT_RDWR):
    """The socket stays open: its number must not become another's while TLS still reads from it."""
    with socket.socket(fileno=os.dup(connection.sock.fileno())) as same:
        same.shutdown(how)


# Upgrades, over TLS as well

def upgraded(client, origin):
    client.request("GET", origin.url("/ws"), *ASK)
    assert client.message().status == 101


@pytest.mark.parametrize("how, end", [("reset", "rst"), ("truncate", "rst"), ("close_notify", "fin")])
def test_end_of_an_upgrade_over_tls(proxy, connect, tls_origin, how, end):
    steps = {"reset": RESET, "close_notify": close_notify,
             "truncate": lambda connection: fin_without_tls(connection, socket.SHUT_WR)}
    client = connect()
    tls_origin.on("/ws", [SWITCH + b"data", steps[how]])
    upgraded(client, tls_origin)
    if how == "close_notify":
        client.half_close()
    assert how_it_ends(client.sock) == end


def test_client_that_resets_an_upgrade_over_tls(proxy, connect, tls_origin):
    """No close_notify: that would say that all was said."""
    ends = []

    def watch(connection):
        try:
            ends.append(connection.sock.recv(1))
        except OSError as error:
            ends.append(error)

    tls_origin.on("/ws", [SWITCH, watch])
    client = connect()
    upgraded(client, tls_origin)
    client.reset()
    until(lambda: ends, "it is told")
    assert isinstance(ends[0], OSError), ends


@pytest.mark.parametrize("who", ["client", "origin"])
def test_reset_of_an_upgrade(proxy, connect, origin, who):
    ends = []
    origin.on("/ws", [SWITCH, RESET] if who == "origin" else
              [SWITCH, lambda connection: ends.append(how_it_ends(connection.sock))])
    client = connect()
    upgraded(client, origin)
    if who == "origin":
        assert how_it_ends(client.sock) == "rst"
    else:
        client.reset()
        until(lambda: ends, "it is told")
        assert ends == ["rst"]


# Answers whose end is the end of the connection: only HTTP/1.0 clients get these

UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n"


def ask_1_0(client, url):
    client.send(request_bytes("GET", url, version="1.0"))
    client.stream.until(b"\r\n\r\n")


@pytest.mark.parametrize("head", [UNTIL_CLOSE, CHUNKED], ids=["until close", "chunked"])
def test_answer_that_the_origin_cuts(proxy, connect, origin, head):
    origin.on("/x", [head + b"x" * 1000, RESET])
    client = connect()
    ask_1_0(client, origin.url("/x"))
    assert how_it_ends(client.sock) == "rst"


def test_answer_that_tls_cuts(proxy, connect, tls_origin):
    tls_origin.on("/x", [UNTIL_CLOSE + b"x" * 1000, fin_without_tls])
    client = connect()
    ask_1_0(client, tls_origin.url("/x"))
    assert how_it_ends(client.sock) == "rst"
    with connect() as client:
        assert not client.get(tls_origin.url("/x")).complete


@pytest.mark.parametrize("signal", ["terminate", "kill9"])
@pytest.mark.parametrize("head", [UNTIL_CLOSE, CHUNKED], ids=["until close", "chunked"])
def test_answer_that_ends_with_the_proxy(start_proxy, origin, head, signal):
    proxy = start_proxy("drain_timeout=200ms")
    origin.on("/x", [head + b"x" * 1000, NEVER])
    client = proxy.connect()
    ask_1_0(client, origin.url("/x"))
    client.stream.until(b"x" * 1000)
    getattr(proxy, signal)()
    assert how_it_ends(client.sock) == "rst"


@pytest.mark.parametrize("half_closed", [False, True])
def test_answer_that_is_whole(proxy, connect, origin, half_closed):
    origin.on("/x", [UNTIL_CLOSE + b"x" * MIB, CLOSE])
    client = connect()
    client.send(request_bytes("GET", origin.url("/x"), version="1.0"))
    if half_closed:
        client.half_close()
    answer = client.response()
    assert answer.complete and len(answer.body) == MIB
    with pytest.raises(Closed) as end:
        client.stream.fill()
    assert end.value.how == "fin"


def test_client_that_leaves_a_tunnel_not_yet_open(proxy, connect, target):
    """Its early bytes are no transfer: the target sees nothing of it."""
    client = connect()
    client.send(connect_bytes(target.authority) + b"early")
    client.reset()
    for connection in target.connections:
        assert how_it_ends(connection) == "rst"
