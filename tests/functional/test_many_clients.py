"""Many clients at once: each gets its own answers, slow and idle ones hold nobody up."""

import threading

from support.origin import respond

N = 200


def test_each_gets_its_own_answer(connect, origin):
    clients = [connect() for _ in range(N)]
    for n in range(N):
        origin.on(f"/{n}", respond(200, body=b"%d" % n))
    for n, client in enumerate(clients):
        client.request("GET", origin.url(f"/{n}"))
    assert [client.response().body for client in clients] == [b"%d" % n for n in range(N)]


def test_answers_in_reverse_order(connect, origin):
    clients = [connect() for _ in range(30)]
    turns = [threading.Event() for _ in clients]
    for n, client in enumerate(clients):
        origin.on(f"/{n}", [turns[n], respond(200, body=b"%d" % n)])
        client.request("GET", origin.url(f"/{n}"))
    origin.wait_requests(30)
    for n in reversed(range(30)):
        turns[n].set()
        assert clients[n].response().body == b"%d" % n


def test_slow_and_idle_clients_hold_no_others_up(connect, origin):
    for n in range(N):
        client = connect()
        if n % 2:
            client.send(f"GET {origin.url()} HTTP/1.1\r\nX".encode())
    origin.default = respond(204, "Cache-Control: max-age=60")
    for client in (connect(), connect()):
        assert client.get(origin.url("/a")).status == 204


def test_connections_are_given_back(proxy, origin):
    before = proxy.stats()["gauges"]["clients"]
    for _ in range(N):
        with proxy.connect() as client:
            client.get(origin.url())
    for _ in range(500):
        if proxy.stats()["gauges"]["clients"] <= before:
            return
    raise AssertionError(proxy.stats()["gauges"])


def test_limit_of_clients(start_proxy, origin):
    proxy = start_proxy("clients_max=10", "clients_per_address=10")
    clients = [proxy.connect() for _ in range(10)]
    assert all(client.get(origin.url()).status == 204 for client in clients)
    with proxy.connect() as refused:
        answer = refused.get(origin.url())
        assert answer.status == 503 and int(answer["Retry-After"]) > 0
        assert refused.end() == "fin"
    assert clients[1].get(origin.url()).status == 204
    clients[0].close()
    for _ in range(500):  # until the proxy has seen that one is gone
        with proxy.connect() as client:
            if client.get(origin.url()).status == 204:
                return
    raise AssertionError("no room although a client left")


def test_operators_get_through_when_clients_are_at_their_limit(start_proxy, origin):
    proxy = start_proxy("clients_max=5", "clients_per_address=5")
    clients = [proxy.connect() for _ in range(5)]
    assert all(client.get(origin.url()).status == 204 for client in clients)
    assert proxy.admin("/healthz").status == 204
