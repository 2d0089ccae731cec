"""A request whose answer the origin holds back."""

import threading
import time

from support.origin import respond
from support.until import until


def ask_held(proxy, origin):
    """Ask for / and have the answer; for how many microseconds it was held, at least."""
    go = threading.Event()
    origin.on("/", [go, respond(204)])
    with proxy.connect() as client:
        client.request("GET", origin.url())
        origin.wait_requests(1)
        until(lambda: proxy.stats()["counters"]["origin_requests"] > 0, "the proxy knows that it has sent it")
        since = time.monotonic()
        assert not client.readable(0.05)
        held_us = (time.monotonic() - since) * 1e6
        go.set()
        client.response()
    return held_us
