"""What operators see of what is stored: GET /entries, `cache204 list` and `cache204 get`."""

import json
import urllib.parse

import pytest

from support.many import fill
from support.origin import respond
from support.proxy import run
from support.until import until

FRESH = "Cache-Control: max-age=600"


def page(proxy, **asked):
    answer = proxy.admin("/entries?" + urllib.parse.urlencode(asked))
    assert answer.status == 200, answer
    assert answer["Content-Type"] == "application/json" and "no-store" in answer.fields.members("Cache-Control")
    return json.loads(answer.body)


def entries(proxy, **asked):
    """All of them, from the first page to the last, by URI."""
    found, after = {}, None
    while True:
        one = page(proxy, **asked, **({"after": after} if after else {}))
        for entry in one["entries"]:
            assert entry["uri"] not in found, "shown twice"
            found[entry["uri"]] = entry
        after = one["after"]
        if after is None:
            return found


def command(proxy, name, *arguments):
    return run(name, "-o", f"admin=127.0.0.1:{proxy.admin_port}", *arguments)


@pytest.fixture
def empty(proxy):
    assert proxy.admin("/purge", "POST").status == 202
    until(lambda: proxy.stats()["store"]["entries"] == 0, "nothing is left")
    return proxy


def stored(proxy, count):
    until(lambda: proxy.stats()["store"]["entries"] == count, f"{count} stored")


def test_an_entry_has_its_variants(empty, client, origin):
    origin.default = respond(204, FRESH, "Vary: Foo", 'ETag: "a"', "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")
    client.get(origin.url("/a?b"), "Foo: 1")
    client.get(origin.url("/a?b"))
    client.head(origin.url("/h"))
    stored(empty, 2)
    until(lambda: len(entries(empty)[origin.url("/a?b")]["variants"]) == 2, "both are there")
    found = entries(empty)
    one = found[origin.url("/a?b")]
    assert {(v["vary"][0]["name"], v["vary"][0]["value"]) for v in one["variants"]} == {("foo", "1"), ("foo", None)}
    for variant in one["variants"]:
        assert variant["lifetime_s"] == 600 and 0 <= variant["age_s"] < 60
        assert variant["fresh_for_s"] == 600 - variant["age_s"]
        assert variant["etag"] == '"a"' and variant["last_modified"].endswith("GMT")
        assert variant["answers"] == "GET and HEAD"
        assert not variant["purged"] and not variant["always_validated"]
        assert 0 < variant["bytes"] < one["bytes"]
    assert found[origin.url("/h")]["variants"][0]["answers"] == "HEAD"


def test_those_of_a_host_or_prefix(empty, client, origin, start_origin):
    other = start_origin()
    origin.default = other.default = respond(204, FRESH)
    for path in ("/a1", "/a2", "/b"):
        client.get(origin.url(path))
    client.get(other.url("/a1"))
    stored(empty, 4)
    assert set(entries(empty)) == {origin.url("/a1"), origin.url("/a2"), origin.url("/b"), other.url("/a1")}
    assert set(entries(empty, host=origin.authority)) == {origin.url(path) for path in ("/a1", "/a2", "/b")}
    assert len(entries(empty, host="127.0.0.1")) == 4
    assert set(entries(empty, prefix=origin.url("/a"))) == {origin.url("/a1"), origin.url("/a2")}
    assert entries(empty, host="127.0.0.2") == {}


def test_what_was_purged_is_not_there(empty, client, origin):
    origin.default = respond(204, FRESH, "Vary: Foo")
    for n in range(3):
        client.get(origin.url(f"/{n}"))
    stored(empty, 3)
    empty.admin(f"/purge?soft=1&uri={origin.url('/0')}", "POST")
    empty.admin(f"/purge?soft=1&prefix={origin.url('/1')}", "POST")
    empty.admin(f"/purge?prefix={origin.url('/2')}", "POST")
    found = entries(empty)  # whether or not the walk was there
    assert set(found) == {origin.url("/0"), origin.url("/1")}
    for entry in found.values():
        variant, = entry["variants"]
        assert variant["purged"] and variant["fresh_for_s"] == 0 and variant["lifetime_s"] < 600


def test_a_large_store_is_walked_in_pages(start_proxy, origin):
    """A page looks at so many, shown or not; the cursor goes on where it ended, also after a restart."""
    proxy = start_proxy("store_size=64MiB")
    origin.default = respond(204, FRESH)
    fill(proxy, origin, 5000)
    assert set(entries(proxy, limit=500)) == {origin.url(f"/{n}") for n in range(5000)}
    one = page(proxy, prefix=origin.url("/4999"))
    assert one["looked_at"] == 2000 and one["stored"] == 5000 and one["after"]
    assert set(entries(proxy, prefix=origin.url("/4999"))) == {origin.url("/4999")}
    assert len(page(proxy)["entries"]) == 100
    first = page(proxy, limit=7)
    assert len(first["entries"]) == 7 and first["looked_at"] == 7
    proxy.restart()
    second = page(proxy, limit=7, after=first["after"])
    assert not {e["uri"] for e in first["entries"]} & {e["uri"] for e in second["entries"]}


@pytest.mark.parametrize("query", [
    "limit=0", "limit=x", "limit=-1", "after=1", "after=" + "g" * 32, "after=" + "0" * 33, "host=", "host=a/b",
    "prefix=a", "host=a&prefix=http://a/", "x=1", "host=a&host=a", "prefix=http%3A%2F%2Fa%2"])
def test_what_is_not_understood_is_refused(proxy, query):
    assert proxy.admin("/entries?" + query).status == 400


def test_it_is_read_only(proxy):
    assert proxy.admin("/entries", "POST").status == 405


def test_a_hostile_origin_is_shown_escaped(empty, client, origin):
    origin.default = respond(204, FRESH, 'ETag: "</script>\xff"', "Vary: Foo")
    client.get(origin.url('/"<>\\'), 'Foo: "<script>')
    stored(empty, 1)
    answer = empty.admin("/entries")
    assert all(byte < 0x80 for byte in answer.body)
    entry, = json.loads(answer.body)["entries"]
    assert entry["uri"] == origin.url('/"<>\\')
    assert entry["variants"][0]["vary"][0]["value"] == '"<script>'
    listed = command(empty, "list")
    assert listed.returncode == 0 and "</script>" not in listed.stdout


# The commands


def test_list(empty, client, origin):
    origin.default = respond(204, FRESH, "Vary: Foo")
    client.get(origin.url("/a"), "Foo: 1")
    client.get(origin.url("/b"))
    stored(empty, 2)
    listed = command(empty, "list")
    assert listed.returncode == 0 and listed.stderr == ""
    head, *lines = listed.stdout.splitlines()
    assert head.split() == ["age", "s", "left", "s", "bytes", "URL"]
    assert any(line.endswith(f"{origin.url('/a')}  foo: 1") for line in lines)
    assert any(line.endswith(f"{origin.url('/b')}  foo absent") for line in lines)
    listed = command(empty, "list", "--prefix", origin.url("/a"), "--json")
    assert [entry["uri"] for line in listed.stdout.splitlines() for entry in json.loads(line)["entries"]] == [origin.url("/a")]
    listed = command(empty, "list", "--host", origin.authority, "--limit", "1")
    assert len(listed.stdout.splitlines()) == 2 and "there may be more" in listed.stderr
    assert command(empty, "list", "--host", "nosuch").stdout == ""
    for wrong in (["--limit", "x"], ["--host", "a", "--prefix", "http://a/"], ["--host", "a/b"]):
        assert command(empty, "list", *wrong).returncode == 2


def test_list_follows_the_cursor(start_proxy, origin):
    proxy = start_proxy()
    origin.default = respond(204, FRESH)
    fill(proxy, origin, 3000)
    assert len(command(proxy, "list").stdout.splitlines()) == 1001
    assert len(command(proxy, "list", "--limit", "0").stdout.splitlines()) == 3001
    listed = command(proxy, "list", "--limit", "0", "--prefix", origin.url("/2999"))
    assert len(listed.stdout.splitlines()) == 2 and listed.stderr == ""


def test_get(empty, client, origin):
    origin.on("/a", respond(204, FRESH, "Vary: Foo", "X-A: one"), respond(204, FRESH, "Vary: Foo", "X-A: two"))
    client.get(origin.url("/a"), "Foo: 1")
    client.get(origin.url("/a"), "Foo: 2")
    stored(empty, 1)
    until(lambda: len(entries(empty)[origin.url("/a")]["variants"]) == 2, "both are there")
    for n, value in ((1, "one"), (2, "two")):
        got = command(empty, "get", "-H", f"Foo: {n}", origin.url("/a"))
        assert got.returncode == 0 and got.stderr == ""
        lines = got.stdout.splitlines()
        assert lines[0] == "HTTP/1.1 204 No Content" and f"X-A: {value}" in lines and FRESH in lines
        assert f"variant foo: {n}" in [line.lower() for line in lines]
    got = command(empty, "get", origin.url("/a"))
    assert got.returncode == 1 and got.stdout == "" and "variant" in got.stderr
    got = command(empty, "get", origin.url("/never"))
    assert got.returncode == 1 and "nothing is stored" in got.stderr
    got = command(empty, "get", "--json", "-H", "Foo: 1", origin.url("/a"))
    assert "X-A: one" in json.loads(got.stdout)["head"].split("\n")
    assert command(empty, "get").returncode == 2
    assert command(empty, "get", "ftp://a/").returncode == 2


def test_no_proxy_to_ask():
    for name, operands in (("list", []), ("get", ["http://a/"]), ("purge", ["http://a/"])):
        answer = run(name, "-o", "admin=127.0.0.1:1", *operands)
        assert answer.returncode == 2 and "127.0.0.1:1" in answer.stderr and answer.stdout == ""
