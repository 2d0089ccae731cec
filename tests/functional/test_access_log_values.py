"""What a line of the access log says, against traffic that is known to the byte."""

import json
import re
import socket
import time

import pytest

from support.clock import MISSING, Clock
from support.held import ask_held
from support.nameserver import NameServer
from support.origin import CLOSE, respond
from support.ports import free_port
from support.proxy import Proxy, run
from support.rawclient import Client, request_bytes
from support.reloaded import Reloaded
from support.tls import Authority, TlsOrigin
from support.until import until

pytestmark = pytest.mark.one_worker("lines of several workers come in no order; tests that need some say so")

FRESH = "Cache-Control: max-age=60"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def entries(proxy):
    proxy.stop()
    return [json.loads(line) for line in proxy.log_lines()]


def left_out_of(proxy):
    return int(re.search(rb'"log_left_out": (\d+)', proxy.admin("/stats").body)[1])


class Counting:
    """A client that knows how many bytes it sent and received."""

    def __init__(self, proxy):
        self.sock = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)

    def get(self, url, *fields, method="GET"):
        request = request_bytes(method, url, *fields)
        self.sock.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.sock.recv(65536)
        length = re.search(rb"Content-Length: (\d+)", answer)
        while length and method != "HEAD" and len(answer.partition(b"\r\n\r\n")[2]) < int(length[1]):
            answer += self.sock.recv(65536)
        return len(request), len(answer)


def test_bytes_are_those_that_were_sent(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/", respond(204, FRESH, 'ETag: "a"'))
    origin.on("/body", respond(200, body=b"x" * 1000))
    client = Counting(proxy)
    began = time.monotonic()
    counted = [client.get(origin.url()), client.get(origin.url()), client.get(origin.url(), "X: " + "y" * 500),
               client.get(origin.url(), 'If-None-Match: "a"'), client.get(origin.url("/body")),
               client.get("http://127.0.0.1:1/"), client.get("ftp://a/")]
    client.sock.close()
    took_us = (time.monotonic() - began) * 1e6
    log = entries(proxy)
    assert [(e["bytes_in"], e["bytes_out"]) for e in log] == counted
    assert [e["outcome"] for e in log[:5]] == ["miss", "hit", "hit", "hit_304", "miss"]
    assert all(0 < e["elapsed_us"] for e in log), log
    assert sum(e["elapsed_us"] for e in log) < took_us


def test_pipelined_hits_have_bytes_of_their_own(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/", respond(204, FRESH))
    client = Counting(proxy)
    client.get(origin.url())
    one = request_bytes("GET", origin.url())
    client.sock.sendall(one * 10)
    answers = b""
    while answers.count(b"\r\n\r\n") < 10:
        answers += client.sock.recv(65536)
    client.sock.close()
    log = entries(proxy)[1:]
    assert [e["bytes_in"] for e in log] == [len(one)] * 10
    assert [e["bytes_out"] for e in log] == [len(part) + 4 for part in answers.split(b"\r\n\r\n")[:-1]]
    assert all(0 < e["elapsed_us"] < 5_000_000 for e in log)


@pytest.mark.skipif(MISSING, reason="no libfaketime, or no place for it")
def test_age_and_ttl_by_a_clock_that_is_stepped(tmp_path, origin):
    clock = Clock(tmp_path / "clock")
    proxy = Proxy(tmp_path / "proxy", start=False)
    proxy.environment = clock.environment
    proxy.start()
    try:
        origin.on("/", clock.respond(204, FRESH, 'ETag: "a"'), respond(304, FRESH, 'ETag: "a"'))
        with proxy.connect() as client:
            client.get(origin.url())
            client.get(origin.url())
            clock.set(25)
            client.get(origin.url())
            client.get(origin.url(), 'If-None-Match: "a"')
            clock.set(100)
            client.get(origin.url(), "Cache-Control: max-stale=300")
    finally:
        log = entries(proxy)
    shown = [(e["outcome"], e.get("age"), e.get("ttl")) for e in log if "client" in e]
    slack = shown[1][1]  # a second may have passed before the steps
    assert slack in (0, 1)
    assert shown[0] == ("miss", None, None)
    assert shown[1:4] == [("hit", slack, 60 - slack), ("hit", shown[2][1], 60 - shown[2][1]),
                          ("hit_304", shown[3][1], 60 - shown[3][1])]
    assert shown[2][1] - 25 in (0, 1, 2) and shown[3][1] - 25 in (0, 1, 2)
    assert shown[4][0] == "stale" and shown[4][1] - 100 in (0, 1, 2) and shown[4][2] == 60 - shown[4][1]
    proxy.remove()


def test_why_it_was_forwarded(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/", respond(204, "Cache-Control: max-age=600", "Vary: Accept-Language"))
    origin.on("/old", respond(204, "Cache-Control: max-age=0", 'ETag: "a"'), respond(304, 'ETag: "a"'))
    with proxy.connect() as client:
        answers = [client.get(origin.url()), client.get(origin.url(), "Accept-Language: fr"),
                   client.get(origin.url(), "Cache-Control: no-cache"), client.get(origin.url("/old")),
                   client.get(origin.url("/old")), client.get(origin.url("/x"), "If-Match: \"b\""),
                   client.ask("POST", origin.url("/post"), body=b"hello"), client.get(origin.url())]
    log = entries(proxy)
    assert [e.get("fwd") for e in log] == [a.fwd for a in answers]
    assert {e.get("fwd") for e in log} >= {"uri-miss", "vary-miss", "request", "stale", None}
    assert [e["stored"] for e in log] == [bool(a.stored) for a in answers]
    assert log[4]["age"] == 0 and log[4]["ttl"] == 0  # validated: the record was answered
    assert log[7]["reason"] if "reason" in log[7] else True


STEPS = ("dns_us", "connect_us", "tls_us", "origin_us")


def test_steps_to_the_origin_are_in_the_lines_that_made_them(start_proxy, start_origin, tmp_path):
    authority = Authority(tmp_path)
    origin, secure = start_origin(), TlsOrigin(authority.issue("DNS:secure.test"))
    names = NameServer({"plain.test": ["127.0.0.1"], "secure.test": ["127.0.0.1"]})
    proxy = start_proxy(f"resolvers={names.address}", f"tls_ca_file={authority.file}", "allow=127.0.0.0/8,.test")
    origin.default = respond(204, FRESH)
    try:
        with proxy.connect() as client:
            for url in (f"http://plain.test:{origin.port}/", f"http://plain.test:{origin.port}/b",
                        f"http://plain.test:{origin.port}/", f"https://secure.test:{secure.port}/",
                        f"http://127.0.0.1:{free_port()}/"):
                client.get(url)
    finally:
        secure.close()
        names.close()
    log = entries(proxy)
    assert [[name for name in STEPS if name in e] for e in log] == [
        ["dns_us", "connect_us", "origin_us"], ["origin_us"], [], list(STEPS), ["connect_us"]]
    for entry in log:
        assert sum(entry.get(name, 0) for name in STEPS) <= entry["elapsed_us"]


def test_an_origins_time_is_in_its_first_byte(start_proxy, origin):
    proxy = start_proxy()
    held_us = ask_held(proxy, origin)
    entry, = entries(proxy)
    assert held_us <= entry["origin_us"] <= entry["elapsed_us"]


def test_ids_traces_and_their_limits(start_proxy, origin):
    proxy = start_proxy("request_id_field=X-Request-Id")
    origin.on("/", respond(204, FRESH))
    with proxy.connect() as client:
        client.get(origin.url(), "X-Request-Id: 3f2504e0-4f89", f"Traceparent: {TRACE}")
        client.get(origin.url(), "x-request-id: a b")
        client.get(origin.url(), "X-Request-Id: " + "a" * 129, "traceparent: " + TRACE.replace("0af", "0AF"))
        client.get(origin.url(), 'X-Request-Id: "q"', f"traceparent: {TRACE}", f"traceparent: {TRACE}")
        client.get(origin.url())
    seen = origin.requests[0]
    assert seen.fields.get("X-Request-Id") == "3f2504e0-4f89" and seen.fields.get("traceparent") == TRACE
    log = entries(proxy)
    assert log[0]["id"] == "3f2504e0-4f89" and log[0]["traceparent"] == TRACE
    made = [e["id"] for e in log[1:]]
    assert len(set(made)) == 4 and all(re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", i) for i in made)
    assert not any("traceparent" in e for e in log[1:])


@pytest.mark.parametrize("workers", [1, 3])
def test_ids_differ_between_workers_and_starts(start_proxy, origin, workers):
    proxy = start_proxy(f"workers={workers}")
    origin.default = respond(204, FRESH)
    for _ in range(2):
        for _ in range(4 * workers):
            with Client(proxy.port) as client:
                for _ in range(3):
                    client.get(origin.url())
        proxy.stop()
        proxy.start()
    ids = [e["id"] for e in entries(proxy)]
    assert len(ids) == 24 * workers and len(set(ids)) == len(ids)
    assert len({i.partition("-")[0] for i in ids}) >= 2
    assert not any("X-Request-Id" in r.fields for r in origin.requests)


def test_why_a_login_failed(start_proxy, origin, tmp_path):
    password = tmp_path / "password"
    password.write_text("ali:$6$rounds=1000$saltsalt$N1Nn7tFbRDLTcCKQ1ZSxlR3PvRXqvIyPUh2mFYhA7TX1lYM6lWRJqQmNTk2ZkAdb"
                        "Pz3uFlBm6pSRB2mK0k6iX/\n")
    password.chmod(0o600)
    proxy = start_proxy(f"password_file={password}")
    with proxy.connect() as client:
        client.get(origin.url())
        client.get(origin.url(), "Proxy-Authorization: Basic YWxpOndyb25n")
    log = entries(proxy)
    assert [(e["status"], e["failure"]) for e in log] == [(407, "auth_required"), (407, "auth_failed")]
    assert all("user" not in e for e in log)


def test_a_format(start_proxy, origin):
    port = free_port()
    proxy = start_proxy(f"gateway=127.0.0.1:{port}=http://{origin.authority}",
                        'access_log_format=$status ${outcome} [$time_clf] "$method $target $protocol" $fwd "$user_agent" '
                        '"$referer" $$ $held_us')
    origin.on("/", respond(204, FRESH))
    with Client(port) as client:
        client.send(b'GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: a "b"\x80\r\nReferer: http://u:secret@r/\r\n\r\n')
        client.response()
    proxy.stop()
    line, = proxy.log_lines()
    assert re.fullmatch(rf'204 miss \[\d\d/[A-Z][a-z][a-z]/\d{{4}}:\d\d:\d\d:\d\d \+0000\] "GET '
                        rf'http://{origin.authority}/ HTTP/1\.1" uri-miss "a \\x22b\\x22\\x80" '
                        r'"http://\*\*\*@r/" \$ -', line), line


def test_combined_as_tools_read_it(start_proxy, origin):
    proxy = start_proxy("access_log_format=combined")
    origin.on("/", respond(204, FRESH))
    with proxy.connect() as client:
        client.get(origin.url(), "User-Agent: test/1")
        client.send(b"rubbish\r\n\r\n")
        client.response()
    proxy.stop()
    pattern = re.compile(r'(\S+) (\S+) (\S+) \[([^]]+)\] "([^"]*)" (\d+) (\d+) "([^"]*)" "([^"]*)"')
    first, second = (pattern.fullmatch(line).groups() for line in proxy.log_lines())
    assert first[0] == "127.0.0.1" and first[4] == f"GET {origin.url()} HTTP/1.1"
    assert first[5] == "204" and first[7:] == ("-", "test/1")
    assert second[5] == "400"


@pytest.mark.parametrize("text, says", [
    ("$status $nonsense", "character 9: $nonsense is not a field"), ("xml", "not json, squid, combined"),
    ("$", "character 1"), ("$target$target$target", "a line could have")])
def test_formats_that_are_refused(tmp_path, text, says):
    for checking in (["-t"], []):
        ended = run(*checking, "-o", "listen=127.0.0.1:0", "-o", "admin=", "-o", f"store={tmp_path / 's'}",
                    "-o", f"access_log={tmp_path / 'log'}", "-o", f"access_log_format={text}")
        assert ended.returncode != 0 and "access_log_format: " in ended.stderr and says in ended.stderr, ended


@pytest.mark.parametrize("workers", [1, 3])
def test_hits_are_sampled_and_all_else_is_not(start_proxy, origin, workers):
    proxy = start_proxy(f"workers={workers}", "access_log_hits=10")
    origin.default = respond(204, FRESH)
    with proxy.connect() as client:
        for n in range(20):
            client.get(origin.url(f"/{n}"))
    until(lambda: proxy.stats()["gauges"]["writes_waiting"] == 0, "all workers see it")
    with proxy.connect() as client:
        one = request_bytes("GET", origin.url("/0"))
        for _ in range(20):
            client.send(one * 50)
            for _ in range(50):
                assert client.response().hit
    left_out = left_out_of(proxy)
    log = entries(proxy)
    hits = [e for e in log if e["outcome"] == "hit"]
    assert len(hits) + left_out == 1000 and 40 <= len(hits) <= 220
    assert all(e["sample"] == 10 for e in hits)
    assert [e.get("sample") for e in log if e["outcome"] == "miss"] == [None] * 20


def test_no_hits_at_all(start_proxy, origin):
    proxy = start_proxy("access_log_hits=0")
    origin.default = respond(204, FRESH)
    with proxy.connect() as client:
        for _ in range(5):
            client.get(origin.url())
    assert left_out_of(proxy) == 4
    assert [e["outcome"] for e in entries(proxy)] == ["miss"]


@pytest.mark.parametrize("kind", ["syslog", "journald"])
def test_datagrams(start_proxy, origin, tmp_path_factory, kind):
    path = tmp_path_factory.getbasetemp() / f"d{free_port()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(path))
        daemon.settimeout(5)
        proxy = start_proxy(f"access_log={kind}:{path}")
        origin.on("/", respond(204, FRESH))
        origin.on("/dead", [CLOSE])
        with proxy.connect() as client:
            client.get(origin.url())
            client.get(origin.url("/dead"))
        texts = [daemon.recv(65536).decode("ascii") for _ in range(2)]  # while it runs: once a second
        proxy.stop()
    for text, priority, status in zip(texts, (6, 4), (204, 502)):
        if kind == "syslog":
            head = re.fullmatch(r"<(\d+)>[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d cache204\[\d+\]: (.*)", text)
            assert int(head[1]) == 3 * 8 + priority
            assert json.loads(head[2])["status"] == status
        else:
            fields = dict(line.split("=", 1) for line in text.splitlines())
            assert fields["PRIORITY"] == str(priority) and fields["SYSLOG_IDENTIFIER"] == "cache204"
            assert json.loads(fields["MESSAGE"])["status"] == status


def test_a_missing_daemon_is_reported_at_the_start(tmp_path):
    ended = run("-o", "listen=127.0.0.1:0", "-o", "admin=", "-o", f"store={tmp_path / 's'}",
                "-o", f"access_log=syslog:{tmp_path / 'none'}")
    assert ended.returncode != 0 and "No such file" in ended.stderr and "access_log: syslog:" in ended.stderr


def test_a_reload_takes_another_format_and_sample(tmp_path, origin):
    running = Reloaded(tmp_path, access_log_format="$status")
    proxy = running.proxy
    origin.default = respond(204, FRESH)
    try:
        with proxy.connect() as client:
            client.get(origin.url())
        assert not running.reload(access_log_format="$nonsense")["ok"]
        assert running.reload(access_log_format="$outcome $sample", access_log_hits="1")["ok"]
        with proxy.connect() as client:
            client.get(origin.url())
        proxy.stop()
        assert proxy.log_lines() == ["204", "hit -"]
    finally:
        proxy.kill()


def test_lost_lines_are_reported(start_proxy, origin):
    proxy = start_proxy("access_log=/dev/full")
    with proxy.connect() as client:
        client.get(origin.url())
    until(lambda: "lines lost: 1: No space left on device" in proxy.errors(), "it is told")
