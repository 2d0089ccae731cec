"""/dash.json: what the operators' page shows, against known traffic."""

import json
import os
import signal

import pytest

from support.origin import CLOSE, NEVER, respond
from support.rawclient import Client
from support.until import until

FRESH = "Cache-Control: max-age=60"
WRONG = ["window=61", "window=", "window=-1", "sort=hosts", "step=2", "step=99999999999999999999", "after=x", "x=1",
         "since=", "window=%zz"]


def dash(proxy, query="", status=200):
    answer = proxy.admin("/dash.json" + query)
    assert answer.status == status, answer
    assert "no-store" in answer.fields.members("Cache-Control") and answer["X-Content-Type-Options"] == "nosniff"
    assert all(byte < 0x80 for byte in answer.body)
    return json.loads(answer.body) if status == 200 else answer.body.decode()


def settled(proxy, requests, query=""):
    """When all workers have brought in what they counted, and the store what it was given."""
    def whole():
        found = dash(proxy, query)
        rows = sum(row["requests"] for row in found["hosts"]) + found["hosts_other"]["requests"]
        return found if found["requests"] == rows == requests and found["in_flight"]["n"] == 0 else None

    until(whole, f"{requests} requests are in all numbers")
    return whole() or dash(proxy, query)


def row(rows, name, key="host"):
    return next((row for row in rows if row[key] == name), None)


def ask(proxy, *targets):
    with proxy.connect() as client:
        for target in targets:
            client.get(target)


def test_known_traffic(start_proxy, start_origin):
    proxy, one, two = start_proxy(), start_origin(), start_origin()
    one.on("/a", respond(204, FRESH))
    one.on("/no", respond(204, "Cache-Control: no-store"))
    one.on("/200", respond(200, body=b"abc"))
    two.on("/b", respond(204, FRESH))
    ask(proxy, one.url("/a"))
    proxy.until_written()
    ask(proxy, *[one.url("/a")] * 6, *[one.url("/no")] * 3, one.url("/200"), two.url("/b"))
    until(lambda: dash(proxy)["store"]["stored"] == 2, "both are in the store")
    for window in (60, 3600, 0):
        found = settled(proxy, 12, f"?window={window}")
        assert found["v"] == 1 and found["state"] == "serving" and found["proxy"] == f"127.0.0.1:{proxy.port}"
        assert found["answers204"] == {"fresh": 6, "shared": 0, "stale": 0, "confirmed": 0, "fetched": 5}
        assert found["other"] == {"total": 1, "by": [{"status": "200", "n": 1}]}
        assert abs(found["share"]["w60"] - 6 / 11) < 1e-5 and found["share"]["w0"] == found["share"]["w3600"]
        assert found["latency_us"]["hit"]["n"] == 6 and found["latency_us"]["miss"]["n"] == 6
        assert found["origin_us"]["first_byte"]["n"] == 6 and found["origin_us"]["tls"]["p50"] is None
        assert 0 < found["latency_us"]["miss"]["p50"] <= found["latency_us"]["miss"]["max"]
        assert [(r["reason"], r["n"]) for r in found["asked"]] == [("no-record", 5)]
        assert [(r["reason"], r["n"]) for r in found["not_stored"]] == [("no-store", 3)]
        assert found["saved"]["requests"] == 6 and found["saved"]["bytes_in"] > 0
        assert found["errors"] == 0 and found["errors_recent"] == [] and found["notes"] == []
        first, second = found["hosts"]
        assert (first["host"], first["requests"], first["here"], first["asked"]) == (one.authority, 11, 6, 5)
        assert (second["host"], second["requests"], second["here"], second["asked"]) == (two.authority, 1, 0, 1)
        assert first["state"] in ("ok", "slow") and 0 < first["first_byte_us"]["p50"] <= first["first_byte_us"]["p99"]
        assert found["hosts_other"]["requests"] == 0 and found["hosts_other"]["error"] == 0
        assert row(found["urls"], one.url("/a"), "uri")["here"] == 6
        assert row(found["urls"], one.url("/no"), "uri")["asked"] == 3
        assert found["store"]["stored"] == 2 and found["store"]["entries"] == 2 and found["store"]["evicted"] == 0
        assert found["rss"] > 1 << 20 and found["store"]["restored"] is False
        assert 0 < found["window_s"] < 60
    by_asked = dash(proxy, "?sort=asked")["urls"]
    assert [r["asked"] for r in by_asked] == sorted((r["asked"] for r in by_asked), reverse=True)
    assert by_asked[0]["uri"] == one.url("/no")


def test_stale_answers_and_errors(start_proxy, start_origin):
    """Clients' pain first: who got no answer, then who got a stale one, with what the system said."""
    proxy, origin, dead = start_proxy("first_byte_timeout=300ms"), start_origin(), start_origin()
    origin.on("/s", respond(204, "Cache-Control: max-age=0, stale-if-error=600", 'ETag: "a"'), [CLOSE])
    origin.on("/never", [NEVER])
    ask(proxy, origin.url("/s"))
    proxy.until_written()
    ask(proxy, origin.url("/s"), origin.url("/s"))
    address = dead.authority
    dead.close()
    ask(proxy, f"http://{address}/gone?u=http://user:secret@a.test/")
    found = settled(proxy, 4)
    assert found["answers204"]["stale"] == 2 and found["errors"] == 1
    host = row(found["hosts"], origin.authority)
    assert (host["requests"], host["here"], host["stale"], host["asked"], host["failures"]) == (3, 2, 2, 1, 2)
    gone = row(found["hosts"], address)
    assert (gone["requests"], gone["here"], gone["asked"], gone["failures"], gone["state"]) == (1, 0, 0, 1, "refused")
    refused = next(e for e in found["errors_recent"] if e["failure"] == "origin_refused")
    assert refused["status"] == 502 and refused["n"] == 1 and "refused" in refused["detail"].lower()
    assert refused["uri"] == f"http://{address}/gone?u=http://***@a.test/" and refused["host"] == address
    hidden = next(e for e in found["errors_recent"] if e["failure"] == "origin_closed")
    assert hidden["status"] == 204 and hidden["n"] == 2 and hidden["first_ms"] <= hidden["last_ms"] <= found["now_ms"]
    assert [(n["level"], n["id"], n["host"]) for n in found["notes"][:2]] == [
        ("bad", "origin-fails", address), ("warn", "origin-stale", origin.authority)]
    assert found["notes"][0]["text"].startswith(f"{address} refuses connections: 1 request of the last minute")
    assert found["notes"][0]["since_ms"] == refused["first_ms"] and found["notes"][0]["do"]
    assert "secret" not in json.dumps(found)


def test_what_hangs_is_shown(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/long", [NEVER])
    with proxy.connect() as client:
        client.send(f"GET {origin.url('/long')} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
        until(lambda: dash(proxy)["in_flight"]["oldest"], "it has lasted for a second")
        flight = dash(proxy)["in_flight"]
        assert flight["n"] == 1 and len(flight["oldest"]) == 1
        oldest, = flight["oldest"]
        assert oldest["uri"] == origin.url("/long") and oldest["phase"] == "first-byte" and oldest["waiters"] == 0
        assert oldest["age_ms"] >= 1000
        client.reset()
    until(lambda: dash(proxy)["in_flight"] == {"n": 0, "waiting": 0, "oldest": []}, "its client has left")


@pytest.mark.long  # 3 s
def test_the_chart_has_what_was(start_proxy, origin):
    proxy = start_proxy()
    origin.default = respond(204, FRESH)
    first = dash(proxy, "?step=1")["history"]
    assert set(first["columns"]) == {"fresh", "shared", "stale", "confirmed", "fetched", "other", "errors", "hit_p50",
                                     "hit_p99", "miss_p50", "miss_p99", "fb_p50", "fb_p99", "in_flight"}

    def next_row():
        return dash(proxy, "?step=1")["history"]["next"]

    def counted(since):
        columns = dash(proxy, f"?step=1&after={since}")["history"]["columns"]
        return sum(n or 0 for n in columns["fresh"]), sum(n or 0 for n in columns["fetched"])

    for attempt in range(5):  # a second in which the worker had no time is a gap
        before = next_row()
        until(lambda: next_row() > before, "a second is over")
        start = next_row()
        ask(proxy, *[origin.url(f"/{attempt}")] * 5)
        asked = next_row()
        until(lambda: next_row() > asked + 1, "the second of the requests is over")
        if counted(start) == (4, 1):
            break
    assert counted(start) == (4, 1)
    found = dash(proxy, f"?step=1&after={start}")["history"]
    assert all(len(column) == found["next"] - start for column in found["columns"].values())
    assert dash(proxy, f"?step=1&after={found['next'] + 100}")["history"]["columns"]["fresh"] == []
    assert dash(proxy)["history"]["step_s"] == 10


def rows_of(proxy):
    """Seconds that were sampled, by their numbers."""
    found = dash(proxy, "?step=1")["history"]
    column = found["columns"]["fresh"]
    return {found["next"] - len(column) + i for i, n in enumerate(column) if n is not None}


@pytest.mark.one_worker("it has three of its own")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.long
def test_another_samples_when_one_is_gone(start_proxy, how):
    """Whichever of the three it is, in turn: rows come again after each."""
    proxy = start_proxy("workers=3", "watchdog_timeout=0")
    until(lambda: rows_of(proxy), "one samples")
    for worker in sorted(proxy.workers()):
        os.kill(worker, how)
        before = max(rows_of_any(proxy))
        until(lambda: max(rows_of_any(proxy)) > before, "another samples")
        if how == signal.SIGSTOP:
            os.kill(worker, signal.SIGCONT)
    assert not [line for line in proxy.errors().splitlines() if "hangs" in line]


def rows_of_any(proxy):
    """By whichever worker answers: a stopped one accepts and is silent."""
    while True:
        try:
            with Client(proxy.admin_port, timeout=0.5) as client:
                client.send(f"GET /dash.json?step=1 HTTP/1.1\r\nHost: 127.0.0.1:{proxy.admin_port}\r\n\r\n".encode())
                found = json.loads(client.response("GET").body)["history"]
        except (AssertionError, OSError):
            continue
        column = found["columns"]["fresh"]
        return {found["next"] - len(column) + i for i, n in enumerate(column) if n is not None} or {0}


def test_what_was_evicted_was_fresh(start_proxy, origin):
    proxy = start_proxy("store_size=1MiB", "store_interval=0")
    origin.default = respond(204, "Cache-Control: max-age=600", "X-Fill: " + "x" * 3000)
    with proxy.connect() as client:
        for i in range(400):
            client.get(origin.url(f"/{i}"))
    until(lambda: dash(proxy)["store"]["evicted"] > 0, "the store was too small")
    store = dash(proxy)["store"]
    assert store["evicted_fresh"] == store["evicted"] and store["evicted_age_s"]["p50"] <= 60


@pytest.mark.one_worker("it has two of its own")
def test_events_and_a_reload(start_proxy, origin):
    proxy = start_proxy("workers=2")
    origin.on("/", respond(204, FRESH))
    ask(proxy, origin.url())
    settled(proxy, 1)
    proxy.admin(f"/purge?uri={origin.url()}", "POST")
    proxy.admin("/purge", "POST")
    assert proxy.admin("/reload", "POST").status == 202
    until(lambda: any(e["kind"] == "reload" for e in dash(proxy)["events"]), "the reload is over")
    until(lambda: len(proxy.workers()) == 2, "those before have ended")
    os.kill(sorted(proxy.workers())[0], signal.SIGKILL)
    until(lambda: any(e["kind"] == "worker" for e in dash(proxy)["events"]), "the master has seen it")
    found = dash(proxy)
    assert [e["kind"] for e in found["events"]][:4] == ["start", "purge", "purge", "reload"]
    assert found["events"][1]["text"] == f"purge of {origin.url()}"
    assert all(a["ms"] <= b["ms"] for a, b in zip(found["events"], found["events"][1:]))
    assert any(n["id"] == "worker-died" and n["level"] == "warn" for n in found["notes"])
    settled(proxy, 1)  # what was counted is still there


def test_since_a_mark(proxy, origin):
    origin.on("/mark", respond(204, FRESH))
    ask(proxy, origin.url("/mark"))
    assert proxy.admin("/marks/here", "POST").status == 201
    ask(proxy, origin.url("/mark"), origin.url("/mark"))
    found = dash(proxy, "?since=here")
    assert found["requests"] == 2 and found["window_s"] < 60
    assert "here" in [m["name"] for m in found["marks"]]
    assert "Set are" in dash(proxy, "?since=nowhere", 404)


@pytest.mark.parametrize("query", WRONG)
def test_what_is_not_understood(proxy, query):
    assert dash(proxy, "?" + query, 400).startswith("Parameters: ")


def test_hostile_names(start_proxy, origin):
    """Many names, long ones, and bytes that would be something in a page."""
    proxy = start_proxy("uri_length=8KiB")
    origin.default = respond(204, FRESH)
    with proxy.connect() as client:
        for i in range(400):
            client.send(f"GET {origin.url(f'/{i}')} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
            client.response("GET")
        for path in (b"/\"><script>alert(1)</script>\\", b"/\xff\xc3\xa9\xe2\x80\xae", b"/" + b"x" * 7000):
            client.send(b"GET http://%s%s HTTP/1.1\r\nHost: %s\r\n\r\n"
                        % (origin.authority.encode(), path, origin.authority.encode()))
            client.response("GET")
        for _ in range(50):
            client.get(origin.url("/often"))
    found = settled(proxy, 453)
    assert found["urls"][0]["uri"] == origin.url("/often")
    assert 50 - found["urls_other"]["error"] <= found["urls"][0]["requests"] <= 50
    assert sum(r["requests"] for r in found["urls"]) + found["urls_other"]["requests"] == 453
    assert all(len(r["uri"]) <= 256 for r in found["urls"])
    assert len(proxy.admin("/dash.json?window=0&sort=bytes").body) < 40000
