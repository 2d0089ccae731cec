"""What is counted, against traffic that is known: values, in /stats and in /metrics."""

import os
import pathlib
import resource
import signal
import threading
import time

import pytest

from support.held import ask_held
from support.metrics import metrics_of
from support.nameserver import NameServer
from support.origin import CLOSE, READ_BODY, respond
from support.ports import free_port
from support.proxy import Proxy
from support.rawclient import Client
from support.tls import Authority, TlsOrigin
from support.until import steady, until, until_waiting

FRESH = ["Cache-Control: max-age=600", 'ETag: "a"']
STALE = [*FRESH, "Age: 1000"]
CONFIRMED = respond(304, *FRESH)
BUCKET = 1.125  # the upper end of a bucket is at most so many times what is in it


def nonzero(numbers):
    return {name: n for name, n in numbers.items() if n}


def ask_everything(client, origin):
    """A request of each kind that one client can make: what it got, and why the origin was asked."""
    origin.on("/", respond(204, *FRESH))
    origin.on("/old", respond(204, *STALE), CONFIRMED, respond(204, *FRESH))
    origin.on("/swr", respond(204, *STALE, "Cache-Control: stale-while-revalidate=600"), CONFIRMED)
    origin.on("/sie", respond(204, *STALE, "Cache-Control: stale-if-error=600"), respond(503))
    origin.on("/no-store", respond(204, "Cache-Control: no-store"))
    origin.on("/page", respond(200, *FRESH, body=b"page"))
    origin.on("/none", respond(404))
    origin.on("/tag", respond(304, 'ETag: "b"'))
    origin.on("/cut", [CLOSE])
    for path, *lines in [
            ("/",), ("/",), ("/", 'If-None-Match: "a"'), ("/", 'If-None-Match: "other"'),
            ("/old",), ("/old", "Cache-Control: max-stale"), ("/old",), ("/old", "Pragma: no-cache"),
            ("/swr",), ("/sie",), ("/sie",), ("/no-store",), ("/no-store",), ("/page",), ("/page",), ("/none",),
            ("/tag", 'If-None-Match: "b"'), ("/cut",), ("/", 'If-Match: "a"'), ("/other", "Cache-Control: only-if-cached")]:
        client.get(origin.url(path), *lines)
    client.ask("POST", origin.url("/"), body=b"x")


ANSWERS = {"fresh": 3, "stale": 2, "confirmed": 1, "fetched": 9, "other": 4, "failed": 2}
ASKED = {"no-record": 6, "expired": 1, "pragma": 1, "precondition": 1, "method": 1}
STATUSES = {("204", "hit"): 2, ("304", "hit_304"): 1, ("204", "stale"): 2, ("204", "validated"): 1, ("204", "miss"): 7,
            ("204", "bypass"): 2, ("200", "miss"): 2, ("404", "miss"): 1, ("304", "miss"): 1, ("502", "failed"): 1,
            ("504", "failed"): 1}


@pytest.fixture
def counted(start_proxy, origin):
    """A proxy that one client has asked everything."""
    proxy = start_proxy()
    with proxy.connect() as client:
        ask_everything(client, origin)
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 0, "all ended")
    return proxy


def test_204s_by_where_they_came_from(counted):
    stats, metrics = counted.stats(), metrics_of(counted)
    assert nonzero(stats["answers"]) == ANSWERS
    assert metrics.by("answer", "cache204_answers_total") == ANSWERS
    assert stats["share"] == pytest.approx(5 / 15, rel=1e-5)
    assert stats["share_of_all"] == pytest.approx(5 / 21, rel=1e-5)


def test_answers_by_status_and_outcome(counted):
    stats, metrics = counted.stats(), metrics_of(counted)
    told = {(status, outcome): n for status, row in stats["responses"].items() for outcome, n in row.items()}
    assert {key: n for key, n in told.items() if key[1] != "background"} == STATUSES
    for (status, outcome), n in STATUSES.items():
        assert metrics.get("cache204_responses_total", status=status, outcome=outcome) == n
    assert metrics.sum("cache204_responses_total") == sum(STATUSES.values()) == stats["requests"] == \
        sum(stats["answers"].values())


def test_reasons_sum_to_the_204s_that_they_explain(counted):
    stats, metrics = counted.stats(), metrics_of(counted)
    answers, counters = stats["answers"], stats["counters"]
    assert nonzero(stats["asked"]) == ASKED
    assert sum(stats["asked"].values()) == answers["confirmed"] + answers["fetched"]
    assert nonzero(stats["not_stored"]) == {"no-store": 2, "post-location": 1}
    assert (counters["answers_stored"], counters["answers_not_storable"]) == (5, 1)
    assert sum(stats["not_stored"].values()) + counters["answers_stored"] + counters["answers_not_storable"] == \
        answers["fetched"]
    assert nonzero(stats["stale"]) == {"max-stale": 1, "stale-if-error": 1}
    assert sum(stats["stale"].values()) == answers["stale"]
    for name in ("asked", "not_stored", "stale"):
        assert metrics.by("reason", f"cache204_{name}_total") == nonzero(stats[name])


def test_no_reason_is_in_two_lists(proxy):
    stats = proxy.stats()
    lists = [set(stats[name]) for name in ("asked", "not_stored", "stale")]
    assert sum(map(len, lists)) == len(set.union(*lists))


def test_the_share_is_not_known_before_the_first_204(start_proxy, origin):
    proxy = start_proxy()
    assert proxy.stats()["share"] is None
    origin.on("/", respond(200, body=b"x"))
    with proxy.connect() as client:
        client.get(origin.url())
    until(lambda: proxy.stats()["answers"]["other"] == 1, "it ends")
    assert (proxy.stats()["share"], proxy.stats()["share_of_all"]) == (None, 0)


@pytest.mark.one_worker("waiting is for who has come to the same")
def test_what_another_fetched_is_shared(start_proxy, origin):
    proxy, go = start_proxy(), threading.Event()
    origin.on("/", [go, respond(204, *FRESH)])
    clients = [proxy.connect() for _ in range(3)]
    for client in clients:
        client.send(f"GET {origin.url()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    until_waiting(proxy, 3)
    go.set()
    for client in clients:
        assert client.response().status == 204
        client.close()
    stats = proxy.stats()
    assert nonzero(stats["answers"]) == {"fetched": 1, "shared": 2}
    assert nonzero(stats["asked"]) == {"no-record": 1}
    assert stats["share"] == pytest.approx(2 / 3, rel=1e-5)


def test_a_failed_validation_in_the_background_is_no_answer(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/", respond(204, *STALE, "Cache-Control: stale-while-revalidate=600"), [CLOSE])
    with proxy.connect() as client:
        assert client.get(origin.url()).stored
        proxy.until_written()
        assert client.get(origin.url()).cache_status["detail"] == "revalidating"
    until(lambda: proxy.stats()["outcomes"]["background"] == 1, "it ends")
    stats = proxy.stats()
    assert nonzero(stats["answers"]) == {"fetched": 1, "stale": 1}
    assert nonzero(stats["failures"]) == {"origin_closed": 1}
    assert metrics_of(proxy).sum("cache204_responses_total") == 2


# ---- by address ------------------------------------------------------------------------------------


def gateway_port(proxy):
    line, = [line for line in proxy.output if line.startswith("gateway: ")]
    return int(line.split()[1].rpartition(":")[2])


def ask_gateway(port, path, *lines):
    with Client(port) as client:
        client.send("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode())
        return client.response()


def listeners(proxy):
    return {row["address"]: row for row in proxy.stats()["listeners"]}


def test_each_address_has_its_own_traffic(start_proxy, origin):
    proxy = start_proxy(f"gateway=127.0.0.1:0=http://{origin.authority}")
    origin.on("/", respond(204, *FRESH))
    origin.on("/page", respond(200, body=b"page"))
    through = gateway_port(proxy)
    with proxy.connect() as client:
        client.get(origin.url())
        client.get(origin.url())
        client.get(origin.url("/page"))
    proxy.until_written()
    for path in ("/", "/", "/page", "/page"):
        ask_gateway(through, path)
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 0, "all ended")
    rows, stats, metrics = listeners(proxy), proxy.stats(), metrics_of(proxy)
    first, second = f"127.0.0.1:{proxy.port}", f"127.0.0.1:{through}"
    assert list(rows) == [first, second]
    assert (rows[first]["origin"], rows[second]["origin"]) == (None, f"http://{origin.authority}")
    assert nonzero(rows[first]["answers"]) == {"fetched": 1, "fresh": 1, "other": 1}
    assert nonzero(rows[second]["answers"]) == {"fresh": 2, "other": 2}
    assert (rows[first]["connections"], rows[second]["connections"]) == (1, 4)
    for name, counter in (("bytes_in", "client_bytes_in"), ("bytes_out", "client_bytes_out")):
        assert rows[first][name] + rows[second][name] == stats["counters"][counter]
    assert metrics.by("answer", "cache204_listener_answers_total", listener=second,
                      origin=f"http://{origin.authority}") == {"fresh": 2, "other": 2}
    assert metrics.get("cache204_listener_connections_total", listener=second) == 4
    assert metrics.get("cache204_listener_sent_bytes_total", listener=first) == rows[first]["bytes_out"]


# ---- origins ---------------------------------------------------------------------------------------


def test_each_step_to_an_origin_is_timed(start_proxy, start_origin, tmp_path):
    authority = Authority(tmp_path)
    origin = start_origin()
    secure = TlsOrigin(authority.issue("DNS:secure.test"))
    names = NameServer({"plain.test": ["127.0.0.1"], "secure.test": ["127.0.0.1"]})
    proxy = start_proxy(f"resolvers={names.address}", f"tls_ca_file={authority.file}", "allow=127.0.0.0/8,.test")
    try:
        with proxy.connect() as client:
            for path in ("/a", "/b", "/a"):
                assert client.get(f"http://plain.test:{origin.port}{path}").status == 204
            assert client.get(f"https://secure.test:{secure.port}/").status == 204
            assert client.get(f"http://none.test:{origin.port}/").status == 502
    finally:
        secure.close()
        names.close()
    stats, metrics = proxy.stats(), metrics_of(proxy)
    counts = {name: row["count"] for name, row in stats["origin_us"].items()}
    assert counts == {"dns": 2, "connect": 2, "tls": 1, "first_byte": 4}
    assert counts["first_byte"] == stats["counters"]["origin_requests"]
    for name, n in counts.items():
        assert metrics.get(f"cache204_origin_{name}_seconds_count") == n
        assert metrics.get(f"cache204_origin_{name}_seconds_bucket", le="+Inf") == n


def test_an_origins_time_is_in_its_first_byte(start_proxy, origin):
    proxy = start_proxy()
    held_us = ask_held(proxy, origin)
    first_byte = proxy.stats()["origin_us"]["first_byte"]
    assert first_byte["count"] == 1
    assert first_byte["max"] >= held_us


def test_the_clients_slowness_is_not_in_it(start_proxy, origin):
    """Its request comes in parts, and that takes longer than all that comes after the last part."""
    proxy = start_proxy()
    origin.on("/", [READ_BODY, respond(204)], early=True)
    with proxy.connect() as client:
        client.send(f"POST {origin.url()} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab".encode())
        origin.wait_heads(1)
        until(lambda: origin.connections[0].received.endswith(b"ab"), "the first part")
        assert not client.readable(0.2)
        since = time.monotonic()
        client.send(b"cd")
        client.response()
        after_us = (time.monotonic() - since) * 1e6
    assert proxy.stats()["origin_us"]["first_byte"]["max"] <= after_us * BUCKET + 1


# ---- tunnels ---------------------------------------------------------------------------------------


def test_bytes_of_tunnels_are_counted_each_way_while_they_go(start_proxy, origin):
    proxy = start_proxy(f"connect_ports={origin.port}", "allow=127.0.0.0/8")
    request = b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = respond(200, body=b"x" * 2000000)
    origin.on("/big", answer)
    with proxy.connect() as client:
        client.send(f"CONNECT {origin.authority} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert client.response("CONNECT").status == 200
        sent = proxy.stats()["counters"]["client_bytes_out"]
        client.send(request)
        assert len(client.response().body) == 2000000
        passed = steady(lambda: [proxy.stats()["counters"][f"tunnel_bytes_{way}"] for way in ("in", "out")])
        assert passed == [len(request), len(answer)]
        counters, metrics = proxy.stats()["counters"], metrics_of(proxy)
        assert counters["client_bytes_out"] == sent
        assert counters["tunnels_unpiped"] == 0  # a pipe was there
        assert metrics.get("cache204_tunnel_received_bytes_total") == len(request)
        assert metrics.get("cache204_tunnel_sent_bytes_total") == len(answer)
        assert metrics.get("cache204_tunnels_open") == 1
    until(lambda: proxy.stats()["gauges"]["tunnels_open"] == 0, "it ends")
    assert proxy.stats()["answers"]["other"] == 1


# ---- processes -------------------------------------------------------------------------------------


def proc(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}").read_text(encoding="ascii")


def cpu_s(pid):
    fields = proc(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_processes_are_seen_as_the_system_sees_them(start_proxy):
    before = time.time()
    proxy = start_proxy()
    pids = proxy.workers()
    clients = [proxy.connect() for _ in range(40)]
    try:
        until(lambda: {worker["pid"]: worker["descriptors"] for worker in proxy.stats()["process"]["workers"]} ==
              {pid: open_fds(pid) for pid in pids}, "descriptors are those of /proc")
        process, metrics = proxy.stats()["process"], metrics_of(proxy)
        workers = process["workers"]
        assert {worker["pid"] for worker in workers} == pids
        assert process["descriptors"] == sum(worker["descriptors"] for worker in workers) >= 40
        assert {worker["descriptors_max"] for worker in workers} == {resource.prlimit(min(pids), resource.RLIMIT_NOFILE)[0]}
        for worker in workers:
            page = os.sysconf("SC_PAGESIZE")
            resident = int(proc(worker["pid"], "statm").split()[1]) * page
            assert worker["rss"] == pytest.approx(resident, rel=0.2)
            assert before - 1 <= worker["started_s"] <= time.time()
        assert process["rss"] == pytest.approx(sum(worker["rss"] for worker in workers), rel=0.05)
        assert before - 1 <= metrics.get("process_start_time_seconds") <= time.time()
        assert metrics.get("process_open_fds") == process["descriptors"]
        assert metrics.get("process_max_fds") == process["descriptors_max"]
        assert len(metrics.all("cache204_worker_open_fds")) == len(pids)
    finally:
        for client in clients:
            client.close()


def test_cpu_time_is_that_of_the_workers(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/", respond(204, *FRESH))
    with proxy.connect() as client:
        client.get(origin.url())
        proxy.until_written()
        while sum(map(cpu_s, proxy.workers())) < 0.1:
            for _ in range(100):
                client.get(origin.url())
    lower = sum(map(cpu_s, proxy.workers()))
    tick = 2 * len(proxy.workers()) / os.sysconf("SC_CLK_TCK")
    told = until(lambda: (n := metrics_of(proxy).get("process_cpu_seconds_total")) >= lower - tick and n, "it is noted")
    assert told <= sum(map(cpu_s, proxy.workers())) + tick
    assert proxy.stats()["process"]["cpu_s"] >= told


# ---- workers that die, and reloads -----------------------------------------------------------------


COUNTED = ("answers", "outcomes", "responses", "asked", "not_stored", "stale", "listeners", "failures")


def numbers(proxy):
    stats = proxy.stats()
    del stats["counters"]["operator_requests"], stats["counters"]["turns"]
    return {**{name: stats[name] for name in COUNTED}, "counters": stats["counters"],
            "counts": {name: row["count"] for group in ("origin_us", "latency_us") for name, row in stats[group].items()}}


def test_what_a_dead_worker_counted_stays(counted):
    before, workers = steady(lambda: numbers(counted)), counted.stats()["workers"]
    cpu = counted.stats()["process"]["cpu_s"]
    for pid in counted.workers():
        os.kill(pid, signal.SIGKILL)
        until(lambda gone=pid: gone not in counted.workers() and len(counted.workers()) == workers, "it is replaced")
    until(lambda: counted.stats()["workers"] == workers, "all serve")
    assert numbers(counted) == before
    stats = counted.stats()
    assert nonzero(stats["gauges"]) == {}
    assert {worker["pid"] for worker in stats["process"]["workers"]} == counted.workers()
    assert stats["process"]["cpu_s"] >= cpu


def test_what_earlier_generations_counted_stays(counted, origin):
    before, workers, old = steady(lambda: numbers(counted)), counted.stats()["workers"], counted.workers()
    held = counted.connect()
    assert held.get(origin.url("/old")).hit
    os.kill(counted.pid, signal.SIGHUP)
    until(lambda: counted.stats()["reload"]["generation"] == 2, "it is in effect")
    with counted.connect() as client:
        assert client.get(origin.url("/old")).hit
        after = numbers(counted)
        assert after["answers"]["fresh"] == before["answers"]["fresh"] + 2
        assert [row["address"] for row in after["listeners"]] == [row["address"] for row in before["listeners"]]
        assert after["listeners"][0]["answers"]["fresh"] == before["listeners"][0]["answers"]["fresh"] + 2
        assert after["asked"] == before["asked"]
        until(lambda: counted.stats()["gauges"]["clients"] == 2, "one of each generation is connected")
    held.close()
    until(lambda: not old & counted.workers(), "the former workers end")
    until(lambda: nonzero(counted.stats()["gauges"]) == {}, "nothing is open")
    assert len(counted.stats()["process"]["workers"]) == workers


def test_an_address_that_is_gone_keeps_its_row(tmp_path, start_origin):
    one, two = start_origin(), start_origin()
    file, ports = tmp_path / "conf", [free_port(), free_port()]

    def write(origin, port):
        file.write_text(f'gateway = {{"127.0.0.1:{port}=http://{origin.authority}"}}\n', encoding="ascii")

    write(one, ports[0])
    proxy = Proxy(tmp_path / "proxy", start=False)
    proxy.arguments = ["-c", str(file)]
    proxy.start()
    try:
        assert ask_gateway(ports[0], "/").status == 204
        write(two, ports[1])
        os.kill(proxy.pid, signal.SIGHUP)
        until(lambda: proxy.stats()["reload"]["generation"] == 2, "it is in effect")
        assert [ask_gateway(ports[1], "/").status for _ in range(2)] == [204, 204]
        rows = [(row["address"], row["origin"], nonzero(row["answers"])) for row in proxy.stats()["listeners"]]
        assert rows == [(f"127.0.0.1:{proxy.port}", None, {}),
                        (f"127.0.0.1:{ports[0]}", f"http://{one.authority}", {"fetched": 1}),
                        (f"127.0.0.1:{ports[1]}", f"http://{two.authority}", {"fetched": 2})]
    finally:
        proxy.stop()
        proxy.remove()
