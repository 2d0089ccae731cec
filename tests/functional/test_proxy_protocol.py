"""Behind a load balancer: the PROXY protocol tells whose connection it is."""

import ipaddress
import json
import struct

import pytest

from support.origin import respond
from support.ports import free_port
from support.rawclient import Client

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source="192.0.2.7", port=1234, target="192.0.2.9"):
    family = "TCP6" if ":" in source else "TCP4"
    target = "2001:db8::9" if ":" in source else target
    return f"PROXY {family} {source} {target} {port} 443\r\n".encode()


def v2(source=None, port=1234, tlvs=b"", local=False):
    if source is None:
        block, family = b"", 0
    else:
        packed = ipaddress.ip_address(source).packed
        block, family = packed * 2 + struct.pack("!HH", port, 443), 0x11 if len(packed) == 4 else 0x21
    block += tlvs
    return SIGNATURE + bytes([0x20 if local else 0x21, family]) + struct.pack("!H", len(block)) + block


def get(url):
    return f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.fixture
def behind(start_proxy):
    return start_proxy("proxy_protocol_from=127.0.0.0/8", "clients=192.0.2.0/24,2001:db8::/32", "allow=127.0.0.1")


@pytest.fixture
def counted(start_proxy):
    """The same, with an admin listener that this test may ask."""
    return start_proxy("proxy_protocol_from=127.0.0.0/8", "clients=192.0.2.0/24,127.0.0.0/8", "allow=127.0.0.1")


def logged_clients(proxy):
    proxy.stop()
    return [(entry["client"], entry.get("client_port")) for entry in map(json.loads, proxy.log_lines())]


@pytest.mark.parametrize("header, client", [
    (v1(), "192.0.2.7"), (v1("2001:db8::7"), "2001:db8::7"),
    (v2("192.0.2.7"), "192.0.2.7"), (v2("2001:db8::7"), "2001:db8::7"),
    (v2("::ffff:192.0.2.7"), "192.0.2.7"),
    (v2("192.0.2.7", tlvs=b"\x01\x00\x02h2\x04\x00\x00"), "192.0.2.7")],
    ids=["v1", "v1 IPv6", "v2", "v2 IPv6", "v2 mapped", "v2 with more"])
def test_client_is_the_one_named(behind, origin, header, client):
    with behind.connect() as connection:
        connection.send(header + get(origin.url()))
        assert connection.response().status == 204
        assert connection.get(origin.url("/again")).status == 204
    assert [address for address, _ in logged_clients(behind)] == [client] * 2


@pytest.mark.parametrize("header", [v1(), v2("192.0.2.7", tlvs=b"\x04\x00\x05hello")], ids=["v1", "v2"])
def test_split_at_every_byte(behind, origin, header):
    data = header + get(origin.url())
    for at in range(1, len(header) + 2):
        with behind.connect() as connection:
            connection.send(data[:at])
            connection.send(data[at:])
            assert connection.response().status == 204
    with behind.connect() as connection:
        connection.send_bytewise(data)
        assert connection.response().status == 204


def test_client_named_may_not(behind, origin):
    for header in (v1("198.51.100.1"), v2("198.51.100.1")):
        with behind.connect() as connection:
            connection.send(header + get(origin.url()))
            assert_refused(connection)
    assert not origin.heads


def assert_refused(connection):
    """An answer that says no, or a closed connection."""
    from support.http1 import Closed

    try:
        assert connection.response().status == 403
    except Closed:
        pass


@pytest.mark.parametrize("data", [
    get("http://127.0.0.1/"), b"PROXY TCP4 192.0.2.7 192.0.2.9 1 2\n", b"PROXY TCP4 x y 1 2\r\n",
    v1()[:-2] + b" 5\r\n", SIGNATURE + b"\x21\x11\x00\x01x", SIGNATURE + b"\x41\x11\x00\x00",
    SIGNATURE + b"\x21\x11\xff\xff", b"PROXY UNKNOWN" + b"x" * 200], ids=range(8))
def test_wrong_header_closes(counted, origin, data):
    with counted.connect() as connection:
        connection.send(data + get(origin.url()))
        assert connection.end() in ("fin", "rst")
    assert not origin.heads
    assert counted.stats()["counters"]["proxy_header_bad"] == 1
    assert counted.errors().count("proxy_header_bad: 127.0.0.1: closed, as it did not begin with") == 1


def test_header_twice_is_no_request(behind, origin):
    with behind.connect() as connection:
        connection.send(v1() + v1() + get(origin.url()))
        assert connection.response().status == 400
    assert not origin.heads


def test_health_checks(behind, origin):
    """The sender's own connections are taken, though it is no client itself."""
    with behind.connect():
        pass  # a look whether the port is open
    with behind.connect() as connection:
        connection.send(v2(local=True))
    with behind.connect() as connection:
        connection.send(v2(local=True) + get(origin.url()))
        assert connection.response().status == 204
    assert [address for address, _ in logged_clients(behind)] == ["127.0.0.1"]


def test_client_that_is_not_named_counts_as_the_sender(start_proxy, origin):
    for clients, status in (("192.0.2.0/24", None), ("127.0.0.0/8", 204)):
        proxy = start_proxy("proxy_protocol_from=127.0.0.0/8", f"clients={clients}", "allow=127.0.0.1")
        for header in (b"PROXY UNKNOWN\r\n", v2()):
            with proxy.connect() as connection:
                connection.send(header + get(origin.url()))
                if status:
                    assert connection.response().status == status
                else:
                    assert_refused(connection)


def test_silence_ends_at_the_deadline(start_proxy):
    proxy = start_proxy("proxy_protocol_from=127.0.0.0/8", "head_timeout=300ms")
    for data in (b"", b"PROXY TCP4"):
        with proxy.connect() as connection:
            connection.send(data)
            assert connection.end() in ("fin", "rst")


def test_others_need_no_header_and_may_not_send_one(start_proxy, origin):
    proxy = start_proxy("proxy_protocol_from=192.0.2.0/24", "allow=127.0.0.1")
    with proxy.connect() as connection:
        assert connection.get(origin.url()).status == 204
    for header in (v1(), v2("192.0.2.7")):
        with proxy.connect() as connection:
            connection.send(header + get(origin.url()))
            assert connection.response().status == 400
    assert len(origin.requests) == 1


def test_off_by_default(proxy, origin):
    with proxy.connect() as connection:
        connection.send(v1() + get(origin.url()))
        assert connection.response().status == 400


def test_look_at_the_port_is_no_wrong_header(counted):
    with counted.connect() as connection:
        connection.half_close()
        assert connection.end() in ("fin", "rst")
    assert counted.stats()["counters"]["proxy_header_bad"] == 0  # and the admin listener takes none


def test_gateway(start_proxy, origin):
    port = free_port()
    proxy = start_proxy(f"gateway=127.0.0.1:{port}=http://{origin.authority}",
                        "proxy_protocol_from=127.0.0.1", "clients=192.0.2.0/24")
    origin.default = respond(200, body=b"hello")
    with Client(port) as connection:
        connection.send(v2("192.0.2.7") + get("/x"))
        assert connection.response().body == b"hello"
    assert [address for address, _ in logged_clients(proxy)] == ["192.0.2.7"]
