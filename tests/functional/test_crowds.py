"""Ten thousand clients at once, and five hundred slow ones beside others: each gets its own answers, in order,
and nobody waits for a slow one."""

import resource

import pytest

from support.origin import respond
from support.rawclient import Client, request_bytes
from support.until import until

CROWD = 10_000
SPARE = 1_000  # descriptors for all else
URIS = 50
SLOW = 500
LARGE = 4 << 20
FRESH = "Cache-Control: max-age=600"

pytestmark = [pytest.mark.long, pytest.mark.one_worker("each test says how many there are")]


@pytest.fixture
def connected():
    """connected(proxy, n): so many clients, of several addresses, so that none runs out of ports."""
    clients = []

    def connected(proxy, count, **options):
        new = [Client(proxy.port, source=f"127.0.0.{1 + n % 4}", timeout=30, **options) for n in range(count)]
        clients.extend(new)
        return new

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CROWD + SPARE:
        pytest.skip(f"a process may have {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_clients(start_proxy, origin, connected, many_descriptors):
    for n in range(URIS):
        origin.on(f"/{n}", respond(204, FRESH, f"X-N: {n}"))
    proxy = start_proxy("workers=2", f"clients_max={CROWD + SPARE}", f"clients_per_address={CROWD}")
    clients = connected(proxy, CROWD)
    for turn in range(3):
        for n, client in enumerate(clients):
            client.send(request_bytes("GET", origin.url(f"/{(n + turn) % URIS}")))
        for n, client in enumerate(clients):
            answer = client.response()
            assert (answer.status, answer["X-N"]) == (204, str((n + turn) % URIS)), (turn, n, answer)
    stats = proxy.stats()
    assert stats["gauges"]["clients"] == CROWD and stats["counters"]["client_refused"] == 0
    assert stats["counters"]["requests"] == 3 * CROWD
    for client in clients:
        client.close()
    until(lambda: proxy.stats()["gauges"]["clients"] == 0, "all are gone", timeout=30)
    assert proxy.stats()["workers"] == 2 and " died " not in proxy.errors()


def bytewise(clients, data, at):
    for client, one in zip(clients, data):
        client.send(one[at:at + 1])


def served(client, origin, n):
    """A hit, a miss and one that goes to the origin, sent at once and answered in their order."""
    urls = [origin.url(path) for path in ("/hit", f"/miss/{n}", "/post")]
    for method, url in zip(("GET", "GET", "POST"), urls):
        client.send(request_bytes(method, url, body=b"x" if method == "POST" else None))
    answers = [client.response(method) for method in ("GET", "GET", "POST")]
    assert [answer["X-Path"] for answer in answers] == ["hit", str(n), "post"]


@pytest.mark.parametrize("workers", [1, 3])
def test_slow_clients_beside_others(start_proxy, origin, connected, workers):
    """Those that send a byte at a time, and those that do not take what they asked for."""
    proxy = start_proxy(f"workers={workers}", f"clients_per_address={SLOW * 2}", "head_timeout=10m")
    origin.on("/hit", respond(204, FRESH, "X-Path: hit"))
    origin.on("/post", respond(204, "X-Path: post"))
    origin.on("/large", respond(200, "X-Path: large", body=bytes(LARGE)))
    senders, takers, others = connected(proxy, SLOW), connected(proxy, 20, receive_buffer=4096), connected(proxy, 6)
    for client in takers:
        client.send(request_bytes("GET", origin.url("/large")))
    data = []
    for n in range(SLOW):
        origin.on(f"/slow/{n}", respond(204, f"X-Path: slow{n}"))
        data.append(request_bytes("GET", origin.url(f"/slow/{n}")))
    length = min(map(len, data)) - 1
    for at in range(length):
        bytewise(senders, data, at)
        if at % 4 == 0:
            origin.on(f"/miss/{at}", respond(204, FRESH, f"X-Path: {at}"))
            served(others[at // 4 % len(others)], origin, at)
    assert not any(client.readable(0) for client in senders)
    assert sum(request.target.startswith("/slow") for request in origin.heads) == 0
    for client, one in zip(senders, data):
        client.send(one[length:])
    for n, client in enumerate(senders):
        assert client.response()["X-Path"] == f"slow{n}"
    for client in takers:
        assert len(client.response().body) == LARGE
