"""A 204 that announces or has content: repaired, not stored, its connection closed, counted per origin."""

import pytest

from support.origin import chunked, respond
from support.requirement import requirement
from support.until import until

FRESH = "Cache-Control: max-age=60"
BROKEN = {
    "length": [respond(204, FRESH, "Content-Length: 5")],
    "length and content": [respond(204, FRESH, "Content-Length: 5") + b"hello"],
    "chunked": [respond(204, FRESH, "Transfer-Encoding: chunked") + chunked(b"hello")],
    "chunked, nothing there": [respond(204, FRESH, "Transfer-Encoding: chunked")],
    "other coding": [respond(204, FRESH, "Transfer-Encoding: gzip")],
    "content alone": [respond(204, FRESH) + b"hello"],
    "another response": [respond(204, FRESH) + respond(200, body=b"poison")],
}


@requirement("RFC 9110 8.6 MUST NOT", "RFC 9112 6.1 MUST NOT", "RFC 9112 6.3 DEF", "RFC 9110 15.3.5 DEF")
@pytest.mark.parametrize("steps", BROKEN.values(), ids=BROKEN)
def test_it_is_repaired_and_not_stored(client, origin, steps):
    origin.on("/", steps)
    for n in (1, 2):
        answer = client.get(origin.url())
        assert (answer.status, answer.stored, answer.fwd) == (204, False, "uri-miss")
        assert answer.cache_status["detail"] == "framing"
        assert "Content-Length" not in answer.fields and "Transfer-Encoding" not in answer.fields
        assert len(origin.requests) == n
    origin.wait_all_closed()
    assert len(origin.connections) == 2
    assert client.get(origin.url("/next")).status == 204


@requirement("RFC 9112 9.2 MUST NOT")
@pytest.mark.parametrize("steps", BROKEN.values(), ids=BROKEN)
def test_nothing_of_its_content_reaches_anybody(client, connect, origin, steps):
    origin.on("/", steps)
    two = connect()
    client.request("GET", origin.url())
    client.request("GET", origin.url("/next"))
    two.request("GET", origin.url("/next"))
    answers = [client.response(), client.response(), two.response()]
    assert [a.status for a in answers] == [204] * 3
    assert all(b"hello" not in c.stream.raw and b"poison" not in c.stream.raw for c in (client, two))
    assert client.is_open() and two.is_open()


def test_length_0_is_merely_dropped(client, origin):
    origin.on("/", respond(204, FRESH, "Content-Length: 0"))
    assert client.get(origin.url()).stored
    assert client.get(origin.url()).hit
    client.get(origin.url("/next"))
    assert len(origin.connections) == 1


def test_it_takes_no_stored_204_along(client, origin):
    """After a reload at the client's wish the older one may still answer; when it was stale it goes."""
    origin.on("/", respond(204, FRESH, "X-A: good"), *BROKEN["length"])
    client.get(origin.url())
    assert client.get(origin.url(), "Cache-Control: no-cache").cache_status["detail"] == "framing"
    assert client.get(origin.url())["X-A"] == "good"


def test_origins_that_do_it_are_counted(start_proxy, start_origin):
    proxy = start_proxy()
    one, two, good = start_origin(), start_origin(), start_origin()
    assert proxy.stats()["framing_repaired_by_origin"] == {}
    one.default, two.default = respond(204, "Content-Length: 1"), respond(204) + b"x"
    with proxy.connect() as client:
        for origin in (one, two, good, one, one):
            client.get(origin.url())
    assert proxy.stats()["framing_repaired_by_origin"] == {one.authority: 3, two.authority: 1}
    assert proxy.stats()["counters"]["framing_repaired"] == 4
    metrics = proxy.admin("/metrics").body.decode()
    assert f'cache204_responses_repaired_by_origin{{origin="{one.authority}"}} 3\n' in metrics


def test_the_table_of_them_is_bounded(start_proxy, start_origin):
    """All names of one origin, told apart by the case-insensitive host and by the port."""
    proxy = start_proxy()
    origins = [start_origin() for _ in range(70)]
    with proxy.connect() as client:
        for origin in origins:
            origin.default = respond(204, "Content-Length: 1")
            client.get(origin.url())
            if origin is origins[0]:
                client.get(origin.url())
    table = until(lambda: proxy.stats()["framing_repaired_by_origin"], "a table")
    assert len(table) == 64
    assert table[origins[0].authority] == 2  # the frequent stay, and the recent
    assert origins[-1].authority in table and origins[1].authority not in table
