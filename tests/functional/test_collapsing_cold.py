"""What has not proved shareable is waited for a short time only: a long poll holds up nobody else."""

import threading

import pytest

from support.origin import RESET, respond
from support.until import until, until_waiting

FRESH = "Cache-Control: max-age=60"
PRIVATE = "Cache-Control: no-store"
MANY = 200
alone = pytest.mark.one_worker("requests wait for a fetch of their own worker")


@pytest.fixture
def crowd(origin):
    """Clients of a proxy that ask for the same, the first one first: crowd(proxy, n)."""
    clients = []

    def crowd(proxy, n, target="/"):
        new = [proxy.connect() for _ in range(n)]
        clients.extend(new)
        heads = len(origin.heads)
        for number, client in enumerate(new):
            client.request("GET", origin.url(target), f"X-N: {number}")
            if number == 0:
                origin.wait_heads(heads + 1)
        return new

    yield crowd
    for client in clients:
        client.close()


def counter(proxy, name):
    return proxy.stats()["counters"][name]


@alone
def test_three_clients_of_a_long_poll_reach_the_origin(proxy, origin, crowd):
    """Long before it answers one of them; and from the first answer on they do not wait at all."""
    go = threading.Event()
    origin.on("/", [go, respond(204, PRIVATE)])
    clients = crowd(proxy, 3)
    origin.wait_heads(3)
    assert counter(proxy, "collapse_timeouts") == 2
    go.set()
    assert [client.response().status for client in clients] == [204] * 3
    again = threading.Event()
    origin.on("/", [again, respond(204, PRIVATE)])
    for client in clients:
        client.request("GET", origin.url())
    origin.wait_heads(6)
    again.set()
    assert [client.response().status for client in clients] == [204] * 3
    assert counter(proxy, "collapsed") == 2


@alone
def test_they_are_not_let_go_all_at_once(start_proxy, origin, crowd):
    """The first answer comes when the third of them has asked: it serves those who are left."""
    proxy = start_proxy("collapse_cold_timeout=300ms")
    go, rest = threading.Event(), threading.Event()
    origin.on("/", [go, respond(204, FRESH, "X-A: first")], [rest, respond(204, FRESH, "X-A: own")])
    clients = crowd(proxy, MANY)
    origin.wait_heads(4)
    go.set()
    assert clients[0].response()["X-A"] == "first"
    rest.set()
    answers = [client.response() for client in clients[1:]]
    assert all(answer.status == 204 for answer in answers)
    # each has asked for itself, or has what one of them was answered
    assert sum(answer.stored for answer in answers) == len(origin.heads) - 1 < MANY - 1
    assert counter(proxy, "collapse_timeouts") == len(origin.heads) - 1


@alone
@pytest.mark.long
def test_the_first_one_leaves_a_long_poll(start_proxy, origin, crowd):
    proxy = start_proxy("collapse_cold_timeout=300ms")
    go = threading.Event()
    origin.on("/", [go, respond(204, PRIVATE)])
    clients = crowd(proxy, 4)
    clients[0].reset()
    origin.wait_heads(4)
    until(lambda: origin.connections[0].ended, "nobody asks for the first one any more")
    go.set()
    assert [client.response().status for client in clients[1:]] == [204] * 3


@alone
def test_the_first_one_fails_when_others_were_let_go(start_proxy, origin, crowd):
    proxy = start_proxy("collapse_cold_timeout=100ms")
    fail, go = threading.Event(), threading.Event()
    origin.on("/", [fail, RESET], [go, respond(204, PRIVATE)])
    clients = crowd(proxy, 4)
    origin.wait_heads(2)
    fail.set()
    assert clients[0].response().status == 502
    origin.wait_heads(4)
    go.set()
    assert [client.response().status for client in clients[1:]] == [204] * 3


@alone
def test_what_proved_shareable_is_waited_for_longer(start_proxy, origin, crowd):
    """Also when its record is gone: it is remembered of the key."""
    proxy = start_proxy("collapse_cold_timeout=300ms")
    first, second, other = threading.Event(), threading.Event(), threading.Event()
    origin.on("/", [first, respond(204, FRESH)], [second, respond(204, FRESH)])
    origin.on("/other", [other, respond(204, PRIVATE)])
    clients = crowd(proxy, 2)
    until_waiting(proxy, 2)
    first.set()
    assert [client.response().status for client in clients] == [204] * 2
    assert proxy.admin(f"/purge?uri={origin.url()}", "POST").status == 200
    clients = crowd(proxy, 2)
    # a wait that began later ends earlier
    others = crowd(proxy, 2, "/other")
    origin.wait_heads(4)
    other.set()
    second.set()
    assert [client.response().status for client in others] == [204] * 2
    assert clients[0].response().stored
    assert clients[1].response().cache_status["collapsed"]
    assert len(origin.heads) == 4


def test_what_one_worker_has_learnt_others_know(start_proxy, origin, crowd):
    proxy = start_proxy("workers=3", "collapse_cold_timeout=10s")
    go = threading.Event()
    origin.on("/", respond(204, PRIVATE), [go, respond(204, PRIVATE)])
    with proxy.connect() as client:
        client.get(origin.url())
    clients = crowd(proxy, 12)
    origin.wait_heads(13)
    go.set()
    assert [client.response().status for client in clients] == [204] * 12
    assert counter(proxy, "collapsed") == 0
