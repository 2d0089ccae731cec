"""Another protocol, asked for by Upgrade: passed on only by option, and then as a tunnel."""

import json
import threading

import pytest

from support.http1 import Closed
from support.origin import respond
from support.proxy import Proxy
from support.rawclient import request_bytes
from support.target import until

ASK = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
       "Sec-WebSocket-Version: 13"]
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nKeep-Alive: 5\r\n\r\n")


@pytest.fixture(scope="module")
def module_proxy(worker_count, tmp_path_factory):
    """Like the others, but with the option."""
    proxy = Proxy(tmp_path_factory.mktemp("proxy"), "upgrade=on", start=False)
    yield proxy
    proxy.stop()
    proxy.remove()


def echo(connection):
    """A step of an origin: all bytes back, until FIN."""
    if buffered := connection.stream.buffered():
        connection.sock.sendall(connection.stream.take(len(buffered)))
    while data := connection.sock.recv(65536):
        connection.sock.sendall(data)


def upgraded(client):
    answer = client.message()
    assert answer.status == 101
    return answer


def test_both_sides_speak_the_other_protocol(client, origin):
    origin.on("/ws", [SWITCH, echo])
    client.request("GET", origin.url("/ws"), *ASK)
    answer = upgraded(client)
    assert (answer["Upgrade"], answer["Connection"]) == ("websocket", "Upgrade")
    assert answer["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer["Via"] == "1.1 cache204" and "Keep-Alive" not in answer.fields
    assert origin.last.fields.all("Upgrade") == ["websocket"]
    assert origin.last.fields.members("Connection") == ["upgrade"]
    assert origin.last.fields.get("Sec-WebSocket-Version") == "13"
    for data in (b"\x81\x05hello", b"\x00" * 100_000, b"GET / HTTP/1.1\r\n\r\n"):
        client.send(data)
        assert client.stream.exactly(len(data)) == data
    client.half_close()
    assert client.end() == "fin"


def test_bytes_right_behind_the_101(client, origin):
    origin.on("/ws", [SWITCH + b"first frame", echo])
    client.request("GET", origin.url("/ws"), *ASK)
    upgraded(client)
    assert client.stream.exactly(11) == b"first frame"


def test_bytes_before_the_101(client, origin):
    """A client that does not wait: what it sends belongs to the other protocol, or is no request."""
    go = threading.Event()
    origin.on("/ws", [go, SWITCH, echo])
    client.send(request_bytes("GET", origin.url("/ws"), *ASK) + b"early")
    origin.wait_requests(1)
    go.set()
    upgraded(client)
    assert client.stream.exactly(5) == b"early"


def test_large_transfer(client, origin):
    origin.on("/ws", [SWITCH, echo])
    client.request("GET", origin.url("/ws"), *ASK)
    upgraded(client)
    data = bytes(range(256)) * 32768  # 8 MiB
    sender = threading.Thread(target=client.send, args=(data,), daemon=True)
    sender.start()
    assert client.stream.exactly(len(data)) == data
    sender.join(5)


@pytest.mark.parametrize("status", [200, 403, 426])
def test_any_other_answer_is_an_ordinary_one(client, origin, status):
    origin.on("/ws", respond(status, "Upgrade: other", body=b"no"))
    answer = client.get(origin.url("/ws"), *ASK)
    assert answer.body == b"no"
    assert "Upgrade" not in answer.fields
    assert client.get(origin.url("/after")).status == 204
    assert len(origin.connections) == 1  # kept


def test_204_to_it_is_not_stored(client, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    for _ in range(2):
        answer = client.get(origin.url("/ws"), *ASK)
        assert not answer.stored and not answer.hit
    assert client.get(origin.url("/ws")).fwd == "uri-miss"


def test_it_is_not_answered_from_the_store(client, origin):
    origin.on("/ws", respond(204, "Cache-Control: max-age=60"), [SWITCH, echo])
    assert client.get(origin.url("/ws")).stored
    client.request("GET", origin.url("/ws"), *ASK)
    upgraded(client)


BAD_SWITCHES = {
    "another protocol": b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "no protocol": b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n",
    "two protocols": b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_SWITCHES)
def test_change_to_what_was_not_asked_for(client, origin, name):
    origin.on("/ws", [BAD_SWITCHES[name] + b"frames"])
    client.request("GET", origin.url("/ws"), *ASK)
    answer = client.response()
    assert answer.status == 502 and "error=http_upgrade_failed" in answer["Proxy-Status"]
    assert client.end() == "fin"
    origin.wait_all_closed()


ORDINARY = {
    "h2c": (["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"], "1.1"),
    "h2c among others": (["Connection: Upgrade", "Upgrade: websocket, h2c"], "1.1"),
    "not nominated": (["Upgrade: websocket"], "1.1"),
    "no Upgrade": (["Connection: Upgrade"], "1.1"),
    "HTTP/1.0": (["Connection: Upgrade", "Upgrade: websocket"], "1.0"),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_what_asks_for_nothing_that_is_passed_on(connect, origin, name):
    """Clients offer h2c with whatever they ask: that must hit like anything else."""
    fields, version = ORDINARY[name]
    origin.default = respond(204, "Cache-Control: max-age=60")
    assert connect().ask("GET", origin.url("/a"), *fields, version=version).stored
    assert connect().ask("GET", origin.url("/a"), *fields, version=version).hit
    assert "Upgrade" not in origin.last.fields and "HTTP2-Settings" not in origin.last.fields


@pytest.mark.parametrize("fields", [ASK, ORDINARY["h2c"][0]])
def test_without_the_option_it_is_a_request_like_any_other(start_proxy, origin, fields):
    origin.default = respond(204, "Cache-Control: max-age=60")
    with start_proxy().connect() as client:
        assert client.get(origin.url("/a"), *fields).stored
        assert client.get(origin.url("/a"), *fields).hit
        assert client.get(origin.url("/a")).hit
    assert "Upgrade" not in origin.last.fields and "Connection" not in origin.last.fields


def test_post_is_no_such_request(client, origin):
    client.ask("POST", origin.url("/p"), *ASK, body=b"hello")
    assert "Upgrade" not in origin.last.fields
    assert origin.last.body == b"hello"


@pytest.mark.parametrize("who", ["client", "origin"])
def test_reset_ends_both_sides(proxy, connect, origin, who):
    origin.on("/ws", [SWITCH, lambda connection: connection.sock.recv(1)])
    client = connect()
    client.request("GET", origin.url("/ws"), *ASK)
    upgraded(client)
    if who == "client":
        client.reset()
    else:
        origin.connections[0].abort()
        with pytest.raises(Closed):
            client.stream.fill()
        client.close()
    origin.wait_all_closed()
    until(lambda: proxy.stats()["gauges"]["tunnels_open"] == 0, "the tunnel stays")


def test_client_that_leaves_before_the_101(connect, origin):
    go = threading.Event()
    origin.on("/ws", [go, SWITCH, echo])
    client = connect()
    client.request("GET", origin.url("/ws"), *ASK)
    origin.wait_requests(1)
    client.reset()
    go.set()
    origin.wait_all_closed()


def test_it_counts_as_a_tunnel(start_proxy, origin):
    origin.on("/ws", [SWITCH, echo])
    proxy = start_proxy("upgrade=on", "tunnels_max=1")
    with proxy.connect() as client, proxy.connect() as other:
        client.request("GET", origin.url("/ws"), *ASK)
        upgraded(client)
        assert proxy.stats()["gauges"]["tunnels_open"] == 1
        answer = other.get(origin.url("/ws"), *ASK)
        assert answer.status == 503 and int(answer["Retry-After"]) > 0
    until(lambda: proxy.stats()["gauges"]["tunnels_open"] == 0, "the tunnel stays")
    gauges = proxy.stats()["gauges"]
    assert (gauges["origins"], gauges["origins_idle"]) == (0, 0)
    proxy.stop()
    entries = [json.loads(line) for line in proxy.log_lines()]
    entry, = [e for e in entries if e["outcome"] == "tunnel"]
    assert entry["status"] == 101 and entry["origin"] == origin.authority


def test_idle_one_is_closed(start_proxy, origin):
    origin.on("/ws", [SWITCH, echo])
    with start_proxy("upgrade=on", "tunnel_timeout=300ms").connect() as client:
        client.request("GET", origin.url("/ws"), *ASK)
        upgraded(client)
        client.end()
    origin.wait_all_closed()


