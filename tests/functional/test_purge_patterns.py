"""Purges of many URIs at once: by prefix, host and group; hard, and soft ones that make stale."""

import json
import os
import signal
import threading
import urllib.parse

import pytest

from support.many import Hits, fill
from support.origin import CLOSE, respond
from support.rawclient import Client
from support.until import until

FRESH = "Cache-Control: max-age=600"
GROUP = 'Cache-Groups: "g"'
CACHED = "Cache-Control: only-if-cached"
PENDING_MAX = 16


def purge(proxy, *fields, **asked):
    query = urllib.parse.urlencode(asked)
    return proxy.admin("/purge?" + query, "POST", *fields)


def begin(proxy, **asked):
    """The id of one that was begun."""
    answer = purge(proxy, **asked)
    assert answer.status == 202, answer
    assert answer["Content-Type"] == "application/json"
    told = json.loads(answer.body)
    assert told["state"] == "pending" and told["soft"] == (asked.get("soft") == 1)
    return told["id"]


def purges(proxy):
    answer = proxy.admin("/purge")
    assert answer.status == 200 and "no-store" in answer.fields.members("Cache-Control")
    return json.loads(answer.body)


def none_pending(proxy):
    """The purges that have ended, when all have."""
    return until(lambda: (listed := purges(proxy))["pending"] == [] and listed, "no walk is under way")


def purge_of(proxy, number):
    answer = proxy.admin(f"/purge?id={number}")
    assert answer.status == 200, answer
    return json.loads(answer.body)


def finished(proxy, number, timeout=20):
    """How many URIs it found."""
    until(lambda: purge_of(proxy, number)["state"] == "finished", "the walk ends", timeout)
    return purge_of(proxy, number)["uris"]


def is_stored(client, url, *fields):
    """Without asking the origin."""
    answer = client.get(url, CACHED, *fields)
    assert answer.status in (204, 504)
    return answer.status == 204


def kinds_of(origin):
    """Ways to purge all of /a and not /b or another origin's: by query."""
    return {
        "prefix": {"prefix": origin.url("/a")},
        "group": {"group": "g", "uri": origin.url("/")},
        "group of host": {"group": "g", "host": origin.authority},
    }


KINDS = ["prefix", "group", "group of host"]


@pytest.fixture
def some(proxy, client, origin):
    """/a1, /a2 in a group, /b1 in none; and another host's."""
    origin.on("/b1", respond(204, FRESH, 'ETag: "b"'))
    origin.default = respond(204, FRESH, GROUP, 'ETag: "a"')
    for path in ("/a1", "/a2", "/b1"):
        assert client.get(origin.url(path)).stored
    proxy.until_written()
    return client


# Each kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_hard_one_removes(proxy, some, origin, kind):
    number = begin(proxy, **kinds_of(origin)[kind])
    assert not is_stored(some, origin.url("/a1"))
    assert not is_stored(some, origin.url("/a2"))
    assert is_stored(some, origin.url("/b1"))
    answer = some.get(origin.url("/a1"))
    assert answer.fwd == "uri-miss" and answer.stored
    assert some.get(origin.url("/a1")).hit
    assert finished(proxy, number) == 2
    assert some.get(origin.url("/a1")).hit
    assert not is_stored(some, origin.url("/a2"))


def test_of_a_host(proxy, some, origin, start_origin):
    other = start_origin()
    other.default = respond(204, FRESH)
    some.get(other.url("/a1"))
    proxy.until_written()
    number = begin(proxy, host=origin.authority)
    for path in ("/a1", "/a2", "/b1"):
        assert not is_stored(some, origin.url(path))
    assert is_stored(some, other.url("/a1"))
    assert finished(proxy, number) == 3
    number = begin(proxy, host="127.0.0.1")
    assert not is_stored(some, other.url("/a1"))
    assert finished(proxy, number) >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_soft_one_makes_stale(proxy, some, origin, kind):
    number = begin(proxy, soft=1, **kinds_of(origin)[kind])
    assert not is_stored(some, origin.url("/a1"))
    assert is_stored(some, origin.url("/b1"))
    origin.default = respond(304, FRESH, 'ETag: "a"')
    answer = some.get(origin.url("/a1"))
    assert answer.status == 204 and answer.fwd == "stale"
    assert origin.last.fields.get("If-None-Match") == '"a"'
    assert some.get(origin.url("/a1")).hit
    assert finished(proxy, number) in (1, 2)  # the other may be validated before it is seen
    assert some.get(origin.url("/a1")).hit
    answer = some.get(origin.url("/a2"))
    assert answer.fwd == "stale"
    assert origin.last.fields.get("If-None-Match") == '"a"'


def test_a_soft_one_of_a_uri_and_of_all(proxy, some, origin):
    answer = purge(proxy, soft=1, uri=origin.url("/a1"))
    assert (answer.status, json.loads(answer.body)) == (200, {"purged": 1, "soft": True})
    origin.default = respond(304, FRESH, 'ETag: "a"')
    assert some.get(origin.url("/a1")).fwd == "stale"
    assert some.get(origin.url("/a2")).hit
    number = begin(proxy, soft=1, all=1)
    assert some.get(origin.url("/a2")).fwd == "stale"
    assert finished(proxy, number) >= 2
    answer = purge(proxy, soft=1, uri=origin.url("/never"))
    assert json.loads(answer.body) == {"purged": 0, "soft": True}


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a b"])
def test_a_group_is_named_without_the_escapes_of_its_field(proxy, client, origin, name):
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    origin.default = respond(204, FRESH, f'Cache-Groups: "{escaped}"')
    for origin_of_it in ({"uri": origin.url("/")}, {"host": origin.authority}):
        assert client.get(origin.url("/a")).stored
        proxy.until_written()
        begin(proxy, group=name, **origin_of_it)
        assert not is_stored(client, origin.url("/a"))


def test_after_a_soft_one_errors_are_answered_stale(proxy, client, origin):
    origin.on("/", respond(204, FRESH + ", stale-if-error=600", 'ETag: "a"', "X-A: old"), [CLOSE])
    client.get(origin.url())
    proxy.until_written()
    number = begin(proxy, soft=1, prefix=origin.url("/"))
    answer = client.get(origin.url())
    assert answer["X-A"] == "old" and answer.status == 204
    assert answer.cache_status["detail"] == "stale-if-error"
    assert finished(proxy, number) == 1
    assert client.get(origin.url())["X-A"] == "old"
    begin(proxy, prefix=origin.url("/"))
    assert client.get(origin.url()).status == 502


def test_records_of_a_gateway(start_proxy, origin):
    """Under the URI of their origin."""
    proxy = start_proxy(f"gateway=127.0.0.1:0=http://{origin.authority}")
    origin.default = respond(204, FRESH)
    port = int(next(line for line in proxy.output if line.startswith("gateway"))
               .split("127.0.0.1:")[1].split()[0].rstrip(",/"))
    with Client(port) as client:
        for _ in range(2):
            client.send(f"GET /a HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            answer = client.response()
        assert answer.hit
        begin(proxy, host=origin.authority)
        client.send(f"GET /a HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        assert client.response().fwd == "uri-miss"


# Answers on their way


@pytest.mark.parametrize("soft", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_on_its_way_is_not_stored(proxy, client, origin, kind, soft):
    go = threading.Event()
    origin.on("/a", [go, respond(204, FRESH, GROUP, "X-A: old")], respond(204, FRESH, GROUP, "X-A: new"))
    client.request("GET", origin.url("/a"))
    origin.wait_requests(1)
    number = begin(proxy, soft=soft, **kinds_of(origin)[kind])
    finished(proxy, number)
    go.set()
    answer = client.response()
    assert answer["X-A"] == "old" and not answer.stored
    assert answer.cache_status["detail"] == "overtaken"
    assert client.get(origin.url("/a"))["X-A"] == "new"
    assert client.get(origin.url("/a")).hit


def test_one_to_another_uri_is_stored(proxy, client, origin):
    go = threading.Event()
    origin.on("/b", [go, respond(204, FRESH)])
    client.request("GET", origin.url("/b"))
    origin.wait_requests(1)
    finished(proxy, begin(proxy, prefix=origin.url("/a")))
    go.set()
    assert client.response().stored


@pytest.mark.one_worker("requests wait for a fetch of their own worker")
def test_those_who_wait_for_a_purged_answer_ask_anew(proxy, connect, origin):
    go = threading.Event()
    origin.on("/a", [go, respond(204, FRESH, "X-A: old")], respond(204, FRESH, "X-A: new"))
    leader, waiter = connect(), connect()
    leader.request("GET", origin.url("/a"))
    origin.wait_requests(1)
    begin(proxy, prefix=origin.url("/a"))
    waiter.request("GET", origin.url("/a"))
    until(lambda: proxy.stats()["gauges"]["exchanges"] >= 2, "it waits")
    go.set()
    assert leader.response()["X-A"] == "old"
    assert waiter.response()["X-A"] == "new"


# What is asked for


@pytest.mark.parametrize("query", [
    "prefix=", "prefix=/a", "prefix=127.0.0.1", "prefix=ftp://a/", "prefix=http:///", "prefix=http://u@a/",
    "prefix=http%3A%2F%2Fa%2F%23", "host=", "host=a/b", "host=a:0", "host=http://a", "host=a%20b", "group=g",
    "group=g&prefix=http://a/", "group=g&all=1", "group=&uri=http://a/", "group=g&uri=/a", "soft=1", "soft=2&all=1",
    "all=0", "all=2", "host=a&uri=http://a/", "host=a&host=b", "all=1&host=a", "x=1&host=a",
    "prefix=http://a/" + "x" * 1100])
def test_what_is_not_understood_purges_nothing(proxy, some, origin, query):
    before = none_pending(proxy)  # tests before this one may not have waited for theirs
    answer = proxy.admin("/purge?" + query, "POST")
    assert answer.status == 400 and b"prefix=" in answer.body
    assert purges(proxy) == before
    assert is_stored(some, origin.url("/a1"))


@pytest.mark.parametrize("query", ["id=", "id=0", "id=-1", "id=1x", "id=1&id=2", "host=a", "id=1&x", "id=9" * 30])
def test_get_begins_none(proxy, query):
    answer = proxy.admin("/purge?" + query)
    assert answer.status == 405 and answer["Allow"] == "POST"


def test_a_hostile_pattern_is_shown_escaped(proxy):
    prefix = 'http://a/"\\<script>\x80\xff'
    query = urllib.parse.urlencode({"prefix": prefix}, encoding="latin-1")
    answer = proxy.admin("/purge?" + query, "POST")
    assert answer.status == 202, answer
    told = json.loads(answer.body)
    assert told["prefix"] == prefix
    assert all(byte < 0x80 for byte in answer.body)


def test_of_an_id_that_never_was(proxy):
    assert proxy.admin("/purge?id=123456789").status == 404


@pytest.mark.long
def test_a_forgotten_one_has_ended(start_proxy):
    proxy = start_proxy()
    first = begin(proxy, host="h")
    finished(proxy, first)
    for n in range(3 * PENDING_MAX):
        finished(proxy, begin(proxy, host=f"h{n}"))
    assert purge_of(proxy, first) == {"id": first, "state": "forgotten"}
    listed = purges(proxy)
    assert listed["pending"] == []
    assert [one["id"] for one in listed["finished"]] == sorted((one["id"] for one in listed["finished"]), reverse=True)
    assert listed["finished"][0]["host"] == f"h{3 * PENDING_MAX - 1}"


# Many purges


def posts(proxy, queries):
    """Answers to purges sent in one go."""
    with Client(proxy.admin_port) as admin:
        admin.send("".join(f"POST /purge?{query} HTTP/1.1\r\nHost: 127.0.0.1:{proxy.admin_port}\r\n"
                           "Content-Length: 0\r\n\r\n" for query in queries).encode())
        return [admin.response() for _ in queries]


def test_a_storm_of_purges(proxy, some, origin):
    """As many as can be pending are, the others are told to come again, and nothing is left behind."""
    queries = [f"host=h{n}" for n in range(PENDING_MAX)]
    accepted = posts(proxy, queries + queries)  # twice the same is one
    while [answer.status for answer in accepted] != [202] * len(accepted):  # others were pending
        none_pending(proxy)
        accepted = posts(proxy, queries + queries)
    numbers = [json.loads(answer.body)["id"] for answer in accepted]
    statuses = [answer.status for answer in posts(proxy, [f"host=i{n}" for n in range(2 * PENDING_MAX)])]
    assert set(statuses) <= {202, 503}
    for number in numbers:
        assert finished(proxy, number) == 0
    assert is_stored(some, origin.url("/a1"))
    assert begin(proxy, host=origin.authority)
    assert not is_stored(some, origin.url("/a1"))


@pytest.mark.one_worker("all are begun in one turn")
def test_too_many_are_refused_by_name(proxy, some, origin):
    none_pending(proxy)
    answers = posts(proxy, [f"host=h{n}" for n in range(PENDING_MAX + 4)])
    refused = [answer for answer in answers if answer.status == 503]
    for answer in refused:
        assert answer["Retry-After"] == "1" and b"GET /purge" in answer.body
    if refused:  # unless a walk ended in between
        assert proxy.admin("/purge", "POST").status == 202  # all is never too much
        assert not is_stored(some, origin.url("/a1"))
    none_pending(proxy)


@pytest.mark.parametrize("soft", [0, 1])
@pytest.mark.long
def test_of_half_of_20000_while_hits_go_on(start_proxy, start_origin, soft):
    proxy = start_proxy("store_size=64MiB")
    one, other = start_origin(), start_origin()
    one.default = other.default = respond(204, FRESH, 'ETag: "a"')
    fill(proxy, one, 10000)
    fill(proxy, other, 10000)
    until(lambda: proxy.stats()["store"]["entries"] == 20000, "all in the store")
    hits = Hits(proxy, other.url("/1"))
    hits.start()
    number = begin(proxy, host=one.authority, soft=soft)
    with proxy.connect() as client:
        for n in range(0, 10000, 97):
            assert not is_stored(client, one.url(f"/{n}"))
            assert is_stored(client, other.url(f"/{n}"))
        assert finished(proxy, number) == 10000
        for n in range(0, 10000, 97):
            assert not is_stored(client, one.url(f"/{n}"))
            assert is_stored(client, other.url(f"/{n}"))
    hits.stop()
    store = proxy.stats()["store"]
    assert store["entries"] == (20000 if soft else 10000)
    assert store["failures"] == 0


# Processes


@pytest.mark.long
@pytest.mark.parametrize("soft", [0, 1])
@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_a_restart_in_the_middle_brings_nothing_back(start_proxy, origin, end, soft):
    proxy = start_proxy()
    origin.default = respond(204, FRESH, 'ETag: "a"')
    fill(proxy, origin, 5000)
    number = begin(proxy, host=origin.authority, soft=soft)
    getattr(proxy, end)()
    proxy.start()
    with proxy.connect() as client:
        for n in range(0, 5000, 50):
            assert not is_stored(client, origin.url(f"/{n}"))
        assert finished(proxy, number) <= 5000
        for n in range(0, 5000, 50):
            assert not is_stored(client, origin.url(f"/{n}"))
        if not soft:
            assert proxy.stats()["store"]["entries"] == 0


def test_every_worker_is_killed_in_the_middle(start_proxy, origin):
    proxy = start_proxy("workers=2")
    origin.default = respond(204, FRESH)
    fill(proxy, origin, 5000)
    number = begin(proxy, host=origin.authority)
    for pid in proxy.workers():
        os.kill(pid, signal.SIGKILL)
    until(lambda: proxy.stats()["workers"] == 2, "replaced")
    with proxy.connect() as client:
        for n in range(0, 5000, 50):
            assert not is_stored(client, origin.url(f"/{n}"))
    # whoever had the lease is dead: it lapses after half a minute
    assert purge_of(proxy, number)["state"] in ("pending", "finished")


@pytest.mark.long  # 5 s
def test_a_reload_in_the_middle(start_proxy, origin):
    proxy = start_proxy("workers=2")
    origin.default = respond(204, FRESH)
    fill(proxy, origin, 5000)
    number = begin(proxy, host=origin.authority)
    assert proxy.admin("/reload", "POST").status == 202
    with proxy.connect() as client:
        for n in range(0, 5000, 50):
            assert not is_stored(client, origin.url(f"/{n}"))
    assert finished(proxy, number, timeout=60) <= 5000


def test_it_is_in_force_in_every_worker_when_it_is_answered(start_proxy, origin):
    proxy = start_proxy("workers=3")
    origin.default = respond(204, FRESH, GROUP, 'ETag: "a"')
    clients = [Client(proxy.port) for _ in range(24)]  # some of each worker
    for n in range(30):
        url = origin.url(f"/a{n % 3}")
        clients[0].get(url)
        until(lambda: all(is_stored(client, url) for client in clients), "all see it")
        kind = list(kinds_of(origin).values())[n % len(KINDS)]
        begin(proxy, soft=n % 2, **kind)
        for client in clients:
            assert not is_stored(client, url)
    for client in clients:
        client.close()


def test_standard_error_has_them(start_proxy):
    proxy = start_proxy()
    begin(proxy, host="a.example:81")
    begin(proxy, soft=1, prefix="http://a/b")
    begin(proxy, soft=1, all=1)
    begin(proxy, group="g", uri="http://a/b")
    proxy.stop()
    for line in ('purge of host "a.example" by 127.0.0.1', 'soft purge of prefix "http://a/b" by 127.0.0.1',
                 "soft purge of everything by 127.0.0.1", 'purge of group "http://a g" by 127.0.0.1'):
        assert line in proxy.errors()
