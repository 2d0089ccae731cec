"""POST: its 204 is kept only with explicit freshness and a Content-Location that is the target URI."""

import pytest

from support.dates import dated
from support.origin import respond
from support.requirement import requirement


def post(client, origin, *lines, fields=(), path="/a?b"):
    origin.on(path, respond(204, *[dated(line).replace("{url}", origin.url(path)) for line in lines]))
    return client.ask("POST", origin.url(path), *fields, body=b"12345")


@requirement("RFC 9110 9.3.3 MAY", "RFC 9110 9.3.3 MUST")
@pytest.mark.parametrize("location", ["{url}", "/a?b", "a?b", "?b", "HTTP://{host}/a?b"])
@pytest.mark.parametrize("fresh", ["Cache-Control: max-age=60", "Expires: {+60}", "Cache-Control: s-maxage=60"])
def test_it_answers_later_get_and_head(client, origin, location, fresh):
    location = location.replace("{host}", origin.authority)
    assert post(client, origin, fresh, f"Content-Location: {location}", "X-A: b").stored
    for answer in (client.get(origin.url("/a?b")), client.head(origin.url("/a?b"))):
        assert (answer.status, answer.hit, answer["X-A"]) == (204, True, "b")
    assert len(origin.requests) == 1


@requirement("RFC 9110 9.3.3 MUST NOT", "RFC 9111 4 MUST write-through")
def test_it_never_answers_a_post(client, origin):
    post(client, origin, "Cache-Control: max-age=60", "Content-Location: {url}")
    assert client.get(origin.url("/a?b")).hit
    assert not post(client, origin, "Cache-Control: max-age=60", "Content-Location: {url}").hit
    assert [r.method for r in origin.requests] == ["POST", "POST"]


@requirement("RFC 9110 9.3.3 MUST")
@pytest.mark.parametrize("lines, detail", [
    (["Cache-Control: max-age=60"], "post-location"), (["Content-Location: {url}"], "post-location"),
    (["Content-Location: {url}", 'ETag: "a"'], "post-location"),
    (["Content-Location: {url}", "Last-Modified: {-100000}"], "post-location"),
    (["Cache-Control: max-age=60", "Content-Location: /other"], "post-location"),
    (["Cache-Control: max-age=60", "Content-Location: /a"], "post-location"),
    (["Cache-Control: max-age=60", "Content-Location: http://example.com/a?b"], "post-location"),
    (["Cache-Control: max-age=60", "Content-Location: {url}", "Content-Location: {url}"], "post-location"),
    (["Cache-Control: no-store, max-age=60", "Content-Location: {url}"], "no-store"),
    (["Cache-Control: private, max-age=60", "Content-Location: {url}"], "private"),
], ids=str)
def test_otherwise_it_is_not_kept(client, origin, lines, detail):
    answer = post(client, origin, *lines)
    assert (answer.stored, answer.cache_status["detail"]) == (False, detail)
    assert not client.get(origin.url("/a?b")).hit


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@requirement("RFC 9110 9.3.4 MUST NOT", "RFC 9110 9.3.5 MUST NOT")
def test_other_unsafe_methods_never(client, origin, method):
    origin.on("/", respond(204, "Cache-Control: max-age=60", f"Content-Location: {origin.url()}"))
    assert not client.ask(method, origin.url(), body=b"x").stored
    assert not client.get(origin.url()).hit


@requirement("RFC 9111 4.4 MUST")
def test_it_takes_the_place_of_what_was_stored(client, origin):
    origin.on("/a?b", respond(204, "Cache-Control: max-age=60", "X-A: get"))
    client.get(origin.url("/a?b"))
    post(client, origin, "Cache-Control: max-age=60", "Content-Location: {url}", "X-A: post")
    assert client.get(origin.url("/a?b"))["X-A"] == "post"


@requirement("RFC 9111 3.5 MUST NOT")
def test_authorization_bars_it(client, origin):
    lines = ["Cache-Control: max-age=60", "Content-Location: {url}"]
    assert not post(client, origin, *lines, fields=["Authorization: Basic QTpC"]).stored


def test_vary_counts(client, origin):
    post(client, origin, "Cache-Control: max-age=60", "Content-Location: {url}", "Vary: X-A", fields=["X-A: 1"])
    assert client.get(origin.url("/a?b"), "X-A: 1").hit
    assert client.get(origin.url("/a?b"), "X-A: 2").fwd == "vary-miss"
