"""The wall clock is set about while the proxy runs: nothing stale is fresh, nothing fails, ages stay sane.

The proxy sees a clock of its own, by libfaketime; where that is not installed, or the proxy is built with
a sanitizer that must be loaded first, tests/unit/store/test_steady_clock.c stands alone.
"""

import ssl
import threading

import pytest

from support.clock import DAY, HOUR, MISSING, Clock
from support.origin import CLOSE, respond
from support.proxy import Proxy
from support.requirement import requirement
from support.tls import Authority, TlsOrigin, close_notify

DECADE = 3652 * DAY

pytestmark = pytest.mark.skipif(MISSING, reason="no libfaketime, or no place for it")


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "clock")


@pytest.fixture
def client(clock, tmp_path):
    proxy = Proxy(tmp_path / "proxy", start=False)
    proxy.environment = clock.environment
    proxy.start()
    client = proxy.connect()
    client.proxy = proxy
    yield client
    client.close()
    proxy.stop()
    proxy.remove()


@pytest.fixture
def stored(client, clock, origin):
    """A record that is fresh for 60 s."""
    origin.on("/", clock.respond(204, "Cache-Control: max-age=60", 'ETag: "a"'))
    assert client.get(origin.url()).stored


@requirement("RFC 9111 4.2.3 MUST", "RFC 9111 4 MUST age")
def test_age_grows_with_the_clock(client, clock, origin, stored):
    clock.set(30)
    answer = client.get(origin.url())
    assert (answer.hit, 30 <= answer.age <= 33, answer.age + answer.cache_status["ttl"]) == (True, True, 60)
    clock.set(58)
    assert client.get(origin.url()).hit
    clock.set(61)
    assert client.get(origin.url()).fwd == "stale"


@pytest.mark.parametrize("step", [HOUR, DAY, DECADE])
def test_a_step_forward_makes_it_stale(client, clock, origin, stored, step):
    clock.set(step)
    origin.on("/", clock.respond(304, "Cache-Control: max-age=60", 'ETag: "a"'))
    answer = client.get(origin.url())
    assert (answer.status, answer.fwd, answer.cache_status["fwd-status"]) == (204, "stale", 304)
    hit = client.get(origin.url())
    assert (hit.hit, hit.age < 5) == (True, True)


@pytest.mark.parametrize("step", [HOUR, DAY, DECADE])
def test_a_step_back_makes_nothing_younger(client, clock, origin, stored, step):
    clock.set(50)
    assert client.get(origin.url()).age >= 50
    clock.set(50 - step)
    answer = client.get(origin.url())
    assert (answer.hit, 50 <= answer.age <= 55) == (True, True)
    clock.set(50 - step + 15)  # 65 s after it was stored, by a clock that is wrong
    assert client.get(origin.url()).fwd == "stale"


@pytest.mark.parametrize("step", [HOUR, DAY, DECADE])
def test_what_is_stored_after_a_step_back_is_fresh_for_its_time(client, clock, origin, stored, step):
    clock.set(-step)
    origin.on("/new", clock.respond(204, "Cache-Control: max-age=60"))
    assert client.get(origin.url("/new")).stored
    assert client.get(origin.url("/new")).age < 5
    clock.set(-step + 50)
    assert client.get(origin.url("/new")).hit
    clock.set(-step + 70)
    assert not client.get(origin.url("/new")).hit


def test_forward_by_mistake_and_back(client, clock, origin, stored):
    clock.set(DECADE)
    origin.on("/", clock.respond(204, "Cache-Control: max-age=60", 'ETag: "b"'))
    assert client.get(origin.url()).fwd == "stale"
    clock.set(20)
    answer = client.get(origin.url())
    assert (answer.hit, answer["ETag"], answer.age < 25) == (True, '"b"', True)
    clock.set(90)
    assert client.get(origin.url()).fwd == "stale"


@pytest.mark.parametrize("step", [HOUR, -HOUR, DECADE, -DECADE])
def test_nothing_under_way_fails(client, clock, origin, step):
    """Deadlines run on a clock that nobody sets."""
    go = threading.Event()
    origin.on("/", [go, clock.respond(200, "X: y")])
    client.request("GET", origin.url())
    origin.wait_heads(1)
    clock.set(step)
    with client.proxy.connect() as other:
        assert other.get(origin.url("/other")).status == 204
    go.set()
    assert client.response().status == 200
    assert client.proxy.stats()["failures"] == {name: 0 for name in client.proxy.stats()["failures"]}


def test_expires_is_judged_by_the_clock_of_the_origin(client, clock, origin):
    clock.set(DAY)
    origin.on("/", clock.respond(204, "Expires: {+60}"))
    client.get(origin.url())
    assert client.get(origin.url()).hit
    clock.set(DAY + 61)
    assert client.get(origin.url()).fwd == "stale"


def test_a_clock_set_back_while_nothing_ran(client, clock, origin, stored):
    clock.set(50)
    assert client.get(origin.url()).hit
    client.proxy.stop()
    clock.set(50 - DAY)
    client.proxy.start()
    with client.proxy.connect() as other:
        answer = other.get(origin.url())
        assert (answer.hit, 50 <= answer.age <= 55) == (True, True)
        clock.set(65 - DAY)
        assert other.get(origin.url()).fwd == "stale"


@pytest.fixture
def tls(clock, tmp_path):
    """A client of a proxy that knows an authority, and an origin of it; its certificate is for two days."""
    authority = Authority(tmp_path / "authority")
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 origin.test\n")
    origin = TlsOrigin(authority.issue("DNS:origin.test"))
    proxy = Proxy(tmp_path / "proxy", f"tls_ca_file={authority.file}", f"hosts_file={hosts}", start=False)
    proxy.environment = clock.environment
    proxy.start()
    with proxy.connect() as client:
        yield client, origin
    proxy.stop()
    proxy.remove()
    origin.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_is_resumed_past_its_certificate(clock, tls, version):
    """What is resumed is not verified: the end of the certificate is the end of the session."""
    client, origin = tls
    origin.context.minimum_version = origin.context.maximum_version = version
    origin.default = [respond(200, "Connection: close", body=b"x"), close_notify, CLOSE]
    for _ in range(2):
        assert client.get(origin.url()).status == 200
        origin.wait_all_closed()
    assert [connection.resumed for connection in origin.connections] == [False, True]
    clock.set(3 * DAY)
    answer = client.get(origin.url())
    assert answer.status == 502 and "error=tls_certificate_error" in answer["Proxy-Status"]
