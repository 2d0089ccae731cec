"""An answer is made of the record that was looked up, whatever writes to the store meanwhile.

Bytes that are read too late are seen best with the map of the store unreadable between
transactions, as `make functional-map` has it.
"""

import threading

import pytest

from support.origin import respond
from support.until import until, until_waiting

STALE = ["Cache-Control: max-age=600, stale-while-revalidate=6000", "Age: 700", 'ETag: "a"', f"X-A: {'a' * 300}"]
SECRET = ["Cache-Control: max-age=600", "Set-Cookie: session=secret", f"X-B: {'b' * 300}"]


def connect_to(proxy, worker):
    """A client of that worker; of any for None."""
    for _ in range(500):
        client = proxy.connect()
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().status == 204
        if worker in (None, proxy.worker_of(client)):
            return client
        client.close()
    raise AssertionError("no connection reaches it")


@pytest.fixture
def crowded(start_proxy, origin, worker_count):
    """A proxy with a stale record of an origin that a worker can ask nothing more; and a client of
    that worker."""
    go_on = threading.Event()
    origin.on("/stale", respond(204, *STALE))
    origin.on("/slow", [go_on, respond(200)])
    proxy = start_proxy(f"workers={worker_count}", "origin_connections=1", "store_interval=1s",
                        "log_level=debug")
    client = connect_to(proxy, None)
    assert client.get(origin.url("/stale")).stored
    until(lambda: proxy.stats()["gauges"]["writes_waiting"] == 0, "it is in the store")
    worker = proxy.worker_of(client) if worker_count > 1 else None
    slow = connect_to(proxy, worker)
    slow.request("GET", origin.url("/slow"))
    origin.wait_requests(2)
    yield proxy, client
    go_on.set()
    assert slow.response().status == 200
    slow.close()
    client.close()


def test_a_validation_that_cannot_begin(crowded, origin, start_origin):
    """What it gives back lets waiting writes into the store: not before the answer was made."""
    proxy, client = crowded
    other = start_origin()
    other.default = respond(204, *SECRET)
    for n in range(20):
        assert client.get(other.url(f"/{n}")).stored  # it waits for the store
        answer = client.get(origin.url("/stale"))
        assert (answer.status, answer["X-A"], answer["ETag"]) == (204, "a" * 300, '"a"')
        assert (answer.hit, answer["Set-Cookie"], answer["X-B"]) == (True, None, None)
    assert len(origin.requests) == 2
    assert proxy.stats()["counters"]["views_ended"] == 0


def test_a_removal_at_a_full_queue(start_proxy, origin, worker_count):
    """A record that its client passed over is removed although nothing more may wait."""
    proxy = start_proxy(f"workers={worker_count}", "store_pending=16", "store_interval=1s")
    origin.default = respond(204, *SECRET)
    with proxy.connect() as client:
        assert client.get(origin.url("/a")).stored
        until(lambda: proxy.stats()["gauges"]["writes_waiting"] == 0, "it is in the store")
        for n in range(20):
            client.get(origin.url(f"/{n}"))
        origin.on("/a", respond(404))
        assert client.get(origin.url("/a"), "Cache-Control: no-cache").status == 404
        origin.on("/a", respond(204, *STALE))
        assert client.get(origin.url("/a"))["X-A"] == "a" * 300
        assert proxy.stats()["counters"]["views_ended"] == 0
