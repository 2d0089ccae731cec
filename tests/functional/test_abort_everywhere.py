"""Either peer goes away, by FIN or RST, at every stage: nothing is left open, stored or taken for whole."""

import threading

import pytest

from support.http1 import Closed
from support.nameserver import NameServer
from support.origin import CLOSE, NEVER, READ_BODY, RESET, chunked, respond
from support.proxy import Proxy
from support.rawclient import request_bytes
from support.target import Target, connect_bytes, open_tunnel, reset, until

MIB = 1024 * 1024
SMALL = 64 * 1024


@pytest.fixture(scope="module")
def names():
    server = NameServer({"silent.test": None})
    yield server
    server.close()


@pytest.fixture(scope="module")
def module_proxy(worker_count, tmp_path_factory, names):
    """Deadlines are short, for what may wait for them."""
    proxy = Proxy(tmp_path_factory.mktemp("proxy"), "connect_ports=*", f"resolvers={names.address}", "dns_timeout=1s",
                  "body_timeout=2s", "upgrade=on", start=False)
    yield proxy
    proxy.stop()
    proxy.remove()


@pytest.fixture
def target():
    target = Target(Target.silent)
    yield target
    target.close()


def is_clean(proxy):
    """Nothing but who asks, and what is kept."""
    gauges = proxy.stats()["gauges"]
    return (gauges["clients"], gauges["exchanges"], gauges["tunnels_open"], gauges["refusals"]) == (0, 0, 0, 0) \
        and gauges["origins"] == gauges["origins_idle"]


def assert_clean(proxy, origin):
    until(lambda: is_clean(proxy), lambda: f"left over: {proxy.stats()['gauges']}")
    with proxy.connect() as client:
        assert client.get(origin.url("/after")).status == 204


# The client goes away

def post(origin, length=1000):
    return f"POST {origin.url('/x')} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode()


class Stage:
    """What has happened when the client leaves: client stages get the client, the origin and a
    target."""

    @staticmethod
    def connected(client, origin, target):
        pass

    @staticmethod
    def in_request_line(client, origin, target):
        client.send(b"GET http://127.0.0.1")

    @staticmethod
    def in_head(client, origin, target):
        client.send(request_bytes("GET", origin.url())[:-1])

    @staticmethod
    def waiting_for_a_name(client, origin, target):
        client.send(request_bytes("GET", "http://silent.test/"))

    @staticmethod
    def waiting_for_a_head(client, origin, target):
        origin.on("/x", [NEVER])
        client.request("GET", origin.url("/x"))
        origin.wait_requests(1)

    @staticmethod
    def waiting_with_the_last_request(client, origin, target):
        origin.on("/x", [NEVER])
        client.request("GET", origin.url("/x"), "Connection: close")
        origin.wait_requests(1)

    @staticmethod
    def waiting_behind_another(client, origin, target):
        origin.on("/x", [NEVER])
        for _ in range(2):
            client.request("GET", origin.url("/x"))
        origin.wait_requests(1)

    @staticmethod
    def in_body(client, origin, target):
        client.send(post(origin) + b"half")
        origin.wait_heads(1)

    @staticmethod
    def in_chunk(client, origin, target):
        client.send(f"POST {origin.url('/x')} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe".encode())
        origin.wait_heads(1)

    @staticmethod
    def before_the_last_chunk(client, origin, target):
        client.send(f"POST {origin.url('/x')} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".encode())
        origin.wait_heads(1)

    @staticmethod
    def body_that_is_not_taken(client, origin, target):
        origin.on("/x", [lambda connection: threading.Event().wait(4), NEVER], early=True)
        client.send(post(origin, 64 * MIB))
        origin.wait_heads(1)
        client.sock.settimeout(0.3)
        with pytest.raises(OSError):
            while True:
                client.send(bytes(MIB))

    @staticmethod
    def expecting_100(client, origin, target):
        origin.on("/x", [NEVER], early=True)
        client.send(f"PUT {origin.url('/x')} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n".encode())
        origin.wait_heads(1)

    @staticmethod
    def in_answer(client, origin, target):
        origin.on("/x", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome", NEVER])
        client.request("GET", origin.url("/x"))
        client.stream.until(b"some")

    @staticmethod
    def in_answer_not_taken(client, origin, target):
        origin.on("/x", [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB), *[bytes(MIB)] * 64])
        client.request("GET", origin.url("/x"))
        client.stream.until(b"\r\n\r\n")

    @staticmethod
    def between_requests(client, origin, target):
        assert client.get(origin.url()).status == 204

    @staticmethod
    def with_requests_ahead(client, origin, target):
        origin.on("/x", [NEVER])
        client.send(b"".join(request_bytes("GET", origin.url("/x")) for _ in range(10)))
        origin.wait_requests(1)

    @staticmethod
    def after_a_refusal(client, origin, target):
        client.send(b"rubbish\r\n\r\n")
        assert client.response().status == 400

    @staticmethod
    def tunnel_not_yet_open(client, origin, target):
        client.send(connect_bytes("silent.test:443") + b"early")

    @staticmethod
    def tunnel_open(client, origin, target):
        open_tunnel(client, target.authority)
        target.wait_connections(1)

    @staticmethod
    def tunnel_at_work(client, origin, target):
        open_tunnel(client, target.authority)
        threading.Thread(target=flood, args=(target.wait_connections(1)[0],), daemon=True).start()
        client.stream.exactly(2 * MIB)

    @staticmethod
    def upgrade_asked(client, origin, target):
        origin.on("/x", [NEVER])
        client.request("GET", origin.url("/x"), "Connection: upgrade", "Upgrade: websocket")
        origin.wait_requests(1)


def flood(connection):
    try:
        while True:
            connection.sendall(bytes(65536))
    except OSError:
        pass


CLIENT_STAGES = [name for name in vars(Stage) if not name.startswith("_")]


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("stage", CLIENT_STAGES)
def test_client_leaves(proxy, start_origin, target, stage, how):
    origin = start_origin(send_buffer=SMALL, receive_buffer=SMALL)
    client = proxy.connect(receive_buffer=SMALL)
    getattr(Stage, stage)(client, origin, target)
    if how == "rst":
        client.reset()
    else:
        client.close()
        # who only says FIN may still want its answer: the origin ends that
        origin.refuse()
        for connection in target.connections:
            connection.close()
    assert_clean(proxy, start_origin())
    assert not [r for r in origin.requests if r.method in ("POST", "PUT")]  # none was complete


# The origin goes away

HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
KEPT = respond(204, "Cache-Control: max-age=6000")

ORIGIN_STAGES = {  # what it has sent, and whether the client may have a status then
    "nothing": ([], False),
    "in the status line": ([b"HTTP/1.1 20"], False),
    "after the status line": ([b"HTTP/1.1 204 No Content\r\n"], False),
    "in the head": ([HEAD], False),
    "in the head of a 204": ([KEPT[:-2]], False),
    "before the last byte of a 204": ([KEPT[:-1]], False),
    "after an interim answer": ([b"HTTP/1.1 103 Early Hints\r\n\r\n"], False),
    "in an interim answer": ([b"HTTP/1.1 103 Early Hints\r\nLink: </a>"], False),
    "after the head": ([HEAD + b"Content-Length: 5\r\n\r\n"], True),
    "in the body": ([HEAD + b"Content-Length: 5\r\n\r\nhel"], True),
    "before the last byte": ([HEAD + b"Content-Length: 500000\r\n\r\n" + b"x" * 499_999], True),
    "after a chunked head": ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n"], True),
    "in a chunk size": ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n5"], True),
    "in a chunk": ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"], True),
    "before the last chunk": ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"hello")[:-5]], True),
    "in the last chunk": ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"hello")[:-2]], True),
}


@pytest.mark.parametrize("how", [CLOSE, RESET], ids=["fin", "rst"])
@pytest.mark.parametrize("stage", ORIGIN_STAGES)
def test_origin_leaves(proxy, connect, origin, stage, how):
    sent, may_begin = ORIGIN_STAGES[stage]
    origin.on("/x", [*sent, how])
    for _ in range(2):  # also when a second one asks: nothing was stored
        client = connect()
        answer = client.get(origin.url("/x"))
        if answer.status == 502:
            assert answer.complete and "error=" in answer["Proxy-Status"]
        else:
            assert may_begin and not answer.complete
        client.close()
    assert len([r for r in origin.requests if r.target == "/x"]) >= 2
    assert_clean(proxy, origin)


@pytest.mark.parametrize("how", [CLOSE, RESET], ids=["fin", "rst"])
def test_origin_leaves_while_idle(proxy, connect, origin, how):
    origin.on("/x", [KEPT, how], KEPT)
    with connect() as client:
        assert client.get(origin.url("/x")).status == 204
        origin.wait_all_closed()
        assert client.get(origin.url("/y")).status == 204
    assert_clean(proxy, origin)


@pytest.mark.parametrize("how", [CLOSE, RESET], ids=["fin", "rst"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_origin_leaves_during_an_upload(proxy, connect, start_origin, framing, how):
    """The answer may come or not; the client is not left waiting, and may say what it likes."""
    origin = start_origin(receive_buffer=SMALL)
    origin.on("/x", [how], early=True)
    client = connect()
    field = "Content-Length: 8388608" if framing == "length" else "Transfer-Encoding: chunked"
    try:
        client.request("POST", origin.url("/x"), field)
        for _ in range(128):
            client.send(bytes(65536) if framing == "length" else b"10000\r\n" + bytes(65536) + b"\r\n")
    except OSError:
        pass
    try:
        assert client.response().status in (502, 504)
    except Closed:
        pass
    client.close()
    assert_clean(proxy, start_origin())


@pytest.mark.parametrize("how", [CLOSE, RESET], ids=["fin", "rst"])
def test_origin_leaves_those_who_wait(proxy, connect, origin, how):
    """Many wait for one answer that never comes: the next of them asks, then all are told."""
    go = threading.Event()
    origin.on("/x", [go, how])
    clients = [connect() for _ in range(20)]
    for client in clients:
        client.request("GET", origin.url("/x"))
    origin.wait_requests(1)
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 20, "not all wait")
    go.set()
    assert {client.response().status for client in clients} == {502}
    for client in clients:
        client.close()
    assert_clean(proxy, origin)


@pytest.mark.parametrize("how", [CLOSE, RESET], ids=["fin", "rst"])
def test_origin_leaves_while_validated(proxy, connect, origin, how):
    """What is stored stays; it is not served in place of what could not be asked."""
    origin.on("/x", respond(204, "Cache-Control: max-age=0, must-revalidate", 'ETag: "a"'), [how], [how],
              respond(304, 'ETag: "a"', "Cache-Control: max-age=60"))
    with connect() as client:
        assert client.get(origin.url("/x")).stored
        assert client.get(origin.url("/x")).status == 504
    with connect() as client:
        client.get(origin.url("/x"))
    with connect() as client:
        assert client.get(origin.url("/x")).status == 204
    assert_clean(proxy, origin)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_target_leaves_a_tunnel_at_work(proxy, connect, start_origin, target, how):
    client = connect()
    open_tunnel(client, target.authority)
    end = target.wait_connections(1)[0]
    end.sendall(b"x" * 100)
    client.send(b"y" * MIB)
    if how == "rst":
        reset(end)
    else:
        end.close()
    with pytest.raises((Closed, OSError)):
        while True:
            client.stream.fill()
            client.send(b"y")
    client.close()
    assert_clean(proxy, start_origin())


def test_both_leave_at_once(proxy, start_origin):
    origin = start_origin()
    origin.on("/x", [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel", RESET])
    origin.on("/up", [READ_BODY, RESET], early=True)
    for _ in range(50):
        client = proxy.connect()
        client.request("GET", origin.url("/x"))
        client.reset()
        client = proxy.connect()
        client.request("POST", origin.url("/up"), body=b"x")
        client.reset()
    assert_clean(proxy, start_origin())
