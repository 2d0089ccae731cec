"""Date: added when it is missing, kept as it came when it is there."""

import email.utils
import time

import pytest

from support.origin import http_date, respond
from support.requirement import requirement

FRESH = "Cache-Control: max-age=600"


def seconds(answer):
    assert len(answer.fields.all("Date")) == 1, answer
    return email.utils.parsedate_to_datetime(answer["Date"]).timestamp()


@requirement("RFC 9110 6.6.1 MUST")
@pytest.mark.parametrize("status", [200, 204, 301, 404, 503])
def test_it_is_added_to_what_is_passed_on(client, origin, status):
    origin.on("/", respond(status, date=False))
    before = int(time.time())
    assert before <= seconds(client.get(origin.url())) <= time.time()


@requirement("RFC 9110 6.6.1 MUST")
def test_it_is_added_to_what_is_stored_and_stays(client, origin):
    origin.on("/", respond(204, FRESH, date=False))
    first = client.get(origin.url())
    assert (first.stored, time.time() - seconds(first) < 5) == (True, True)
    for _ in range(2):
        hit = client.get(origin.url())
        assert (hit.hit, hit["Date"]) == (True, first["Date"])


@requirement("RFC 9111 4.2.3 MUST", "RFC 9111 4 MUST age")
@pytest.mark.parametrize("offset", [0, -30, +30])
def test_it_is_never_changed(client, origin, offset):
    date = http_date(offset)
    origin.on("/", [respond(204, FRESH, f"Date: {date}", date=False)])
    for _ in range(2):
        answer = client.get(origin.url())
        assert answer.fields.all("Date") == [date]
    assert max(0, -offset) <= answer.age <= max(0, -offset) + 5


@pytest.mark.parametrize("lines", [["Date: foo"], ["Date: 0"], ["Date:"], ["Date: {0}", "Date: {0}"]], ids=str)
def test_one_that_cannot_be_read_counts_as_the_time_of_receipt(client, origin, lines):
    lines = [line.replace("{0}", http_date(-1000)) for line in lines]
    origin.on("/", respond(204, FRESH, *lines, date=False))
    assert client.get(origin.url()).stored
    answer = client.get(origin.url())
    assert (answer.hit, answer.age < 5) == (True, True)
    assert time.time() - seconds(answer) < 5


@requirement("RFC 9110 6.6.1 MUST")
def test_a_304_without_it_brings_the_time_of_its_receipt(client, origin):
    origin.on("/", respond(204, FRESH, 'ETag: "a"', date=-1000), respond(304, FRESH, 'ETag: "a"', date=False))
    client.get(origin.url())
    answer = client.get(origin.url())
    assert (answer.status, answer.cache_status["fwd-status"]) == (204, 304)
    assert time.time() - seconds(answer) < 5
    hit = client.get(origin.url())
    assert (hit.hit, hit["Date"], hit.age < 5) == (True, answer["Date"], True)


def test_answers_made_here_have_it(client):
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert time.time() - seconds(client.response()) < 5
