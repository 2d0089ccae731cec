"""What is stored is shown to those alone who may go where it came from: whatever the door, also after the
rules have changed."""

import threading

import pytest

from support.origin import CLOSE, respond
from support.ports import free_port
from support.rawclient import Client
from support.until import until, until_waiting

FRESH = "Cache-Control: max-age=600"
TAGGED = 'ETag: "a"'

pytestmark = pytest.mark.one_worker(
    "what one door stored is asked for at once at another, which may be another worker's")


@pytest.fixture
def hosts(tmp_path):
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 origin.test\n")
    return f"hosts_file={file}"


class Doors:
    """A proxy with a gateway to the origin, and a client at each of its doors."""

    def __init__(self, start_proxy, origin, *options, is_open):
        self.gateway_port = free_port()
        more = (f"listen=127.0.0.1:0,0.0.0.0:{free_port()}",) if is_open else ()
        self.origin = origin
        self.proxy = start_proxy(f"gateway=127.0.0.1:{self.gateway_port}=http://origin.test:{origin.port}",
                                 *more, *options)
        self.clients = []

    def client(self, door):
        self.clients.append(Client(self.gateway_port if door == "gateway" else self.proxy.port))
        return self.clients[-1]

    def target(self, door, path):
        return path if door == "gateway" else f"http://origin.test:{self.origin.port}{path}"

    def send(self, client, door, path, *fields, method="GET"):
        lines = [f"{method} {self.target(door, path)} HTTP/1.1", f"Host: origin.test:{self.origin.port}", *fields]
        client.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def ask(self, door, path="/x", *fields, method="GET"):
        client = self.client(door)
        self.send(client, door, path, *fields, method=method)
        return client.response(method)

    def close(self):
        for client in self.clients:
            client.close()


@pytest.fixture
def doors(start_proxy, origin, hosts):
    made = []

    def doors(*options, is_open=True):
        made.append(Doors(start_proxy, origin, hosts, *options, is_open=is_open))
        return made[-1]

    yield doors
    for one in made:
        one.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_gateways_record_is_not_for_who_may_not_go_there(doors, origin, workers):
    both = doors(f"workers={workers}")
    origin.default = respond(204, FRESH, TAGGED, "X-Internal: secret")
    assert both.ask("proxy").status == 403
    assert both.ask("gateway").stored
    until(lambda: all(both.ask("gateway").hit for _ in range(4 * workers)), "a hit at all")
    asked = len(origin.requests)
    for fields in ([], ['If-None-Match: "a"'], ["Cache-Control: max-stale"], ["Cache-Control: no-cache"]):
        for method in ("GET", "HEAD"):
            answer = both.ask("proxy", "/x", *fields, method=method)
            assert answer.status == 403 and answer["X-Internal"] is None, (fields, method)
            assert not answer.hit
    refused = both.proxy.stats()["failures"]["denied_private"]
    answer = both.ask("proxy")
    # nor is it told that there is something that others asked for
    assert answer.cache_status == both.ask("proxy", "/none").cache_status
    assert both.proxy.stats()["failures"]["denied_private"] == refused + 2
    assert both.proxy.stats()["asked"]["admission"] == 0  # nothing was: it is for 204s that the client got
    assert both.ask("proxy", "/x", "Cache-Control: only-if-cached").status == 504
    assert both.ask("gateway").hit
    assert len(origin.requests) == asked


@pytest.mark.parametrize("options", [[], ["deny=other.test"], ["deny=10.0.0.0/8"]])
def test_it_is_for_who_may(doors, origin, options):
    both = doors("allow=origin.test", *options, is_open=False)
    origin.default = respond(204, FRESH)
    assert both.ask("gateway").stored
    assert both.ask("proxy").hit
    assert both.ask("proxy", "/y").stored
    assert both.ask("gateway", "/y").hit


def test_it_is_for_who_may_by_an_exception(doors, origin):
    both = doors("allow=127.0.0.0/8")
    origin.default = respond(204, FRESH)
    assert both.ask("gateway").stored
    assert both.ask("proxy").hit


def test_stale_it_is_not_shown_either(doors, origin):
    both = doors()
    origin.on("/x", respond(204, "Cache-Control: max-age=1, stale-while-revalidate=600, stale-if-error=600", "Age: 5"),
              [CLOSE])
    assert both.ask("gateway").status == 204
    assert both.ask("proxy").status == 403
    assert len(origin.requests) == 1


@pytest.mark.parametrize("options, status", [
    ([], None), (["deny=other.test"], None), (["deny=127.0.0.0/8"], 403), (["deny=.test"], 403),
    (["deny=10.0.0.0/8"], 204)], ids=["same", "other name", "network", "name", "other network"])
def test_rules_that_have_changed(start_proxy, origin, hosts, options, status):
    """A hit stays one where that is known to be allowed, and is a miss where it is not known."""
    proxy = start_proxy(hosts)
    origin.default = respond(204, FRESH, "X-A: b")
    url = f"http://origin.test:{origin.port}/x"
    with proxy.connect() as client:
        assert client.get(url).stored
    proxy.stop()
    before, proxy.options = proxy.options, [*proxy.options, *options]
    proxy.start()
    with proxy.connect() as client:
        answer = client.get(url)
        assert answer.hit == (status is None)
        assert answer.status == (status or 204)
        if status == 204:
            assert answer.fwd == "uri-miss" and answer.stored
            assert client.get(url).hit
            return
    proxy.stop()
    proxy.options = before
    proxy.start()
    with proxy.connect() as client:
        assert client.get(url).hit


def test_a_proxy_that_others_reach_from_now_on(start_proxy, origin, hosts):
    proxy = start_proxy(hosts)
    origin.default = respond(204, FRESH)
    url = f"http://origin.test:{origin.port}/x"
    with proxy.connect() as client:
        assert client.get(url).stored
    proxy.stop()
    proxy.options.append(f"listen=127.0.0.1:0,0.0.0.0:{free_port()}")
    proxy.start()
    with proxy.connect() as client:
        assert client.get(url).status == 403


def test_who_is_refused_takes_no_part_in_a_gateways_question(doors, origin):
    """Neither side waits for the other: what refuses the one is no answer to the other."""
    both = doors("collapse_cold_timeout=10s")
    go = threading.Event()
    origin.on("/x", [go, respond(204, FRESH)])
    first = both.client("gateway")
    both.send(first, "gateway", "/x")
    origin.wait_requests(1)
    waiting = both.client("gateway")
    both.send(waiting, "gateway", "/x")
    until_waiting(both.proxy, 2)
    for _ in range(3):
        assert both.ask("proxy").status == 403
    go.set()
    assert first.response().status == 204
    assert waiting.response().cache_status["collapsed"]
    assert len(origin.requests) == 1
