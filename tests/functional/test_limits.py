"""Limits with names: each has a clear answer and a counter, and lets go again."""

import threading

import pytest

from support.http1 import Closed
from support.origin import respond
from support.target import Target, connect_bytes, open_tunnel, until


def failures(proxy):
    return proxy.stats()["failures"]


def test_client_that_is_not_allowed_is_answered(start_proxy, origin):
    proxy = start_proxy("clients=192.0.2.0/24")
    with proxy.connect() as client:
        answer = client.get(origin.url())
        assert answer.status == 403
        assert "error=http_request_denied" in answer["Proxy-Status"]
        assert client.end() == "fin"
    assert not origin.connections


def test_too_many_clients(start_proxy, origin):
    proxy = start_proxy("clients_max=3", "clients_per_address=3")
    clients = [proxy.connect() for _ in range(3)]
    assert all(client.get(origin.url()).status == 204 for client in clients)
    with proxy.connect() as client:
        answer = client.get(origin.url())
        assert answer.status == 503 and int(answer["Retry-After"]) > 0
        assert "error=connection_limit_reached" in answer["Proxy-Status"]
        assert client.end() == "fin"
    assert len(origin.requests) == 3
    stats = proxy.stats()
    assert stats["failures"]["too_many_clients"] == 1
    assert stats["counters"]["client_refused"] == 1
    for client in clients:
        client.close()


def test_refused_client_that_says_nothing_is_closed(start_proxy, origin):
    proxy = start_proxy("clients_max=1")
    with proxy.connect() as first:
        assert first.get(origin.url()).status == 204
        silent, slow = proxy.connect(), proxy.connect()
        slow.send(b"GET http://a/ HT")
        assert slow.response().status == 503
        assert silent.end() == "fin"
        silent.close()
        slow.close()
    until(lambda: proxy.stats()["gauges"]["refusals"] == 0, "refusals stay")


@pytest.mark.one_worker("each worker bounds those that it tells")
def test_many_refused_clients_are_just_closed(start_proxy, origin):
    """What is said to them is bounded, too."""
    proxy = start_proxy("clients_max=1")
    with proxy.connect() as first:
        assert first.get(origin.url()).status == 204
        refused = [proxy.connect() for _ in range(300)]
        until(lambda: proxy.stats()["counters"]["client_refused"] == 300, "not all were refused")
        assert proxy.stats()["gauges"]["refusals"] <= 256
        closed = 0
        for client in refused:
            try:
                client.request("GET", origin.url())
                assert client.response().status == 503
            except (Closed, OSError):
                closed += 1
        assert 0 < closed < 300
        assert first.get(origin.url()).status == 204
    for client in refused:
        client.close()


@pytest.mark.one_worker("each worker counts those of its own")
def test_clients_of_one_address(start_proxy, origin):
    proxy = start_proxy("clients_per_address=3")
    clients = [proxy.connect() for _ in range(3)]
    assert all(client.get(origin.url()).status == 204 for client in clients)
    with proxy.connect() as client:
        answer = client.get(origin.url())
        assert answer.status == 429 and int(answer["Retry-After"]) > 0
        assert client.end() == "fin"
    assert failures(proxy)["too_many_from_client"] == 1
    with proxy.connect(source="127.0.0.2") as other:  # another address has its own
        assert other.get(origin.url()).status == 204
    clients[0].close()
    until(lambda: proxy.stats()["gauges"]["clients"] <= 2, "the client stays")
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 204
    for client in clients:
        client.close()


def test_operators_are_not_counted_with_the_clients_of_their_address(start_proxy, origin):
    proxy = start_proxy("clients_per_address=1")
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 204
        assert proxy.admin("/healthz").status == 204


def test_tunnels(start_proxy):
    target = Target()
    proxy = start_proxy("connect_ports=*", "tunnels_max=2", "clients_per_address=10000")
    clients = [proxy.connect() for _ in range(3)]
    for client in clients[:2]:
        open_tunnel(client, target.authority)
    clients[2].send(connect_bytes(target.authority))
    answer = clients[2].response("CONNECT")
    assert answer.status == 503 and int(answer["Retry-After"]) > 0
    assert "error=connection_limit_reached" in answer["Proxy-Status"]
    assert failures(proxy)["too_many_tunnels"] == 1
    clients[0].close()
    until(lambda: proxy.stats()["gauges"]["tunnels_open"] == 1, "the tunnel stays")
    with proxy.connect() as client:
        open_tunnel(client, target.authority)
        client.send(b"x")
        assert client.stream.exactly(1) == b"x"
    for client in clients:
        client.close()
    target.close()


def test_no_tunnels_at_all(start_proxy):
    with start_proxy("connect_ports=*", "tunnels_max=0").connect() as client:
        client.send(connect_bytes("127.0.0.1:1"))
        assert client.response("CONNECT").status == 503


@pytest.mark.one_worker("each worker keeps connections of its own")
def test_connections_to_one_origin(start_proxy, start_origin):
    origin, other = start_origin(), start_origin()
    proxy = start_proxy("origin_connections=2")
    go = threading.Event()
    origin.on("/wait", [go, respond(200, body=b"x")])
    clients = [proxy.connect() for _ in range(2)]
    for client in clients:
        client.request("POST", origin.url("/wait"))
    origin.wait_requests(2)
    with proxy.connect() as client:
        answer = client.get(origin.url("/"))
        assert answer.status == 503 and int(answer["Retry-After"]) > 0
    with proxy.connect() as client:
        assert client.get(other.url()).status == 204
    go.set()
    assert all(client.response().body == b"x" for client in clients)
    assert failures(proxy)["too_many_origin"] == 1
    with proxy.connect() as client:
        assert client.get(origin.url("/")).status == 204
    for client in clients:
        client.close()


def test_requests_of_one_connection(start_proxy, origin):
    with start_proxy("client_requests=3").connect() as client:
        answers = [client.get(origin.url()) for _ in range(3)]
        assert ["close" in a.fields.members("Connection") for a in answers] == [False, False, True]
        assert client.end() == "fin"


def test_methods(start_proxy, origin):
    proxy = start_proxy("methods=GET,HEAD,SEARCH")
    for method in ("GET", "HEAD", "SEARCH"):
        with proxy.connect() as client:
            assert client.ask(method, origin.url()).status == 204
    for method in ("POST", "DELETE", "get", "FOO", "OPTIONS"):
        with proxy.connect() as client:
            answer = client.ask(method, origin.url(), body=b"x" if method == "POST" else None)
            assert answer.status == 405 and answer["Allow"] == "GET, HEAD, SEARCH"
            if method == "POST":
                assert client.end() == "fin"  # its body is not read
            else:
                assert client.get(origin.url()).status == 204  # on the same connection
    with proxy.connect() as client:
        client.send(connect_bytes("127.0.0.1:443"))
        assert client.response("CONNECT").status == 405
        assert client.end() == "fin"
    assert len(origin.requests) == 7
    assert failures(proxy)["denied_method"] == 6


def test_405_says_what_is_allowed(connect, origin):
    answer = connect().ask("TRACE", origin.url())
    assert answer.status == 405 and "get" in answer.fields.members("Allow")
