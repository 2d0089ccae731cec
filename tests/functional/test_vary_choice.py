"""Which of several stored responses answers, and what counts as the same selecting field."""

import pytest

from support.dates import dated
from support.origin import respond
from support.proxy import Proxy
from support.requirement import requirement

FRESH = "Cache-Control: max-age=600"


@pytest.fixture(scope="module")
def choosing(worker_count, tmp_path_factory):
    proxy = Proxy(tmp_path_factory.mktemp("proxy"), "language_select=on")
    yield proxy
    proxy.stop()
    proxy.remove()


@pytest.fixture
def by_language(choosing):
    with choosing.connect() as client:
        yield client


def store(client, origin, lines, *fields):
    origin.on("/", respond(204, FRESH, *map(dated, lines), date=not any(line.startswith("Date") for line in lines)))
    assert client.get(origin.url(), "Cache-Control: no-cache", *fields).stored


def test_the_most_recent_vary_says_what_selects(client, origin):
    """An older response was made for one who was not asked what matters now."""
    store(client, origin, ["Vary: X-A", "X-N: 1", "Date: {-20}"], "X-A: 1")
    store(client, origin, ["Vary: X-A, X-B", "X-N: 2", "Date: {-10}"], "X-A: 2", "X-B: 1")
    assert client.get(origin.url(), "X-A: 2", "X-B: 1")["X-N"] == "2"
    assert not client.get(origin.url(), "X-A: 1", "X-B: 1").hit


def test_so_does_one_where_there_was_none(client, origin):
    store(client, origin, ["X-N: 1", "Date: {-20}"])
    store(client, origin, ["Vary: X-A", "X-N: 2", "Date: {-10}"], "X-A: 2")
    assert client.get(origin.url(), "X-A: 2")["X-N"] == "2"
    assert not client.get(origin.url(), "X-A: 1").hit


def test_an_older_vary_that_asked_for_more_still_holds(client, origin):
    store(client, origin, ["Vary: X-A, X-B", "X-N: 1", "Date: {-20}"], "X-A: 1", "X-B: 1")
    store(client, origin, ["Vary: X-A", "X-N: 2", "Date: {-10}"], "X-A: 2")
    assert client.get(origin.url(), "X-A: 1", "X-B: 1")["X-N"] == "1"
    assert client.get(origin.url(), "X-A: 2", "X-B: 9")["X-N"] == "2"


@requirement("RFC 9111 4.1 SHOULD vary")
def test_one_that_varies_goes_before_a_later_one_that_does_not(client, origin):
    """A default response without Vary, sent by mistake, does not hide the variants."""
    store(client, origin, ["Vary: X-A", "X-N: variant", "Date: {-20}"], "X-A: 1")
    store(client, origin, ["X-N: default", "Date: {-10}"])
    assert client.get(origin.url(), "X-A: 1")["X-N"] == "variant"
    assert client.get(origin.url())["X-N"] == "default"


@requirement("RFC 9111 4 MUST recent")
def test_of_several_the_latest_date_wins(client, origin):
    store(client, origin, ["Vary: X-A", "X-N: new", "Date: {-10}"], "X-A: 1", "X-B: 1")
    store(client, origin, ["Vary: X-A, X-B", "X-N: old", "Date: {-20}"], "X-A: 1", "X-B: 1")
    assert client.get(origin.url(), "X-A: 1", "X-B: 1")["X-N"] == "new"


@requirement("RFC 9111 4.1 MAY normalise")
@pytest.mark.parametrize("value", ["de, en", "EN, De", " en ,de", "en;q=1.0, de;q=1", "de;Q=1,en", "en,, de",
                                   "en\r\nAccept-Language: de"])
def test_spellings_of_accept_language(client, origin, value):
    store(client, origin, ["Vary: Accept-Language"], "Accept-Language: en, de")
    assert client.get(origin.url(), f"Accept-Language: {value}").hit


@requirement("RFC 9111 4.1 MUST NOT")
@pytest.mark.parametrize("value", ["en", "en, de, fr", "en, de;q=0.9", "en-GB, de", "*", "", "en; de", "en,de;x=1"])
def test_what_is_another_wish(client, origin, value):
    store(client, origin, ["Vary: Accept-Language"], "Accept-Language: en, de")
    assert client.get(origin.url(), f"Accept-Language: {value}").fwd == "vary-miss"


@pytest.mark.parametrize("value, hit", [
    ("de", True), ("DE", True), ("fr;q=0.5, de;q=1.0", True), ("de, en;q=0.9, *;q=0.1", True), ("de, fr", False),
    ("fr, de;q=0.9", False), ("de-AT", False), ("de;q=0", False), ("de, *", False), ("de;q=0.5, *;q=0.4", True)])
def test_language_that_is_wanted_most(by_language, origin, value, hit):
    store(by_language, origin, ["Vary: Accept-Language", "Content-Language: de"], "Accept-Language: en, de")
    answer = by_language.get(origin.url(), f"Accept-Language: {value}")
    assert answer.hit is hit


def test_it_gives_way_to_what_was_stored_for_the_same_wish(by_language, origin):
    store(by_language, origin, ["Vary: Accept-Language", "Content-Language: fr", "X-N: asked", "Date: {-20}"], "Accept-Language: de")
    store(by_language, origin, ["Vary: Accept-Language", "Content-Language: de", "X-N: language", "Date: {-10}"],
          "Accept-Language: en, de")
    assert by_language.get(origin.url(), "Accept-Language: de")["X-N"] == "asked"


@pytest.mark.parametrize("lines", [["Content-Language: de, en"], ["Content-Language: de", "Content-Language: en"],
                                   ["Content-Language: *"], ["Content-Language:"]], ids=str)
def test_a_response_in_several_languages_or_none_is_not_chosen_by_it(by_language, origin, lines):
    store(by_language, origin, ["Vary: Accept-Language", *lines], "Accept-Language: en, de")
    assert not by_language.get(origin.url(), "Accept-Language: de").hit


def test_other_fields_still_count(by_language, origin):
    store(by_language, origin, ["Vary: Accept-Language, X-A", "Content-Language: de"], "Accept-Language: en, de", "X-A: 1")
    assert not by_language.get(origin.url(), "Accept-Language: de", "X-A: 2").hit
    origin.requests.clear()
    assert by_language.get(origin.url(), "Accept-Language: de;q=1", "X-A: 1").hit


@requirement("RFC 9111 4.1 MUST NOT")
def test_without_the_option_the_letter_of_the_rfc_holds(client, origin):
    store(client, origin, ["Vary: Accept-Language", "Content-Language: de"], "Accept-Language: en, de")
    assert not client.get(origin.url(), "Accept-Language: de").hit
    assert client.get(origin.url(), "Accept-Language: de, en").hit
