"""Through a parent proxy: a second one of ours, and a scripted one that shows each byte."""

import base64
import re
import socket
import ssl
import threading

import pytest

from support.http1 import Closed, Stream
from support.origin import CLOSE, NEVER, respond
from support.ports import free_port
from support.rawclient import Client
from support.tls import Authority, TlsOrigin

PASSWORD = "s3cret:with@signs"
USERINFO = "user:s3cret:with%40signs"
BASIC = "Basic " + base64.b64encode(f"user:{PASSWORD}".encode()).decode()


class Parent:
    """A proxy that answers each CONNECT from `replies` in turn (the last one repeats), and joins what
    it let in with the port of its target on 127.0.0.1. `heads` are the lines it got."""

    def __init__(self, *replies, early=b""):
        self.replies = list(replies) or [b"HTTP/1.1 200 Connection established\r\n\r\n"]
        self.early = early
        self.heads = []
        self.left = 0  # connections that ended unanswered
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.authority = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        stream = Stream(sock)
        try:
            line, fields = stream.head()
            with self.changed:
                self.heads.append((line.decode(), fields))
                self.changed.notify_all()
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            if reply is None:
                self.wait_for_the_end(stream)
            sock.sendall(reply + self.early)
            if not re.match(rb"(HTTP/1\.1 1\d\d.*\r\n\r\n)*HTTP/1\.[01] 2", reply):
                sock.close()
                return
            port = int(line.split()[1].rpartition(b":")[2])
            with socket.create_connection(("127.0.0.1", port)) as target:
                target.sendall(stream.buffered())
                back = threading.Thread(target=self.pump, args=(target, sock), daemon=True)
                back.start()
                self.pump(sock, target)
                back.join()
        except (OSError, Closed):
            pass
        finally:
            sock.close()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def wait_for_the_end(self, stream):
        """Silence until the peer leaves."""
        try:
            stream.fill()
        except Closed:
            with self.changed:
                self.left += 1
                self.changed.notify_all()
            raise

    def wait_left(self, n):
        with self.changed:
            assert self.changed.wait_for(lambda: self.left >= n, 5), self.left

    def wait_heads(self, n):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.heads) >= n, 5), self.heads
        return self.heads

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def start_parent():
    parents = []

    def start(*replies, **options):
        parents.append(Parent(*replies, **options))
        return parents[-1]

    yield start
    for parent in parents:
        parent.close()


@pytest.fixture
def hosts(tmp_path):
    """What the parent knows; the child is told nothing of it."""
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 origin.test other.test\n")
    return f"hosts_file={file}"


@pytest.fixture
def chain(start_proxy, hosts):
    """(child, parent), both ours."""
    parent = start_proxy("pseudonym=parent", hosts, "connect_ports=*")
    child = start_proxy(f"parent=http://{USERINFO}@127.0.0.1:{parent.port}", "pseudonym=child",
                        "connect_ports=*", "resolvers=127.0.0.1:1", "dns_timeout=200ms")
    return child, parent


def assert_failure(answer, status, error):
    assert answer.status == status, answer
    assert f"error={error}" in answer["Proxy-Status"]
    assert "Proxy-Authenticate" not in answer.fields


def establish(client, authority):
    client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    return client.stream.head()[0]


# Plain requests: in absolute-form


def test_request_goes_through_and_is_stored(chain, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    url = f"http://origin.test:{origin.port}/a?b"
    with chain[0].connect() as client:
        assert client.get(url).status == 204  # a name that the child cannot resolve
        assert client.get(url).hit
    assert origin.last.line == "GET /a?b HTTP/1.1"
    assert origin.last.fields.get("Host") == f"origin.test:{origin.port}"
    assert origin.last.fields.get("Via") == "1.1 child, 1.1 parent"
    assert "Proxy-Authorization" not in origin.last.fields


def test_addresses_go_through(scripted, origin):
    with scripted.connect() as client:
        assert client.get("http://192.0.2.1/").status == 403
    with scripted.connect() as client:
        assert client.get("http://8.8.8.8/a").status == 204
        assert client.get("http://[2606:4700::1]/b").status == 204
    assert origin.lines == ["GET http://8.8.8.8/a HTTP/1.1", "GET http://[2606:4700::1]/b HTTP/1.1"]


@pytest.fixture
def scripted(start_proxy, origin):
    """A child of a parent that is the scripted origin."""
    return start_proxy(f"parent=http://{USERINFO}@{origin.authority}")


def test_what_the_parent_gets(scripted, origin):
    origin.on("http://example.test/a?b", respond(200, body=b"hello"))
    with scripted.connect() as client:
        assert client.get("http://EXAMPLE.test:80/a?b").body == b"hello"
    assert origin.last.line == "GET http://example.test/a?b HTTP/1.1"
    assert origin.last.fields.get("Host") == "example.test"
    assert origin.last.fields.all("Proxy-Authorization") == [BASIC]


def test_clients_credentials_do_not_reach_the_parent(scripted, origin):
    with scripted.connect() as client:
        client.get("http://example.test/", "Proxy-Authorization: Basic bWU6bWU=")
    assert origin.last.fields.all("Proxy-Authorization") == [BASIC]


def test_without_a_password_nothing_is_sent(start_proxy, origin):
    with start_proxy(f"parent=http://{origin.authority}").connect() as client:
        assert client.get("http://example.test/").status == 204
    assert "Proxy-Authorization" not in origin.last.fields


def test_connection_is_shared_by_origins(scripted, origin):
    with scripted.connect() as client:
        for i in range(4):
            assert client.get(f"http://example{i}.test/").status == 204
    assert len(origin.connections) == 1


def test_options_for_the_server(scripted, origin):
    with scripted.connect() as client:
        assert client.ask("OPTIONS", "http://example.test").status == 204
    assert origin.last.line == "OPTIONS http://example.test HTTP/1.1"


def test_body_goes_through(scripted, origin):
    with scripted.connect() as client:
        assert client.ask("POST", "http://example.test/p", body=b"x" * 300000).status == 204
    assert origin.last.body == b"x" * 300000


def test_407_is_not_shown_as_ours(scripted, origin):
    origin.default = respond(407, 'Proxy-Authenticate: Basic realm="parent"', body=b"who?")
    with scripted.connect() as client:
        assert_failure(client.get("http://example.test/"), 502, "proxy_configuration_error")


def test_407_of_an_origin_is_not_shown_as_ours(client, origin):
    origin.default = respond(407, 'Proxy-Authenticate: Basic realm="origin"')
    assert_failure(client.get(origin.url()), 502, "http_protocol_error")


# Without it


@pytest.mark.parametrize("exception", ["origin.test", ".test"])
def test_no_proxy(start_proxy, start_origin, hosts, exception):
    parent, origin = start_origin(), start_origin()
    proxy = start_proxy(f"parent=http://{parent.authority}", f"no_proxy={exception}", hosts)
    with proxy.connect() as client:
        assert client.get(f"http://origin.test:{origin.port}/direct").status == 204
        assert client.get("http://elsewhere.example/").status == 204
    assert origin.lines == ["GET /direct HTTP/1.1"]
    assert "Proxy-Authorization" not in origin.last.fields
    assert parent.lines == ["GET http://elsewhere.example/ HTTP/1.1"]


THIS_MACHINE = ["localhost", "LocalHost.", "origin.localhost", "127.0.0.1", "127.9.9.9", "[::ffff:127.0.0.1]"]


@pytest.mark.parametrize("host", THIS_MACHINE)
def test_this_machine_is_never_the_parents(start_proxy, start_origin, host):
    """It would be the parent's own machine there."""
    parent, origin = start_origin(), start_origin(host="127.9.9.9" if host == "127.9.9.9" else "127.0.0.1")
    proxy = start_proxy(f"parent=http://{parent.authority}", "connect_ports=*")
    with proxy.connect() as client:
        assert client.get(f"http://{host}:{origin.port}/here").status == 204
        assert b" 200 " in establish(client, f"{host}:{origin.port}")
        client.send(b"GET /inner HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().status == 204
    assert origin.lines == ["GET /here HTTP/1.1", "GET /inner HTTP/1.1"]
    assert not parent.heads


def test_this_machine_is_not_the_parents_for_a_gateway_either(start_proxy, start_origin):
    parent, origin = start_origin(), start_origin()
    address = f"127.0.0.1:{free_port()}"
    start_proxy(f"parent=http://{parent.authority}", f"gateway={address}=http://localhost:{origin.port}")
    with Client(int(address.rpartition(":")[2])) as client:
        client.send(b"GET /here HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().status == 204
    assert origin.lines == ["GET /here HTTP/1.1"] and not parent.heads


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_unspecified_address_is_not_the_parents_either(start_proxy, origin, host):
    """It reaches this machine, and is refused by default."""
    with start_proxy(f"parent=http://{origin.authority}").connect() as client:
        assert client.get(f"http://{host}:{origin.port}/").status == 403
    assert not origin.heads


def test_network_in_no_proxy_says_nothing_of_names(start_proxy, start_origin, hosts):
    parent, origin = start_origin(), start_origin()
    proxy = start_proxy(f"parent=http://{parent.authority}", "no_proxy=127.0.0.0/8", hosts)
    with proxy.connect() as client:
        client.get(f"http://origin.test:{origin.port}/")
    assert parent.lines and not origin.lines


# CONNECT


def test_tunnel_through_both(chain, origin):
    with chain[0].connect() as client:
        assert b" 200 " in establish(client, f"origin.test:{origin.port}")
        client.send(b"GET /inner HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().status == 204
    assert origin.last.line == "GET /inner HTTP/1.1"
    assert "Via" not in origin.last.fields


def test_what_the_parent_gets_of_a_tunnel(start_proxy, start_parent, origin):
    parent = start_parent()
    proxy = start_proxy(f"parent=http://{USERINFO}@{parent.authority}", "connect_ports=*")
    with proxy.connect() as client:
        assert b" 200 " in establish(client, f"example.test:{origin.port}")
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().status == 204
    (line, fields), = parent.heads
    assert line == f"CONNECT example.test:{origin.port} HTTP/1.1"
    assert fields.all("Host") == [f"example.test:{origin.port}"]
    assert fields.all("Proxy-Authorization") == [BASIC]
    assert fields.get("Via") == f"1.1 {proxy.instance}"


def test_bytes_right_behind_the_answer_are_the_tunnels(start_proxy, start_parent, origin):
    parent = start_parent(early=b"220 hello\r\n")
    proxy = start_proxy(f"parent=http://{parent.authority}", "connect_ports=*")
    with proxy.connect() as client:
        assert b" 200 " in establish(client, f"example.test:{origin.port}")
        assert client.stream.until(b"\r\n") == b"220 hello"


def test_early_bytes_of_the_client_come_after(start_proxy, start_parent, origin):
    parent = start_parent()
    proxy = start_proxy(f"parent=http://{parent.authority}", "connect_ports=*")
    authority = f"example.test:{origin.port}"
    with proxy.connect() as client:
        client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"
                    "GET /early HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 200 " in client.stream.head()[0]
        assert client.response().status == 204
    assert origin.last.line == "GET /early HTTP/1.1"


@pytest.mark.parametrize("reply, error", [
    (b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 0\r\n\r\n",
     "proxy_configuration_error"),
    (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope", "destination_unavailable"),
    (b"HTTP/1.1 302 Found\r\nLocation: http://login.test/\r\n\r\n", "destination_unavailable"),
    (b"HTTP/1.1 503 Busy\r\n\r\n", "destination_unavailable"),
    (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "destination_unavailable"),
    (b"220 smtp.test\r\n", "http_protocol_error"),
    (b"HTTP/1.1 2", "destination_unavailable"),
    (b"", "destination_unavailable")], ids=["407", "403", "302", "503", "101", "smtp", "cut", "fin"])
def test_tunnel_that_the_parent_refuses(start_proxy, start_parent, reply, error):
    parent = start_parent(reply)
    proxy = start_proxy(f"parent=http://{parent.authority}")
    with proxy.connect() as client:
        client.send(b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n")
        assert_failure(client.response("CONNECT"), 502, error)


def test_interim_answers_to_connect(start_proxy, start_parent, origin):
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    parent = start_parent(interim * 2 + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    proxy = start_proxy(f"parent=http://{parent.authority}", "connect_ports=*", "interim_responses=2")
    with proxy.connect() as client:
        assert b" 200 " in establish(client, f"example.test:{origin.port}")
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().status == 204


def test_client_that_leaves_ends_the_question(start_proxy, start_parent):
    parent = start_parent(None)
    proxy = start_proxy(f"parent=http://{parent.authority}")
    with proxy.connect() as client:
        client.send(b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n")
        parent.wait_heads(1)
        client.reset()
        parent.wait_left(1)


# https origins: TLS inside a tunnel


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def tls_origin(authority):
    origin = TlsOrigin(authority.issue("DNS:origin.test"))
    yield origin
    origin.close()
    assert not origin.faults


def test_https_origin_through_both(start_proxy, hosts, authority, tls_origin):
    parent = start_proxy("pseudonym=parent", hosts, "connect_ports=*")
    child = start_proxy(f"parent=http://127.0.0.1:{parent.port}", f"tls_ca_file={authority.file}")
    tls_origin.default = respond(204, "Cache-Control: max-age=60")
    with child.connect() as client:
        assert client.get(tls_origin.url("/x")).status == 204
        assert client.get(tls_origin.url("/y")).status == 204
        assert client.get(tls_origin.url("/x")).hit
    assert tls_origin.lines == ["GET /x HTTP/1.1", "GET /y HTTP/1.1"]
    assert len(tls_origin.connections) == 1
    assert tls_origin.last.fields.get("Via") == f"1.1 {child.instance}"  # the parent saw none of it


def test_certificate_is_verified_behind_the_tunnel(start_proxy, start_parent, tls_origin):
    parent = start_parent()
    with start_proxy(f"parent=http://{parent.authority}").connect() as client:
        assert_failure(client.get(tls_origin.url()), 502, "tls_certificate_error")


def test_via_of_the_request_goes_with_its_tunnel(start_proxy, start_parent, authority, tls_origin):
    parent = start_parent()
    proxy = start_proxy(f"parent=http://{USERINFO}@{parent.authority}", f"tls_ca_file={authority.file}")
    with proxy.connect() as client:
        assert client.get(tls_origin.url(), "Via: 1.1 before").status == 204
    (line, fields), = parent.heads
    assert line == f"CONNECT origin.test:{tls_origin.port} HTTP/1.1"
    assert fields.get("Via") == f"1.1 before, 1.1 {proxy.instance}"
    assert fields.all("Proxy-Authorization") == [BASIC]
    assert "Proxy-Authorization" not in tls_origin.last.fields


def test_kept_tunnel_that_died_is_replaced(start_proxy, start_parent, authority, tls_origin):
    parent = start_parent()
    proxy = start_proxy(f"parent=http://{parent.authority}", f"tls_ca_file={authority.file}")
    tls_origin.on("/dies", [CLOSE])
    with proxy.connect() as client:
        assert client.get(tls_origin.url("/a")).status == 204
        answer = client.get(tls_origin.url("/dies"))
        assert_failure(answer, 502, "connection_terminated")
    assert len(parent.heads) == 2  # tried once more, on a tunnel of its own


def test_parent_that_speaks_in_the_place_of_tls(start_proxy, start_parent, tls_origin):
    parent = start_parent(early=b"hello")
    with start_proxy(f"parent=http://{parent.authority}").connect() as client:
        assert_failure(client.get(tls_origin.url()), 502, "tls_protocol_error")


@pytest.mark.parametrize("reply, error", [
    (b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", "proxy_configuration_error"),
    (b"HTTP/1.1 200 OK\r\n", "destination_unavailable")], ids=["407", "cut"])
def test_https_origin_that_the_parent_refuses(start_proxy, start_parent, reply, error):
    parent = start_parent(reply)
    with start_proxy(f"parent=http://{parent.authority}").connect() as client:
        assert_failure(client.get("https://origin.test/"), 502, error)


# A parent that is not there


@pytest.mark.parametrize("ask", ["plain", "https", "connect"])
def test_parent_that_is_down(start_proxy, ask):
    port = free_port()
    with start_proxy(f"parent=http://127.0.0.1:{port}").connect() as client:
        assert_failure(ask_for(client, ask), 502, "destination_unavailable")


def ask_for(client, what):
    if what == "connect":
        client.send(b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n")
        return client.response("CONNECT")
    return client.get("http://example.test/" if what == "plain" else "https://example.test/")


@pytest.mark.parametrize("ask", ["https", "connect"])
def test_parent_that_does_not_answer(start_proxy, start_parent, ask):
    parent = start_parent(None)
    proxy = start_proxy(f"parent=http://{parent.authority}", "first_byte_timeout=300ms")
    with proxy.connect() as client:
        assert_failure(ask_for(client, ask), 504, "connection_timeout")


def test_parent_that_does_not_answer_a_request(start_proxy, origin):
    origin.default = [NEVER]
    proxy = start_proxy(f"parent=http://{origin.authority}", "first_byte_timeout=300ms")
    with proxy.connect() as client:
        assert_failure(client.get("http://example.test/"), 504, "connection_read_timeout")


def test_parent_whose_name_is_unknown(start_proxy):
    with start_proxy("parent=http://parent.invalid:3128").connect() as client:
        assert_failure(client.get("http://example.test/"), 502, "destination_unavailable")


# Rules and loops


@pytest.mark.parametrize("url, status", [
    ("http://denied.test/", 403), ("https://sub.denied.test/", 403), ("http://10.0.0.1/", 403),
    ("http://169.254.169.254/", 403), ("http://0x7f.1/", 400), ("http://2130706433/", 400),
    ("http://127.1/", 400), ("https://0x7f.1/", 400)])
def test_rules_hold_for_what_the_request_names(start_proxy, origin, url, status):
    proxy = start_proxy(f"parent=http://{origin.authority}", "deny=.denied.test,10.0.0.0/8")
    with proxy.connect() as client:
        assert client.get(url).status == status
    assert not origin.heads


def test_localhost_is_judged_as_loopback(start_proxy, origin):
    proxy = start_proxy(f"parent=http://{origin.authority}", "deny=127.0.0.0/8")
    with proxy.connect() as client:
        assert client.get("http://localhost/").status == 403
    assert not origin.heads


def test_parent_may_be_where_clients_may_not_go(start_proxy, origin):
    proxy = start_proxy(f"parent=http://{origin.authority}", "deny=127.0.0.0/8")
    with proxy.connect() as client:
        assert client.get("http://example.test/").status == 204
    with proxy.connect() as client:
        assert client.get(f"http://{origin.authority}/").status == 403


def test_itself_as_parent_is_a_loop(start_proxy):
    port = free_port()
    proxy = start_proxy(f"listen=127.0.0.1:{port}", f"parent=http://127.0.0.1:{port}")
    for ask in ("plain", "https", "connect"):
        with proxy.connect() as client:
            assert ask_for(client, ask).status == 508


@pytest.mark.parametrize("ask", ["plain", "https", "connect"])
def test_two_that_have_each_other_as_parent(start_proxy, ask):
    port = free_port()
    one = start_proxy(f"parent=http://127.0.0.1:{port}", "pseudonym=one")
    start_proxy(f"listen=127.0.0.1:{port}", f"parent=http://127.0.0.1:{one.port}", "pseudonym=two")
    with one.connect() as client:
        assert ask_for(client, ask).status in (502, 508)


# The password


def test_password_is_shown_nowhere(start_proxy, start_parent, origin):
    parent = start_parent(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
    proxy = start_proxy(f"parent=http://{USERINFO}@{parent.authority}", "log_level=debug")
    answers = []
    for ask in ("plain", "https", "connect"):
        with proxy.connect() as client:
            answers.append(repr(ask_for(client, ask)))
    told = proxy.told() + "".join(answers).encode()
    for secret in (PASSWORD, USERINFO, BASIC[6:], "s3cret"):
        assert secret.encode() not in told
