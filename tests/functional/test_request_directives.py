"""What a request may ask of the cache: no-cache, max-age, min-fresh, max-stale, only-if-cached."""

import pytest

from support.origin import respond

FRESH = ["Cache-Control: max-age=60", "Age: 10", 'ETag: "a"']
STALE = ["Cache-Control: max-age=60", "Age: 100", 'ETag: "a"']


@pytest.fixture
def fresh(client, origin):
    origin.on("/", respond(204, *FRESH), respond(304, *FRESH))
    assert client.get(origin.url()).stored


@pytest.mark.parametrize("lines", [
    ["Cache-Control: no-cache"], ["Cache-Control: max-age=0"], ["Pragma: no-cache"],
    ["Cache-Control: max-age=5"], ["Cache-Control: min-fresh=55"],
    ["Cache-Control: NO-CACHE, foo"], ["Cache-Control: max-age=abc"], ["cache-control: x", "Cache-Control: no-cache"],
], ids=" ".join)
def test_record_is_validated(client, origin, fresh, lines):
    answer = client.get(origin.url(), *lines)
    assert (answer.status, answer.fwd, answer.cache_status["fwd-status"]) == (204, "request", 304)
    assert len(origin.requests) == 2
    assert origin.last.fields.get("If-None-Match") == '"a"'
    assert client.get(origin.url()).hit


@pytest.mark.parametrize("lines", [
    ["Cache-Control: max-age=30"], ["Cache-Control: min-fresh=10"], ["Cache-Control: max-stale"],
    ["Pragma: no-cache", "Cache-Control: max-age=30"], ["Cache-Control: unknown=1"],
    ["Cache-Control: only-if-cached"], ["Cookie: a=b"], ["Range: bytes=0-5"],
], ids=" ".join)
def test_record_is_good_enough(client, origin, fresh, lines):
    answer = client.get(origin.url(), *lines)
    assert (answer.status, answer.hit) == (204, True)
    assert len(origin.requests) == 1


def test_request_directives_go_upstream(client, origin):
    client.get(origin.url(), "Cache-Control: no-cache", "Pragma: no-cache")
    assert origin.last.fields.get("Cache-Control") == "no-cache"
    assert origin.last.fields.get("Pragma") == "no-cache"


def test_reload_replaces_the_record(client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60", "X-Generation: 1"),
              respond(204, "Cache-Control: max-age=60", "X-Generation: 2"))
    client.get(origin.url())
    assert client.get(origin.url(), "Cache-Control: no-cache")["X-Generation"] == "2"
    hit = client.get(origin.url())
    assert (hit.hit, hit["X-Generation"]) == (True, "2")


def test_reload_with_an_unstorable_204_keeps_the_old_record(client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60"), respond(204, "Cache-Control: no-store"))
    client.get(origin.url())
    client.get(origin.url(), "Cache-Control: no-cache")
    assert client.get(origin.url()).hit


def test_reload_with_another_status_removes_the_record(client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60"), respond(200, body=b"x"))
    client.get(origin.url())
    client.get(origin.url(), "Cache-Control: no-cache")
    assert client.get(origin.url()).fwd == "uri-miss"


def test_only_if_cached_without_a_record(client, origin):
    answer = client.get(origin.url(), "Cache-Control: only-if-cached")
    assert answer.status == 504
    assert "Cache-Status" in answer.fields
    assert answer.body
    assert not origin.heads and not origin.connections
    assert client.get(origin.url()).status == 204  # the client connection lives on


def test_only_if_cached_with_a_stale_record(client, origin):
    origin.on("/", respond(204, *STALE))
    client.get(origin.url())
    assert client.get(origin.url(), "Cache-Control: only-if-cached").status == 504
    assert client.get(origin.url(), "Cache-Control: only-if-cached, max-stale").status == 204
    assert len(origin.requests) == 1


@pytest.mark.parametrize("directive", ["max-stale", "max-stale=100"])
def test_max_stale_takes_a_stale_record(client, origin, directive):
    origin.on("/", respond(204, *STALE))
    client.get(origin.url())
    answer = client.get(origin.url(), f"Cache-Control: {directive}")
    assert (answer.status, answer.hit) == (204, True)
    assert answer.cache_status["ttl"] < 0
    assert len(origin.requests) == 1


def test_max_stale_has_a_limit(client, origin):
    origin.on("/", respond(204, *STALE), respond(304, *FRESH))
    client.get(origin.url())
    assert client.get(origin.url(), "Cache-Control: max-stale=10").fwd == "stale"
    assert len(origin.requests) == 2


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "s-maxage=60"])
def test_max_stale_is_forbidden(client, origin, directive):
    origin.on("/", respond(204, *STALE, f"Cache-Control: {directive}"), respond(304, *FRESH))
    client.get(origin.url())
    assert not client.get(origin.url(), "Cache-Control: max-stale").hit
    assert len(origin.requests) == 2


def test_min_fresh_that_cannot_be_read_asks_the_origin(client, origin, fresh):
    assert not client.get(origin.url(), "Cache-Control: min-fresh=abc").hit
