"""A side that does not take stops the side that sends; the proxy buffers no more than a little."""

import hashlib
import json
import os
import signal
import socket
import threading
import time

import pytest

from support.origin import READ_BODY, respond
from support.rawclient import request_bytes

MIB = 1024 * 1024
TOTAL = 48 * MIB
BLOCK = bytes(range(256)) * 256
SMALL = 64 * 1024  # socket buffers of the two ends
BOUND = 8 * MIB    # how much the proxy may grow
QUIET = 0.3        # seconds without progress that count as stopped


def until_quiet(progress):
    """Wait until the number does not change any more."""
    pause = threading.Event()
    last = -1
    while last != progress():
        last = progress()
        pause.wait(QUIET)
    return last


def blocks(framing):
    if framing == "length":
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOTAL
        yield from (BLOCK for _ in range(TOTAL // len(BLOCK)))
    else:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK)
        yield from (chunk for _ in range(TOTAL // len(BLOCK)))
        yield b"0\r\n\r\n"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_client_that_does_not_read(proxy, connect, start_origin, framing):
    origin = start_origin(send_buffer=SMALL)
    origin.on("/", blocks(framing))
    client = connect(receive_buffer=SMALL)
    before = proxy.memory()
    client.request("GET", origin.url())
    origin.wait_requests(1)
    sender = origin.connections[0]
    assert until_quiet(lambda: sender.sent) < TOTAL / 2
    assert proxy.grew_less_than(BOUND, before)
    assert connect().get(origin.url("/other")).status == 204  # others are served meanwhile

    digest, size = hashlib.sha256(), 0

    def take(piece):
        nonlocal size
        digest.update(piece)
        size += len(piece)

    answer = client.response(on_data=take)
    assert (answer.complete, size) == (True, TOTAL)
    assert digest.digest() == hashlib.sha256(BLOCK * (TOTAL // len(BLOCK))).digest()
    assert proxy.grew_less_than(BOUND, before)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_origin_that_does_not_read_an_upload(proxy, connect, start_origin, framing):
    origin = start_origin(receive_buffer=SMALL)
    go = threading.Event()
    origin.on("/up", [go, READ_BODY, respond(200, body=b"done")], early=True)
    client = connect()
    before = proxy.memory()
    sent = 0

    def upload():
        nonlocal sent
        if framing == "length":
            client.request("PUT", origin.url("/up"), f"Content-Length: {TOTAL}")
            piece = BLOCK
        else:
            client.request("PUT", origin.url("/up"), "Transfer-Encoding: chunked")
            piece = b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK)
        try:
            for _ in range(TOTAL // len(BLOCK)):
                client.send(piece)
                sent += len(piece)
            if framing == "chunked":
                client.send(b"0\r\n\r\n")
        except OSError:
            pass  # the answer tells what happened

    thread = threading.Thread(target=upload, daemon=True)
    thread.start()
    origin.wait_heads(1)
    assert until_quiet(lambda: sent) < TOTAL / 2
    assert proxy.grew_less_than(BOUND, before)
    assert connect().get(origin.url("/other")).status == 204
    go.set()
    thread.join(10)
    assert client.response().body == b"done"
    upload_request = next(r for r in origin.requests if r.target == "/up")
    assert upload_request.body == BLOCK * (TOTAL // len(BLOCK))
    assert proxy.grew_less_than(BOUND, before)


def test_client_that_leaves_a_stalled_download(connect, start_origin):
    origin = start_origin(send_buffer=SMALL)
    origin.on("/", blocks("length"))
    client = connect(receive_buffer=SMALL)
    client.request("GET", origin.url())
    origin.wait_requests(1)
    until_quiet(lambda: origin.connections[0].sent)
    client.close()
    origin.wait_all_closed()
    assert connect().get(origin.url("/other")).status == 204


def test_log_counts_the_readers_time_apart(start_proxy, start_origin):
    origin = start_origin(send_buffer=SMALL)
    origin.on("/", blocks("length"))
    proxy = start_proxy()
    client = proxy.connect(receive_buffer=SMALL)
    start = time.monotonic()
    client.request("GET", origin.url())
    origin.wait_requests(1)
    until_quiet(lambda: origin.connections[0].sent)
    assert client.response(on_data=lambda _: None).complete
    client.close()
    proxy.stop()
    total = time.monotonic() - start  # it may count a moment longer than the reader
    entry, = [json.loads(line) for line in proxy.log_lines() if "/stats" not in line]
    assert entry["held_us"] > QUIET * 1e6
    assert entry["held_us"] + entry["elapsed_us"] <= total * 1e6


@pytest.mark.long  # 1 s
@pytest.mark.one_worker("it is stopped")
def test_whatever_event_sends_what_waits_has_the_origin_go_on(proxy, connect, origin):
    """The client reads, and asks for more, while the worker stands: both are seen in one event."""
    origin.on("/", respond(200, body=bytes(8 << 20)))
    left = 8 << 20
    with connect(receive_buffer=SMALL) as client:
        client.request("GET", origin.url())
        client.stream.until(b"\r\n\r\n")
        until_quiet(lambda: origin.connections[0].sent)
        for byte in request_bytes("GET", origin.url("/next")):
            os.kill(proxy.worker, signal.SIGSTOP)
            try:
                client.send(bytes([byte]))
                left -= len(client.stream.exactly(32 << 10))
            finally:
                os.kill(proxy.worker, signal.SIGCONT)
        assert client.stream.exactly(left) == bytes(left)
        assert client.response().status == 204


def test_client_that_never_reads_is_given_up(start_proxy, start_origin):
    origin = start_origin(send_buffer=SMALL)
    origin.on("/", blocks("length"))
    client = start_proxy("body_timeout=300ms").connect(receive_buffer=SMALL)
    client.request("GET", origin.url())
    origin.wait_requests(1)
    origin.wait_all_closed()
    assert not client.response(on_data=lambda _: None).complete


def test_pipelined_hits_all_reach_a_slow_reader(connect, origin):
    """More requests than are read ahead, more answers than are kept: each side waits for the other."""
    origin.on("/", respond(204, "Cache-Control: max-age=60", "X-Pad: " + "x" * 8000))
    client = connect(receive_buffer=SMALL)
    client.get(origin.url())
    one = f"GET {origin.url()} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    n = 5000
    sent = 0

    def send():
        nonlocal sent
        try:
            for _ in range(n // 100):
                client.send(one * 100)
                sent += 100
        except OSError:
            pass  # an answer will be missing

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    until_quiet(lambda: sent)
    assert all(client.response().hit for _ in range(n))
    thread.join()


def test_hits_are_not_answered_without_bound_to_a_client_that_does_not_read(proxy, connect, origin):
    """Pipelined hits: what is not read is not composed ahead."""
    origin.on("/", respond(204, "Cache-Control: max-age=60", "X-Pad: " + "x" * 8000))
    client = connect(receive_buffer=SMALL)
    client.get(origin.url())
    before = proxy.memory()
    one = f"GET {origin.url()} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    sent = 0

    def send():
        nonlocal sent
        try:
            while sent < 50_000 * len(one):
                client.send(one * 100)
                sent += 100 * len(one)
        except OSError:
            pass

    client.sock.settimeout(10)
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    until_quiet(lambda: sent)
    assert proxy.grew_less_than(BOUND, before)
    assert connect().get(origin.url()).hit
    client.sock.shutdown(socket.SHUT_RDWR)
    thread.join()
