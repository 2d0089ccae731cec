"""Marks: the difference between two moments, while what is scraped never goes back."""

import json
import re

import pytest

from support.origin import respond
from support.ports import free_port
from support.rawclient import Client
from support.until import steady, until


def counted(proxy):
    """Until what was sent is counted: just after that."""
    steady(lambda: proxy.stats()["requests"])


def asked(proxy, target, status=200):
    counted(proxy)
    answer = proxy.admin(target)
    assert answer.status == status, answer
    return json.loads(answer.body) if status == 200 else answer.body.decode()


def mark(proxy, name):
    counted(proxy)
    answer = proxy.admin(f"/marks/{name}", "POST")
    assert answer.status == 201, answer
    return json.loads(answer.body)


def test_traffic_between_two_marks(proxy, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60"))
    origin.on("/no", respond(204, "Cache-Control: no-store"))
    with proxy.connect() as client:
        client.get(origin.url())
        proxy.until_written()
        mark(proxy, "run-a")
        for _ in range(5):
            client.get(origin.url())
        client.get(origin.url("/no"))
        mark(proxy, "run-a-end")
        for _ in range(3):
            client.get(origin.url())
    run = asked(proxy, "/stats?since=run-a&until=run-a-end")
    assert (run["since"], run["until"], run["requests"]) == ("run-a", "run-a-end", 6)
    assert (run["outcomes"]["hit"], run["outcomes"]["miss"], run["origin"], run["errors"]) == (5, 1, 1, 0)
    assert run["not_stored"]["no-store"] == 1
    assert run["share"] == 5 / 6 or abs(run["share"] - 5 / 6) < 1e-5
    assert run["latency_us"]["n"] == 6 and run["latency_us"]["hit"]["count"] == 5 and run["miss_us"]["n"] == 1
    assert 0 < run["latency_us"]["p50"] <= run["latency_us"]["max"]
    assert abs(run["rate"] * run["window_s"] - 6) < 0.01
    assert run["gauges"]["clients"] >= 0 and 0 <= run["to_ms"] - run["from_ms"] < 60000
    after = asked(proxy, "/stats?since=run-a-end")
    assert (after["requests"], after["until"], after["outcomes"]["hit"]) == (3, None, 3)
    whole = asked(proxy, "/stats?since=run-a")
    assert whole["requests"] == 9
    assert proxy.stats()["requests"] >= 10
    assert "since" not in proxy.stats()


def test_errors_are_those_of_the_page(proxy, origin):
    """What a client asked not to be fetched is no error, an origin that does not answer is one."""
    mark(proxy, "errors")
    with proxy.connect() as client:
        assert client.get(origin.url("/none"), "Cache-Control: only-if-cached").status == 504
        assert client.get(f"http://127.0.0.1:{free_port()}/").status == 502
    run = asked(proxy, "/stats?since=errors")
    assert (run["requests"], run["errors"]) == (2, 1)


def test_the_last_minute(start_proxy, origin):
    proxy = start_proxy()
    origin.on("/", respond(204, "Cache-Control: max-age=60"))
    with proxy.connect() as client:
        for _ in range(4):
            client.get(origin.url())
    for last in ("60s", "5m", "1h", "3600s"):
        run = asked(proxy, f"/stats?last={last}")
        assert (run["since"], run["until"], run["requests"], run["outcomes"]["hit"]) == (None, None, 4, 3)
        assert 0 < run["window_s"] < 60 and run["latency_us"]["n"] == 4


def test_what_is_scraped_goes_on(proxy, origin):
    """A mark resets nothing."""
    origin.on("/scraped", respond(204, "Cache-Control: max-age=60"))

    def scraped():
        text = proxy.admin("/metrics").body.decode()
        return {line.split(" ")[0]: float(line.split(" ")[1]) for line in text.splitlines()
                if not line.startswith("#") and "_total" in line}

    with proxy.connect() as client:
        client.get(origin.url("/scraped"))
        before = scraped()
        mark(proxy, "scrape")
        client.get(origin.url("/scraped"))
        after = scraped()
    assert all(after[name] >= value for name, value in before.items())
    assert after["cache204_requests_total"] == before["cache204_requests_total"] + 1


def test_marks_are_listed_with_their_notes(start_proxy):
    proxy = start_proxy()
    assert asked(proxy, "/marks") == {"marks": []}
    first = mark(proxy, "a?note=-t2+-c64+%22%5c%3Cb%3E%00%c3%a9")
    mark(proxy, "b")
    marks = asked(proxy, "/marks")["marks"]
    assert [m["name"] for m in marks] == ["a", "b"]
    assert marks[0]["note"] == '-t2 -c64 "\\<b>???' and marks[1]["note"] == ""
    assert marks[0]["ms"] == first["ms"] <= marks[1]["ms"]
    assert asked(proxy, "/stats?since=a")["note"] == marks[0]["note"]


def test_the_oldest_of_seventeen_goes(start_proxy):
    proxy = start_proxy()
    for i in range(16):
        assert mark(proxy, f"m{i}")["gone"] is None
    assert mark(proxy, "m0")["gone"] is None  # again, so it is the newest
    assert mark(proxy, "one-more")["gone"] == "m1"
    assert [m["name"] for m in asked(proxy, "/marks")["marks"]] == [*(f"m{i}" for i in range(2, 16)), "m0", "one-more"]
    assert "m1" not in asked(proxy, "/stats?since=m1", 404).split("Set are")[1].replace("m10", "").replace("m11", "") \
        .replace("m12", "").replace("m13", "").replace("m14", "").replace("m15", "")


def test_what_is_refused(start_proxy):
    proxy = start_proxy()
    for name in ("1a", "-a", "a%20b", "a/b", "a" * 33, "<b>", "a?notes=x", "a?note=%zz"):
        assert proxy.admin(f"/marks/{name}", "POST").status == 400, name
    assert proxy.admin("/marks/", "POST").status == 404
    assert proxy.admin("/marks/a").status == 405  # nothing is set by a GET
    assert proxy.admin("/marks/a", "POST", "Origin: http://evil.test").status == 403
    assert proxy.admin("/marks", "POST").status == 405
    assert asked(proxy, "/marks") == {"marks": []}
    mark(proxy, "a")
    mark(proxy, "b")
    for query in ("until=a", "since=", "since=a&until=", "since=a&x=1", "what=a", "since=b&until=a", "since=%zz",
                  "last=", "last=60", "last=0s", "last=2h", "last=3601s", "last=-1s", "last=1s&since=a"):
        assert proxy.admin(f"/stats?{query}").status == 400, query
    assert "Set are a, b" in asked(proxy, "/stats?since=c", 404)
    assert "Set are a, b" in asked(proxy, "/stats?since=a&until=c", 404)
    answer = proxy.admin("/stats?since=%3Cscript%3E%0a%ff")
    assert answer.status == 404 and b"\n%" not in answer.body and re.fullmatch(rb"[ -~\n]*", answer.body)


@pytest.mark.one_worker("it has three of its own")
def test_any_worker_has_them_and_a_reload_leaves_them(start_proxy, origin):
    proxy = start_proxy("workers=3")
    origin.on("/", respond(204, "Cache-Control: max-age=60"))
    mark(proxy, "before")
    for _ in range(12):
        with Client(proxy.port) as client:
            client.get(origin.url())
    assert proxy.admin("/reload", "POST").status == 202
    until(lambda: json.loads(proxy.admin("/reload").body)["generation"] == 2, "the reload is over")
    for _ in range(8):  # connections of several workers
        assert asked(proxy, "/stats?since=before")["requests"] == 12
