"""Targeted fields (RFC 9213): those on the operator's list stand in the place of Cache-Control and Expires."""

import pytest

from support.dates import dated
from support.origin import respond
from support.requirement import requirement


@pytest.fixture(scope="module")
def targeted(worker_count, tmp_path_factory):
    """A proxy with a list of two."""
    from support.proxy import Proxy
    proxy = Proxy(tmp_path_factory.mktemp("proxy"), "targeted_cache_control=Own-Cache-Control,CDN-Cache-Control")
    yield proxy
    proxy.stop()
    proxy.remove()


@pytest.fixture
def ask(targeted, origin):
    """What becomes of a response with these lines at the second request: "fresh", "stale" or "not stored"."""
    client = targeted.connect()

    def ask(*lines, status=204):
        origin.on("/", respond(status, *map(dated, lines)))
        stored = client.get(origin.url()).stored
        answer = client.get(origin.url())
        return "fresh" if answer.hit else "stale" if stored else "not stored"

    yield ask
    client.close()


@requirement("RFC 9213 2.2 MUST")
@pytest.mark.parametrize("lines, outcome", [
    (["CDN-Cache-Control: max-age=60"], "fresh"),
    (["CDN-Cache-Control: max-age=60", "Cache-Control: max-age=0"], "fresh"),
    (["CDN-Cache-Control: max-age=0", "Cache-Control: max-age=60"], "stale"),
    (["Cache-Control: max-age=60", "CDN-Cache-Control: max-age=0"], "stale"),
    (["CDN-Cache-Control: max-age=60", "Cache-Control: no-store"], "fresh"),
    (["CDN-Cache-Control: max-age=60", "Cache-Control: private"], "fresh"),
    (["CDN-Cache-Control: no-store", "Cache-Control: max-age=60"], "not stored"),
    (["CDN-Cache-Control: private", "Cache-Control: max-age=60"], "not stored"),
    (["CDN-Cache-Control: no-cache, max-age=60"], "stale"),
    (["CDN-Cache-Control: max-age=60", "Expires: {-60}"], "fresh"),
    (["CDN-Cache-Control: max-age=60", "Expires: 0"], "fresh"),
    (["CDN-Cache-Control: max-age=0", "Expires: {+60}"], "stale"),
    (["CDN-Cache-Control: foobar", "Expires: {+60}"], "not stored"),
    (["CDN-Cache-Control: foobar, max-age=60"], "fresh"),
    (["CDN-Cache-Control: max-age=60", "Age: 100"], "stale"),
    (["CDN-Cache-Control: max-age=2147483648"], "fresh"),
    (["CDN-Cache-Control: max-age=99999999999"], "fresh"),
    (["CDN-Cache-Control: max-age=60;x=y"], "fresh"),
    (["CDN-Cache-Control: max-age=0", "CDN-Cache-Control: max-age=60"], "fresh"),  # a dictionary: the last
], ids=str)
def test_the_field_decides(ask, lines, outcome):
    assert ask(*lines) == outcome


@requirement("RFC 9213 2.2 MUST")
@pytest.mark.parametrize("lines, outcome", [
    (["Own-Cache-Control: max-age=60", "CDN-Cache-Control: no-store"], "fresh"),
    (["CDN-Cache-Control: no-store", "Own-Cache-Control: max-age=60"], "fresh"),
    (["Own-Cache-Control: no-store", "CDN-Cache-Control: max-age=60"], "not stored"),
    (["Own-Cache-Control: &", "CDN-Cache-Control: max-age=60"], "fresh"),
    (["Own-Cache-Control:", "CDN-Cache-Control: no-store", "Cache-Control: max-age=60"], "not stored"),
], ids=str)
def test_first_of_the_list_decides(ask, lines, outcome):
    assert ask(*lines) == outcome


@requirement("RFC 9213 2.1 MUST")
@pytest.mark.parametrize("value", ["", "&&&", "max-age=60, &", "max-age =60", "max-age= 60", "MaX-aGe=60", 'max-age="60',
                                   "max-age=60 no-store", "60=max-age", "max-age=1.2.3"])
def test_what_is_no_dictionary_is_ignored(ask, value):
    assert ask(f"CDN-Cache-Control: {value}", "Cache-Control: no-store") == "not stored"
    assert ask(f"CDN-Cache-Control: {value}", "Cache-Control: max-age=60") == "fresh"


@requirement("RFC 9213 2.1 SHOULD NOT")
@pytest.mark.parametrize("value", ['"60"', "60.0", "?1", "sixty", "-1", "(60)"])
def test_a_number_of_another_type_is_ignored(ask, value):
    assert ask(f"CDN-Cache-Control: max-age={value}") != "fresh"


@requirement("RFC 9213 2.2 MUST NOT", "RFC 9213 2.4 MUST NOT")
@pytest.mark.parametrize("lines, outcome", [
    (["Surrogate-Control: max-age=60"], "not stored"), (["Other-Cache-Control: max-age=60"], "not stored"),
    (["Other-Cache-Control: no-store", "Cache-Control: max-age=60"], "fresh")], ids=str)
def test_fields_not_on_the_list_decide_nothing(ask, lines, outcome):
    assert ask(*lines) == outcome


@requirement("RFC 9213 2.2 MUST NOT")
def test_without_a_list_none_decides(client, origin):
    origin.on("/", respond(204, "CDN-Cache-Control: max-age=60"))
    assert not client.get(origin.url()).stored
    origin.on("/", respond(204, "CDN-Cache-Control: no-store", "Cache-Control: max-age=60"))
    assert client.get(origin.url()).stored


@requirement("RFC 9213 2.2 MUST NOT")
def test_they_are_passed_on_unchanged(targeted, origin):
    lines = {"CDN-Cache-Control": "max-age=60 , FOO;a=b", "Own-Cache-Control": "max-age=60", "Other-Cache-Control": "x"}
    origin.on("/", respond(204, *[f"{name}: {value}" for name, value in lines.items()]))
    with targeted.connect() as client:
        for _ in range(2):
            answer = client.get(origin.url())
            assert {name: answer[name] for name in lines} == lines
        assert answer.hit
        assert answer.age < 60 and answer["Date"] is not None


def test_authorization_is_judged_by_the_field_too(targeted, origin):
    origin.on("/", respond(204, "CDN-Cache-Control: max-age=60", "Cache-Control: public"),
              respond(204, "CDN-Cache-Control: max-age=60, public", "Cache-Control: private"))
    with targeted.connect() as client:
        assert not client.get(origin.url(), "Authorization: Basic QTpC").stored
        assert client.get(origin.url(), "Authorization: Basic QTpC").stored
        assert client.get(origin.url()).hit


def test_stale_answers_are_judged_by_the_field_too(targeted, origin):
    origin.on("/", respond(204, "CDN-Cache-Control: max-age=60, stale-if-error=600", "Age: 100",
                           "Cache-Control: must-revalidate"), respond(503))
    with targeted.connect() as client:
        client.get(origin.url())
        assert client.get(origin.url()).status == 204
