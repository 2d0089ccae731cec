"""Waiting for another's question is bounded, in number and in time, and not for everybody."""

import threading

import pytest

from support.origin import respond
from support.requirement import requirement
from support.until import until_waiting

pytestmark = pytest.mark.one_worker("requests wait for a fetch of their own worker")

FRESH = "Cache-Control: max-age=60"
# they wait for as long as a test takes
PROXY_OPTIONS = ["collapse_cold_timeout=10s"]


class Crowd:
    """A question under way that `go` ends, and clients of one proxy."""

    def __init__(self, proxy, origin, *lines):
        self.proxy, self.origin = proxy, origin
        self.go = threading.Event()
        origin.on("/", [self.go, respond(204, *(lines or [FRESH]), "X-N: 1")], respond(204, FRESH, "X-N: 2"))
        self.clients = []

    def ask(self, *fields, method="GET"):
        client = self.proxy.connect()
        self.clients.append(client)
        client.request(method, self.origin.url(), *fields)
        return client

    def first(self, *fields, method="GET"):
        client = self.ask(*fields, method=method)
        self.origin.wait_heads(1)
        return client


@pytest.fixture
def crowd(proxy, origin):
    crowd = Crowd(proxy, origin)
    yield crowd
    crowd.go.set()
    for client in crowd.clients:
        client.close()


@pytest.mark.parametrize("fields", [
    ["Cache-Control: no-cache"], ["Cache-Control: max-age=0"], ["Cache-Control: no-store"], ["Pragma: no-cache"],
    ["Authorization: Basic QTpC"], ['If-Match: "a"'], ["If-Unmodified-Since: Thu, 01 Jan 2026 00:00:00 GMT"],
    ["Range: bytes=0-5", 'If-Range: "a"'],
], ids=" ".join)
def test_who_brings_a_wish_of_his_own_never_waits(crowd, fields):
    first = crowd.first()
    assert crowd.ask(*fields).response().status == 204
    assert len(crowd.origin.heads) == 2
    crowd.go.set()
    assert first.response()["X-N"] == "1"


@pytest.mark.parametrize("fields", [["Cookie: a=b"], ['If-None-Match: "a"'], ["Cache-Control: max-stale"],
                                    ["Cache-Control: max-age=100"], ["Accept: x"]], ids=" ".join)
def test_who_brings_none_waits(crowd, fields):
    first = crowd.first()
    second = crowd.ask(*fields)
    until_waiting(crowd.proxy, 2)
    crowd.go.set()
    assert first.response()["X-N"] == second.response()["X-N"] == "1"
    assert len(crowd.origin.heads) == 1


@pytest.mark.parametrize("fields", [["Authorization: Basic QTpC"], ["Cache-Control: no-cache"]], ids=" ".join)
def test_no_client_waits_for_a_request_with_conditions_of_its_own(crowd, fields):
    first = crowd.first(*fields)
    assert crowd.ask().response()["X-N"] == "2"
    crowd.go.set()
    assert first.response()["X-N"] == "1"


def test_only_if_cached_does_not_wait(crowd):
    crowd.first()
    assert crowd.ask("Cache-Control: only-if-cached").response().status == 504
    assert len(crowd.origin.heads) == 1


@requirement("RFC 9111 4.1 MUST NOT")
def test_other_selecting_fields_ask_for_themselves(proxy, origin):
    crowd = Crowd(proxy, origin, FRESH, "Vary: X-A")
    same = [crowd.first("X-A: 1"), crowd.ask("X-A: 1"), crowd.ask("X-A: 1")]
    other = [crowd.ask("X-A: 2"), crowd.ask()]
    until_waiting(proxy, 5)
    crowd.go.set()
    assert [client.response()["X-N"] for client in same] == ["1"] * 3
    answers = [client.response() for client in other]
    assert [(a["X-N"], a.fwd) for a in answers] == [("2", "vary-miss")] * 2
    assert len(origin.heads) == 3


def test_max_age_of_a_waiter_is_judged_on_what_came(proxy, origin):
    crowd = Crowd(proxy, origin, FRESH, "Age: 30")
    first, second = crowd.first(), crowd.ask("Cache-Control: max-age=10")
    until_waiting(proxy, 2)
    crowd.go.set()
    assert [client.response()["X-N"] for client in (first, second)] == ["1", "2"]


def test_condition_of_a_waiter_is_judged_on_what_came(proxy, origin):
    crowd = Crowd(proxy, origin, FRESH, 'ETag: "a"')
    first, second = crowd.first(), crowd.ask('If-None-Match: "a"')
    until_waiting(proxy, 2)
    crowd.go.set()
    assert first.response().status == 204
    answer = second.response()
    assert (answer.status, answer.cache_status["collapsed"]) == (304, True)


def test_head_waits_for_get(crowd):
    first, second = crowd.first(), crowd.ask(method="HEAD")
    until_waiting(crowd.proxy, 2)
    crowd.go.set()
    assert [c.response(m)["X-N"] for c, m in ((first, "GET"), (second, "HEAD"))] == ["1", "1"]
    assert len(crowd.origin.heads) == 1


def test_get_does_not_wait_for_head(crowd):
    first = crowd.first(method="HEAD")
    assert crowd.ask().response()["X-N"] == "2"
    crowd.go.set()
    assert first.response("HEAD")["X-N"] == "1"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "M-SEARCH"])
def test_other_methods_do_not_wait(crowd, method):
    first = crowd.first()
    assert crowd.ask(method=method).response()["X-N"] == "2"
    crowd.go.set()
    assert first.response()["X-N"] == "1"


def test_conditional_answer_for_one_does_not_end_collapsing(proxy, origin):
    """A 304 for what one client has says nothing of what others would get."""
    origin.on("/", respond(304, 'ETag: "mine"'))
    crowd = Crowd(proxy, origin)
    origin.replies["/"][0].insert(0, respond(304, 'ETag: "mine"'))
    assert crowd.ask('If-None-Match: "mine"').response().status == 304
    first = crowd.ask()
    origin.wait_heads(2)
    second = crowd.ask()
    until_waiting(proxy, 2)
    crowd.go.set()
    assert [client.response()["X-N"] for client in (first, second)] == ["1", "1"]


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_number_of_waiters_is_bounded(start_proxy, origin, limit):
    proxy = start_proxy(f"collapse_waiters={limit}", *PROXY_OPTIONS)
    crowd = Crowd(proxy, origin)
    first = crowd.first()
    waiting = [crowd.ask() for _ in range(limit)]
    until_waiting(proxy, limit + 1)
    assert crowd.ask().response()["X-N"] == "2"
    assert len(origin.heads) == 2
    crowd.go.set()
    assert first.response()["X-N"] == "1"
    assert all(client.response().cache_status["collapsed"] for client in waiting)
    assert len(origin.heads) == 2


def test_time_of_waiting_is_bounded(start_proxy, origin):
    crowd = Crowd(start_proxy("collapse_timeout=100ms"), origin)
    first, second = crowd.first(), crowd.ask()
    assert second.response()["X-N"] == "2"
    crowd.go.set()
    assert first.response()["X-N"] == "1"


def test_no_time_is_no_waiting(start_proxy, origin):
    crowd = Crowd(start_proxy("collapse_timeout=0"), origin)
    crowd.first()
    crowd.ask()
    origin.wait_heads(2)
    assert crowd.proxy.stats()["counters"]["collapsed"] == 0
    crowd.go.set()
