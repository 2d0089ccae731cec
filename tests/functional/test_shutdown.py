"""SIGTERM: what is in flight is finished, what is idle does not hold it, and the end is exit 0."""

import threading
import time

import pytest

from support.origin import NEVER, READ_BODY, RESET, respond
from support.rawclient import Client


def until_refused(port):
    """Wait until nothing listens any more."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            Client(port).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass  # accepted by the kernel just before the end of the listener
    raise AssertionError("still listening")


def test_request_in_flight_is_answered(start_proxy, origin):
    proxy = start_proxy()
    go = threading.Event()
    origin.on("/", [go, respond(204, "X-A: b")])
    client = proxy.connect()
    client.request("GET", origin.url())
    origin.wait_requests(1)
    proxy.terminate()
    until_refused(proxy.port)
    go.set()
    answer = client.response()
    assert (answer.status, answer["X-A"]) == (204, "b")
    assert "close" in answer.fields.members("Connection")
    client.end()
    client.close()
    proxy.wait(3)


def body_under_way(proxy, origin, go):
    """A client whose answer has begun, with a head that promises that the connection lives on."""
    origin.on("/body", [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", go, b"67890"])
    client = proxy.connect()
    client.request("GET", origin.url("/body"))
    client.stream.until(b"\r\n\r\n12345")
    return client


def test_download_in_flight_is_finished(start_proxy, origin):
    """And no request behind it is waited for."""
    proxy = start_proxy()
    go = threading.Event()
    client = body_under_way(proxy, origin, go)
    proxy.terminate()
    until_refused(proxy.port)
    go.set()
    assert client.stream.exactly(5) == b"67890"
    client.end()
    client.close()
    proxy.wait(3)


def test_upload_in_flight_is_finished(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/", [READ_BODY, respond(204)], early=True)
    client = proxy.connect()
    client.request("POST", origin.url(), "Content-Length: 10")
    client.send(b"12345")
    origin.wait_heads(1)
    proxy.terminate()
    until_refused(proxy.port)
    client.send(b"67890")
    assert client.response().status == 204
    assert origin.last.body == b"1234567890"
    client.close()
    proxy.wait(3)


def test_pipelined_requests_that_were_sent_are_answered_or_closed(start_proxy, origin):
    proxy = start_proxy()
    go = threading.Event()
    origin.on("/1", [go, respond(204)])
    client = proxy.connect()
    client.request("GET", origin.url("/1"))
    origin.wait_requests(1)
    proxy.terminate()
    until_refused(proxy.port)
    go.set()
    assert client.response().status == 204
    client.close()
    proxy.wait(3)


def test_requests_behind_an_answer_under_way_are_answered(start_proxy, origin):
    """One was promised that its connection lives on: what it has sent by then is not dropped without a word."""
    proxy = start_proxy()
    go = threading.Event()
    origin.on("/next", respond(204, "Cache-Control: no-store"))
    client = body_under_way(proxy, origin, go)
    client.request("GET", origin.url("/next"))
    client.request("GET", origin.url("/late"))
    proxy.terminate()
    until_refused(proxy.port)
    go.set()
    assert client.stream.exactly(5) == b"67890"
    answer = client.response()
    assert (answer.status, answer["Connection"]) == (204, "close")
    client.end()
    client.close()
    assert "/late" not in [request.target for request in origin.requests]
    proxy.wait(3)


@pytest.mark.long  # 1 s
def test_a_request_behind_an_answer_that_waits_for_its_client_is_answered(start_proxy, origin):
    """More of the answer than buffers hold waits for the client, which does not read before SIGTERM."""
    proxy = start_proxy("origin_idle_timeout=100ms")
    origin.on("/long", respond(200, body=bytes(8 << 20)))
    client = proxy.connect(receive_buffer=4096)
    client.request("GET", origin.url("/long"))
    client.stream.until(b"\r\n\r\n")
    client.request("GET", origin.url("/next"))
    proxy.terminate()
    until_refused(proxy.port)
    assert client.stream.exactly(8 << 20) == bytes(8 << 20)
    answer = client.response()
    assert (answer.status, answer["Connection"]) == (204, "close")
    client.end()
    client.close()
    proxy.wait(3)


def test_idle_connections_do_not_hold_it(start_proxy, origin):
    proxy = start_proxy()
    used, fresh = proxy.connect(), proxy.connect()
    assert used.get(origin.url()).status == 204
    proxy.terminate()
    proxy.wait(2)
    used.end()
    fresh.close()
    origin.wait_all_closed()


def test_deadline_ends_what_does_not_end(start_proxy, origin):
    proxy = start_proxy("drain_timeout=300ms")
    origin.on("/", [NEVER])
    client = proxy.connect()
    client.request("GET", origin.url())
    origin.wait_requests(1)
    proxy.terminate()
    proxy.wait(3)
    origin.wait_all_closed()


def test_end_of_a_quiet_proxy_is_quick(start_proxy):
    proxy = start_proxy()
    began = time.monotonic()
    proxy.stop()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("stage", ["client", "origin"])
def test_resets_at_every_stage_do_no_harm(start_proxy, origin, stage):
    """Whoever goes away, and whenever: the proxy goes on, and ends well."""
    proxy = start_proxy()
    whole = f"POST {origin.url('/p')} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".encode()
    origin.on("/p", respond(200, body=b"answer"))
    if stage == "client":
        for at in range(0, len(whole) + 1, 7):
            client = proxy.connect()
            client.send(whole[:at])
            client.reset()
    else:
        reply = respond(200, body=b"answer")
        for at in range(0, len(reply), 7):
            origin.on("/p", [reply[:at], RESET])
            client = proxy.connect()
            client.send(whole)
            answer = client.response()
            assert answer.status == 502 or not answer.complete
    assert proxy.connect().get(origin.url("/after")).status == 204
