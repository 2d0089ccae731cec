"""stale-if-error: a stale answer instead of an error of the origin, where message or operator allow it."""

import threading

import pytest

from support.origin import CLOSE, NEVER, RESET, respond
from support.requirement import requirement
from support.until import until_waiting

STALE = ["Cache-Control: max-age=60", "Age: 100", 'ETag: "a"', "X-Stored: yes"]  # stale for 40 s
WINDOW = "Cache-Control: stale-if-error=600"

CAN_FAIL = {"500": respond(500, body=b"x"), "502": respond(502), "503": respond(503, body=b"x"),
            "504": respond(504), "fin": [CLOSE], "rst": [RESET], "cut": [b"HTTP/1.1 20", CLOSE],
            "garbage": [b"no answer\r\n\r\n", CLOSE]}
failures = pytest.mark.parametrize("reply", CAN_FAIL.values(), ids=CAN_FAIL)


def is_stale(answer):
    return (answer.status, answer["X-Stored"], answer.cache_status.get("detail"), answer.age >= 100) \
        == (204, "yes", "stale-if-error", True)


def store(client, origin, *lines):
    origin.on("/", respond(204, *STALE, *lines))
    assert client.get(origin.url()).stored


@requirement("RFC 5861 4 MAY")
@failures
def test_by_the_response(client, origin, reply):
    store(client, origin, WINDOW)
    origin.on("/", reply)
    for _ in range(2):
        answer = client.get(origin.url())
        assert is_stale(answer)
        assert answer.fwd == "stale"
    status = answer.cache_status.get("fwd-status")
    assert status in (500, 502, 503, 504) if isinstance(reply, bytes) else status is None


@failures
def test_by_the_request(client, origin, reply):
    store(client, origin)
    origin.on("/", reply)
    assert is_stale(client.get(origin.url(), WINDOW))
    assert client.get(origin.url()).status >= 500


@failures
def test_by_the_option(start_proxy, origin, reply):
    with start_proxy("stale_if_error=600s").connect() as client:
        store(client, origin)
        origin.on("/", reply)
        assert is_stale(client.get(origin.url()))


@pytest.mark.parametrize("allowance", ["response", "request", "option"])
def test_when_the_connection_is_refused(start_proxy, origin, allowance):
    with start_proxy(*["stale_if_error=600s"][:allowance == "option"]).connect() as client:
        store(client, origin, *[WINDOW][:allowance == "response"])
        origin.refuse()
        assert is_stale(client.get(origin.url(), *[WINDOW][:allowance == "request"]))


def test_when_the_origin_says_nothing(start_proxy, origin):
    proxy = start_proxy()
    with proxy.connect() as client:
        store(client, origin, WINDOW)
    proxy.options.append("first_byte_timeout=100ms")
    origin.on("/", [NEVER])
    with proxy.restart().connect() as client:
        assert is_stale(client.get(origin.url()))


@requirement("RFC 9111 4.2.4 MUST NOT", "RFC 9111 5.2.2.2 MUST NOT", "RFC 9111 5.2.2.8 MUST NOT",
             "RFC 9111 5.2.2.10 MUST NOT", "RFC 9111 5.2.2.4 MUST NOT")
@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"])
@pytest.mark.parametrize("reply", [respond(503), [CLOSE]], ids=["503", "fin"])
def test_it_is_forbidden(client, connect, origin, directive, reply):
    store(client, origin, WINDOW, f"Cache-Control: {directive}")
    origin.on("/", reply)
    for one in (client, connect()):
        answer = one.get(origin.url(), WINDOW)
        assert answer.status >= 500
        assert "X-Stored" not in answer.fields


@requirement("RFC 5861 4 SHOULD NOT")
@pytest.mark.parametrize("where", ["response", "request"])
def test_its_window_ends(client, origin, where):
    short = "Cache-Control: stale-if-error=30"
    store(client, origin, *[short][:where == "response"])
    origin.on("/", respond(503))
    assert client.get(origin.url(), *[short][:where == "request"]).status == 503


def test_of_both_the_shorter_counts(client, connect, origin):
    store(client, origin, WINDOW)
    origin.on("/", respond(503))
    assert client.get(origin.url(), "Cache-Control: stale-if-error=30").status == 503


def test_what_the_messages_say_goes_before_the_option(start_proxy, origin):
    with start_proxy("stale_if_error=600s").connect() as client:
        store(client, origin, "Cache-Control: stale-if-error=0")
        origin.on("/", respond(503))
        assert client.get(origin.url()).status == 503


@pytest.mark.parametrize("status", [400, 404, 501, 505])
def test_other_statuses_are_no_errors_of_this_kind(client, origin, status):
    store(client, origin, WINDOW)
    origin.on("/", respond(status))
    assert client.get(origin.url()).status == status


@pytest.mark.parametrize("field", ["Cache-Control: no-cache", "Pragma: no-cache"])
def test_a_client_that_wants_validation_gets_the_error(client, origin, field):
    store(client, origin, WINDOW)
    origin.on("/", respond(503))
    assert client.get(origin.url(), field).status == 503


def test_a_fresh_record_that_the_client_passes_over(client, origin):
    """max-age in the request asks for validation, and does not forbid what is stale when that fails."""
    origin.on("/", respond(204, "Cache-Control: max-age=60, stale-if-error=600", "Age: 30", "X-Stored: yes"),
              respond(503))
    client.get(origin.url())
    assert client.get(origin.url(), "Cache-Control: max-age=10")["X-Stored"] == "yes"


@requirement("RFC 9111 4.3.2 SHOULD")
def test_the_clients_condition_is_judged_on_the_stale_record(client, origin):
    store(client, origin, WINDOW)
    origin.on("/", respond(503))
    assert client.get(origin.url(), 'If-None-Match: "a"').status == 304
    assert client.get(origin.url(), 'If-None-Match: "b"').status == 204


def test_destination_that_is_denied_is_no_error_of_the_origin(start_proxy, origin):
    """What the proxy refuses is refused, whatever is stored."""
    proxy = start_proxy()
    with proxy.connect() as client:
        store(client, origin, WINDOW)
    proxy.options.append("deny=127.0.0.0/8")
    with proxy.restart().connect() as client:
        assert client.get(origin.url()).status == 403


@pytest.mark.one_worker("requests wait for a fetch of their own worker")
@pytest.mark.parametrize("reply", [respond(503), [CLOSE], [RESET]], ids=["503", "fin", "rst"])
def test_those_who_wait_get_it_too(proxy, client, connect, origin, reply):
    """A failing origin is not asked again for each of them."""
    go = threading.Event()
    store(client, origin, WINDOW)
    origin.on("/", [go, *([reply] if isinstance(reply, bytes) else reply)])
    clients = [connect() for _ in range(10)]
    for one in clients:
        one.request("GET", origin.url())
    until_waiting(proxy, 10)
    go.set()
    assert all(is_stale(one.response()) for one in clients)
    # a kept connection that ends without an answer is tried anew, once
    assert len(origin.heads) == (2 if isinstance(reply, bytes) else 3)
