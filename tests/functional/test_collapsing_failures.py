"""Requests that wait for a question that fails, or whose client leaves."""

import threading

import pytest

from support.origin import CLOSE, NEVER, RESET, respond
from support.until import until, until_waiting

pytestmark = pytest.mark.one_worker("requests wait for a fetch of their own worker")

FRESH = "Cache-Control: max-age=60"
# they wait for as long as a test takes
PROXY_OPTIONS = ["collapse_cold_timeout=10s"]


@pytest.fixture
def crowd(proxy, connect, origin):
    """Clients that wait for the first of them: crowd(n)."""
    def crowd(n):
        clients = [connect() for _ in range(n)]
        clients[0].request("GET", origin.url())
        origin.wait_heads(1)
        for client in clients[1:]:
            client.request("GET", origin.url())
        until_waiting(proxy, n)
        return clients

    return crowd


def test_waiters_get_the_answer_that_the_one_who_left_asked_for(proxy, origin, crowd):
    go = threading.Event()
    origin.on("/", [go, respond(204, FRESH)])
    clients = crowd(20)
    clients[0].reset()
    until(lambda: proxy.stats()["gauges"]["clients"] == 19, "the proxy to notice")
    go.set()
    answers = [client.response() for client in clients[1:]]
    assert all((a.status, a.cache_status.get("collapsed")) == (204, True) for a in answers)
    assert len(origin.heads) == 1


def test_all_leave_and_the_question_is_dropped(proxy, origin, crowd):
    origin.on("/", [NEVER])
    for client in crowd(5):
        client.reset()
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 0, "nothing under way")
    origin.wait_all_closed()


def test_a_waiter_that_leaves_hurts_no_other(origin, crowd):
    go = threading.Event()
    origin.on("/", [go, respond(204, FRESH)])
    clients = crowd(10)
    for client in clients[3:6]:
        client.reset()
    go.set()
    assert all(client.response().status == 204 for client in clients[:3] + clients[6:])
    assert len(origin.heads) == 1


@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["fin", "rst"])
def test_next_one_asks_when_the_first_fails(origin, crowd, end):
    go = threading.Event()
    origin.on("/", [go, end], respond(204, FRESH))
    clients = crowd(20)
    go.set()
    assert clients[0].response().status == 502
    answers = [client.response() for client in clients[1:]]
    assert [a.status for a in answers] == [204] * 19
    assert sum(a.cache_status.get("collapsed", False) for a in answers) == 18
    assert len(origin.heads) == 2


@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["fin", "rst"])
def test_after_a_second_failure_each_asks_for_itself(origin, crowd, end):
    """Two requests that the origin does not like are not the end of all that wait for them."""
    go = threading.Event()
    origin.on("/", [go, end], [end], respond(204, FRESH))
    clients = crowd(20)
    go.set()
    assert sorted(client.response().status for client in clients) == [204] * 18 + [502] * 2
    assert len(origin.heads) >= 3


def test_answer_after_a_failure_that_cannot_be_shared(origin, crowd):
    """Who took over passes it on, and the rest ask for themselves."""
    go = threading.Event()
    origin.on("/", [go, RESET], respond(200, body=b"x"))
    clients = crowd(5)
    go.set()
    assert [client.response().status for client in clients] == [502] + [200] * 4
    assert len(origin.heads) == 5


def test_answer_that_breaks_off_in_its_body_is_one_clients_loss(origin, crowd):
    go = threading.Event()
    origin.on("/", [go, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", RESET], respond(204, FRESH))
    clients = crowd(5)
    go.set()
    assert not clients[0].response().complete
    assert [client.response().status for client in clients[1:]] == [204] * 4


def test_first_one_leaves_and_then_the_origin_fails(proxy, origin, crowd):
    go = threading.Event()
    origin.on("/", [go, RESET], respond(204, FRESH))
    clients = crowd(5)
    clients[0].reset()
    until(lambda: proxy.stats()["gauges"]["clients"] == 4, "the proxy to notice")
    go.set()
    assert [client.response().status for client in clients[1:]] == [204] * 4


def test_first_one_leaves_and_the_answer_has_a_body(proxy, origin, crowd):
    go = threading.Event()
    origin.on("/", [go, respond(200, body=b"x" * 100000)], respond(200, body=b"y"))
    clients = crowd(5)
    clients[0].reset()
    until(lambda: proxy.stats()["gauges"]["clients"] == 4, "the proxy to notice")
    go.set()
    assert [client.response().body for client in clients[1:]] == [b"y"] * 4
