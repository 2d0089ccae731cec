"""Requests that come back: refused by our name in Via, and by our own address."""

import pytest

from support.nameserver import NameServer
from support.origin import respond
from support.target import connect_bytes

VIAS = ["1.1 cache204", "HTTP/1.1 cache204", "1.0 CACHE204", "1.1 a, 1.1 cache204 (comment)", "1.1 a,1.1\tcache204,1.1 b",
        "1.1 a (open, 1.1 cache204"]
OTHERS = ["1.1 cache2045", "1.1 xcache204", "1.1 a (cache204)", "1.1 cache204.example", "cache204 1.1", "1.1 a, 1.1 b"]


def assert_loop(answer, client):
    assert answer.status == 508
    assert "error=proxy_loop_detected" in answer["Proxy-Status"]


@pytest.mark.parametrize("via", VIAS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "FOO"])
def test_our_name_in_via(connect, origin, method, via):
    client = connect()
    assert_loop(client.ask(method, origin.url(), f"Via: {via}", body=b"x" if method == "POST" else None), client)
    assert not origin.connections


def test_on_another_line_and_with_connect(connect, origin):
    client = connect()
    assert_loop(client.get(origin.url(), "Via: 1.1 a", "Via: 1.1 b", "Via: 1.1 cache204"), client)
    client = connect()
    client.send(connect_bytes("a.example:443", "Via: 1.1 cache204"))
    assert_loop(client.response("CONNECT"), client)
    client = connect()
    assert_loop(client.get(origin.url(), "Connection: Via", "Via: 1.1 cache204"), client)


def test_no_hit_either(connect, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    client = connect()
    assert client.get(origin.url()).stored
    assert_loop(client.get(origin.url(), "Via: 1.1 cache204"), client)


@pytest.mark.parametrize("via", OTHERS)
def test_others_in_via(client, origin, via):
    assert client.get(origin.url(), f"Via: {via}").status == 204
    assert origin.last.fields.get("Via") == f"{via}, 1.1 cache204"


def test_name_of_the_option(start_proxy, origin):
    proxy = start_proxy("pseudonym=edge-1")
    with proxy.connect() as client:
        assert client.get(origin.url(), "Via: 1.1 cache204").status == 204
        assert_loop(client.get(origin.url(), "Via: 1.1 edge-1"), client)


def test_own_address(proxy, connect):
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        for port in (proxy.port, proxy.admin_port):
            client = connect()
            assert_loop(client.get(f"http://{host}:{port}/"), client)
            client = connect()
            client.send(f"OPTIONS http://{host}:{port} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert_loop(client.response("OPTIONS"), client)


def test_own_address_under_another_name(start_proxy):
    names = NameServer({"me.test": ["127.0.0.1"]})
    proxy = start_proxy(f"resolvers={names.address}")
    with proxy.connect() as client:
        assert_loop(client.get(f"http://me.test:{proxy.port}/"), client)
    assert proxy.stats()["counters"]["origin_connections"] == 0
    names.close()


@pytest.fixture
def hosts(tmp_path):
    """A name of this machine that a parent is asked about; localhost it is not."""
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 origin.test\n")
    return f"hosts_file={file}"


def test_chain_of_proxies(start_proxy, hosts, origin):
    """Each is the other's origin: one name twice is a loop, two names are none."""
    inner = start_proxy("pseudonym=inner", hosts)
    for pseudonym, status in (("outer", 204), ("inner", 508)):
        outer = start_proxy(f"pseudonym={pseudonym}", f"parent=http://127.0.0.1:{inner.port}")
        with outer.connect() as client:
            assert client.get(f"http://origin.test:{origin.port}/").status == status
    assert origin.last.fields.get("Via") == "1.1 outer, 1.1 inner"


def test_parent_that_is_the_proxy_itself(start_proxy):
    proxy = start_proxy()
    port = proxy.port
    proxy.stop()
    proxy.options += [f"listen=127.0.0.1:{port}", f"parent=http://127.0.0.1:{port}"]
    proxy.start()
    with proxy.connect() as client:
        assert client.get("http://elsewhere.example/").status in (502, 508)
