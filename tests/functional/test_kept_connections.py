"""What an origin does to a connection that is kept is noticed before the next request, or harms none:
however soon that request comes."""

import os
import signal
import socket

import pytest

from support.origin import respond

ROUNDS = 5


def fetch(proxy, client, method, url, before=lambda: None):
    """Its answer; `before` comes before the request, and the proxy sees both at once."""
    workers = proxy.workers()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    before()
    body = b"content" if method == "POST" else b""
    client.send(b"%b %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
                % (method.encode(), url.encode(), len(body), body))
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    return client.response(method)


def kept(origin):
    """The socket of the origin's last connection, which is idle."""
    return origin.connections[-1].sock


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_nobody_asked_for_is_not_the_next_one(start_proxy, origin, method):
    proxy = start_proxy()
    origin.default = respond(200, body=b"asked for")
    with proxy.connect() as client:
        for i in range(ROUNDS):
            assert client.get(origin.url(f"/{i}")).body == b"asked for"
            answer = fetch(proxy, client, method, origin.url(f"/{i}/next"),
                           lambda: kept(origin).sendall(respond(200, body=b"planted")))
            assert answer.body == b"asked for"
    assert len(origin.connections) == ROUNDS + 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_was_closed_costs_no_request(start_proxy, origin, method):
    proxy = start_proxy()
    with proxy.connect() as client:
        for i in range(ROUNDS):
            assert client.get(origin.url(f"/{i}")).status == 204
            answer = fetch(proxy, client, method, origin.url(f"/{i}/next"),
                           lambda: kept(origin).shutdown(socket.SHUT_RDWR))
            assert answer.status == 204
    asked = [line.split()[1] for line in origin.lines]
    assert sorted(asked) == sorted(set(asked)) and len(asked) == 2 * ROUNDS


def test_one_that_stays_silent_is_given_up_in_time(start_proxy, origin):
    origin.on("/silent", [])
    with start_proxy("first_byte_timeout=600ms").connect() as client:
        for _ in range(2):
            assert client.get(origin.url("/")).status == 204
            assert client.get(origin.url("/silent")).status == 504
