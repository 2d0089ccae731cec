"""GET records serve HEAD; HEAD records serve HEAD only."""

from support.origin import respond

FRESH = "Cache-Control: max-age=60"


def test_head_from_a_get_record(client, origin):
    origin.default = respond(204, FRESH, "X-A: 1")
    client.get(origin.url())
    answer = client.head(origin.url())
    assert (answer.status, answer.hit, answer["X-A"]) == (204, True, "1")
    assert len(origin.requests) == 1


def test_get_is_not_served_from_a_head_record(client, origin):
    origin.default = respond(204, FRESH)
    assert client.head(origin.url()).stored
    assert client.head(origin.url()).hit
    assert not client.get(origin.url()).hit
    assert [r.method for r in origin.requests] == ["HEAD", "GET"]


def test_head_of_a_200_leaves_nothing(client, origin):
    origin.default = respond(200, FRESH)
    assert not client.head(origin.url()).stored
    assert not client.head(origin.url()).hit


def test_delete_invalidates_a_head_record(client, origin):
    origin.default = respond(204, FRESH)
    client.head(origin.url())
    client.ask("DELETE", origin.url())
    assert not client.head(origin.url()).hit
