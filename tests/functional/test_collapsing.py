"""Requests for the same key at the same time: one question to the origin, when the answer may be shared."""

import threading

import pytest

from support.origin import CLOSE, respond

pytestmark = pytest.mark.one_worker("requests wait for a fetch of their own worker")

FRESH = "Cache-Control: max-age=60"
# they wait for as long as a test takes
PROXY_OPTIONS = ["collapse_cold_timeout=10s"]


@pytest.fixture
def crowd(connect, origin):
    """Clients that ask for the same at once, the first one first: crowd(n, *fields)."""
    def crowd(n, *fields):
        clients = [connect() for _ in range(n)]
        clients[0].request("GET", origin.url(), *fields)
        origin.wait_heads(1)
        for client in clients[1:]:
            client.request("GET", origin.url(), *fields)
        return clients

    return crowd


def until_waiting(proxy, n):
    """Until the proxy has read n requests that are not answered."""
    for _ in range(500):
        if proxy.stats()["gauges"]["exchanges"] >= n:
            return
    raise AssertionError(proxy.stats()["gauges"])


def test_one_question_for_many(proxy, origin, crowd):
    go = threading.Event()
    origin.on("/", [go, respond(204, FRESH, "X-A: b")])
    clients = crowd(50)
    until_waiting(proxy, 50)
    go.set()
    answers = [client.response() for client in clients]
    assert all((a.status, a["X-A"]) == (204, "b") for a in answers)
    assert len(origin.requests) == 1
    assert sum(a.cache_status.get("collapsed", False) for a in answers) == 49


def test_answers_that_may_not_be_shared_are_each_ones_own(proxy, origin, crowd):
    go = threading.Event()
    origin.on("/", *[[go, respond(204, "Cache-Control: no-store", f"X-N: {n}")] for n in range(20)])
    clients = crowd(20)
    until_waiting(proxy, 20)
    go.set()
    assert sorted(int(c.response()["X-N"]) for c in clients) == list(range(20))


@pytest.mark.parametrize("reply", [respond(200, FRESH, body=b"x"), respond(404, body=b"x")], ids=["200", "404"])
def test_other_statuses_do_not_wait_one_for_the_other(proxy, origin, crowd, reply):
    """All are released by the first head; the origin then has them all at once."""
    first, rest = threading.Event(), threading.Event()
    origin.on("/", [first, reply], [rest, reply])
    clients = crowd(10)
    until_waiting(proxy, 10)
    first.set()
    assert clients[0].response().body == b"x"
    origin.wait_heads(10)
    rest.set()
    assert all(client.response().body == b"x" for client in clients[1:])


@pytest.mark.parametrize("fields", [["Cache-Control: no-cache"], ["Authorization: Basic QTpC"], ['If-Match: "a"']],
                         ids=" ".join)
def test_who_may_not_wait_asks_alone(origin, connect, fields):
    go = threading.Event()
    origin.on("/", [go, respond(204, FRESH)])
    one, two = connect(), connect()
    one.request("GET", origin.url())
    origin.wait_heads(1)
    two.request("GET", origin.url(), *fields)
    origin.wait_heads(2)
    go.set()
    assert [c.response().status for c in (one, two)] == [204, 204]


def test_first_client_that_leaves_does_not_fail_the_others(proxy, origin, crowd):
    go = threading.Event()
    origin.on("/", [go, respond(204, FRESH)])
    clients = crowd(5)
    until_waiting(proxy, 5)
    clients[0].reset()
    go.set()
    assert [client.response().status for client in clients[1:]] == [204] * 4


def test_first_question_that_fails_does_not_fail_the_others(proxy, origin, crowd):
    go = threading.Event()
    origin.on("/", [go, CLOSE], respond(204, FRESH))
    clients = crowd(5)
    until_waiting(proxy, 5)
    go.set()
    assert [client.response().status for client in clients[1:]] == [204] * 4


def test_variants_do_not_get_each_others_answer(proxy, origin, connect):
    go = threading.Event()
    origin.on("/", [go, respond(204, FRESH, "Vary: X", "X-N: 1")], respond(204, FRESH, "Vary: X", "X-N: 2"))
    one, two = connect(), connect()
    one.request("GET", origin.url(), "X: 1")
    origin.wait_heads(1)
    two.request("GET", origin.url(), "X: 2")
    until_waiting(proxy, 2)
    go.set()
    assert [c.response()["X-N"] for c in (one, two)] == ["1", "2"]
