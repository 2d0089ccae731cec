"""An origin that cannot be found, reached or waited for: a final answer that names the cause."""

import re
import socket
import time

import pytest

from support.nameserver import SERVFAIL, NameServer
from support.origin import CLOSE, NEVER, READ_BODY, respond
from support.ports import free_port


def assert_failure(answer, status, error):
    """Status, RFC 9209 error type, Cache-Status, and a short text that says why."""
    assert answer.status == status
    assert re.match(rf"cache204; ?error={error}\b", answer["Proxy-Status"])
    assert answer.cache_status["name"] == "cache204"
    assert answer["Content-Type"].startswith("text/plain")
    assert "no-store" in answer.fields.members("Cache-Control")
    assert 10 < len(answer.body) < 500
    assert answer.framing == "length" and answer.complete


@pytest.fixture
def names(request):
    server = NameServer({"origin.test": ["127.0.0.1"], "silent.test": None, "broken.test": SERVFAIL,
                         "empty.test": [], "two.test": ["127.0.0.2", "127.0.0.1"]})
    yield server
    server.close()


@pytest.fixture
def resolving(start_proxy, names):
    return start_proxy(f"resolvers={names.address}", "allow=origin.test,two.test", "dns_timeout=1s").connect()


def test_name_is_resolved(resolving, origin):
    assert resolving.get(f"http://origin.test:{origin.port}/").status == 204
    assert origin.last.fields.get("Host") == f"origin.test:{origin.port}"


def test_name_is_asked_once(resolving, origin, names):
    origin.default = respond(204, "Connection: close")
    for _ in range(3):
        assert resolving.get(f"http://origin.test:{origin.port}/").status == 204
    assert len(set(names.asked)) == len(names.asked)


def test_second_address_is_tried_when_the_first_is_dead(resolving, origin):
    """The origin listens on 127.0.0.1 only."""
    assert resolving.get(f"http://two.test:{origin.port}/").status == 204


@pytest.mark.parametrize("name", ["nowhere.test", "broken.test", "empty.test", "nowhere.invalid"])
def test_name_that_does_not_exist(resolving, name):
    assert_failure(resolving.get(f"http://{name}/"), 502, "dns_error")


def test_name_server_that_is_silent(resolving):
    assert_failure(resolving.get("http://silent.test/"), 504, "dns_timeout")


def test_others_are_served_meanwhile(start_proxy, names, origin):
    proxy = start_proxy(f"resolvers={names.address}", "allow=origin.test,two.test", "dns_timeout=1s")
    waiting = [proxy.connect() for _ in range(20)]
    for client in waiting:
        client.request("GET", "http://silent.test/")
    assert proxy.connect().get(origin.url()).status == 204
    assert not any(client.readable(0) for client in waiting)
    for client in waiting:
        client.close()


def test_invalid_name_with_the_systems_resolver(start_proxy):
    client = start_proxy("dns_timeout=500ms").connect()
    answer = client.get("http://nowhere.invalid/")
    assert answer.status in (502, 504)
    assert "cache204; error=dns_" in answer["Proxy-Status"]


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_refused(client, method):
    answer = client.ask(method, f"http://127.0.0.1:{free_port()}/", body=b"x" if method == "POST" else None)
    if method != "HEAD":
        assert_failure(answer, 502, "connection_refused")
    assert answer.status == 502
    assert (answer.fwd, answer.stored) == ("method" if method == "POST" else "uri-miss", False)


def test_the_connection_lives_on_after_a_failure(connect, origin):
    """The request was whole and its framing sure: a failure of the origin costs no reconnect."""
    client = connect()
    for _ in range(3):
        answer = client.get(f"http://127.0.0.1:{free_port()}/")
        assert answer.status == 502 and "close" not in answer.fields.members("Connection")
        assert client.get(origin.url()).status == 204
    client.request("POST", f"http://127.0.0.1:{free_port()}/", body=b"x" * 100)
    assert client.response("POST").status == 502
    assert client.get(origin.url()).status == 204


def test_it_does_not_where_more_may_come(connect, origin):
    for method, url, *fields in (
            ("CONNECT", f"127.0.0.1:{free_port()}"),
            ("POST", f"http://127.0.0.1:{free_port()}/", "Content-Length: 5", "Expect: 100-continue"),
            ("GET", f"http://127.0.0.1:{free_port()}/", "Connection: upgrade", "Upgrade: websocket")):
        client = connect()
        client.send("\r\n".join([f"{method} {url} HTTP/1.1", "Host: a.test", *fields, "", ""]).encode())
        answer = client.response(method)
        assert answer.status in (403, 502) and "close" in answer.fields.members("Connection")
        assert client.end() == "fin"


def test_origin_that_closes_without_an_answer(client, origin):
    origin.on("/", [CLOSE])
    assert_failure(client.get(origin.url()), 502, "connection_terminated")


def test_rubbish(client, origin):
    origin.on("/", b"rubbish\r\n\r\n")
    assert_failure(client.get(origin.url()), 502, "http_protocol_error")


@pytest.mark.parametrize("reply", [[NEVER], [b"HTTP/1.1 204 N", NEVER], [respond(103), NEVER]],
                         ids=["nothing", "half a line", "103"])
def test_no_answer_in_time(start_proxy, origin, reply):
    client = start_proxy("first_byte_timeout=300ms", "body_timeout=300ms", "head_timeout=300ms").connect()
    origin.on("/", reply)
    began = time.monotonic()
    answer = client.get(origin.url())
    assert_failure(answer, 504, "connection_read_timeout")
    assert 0.25 < time.monotonic() - began < 3
    origin.wait_all_closed()


def test_no_answer_in_time_is_not_retried(start_proxy, origin):
    client = start_proxy("first_byte_timeout=200ms").connect()
    client.get(origin.url())
    origin.on("/silent", [NEVER])
    assert client.get(origin.url("/silent")).status == 504
    assert origin.lines.count("GET /silent HTTP/1.1") == 1


def test_no_connection_in_time(start_proxy):
    """A listener whose queue is full does not answer: connecting takes forever."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    client = start_proxy("connect_timeout=300ms").connect()
    answer = client.get("http://127.0.0.1:%d/" % listener.getsockname()[1])
    assert_failure(answer, 504, "connection_timeout")
    for sock in (*fillers, listener):
        sock.close()


def test_body_that_stops_is_cut(start_proxy, origin):
    client = start_proxy("body_timeout=300ms").connect()
    origin.on("/", [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", NEVER])
    answer = client.get(origin.url())
    assert (answer.status, answer.body, answer.complete) == (200, b"12345", False)
    origin.wait_all_closed()


def test_slow_body_is_not_cut(start_proxy, origin):
    """The deadline counts from the last byte that moved, not from the start."""
    client = start_proxy("body_timeout=400ms", "body_rate=0").connect()
    pauses = [lambda _: time.sleep(0.15)] * 5
    origin.on("/", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                    *[step for pause in pauses for step in (pause, b"x")]])
    assert client.get(origin.url()).body == b"xxxxx"


def test_request_head_that_does_not_end_in_time(start_proxy):
    client = start_proxy("head_timeout=300ms").connect()
    client.send(b"GET http://a/ HTTP/1.1\r\nX: ")
    assert client.response().status == 408
    client.end()


def test_request_head_deadline_is_not_pushed_out_by_slow_bytes(start_proxy):
    client = start_proxy("head_timeout=300ms").connect()
    client.send(b"GET http://a/ HTTP/1.1\r\nX: ")
    began = time.monotonic()
    while not client.readable(0.05):
        client.send(b"x")
        assert time.monotonic() - began < 3
    assert client.response().status == 408


def test_request_body_that_stops(start_proxy, origin):
    client = start_proxy("body_timeout=300ms").connect()
    client.request("POST", origin.url(), "Content-Length: 10")
    client.send(b"12345")
    assert client.response().status == 408
    client.end()
    origin.wait_all_closed()
    assert not origin.requests


def test_idle_client_is_closed(start_proxy, origin):
    client = start_proxy("keepalive_timeout=200ms").connect()
    assert client.get(origin.url()).status == 204
    assert client.end() == "fin"


def test_client_that_never_says_anything_is_closed(start_proxy):
    client = start_proxy("keepalive_timeout=200ms", "head_timeout=200ms").connect()
    client.end()


def test_idle_origin_connection_is_closed(start_proxy, origin):
    client = start_proxy("origin_idle_timeout=200ms").connect()
    assert client.get(origin.url()).status == 204
    origin.wait_all_closed()
    assert origin.connections[0].ended == "peer fin"


def test_error_of_the_origin_is_passed_on_as_it_is(client, origin):
    origin.on("/", respond(502, "X-Theirs: 1", body=b"theirs"))
    answer = client.get(origin.url())
    assert (answer.status, answer["X-Theirs"], answer.body) == (502, "1", b"theirs")
    assert "error=" not in (answer["Proxy-Status"] or "")


def test_origin_that_fails_before_reading_a_large_upload(client, origin):
    origin.on("/", [CLOSE], early=True)
    client.request("PUT", origin.url(), "Content-Length: 50000000")
    try:
        for _ in range(500):
            client.send(b"x" * 100_000)
    except OSError:
        pass
    assert client.response().status == 502


def test_upload_goes_on_while_the_answer_waits(start_proxy, origin):
    """The first-byte deadline counts from the end of the request."""
    client = start_proxy("first_byte_timeout=300ms").connect()
    origin.on("/", [READ_BODY, respond(204)], early=True)
    client.request("POST", origin.url(), "Content-Length: 8")
    for _ in range(8):
        time.sleep(0.06)
        client.send(b"x")
    assert client.response().status == 204
