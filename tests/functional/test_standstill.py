"""The proxy is stopped while it waits, as by a debugger or a frozen machine, for longer than it would wait. What
came meanwhile is served: a deadline is for peers that say nothing."""

import os
import pathlib
import signal
import threading
import time

import pytest

from support.origin import respond
from support.rawclient import request_bytes
from support.until import until
from support.waits import (Connect, Drain, FirstByte, Head, Name, ResponseBody, Tunnel, World, all_waits,
                           name_of)

pytestmark = pytest.mark.one_worker("the process that is stopped is the one that serves")

DEADLINE = 0.45  # less than a turn of the loop may count for (DEADLINE_TURN_MAX_MS)
STOP = 1.0
IN_TIME = 0.3    # the wait has begun, with so much of the deadline gone at most
ATTEMPTS = 10    # on a machine that has other things to do


def is_stopped(pid):
    """Or has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TtZX"
    except FileNotFoundError:
        return True


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has ended


class Stopped:
    def __init__(self, proxy):
        self.pids = sorted(proxy.workers()) + [proxy.pid]

    def __enter__(self):
        for pid in self.pids:
            send(pid, signal.SIGSTOP)
        until(lambda: all(map(is_stopped, self.pids)), "it is stopped")
        self.began = time.monotonic()

    def __exit__(self, *_):
        time.sleep(max(0, self.began + STOP - time.monotonic()))
        for pid in reversed(self.pids):
            send(pid, signal.SIGCONT)


def begun(kind, world):
    """A wait that has just begun."""
    for _ in range(ATTEMPTS):
        wait = kind(world, f"{int(DEADLINE * 1000)}ms")
        began = time.monotonic()
        wait.begin()
        if time.monotonic() - began < IN_TIME:
            return wait
        wait.go.set()
        world.close()
    pytest.skip("this machine is too busy")
    return None


@pytest.fixture
def world(start_proxy, tmp_path):
    world = World(start_proxy, tmp_path)
    yield world
    world.close()


@pytest.mark.long
@pytest.mark.parametrize("kind", all_waits(), ids=name_of)
def test_what_came_meanwhile_is_served(world, kind):
    wait = begun(kind, world)
    with Stopped(world.proxy):
        wait.go_on()
    wait.served()


MANY = 400  # more than one epoll_wait() tells of


def begun_heads(proxy, data):
    """Clients that have all just begun."""
    for _ in range(ATTEMPTS):
        clients = [proxy.connect() for _ in range(MANY)]
        began = time.monotonic()
        for client in clients:
            client.send(data[:-2])
        if time.monotonic() - began < IN_TIME:
            return clients
        for client in clients:
            client.close()
    pytest.skip("this machine is too busy")
    return None


def test_many_at_once(start_proxy, origin):
    """Whoever's deadline is due first, nobody's bytes are overlooked."""
    proxy = start_proxy(f"head_timeout={int(DEADLINE * 1000)}ms")
    data = request_bytes("GET", origin.url())
    clients = begun_heads(proxy, data)
    with Stopped(proxy):
        for client in clients:
            client.send(data[-2:])
    assert [client.response().status for client in clients] == [204] * MANY


def test_many_in_a_drain(start_proxy, origin):
    proxy = start_proxy(f"drain_timeout={int(DEADLINE * 1000)}ms", f"origin_connections={MANY}")
    go = threading.Event()
    origin.default = [go, respond(200, body=bytes(50000))]
    clients = [proxy.connect() for _ in range(MANY // 4)]
    for n, client in enumerate(clients):
        client.request("GET", origin.url(f"/{n}"))
    origin.wait_heads(len(clients))
    proxy.terminate()
    with Stopped(proxy):
        go.set()
    answers = [client.response() for client in clients]
    assert {(answer.status, len(answer.body)) for answer in answers} == {(200, 50000)}
    proxy.wait()


def test_workers_and_their_master_stopped_in_a_drain(world, start_proxy):
    """The master kills workers that do not end in time: it has to know that it was stopped, too."""
    world.start = lambda *options: start_proxy("workers=3", *options)
    wait = begun(Drain, world)
    with Stopped(world.proxy):
        wait.go_on()
    wait.served()


@pytest.mark.parametrize("kind", [Head, FirstByte, ResponseBody, Connect, Tunnel, Name, Drain], ids=name_of)
def test_who_says_nothing_is_late(world, kind):
    wait = kind(world, f"{int(DEADLINE * 1000)}ms")
    wait.begin()
    with Stopped(world.proxy):
        pass
    wait.late()
    wait.go.set()
