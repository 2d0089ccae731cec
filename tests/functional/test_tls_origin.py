"""https origins: fetched over TLS, with everything about the peer verified."""

import os
import socket
import ssl
import threading

import pytest

from support.origin import CLOSE, chunked, respond
from support.tls import Authority, TlsOrigin, close_notify


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("DNS:origin.test", "DNS:*.wild.test", "IP:127.0.0.1")


@pytest.fixture
def hosts(tmp_path):
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 origin.test other.test a.wild.test a.b.wild.test wild.test\n")
    return f"hosts_file={file}"


@pytest.fixture
def tls_proxy(start_proxy, authority, hosts):
    return start_proxy(f"tls_ca_file={authority.file}", hosts)


@pytest.fixture
def client(tls_proxy):
    with tls_proxy.connect() as client:
        yield client


@pytest.fixture
def start_tls_origin():
    origins = []

    def start(certificate, **options):
        origins.append(TlsOrigin(certificate, **options))
        return origins[-1]

    yield start
    for origin in origins:
        origin.close()
    faults = [fault for origin in origins for fault in origin.faults]
    assert not faults, f"the proxy sent malformed requests: {faults}"


@pytest.fixture
def origin(start_tls_origin, certificate):
    return start_tls_origin(certificate)


def assert_failure(answer, status, error):
    assert answer.status == status, answer
    assert f"error={error}" in answer["Proxy-Status"]


# What is asked, and what comes back


def test_fetched_and_stored(client, origin):
    origin.default = respond(204, "Cache-Control: max-age=60", "X-Secret: yes")
    first = client.get(origin.url("/a?b=c"))
    assert first.status == 204 and first.fwd == "uri-miss" and first.stored
    assert origin.last.line == "GET /a?b=c HTTP/1.1"
    assert origin.last.fields.get("Host") == origin.authority
    again = client.get(origin.url("/a?b=c"))
    assert again.hit and again["X-Secret"] == "yes"
    assert len(origin.requests) == 1


def test_default_port_is_443(start_proxy, hosts, authority):
    with start_proxy(f"tls_ca_file={authority.file}", hosts, "connect_timeout=300ms").connect() as client:
        answer = client.get("https://origin.test/")
    assert answer.status in (502, 504)  # nobody is there; it is tried all the same


def test_http_and_https_have_records_of_their_own(client, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    assert client.get(origin.url("/")).status == 204
    plain = client.get(f"http://{origin.authority}/")
    assert plain.status != 204  # the port speaks TLS only, and the https record is none for http


def test_server_name_and_protocol_are_sent(client, origin):
    client.get(origin.url())
    assert origin.names == ["origin.test"]
    assert origin.connections[0].protocol == "http/1.1"


def test_no_server_name_is_sent_for_an_address(client, start_tls_origin, certificate):
    origin = start_tls_origin(certificate, name="127.0.0.1")
    assert client.get(origin.url()).status == 204
    assert origin.names == [None]


def test_wildcard_names_one_label(tls_proxy, start_tls_origin, certificate):
    for name, good in (("a.wild.test", True), ("a.b.wild.test", False), ("wild.test", False)):
        with tls_proxy.connect() as client:
            answer = client.get(start_tls_origin(certificate, name=name).url())
        if good:
            assert answer.status == 204
        else:
            assert_failure(answer, 502, "tls_certificate_error")


def test_content_both_ways(client, origin):
    body = bytes(range(256)) * 8000
    origin.on("/put", respond(200, body=body[::-1]))
    answer = client.ask("PUT", origin.url("/put"), body=body)
    assert answer.complete and answer.body == body[::-1]
    assert origin.last.body == body


def test_chunked_content(client, origin):
    origin.on("/c", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
              chunked(b"a" * 20000, b"b", b"c" * 70000))
    assert client.get(origin.url("/c")).body == b"a" * 20000 + b"b" + b"c" * 70000


def test_slow_client_gets_all(tls_proxy, origin):
    """What is decrypted but not taken yet is not forgotten while the client holds back."""
    body = bytes(range(251)) * 20000
    origin.on("/big", respond(200, body=body))
    with tls_proxy.connect(receive_buffer=4096) as client:
        client.request("GET", origin.url("/big"))
        origin.wait_requests(1)
        assert client.response().body == body


def test_connection_is_reused(client, origin):
    for i in range(4):
        assert client.get(origin.url(f"/{i}")).status == 204
    assert len(origin.connections) == 1


def test_bytes_on_an_idle_connection_close_it(client, origin):
    # said by the connection's own thread: TLS is for one at a time
    go = threading.Event()
    origin.on("/", [respond(204), go, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"],
              respond(204))
    assert client.get(origin.url()).status == 204
    go.set()
    origin.wait_all_closed()
    assert client.get(origin.url()).status == 204
    assert len(origin.connections) == 2


def test_part_of_a_record_on_an_idle_connection_closes_it(client, origin):
    """Half of what nobody asked for is no beginning of the next answer."""
    assert client.get(origin.url()).status == 204
    raw = socket.socket(fileno=os.dup(origin.connections[0].sock.fileno()))
    raw.sendall(b"\x17\x03\x03")
    raw.close()
    assert client.get(origin.url()).status == 204
    assert len(origin.connections) == 2


def test_connect_stays_opaque(start_proxy, hosts, origin):
    """The client speaks TLS with the origin itself, whatever the proxy would think of it."""
    proxy = start_proxy(hosts, "connect_ports=*")
    with proxy.connect() as client:
        client.send(f"CONNECT {origin.authority} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
        assert client.stream.head()[0].startswith(b"HTTP/1.1 200 ")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(client.sock, server_hostname="origin.test") as inner:
            inner.sendall(b"GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n")
            assert inner.recv(100).startswith(b"HTTP/1.1 204")


# Sessions


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_session_is_resumed(tls_proxy, client, origin, version):
    origin.context.minimum_version = origin.context.maximum_version = version
    origin.default = [respond(200, "Connection: close", body=b"x"), close_notify, CLOSE]
    for _ in range(3):
        assert client.get(origin.url()).status == 200
        origin.wait_all_closed()
    assert [c.resumed for c in origin.connections] == [False, True, True]
    counters = tls_proxy.stats()
    assert (find(counters, "tls_handshakes"), find(counters, "tls_resumed")) == (3, 2)


def test_session_of_one_port_is_not_used_at_another(client, start_tls_origin, certificate):
    one, other = start_tls_origin(certificate), start_tls_origin(certificate)
    for origin in (one, other):
        assert client.get(origin.url()).status == 204
    assert not other.connections[0].resumed


def find(tree, name):
    """The counter of that name, wherever it stands."""
    if isinstance(tree, dict):
        if name in tree:
            return tree[name]
        for part in tree.values():
            if (found := find(part, name)) is not None:
                return found
    return None


# Who is not believed


@pytest.mark.parametrize("name, days", [("DNS:other.test", (-1, 2)), ("DNS:origin.test.evil.test", (-1, 2)),
                                        ("IP:127.0.0.1", (-1, 2)), ("DNS:origin.test", (-2, -1)),
                                        ("DNS:origin.test", (1, 2))],
                         ids=["another name", "a longer name", "an address", "expired", "not yet valid"])
def test_wrong_certificate(client, authority, start_tls_origin, name, days):
    origin = start_tls_origin(authority.issue(name, days=days))
    assert_failure(client.get(origin.url()), 502, "tls_certificate_error")
    assert not origin.heads


def test_common_name_is_no_name(client, authority, start_tls_origin):
    origin = start_tls_origin(authority.issue(common_name="origin.test"))
    assert_failure(client.get(origin.url()), 502, "tls_certificate_error")


def test_address_needs_an_address_in_the_certificate(client, authority, start_tls_origin):
    origin = start_tls_origin(authority.issue("DNS:127.0.0.1"), name="127.0.0.1")
    assert_failure(client.get(origin.url()), 502, "tls_certificate_error")


def test_self_signed(client, authority, start_tls_origin):
    origin = start_tls_origin(authority.issue_self_signed("DNS:origin.test"))
    assert_failure(client.get(origin.url()), 502, "tls_certificate_error")


def test_another_authority(client, start_tls_origin, tmp_path):
    stranger = Authority(tmp_path / "stranger")
    origin = start_tls_origin(stranger.issue("DNS:origin.test"))
    assert_failure(client.get(origin.url()), 502, "tls_certificate_error")


def test_system_authorities_do_not_know_ours(start_proxy, hosts, origin):
    with start_proxy(hosts).connect() as client:
        assert_failure(client.get(origin.url()), 502, "tls_certificate_error")


def test_stale_answer_stands_in_for_a_wrong_certificate(client, origin, authority):
    origin.default = respond(204, "Cache-Control: max-age=0, stale-if-error=60", "Connection: close")
    assert client.get(origin.url()).status == 204
    origin.wait_all_closed()
    origin.context.load_cert_chain(*authority.issue("DNS:other.test"))
    origin.context.maximum_version = ssl.TLSVersion.TLSv1_2
    origin.context.options |= ssl.OP_NO_TICKET
    answer = client.get(origin.url())
    assert answer.status == 204 and answer.cache_status["detail"] == "stale-if-error"


# Handshakes that fail


def test_alert(client, origin):
    origin.context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    assert_failure(client.get(origin.url()), 502, "tls_alert_received")


def test_old_version(client, origin):
    origin.context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        origin.context.minimum_version = ssl.TLSVersion.TLSv1
        origin.context.maximum_version = ssl.TLSVersion.TLSv1_1
    answer = client.get(origin.url())
    assert answer.status == 502 and "error=tls_" in answer["Proxy-Status"]


def test_peer_that_speaks_http(client):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listener.accept()
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        sock.close()

    threading.Thread(target=serve, daemon=True).start()
    answer = client.get(f"https://origin.test:{listener.getsockname()[1]}/")
    listener.close()
    assert_failure(answer, 502, "tls_protocol_error")


def test_peer_that_closes(client):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listener.accept()
        sock.recv(1000)
        sock.close()

    threading.Thread(target=serve, daemon=True).start()
    answer = client.get(f"https://origin.test:{listener.getsockname()[1]}/")
    listener.close()
    assert_failure(answer, 502, "connection_terminated")


def test_silent_peer_is_given_up_in_time(start_proxy, hosts):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with start_proxy(hosts, "connect_timeout=300ms").connect() as client:
            answer = client.get(f"https://origin.test:{listener.getsockname()[1]}/")
    assert_failure(answer, 504, "connection_timeout")
    assert b"plain http" in answer.body


def test_client_that_leaves_in_the_handshake_ends_it(start_proxy, hosts):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with start_proxy(hosts, "connect_timeout=60s").connect() as client:
            client.request("GET", f"https://origin.test:{listener.getsockname()[1]}/")
            sock, _ = listener.accept()
            sock.settimeout(5)
            assert sock.recv(1) == b"\x16"  # a handshake record
            client.reset()
        while sock.recv(1000):
            pass
        sock.close()


# The end


def until_close(*steps):
    return [b"HTTP/1.1 200 OK\r\n\r\n", b"whole?", *steps]


def test_end_with_close_notify(client, origin):
    origin.on("/", until_close(close_notify, CLOSE))
    answer = client.get(origin.url())
    assert answer.complete and answer.body == b"whole?"


def test_end_without_close_notify_is_a_cut(client, origin):
    origin.on("/", until_close(CLOSE))
    answer = client.get(origin.url())
    assert answer.body == b"whole?" and not answer.complete


@pytest.mark.parametrize("steps", [(CLOSE,), (close_notify, CLOSE)], ids=["cut", "told"])
def test_content_shorter_than_its_length_is_a_cut(client, origin, steps):
    origin.on("/", [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", *steps])
    answer = client.get(origin.url())
    assert answer.body == b"short" and not answer.complete


def test_whole_content_needs_no_close_notify(client, origin):
    origin.on("/", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole", CLOSE])
    answer = client.get(origin.url())
    assert answer.complete and answer.body == b"whole"


def test_authorities_that_cannot_be_read(tmp_path):
    from support.proxy import run

    for name, content in (("missing.pem", None), ("junk.pem", "junk\n")):
        file = tmp_path / name
        if content:
            file.write_text(content)
        result = run("-o", f"tls_ca_file={file}", "-o", "listen=127.0.0.1:0", "-o", "admin=",
                     "-o", f"store={tmp_path / 'store'}")
        assert result.returncode != 0 and "tls_ca_file" in result.stderr and name in result.stderr
