"""Gateway mode: addresses of their own for one origin, by path."""

import json
import re
import subprocess

import pytest

from support.origin import respond
from support.ports import free_port
from support.proxy import run
from support.rawclient import Client
from support.tls import Authority, TlsOrigin


def gateway_ports(proxy):
    """As the greeting tells them, with the origins."""
    found = [re.fullmatch(r"gateway: http://127\.0\.0\.1:(\d+) -> (\S+)", line) for line in proxy.output]
    return [(int(match[1]), match[2]) for match in found if match]


@pytest.fixture
def gateway_proxy(start_proxy, origin):
    return start_proxy(f"gateway=127.0.0.1:0=http://{origin.authority}")


@pytest.fixture
def gateway(gateway_proxy):
    (port, told), = gateway_ports(gateway_proxy)
    with Client(port) as client:
        yield client


def request(path, *fields, host="anything.example", method="GET"):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ask(client, path, *fields, host="anything.example", method="GET"):
    client.send(request(path, *fields, host=host, method=method))
    return client.response(method)


def test_greeting(gateway_proxy, origin):
    (_, told), = gateway_ports(gateway_proxy)
    assert told == f"http://{origin.authority}"


def test_path_is_asked_of_the_origin(gateway_proxy, gateway, origin):
    answer = ask(gateway, "/a%20b?c=d&e")
    assert answer.status == 204
    assert origin.last.line == "GET /a%20b?c=d&e HTTP/1.1"
    assert origin.last.fields.all("Host") == [origin.authority]
    assert origin.last.fields.get("Via") == f"1.1 {gateway_proxy.instance}"


def test_the_log_has_the_origin(gateway_proxy, gateway, origin):
    """With the path, as of a request to the proxy: the Host of a gateway's client may be any."""
    origin.default = respond(204, "Cache-Control: max-age=60")
    for path in ("/x?y", "/x?y", origin.url("/z"), "*"):
        ask(gateway, path, method="OPTIONS" if path == "*" else "GET")
    assert ask(gateway, "http://other.example/").status == 421
    gateway_proxy.stop()
    logged = [json.loads(line)["target"] for line in gateway_proxy.log_lines()]
    assert logged == [origin.url("/x?y")] * 2 + [origin.url("/z"), origin.url(""), "http://other.example/"]


def test_connection_is_kept_and_hits_come(gateway, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    assert not ask(gateway, "/x").hit
    assert all(ask(gateway, "/x").hit for _ in range(5))
    assert len(origin.requests) == 1


def test_records_are_those_of_the_proxy(gateway_proxy, gateway, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    gateway_proxy.see(ask(gateway, "/one"))
    with gateway_proxy.connect() as client:
        assert client.get(origin.url("/one")).hit
        assert not client.get(origin.url("/two")).hit
    gateway_proxy.until_written()
    assert ask(gateway, "/two").hit


def test_host_does_not_tell_records_apart(gateway_proxy, gateway, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    gateway_proxy.see(ask(gateway, "/x", host="a.example"))
    gateway_proxy.until_written()
    assert ask(gateway, "/x", host="b.example:99").hit


@pytest.mark.parametrize("host", ["", "a b", "a@b", "a/b", "a.example\r\nHost: b.example"])
def test_host_must_be_right(gateway, origin, host):
    assert ask(gateway, "/x", host=host).status == 400
    assert not origin.heads


def test_absolute_form_of_the_origin(gateway, origin):
    assert ask(gateway, origin.url("/x")).status == 204
    assert origin.last.line == "GET /x HTTP/1.1"


def test_absolute_form_of_another_is_misdirected(gateway_proxy, origin, start_origin):
    other = start_origin()
    for url in (other.url(), f"https://{origin.authority}/", f"http://localhost:{origin.port}/"):
        with Client(gateway_ports(gateway_proxy)[0][0]) as client:
            assert ask(client, url).status == 421
    assert not other.heads and not origin.heads


def test_connect_and_trace_are_refused(gateway_proxy, origin):
    port = gateway_ports(gateway_proxy)[0][0]
    for method, target in (("CONNECT", origin.authority), ("TRACE", "/")):
        with Client(port) as client:
            assert ask(client, target, method=method).status == 405
    assert not origin.heads


def test_options_for_the_server(gateway, origin):
    origin.default = respond(200, "Allow: GET")
    assert ask(gateway, "*", method="OPTIONS")["Allow"] == "GET"
    assert origin.last.line == "OPTIONS * HTTP/1.1"


def test_options_that_ends_here(gateway, origin):
    assert ask(gateway, "/x", "Max-Forwards: 0", method="OPTIONS").status == 204
    assert not origin.heads


def test_body_is_passed_on(gateway, origin):
    origin.on("/post", respond(200, body=b"got it"))
    gateway.send(request("/post", "Content-Length: 5", method="POST") + b"hello")
    assert gateway.response("POST").body == b"got it"
    assert origin.last.body == b"hello"


def test_post_invalidates_what_the_proxy_stored(gateway_proxy, gateway, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    with gateway_proxy.connect() as client:
        client.get(origin.url("/x"))
        gateway.send(request("/x", "Content-Length: 0", method="POST"))
        assert gateway.response("POST").status == 204
        assert not client.get(origin.url("/x")).hit


def test_stale_while_revalidate(gateway, origin):
    """A validation in the background goes where the gateway's requests go."""
    origin.default = respond(204, "Cache-Control: max-age=0, stale-while-revalidate=60", 'ETag: "a"')
    ask(gateway, "/x")
    assert ask(gateway, "/x").status == 204
    origin.wait_requests(2)
    assert origin.last.fields.get("If-None-Match") == '"a"'


def test_http_1_0_client(gateway, origin):
    gateway.send(b"GET /x HTTP/1.0\r\n\r\n")
    assert gateway.response().status == 204
    assert origin.last.fields.get("Host") == origin.authority


def test_loop_is_refused(gateway_proxy, gateway, origin):
    assert ask(gateway, "/x", f"Via: 1.1 {gateway_proxy.instance}").status == 508
    assert not origin.heads


def test_own_address_as_origin_is_a_loop(start_proxy):
    port = free_port()
    proxy = start_proxy(f"gateway=127.0.0.1:{port}=http://localhost:{port}")
    with Client(port) as client:
        assert ask(client, "/x").status == 508
    assert proxy.is_alive()


def test_two_gateways(start_proxy, start_origin):
    one, other = start_origin(), start_origin()
    one.default, other.default = respond(200, body=b"one"), respond(200, body=b"other")
    proxy = start_proxy(f"gateway=127.0.0.1:0=http://{one.authority},127.0.0.1:0=http://{other.authority}")
    bodies = []
    for port, _ in gateway_ports(proxy):
        with Client(port) as client:
            bodies.append(ask(client, "/").body)
    assert bodies == [b"one", b"other"]


def test_https_origin(start_proxy, tmp_path):
    authority = Authority(tmp_path / "authority")
    origin = TlsOrigin(authority.issue("IP:127.0.0.1"), name="127.0.0.1")
    origin.default = respond(204, "Cache-Control: max-age=60")
    proxy = start_proxy(f"gateway=127.0.0.1:0=https://{origin.authority}", f"tls_ca_file={authority.file}")
    try:
        with Client(gateway_ports(proxy)[0][0]) as client:
            assert ask(client, "/x").status == 204
            assert ask(client, "/x").hit
        with proxy.connect() as client:
            assert client.get(origin.url("/x")).hit
    finally:
        origin.close()
    assert origin.last.line == "GET /x HTTP/1.1"
    assert not origin.faults


# Where a gateway may go


@pytest.fixture
def guarded(start_proxy, origin, tmp_path):
    """Loopback is denied to the proxy's clients; the gateway was chosen by the operator."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 origin.test\n")
    return start_proxy(f"gateway=127.0.0.1:0=http://origin.test:{origin.port}", "deny=127.0.0.0/8",
                       f"hosts_file={hosts}")


def test_rules_do_not_touch_the_chosen_origin(guarded, origin):
    with Client(gateway_ports(guarded)[0][0]) as client:
        assert ask(client, "/x").status == 204


def test_a_kept_connection_is_no_way_around_the_rules(guarded, origin):
    with Client(gateway_ports(guarded)[0][0]) as client:
        assert ask(client, "/x").status == 204
    with guarded.connect() as client:
        answer = client.get(f"http://origin.test:{origin.port}/y")
    assert answer.status == 403
    assert len(origin.requests) == 1


def test_wrong_gateways_are_reported():
    for value in ("127.0.0.1:1", "x=http://a", "127.0.0.1:1=ftp://a", "127.0.0.1:1=http://a/b",
                  "127.0.0.1:1=http://u:p@a"):
        result = run("-t", "-o", f"gateway={value}")
        assert result.returncode != 0 and "-o gateway: " in result.stderr


def test_curl(gateway_proxy, origin):
    origin.default = respond(200, body=b"hello")
    port = gateway_ports(gateway_proxy)[0][0]
    result = subprocess.run(["curl", "-sS", "--noproxy", "*", f"http://127.0.0.1:{port}/a"],
                            capture_output=True, timeout=10, check=True)
    assert result.stdout == b"hello"
