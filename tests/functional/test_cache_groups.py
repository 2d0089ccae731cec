"""Cache-Groups and Cache-Group-Invalidation (RFC 9875)."""

import pytest

from support.origin import respond
from support.requirement import requirement

FRESH = "Cache-Control: max-age=60"


def store(client, origin, path, *lines):
    origin.on(path, respond(204, FRESH, *lines))
    assert client.get(origin.url(path)).stored


def hit(client, origin, path):
    """Whether it is stored still; asking makes it so again."""
    return client.get(origin.url(path)).hit


def invalidate(client, origin, *lines, status=204, method="POST", path="/do"):
    origin.on(path, respond(status, *lines))
    return client.ask(method, origin.url(path), body=b"x" if method == "POST" else None)


@requirement("RFC 9875 3 MAY", "RFC 9875 2.1 DEF")
def test_members_of_the_group_go_and_others_stay(client, origin):
    store(client, origin, "/in", 'Cache-Groups: "a"')
    store(client, origin, "/two", 'Cache-Groups: "b", "a"')
    store(client, origin, "/out", 'Cache-Groups: "b"')
    store(client, origin, "/none")
    invalidate(client, origin, 'Cache-Group-Invalidation: "a"')
    assert not hit(client, origin, "/in")
    assert not hit(client, origin, "/two")
    assert hit(client, origin, "/out")
    assert hit(client, origin, "/none")


@requirement("RFC 9875 2.1 DEF")
@pytest.mark.parametrize("group, named, same", [
    ('"a"', '"A"', False), ('"a"', '"a "', False), ('"a"', '"ab"', False), ('"ab"', '"a"', False),
    ('"a"', '"a";x=1', True), ('"a";revalidate', '"a"', True), ('"a,b"', '"a"', False), ('"a,b"', '"a,b"', True),
    ('"a\\"b"', '"a\\"b"', True), ('""', '""', True),
])
def test_names_are_compared_character_by_character(client, origin, group, named, same):
    store(client, origin, "/x", f"Cache-Groups: {group}")
    invalidate(client, origin, f"Cache-Group-Invalidation: {named}")
    assert hit(client, origin, "/x") is not same


@requirement("RFC 9875 2.1 DEF")
def test_groups_of_another_origin_stay(client, origin, start_origin):
    other = start_origin()
    store(client, other, "/x", 'Cache-Groups: "a"')
    invalidate(client, origin, 'Cache-Group-Invalidation: "a"')
    assert hit(client, other, "/x")


@requirement("RFC 9875 3 MUST")
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_answers_to_safe_requests_invalidate_nothing(client, origin, method):
    store(client, origin, "/x", 'Cache-Groups: "a"')
    invalidate(client, origin, 'Cache-Group-Invalidation: "a"', method=method)
    assert hit(client, origin, "/x")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "M-SEARCH", "PROPPATCH"])
def test_answers_to_any_unsafe_request_do(client, origin, method):
    store(client, origin, "/x", 'Cache-Groups: "a"')
    invalidate(client, origin, 'Cache-Group-Invalidation: "a"', method=method)
    assert not hit(client, origin, "/x")


@pytest.mark.parametrize("status", [400, 404, 500])
def test_errors_invalidate_nothing(client, origin, status):
    store(client, origin, "/x", 'Cache-Groups: "a"')
    invalidate(client, origin, 'Cache-Group-Invalidation: "a"', status=status)
    assert hit(client, origin, "/x")


@requirement("RFC 9875 2.2.1 DEF")
def test_it_does_not_cascade(client, origin):
    """What shares another group with what went stays."""
    store(client, origin, "/x", 'Cache-Groups: "a", "b"')
    store(client, origin, "/y", 'Cache-Groups: "b"')
    invalidate(client, origin, 'Cache-Group-Invalidation: "a"')
    assert not hit(client, origin, "/x")
    assert hit(client, origin, "/y")


def test_the_groups_of_the_target_are_not_invalidated_with_it(client, origin):
    store(client, origin, "/x", 'Cache-Groups: "a"')
    store(client, origin, "/y", 'Cache-Groups: "a"')
    origin.on("/x", respond(204))
    client.ask("DELETE", origin.url("/x"))
    assert hit(client, origin, "/y")


@pytest.mark.parametrize("lines", [['Cache-Groups: "a"', 'Cache-Groups: "b"'], ['cache-groups: "x","b" ,\t"a"']],
                         ids=["two lines", "one line"])
@pytest.mark.parametrize("named", [['Cache-Group-Invalidation: "b"'], ['Cache-Group-Invalidation: "z"',
                                                                       'CACHE-GROUP-INVALIDATION: "b"']],
                         ids=["one", "two lines"])
def test_lists_may_stand_on_several_lines(client, origin, lines, named):
    store(client, origin, "/x", *lines)
    invalidate(client, origin, *named)
    assert not hit(client, origin, "/x")


@pytest.mark.parametrize("groups", ["a", '"a', "'a'", '"a" "b"', '"a", b', '("a" "b")', '"a",', ""])
def test_what_is_no_list_of_strings_is_ignored(client, origin, groups):
    store(client, origin, "/x", f"Cache-Groups: {groups}")
    store(client, origin, "/y", 'Cache-Groups: "a"')
    invalidate(client, origin, 'Cache-Group-Invalidation: "a"')
    assert hit(client, origin, "/x")
    assert not hit(client, origin, "/y")
    invalidate(client, origin, f"Cache-Group-Invalidation: {groups}")
    assert hit(client, origin, "/y")


@requirement("RFC 9875 2 MUST")
def test_many_groups_with_long_names(client, origin):
    names = [f"{n:02d}" + "x" * 30 for n in range(32)]
    store(client, origin, "/x", "Cache-Groups: " + ", ".join(f'"{name}"' for name in names))
    for name in (names[0], names[31]):
        invalidate(client, origin, f'Cache-Group-Invalidation: "{name}"')
        assert not hit(client, origin, "/x")


def test_all_variants_of_a_uri_go(client, origin):
    origin.on("/x", respond(204, FRESH, "Vary: X-A", 'Cache-Groups: "a"'), respond(204, FRESH, "Vary: X-A"))
    client.get(origin.url("/x"), "X-A: 1")
    client.get(origin.url("/x"), "X-A: 2")
    invalidate(client, origin, 'Cache-Group-Invalidation: "a"')
    assert not client.get(origin.url("/x"), "X-A: 1").hit


def test_a_freshened_record_is_in_the_groups_of_the_304(client, origin):
    origin.on("/x", respond(204, FRESH, "Age: 100", 'ETag: "e"', 'Cache-Groups: "old"'),
              respond(304, FRESH, 'ETag: "e"', 'Cache-Groups: "new"'))
    client.get(origin.url("/x"))
    client.get(origin.url("/x"))
    invalidate(client, origin, 'Cache-Group-Invalidation: "old"')
    assert hit(client, origin, "/x")
    invalidate(client, origin, 'Cache-Group-Invalidation: "new"')
    assert not hit(client, origin, "/x")


def test_groups_survive_a_restart(start_proxy, origin):
    proxy = start_proxy()
    with proxy.connect() as client:
        store(client, origin, "/x", 'Cache-Groups: "a"')
        store(client, origin, "/y")
    proxy.restart()
    with proxy.connect() as client:
        assert hit(client, origin, "/x")
        invalidate(client, origin, 'Cache-Group-Invalidation: "a"')
        assert not hit(client, origin, "/x")
        assert hit(client, origin, "/y")


def test_both_fields_are_passed_on(client, origin):
    origin.on("/x", respond(204, FRESH, 'Cache-Groups: "a"', 'Cache-Group-Invalidation: "b"'))
    for _ in range(2):
        answer = client.get(origin.url("/x"))
        assert (answer["Cache-Groups"], answer["Cache-Group-Invalidation"]) == ('"a"', '"b"')
