"""Descriptors run out: accepting pauses and goes on, nothing spins, what is open is served."""

import os
import resource
import threading

import pytest

from support.http1 import Closed
from support.origin import respond
from support.proxy import Proxy
from support.target import Target, connect_bytes, open_tunnel, until

pytestmark = pytest.mark.one_worker("descriptors are those of a process")

SPARE = 12  # descriptors that are left


def processor_time(proxy):
    with open(f"/proc/{proxy.worker}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(proxy):
    return len(os.listdir(f"/proc/{proxy.worker}/fd"))


def leave(proxy, spare):
    """From now on it can open so many more."""
    highest = max(int(fd) for fd in os.listdir(f"/proc/{proxy.worker}/fd"))
    assert highest < descriptors(proxy) + 8, "numbers are not given out from the bottom"
    limit = descriptors(proxy) + spare
    _, hard = resource.prlimit(proxy.worker, resource.RLIMIT_NOFILE)
    resource.prlimit(proxy.worker, resource.RLIMIT_NOFILE, (limit, hard))


def give_back(proxy):
    _, hard = resource.prlimit(proxy.worker, resource.RLIMIT_NOFILE)
    resource.prlimit(proxy.worker, resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture
def short(start_proxy, origin):
    """A proxy with few left, and a client that it knows."""
    origin.default = respond(204, "Cache-Control: max-age=60")
    proxy = start_proxy("connect_ports=*")
    client = proxy.connect()
    assert client.get(origin.url()).stored
    leave(proxy, SPARE)
    yield proxy, client
    client.close()


def test_accepting_pauses_and_goes_on(short, origin):
    proxy, client = short
    before = descriptors(proxy)
    crowd = [proxy.connect() for _ in range(SPARE * 3)]  # by the kernel: its queue is long
    until(lambda: descriptors(proxy) >= before + SPARE - 1, "descriptors are left")
    for _ in range(20):
        assert client.get(origin.url()).hit
    used = processor_time(proxy)
    threading.Event().wait(1.5)
    assert processor_time(proxy) - used < 0.4, "it spins"
    for other in crowd:
        other.close()
    with proxy.connect() as late:
        assert late.get(origin.url()).hit
    assert proxy.stats()["counters"]["accept_pauses"] > 0
    assert proxy.errors().count("cannot accept clients, pausing: Too many open files") <= proxy.worker_count
    until(lambda: descriptors(proxy) <= before, "descriptors stay open")


def test_no_descriptor_for_an_origin(short, start_origin):
    proxy, client = short
    other = start_origin()
    crowd = [proxy.connect() for _ in range(SPARE * 2)]
    until(lambda: proxy.errors().count("cannot accept") > 0, "there are descriptors")
    answer = client.get(other.url())
    assert answer.status in (502, 503)
    for each in crowd:
        each.close()
    until(lambda: asks(proxy, other), "the origin is not reached again")


def asks(proxy, origin):
    try:
        with proxy.connect() as client:
            return client.get(origin.url()).status == 204
    except (Closed, OSError):
        return False


def test_no_descriptor_for_a_tunnel_or_a_pipe(short):
    """A tunnel needs one more, a large transfer two: without them it is refused, or copied."""
    proxy, client = short
    target = Target()
    leave(proxy, 1)
    open_tunnel(client, target.authority)
    data = os.urandom(4 << 20)
    sender = threading.Thread(target=client.send, args=(data,), daemon=True)
    sender.start()
    assert client.stream.exactly(len(data)) == data
    sender.join(5)
    give_back(proxy)
    with proxy.connect() as other:
        open_tunnel(other, target.authority)
        leave(proxy, 0)
        with proxy.connect() as late:
            late.send(connect_bytes(target.authority))
            with pytest.raises((Closed, AssertionError, OSError)):
                assert late.response("CONNECT").status == 200
        give_back(proxy)
    target.close()


def test_stays_within_a_low_limit_of_the_shell(tmp_path, origin):
    """As started with `ulimit -n 64`: what does not fit is refused, and there is always one for an
    origin, and for clients of other addresses."""
    origin.default = respond(204, "Cache-Control: max-age=60")
    proxy = Proxy(tmp_path / "proxy", start=False)
    proxy.wrapper = ["prlimit", "--nofile=64:64"]
    proxy.start()
    assert "leaves room for 10 clients" in proxy.errors()
    clients = [proxy.connect() for _ in range(80)]
    served = 0
    for client in clients:
        try:
            client.request("POST", origin.url())
        except OSError:
            pass
    for client in clients:
        try:
            client.sock.settimeout(0.5)
            served += client.response().status == 204
        except (Closed, AssertionError, OSError):
            pass
        client.close()
    assert served >= 8

    def is_served():
        """Once the proxy has seen that the others left."""
        try:
            with proxy.connect() as client:
                return client.get(origin.url()).status == 204
        except (Closed, OSError):
            return False

    until(is_served, "a client is served again")
    proxy.stop()
    proxy.remove()
