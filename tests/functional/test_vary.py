"""Variants of one URI, told apart by the fields that Vary names."""

import pytest

from support.origin import respond

FRESH = "Cache-Control: max-age=60"


@pytest.fixture(autouse=True)
def vary_on_x(origin):
    origin.default = respond(204, FRESH, "Vary: X")


def test_variants_side_by_side(client, origin):
    client.get(origin.url(), "X: 1")
    miss = client.get(origin.url(), "X: 2")
    assert (miss.hit, miss.fwd, miss.stored) == (False, "vary-miss", True)
    assert client.get(origin.url(), "X: 1").hit
    assert client.get(origin.url(), "X: 2").hit
    assert len(origin.requests) == 2


def test_absent_matches_absent_only(client, origin):
    client.get(origin.url())
    assert client.get(origin.url()).hit
    assert client.get(origin.url(), "X: 1").fwd == "vary-miss"
    assert client.get(origin.url(), "X:").fwd == "vary-miss"


@pytest.mark.parametrize("first, second", [
    (["X: a, b"], ["X: a,b"]), (["X: a", "X: b"], ["X: a, b"]), (["X:   a"], ["x: a"])])
def test_values_that_mean_the_same(client, origin, first, second):
    client.get(origin.url(), *first)
    assert client.get(origin.url(), *second).hit


@pytest.mark.parametrize("first, second", [
    (["X: a, b"], ["X: b, a"]), (["X: a"], ["X: A"]), (["X: a b"], ["X: ab"])])
def test_values_that_differ(client, origin, first, second):
    client.get(origin.url(), *first)
    assert not client.get(origin.url(), *second).hit


def test_several_fields_on_several_lines(client, origin):
    origin.default = respond(204, FRESH, "Vary: X, y", "Vary: Z")
    client.get(origin.url(), "X: 1", "Y: 2", "Z: 3")
    assert client.get(origin.url(), "z: 3", "y: 2", "x: 1").hit
    for fields in (["X: 1", "Y: 2"], ["X: 1", "Y: 2", "Z: 4"], ["X: 1", "Y: 9", "Z: 3"]):
        assert not client.get(origin.url(), *fields).hit


def test_conditional_hit_on_a_variant(client, origin):
    origin.on("/", respond(204, FRESH, "Vary: X", 'ETag: "one"'),
              respond(204, FRESH, "Vary: X", 'ETag: "two"'))
    client.get(origin.url(), "X: 1")
    client.get(origin.url(), "X: 2")
    assert client.get(origin.url(), "X: 1", 'If-None-Match: "one"').status == 304
    assert client.get(origin.url(), "X: 2", 'If-None-Match: "one"').status == 204
    assert len(origin.requests) == 2


def test_invalidation_takes_all_variants(client, origin):
    for x in "12":
        client.get(origin.url(), f"X: {x}")
    client.ask("DELETE", origin.url())
    for x in "12":
        assert not client.get(origin.url(), f"X: {x}").hit


def test_variants_are_bounded(client, origin):
    for x in range(100):
        assert client.get(origin.url(), f"X: {x}").status == 204
    assert client.get(origin.url(), "X: 99").hit
    assert not client.get(origin.url(), "X: 0").hit


def test_validation_sends_the_fields_of_the_request(client, origin):
    origin.default = respond(204, FRESH, "Age: 100", "Vary: X", 'ETag: "a"')
    client.get(origin.url(), "X: 1")
    assert client.get(origin.url(), "X: 1").fwd == "stale"
    assert origin.last.fields.get("X") == "1"
    assert origin.last.fields.get("If-None-Match") == '"a"'


def test_more_than_sixteen_names_are_like_a_star(client, origin):
    names = [f"X-{i}" for i in range(17)]
    origin.default = respond(204, FRESH, "Vary: " + ", ".join(names[:16]))
    client.get(origin.url("/16"), "X-3: 1")
    assert client.get(origin.url("/16"), "X-3: 1").hit
    assert not client.get(origin.url("/16"), "X-3: 2").hit
    origin.default = respond(204, FRESH, "Vary: " + ", ".join(names))
    client.get(origin.url("/17"), "X-3: 1")
    assert client.get(origin.url("/17"), "X-3: 1").cache_status["detail"] == "vary-star"
