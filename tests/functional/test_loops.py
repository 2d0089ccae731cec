"""Requests that come back: refused by our name in Via, and by our own address."""

import re

import pytest

from support.nameserver import NameServer
from support.origin import respond
from support.target import connect_bytes

VIAS = ["1.1 ME", "HTTP/1.1 ME", "1.0 {upper}", "1.1 a, 1.1 ME (comment)", "1.1 a,1.1\tME,1.1 b", "1.1 a (open, 1.1 ME"]
OTHERS = ["1.1 ME5", "1.1 xME", "1.1 a (ME)", "1.1 ME.example", "ME 1.1", "1.1 a, 1.1 b", "1.1 cache204",
          "1.1 cache204-000000000000"]


def named(proxy, via):
    return via.replace("ME", proxy.instance).replace("{upper}", proxy.instance.upper())


def assert_loop(answer, client):
    assert answer.status == 508
    assert "error=proxy_loop_detected" in answer["Proxy-Status"]


@pytest.mark.parametrize("via", VIAS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "FOO"])
def test_our_name_in_via(proxy, connect, origin, method, via):
    client = connect()
    assert_loop(client.ask(method, origin.url(), f"Via: {named(proxy, via)}",
                           body=b"x" if method == "POST" else None), client)
    assert not origin.connections


def test_on_another_line_and_with_connect(proxy, connect, origin):
    via = f"Via: 1.1 {proxy.instance}"
    client = connect()
    assert_loop(client.get(origin.url(), "Via: 1.1 a", "Via: 1.1 b", via), client)
    client = connect()
    client.send(connect_bytes("a.example:443", via))
    assert_loop(client.response("CONNECT"), client)
    client = connect()
    assert_loop(client.get(origin.url(), "Connection: Via", via), client)


def test_no_hit_either(proxy, connect, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    client = connect()
    assert client.get(origin.url()).stored
    assert_loop(client.get(origin.url(), f"Via: 1.1 {proxy.instance}"), client)


@pytest.mark.parametrize("via", OTHERS)
def test_others_in_via(proxy, client, origin, via):
    via = named(proxy, via)
    assert client.get(origin.url(), f"Via: {via}").status == 204
    assert origin.last.fields.get("Via") == f"{via}, 1.1 {proxy.instance}"


def test_name_of_the_option(start_proxy, origin):
    """It is taken as it stands."""
    proxy = start_proxy("pseudonym=edge-1")
    with proxy.connect() as client:
        assert client.get(origin.url(), "Via: 1.1 cache204").status == 204
        assert origin.last.fields.get("Via") == "1.1 cache204, 1.1 edge-1"
        assert_loop(client.get(origin.url(), "Via: 1.1 edge-1"), client)
    assert not (proxy.store / "instance").exists()


# The preset pseudonym is everybody's

def test_each_installation_has_a_name_of_its_own(start_proxy, origin):
    first, second = start_proxy("workers=2"), start_proxy()
    assert first.instance != second.instance
    names = set()
    for _ in range(8):
        with first.connect() as client:
            assert client.get(origin.url()).status == 204
        names.add(origin.last.fields.get("Via"))
    assert names == {f"1.1 {first.instance}"}
    assert (first.store / "instance").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("method", ["restart", "kill9"])
def test_the_name_is_kept(start_proxy, origin, method):
    proxy = start_proxy()
    name = proxy.instance
    getattr(proxy, method)()
    if method == "kill9":
        proxy.start()
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 204
    assert origin.last.fields.get("Via") == f"1.1 {name}" == f"1.1 {proxy.instance}"


@pytest.mark.parametrize("content", [b"", b"0123456789ab", b"0123456789aB\n", b"0123456789abc\n", b"a b\r\nX: y\n\n\n\n"])
def test_a_file_that_is_not_ours(start_proxy, origin, content):
    proxy = start_proxy()
    proxy.stop()
    (proxy.store / "instance").write_bytes(content)
    proxy.start()
    assert len((proxy.store / "instance").read_bytes()) == 13
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 204
    assert origin.last.fields.get("Via") == f"1.1 {proxy.instance}"


def test_a_file_that_cannot_be_written(start_proxy, origin):
    proxy = start_proxy()
    proxy.stop()
    (proxy.store / "instance").unlink()
    (proxy.store / "instance").mkdir()
    proxy.start()
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 204
        via = origin.last.fields.get("Via")
        assert re.fullmatch("1.1 cache204-[0-9a-f]{12}", via)
        assert_loop(client.get(origin.url(), f"Via: {via}"), client)


def test_the_answer_to_a_loop(proxy, connect, origin):
    client = connect()
    answer = client.get(origin.url(), f"Via: 1.1 {proxy.instance}")
    assert proxy.instance.encode() in answer.body and b"option pseudonym" in answer.body
    assert answer["Proxy-Status"].startswith("cache204;") and answer.cache_status["name"] == "cache204"


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


def test_chain_of_three_with_defaults(start_proxy, hosts, origin):
    chain = [start_proxy(hosts)]
    for _ in range(2):
        chain.append(start_proxy(f"parent=http://127.0.0.1:{chain[-1].port}", "connect_ports=*"))
    origin.default = respond(204, "Cache-Control: max-age=60")
    with chain[-1].connect() as client:
        answer = client.get(f"http://origin.test:{origin.port}/")
        assert answer.status == 204
        assert answer["Cache-Status"].count("cache204;") == 3
    assert origin.last.fields.get("Via") == ", ".join(f"1.1 {proxy.instance}" for proxy in reversed(chain))


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_two_with_defaults_that_have_each_other_as_parent(start_proxy, method):
    first, second = start_proxy("connect_ports=*"), start_proxy("connect_ports=*")
    for proxy, other in ((first, second), (second, first)):
        port, parent = proxy.port, other.port
        proxy.stop()
        proxy.options += [f"listen=127.0.0.1:{port}", f"parent=http://127.0.0.1:{parent}"]
    first.start()
    second.start()
    with first.connect() as client:
        if method == "GET":
            answer = client.get("http://elsewhere.example/")
            assert answer.status == 508 and first.instance.encode() in answer.body
        else:
            client.send(connect_bytes("elsewhere.example:443"))
            assert client.response("CONNECT").status in (502, 508)
    assert first.stats()["counters"]["requests"] <= 3


def test_parent_that_is_the_proxy_itself(start_proxy):
    proxy = start_proxy()
    port = proxy.port
    proxy.stop()
    proxy.options += [f"listen=127.0.0.1:{port}", f"parent=http://127.0.0.1:{port}"]
    proxy.start()
    with proxy.connect() as client:
        assert client.get("http://elsewhere.example/").status in (502, 508)
