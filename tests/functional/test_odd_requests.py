"""What one client's own fields provoke is that client's alone: nothing of it is kept for the others."""

import threading

import pytest

from support.origin import CLOSE, respond
from support.until import until_waiting

FRESH = ["Cache-Control: max-age=600, stale-if-error=600", 'ETag: "a"']
SPENT = ["Cache-Control: max-age=1, stale-if-error=600", 'ETag: "a"']
ERRORS = [400, 401, 403, 405, 406, 408, 412, 413, 414, 416, 417, 421, 422, 429, 431, 451]
RELOADS = ["Cache-Control: no-cache", "Cache-Control: no-store", "Cache-Control: max-age=0", "Pragma: no-cache"]


@pytest.mark.parametrize("reload", RELOADS)
def test_an_error_leaves_the_fresh_record(client, connect, origin, reload):
    odd = connect()
    for status in ERRORS:
        url = origin.url(f"/{status}")
        origin.on(f"/{status}", respond(204, *FRESH), respond(status))
        client.get(url)
        assert odd.get(url, "X-Odd: 1", reload).status == status
        assert client.get(url).hit, status


def test_an_error_leaves_the_record_for_errors_of_the_origin(client, connect, origin):
    odd = connect()
    for status in ERRORS:
        url = origin.url(f"/{status}")
        origin.on(f"/{status}", respond(204, "Age: 100", *SPENT), respond(status), respond(503))
        client.get(url)
        assert odd.get(url, "X-Odd: 1").status == status
        assert client.get(url).status == 204, status


@pytest.mark.parametrize("reload", RELOADS)
def test_what_supersedes_removes_the_record(client, origin, reload):
    for status in [404, 410, 200, 301]:
        url = origin.url(f"/{status}")
        origin.on(f"/{status}", respond(204, *FRESH), respond(status), respond(204, *FRESH))
        client.get(url)
        assert client.get(url, reload).status == status
        assert client.get(url).fwd == "uri-miss", status


@pytest.mark.parametrize("own", ["Authorization: Basic QTpC", "Range: bytes=0-1"])
@pytest.mark.parametrize("answer", [(204, 'ETag: "b"'), (304, 'ETag: "a"')], ids=["204", "304"])
def test_an_answer_that_only_its_request_bars_leaves_the_stale_record(client, origin, own, answer):
    origin.on("/", respond(204, "Age: 100", *SPENT),
              respond(answer[0], "Cache-Control: max-age=60", answer[1]), respond(503))
    client.get(origin.url())
    assert not client.get(origin.url(), own).stored
    assert client.get(origin.url()).status == 204


@pytest.mark.one_worker("requests wait for a fetch of their own worker")
@pytest.mark.parametrize("status, lines", [(400, []), (403, []), (412, []), (429, []), (431, []), (500, []),
                                           (204, ["Authorization: Basic QTpC"]), (206, ["Range: bytes=0-1"])])
def test_an_odd_request_does_not_end_collapsing(proxy, connect, origin, status, lines):
    go = threading.Event()
    origin.on("/", respond(status), [go, respond(204, *FRESH)])
    assert connect().get(origin.url(), "X-Odd: 1", *lines).status == status
    clients = [connect() for _ in range(5)]
    for client in clients:
        client.request("GET", origin.url())
    until_waiting(proxy, 5)
    go.set()
    assert [client.response().status for client in clients] == [204] * 5
    assert len(origin.heads) == 2


@pytest.mark.one_worker("requests wait for a fetch of their own worker")
def test_what_is_stored_again_is_waited_for_again(proxy, connect, origin):
    """A 200 to one who sends something odd has ended it, and a fresh 204 to the next begins it."""
    go = threading.Event()
    origin.on("/", respond(200, body=b"x"), respond(204, *FRESH), respond(204),
              [go, respond(204, *FRESH)])
    client = connect()
    client.get(origin.url(), "X-Odd: 1")
    client.get(origin.url())
    client.ask("POST", origin.url())
    clients = [connect() for _ in range(5)]
    for client in clients:
        client.request("GET", origin.url())
    until_waiting(proxy, 5)
    go.set()
    assert [client.response().status for client in clients] == [204] * 5
    assert len(origin.heads) == 4


@pytest.mark.one_worker("requests wait for a fetch of their own worker")
def test_two_odd_requests_do_not_fail_those_who_wait_for_them(proxy, connect, origin):
    go = threading.Event()
    origin.on("/", [go, CLOSE], [CLOSE], respond(204, *FRESH))
    clients = [connect() for _ in range(6)]
    for number, client in enumerate(clients):
        client.request("GET", origin.url(), *(["X-Odd: 1"] if number < 2 else []))
        until_waiting(proxy, number + 1)
    go.set()
    assert [client.response().status for client in clients] == [502] * 2 + [204] * 4


OWN = ["Authorization: Basic QTpC", "Range: bytes=0-1", 'If-None-Match: "x"', "If-Modified-Since: x",
       "Cache-Control: max-stale=10", "Pragma: x", "Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1",
       "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"]
SENT_ON = ["Accept: a/b", "Cookie: a=b", "User-Agent: x", "X-Other: 1"]


@pytest.mark.parametrize("vary", [[], ["Vary: X-Forwarded-Proto, Authorization"]], ids=["no vary", "vary"])
def test_a_validation_in_the_background_carries_nothing_of_ones_own(client, origin, vary):
    """But for fields by which the record was chosen, if they are not of the connection to us."""
    window = "Cache-Control: public, max-age=1, stale-while-revalidate=600"
    origin.on("/", respond(204, "Age: 100", window, 'ETag: "a"', *vary), respond(304, 'ETag: "a"'))
    client.get(origin.url(), "Authorization: Basic QTpC", "X-Forwarded-Proto: https")
    answer = client.get(origin.url(), *OWN, *SENT_ON)
    assert answer.hit
    origin.wait_requests(2)
    sent = origin.last.fields
    assert sent.all("If-None-Match") == ['"a"']
    carried = ["X-Forwarded-Proto"] if vary else []
    names = [line.partition(":")[0] for line in OWN if not line.startswith("If-None-Match")]
    assert [name for name in names if name in sent] == carried
    for line in SENT_ON:
        name, _, value = line.partition(": ")
        assert sent.get(name) == value
