"""Peers that take their time: they cost others nothing, and bytes in drops do not buy them for ever."""

import resource
import threading
import time

import pytest

from support.http1 import Closed
from support.origin import CLOSE, NEVER, READ_BODY, respond
from support.target import until

MIB = 1024 * 1024
SMALL = 64 * 1024  # socket buffers


@pytest.fixture(autouse=True, scope="module")
def descriptors():
    """This process holds one end of them all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard) if hard > 0 else 8192, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def assert_served(client, url, n=100):
    """At once, more or less: a wait would be one of seconds."""
    for _ in range(n):
        began = time.monotonic()
        assert client.get(url).hit
        assert time.monotonic() - began < 1


def test_heads_that_come_in_drops(proxy, connect, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    head = f"GET {origin.url('/slow')} HTTP/1.1\r\nHost: {origin.authority}\r\nX-Fill: {'x' * 300}\r\n\r\n".encode()
    slow = [connect() for _ in range(500)]
    normal = connect()
    assert normal.get(origin.url()).stored
    over = threading.Event()
    sent = [0]

    def drip():
        while not over.is_set():
            for client in slow:
                client.send(head[sent[0]:sent[0] + 1])
            sent[0] += 1

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    while sent[0] < 5:
        assert_served(normal, origin.url(), 10)
    over.set()
    thread.join()
    for client in slow:  # and they are served, too, once they have said what they want
        client.send(head[sent[0]:])
    assert all(client.response().status == 204 for client in slow)
    assert proxy.stats()["failures"]["head_timeout"] == 0


def test_a_thousand_idle_connections(proxy, connect, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    idle = [connect() for _ in range(1000)]
    normal = connect()
    assert normal.get(origin.url()).stored
    assert_served(normal, origin.url())
    assert proxy.stats()["gauges"]["clients"] >= 1000
    for client in idle[::100]:
        assert client.get(origin.url()).hit


def test_idle_connections_cost_no_processor_time(proxy, connect, origin):
    for _ in range(500):
        connect()
    connect().get(origin.url())
    before = proxy.stats()["counters"]["turns"]
    time.sleep(1)
    assert proxy.stats()["counters"]["turns"] - before < 50


def test_bodies_that_come_in_drops(proxy, connect, origin):
    """Uploads of a byte at a time, each with a connection to the origin."""
    origin.default = respond(204, "Cache-Control: max-age=60")
    normal = connect()
    assert normal.get(origin.url()).stored
    slow = [connect() for _ in range(100)]
    for client in slow:
        client.request("POST", origin.url("/up"), "Content-Length: 40")
    for _ in range(20):
        for client in slow:
            client.send(b"x")
        assert_served(normal, origin.url(), 2)
    for client in slow:
        client.send(b"y" * 20)
    assert all(client.response().status == 204 for client in slow)
    assert [r.body for r in origin.requests if r.method == "POST"] == [b"x" * 20 + b"y" * 20] * 100


# The least rate.  What keeps to it may take longer than body_timeout.

@pytest.fixture
def strict(start_proxy):
    """10 KiB a second, half a second to lose."""
    return start_proxy("body_timeout=500ms", "body_rate=10KiB", "first_byte_timeout=5s")


def drops(size, pause, n):
    """Steps of an origin."""
    for _ in range(n):
        yield lambda _: time.sleep(pause)
        yield b"x" * size


def test_slow_upload_is_given_up(strict, origin):
    with strict.connect() as client:
        client.request("POST", origin.url(), "Content-Length: 100000")
        began = time.monotonic()
        while not client.readable(0.05):
            client.send(b"x")
            assert time.monotonic() - began < 5
        assert time.monotonic() - began > 0.4
        assert client.response().status == 408
        client.end()
    origin.wait_all_closed()
    assert not origin.requests  # none was complete


def test_an_origin_may_trickle(strict, origin):
    """An event stream says something now and then: that it is slow is no fault."""
    origin.on("/", [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
                    *drops(5, 0.1, 20), CLOSE])
    with strict.connect() as client:
        began = time.monotonic()
        answer = client.get(origin.url())
        assert answer.complete and len(answer.body) == 100
        assert time.monotonic() - began > 1.5  # far below the rate, for times body_timeout
    assert strict.stats()["failures"]["response_body_timeout"] == 0


def test_an_origin_that_stops_is_given_up(strict, origin):
    origin.on("/", [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", *drops(1, 0.05, 5), NEVER])
    with strict.connect() as client:
        assert not client.get(origin.url()).complete
    assert strict.stats()["failures"]["response_body_timeout"] == 1


@pytest.mark.long
def test_client_that_takes_in_drops_is_given_up(strict, start_origin):
    origin = start_origin(send_buffer=SMALL)
    origin.on("/", [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB), *[b"x" * MIB] * 64])
    with strict.connect(receive_buffer=4096) as client:
        client.request("GET", origin.url())
        began = time.monotonic()
        with pytest.raises((Closed, ConnectionError)):
            while time.monotonic() - began < 10:
                if not client.sock.recv(64):
                    raise Closed("fin")
                time.sleep(0.05)
    origin.wait_all_closed()
    assert strict.stats()["failures"]["client_timeout"] == 1


def test_origin_that_takes_in_drops_is_given_up(strict, start_origin):
    def sip(connection):
        while connection.sock.recv(64):
            time.sleep(0.05)

    origin = start_origin(receive_buffer=4096)
    origin.on("/up", [sip], early=True)
    with strict.connect() as client:
        def upload():
            try:
                client.request("PUT", origin.url("/up"), f"Content-Length: {64 * MIB}")
                for _ in range(64):
                    client.send(bytes(MIB))
            except OSError:
                pass

        thread = threading.Thread(target=upload, daemon=True)
        thread.start()
        answer = client.response()
        assert answer.status == 504 and "error=connection_write_timeout" in answer["Proxy-Status"]
    thread.join(5)
    until(lambda: strict.stats()["gauges"]["origins"] == 0, "the origin's connection stays")
    assert not origin.requests


def test_who_keeps_to_the_rate_is_let_be(strict, origin):
    """20 KiB a second, for twice the time that could be lost."""
    origin.on("/down", [b"HTTP/1.1 200 OK\r\nContent-Length: 20480\r\n\r\n", *drops(1024, 0.05, 20)])
    origin.on("/up", [READ_BODY, respond(200, body=b"ok")], early=True)
    with strict.connect() as client:
        began = time.monotonic()
        assert len(client.get(origin.url("/down")).body) == 20480
        client.request("POST", origin.url("/up"), "Content-Length: 20480")
        for _ in range(20):
            time.sleep(0.05)
            client.send(bytes(1024))
        assert client.response().body == b"ok"
        assert time.monotonic() - began > 2


def test_stop_is_given_up_whatever_came_before(strict, origin):
    """Much that came quickly does not buy a long wait."""
    origin.on("/", [b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n", b"x" * 8 * MIB, lambda _: time.sleep(3)])
    with strict.connect() as client:
        began = time.monotonic()
        assert not client.get(origin.url()).complete
        assert time.monotonic() - began < 2.5


def test_answer_that_takes_long_to_begin_is_no_slow_body(strict, origin):
    origin.on("/", [lambda _: time.sleep(1), respond(200, body=b"x")])
    with strict.connect() as client:
        assert client.get(origin.url()).body == b"x"


# The head of an answer has one deadline.

def test_head_of_an_answer_in_drops(start_proxy, origin):
    origin.on("/", [piece for byte in b"HTTP/1.1 204 No Content\r\n" + b"X: y\r\n" * 100
                    for piece in (bytes([byte]), lambda _: time.sleep(0.02))])
    with start_proxy("first_byte_timeout=500ms").connect() as client:
        began = time.monotonic()
        assert client.get(origin.url()).status == 504
        assert 0.4 < time.monotonic() - began < 3


def test_each_interim_answer_begins_it_anew(start_proxy, origin):
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    pause = lambda _: time.sleep(0.3)  # noqa: E731
    origin.on("/", [pause, hint, pause, hint, pause, respond(204)])
    with start_proxy("first_byte_timeout=500ms").connect() as client:
        answer = client.get(origin.url())
        assert answer.status == 204 and len(answer.interim) == 2
