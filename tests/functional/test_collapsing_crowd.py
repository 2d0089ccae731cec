"""A hundred requests at once: one question when the answer can be shared, all at once when it cannot."""

import threading

import pytest

from support.origin import respond
from support.requirement import requirement
from support.until import until_waiting

pytestmark = pytest.mark.one_worker("requests wait for a fetch of their own worker")

MANY = 100
FRESH = "Cache-Control: max-age=60"
# they wait for as long as a test takes
WAIT = "collapse_cold_timeout=10s"


class Crowd:
    """MANY clients; called, they send the same request, the first one first."""

    def __init__(self, proxy, origin):
        self.proxy, self.origin = proxy, origin
        self.clients = [proxy.connect() for _ in range(MANY)]

    def __call__(self):
        before = len(self.origin.heads)
        self.clients[0].request("GET", self.origin.url())
        self.origin.wait_heads(before + 1)
        for client in self.clients[1:]:
            client.request("GET", self.origin.url())
        return self.proxy, self.clients


@pytest.fixture
def crowd(start_proxy, origin):
    crowd = Crowd(start_proxy(WAIT), origin)
    yield crowd
    for client in crowd.clients:
        client.close()


@requirement("RFC 9111 4 MAY collapse")
def test_misses_of_a_cacheable_key_are_one_question(origin, crowd):
    go = threading.Event()
    origin.on("/", [go, respond(204, FRESH, "X-A: b")])
    proxy, clients = crowd()
    until_waiting(proxy, MANY)
    go.set()
    answers = [client.response() for client in clients]
    assert all((a.status, a["X-A"], a.fwd) == (204, "b", "uri-miss") for a in answers)
    assert len(origin.heads) == 1
    assert [a.cache_status.get("collapsed", False) for a in answers] == [False] + [True] * (MANY - 1)
    assert [a.stored for a in answers] == [True] + [False] * (MANY - 1)
    stats = proxy.stats()
    assert (stats["counters"]["collapsed"], stats["outcomes"]["collapsed"]) == (MANY - 1, MANY - 1)


@requirement("RFC 9211 2.6 DEF")
def test_validations_are_one_question(origin, crowd):
    go = threading.Event()
    origin.on("/", respond(204, FRESH, "Age: 100", 'ETag: "a"', "X-A: b"), [go, respond(304, FRESH, 'ETag: "a"')])
    proxy, clients = crowd.proxy, crowd.clients
    clients[0].get(origin.url())
    crowd()
    origin.wait_heads(2)
    until_waiting(proxy, MANY)
    go.set()
    answers = [client.response() for client in clients]
    assert all((a.status, a["X-A"], a.fwd) == (204, "b", "stale") for a in answers)
    assert sum(a.cache_status.get("collapsed", False) for a in answers) == MANY - 1
    assert len(origin.heads) == 2


@pytest.mark.parametrize("reply", [respond(200, FRESH, body=b"x"), respond(204, "Cache-Control: no-store"),
                                   respond(204, "Cache-Control: private, max-age=60"),
                                   respond(204, FRESH, "Vary: *"), respond(503, body=b"x")],
                         ids=["200", "no-store", "private", "vary *", "503"])
def test_what_cannot_be_shared_is_not_serialised(origin, crowd, reply):
    """The first head lets all the others go; the origin has them all before it answers one."""
    first, rest = threading.Event(), threading.Event()
    origin.on("/", [first, reply], [rest, reply])
    proxy, clients = crowd()
    until_waiting(proxy, MANY)
    assert len(origin.heads) == 1
    first.set()
    status = clients[0].response().status
    origin.wait_heads(MANY)
    rest.set()
    answers = [client.response() for client in clients[1:]]
    assert all((a.status, a.cache_status.get("collapsed")) == (status, None) for a in answers)
    assert len(origin.heads) == MANY


def test_a_key_that_cannot_be_shared_is_remembered(origin, crowd):
    """Those who come later do not wait at all."""
    go = threading.Event()
    origin.on("/", respond(200, body=b"x"), [go, respond(200, body=b"x")])
    crowd.clients[0].get(origin.url())
    proxy, clients = crowd()
    origin.wait_heads(1 + MANY)
    go.set()
    assert all(client.response().body == b"x" for client in clients)
    assert proxy.stats()["counters"]["collapsed"] == 0


def test_it_is_forgotten_after_a_while(start_proxy, start_origin):
    origin = start_origin()
    proxy = start_proxy("unshareable_time=0", WAIT)
    origin.on("/", respond(200, body=b"x"))
    with proxy.connect() as one, proxy.connect() as two:
        one.get(origin.url())
        go = threading.Event()
        origin.on("/", [go, respond(204, FRESH)])
        one.request("GET", origin.url())
        origin.wait_heads(2)
        two.request("GET", origin.url())
        until_waiting(proxy, 2)
        go.set()
        assert one.response().stored
        assert two.response().cache_status["collapsed"]
    assert len(origin.heads) == 2


@pytest.mark.parametrize("lines", [["Cache-Control: no-cache", 'ETag: "a"'], ["Cache-Control: max-age=0", 'ETag: "a"'],
                                   ["Cache-Control: max-age=60", "Age: 100"]], ids=" ".join)
def test_what_is_stored_but_answers_no_other_is_not_serialised(origin, crowd, lines):
    """Each must ask itself, and those who come later do not wait for others first."""
    first, rest = threading.Event(), threading.Event()
    reply = respond(204, *lines)
    origin.on("/", [first, reply], [rest, reply])
    proxy, clients = crowd()
    until_waiting(proxy, MANY)
    first.set()
    assert clients[0].response().stored
    origin.wait_heads(MANY)
    clients[0].request("GET", origin.url())
    origin.wait_heads(MANY + 1)
    rest.set()
    assert all(client.response().status == 204 for client in clients)
