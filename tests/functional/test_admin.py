"""The operators' own listener."""

import pytest

from support.origin import CLOSE, respond
from support.rawclient import Client
from support.until import steady, until


def test_healthz(proxy):
    answer = proxy.admin("/healthz")
    assert answer.status == 204
    assert "no-store" in answer.fields.members("Cache-Control")


def test_stats_is_json_with_all_that_was_promised(proxy):
    answer = proxy.admin("/stats")
    assert answer["Content-Type"] == "application/json"
    assert "no-store" in answer.fields.members("Cache-Control")
    assert answer["X-Content-Type-Options"] == "nosniff"
    names = flat(proxy.stats())
    for name in ("requests", "outcomes.hit", "outcomes.hit_304", "outcomes.miss", "validations", "stores",
                 "failures.bad_request", "origin_connections", "client_bytes_in", "client_bytes_out",
                 "latency_us.hit.p50", "latency_us.miss.p99", "store.entries", "store.bytes_used",
                 "store.map_used", "uptime_s", "version"):
        assert any(key == name or key.endswith("." + name) for key in names), name


def flat(value, prefix=""):
    """All numbers of a nested object, by dotted name."""
    found = {}
    for key, item in value.items():
        if isinstance(item, dict):
            found |= flat(item, f"{prefix}{key}.")
        else:
            found[prefix + key] = item
    return found


def moved(proxy, action):
    """Which numbers a piece of traffic changed, and by how much."""
    before = flat(proxy.stats())
    action()
    steady(lambda: proxy.stats()["counters"]["client_bytes_out"])
    after = flat(proxy.stats())
    return {name: after[name] - value for name, value in before.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool) and after[name] != value}


def counted(changes, name):
    """The change of the counter whose name, or last part of it, is this."""
    hits = [value for key, value in changes.items() if key == name or key.endswith("." + name)]
    return hits[0] if hits else 0


def test_counters_move(proxy, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60", 'ETag: "a"'))
    with proxy.connect() as client:
        miss = moved(proxy, lambda: client.get(origin.url()))
        hit = moved(proxy, lambda: client.get(origin.url()))
        hit_304 = moved(proxy, lambda: client.get(origin.url(), 'If-None-Match: "a"'))
        post = moved(proxy, lambda: client.ask("POST", origin.url(), body=b"hello"))
    assert counted(miss, "requests") == 1
    assert counted(miss, "outcomes.miss") == 1
    assert counted(miss, "stores") == 1
    assert counted(miss, "origin_connections") == 1
    assert counted(miss, "origin_requests") == 1
    assert counted(miss, "client_bytes_in") > 0 and counted(miss, "client_bytes_out") > 0
    assert counted(hit, "outcomes.hit") == 1
    assert counted(hit, "origin_requests") == 0
    assert counted(hit_304, "outcomes.hit_304") == 1
    assert counted(post, "outcomes.bypass") == 1
    assert counted(post, "invalidations") == 1
    assert counted(post, "origin_reused") == 1


def test_operators_are_no_traffic(start_proxy, origin):
    """Whatever they ask for, and how often: not one number of the traffic moves, and the log has no line."""
    proxy = start_proxy()
    origin.on("/", respond(204, "Cache-Control: max-age=60"))
    with proxy.connect() as client:
        assert client.get(origin.url()).stored
    until(lambda: proxy.stats()["gauges"]["clients"] == 0, "its connection is closed there, too")

    def ask():
        for target in ("/", "/stats", "/metrics", "/healthz", "/none", f"/purge?uri={origin.url('/none')}"):
            assert proxy.admin(target).status in (200, 204, 404, 405)
        with Client(proxy.admin_port) as operator:
            operator.send(b"GET / HTTP/1.1\r\n bad\r\n\r\n")
            assert operator.response().status == 400
        assert proxy.admin("/purge?uri=" + origin.url(), "POST").status == 200

    own = ("uptime_s", "operator_requests", "turns", "purge", "store", "writes_waiting", "process")
    changes = moved(proxy, ask)
    assert {name: n for name, n in changes.items() if not any(word in name for word in own)} == {}
    assert counted(changes, "operator_requests") >= 9  # those above, and who asked for the statistics
    proxy.stop()
    line, = proxy.log_lines()
    assert origin.url() in line
    assert f'purge of "{origin.url()}" by 127.0.0.1' in proxy.errors()


def test_validations_are_counted(proxy, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=0", 'ETag: "a"'), respond(304, 'ETag: "a"'))
    with proxy.connect() as client:
        client.get(origin.url())
        changes = moved(proxy, lambda: client.get(origin.url()))
    assert counted(changes, "validations") == 1
    assert counted(changes, "validations_confirmed") == 1
    assert counted(changes, "outcomes.validated") == 1


def test_refusals_are_counted_by_reason(proxy):
    def send(data):
        with proxy.connect() as client:
            client.send(data)
            client.response()

    assert counted(moved(proxy, lambda: send(b"GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n")),
                   "failures.bad_host") == 1
    assert counted(moved(proxy, lambda: send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")),
                   "failures.not_a_proxy_request") == 1
    assert counted(moved(proxy, lambda: send(b"GET http://a/ HTTP/2.0\r\nHost: a\r\n\r\n")),
                   "failures.unsupported_version") == 1


def test_broken_204s_are_counted(proxy, origin):
    origin.on("/", [b"HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\nhello", CLOSE])
    with proxy.connect() as client:
        assert counted(moved(proxy, lambda: client.get(origin.url())), "framing_repaired") == 1


def test_failures_are_counted(proxy, origin):
    origin.on("/", [CLOSE])
    with proxy.connect() as client:
        assert counted(moved(proxy, lambda: client.get(origin.url())), "failures.origin_closed") == 1


@pytest.mark.parametrize("target", ["/nothing", "/stats/", "/STATS", "/../stats", "//stats", "/stats%00"])
def test_unknown_path(proxy, target):
    assert proxy.admin(target).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "FOO"])
def test_other_methods(proxy, method):
    answer = proxy.admin("/stats", method, "Content-Length: 0")
    assert answer.status == 405
    assert "GET" in answer["Allow"]


@pytest.mark.parametrize("target, method, status, allow, why", [
    ("/none", "GET", 404, None, b"no such page"), ("/stats", "POST", 405, "GET, HEAD", b"by GET or HEAD"),
    ("/reload", "PUT", 405, "GET, HEAD, POST", b"changes something by POST"),
    ("http://a.test/", "GET", 421, None, b"is no proxy")])
def test_refusals_say_why(proxy, target, method, status, allow, why):
    answer = proxy.admin(target, method, "Content-Length: 0")
    assert (answer.status, answer["Allow"]) == (status, allow) and why in answer.body


def test_each_page_refuses_other_methods_and_says_why(proxy):
    listed = proxy.admin("/").body.decode().splitlines()[1:]
    assert len(listed) >= 6
    for line in listed:
        path = line.split()[1].replace("*", "x")
        answer = proxy.admin(path, "DELETE", "Content-Length: 0")
        assert answer.status == 405 and line.split()[0] in answer["Allow"], line
        assert b"405 Method Not Allowed\nThis page " in answer.body


def test_head(proxy):
    answer = proxy.admin("/stats", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer["Content-Length"]) > 100


def test_keep_alive_and_pipelining(proxy):
    with Client(proxy.admin_port) as client:
        one = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{proxy.admin_port}\r\n\r\n".encode()
        client.send(one * 3)
        assert [client.response().status for _ in range(3)] == [204] * 3


@pytest.mark.parametrize("head", [
    b"GET /stats HTTP/1.1\r\n\r\n", b"GET /stats HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET /stats HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET /stats HTTP/2.0\r\n\r\n",
    b"GET /stats HTTP/1.1\nHost: 127.0.0.1\n\n", b"rubbish\r\n\r\n"])
def test_parsed_as_strictly_as_the_rest(proxy, head):
    with Client(proxy.admin_port) as client:
        client.send(head)
        assert client.response().status in (400, 505)
        client.end()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_foreign_host_names_are_refused(proxy, host):
    """A page that rebinds its name to 127.0.0.1 must not read this."""
    with Client(proxy.admin_port) as client:
        client.send(f"GET /stats HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = client.response()
    assert answer.status in (400, 403, 421)
    assert b"requests" not in answer.body


def ask_as(proxy, host, method="GET", target="/stats"):
    with Client(proxy.admin_port) as client:
        client.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
        return client.response()


def test_a_refused_host_gets_the_reason(proxy):
    answer = ask_as(proxy, "proxy.example")
    assert answer.status == 403
    assert b"admin_hosts" in answer.body and b"localhost" in answer.body
    assert b"proxy.example" not in answer.body


def test_further_names_by_option(start_proxy):
    proxy = start_proxy("admin_hosts=cache204, proxy.example")
    for host in ("cache204", "proxy.example", "proxy.example:3129", "PROXY.example.", "127.0.0.1", "localhost:1"):
        assert ask_as(proxy, host).status == 200, host
        assert ask_as(proxy, host, "POST", "/purge").status == 202, host
    for host in ("example", "a.proxy.example", "proxy.example.evil.example", "xproxy.example", "proxy.example:x:1", "."):
        assert ask_as(proxy, host).status in (400, 403), host
        assert ask_as(proxy, host, "POST", "/purge").status in (400, 403), host


@pytest.mark.parametrize("host", ["cache204.default.svc.cluster.local:3129", "evil.example", "localhost"])
def test_healthz_is_for_any_host(proxy, host):
    assert ask_as(proxy, host, target="/healthz").status == 204
    assert ask_as(proxy, host, target="/healthz?deep=1").status == 204
    assert ask_as(proxy, host, "POST", "/healthz").status == 405


def test_no_cors(proxy):
    answer = proxy.admin("/stats", "GET", "Origin: http://evil.example")
    assert not any(name.lower().startswith("access-control-") for name, _ in answer.fields)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1",
                                  "[::ffff:127.0.0.1]", "0.0.0.0", "LOCALHOST"])
def test_not_reachable_through_the_proxy(proxy, client, host):
    answer = client.get(f"http://{host}:{proxy.admin_port}/stats")
    assert answer.status in (400, 403, 502, 508)
    assert b"uptime" not in answer.body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_the_proxy_does_not_ask_itself(proxy, client, host):
    assert client.get(f"http://{host}:{proxy.port}/").status in (400, 403, 502, 508)


def test_proxy_requests_are_not_served_on_the_admin_port(proxy, origin):
    answer = proxy.admin(origin.url("/"))
    assert answer.status in (400, 403, 404, 421)
    assert not origin.connections
