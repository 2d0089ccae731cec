"""A HEAD that goes to the origin brings news of what is stored for GET (RFC 9111 4.3.5)."""

import pytest

from support.dates import dated
from support.origin import respond
from support.requirement import requirement

STALE = ["Cache-Control: max-age=60", "Age: 100"]
FRESH = "Cache-Control: max-age=600"


def store(client, origin, *lines):
    origin.on("/", respond(204, *STALE, "X-Kept: yes", "X-New: 1", *map(dated, lines)))
    assert client.get(origin.url()).stored


@requirement("RFC 9111 4.3.5 SHOULD update")
@pytest.mark.parametrize("stored, told", [
    ([], []), (['ETag: "a"'], ['ETag: "a"']), (['ETag: "a"'], []), (["Last-Modified: {-5000}"], ["Last-Modified: {-5000}"]),
    (['ETag: "a"', "Last-Modified: {-5000}"], ['ETag: "a"'])], ids=str)
def test_it_updates_the_record(client, origin, stored, told):
    stored = [dated(line) for line in stored]
    told = [line if line in stored else dated(line) for line in told]
    store(client, origin, *stored)
    origin.on("/", respond(204, FRESH, "X-New: 2", *[s for s in stored for t in told if s.split(":")[0] == t.split(":")[0]]))
    answer = client.head(origin.url())
    assert (answer.status, answer.fwd, answer["X-New"], answer.stored) == (204, "stale", "2", True)
    assert origin.last.method == "HEAD"
    hit = client.get(origin.url())
    assert (hit.hit, hit["X-Kept"], hit["X-New"], hit["Cache-Control"]) == (True, "yes", "2", "max-age=600")
    assert len(origin.requests) == 2


@requirement("RFC 9111 4.3.5 SHOULD stale")
@pytest.mark.parametrize("stored, told", [
    (['ETag: "a"'], ['ETag: "b"']), ([], ['ETag: "b"']), (["Last-Modified: {-5000}"], ["Last-Modified: {-50}"]),
    (['ETag: "a"', "Last-Modified: {-5000}"], ['ETag: "a"', "Last-Modified: {-50}"])], ids=str)
def test_another_validator_shows_that_the_record_is_outdated(client, origin, stored, told):
    store(client, origin, *stored)
    origin.on("/", respond(204, FRESH, *map(dated, told)), respond(204, FRESH, "X-New: 3"))
    client.head(origin.url())
    answer = client.get(origin.url())
    assert (answer.hit, answer["X-New"]) == (False, "3")
    assert "If-None-Match" not in origin.last.fields


@requirement("RFC 9111 4.3.5 SHOULD update")
def test_at_the_clients_wish_while_it_is_fresh(client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60", 'ETag: "a"', "X-New: 1"),
              respond(204, "Cache-Control: max-age=60", 'ETag: "a"', "X-New: 2"))
    client.get(origin.url())
    client.head(origin.url(), "Cache-Control: no-cache")
    answer = client.get(origin.url())
    assert (answer.hit, answer["X-New"]) == (True, "2")


def test_304_freshens_the_record(client, origin):
    store(client, origin, 'ETag: "a"')
    origin.on("/", respond(304, FRESH, 'ETag: "a"', "X-New: 2"))
    assert client.head(origin.url()).status == 204
    answer = client.get(origin.url())
    assert (answer.hit, answer["X-Kept"], answer["X-New"]) == (True, "yes", "2")


@pytest.mark.parametrize("line", ["Cache-Control: no-store", "Cache-Control: private"])
def test_what_may_not_be_stored_any_more_goes(client, origin, line):
    store(client, origin)
    origin.on("/", respond(204, line), respond(204, FRESH))
    assert not client.head(origin.url()).stored
    assert client.get(origin.url()).fwd == "uri-miss"


@pytest.mark.parametrize("status", [200, 404, 410])
def test_another_status_makes_an_end_of_it(client, origin, status):
    store(client, origin)
    origin.on("/", respond(status), respond(204, FRESH))
    assert client.head(origin.url()).status == status
    assert client.get(origin.url()).fwd == "uri-miss"


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_leaves_it(client, origin, status):
    store(client, origin, 'ETag: "a"')
    origin.on("/", respond(status), respond(304, FRESH, 'ETag: "a"'))
    assert client.head(origin.url()).status == status
    assert client.get(origin.url()).cache_status["fwd-status"] == 304


def test_without_a_record_of_a_get_it_makes_one_of_a_head(client, origin):
    origin.on("/", respond(204, FRESH))
    assert client.head(origin.url()).stored
    assert client.head(origin.url()).hit
    assert client.get(origin.url()).fwd == "uri-miss"
