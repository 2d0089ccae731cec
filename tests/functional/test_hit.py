"""A fresh 204 from the store answers without the origin."""

import pytest

from support.origin import CLOSE, chunked, http_date, respond
from support.requirement import requirement

FRESH = "Cache-Control: max-age=60"


@requirement("RFC 9111 4 MUST age")
def test_miss_then_hit(client, origin):
    origin.default = respond(204, FRESH, "X-Kept: yes", 'ETag: "a"')
    miss = client.get(origin.url())
    assert miss.status == 204
    assert miss.cache_status["name"] == "cache204"
    assert (miss.fwd, miss.cache_status["fwd-status"], miss.stored) == ("uri-miss", 204, True)
    assert not miss.hit
    assert "Age" not in miss.fields
    hit = client.get(origin.url())
    assert (hit.status, hit.hit, hit.fwd) == (204, True, None)
    assert 0 < hit.cache_status["ttl"] <= 60
    assert hit["X-Kept"] == "yes" and hit["ETag"] == '"a"' and hit["Cache-Control"] == "max-age=60"
    assert len(origin.requests) == 1


def test_cache_status_is_written_as_in_the_rfc(client, origin):
    origin.default = respond(204, FRESH)
    assert client.get(origin.url())["Cache-Status"].startswith("cache204; fwd=uri-miss")
    assert client.get(origin.url())["Cache-Status"].startswith("cache204; hit")


def test_cache_status_of_others_stays_before_ours(client, origin):
    origin.default = respond(204, FRESH, "Cache-Status: inner; hit")
    for _ in range(2):
        members = client.get(origin.url())["Cache-Status"].split(",")
        assert members[0].strip() == "inner; hit"
        assert len(members) == 2 and members[1].strip().startswith("cache204;")


def test_other_clients_hit_too(connect, origin):
    origin.default = respond(204, FRESH)
    connect().get(origin.url())
    assert all(connect().get(origin.url()).hit for _ in range(3))


def test_age_starts_with_the_origins(client, origin):
    origin.default = respond(204, FRESH, "Age: 10")
    client.get(origin.url())
    hit = client.get(origin.url())
    assert 10 <= hit.age <= 13
    assert len(hit.fields.all("Age")) == 1
    assert 47 <= hit.cache_status["ttl"] <= 50


def test_age_counts_from_date(client, origin):
    origin.default = respond(204, "Cache-Control: max-age=600", date=-100)
    client.get(origin.url())
    assert 100 <= client.get(origin.url()).age <= 103


def test_date_is_kept(client, origin):
    date = http_date(-20)
    origin.default = respond(204, FRESH, f"Date: {date}", date=False)
    assert client.get(origin.url())["Date"] == date
    assert client.get(origin.url()).fields.all("Date") == [date]


def test_missing_date_is_added_once(client, origin):
    origin.default = respond(204, FRESH, date=False)
    date = client.get(origin.url())["Date"]
    assert date and date.endswith(" GMT")
    assert client.get(origin.url())["Date"] == date


@pytest.mark.parametrize("lines", [
    ["Cache-Control: s-maxage=60"], ["Cache-Control: max-age=0, s-maxage=60"],
    ['Cache-Control: MAX-AGE="60"'], ["Cache-Control: public", "Cache-Control: max-age=60"],
    ["Expires: Fri, 01 Jan 2100 00:00:00 GMT"], ["Expires: Sun, 06 Nov 1994 08:49:37 GMT", FRESH],
    ["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"],
    ["Cache-Control: max-age=99999999999999999999"],
    [FRESH, "Pragma: no-cache"], [FRESH, "Set-Cookie: a=b"],
    ['Cache-Control: ext="no-store", max-age=60'],
], ids=" ".join)
def test_freshness_of_any_kind(client, origin, lines):
    origin.default = respond(204, *lines)
    assert client.get(origin.url()).stored
    assert client.get(origin.url()).hit


def test_content_length_zero_is_dropped_and_does_no_harm(client, origin):
    origin.default = respond(204, FRESH, "Content-Length: 0")
    assert client.get(origin.url()).stored
    assert client.get(origin.url()).hit
    assert len(origin.connections) == 1


def test_hop_by_hop_is_not_stored_but_unknown_fields_are(client, origin):
    origin.default = respond(204, FRESH, "Proxy-Authenticate: Basic", "X-Unknown: 1", "X-Unknown: 2")
    client.get(origin.url())
    hit = client.get(origin.url())
    assert hit.fields.all("X-Unknown") == ["1", "2"]
    assert "Proxy-Authenticate" not in hit.fields


@pytest.mark.parametrize("first, second", [
    ("http://LOCALHOST:{port}/p", "http://localhost:{port}/p"),
    ("http://localhost:{port}", "http://localhost:{port}/"),
    ("http://localhost:{port}/p", "HTTP://localhost:{port}/p"),
])
def test_the_same_uri_in_other_words(client, origin, first, second):
    origin.default = respond(204, FRESH)
    client.get(first.format(port=origin.port))
    assert client.get(second.format(port=origin.port)).hit


@pytest.mark.parametrize("path", ["/P", "/p/", "/p?", "/%70", "/p?a", "/./p", "//p"])
def test_another_uri_is_another_key(client, origin, path):
    origin.default = respond(204, FRESH)
    client.get(origin.url("/p"))
    assert client.get(origin.url(path)).fwd == "uri-miss"


def test_the_host_field_is_no_part_of_the_key(client, origin):
    origin.default = respond(204, FRESH)
    client.send(f"GET {origin.url('/k')} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
    client.response()
    assert client.get(origin.url("/k")).hit
    assert client.get("http://evil.example:2/k").status >= 500


def test_hit_needs_no_origin_at_all(client, origin):
    origin.default = respond(204, FRESH)
    client.get(origin.url())
    origin.refuse()
    assert client.get(origin.url()).hit


NOT_204 = {
    "200": respond(200, FRESH, body=b"hello"),
    "200 chunked": b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
                   + chunked(b"hello"),
    "200 close-delimited": [b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nhello", CLOSE],
    "200 empty": respond(200, FRESH), "301": respond(301, FRESH, "Location: /x"),
    "404": respond(404, FRESH), "205": respond(205, FRESH), "206": respond(206, FRESH, body=b"x"),
}


@pytest.mark.parametrize("name", NOT_204)
@requirement("RFC 9111 3 MUST NOT status")
def test_only_204_is_stored(connect, origin, name):
    origin.default = NOT_204[name]
    for _ in range(2):
        answer = connect().get(origin.url())
        assert answer.complete
        assert not answer.stored and not answer.hit
    assert len(origin.requests) == 2


def test_many_records(client, origin):
    origin.default = respond(204, FRESH)
    for i in range(300):
        client.get(origin.url(f"/{i}"))
    assert all(client.get(origin.url(f"/{i}")).hit for i in range(300))
