"""IPv6 on both sides and in all that names an address, beside IPv4."""

import contextlib
import json
import re
import socket
import urllib.parse

import pytest

from support.nameserver import NameServer
from support.origin import respond
from support.proxy import run
from support.rawclient import Client
from support.target import connect_bytes


def has_ipv6():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="no ::1")


@pytest.fixture(name="origin")
def origin_of_ipv6(start_origin):
    origin = start_origin(host="::1")
    origin.default = respond(204, "Cache-Control: max-age=60", 'ETag: "v1"')
    return origin


class Both:
    """A proxy that listens on [::1] as well, and its ports there."""

    def __init__(self, proxy):
        said = "\n".join(proxy.output)
        self.proxy = proxy
        self.port = int(re.search(r"^export http_proxy=http://\[::1\]:(\d+) ", said, re.M)[1])
        self.admin = int(re.search(r"^stats: http://\[::1\]:(\d+)/stats", said, re.M)[1])
        found = re.search(r"^gateway: http://\[::1\]:(\d+) ", said, re.M)
        self.gateway = found and int(found[1])

    def connect(self, port=None):
        self.proxy.until_written()
        return Client(port or self.port, host="::1", seen=self.proxy.see)

    def ask(self, target, method="GET"):
        with self.connect(self.admin) as client:
            client.send(f"{method} {target} HTTP/1.1\r\nHost: [::1]:{self.admin}\r\nContent-Length: 0\r\n\r\n".encode())
            return client.response()

    def command(self, *arguments):
        return run(*arguments[:1], "-o", f"admin=[::1]:{self.admin}", *arguments[1:])


@pytest.fixture(name="start")
def start_on_both(start_proxy):
    return lambda *options: Both(start_proxy("listen=127.0.0.1:0,[::1]:0", "admin=127.0.0.1:0,[::1]:0", *options))


def test_the_same_record_by_each_door(start, origin):
    both = start(f"gateway=[::1]:0=http://{origin.authority}", f"connect_ports={origin.port}",
                 f"tunnel_http={origin.port}")
    with both.connect() as client:
        assert client.get(origin.url("/x")).stored
        assert origin.last.fields.all("Host") == [origin.authority]
    with both.connect() as client:
        assert client.get(origin.url("/x")).hit
    with both.connect(both.gateway) as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: anything\r\n\r\n")
        assert client.response().hit
    with both.connect() as client:
        client.send(connect_bytes(origin.authority) + f"GET /x HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
        assert client.message("CONNECT").status == 200 and client.response().hit
    assert len(origin.requests) == 1
    both.proxy.stop()
    lines = [json.loads(line) for line in both.proxy.log_lines()]
    assert {line["client"] for line in lines} == {"::1"}
    assert {line["origin"] for line in lines if line["outcome"] == "miss"} == {origin.authority}


def test_operators_name_literals(start, origin):
    both = start()

    def stored(path):
        with both.connect() as client:
            client.get(origin.url(path))
        both.proxy.until_written()
        return json.loads(both.ask(f"/explain?uri={origin.url(path)}").body)["verdict"]
    assert stored("/a") == "hit"
    assert json.loads(both.ask(f"/purge?uri={urllib.parse.quote(origin.url('/a'), safe='')}", "POST").body) == {"purged": 1}
    assert stored("/a") == "hit"
    assert "purged: 1 URL" in both.command("purge", origin.url("/a")).stdout
    for query in (f"host={origin.authority}", "host=[::1]", f"prefix={origin.url('/')}"):
        assert stored("/a") == "hit"
        assert both.ask(f"/purge?{query}", "POST").status == 202
        with both.connect() as client:
            assert not client.get(origin.url("/a")).hit
    assert stored("/a") == "hit"
    assert origin.url("/a") in both.command("list", "--host", origin.authority).stdout
    assert 'ETag: "v1"' in both.command("get", origin.url("/a")).stdout
    assert both.command("explain", origin.url("/a")).stdout.startswith("HIT.")
    purged = both.command("purge", "--node", f"[::1]:{both.admin}", "--node", "::1", origin.url("/a"))
    assert f"[::1]:{both.admin}: purged: 1 URL" in purged.stdout, purged


def test_names_from_a_server_of_ipv6(start, origin):
    servers = NameServer({"six.test": ["::1"]}, host="::1")
    try:
        both = start(f"resolvers={servers.address}", "allow=six.test")
        with both.connect() as client:
            assert client.get(f"http://six.test:{origin.port}/").status == 204
    finally:
        servers.close()


@pytest.mark.parametrize("options, status", [
    (["clients=::1"], 204), (["clients=2001:db8::/32,127.0.0.1"], 403), (["deny=::1"], 403),
    (["deny=::/0", "allow=::1/128"], 204), (["clients=::1,2001:db8::/32", "allow=127.0.0.1"], 403)],
    ids=lambda value: str(value))
def test_ranges(start, origin, options, status):
    both = start(*options)
    with both.connect() as client:
        assert client.get(origin.url()).status == status


@pytest.mark.parametrize("sender, source", [("::1", "192.0.2.7"), ("::1", "2001:db8::7"), ("::/64", "2001:db8::7")])
def test_a_load_balancer_of_ipv6(start, origin, sender, source):
    both = start(f"proxy_protocol_from={sender}", "clients=192.0.2.0/24,2001:db8::/32", "allow=::1")
    family = "TCP6" if ":" in source else "TCP4"
    with both.connect() as client:
        client.send(f"PROXY {family} {source} {source} 1 2\r\nGET {origin.url()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert client.response().status == 204
    both.proxy.stop()
    assert [json.loads(line)["client"] for line in both.proxy.log_lines()] == [source]


def test_a_parent_of_ipv6(start_proxy, origin):
    proxy = start_proxy(f"parent=http://{origin.authority}")
    with proxy.connect() as client:
        assert client.get("http://a.example/x").status == 204
    assert origin.lines == ["GET http://a.example/x HTTP/1.1"]


def test_a_zone_id_is_refused_and_named(proxy):
    for line in (b"GET http://[fe80::1%25lo]/ HTTP/1.1", b"CONNECT [fe80::1%lo]:443 HTTP/1.1"):
        with proxy.connect() as client:
            client.send(line + b"\r\nHost: x\r\n\r\n")
            answer = client.response()
            assert answer.status == 400 and "zone id" in answer["Proxy-Status"]


@pytest.mark.parametrize("option", [
    "listen=[fe80::1%eth0]:1", "admin=[fe80::1%eth0]:1", "gateway=[fe80::1%eth0]:1=http://a", "clients=fe80::%eth0/64",
    "gateway=127.0.0.1:1=http://[fe80::1%25eth0]", "allow=fe80::1%eth0", "resolvers=[fe80::1%eth0]:53",
    "parent=http://[fe80::1%25eth0]:3128", "proxy_protocol_from=fe80::1%eth0"])
def test_and_so_it_is_in_options(option):
    ended = run("-t", "-o", option)
    assert ended.returncode == 2 and "has a zone id, which is not supported" in ended.stderr, ended.stderr


@pytest.mark.parametrize("option", ["clients=[2001:db8::]/32", "allow=[::1]", "deny=[::1]", "proxy_protocol_from=[::1]"])
def test_brackets_are_for_addresses_with_a_port(option):
    ended = run("-t", "-o", option)
    assert ended.returncode == 2 and "has brackets; use the address without them" in ended.stderr, ended.stderr
