"""Purges by operators: of one URI, and of everything while hits go on."""

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
CACHED = "Cache-Control: only-if-cached"


def purge(proxy, query="", *fields, method="POST"):
    return proxy.admin("/purge" + query, method, *fields)


def purge_uri(proxy, uri):
    """How many were there."""
    answer = purge(proxy, "?uri=" + uri)
    assert answer.status == 200, answer
    assert answer["Content-Type"] == "application/json"
    assert "no-store" in answer.fields.members("Cache-Control")
    return json.loads(answer.body)["purged"]


def purge_all(proxy):
    answer = purge(proxy)
    assert answer.status == 202, answer
    assert "background" in json.loads(answer.body)["removal"]
    return json.loads(answer.body)["purged"]


def is_stored(client, url, *fields):
    """Without asking the origin."""
    answer = client.get(url, CACHED, *fields)
    assert answer.status in (204, 504)
    return answer.status == 204


def stored(proxy, n):
    until(lambda: proxy.stats()["store"]["entries"] >= n, f"{n} entries in the store")


def removed(proxy, left=0, timeout=20.0):
    until(lambda: proxy.stats()["store"]["entries"] == left, f"{left} left", timeout)
    until(lambda: proxy.stats()["gauges"]["purging"] == 0, "the removal ends")


# One URI


def test_one_uri(proxy, client, origin):
    origin.default = respond(204, FRESH)
    client.get(origin.url("/a"))
    client.get(origin.url("/b"))
    assert purge_uri(proxy, origin.url("/a")) == 1
    assert not is_stored(client, origin.url("/a"))
    assert is_stored(client, origin.url("/b"))
    assert purge_uri(proxy, origin.url("/a")) == 0
    assert client.get(origin.url("/a")).stored
    assert client.get(origin.url("/a")).hit


def test_one_uri_encoded_as_in_a_form(proxy, client, origin):
    origin.default = respond(204, FRESH)
    client.get(origin.url("/a?b=1&c=2"))
    assert purge_uri(proxy, urllib.parse.quote(origin.url("/a?b=1&c=2"), safe="")) == 1
    assert not is_stored(client, origin.url("/a?b=1&c=2"))


def test_all_variants_of_it(proxy, client, origin):
    origin.default = respond(204, FRESH, "Vary: X")
    for x in "123":
        client.get(origin.url(), f"X: {x}")
    client.head(origin.url(), "X: 4")
    assert purge_uri(proxy, origin.url()) == 1
    for x in "123":
        assert not is_stored(client, origin.url(), f"X: {x}")
    assert client.ask("HEAD", origin.url(), "X: 4", CACHED).status == 504


@pytest.mark.parametrize("path", ["/a?b=c&d=e", "/?uri=http://a/", "/%61", "/a%3fb", "/?", "/@", "/a/../b"])
def test_the_uri_is_taken_as_it_is(proxy, client, origin, path):
    origin.default = respond(204, FRESH)
    client.get(origin.url(path))
    for other in ["/a", "/", "/a?b=c", "/a%3Fb", "/b", "/a?b=c&d=e&"]:
        assert purge_uri(proxy, origin.url(other)) == 0
    assert is_stored(client, origin.url(path))
    assert purge_uri(proxy, origin.url(path)) == 1
    assert not is_stored(client, origin.url(path))


def test_its_normal_form_counts(proxy, client, origin):
    origin.default = respond(204, FRESH)
    client.get(origin.url("/"))
    assert purge_uri(proxy, f"HTTP://{origin.authority}") == 1


@pytest.mark.parametrize("query", [
    "?", "?uri", "?uri=", "?uri=/a", "?uri=a", "?uri=127.0.0.1:80", "?uri=ftp://a/", "?uri=http:///",
    "?uri=http%3A%2F%2Fa%2", "?uri=http%3A%2F%2Fa%2F&all=1", "?uri=http://u:p@a/", "?uri=http://a:0/", "?uri=http://a:/", "?url=http://a/",
    "?URI=http://a/", "?all", "?x&uri=http://a/"])
def test_what_is_no_uri_purges_nothing(proxy, client, origin, query):
    origin.default = respond(204, FRESH)
    client.get(origin.url())
    answer = purge(proxy, query)
    assert answer.status == 400
    assert b"uri=" in answer.body
    assert is_stored(client, origin.url())


def test_an_answer_on_its_way_to_the_uri_is_not_stored(proxy, client, origin):
    go = threading.Event()
    origin.on("/", [go, respond(204, FRESH, "X-A: old")], respond(204, FRESH, "X-A: new"))
    client.request("GET", origin.url())
    origin.wait_requests(1)
    assert purge_uri(proxy, origin.url()) == 0
    go.set()
    answer = client.response()
    assert answer["X-A"] == "old" and not answer.stored
    assert answer.cache_status["detail"] == "overtaken"
    assert client.get(origin.url())["X-A"] == "new"
    assert client.get(origin.url()).hit


# Everything


def test_all_at_once(proxy, client, origin):
    origin.default = respond(204, FRESH)
    for n in range(100):
        client.get(origin.url(f"/{n}"))
    stored(proxy, 100)
    assert purge_all(proxy) >= 100
    for n in range(100):
        assert not is_stored(client, origin.url(f"/{n}"))
    answer = client.get(origin.url("/0"))
    assert answer.stored and answer.fwd == "uri-miss"
    assert client.get(origin.url("/0")).hit
    removed(proxy, left=1)
    assert client.get(origin.url("/0")).hit
    purge_all(proxy)
    removed(proxy)


def test_writes_that_wait_are_purged(start_proxy, origin):
    proxy = start_proxy("store_interval=1s")
    origin.default = respond(204, FRESH)
    with proxy.connect() as client:
        assert client.get(origin.url()).stored
        purge_all(proxy)
        assert not is_stored(client, origin.url())
    proxy.restart()
    with proxy.connect() as client:
        assert not is_stored(client, origin.url())


def test_an_answer_on_its_way_is_not_stored(proxy, client, origin):
    go = threading.Event()
    origin.on("/", [go, respond(204, FRESH, "X-A: old")], respond(204, FRESH, "X-A: new"))
    client.request("GET", origin.url())
    origin.wait_requests(1)
    purge_all(proxy)
    go.set()
    answer = client.response()
    assert answer["X-A"] == "old" and not answer.stored
    assert answer.cache_status["detail"] == "overtaken"
    assert client.get(origin.url())["X-A"] == "new"
    assert client.get(origin.url()).hit


def test_a_304_on_its_way_brings_nothing_back(proxy, client, origin):
    """The record is not freshened, and what the 304 confirms is not shown: the origin is asked anew."""
    go = threading.Event()
    origin.on("/", respond(204, "Cache-Control: max-age=0", 'ETag: "a"', "X-A: old"),
              [go, respond(304, FRESH, 'ETag: "a"')], respond(204, FRESH, "X-A: new"))
    client.get(origin.url())
    client.request("GET", origin.url())
    origin.wait_requests(2)
    assert origin.last.fields.get("If-None-Match") == '"a"'
    purge_all(proxy)
    go.set()
    assert client.response()["X-A"] == "new"
    assert origin.last.fields.get("If-None-Match") is None
    assert client.get(origin.url())["X-A"] == "new"


def test_stale_if_error_shows_nothing_that_was_purged(proxy, client, origin):
    go = threading.Event()
    origin.on("/", respond(204, "Cache-Control: max-age=0, stale-if-error=600", 'ETag: "a"'),
              [go, CLOSE])
    client.get(origin.url())
    client.request("GET", origin.url())
    origin.wait_requests(2)
    purge_all(proxy)
    go.set()
    assert client.response().status == 502


@pytest.mark.one_worker("requests wait for a fetch of their own worker")
def test_those_who_wait_for_a_purged_answer_ask_anew(proxy, connect, origin):
    go = threading.Event()
    origin.on("/", [go, respond(204, FRESH, "X-A: old")], respond(204, FRESH, "X-A: new"))
    leader, waiter = connect(), connect()
    leader.request("GET", origin.url())
    origin.wait_requests(1)
    waiter.request("GET", origin.url())
    until(lambda: proxy.stats()["gauges"]["exchanges"] >= 2, "it waits")
    purge_all(proxy)
    go.set()
    assert leader.response()["X-A"] == "old"
    assert waiter.response()["X-A"] == "new"


@pytest.mark.long
def test_of_20000_while_hits_go_on(start_proxy, origin):
    proxy = start_proxy("store_size=64MiB")
    origin.default = respond(204, FRESH, "X-A: old")
    fill(proxy, origin, 20000)
    before = proxy.stats()
    assert purge_all(proxy) == before["store"]["entries"] == 20000
    origin.default = respond(204, FRESH, "X-A: new")
    with proxy.connect() as client:
        assert client.get(origin.url("/new"))["X-A"] == "new"
        hits = Hits(proxy, origin.url("/new"), X_A="new")
        hits.start()
        until(lambda: proxy.stats()["gauges"]["purging"] == 1, "the removal begins")
        seen = hits.count
        for n in range(0, 20000, 97):
            assert not is_stored(client, origin.url(f"/{n}"))
        assert client.get(origin.url("/1"))["X-A"] == "new"
        removed(proxy, left=2)
        assert hits.count > seen + 10
        hits.stop()
        assert is_stored(client, origin.url("/1"))
    # One may have been replaced before; workers tell what they counted a few times a second.
    until(lambda: proxy.stats()["store"]["purged"] in (19999, 20000), "all are counted")
    after = proxy.stats()
    assert after["counters"]["purges"] == 1
    assert after["store"]["failures"] == after["store"]["evictions"] == 0


def test_a_second_one_moves_the_mark(start_proxy, origin):
    proxy = start_proxy()
    origin.default = respond(204, FRESH)
    fill(proxy, origin, 3000)
    purge_all(proxy)
    with proxy.connect() as client:
        client.get(origin.url("/0"))
        client.get(origin.url("/new"))
        purge_all(proxy)
        assert not is_stored(client, origin.url("/0"))
        assert not is_stored(client, origin.url("/new"))
    removed(proxy)


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_a_restart_in_the_middle_brings_nothing_back(start_proxy, origin, end):
    proxy = start_proxy()
    origin.default = respond(204, FRESH)
    fill(proxy, origin, 5000)
    purge_all(proxy)
    getattr(proxy, end)()
    proxy.start()
    assert proxy.stats()["store"]["entries"] > 0, "it was no restart in the middle"
    with proxy.connect() as client:
        for n in range(0, 5000, 50):
            assert not is_stored(client, origin.url(f"/{n}"))
        client.get(origin.url("/new"))
        assert client.get(origin.url("/new")).hit
        removed(proxy, left=1)  # resumed
        assert client.get(origin.url("/new")).hit


# Several workers


@pytest.fixture
def two(start_proxy):
    return start_proxy("workers=2", "log_level=debug")


def client_of_each(proxy):
    found = {}
    for _ in range(500):
        client = proxy.connect()
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().status == 204
        if found.setdefault(proxy.worker_of(client), client) is not client:
            client.close()
        if len(found) == 2:
            return found
    raise AssertionError("connections reach one worker only")


def admin_of(proxy, pid):
    """A connection of that worker's to the operators' listener."""
    port, proxy_port = proxy.admin_port, proxy.port
    proxy.port = port  # as worker_of() looks for its connections
    try:
        for _ in range(500):
            client = Client(port)
            client.send(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            assert client.response().status == 204
            if proxy.worker_of(client) == pid:
                return client
            client.close()
    finally:
        proxy.port = proxy_port
    raise AssertionError(f"no connection reaches {pid}")


@pytest.mark.long  # 10 s
def test_a_purge_by_one_worker_is_seen_by_all_at_once(two, origin):
    origin.default = respond(204, FRESH)
    clients = client_of_each(two)
    for pid in clients:
        admin = admin_of(two, pid)
        for i in range(10):
            for n, client in enumerate(clients.values()):
                client.get(origin.url(f"/{n}"))
                until(lambda: all(is_stored(other, origin.url(f"/{n}"))
                                  for other in clients.values()), "stored")
            if i % 2:
                admin.send(f"POST /purge HTTP/1.1\r\nHost: 127.0.0.1:{two.admin_port}\r\n\r\n".encode())
                assert admin.response().status == 202
            else:
                for n in range(2):
                    admin.send(f"POST /purge?uri={origin.url(f'/{n}')} HTTP/1.1\r\n"
                               f"Host: 127.0.0.1:{two.admin_port}\r\n\r\n".encode())
                    assert admin.response().body == b'{"purged": 1}\n'
            for client in clients.values():
                assert not is_stored(client, origin.url("/0"))
                assert not is_stored(client, origin.url("/1"))
        admin.close()
    for client in clients.values():
        client.close()
    removed(two)


@pytest.mark.long  # 5 s
def test_an_answer_on_its_way_to_another_worker_is_not_stored(two, origin):
    clients = client_of_each(two)
    goes = [threading.Event(), threading.Event()]
    for n, client in enumerate(clients.values()):
        origin.on(f"/{n}", [goes[n], respond(204, FRESH)])
        client.request("GET", origin.url(f"/{n}"))
    origin.wait_requests(2)
    purge_all(two)
    for n, client in enumerate(clients.values()):
        goes[n].set()
        answer = client.response()
        assert not answer.stored and answer.cache_status["detail"] == "overtaken"
        assert not is_stored(client, origin.url(f"/{n}"))
        client.close()


@pytest.mark.long
def test_one_worker_removes_and_dies(two, origin):
    origin.default = respond(204, FRESH)
    fill(two, origin, 5000)
    purge_all(two)
    for pid in two.workers():
        os.kill(pid, signal.SIGKILL)
    until(lambda: two.stats()["workers"] == 2, "replaced")
    for client in client_of_each(two).values():
        for n in range(0, 5000, 100):
            assert not is_stored(client, origin.url(f"/{n}"))
        client.close()


# Who may


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PURGE"])
@pytest.mark.parametrize("query", ["", "?uri=http://127.0.0.1/"])
def test_nothing_but_post(proxy, client, origin, method, query):
    origin.default = respond(204, FRESH)
    client.get(origin.url())
    answer = purge(proxy, query, method=method)
    if query == "" and method in ("GET", "HEAD"):
        assert answer.status == 200  # a list of them
    else:
        assert answer.status == 405
        assert answer["Allow"] == ("POST" if method in ("GET", "HEAD") else "GET, HEAD, POST")
    assert is_stored(client, origin.url())


@pytest.mark.parametrize("allowed, fields", [
    (True, []),
    (True, ["Sec-Fetch-Site: same-origin"]),
    (True, ["Sec-Fetch-Site: none"]),
    (True, ["Origin: http://HOST"]),
    (True, ["Origin: http://HOST", "Sec-Fetch-Site: same-origin"]),
    (False, ["Sec-Fetch-Site: cross-site"]),
    (False, ["Sec-Fetch-Site: same-site"]),
    (False, ["sec-fetch-site: cross-site"]),
    (False, ["Sec-Fetch-Site: "]),
    (False, ["Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"]),
    (False, ["Origin: null"]),
    (False, ["Origin: "]),
    (False, ["Origin: http://evil.example"]),
    (False, ["Origin: https://HOST"]),
    (False, ["Origin: http://127.0.0.1"]),
    (False, ["Origin: http://127.0.0.1:1"]),
    (False, ["Origin: http://HOST.evil.example"]),
    (False, ["Origin: http://HOST/"]),
    (False, ["Origin: http://HOST", "Origin: http://evil.example"]),
    (False, ["Origin: http://HOST http://evil.example"]),
    (False, ["Origin: http://HOST", "Sec-Fetch-Site: cross-site"]),
    (False, ["Origin: http://evil.example", "Sec-Fetch-Site: same-origin"]),
])
@pytest.mark.parametrize("one", [True, False])
def test_no_page_of_another_site(proxy, client, origin, allowed, fields, one):
    origin.default = respond(204, FRESH)
    client.get(origin.url())
    fields = [field.replace("HOST", f"127.0.0.1:{proxy.admin_port}") for field in fields]
    answer = purge(proxy, f"?uri={origin.url()}" if one else "", *fields)
    assert answer.status == ((200 if one else 202) if allowed else 403)
    assert is_stored(client, origin.url()) == (not allowed)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_foreign_host_names_are_refused(proxy, client, origin, host):
    origin.default = respond(204, FRESH)
    client.get(origin.url())
    with Client(proxy.admin_port) as admin:
        admin.send(f"POST /purge HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n\r\n".encode())
        assert admin.response().status == 403
    assert is_stored(client, origin.url())


def test_not_through_the_proxy(proxy, client, origin):
    origin.default = respond(204, FRESH)
    client.get(origin.url())
    with proxy.connect() as other:
        answer = other.ask("POST", f"http://127.0.0.1:{proxy.admin_port}/purge", body=b"")
        assert answer.status in (400, 403, 502, 508)
    assert is_stored(client, origin.url())


def test_a_body_is_no_part_of_it(proxy, client, origin):
    origin.default = respond(204, FRESH)
    client.get(origin.url())
    proxy.until_written()
    with Client(proxy.admin_port) as admin:
        admin.send(f"POST /purge?uri={origin.url()} HTTP/1.1\r\nHost: 127.0.0.1:{proxy.admin_port}\r\n"
                   "Content-Length: 5\r\n\r\nhello".encode())
        assert admin.response().body == b'{"purged": 1}\n'


def test_the_index_names_it(proxy):
    assert b"/purge" in proxy.admin("/").body


def test_standard_error_has_it_but_no_password(start_proxy, origin):
    proxy = start_proxy()
    purge_uri(proxy, origin.url("/a?b"))
    purge_all(proxy)
    assert purge(proxy, "?uri=http://user:secret@a/").status == 400
    assert purge(proxy, "?uri=http://user:secret@a/", method="GET").status == 405
    assert purge(proxy, "?uri=http://user:secret@a/", "Origin: null").status == 403
    proxy.stop()
    assert f'purge of "{origin.url("/a?b")}" by 127.0.0.1' in proxy.errors()
    assert "purge of everything by 127.0.0.1: " in proxy.errors()
    assert "secret" not in proxy.errors()
    assert proxy.log_lines() == []  # it is no traffic
