"""What clients hold is counted for whom it is held, until it is closed: nobody takes what others need."""

import os
import signal
import threading

import pytest

from support.http1 import Closed
from support.nameserver import NameServer
from support.origin import NEVER, respond
from support.proxy import Proxy
from support.rawclient import Client
from support.target import Target, connect_bytes, open_tunnel, until

FEW = 256  # descriptors
workers = pytest.mark.parametrize("workers", [1, 3])


@pytest.fixture
def target():
    target = Target()
    yield target
    target.close()


@pytest.fixture
def start_few(tmp_path):
    """A proxy that may have few descriptors."""
    started = []

    def start(*options):
        proxy = Proxy(tmp_path / f"few{len(started)}", *options, start=False)
        proxy.wrapper = ["prlimit", f"--nofile={FEW}:{FEW}"]
        started.append(proxy.start())
        return proxy
    yield start
    for proxy in started:
        proxy.stop()
        proxy.remove()


def ask_tunnel(proxy, target, **options):
    """A client that asked for a tunnel, and the status; 0 when the connection was just closed."""
    client = proxy.connect(**options)
    try:
        client.send(connect_bytes(target.authority))
        return client, client.response("CONNECT").status
    except (Closed, OSError):
        return client, 0


def open_all(proxy, target, most, **options):
    """Tunnels until one is refused: the clients, and what the last was told."""
    clients = []
    for _ in range(most):
        client, status = ask_tunnel(proxy, target, **options)
        clients.append(client)
        if status != 200:
            break
    return clients, status


def close_all(clients):
    for client in clients:
        client.close()


def is_served(proxy, origin, **options):
    try:
        with proxy.connect(**options) as client:
            return client.get(origin.url()).status == 204
    except (Closed, OSError):
        return False


@workers
def test_tunnels_are_connections_of_their_address(start_proxy, target, origin, workers):
    proxy = start_proxy("connect_ports=*", "clients_per_address=2", f"workers={workers}")
    clients, status = open_all(proxy, target, 10)
    assert (len(clients), status) == (3, 429)
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 429
    others, status = open_all(proxy, target, 10, source="127.0.0.2")
    assert (len(others), status) == (3, 429)
    assert proxy.stats()["failures"]["too_many_from_client"] == 3
    clients[0].close()
    until(lambda: is_served(proxy, origin), "its place is not given back")
    close_all(clients + others)
    until(lambda: proxy.stats()["gauges"]["tunnels_open"] == 0, "tunnels stay")
    again, status = open_all(proxy, target, 2)
    assert status == 200
    close_all(again)


@workers
def test_one_address_leaves_a_quarter_of_the_clients(start_proxy, origin, workers):
    proxy = start_proxy("clients_max=20", f"workers={workers}")
    statuses, clients = [], []
    for source in ["127.0.0.1"] * 17 + ["127.0.0.2"] * 5 + ["127.0.0.3"]:
        clients.append(proxy.connect(source=source))
        statuses.append(clients[-1].get(origin.url()).status)
    assert statuses == [204] * 15 + [429] * 2 + [204] * 5 + [503]
    assert proxy.admin("/healthz").status == 204
    close_all(clients)


@workers
def test_one_address_leaves_a_quarter_of_the_tunnels(start_proxy, target, workers):
    proxy = start_proxy("connect_ports=*", "tunnels_max=8", f"workers={workers}")
    clients, status = open_all(proxy, target, 10)
    assert (len(clients), status) == (7, 429)
    others, status = open_all(proxy, target, 10, source="127.0.0.2")
    assert (len(others), status) == (3, 503)
    close_all(clients + others)


def test_tunnels_that_are_being_made_count(start_proxy, target):
    names = NameServer({"silent.test": None})
    proxy = start_proxy("connect_ports=*", "tunnels_max=2", "drain_timeout=0",
                        f"resolvers={names.address}")
    waiting = [proxy.connect() for _ in range(2)]
    for client in waiting:
        client.send(connect_bytes("silent.test:443"))
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 2, "they are not asked for")
    client, status = ask_tunnel(proxy, target)
    assert status == 503
    waiting[0].reset()
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 1, "it is not given up")
    other, status = ask_tunnel(proxy, target)
    assert status == 200
    close_all([client, other, *waiting])
    names.close()


@pytest.mark.one_worker("each process has its own descriptors")
def test_few_descriptors_are_shared_out(start_few, target, origin):
    """Tunnels of one address, with pipes for large transfers, leave descriptors for all else."""
    proxy = start_few("connect_ports=*")
    clients, status = open_all(proxy, target, 130)
    assert status == 429
    data = os.urandom(2 << 20)
    for client in clients[:20]:
        sender = threading.Thread(target=client.send, args=(data,), daemon=True)
        sender.start()
        assert client.stream.exactly(len(data)) == data
        sender.join(5)
    assert proxy.stats()["counters"]["tunnels_unpiped"] > 0
    refused = [proxy.connect() for _ in range(60)]
    for _ in range(3):
        assert is_served(proxy, origin, source="127.0.0.2")
        assert proxy.admin("/healthz").status == 204
    assert sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in proxy.workers()) < FEW
    assert "cannot accept" not in proxy.errors()
    assert proxy.stats()["counters"]["accept_pauses"] == 0
    close_all(clients + refused)


@pytest.mark.one_worker("each process has its own descriptors")
def test_operators_are_no_clients_and_clients_no_operators(start_few, origin):
    proxy = start_few()
    operators = [Client(proxy.admin_port) for _ in range(60)]
    for _ in range(3):
        assert is_served(proxy, origin)
    with Client(proxy.admin_port, source="127.0.0.2") as other:
        other.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert other.response().status == 204
    close_all(operators)


@pytest.mark.one_worker("each process has its own descriptors")
def test_refusals_of_one_address_leave_some_for_others(start_few, origin):
    """Who is refused is told, though another is refused all the time."""
    proxy = start_few("clients=192.0.2.0/24,127.0.0.9")
    crowd = [proxy.connect() for _ in range(100)]
    with proxy.connect(source="127.0.0.2") as other:
        assert other.get(origin.url()).status == 403
    close_all(crowd)


@workers
def test_one_client_leaves_a_quarter_of_an_origin(start_proxy, origin, workers):
    proxy = start_proxy("origin_connections=4", f"workers={workers}")
    origin.on("/wait", [NEVER])
    clients = [proxy.connect() for _ in range(3)]
    for n, client in enumerate(clients):
        client.request("POST", origin.url("/wait"))
        origin.wait_requests(n + 1)
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 429
    with proxy.connect(source="127.0.0.2") as other:
        other.request("POST", origin.url("/wait"))
        origin.wait_requests(4)
        with proxy.connect(source="127.0.0.3") as late:
            answer = late.get(origin.url())
            assert answer.status == 503 and "error=connection_limit_reached" in answer["Proxy-Status"]
        other.reset()
    until(lambda: is_served(proxy, origin, source="127.0.0.3"), "not given back")
    for client in clients:
        client.reset()
    until(lambda: is_served(proxy, origin), "not given back")


@workers
def test_silent_zone_leaves_look_ups_to_others(start_proxy, origin, workers):
    names = NameServer({f"v{n}.good.test": ["127.0.0.1"] for n in range(20)}
                       | {f"n{n}.evil.test": None for n in range(300)})
    proxy = start_proxy(f"resolvers={names.address}", "allow=.good.test", "drain_timeout=0", "dns_lookups=64", f"workers={workers}")
    crowd = []
    for n in range(300):
        crowd.append(proxy.connect())
        crowd[-1].request("GET", f"http://n{n}.evil.test/")
        if n % 15 == 14:
            with proxy.connect() as client:
                assert client.get(f"http://v{n // 15}.good.test:{origin.port}/").status == 204
    until(lambda: proxy.stats()["failures"]["too_many_lookups"] >= 200, "the zone has no limit")
    close_all(crowd)
    names.close()


def test_look_ups_of_one_client_leave_some_to_others(start_proxy, origin):
    answers = {f"n.evil{n}.test": None for n in range(300)}
    names = NameServer(answers | {"v.good.test": ["127.0.0.1"]})
    proxy = start_proxy(f"resolvers={names.address}", "allow=.good.test", "drain_timeout=0", "dns_lookups=64")
    crowd = [proxy.connect() for _ in range(100)]
    for n, client in enumerate(crowd):
        client.request("GET", f"http://n.evil{n}.test/")
    until(lambda: proxy.stats()["failures"]["too_many_lookups"] == 100 - 48, "the client has no limit")
    with proxy.connect(source="127.0.0.2") as other:
        assert other.get(f"http://v.good.test:{origin.port}/").status == 204
    close_all(crowd)
    names.close()


@pytest.mark.one_worker("each process has its own descriptors")
def test_background_validations_of_one_client_are_few(start_few, start_origin):
    """Each holds a connection that is in no client's place."""
    origin = start_origin()
    origin.default = respond(204, "Cache-Control: max-age=0, stale-while-revalidate=600", 'ETag: "1"')
    proxy = start_few()
    with proxy.connect() as client:
        for n in range(100):
            assert client.get(origin.url(f"/{n}")).status == 204
        origin.default = [NEVER]
        for n in range(100):
            assert client.get(origin.url(f"/{n}")).hit
        until(lambda: proxy.stats()["counters"]["extras_refused"] >= 80, "they have no limit")
        assert sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in proxy.workers()) < FEW // 2


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGABRT], ids=["KILL", "ABRT"])
def test_what_a_dead_worker_held_is_given_back(start_proxy, target, origin, kill):
    proxy = start_proxy("connect_ports=*", "clients_max=16", "clients_per_address=8", "tunnels_max=8",
                        "workers=3", "log_level=debug")
    for _ in range(5):
        clients = [proxy.connect() for _ in range(3)]
        assert all(client.get(origin.url()).status == 204 for client in clients)
        tunnels, status = open_all(proxy, target, 20)
        assert (len(tunnels), status) == (6, 429)
        for pid in proxy.workers():
            os.kill(pid, kill)
        close_all(clients + tunnels)
        until(lambda: is_served(proxy, origin), "it is not served again")
        until(lambda: count_places(proxy, origin) == 8, "places are lost")
        until(lambda: proxy.stats()["gauges"]["clients"] == 0, "clients stay")


def count_places(proxy, origin):
    """How many connections this address gets."""
    clients = []
    try:
        while len(clients) < 20:
            clients.append(proxy.connect())
            if clients[-1].get(origin.url()).status != 204:
                return len(clients) - 1
    except (Closed, OSError):
        return None
    finally:
        close_all(clients)
    return len(clients)


def test_connections_behind_a_balancer_are_of_the_client_named(start_proxy, origin):
    proxy = start_proxy("proxy_protocol_from=127.0.0.1", "clients=192.0.2.0/24", "allow=127.0.0.1",
                        "clients_per_address=1", "clients_max=10")
    clients = []
    for source, status in (("192.0.2.1", 204), ("192.0.2.1", 429), ("192.0.2.2", 204)):
        clients.append(proxy.connect())
        clients[-1].send(f"PROXY TCP4 {source} 192.0.2.9 1 2\r\n".encode())
        assert clients[-1].get(origin.url()).status == status
    close_all(clients)
