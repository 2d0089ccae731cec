"""must-revalidate and its kin: no stale answer whatever happens, and 504 when the origin cannot be asked."""

import threading

import pytest

from support.origin import CLOSE, NEVER, RESET, respond
from support.requirement import requirement
from support.until import until_waiting

KIN = ["must-revalidate", "proxy-revalidate", "s-maxage=60"]
kin = pytest.mark.parametrize("directive", KIN)


def store(client, origin, directive, *lines):
    origin.on("/", respond(204, f"Cache-Control: max-age=60, {directive}", "Age: 100", 'ETag: "a"', *lines))
    assert client.get(origin.url()).stored


@requirement("RFC 9111 5.2.2.2 MUST error", "RFC 9111 5.2.2.2 SHOULD")
@kin
@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["fin", "rst"])
def test_504_when_the_origin_breaks_off(client, origin, directive, end):
    store(client, origin, directive)
    origin.on("/", [end])
    answer = client.get(origin.url())
    assert (answer.status, answer.fwd) == (504, "stale")
    assert "must be validated" in answer.body.decode()


@requirement("RFC 9111 5.2.2.2 MUST error", "RFC 9111 5.2.2.2 SHOULD")
@kin
def test_504_when_the_origin_refuses(client, connect, origin, directive):
    store(client, origin, directive)
    origin.refuse()
    assert client.get(origin.url()).status == 504
    assert connect().get(origin.url(), "Cache-Control: max-stale, stale-if-error=600").status == 504


def test_504_when_the_origin_says_nothing(start_proxy, origin):
    proxy = start_proxy()
    with proxy.connect() as client:
        store(client, origin, "must-revalidate")
    proxy.options.append("first_byte_timeout=100ms")
    origin.on("/", [NEVER])
    with proxy.restart().connect() as client:
        assert client.get(origin.url()).status == 504


@kin
def test_an_error_of_the_origin_is_passed_on(client, origin, directive):
    store(client, origin, directive)
    origin.on("/", respond(503, body=b"later"), respond(304, "Cache-Control: max-age=60", 'ETag: "a"'))
    answer = client.get(origin.url())
    assert (answer.status, answer.body) == (503, b"later")
    assert client.get(origin.url()).cache_status["fwd-status"] == 304  # the record is still there


@requirement("RFC 9111 5.2.2.2 MUST NOT", "RFC 9111 4.2.4 MUST NOT")
@kin
@pytest.mark.parametrize("wish", ["max-stale", "max-stale=1000", "max-stale, max-age=1000"])
def test_no_wish_of_the_client_overrides_it(client, origin, directive, wish):
    store(client, origin, directive)
    origin.on("/", respond(304, "Cache-Control: max-age=60", 'ETag: "a"'))
    assert client.get(origin.url(), f"Cache-Control: {wish}").cache_status["fwd-status"] == 304


@pytest.mark.one_worker("requests wait for a fetch of their own worker")
@requirement("RFC 9111 5.2.2.2 MUST error")
def test_those_who_wait_get_504_too(proxy, client, connect, origin):
    go = threading.Event()
    store(client, origin, "must-revalidate")
    origin.on("/", [go, RESET])
    clients = [connect() for _ in range(5)]
    for one in clients:
        one.request("GET", origin.url())
    until_waiting(proxy, 5)
    go.set()
    assert [one.response().status for one in clients] == [504] * 5


@requirement("RFC 9111 5.2.2.2 MAY")
@kin
def test_fresh_it_answers_like_any_other(client, origin, directive):
    origin.on("/", respond(204, f"Cache-Control: max-age=60, {directive}"))
    client.get(origin.url())
    assert client.get(origin.url()).hit
