"""Clients that speak HTTP/1.0 to a gateway or the operators' address: origins to them, so a connection
persists when it is asked for (RFC 9112 9.3), with answers whose end such a client can find."""

import re
import shutil
import subprocess

import pytest

from support.origin import CLOSE, chunked, respond
from support.rawclient import Client

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def gateway_proxy(start_proxy, origin):
    return start_proxy(f"gateway=127.0.0.1:0=http://{origin.authority}")


@pytest.fixture
def gateway_port(gateway_proxy):
    return int(re.search(r"^gateway: http://127\.0\.0\.1:(\d+) ", "\n".join(gateway_proxy.output), re.M)[1])


@pytest.fixture
def gateway(gateway_port):
    with Client(gateway_port) as client:
        yield client


def ask(client, target, *fields, method="GET", body=b""):
    head = "\r\n".join([f"{method} {target} HTTP/1.0", *fields, "", ""])
    client.send(head.encode() + body)
    return client.response(method)


KEEP = "Connection: keep-alive"


def stays(answer):
    return "keep-alive" in answer.fields.members("Connection")


def test_hits_misses_and_304s_stay(gateway, origin):
    origin.default = respond(204, "Cache-Control: max-age=60", 'ETag: "a"')
    for path, condition, status in (("/a", "X: y", 204), ("/a", "X: y", 204), ("/b", "X: y", 204),
                                    ("/a", 'If-None-Match: "a"', 304), ("/a", "X: y", 204)):
        answer = ask(gateway, path, KEEP, condition)
        assert answer.status == status and stays(answer)
    assert origin.lines == ["GET /a HTTP/1.1", "GET /b HTTP/1.1"]


def test_contents_with_a_length_stay(gateway, origin):
    origin.default = respond(200, body=b"hello")
    for _ in range(3):
        answer = ask(gateway, "/", KEEP)
        assert (answer.body, answer.framing) == (b"hello", "length") and stays(answer)
    answer = ask(gateway, "/", KEEP, method="HEAD")
    assert answer.status == 200 and stays(answer)
    answer = ask(gateway, "/", KEEP, "Content-Length: 2", method="POST", body=b"hi")
    assert answer.body == b"hello" and stays(answer)
    assert origin.last.body == b"hi"


def test_content_without_a_length_closes(gateway_port, origin):
    origin.on("/chunked", [CHUNKED, chunked(b"hello")])
    origin.on("/close", [b"HTTP/1.1 200 OK\r\n\r\nhello", CLOSE])
    for path in ("/chunked", "/close"):
        with Client(gateway_port) as client:
            answer = ask(client, path, KEEP)
            assert (answer.framing, answer.body) == ("close", b"hello")
            assert "Transfer-Encoding" not in answer.fields and not stays(answer)


def test_chunked_answer_to_head_stays(gateway, origin):
    origin.default = [CHUNKED]
    for _ in range(2):
        answer = ask(gateway, "/", KEEP, method="HEAD")
        assert answer.status == 200 and stays(answer)


def test_content_that_is_cut_is_no_whole_answer(gateway, origin):
    origin.default = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", CLOSE]
    answer = ask(gateway, "/", KEEP)
    assert not answer.complete
    assert gateway.end() in ("fin", "reset")


def test_errors_stay(gateway_proxy, gateway, origin):
    answer = ask(gateway, "/", KEEP, f"Via: 1.1 {gateway_proxy.instance}")
    assert answer.status == 508 and stays(answer)
    assert ask(gateway, "/", KEEP).status == 204


@pytest.mark.parametrize("fields", [(), ("Connection: close",), ("Connection: keep-alive, close",),
                                    ("Proxy-Connection: keep-alive",), ("Keep-Alive: timeout=5",)])
def test_not_unless_asked_for(gateway, origin, fields):
    answer = ask(gateway, "/", *fields)
    assert answer.status == 204 and not stays(answer)
    assert gateway.end() == "fin"


def test_not_for_who_takes_it_for_a_proxy(gateway, origin):
    answer = ask(gateway, origin.url(), KEEP)
    assert answer.status == 204 and not stays(answer)
    assert gateway.end() == "fin"


def test_http_1_1_gets_no_keep_alive(gateway, origin):
    gateway.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
    answer = gateway.response()
    assert answer.status == 204 and not answer.fields.members("Connection")


def test_versions_may_mix_on_a_connection(gateway, origin):
    assert stays(ask(gateway, "/", KEEP))
    gateway.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert not stays(gateway.response())
    assert stays(ask(gateway, "/", KEEP))
    assert not stays(ask(gateway, "/"))
    assert gateway.end() == "fin"


def test_pipelined(gateway, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    one = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    gateway.send(one * 5 + b"GET /a HTTP/1.0\r\n\r\n" + one)
    assert [stays(gateway.response()) for _ in range(6)] == [True] * 5 + [False]
    assert gateway.end() == "fin"


def test_interim_responses_are_not_for_it(gateway, origin):
    origin.default = respond(103, "Link: </x>") + respond(204)
    gateway.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert gateway.message().status == 204


def test_option_for_the_number_of_requests(start_proxy, origin):
    proxy = start_proxy(f"gateway=127.0.0.1:0=http://{origin.authority}", "client_requests=2")
    port = int(re.search(r"^gateway: http://127\.0\.0\.1:(\d+) ", "\n".join(proxy.output), re.M)[1])
    with Client(port) as client:
        assert [stays(ask(client, "/", KEEP)) for _ in range(2)] == [True, False]
        assert client.end() == "fin"


def test_origin_does_not_see_the_wish(gateway, origin):
    ask(gateway, "/", "Connection: keep-alive, x-secret", "Keep-Alive: 300", "X-Secret: y")
    assert not {"Connection", "Keep-Alive", "X-Secret"} & {name for name, _ in origin.last.fields}


def test_health_checks_of_http_1_0(gateway_proxy):
    with Client(gateway_proxy.admin_port) as client:
        for _ in range(3):
            answer = ask(client, "/healthz", KEEP, "Host: 127.0.0.1")
            assert answer.status == 204 and stays(answer)


@pytest.mark.skipif(not shutil.which("ab"), reason="no ab")
@pytest.mark.parametrize("status", [204, 200])
def test_ab(gateway_port, origin, status):
    origin.default = respond(status, "Cache-Control: max-age=60", body=b"hi" if status == 200 else b"")
    result = subprocess.run(["ab", "-k", "-q", "-n", "200", "-c", "4", f"http://127.0.0.1:{gateway_port}/ping"],
                            capture_output=True, text=True, timeout=30, check=True)
    figures = dict(re.findall(r"^([\w -]+):\s+(\d+)", result.stdout, re.M))
    assert (figures["Complete requests"], figures["Failed requests"]) == ("200", "0"), result.stdout
    assert figures["Keep-Alive requests"] == "200", result.stdout
