"""Unix sockets of the proxy and of gateways, and an origin that listens on one."""

import json
import os
import socket
import stat
import struct

import pytest

from support.origin import CLOSE, respond
from support.proxy import run
from support.rawclient import Client, request_bytes
from support.until import until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture(name="paths")
def paths_of_sockets(tmp_path_factory):
    # a socket's path is at most 107 bytes long
    base = tmp_path_factory.getbasetemp()
    folder = base / f"u{os.getpid()}.{len(os.listdir(base))}"
    folder.mkdir()
    return lambda name: folder / name


@pytest.fixture(name="path")
def path_of_a_socket(paths):
    return paths("p")


def fresh():
    return respond(204, "Cache-Control: max-age=60", 'ETag: "v1"')


def ask(path, target, *fields, method="GET", host="localhost", body=None):
    with Client(None, path=path) as client:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        client.send(("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b""))
        return client.response(method)


def entries(proxy):
    proxy.stop()
    return [json.loads(line) for line in proxy.log_lines()]


# ---- the proxy ------------------------------------------------------------------------------------


def test_the_proxy_listens_on_one(start_proxy, origin, path):
    proxy = start_proxy(f"listen=127.0.0.1:0,unix:{path}")
    origin.on("/", fresh())
    assert stat.S_IMODE(path.lstat().st_mode) == 0o666
    assert ask(path, origin.url(), host=origin.authority).stored
    proxy.written = True
    with proxy.connect() as client:
        assert client.get(origin.url()).hit
    assert ask(path, origin.url(), 'If-None-Match: "v1"', host=origin.authority).status == 304
    assert ask(path, "/x").status == 400
    listeners = {row["address"]: row["connections"] for row in proxy.stats()["listeners"]}
    assert listeners[f"unix:{path}"] == 3
    assert f"--unix-socket '{path}' --request-target http://example.com/ " in "\n".join(proxy.output)
    assert [(e["client"], e["client_port"]) for e in entries(proxy)].count(("unix:", 0)) == 3
    assert not path.exists()


def test_it_tunnels(start_proxy, start_origin, path):
    """Both ways, more than is copied: what the kernel moves between a Unix socket and TCP as well."""
    start_proxy(f"listen=127.0.0.1:0,unix:{path}", "connect_ports=*")
    sent = os.urandom(3 << 20)
    with socket.create_server(("127.0.0.1", 0)) as server, Client(None, path=path, timeout=20) as client:
        client.send(f"CONNECT 127.0.0.1:{server.getsockname()[1]} HTTP/1.1\r\n"
                    f"Host: 127.0.0.1:{server.getsockname()[1]}\r\n\r\n".encode())
        assert client.response("CONNECT").status == 200
        peer = server.accept()[0]
        with peer:
            peer.settimeout(20)
            for write, read in ((client.sock, peer), (peer, client.sock)):
                write.setblocking(False)
                got, at = bytearray(), 0
                while len(got) < len(sent):
                    try:
                        at += write.send(sent[at:at + 65536]) if at < len(sent) else 0
                    except BlockingIOError:
                        pass
                    if at >= len(sent) or at - len(got) > 1 << 18:
                        got += read.recv(1 << 18)
                write.settimeout(20)
                assert got == sent
            client.sock.shutdown(socket.SHUT_WR)
            assert peer.recv(1) == b""


def test_who_comes_by_one_needs_no_network(start_proxy, origin, path):
    """Its file's mode says who may; the rules for destinations hold."""
    proxy = start_proxy(f"listen=127.0.0.1:0,unix:{path}", "clients=192.0.2.0/24", "listen_mode=0600",
                        f"deny=127.0.0.2,127.0.0.1/32", "allow=127.0.0.1")
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert ask(path, origin.url(), host=origin.authority).status == 204
    assert ask(path, "http://127.0.0.2/", host="127.0.0.2").status == 403
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 403


# ---- gateways -------------------------------------------------------------------------------------


@pytest.fixture(name="app")
def app_at_a_socket(start_origin, paths):
    return start_origin(host="app.example", path=paths("app"))


@pytest.fixture(name="gateway")
def gateway_of_the_app(start_proxy, paths, app):
    path = paths("g")
    return start_proxy(f"gateway=unix:{path}=http://app.example@unix:{paths('app')}"), path


def test_a_gateway_between_two(gateway, app):
    proxy, path = gateway
    app.on("/ping", fresh())
    assert ask(path, "/ping").stored
    assert app.last.line == "GET /ping HTTP/1.1" and app.last.fields.all("Host") == ["app.example"]
    proxy.until_written()
    until(lambda: ask(path, "/ping").hit, "it is in the store")
    assert ask(path, "/ping", 'If-None-Match: "v1"').status == 304
    body = os.urandom(300_000)
    app.on("/post", respond(200, body=body))
    answer = ask(path, "/post", method="POST", body=body)
    assert answer.body == body and app.last.body == body
    entry = [e for e in entries(proxy) if e["outcome"] == "miss"][0]
    assert (entry["client"], entry["origin"], entry["target"]) == ("unix:", "unix:", "http://app.example/ping")


def test_connections_to_it_are_kept(gateway, app):
    _, path = gateway
    with Client(None, path=path) as client:
        for n in range(3):
            client.send(f"GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert client.response().status == 204
    assert len(app.connections) == 1


def test_its_answers_are_not_for_clients_of_the_proxy(gateway, app):
    """They may not go where the operator's gateway leads, and what it got there is no answer to them."""
    proxy, path = gateway
    app.on("/ping", fresh())
    assert ask(path, "/ping").stored
    until(lambda: ask(path, "/ping").hit, "it is in the store")
    with proxy.connect() as client:
        answer = client.get("http://app.example/ping")
        assert answer.status == 502 and not answer.hit


def test_an_origin_that_is_away(gateway, app, paths, start_origin):
    proxy, path = gateway
    app.refuse()
    assert ask(path, "/").status == 502
    paths("app").unlink()
    assert ask(path, "/").status == 502
    assert f"connect to unix:{paths('app')}: Connection refused" in proxy.errors()
    start_origin(host="app.example", path=paths("app"))
    assert ask(path, "/").status == 204


def test_an_origin_that_is_behind_with_accepting(start_proxy, paths):
    """The kernel does not wait for room in the queue of a Unix socket: the proxy does."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(paths("app")))
        server.listen(0)
        proxy = start_proxy(f"gateway=unix:{paths('g')}=http://app.example@unix:{paths('app')}")
        clients = [Client(None, path=paths("g")) for _ in range(4)]
        for n, client in enumerate(clients):
            client.send(f"GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        until(lambda: proxy.stats()["gauges"]["exchanges"] == 4, "all are asked")
        for _ in clients:
            peer, _ = server.accept()
            peer.settimeout(5)
            assert peer.recv(4096).startswith(b"GET /")
            peer.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            peer.close()
        assert [client.response().status for client in clients] == [204] * 4
        for client in clients:
            client.close()


def test_an_answer_that_breaks_off(gateway, app):
    _, path = gateway
    app.on("/cut", [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", CLOSE])
    assert not ask(path, "/cut").complete


# ---- behind a load balancer -----------------------------------------------------------------------


def v2_unix():
    return SIGNATURE + b"\x21\x31" + struct.pack("!H", 216) + bytes(216)


@pytest.mark.parametrize("header, client", [
    (b"PROXY TCP4 192.0.2.7 192.0.2.9 1234 443\r\n", "192.0.2.7"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::9 1234 443\r\n", "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", "unix:"), (v2_unix(), "unix:"), (SIGNATURE + b"\x20\0\0\0", "unix:")],
    ids=["v1", "v1 IPv6", "v1 unknown", "v2 Unix", "v2 local"])
def test_the_client_is_the_one_named(start_proxy, origin, path, header, client):
    proxy = start_proxy(f"listen=127.0.0.1:0,unix:{path}", "proxy_protocol_from=unix:",
                        "clients=192.0.2.0/24,2001:db8::/32", "allow=127.0.0.1")
    with Client(None, path=path) as connection:
        connection.send(header + request_bytes("GET", origin.url()))
        assert connection.response().status == 204
    assert [e["client"] for e in entries(proxy)] == [client]


def test_all_of_them_need_the_header(start_proxy, origin, path):
    proxy = start_proxy(f"listen=127.0.0.1:0,unix:{path}", "proxy_protocol_from=unix:", "allow=127.0.0.1")
    with Client(None, path=path) as connection:
        connection.send(request_bytes("GET", origin.url()))
        assert connection.end() in ("fin", "rst")
    with Client(None, path=path) as connection:
        connection.send(b"PROXY TCP4 203.0.113.1 192.0.2.9 1234 443\r\n" + request_bytes("GET", origin.url()))
        assert connection.response().status == 403
    with proxy.connect() as connection:  # by TCP no header is asked for
        assert connection.get(origin.url()).status == 204


# ---- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("options, says", [
    (["listen=unix:p.sock"], "has no absolute path"),
    (["listen=unix:@name"], "unix:@name is an abstract name"),
    (["listen=unix:/" + "a" * 107], "longer than the 107 bytes"),
    (["gateway=unix:@name=http://a"], "unix:@name is an abstract name"),
    (["gateway=127.0.0.1:1=http://a@unix:@name"], "unix:@name is an abstract name"),
    (["gateway=127.0.0.1:1=http://a@unix:name"], "has no absolute path"),
    (["gateway=127.0.0.1:1=http://a@unix:"], "has no absolute path"),
    (["gateway=127.0.0.1:1=http://a@unix:/" + "b" * 107], "longer than the 107 bytes"),
    (["gateway=127.0.0.1:1=unix:/run/app.sock"], "name its origin as well, as http://app.example@unix:/path"),
    (["gateway=127.0.0.1:1=http://u:secret@a@unix:/x"], "has a user; leave that out"),
    (["listen=unix:/x", "admin=unix:/x"], "unix:/x is listened on twice"),
    (["listen=unix:/x", "gateway=unix:/x=http://a"], "unix:/x is listened on twice"),
    (["gateway=127.0.0.1:1=http://a@unix:/x", "admin=unix:/x"], "unix:/x cannot be an origin, as admin listens on it"),
    (["gateway=127.0.0.1:1=http://a@unix:/x,127.0.0.1:2=http://a@unix:/y"], "one origin has one socket"),
    (["proxy_protocol_from=unix:/x"], "unix:/x has a path; use unix: for all"),
    (["listen_mode=7777"], "not a file's mode in octal"),
])
def test_configurations_that_are_refused(options, says):
    ended = run("-t", *(a for option in options for a in ("-o", option)))
    assert ended.returncode == 2 and says in ended.stderr and "secret" not in ended.stderr, ended.stderr


@pytest.mark.parametrize("options", [
    ["listen=unix:/" + "a" * 106], ["gateway=unix:/a=b.sock=http://a@unix:/c@d"],
    ["gateway=unix:/a=https://a:8443@unix:/c,127.0.0.1:1=http://b@unix:/c"]])
def test_configurations_that_are_taken(options):
    ended = run("-t", *(a for option in options for a in ("-o", option)))
    assert ended.returncode == 0, ended.stderr


def test_env_names_what_a_program_can_be_given(path):
    ended = run("env", "--shell", "-o", f"listen=unix:{path},127.0.0.1:4000")
    assert ended.returncode == 0 and "http://127.0.0.1:4000" in ended.stdout, ended
    ended = run("env", "-o", f"listen=unix:{path}")
    assert ended.returncode == 2 and "which http_proxy cannot name" in ended.stderr, ended
