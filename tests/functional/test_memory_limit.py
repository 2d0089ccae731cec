"""Memory runs out: what cannot be served is refused, what is served is right, and the worker lives."""

import collections
import pathlib
import re
import resource
import threading

import pytest

from support.http1 import Closed
from support.origin import respond
from support.proxy import SANITIZED
from support.rawclient import request_bytes
from support.until import until

pytestmark = [
    pytest.mark.long,
    pytest.mark.one_worker("memory is that of a process"),
    pytest.mark.skipif(SANITIZED, reason="a sanitizer needs all addresses"),
]

CLIENTS = 200
LONG = "X-A: " + "a" * 30000  # all of them together are more than there is memory for
BODY = bytes(range(256)) * 400
KIB = 1024


def address_space(pid):
    return int(re.search(r"VmSize:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * KIB


def limit(pid, size):
    """From now on it gets so much more; None for no limit."""
    size = resource.RLIM_INFINITY if size is None else address_space(pid) + size
    resource.prlimit(pid, resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def crowd(proxy, origin):
    """Clients whose requests the origin has, or which were refused; behind each there are more, and a body."""
    clients = []
    for n in range(CLIENTS):
        clients.append(proxy.connect())
        requests = request_bytes("GET", origin.url(f"/{n}"), LONG) + request_bytes("GET", origin.url(f"/{n}"))
        try:
            clients[-1].send(requests + request_bytes("POST", origin.url("/body"), body=BODY))
        except OSError:
            pass  # it was refused before it had sent all
    until(lambda: len(origin.heads) + sum(client.readable(0) for client in clients) >= CLIENTS,
          "all are at the origin or refused", timeout=30)
    return clients


def answers(client):
    """What a client gets, until the end."""
    try:
        for method in ("GET", "GET", "POST"):
            answer = client.response(method)
            if answer.status == 200 and answer.complete:
                assert answer.body == BODY
            yield answer.status
    except (Closed, OSError):
        yield "closed"


@pytest.mark.parametrize("spare", [0, 64 * KIB, 1024 * KIB])
def test_what_cannot_be_served_is_refused(start_proxy, origin, spare):
    go, fresh = threading.Event(), respond(204, "Cache-Control: max-age=600")
    origin.default = fresh
    origin.on("/body", respond(200, body=BODY))
    proxy = start_proxy()
    with proxy.connect() as client:
        assert client.get(origin.url("/first")).stored
    worker = proxy.worker
    limit(worker, spare)
    origin.default = [go, fresh]
    clients = crowd(proxy, origin)
    go.set()
    seen = collections.Counter()
    for client in clients:
        seen.update(answers(client))
        client.close()
    assert seen[500] + seen["closed"] > 0, f"it did not run out: {seen}"
    assert set(seen) <= {200, 204, 500, 503, "closed"}, seen
    assert proxy.worker == worker, proxy.errors()
    limit(worker, None)
    with proxy.connect() as client:
        assert client.get(origin.url("/first")).status == 204
        assert client.get(origin.url("/last")).status == 204
    assert proxy.worker == worker, proxy.errors()
