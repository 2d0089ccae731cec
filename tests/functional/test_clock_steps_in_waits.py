"""The wall clock is set while the proxy waits: no deadline comes early, and none stays away."""

import base64
import itertools
import time

import pytest

from support.clock import DAY, HOUR, MISSING, Clock
from support.nameserver import NameServer
from support.origin import respond
from support.proxy import Proxy
from support.until import until
from support.waits import (Background, FirstByte, Idle, RequestBody, ResponseBody, Tunnel, World, all_waits,
                           name_of)

pytestmark = [pytest.mark.skipif(MISSING, reason="no libfaketime, or no place for it"),
              pytest.mark.one_worker("what waits, and for whom, is of one worker")]

TURNS = 2  # of the loop, in which a deadline that has come would pass


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "clock")


@pytest.fixture
def start(clock, tmp_path):
    """Start a proxy that has this clock."""
    started = []

    def start(*options):
        proxy = Proxy(tmp_path / f"proxy{len(started)}", *options, start=False)
        proxy.environment = clock.environment
        started.append(proxy)
        return proxy.start()

    yield start
    for proxy in started:
        try:
            proxy.stop()
        finally:
            proxy.kill()
            proxy.remove()


@pytest.fixture
def world(start, tmp_path):
    world = World(start, tmp_path)
    yield world
    world.close()


def let_turns_pass(proxy):
    """Each of these wakes the loop up, which then finds what is due."""
    if proxy.process.poll() is None:
        for _ in range(TURNS):
            try:
                proxy.admin("/healthz")
            except ConnectionError:
                time.sleep(0.3)  # it drains: a tick wakes it up


@pytest.mark.parametrize("step", [HOUR, -DAY])
@pytest.mark.parametrize("kind", all_waits(), ids=name_of)
@pytest.mark.long
def test_no_deadline_comes_early(world, clock, kind, step):
    wait = kind(world, "10s")
    wait.begin()
    clock.set(step)
    let_turns_pass(world.proxy)
    wait.go_on()
    if kind.is_dated and step != HOUR:
        assert wait.status() == 502
    else:
        wait.served()


@pytest.mark.parametrize("kind", [FirstByte, Idle, RequestBody, ResponseBody, Tunnel], ids=name_of)
def test_no_deadline_that_was_moved_on_comes_early(start, world, clock, kind):
    """Its timer runs still for the shorter wait before it."""
    world.start = lambda *options: start("head_timeout=1s", "connect_timeout=1s", *options)
    wait = kind(world, "20s")
    wait.begin()
    clock.set(HOUR)
    time.sleep(1.2)
    wait.go_on()
    wait.served()


@pytest.mark.parametrize("kind", all_waits(), ids=name_of)
def test_no_deadline_stays_away(world, clock, kind):
    wait = kind(world, "700ms")
    wait.begin()
    clock.set(-DAY)
    wait.late()
    wait.go.set()


@pytest.fixture
def names():
    server = NameServer({"known.test": ["127.0.0.1"]})
    yield server
    server.close()


@pytest.mark.parametrize("step", [HOUR, -DAY])
def test_names_are_kept_for_their_time(start, clock, origin, names, step):
    proxy = start(f"resolvers={names.address}", "allow=127.0.0.0/8", "hosts_file=", "origin_idle=0")
    with proxy.connect() as client:
        assert client.get(f"http://known.test:{origin.port}/1").status == 204
        asked = len(names.asked)
        clock.set(step)
        assert client.get(f"http://known.test:{origin.port}/2").status == 204
        assert len(names.asked) == asked


@pytest.mark.parametrize("step", [HOUR, -DAY])
def test_names_that_do_not_exist_are_asked_for_again(start, clock, origin, names, step):
    proxy = start(f"resolvers={names.address}", "dns_negative_ttl=500ms", "hosts_file=")

    def ask():
        with proxy.connect() as client:
            assert client.get(f"http://none.test:{origin.port}/").status in (502, 504)
        return len(names.asked)

    asked = ask()
    clock.set(step)
    until(lambda: ask() > asked, "it is asked for again")


@pytest.mark.parametrize("step", [HOUR, -DAY])
def test_an_idle_connection_of_an_origin_is_used_again(start, clock, origin, step):
    with start().connect() as client:
        client.get(origin.url("/1"))
        clock.set(step)
        client.get(origin.url("/2"))
        client.get(origin.url("/3"))
    assert len(origin.connections) == 1


@pytest.mark.parametrize("step", [HOUR, -DAY])
def test_what_cannot_be_shared_is_remembered_for_its_time(start, clock, origin, step):
    """After one answer that is not stored, the next who ask do not wait for each other."""
    proxy = start("unshareable_time=1s")
    with proxy.connect() as one, proxy.connect() as other:
        origin.on("/", respond(204, "Cache-Control: no-store"))
        one.get(origin.url())
        clock.set(step)
        until(lambda: waits_for(proxy, origin, one, other), "they wait for each other again")


def waits_for(proxy, origin, one, other):
    """Does the other wait for the one?  Each answer is remembered anew, so it looks once a second."""
    time.sleep(1.1)
    before = proxy.stats()["counters"]["collapsed"]
    held = [lambda connection: time.sleep(0.3), respond(204, "Cache-Control: no-store")]
    origin.on("/", held)
    heads = len(origin.heads)
    one.request("GET", origin.url())
    origin.wait_heads(heads + 1)
    other.get(origin.url())
    one.response()
    return proxy.stats()["counters"]["collapsed"] > before


@pytest.mark.parametrize("step", [HOUR, -DAY])
def test_uptime_is_how_long_it_runs(start, clock, step):
    proxy = start()
    clock.set(step)
    assert 0 <= proxy.stats()["uptime_s"] < 60


@pytest.mark.parametrize("step", [HOUR, -DAY])
def test_copies_are_made_in_their_time(start, clock, origin, step):
    proxy = start("sync=1s")
    with proxy.connect() as client:
        origin.on("/", clock.respond(204, "Cache-Control: max-age=60"))
        client.get(origin.url())
        clock.set(step)
        until(lambda: proxy.stats()["store"]["copies"] >= 1, "a copy is made", 10)
        assert proxy.stats()["store"]["copies_failed"] == 0


@pytest.mark.parametrize("step", [HOUR, -DAY])
def test_a_purge_and_its_removal_go_on(start, clock, origin, step):
    proxy = start()
    with proxy.connect() as client:
        for n in range(50):
            origin.on(f"/{n}", clock.respond(204, "Cache-Control: max-age=60"))
            client.get(origin.url(f"/{n}"))
        clock.set(step)
        assert proxy.admin("/purge", "POST", "Content-Length: 0").status == 202
        until(lambda: proxy.stats()["store"]["entries"] == 0, "all are removed")


def login(name, password):
    return "Proxy-Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_time_to_verify_passwords_is_given_back(start, clock, origin, tmp_path):
    """Wrong ones use it up, and time brings it back, whatever the clock shows."""
    file = tmp_path / "passwords"
    # 80,000 rounds: some tens of milliseconds each
    file.write_text("slow:$6$rounds=80000$b7XqLw0e$ETJ.Nv2aJC92nABErhPPv1fjBcJNB5FI5v3RAgY0ESOLJD7yZBG1"
                    "0pnRYbmVo94oOjug./Rcp9StJFfqvy9zn.\n")
    file.chmod(0o600)
    proxy = start(f"password_file={file}")

    def ask(password):
        with proxy.connect() as client:
            return client.get(origin.url(), login("slow", password)).status

    clock.set(-DAY)
    passwords = itertools.count()
    for _ in range(5):
        assert ask(next(passwords)) == 407
    clock.set(-2 * DAY)
    until(lambda: ask("slow") == 204, "it is verified")


@pytest.mark.parametrize("step", [HOUR, -DAY])
def test_one_worker_asks_for_all(world, start, clock, step):
    """What is being validated by one is not asked for by another, for as long as that lasts."""
    world.start = lambda *options: start("workers=3", *options)
    wait = Background(world, "20s")
    wait.begin()
    clock.set(step)
    for _ in range(30):
        with world.proxy.connect() as client:
            assert client.get(wait.origin.url()).hit
    assert len(wait.origin.heads) == 2
    wait.go_on()
    wait.served()
