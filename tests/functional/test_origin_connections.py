"""Connections to origins: kept, reused by host and port, given up with care."""

import threading

import pytest

from support.origin import CLOSE, NEVER, RESET, respond


def test_connection_is_reused(client, origin):
    for i in range(5):
        assert client.get(origin.url(f"/{i}")).status == 204
    assert len(origin.connections) == 1


@pytest.mark.parametrize("reply", [
    respond(200, body=b"hello"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\n\r\n", respond(304), respond(404, body=b"no")],
    ids=["length", "chunked", "304", "404"])
def test_connection_is_reused_after_any_clean_end(client, origin, reply):
    origin.on("/first", reply)
    client.get(origin.url("/first"), 'If-None-Match: "x"')
    client.get(origin.url("/second"))
    assert len(origin.connections) == 1


@pytest.mark.one_worker("each worker keeps connections of its own")
def test_clients_share_it_in_turn(connect, origin):
    for i in range(3):
        assert connect().get(origin.url(f"/{i}")).status == 204
    assert len(origin.connections) == 1


def test_requests_at_once_have_one_each(connect, origin):
    go = threading.Event()
    for i in range(4):
        origin.on(f"/{i}", [go, respond(200, body=b"%d" % i)])
    clients = [connect() for _ in range(4)]
    for i, client in enumerate(clients):
        client.request("GET", origin.url(f"/{i}"))
    origin.wait_requests(4)
    assert len(origin.connections) == 4
    go.set()
    assert [c.response().body for c in clients] == [b"0", b"1", b"2", b"3"]


def test_origins_do_not_mix(client, start_origin):
    one, two = start_origin(), start_origin()
    one.default, two.default = respond(200, body=b"one"), respond(200, body=b"two")
    for _ in range(2):
        assert client.get(one.url()).body == b"one"
        assert client.get(two.url()).body == b"two"
    assert len(one.connections) == len(two.connections) == 1


def test_closing_origin_is_not_reused(client, origin):
    origin.on("/", respond(204, "Connection: close"))
    for _ in range(2):
        assert client.get(origin.url()).status == 204
    assert len(origin.connections) == 2


def test_connection_closed_while_idle_is_noticed(client, origin):
    """A POST must not be lost to a connection that is already dead."""
    origin.on("/", [respond(204), CLOSE])
    client.get(origin.url())
    origin.wait_all_closed()
    assert client.ask("POST", origin.url("/post"), body=b"x").status == 204
    assert origin.lines == ["GET / HTTP/1.1", "POST /post HTTP/1.1"]


@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["fin", "rst"])
def test_get_is_retried_once_on_a_connection_that_dies(client, origin, end):
    origin.on("/again", [end], respond(200, body=b"second try"))
    client.get(origin.url("/first"))
    assert client.get(origin.url("/again")).body == b"second try"
    assert origin.lines == ["GET /first HTTP/1.1"] + ["GET /again HTTP/1.1"] * 2


def test_get_is_not_retried_twice(client, origin):
    origin.on("/again", [CLOSE])
    client.get(origin.url("/first"))
    assert client.get(origin.url("/again")).status == 502
    assert origin.lines.count("GET /again HTTP/1.1") == 2


@pytest.mark.parametrize("method", ["PROPFIND", "REPORT", "SEARCH", "QUERY", "PUT", "DELETE", "MKCOL"])
def test_so_is_any_idempotent_method_without_a_body(client, origin, method):
    origin.on("/again", [CLOSE], respond(200, body=b"second try"))
    client.get(origin.url("/first"))
    assert client.ask(method, origin.url("/again")).body == b"second try"
    assert origin.lines.count(f"{method} /again HTTP/1.1") == 2


@pytest.mark.parametrize("method, fields, body", [
    ("PROPFIND", [], b"x"), ("QUERY", [], b"x"), ("LOCK", [], None), ("PATCH", [], None), ("POST", [], None),
    ("FOO", [], None), ("GET", ["X-HTTP-Method-Override: POST"], None), ("GET", ["X-Method-Override: GET"], None),
])
def test_but_nothing_that_may_not_be_repeated(client, origin, method, fields, body):
    origin.on("/again", [CLOSE])
    client.get(origin.url("/first"))
    assert client.ask(method, origin.url("/again"), *fields, body=body).status == 502
    assert origin.lines.count(f"{method} /again HTTP/1.1") == 1


@pytest.mark.parametrize("method", ["POST", "PATCH", "FOO"])
def test_unsafe_request_is_never_sent_twice(client, origin, method):
    origin.on("/again", [CLOSE])
    client.get(origin.url("/first"))
    assert client.ask(method, origin.url("/again"), body=b"x").status == 502
    assert origin.lines.count(f"{method} /again HTTP/1.1") == 1


def test_get_is_not_retried_after_a_byte_of_an_answer(client, origin):
    origin.on("/again", [b"H", CLOSE])
    client.get(origin.url("/first"))
    assert client.get(origin.url("/again")).status == 502
    assert origin.lines.count("GET /again HTTP/1.1") == 1


def test_get_is_not_retried_on_a_new_connection(client, origin):
    origin.on("/", [CLOSE])
    assert client.get(origin.url()).status == 502
    assert len(origin.requests) == 1


def test_client_that_leaves_frees_the_origin(connect, origin):
    origin.on("/", [NEVER])
    client = connect()
    client.request("GET", origin.url())
    origin.wait_requests(1)
    client.reset()
    origin.wait_all_closed()


def test_another_origin_is_asked_under_its_own_name(client, origin):
    """Reuse goes by host and port: another name of the same address is another origin."""
    client.get(origin.url())
    client.get(f"http://localhost:{origin.port}/")
    assert [r.fields.get("Host") for r in origin.requests] == [
        origin.authority, f"localhost:{origin.port}"]
    assert len(origin.connections) == 2
