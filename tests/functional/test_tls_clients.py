"""TLS with clients: an https proxy and gateways, from the handshake to the end of the connection."""

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from support.origin import respond
from support.proxy import run
from support.rawclient import request_bytes
from support.reloaded import FRESH, Reloaded
from support.tls import Authority, TlsClient, context_for, tls_ports
from support.until import steady, until

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("DNS:proxy.test", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def context(authority):
    return context_for(authority)


@pytest.fixture
def start_tls(start_proxy, certificate):
    """A proxy whose second address has TLS: it, and that one's port."""
    def start(*options, listen="listen=127.0.0.1:0,tls:127.0.0.1:0"):
        proxy = start_proxy(listen, f"tls_certificate={certificate[0]}", f"tls_key={certificate[1]}",
                            "connect_ports=*", *options)
        return proxy, *tls_ports(proxy)
    return start


@pytest.fixture
def started(start_tls):
    return start_tls()


def failures(proxy):
    return {name: n for name, n in proxy.stats()["failures"].items() if n and name.startswith("client_tls")}


def wait_failure(proxy, name):
    until(lambda: failures(proxy).get(name), f"{name} is counted")
    assert failures(proxy) == {name: 1}


def refusal(port, context):
    """How a handshake fails: the alert's name, or what became of the connection."""
    with pytest.raises(OSError) as failed:
        with TlsClient(port, context) as client:
            client.sock.recv(1)  # in TLS 1.3 the client is done before it is refused
    return getattr(failed.value, "reason", None) or type(failed.value).__name__


def hello(context, name="proxy.test"):
    """The bytes that a client begins with."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(coming, going, server_hostname=name).do_handshake()
    return going.read()


# Requests and answers


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_a_hit_a_304_and_many_ahead(started, authority, origin, version):
    proxy, port = started
    origin.default = respond(204, FRESH, 'ETag: "v1"')
    with TlsClient(port, context_for(authority, versions=(version, version))) as client:
        assert client.sock.selected_alpn_protocol() == "http/1.1"
        assert client.get(origin.url()).stored
        assert client.get(origin.url()).hit
        assert client.get(origin.url(), 'If-None-Match: "v1"').status == 304
        client.send(request_bytes("GET", origin.url()) * 200)
        assert all(client.response().hit for _ in range(200))
    assert len(origin.requests) == 1
    rows = steady(lambda: proxy.stats()["listeners"])
    assert [(row["tls_handshakes"], row["tls_failed"]) for row in rows] == [(0, 0), (1, 0)]
    assert rows[1]["address"] == f"tls:127.0.0.1:{port}"


def test_gateway(start_tls, context, origin):
    origin.default = respond(204, FRESH)
    _, port = start_tls(f"gateway=tls:127.0.0.1:0={origin.url('')}", listen="listen=127.0.0.1:0")
    with TlsClient(port, context) as client:
        client.send(b"GET /a HTTP/1.1\r\nHost: proxy.test\r\n\r\n")
        assert client.response().status == 204
        client.send(b"GET /a HTTP/1.1\r\nHost: proxy.test\r\n\r\n")
        assert client.response().hit


def test_bodies_up_and_down(started, context, origin):
    body = bytes(range(251)) * 20000
    origin.on("/b", respond(200, body=body[::-1]))
    with TlsClient(started[1], context) as client:
        answer = client.ask("PUT", origin.url("/b"), body=body)
        assert answer.complete and answer.body == body[::-1] and origin.last.body == body


@pytest.mark.long
def test_client_that_reads_late_gets_all(started, context, origin):
    body = bytes(range(251)) * 20000
    origin.on("/b", respond(200, body=body))
    with TlsClient(started[1], context, receive_buffer=4096) as client:
        client.request("GET", origin.url("/b"))
        origin.wait_requests(1)
        assert client.response().body == body


def test_tunnel_with_both_ends(started, context, start_origin):
    """Bytes both ways, more than any buffer, then close_notify for the FIN of each side."""
    sent = bytes(range(253)) * 12000
    with socket.create_server(("127.0.0.1", 0)) as target, TlsClient(started[1], context) as client:
        authority = f"127.0.0.1:{target.getsockname()[1]}"
        client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        assert client.response("CONNECT").status == 200
        far = target.accept()[0]
        with far, far.makefile("rb") as coming:
            far.settimeout(5)
            client.send(sent[:100000])
            assert coming.read(100000) == sent[:100000]
            far.sendall(sent[:100000])
            assert client.stream.exactly(100000) == sent[:100000]
            far.sendall(b"last")
            far.shutdown(socket.SHUT_WR)
            assert client.stream.exactly(4) == b"last"
            assert client.end() == "fin"  # by close_notify, or it would be an error
            client.send(b"after")
            assert coming.read(5) == b"after"
            client.sock.unwrap().close()
            assert coming.read() == b""


def test_end_without_close_notify_is_no_end_of_a_body(started, context, origin):
    with TlsClient(started[1], context) as client:
        client.send(f"POST {origin.url('/p')} HTTP/1.1\r\nHost: {origin.authority}\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".encode())
        until(lambda: origin.connections, "the origin is asked")
        client.sock.shutdown(socket.SHUT_RDWR)  # a FIN, as anyone on the way could send
    origin.wait_all_closed()
    assert not origin.requests


def test_last_answer_is_whole(started, context, origin):
    """After Connection: close comes the answer, close_notify and FIN, and no RST for what is unread."""
    origin.default = respond(204, FRESH)
    for _ in range(20):
        with TlsClient(started[1], context) as client:
            client.request("GET", origin.url(), "Connection: close")
            assert client.response().status == 204
            assert client.end() == "fin"


def test_drain_ends_a_handshake(start_tls):
    proxy, port = start_tls()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"\x16\x03")
        until(lambda: proxy.stats()["gauges"]["clients"] == 1, "it is connected")
        proxy.terminate()
        client.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
        proxy.wait()


def test_curl_as_an_https_proxy(start_tls, authority, origin):
    origin.default = respond(204, FRESH)
    proxy, port = start_tls(listen="listen=tls:127.0.0.1:0,127.0.0.1:0")
    printed = f"# try: curl --noproxy '' -x https://NAME:{port} -i http://example.com/"
    assert printed in proxy.output, proxy.output
    command = ["curl", "-sS", "--noproxy", "", "-x", f"https://127.0.0.1:{port}", "--proxy-cacert",
               str(authority.file), "-o", "/dev/null", "-w", "%{http_code} %{http_connect} "]
    got = subprocess.run([*command, origin.url(), "-p", origin.url()], capture_output=True, text=True, timeout=30)
    assert (got.stdout, got.stderr) == ("204 000 ", "") or got.stdout.startswith("204 "), got
    got = subprocess.run([*command, "-p", origin.url()], capture_output=True, text=True, timeout=30)
    assert (got.stdout, got.stderr) == ("204 200 ", ""), got


# What is agreed on


@pytest.mark.long
def test_versions(started, authority):
    proxy, port = started
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        old = context_for(authority)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = version
        assert refusal(port, old) in ("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"), version
    until(lambda: failures(proxy) == {"client_tls_mismatch": 2}, "both are counted")


@pytest.mark.long
@pytest.mark.parametrize("ciphers, good", [
    ("ECDHE+AESGCM", True), ("ECDHE+CHACHA20", True), ("ECDHE+AES256+SHA384:!AESGCM", False),
    ("AES128-GCM-SHA256", False), ("ECDHE+AES+SHA1", False), ("DHE+AESGCM", False), ("aNULL", False)])
def test_ciphers_have_forward_secrecy_and_aead(started, authority, ciphers, good):
    offered = context_for(authority, versions=(V12, V12))
    offered.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    if good:
        with TlsClient(started[1], offered) as client:
            assert client.sock.cipher()[0].startswith("ECDHE-ECDSA-")
            assert client.sock.compression() is None
    else:
        assert "HANDSHAKE_FAILURE" in refusal(started[1], offered)


def test_protocols(started, authority):
    proxy, port = started
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(hello(context_for(authority, protocols=["h2"])))
        client.settimeout(5)
        assert client.recv(100) == b"\x15\x03\x03\x00\x02\x02\x78"  # fatal, no_application_protocol
    wait_failure(proxy, "client_tls_mismatch")
    for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["http/1.0"], "http/1.0"), ([], None)):
        with TlsClient(port, context_for(authority, protocols=offered)) as client:
            assert client.sock.selected_alpn_protocol() == chosen


@pytest.mark.long  # 1 s
def test_probes(started, authority):
    """What testssl.sh asks for, by openssl s_client: renegotiation, compression, heartbeat, fallback."""
    def s_client(*options, text=""):
        return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{started[1]}", "-CAfile",
                               str(authority.file), *options], input=text, capture_output=True, text=True,
                              timeout=30)
    plain = s_client("-tls1_2", "-tlsextdebug")
    assert "Secure Renegotiation IS supported" in plain.stdout and "heartbeat" not in plain.stdout
    assert "Compression: NONE" in plain.stdout and "Verify return code: 0" in plain.stdout
    again = s_client("-tls1_2", text="R\n")
    assert "RENEGOTIATING" in again.stdout + again.stderr and "no renegotiation" in again.stdout + again.stderr
    fallback = s_client("-tls1_2", "-fallback_scsv")
    assert "inappropriate fallback" in fallback.stderr
    assert "no protocols available" in s_client("-ssl3").stderr or "unknown option" in s_client("-ssl3").stderr.lower()
    early = s_client("-tls1_3")
    assert "Max Early Data: 0" in early.stdout or "Early data was not sent" in early.stdout


# What is no handshake


def test_plain_http_is_answered_in_plain_text(started, origin):
    proxy, port = started
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(5)
        client.sendall(request_bytes("GET", origin.url()))
        text = b"".join(iter(lambda: client.recv(65536), b""))
    assert text.startswith(b"HTTP/1.1 400 ") and b"This port speaks TLS" in text
    assert "client_tls_plain" in proxy.errors()
    wait_failure(proxy, "client_tls_plain")


@pytest.mark.long
@pytest.mark.parametrize("data, name", [
    (b"\x80\x2e\x01\x00\x02", "client_tls_protocol"), (b"\x16" * 100, "client_tls_protocol"),
    (b"\x16\x03\x01\x40\x01" + b"\x01" * 20000, "client_tls_protocol"),
    (b"\x16\x03\x01\x00\x05\x01\x00\xff\xff\xff" * 1000, "client_tls_closed"),
    (b"\x16\x03\x01\x00\x05", "client_tls_closed"), (b"\0", "client_tls_protocol")], ids=range(6))
def test_garbage(started, data, name):
    proxy, port = started
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(5)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(65536):
                pass
    wait_failure(proxy, name)


@pytest.mark.long
def test_health_check_without_a_byte(started):
    proxy, port = started
    socket.create_connection(("127.0.0.1", port)).close()
    until(lambda: proxy.stats()["listeners"][1]["connections"] == 1, "it came")
    assert steady(lambda: failures(proxy)) == {}


@pytest.mark.long
def test_client_that_does_not_trust_us(started):
    proxy, port = started
    assert refusal(port, ssl.create_default_context()) == "CERTIFICATE_VERIFY_FAILED"
    wait_failure(proxy, "client_tls_alert")


@pytest.mark.long
@pytest.mark.parametrize("data", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01"], ids=range(3))
def test_handshake_has_a_deadline(start_tls, data):
    proxy, port = start_tls("tls_handshake_timeout=300ms")
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(5)
        client.sendall(data)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
    wait_failure(proxy, "client_tls_timeout")


@pytest.mark.long
def test_slow_bytes_do_not_push_the_deadline_out(start_tls, context):
    """A byte now and then, for as long as the proxy takes them."""
    proxy, port = start_tls("tls_handshake_timeout=300ms")
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(0.05)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for byte in hello(context) * 1000:
                client.sendall(bytes([byte]))
                with contextlib.suppress(TimeoutError):
                    assert client.recv(1) == b""
                    break
    wait_failure(proxy, "client_tls_timeout")


def drips(client, byte):
    """One more byte; is the connection closed?"""
    try:
        client.sendall(bytes([byte]))
        return client.recv(65536) == b""
    except TimeoutError:
        return False
    except (ConnectionResetError, BrokenPipeError):
        return True


def test_a_record_that_drips_does_not_push_deadlines_out(start_tls, context):
    """One record, a byte now and then: no byte of a request, and none for the time between two."""
    proxy, port = start_tls("head_timeout=500ms", "keepalive_timeout=500ms")
    for first in (b"", b"OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n"):
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(coming, going, server_hostname="proxy.test")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(5)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    client.sendall(going.read())
                    coming.write(client.recv(65536))
            if first:
                tls.write(first)
            client.sendall(going.read())
            tls.write(b"x" * 16000)
            client.settimeout(0.1)
            until(lambda record=iter(going.read()): drips(client, next(record)), "it is closed", 8)


@pytest.mark.long
def test_hello_in_pieces(started, authority, context, origin):
    """Split at every byte, and in records of one byte each."""
    origin.default = respond(204, FRESH)
    for split in (lambda data: [bytes([b]) for b in data],
                  lambda data: [b"".join(b"\x16\x03\x01\x00\x01" + bytes([b]) for b in data[5:])]):
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(coming, going, server_hostname="proxy.test")
        with socket.create_connection(("127.0.0.1", started[1])) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.settimeout(5)
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            for piece in split(going.read()):
                client.sendall(piece)
            # the version in a record says nothing, but the transcript is the same
            while True:
                coming.write(client.recv(65536))
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    continue
            client.sendall(going.read())
            tls.write(request_bytes("GET", origin.url()))
            client.sendall(going.read())
            answer = b""
            while b"\r\n\r\n" not in answer:
                coming.write(client.recv(65536))
                with contextlib.suppress(ssl.SSLWantReadError):
                    answer += tls.read(65536)
            assert answer.startswith(b"HTTP/1.1 204 ")


# Limits


def test_handshakes_count_in_the_limits(start_tls, context, origin):
    origin.default = respond(204, FRESH)
    proxy, port = start_tls("clients_per_address=3")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(b"\x16")
        until(lambda: proxy.stats()["gauges"]["clients"] == 3, "they are connected")
        with TlsClient(port, context) as client:
            answer = client.get(origin.url())  # by TLS it is told why
            assert answer.status == 429 and "clients_per_address" in answer["Proxy-Status"]
    until(lambda: proxy.stats()["gauges"]["clients"] == 0, "they are gone")
    with TlsClient(port, context) as client:
        assert client.get(origin.url()).status == 204


@pytest.mark.long  # 2 s
@pytest.mark.one_worker("it is stopped")
def test_a_handshake_at_sigterm_is_finished_and_its_client_not_waited_for_long(start_tls, context):
    """One that connects ahead and asks nothing yet would hold the end for drain_timeout."""
    proxy, port = start_tls()
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        proxy.stats()  # it is accepted
        worker, secured = proxy.worker, []
        os.kill(worker, signal.SIGSTOP)
        shaking = threading.Thread(target=lambda: secured.append(
            context.wrap_socket(client, server_hostname="proxy.test")))
        try:
            shaking.start()
            time.sleep(0.2)  # it has sent its hello
            proxy.terminate()
            time.sleep(0.2)  # the worker is told
        finally:
            os.kill(worker, signal.SIGCONT)
        shaking.join(10)
        with secured[0] as connection:
            assert connection.recv(1) == b""
    proxy.wait(5)


@pytest.mark.long
@pytest.mark.one_worker("all are to come to the same loop")
def test_handshakes_are_shared_out_among_turns(start_tls, context):
    """Sixty that come at once, with all that clients have to say: each is answered, in more turns than one."""
    proxy, port = start_tls("workers=1")
    before = proxy.stats()["counters"]["shares_used_up"]
    os.kill(proxy.worker, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        try:
            clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(60)]
            for client in clients:
                client.sendall(hello(context))
        finally:
            os.kill(proxy.worker, signal.SIGCONT)
        assert all(client.recv(1) == b"\x16" for client in clients)
    assert proxy.stats()["counters"]["shares_used_up"] > before


@pytest.mark.long
@pytest.mark.parametrize("whole", [True, False], ids=["at once", "bytewise"])
def test_proxy_header_before_tls(start_tls, context, origin, whole):
    origin.default = respond(204, FRESH)
    proxy, port = start_tls("proxy_protocol_from=127.0.0.1", "clients=192.0.2.0/24", "allow=127.0.0.1")
    header = b"PROXY TCP4 192.0.2.7 192.0.2.9 1234 443\r\n"
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    if whole:  # the header and the hello in one packet
        tls = context.wrap_bio(coming, going, server_hostname="proxy.test")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(5)
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            client.sendall(header + going.read())
            assert client.recv(1) == b"\x16"
    else:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header:
            sock.sendall(bytes([byte]))
        with context.wrap_socket(sock, server_hostname="proxy.test") as tls:
            tls.sendall(request_bytes("GET", origin.url()))
            assert tls.recv(65536).startswith(b"HTTP/1.1 204 ")
        until(lambda: any('"client":"192.0.2.7"' in line for line in proxy.log_lines()), "it is logged")


# Configuration


@pytest.mark.long
@pytest.mark.parametrize("options, words", [
    (["listen=tls:127.0.0.1:0"], "needs tls_certificate and tls_key"),
    (["listen=tls:127.0.0.1:0", "tls_certificate={pem}"], "tls_key is empty"),
    (["listen=tls:127.0.0.1:0", "tls_certificate={pem}", "tls_key={other}"],
     "-o tls_key: {other}: is not the key of the certificate in {pem}"),
    (["listen=tls:127.0.0.1:0", "tls_certificate={key}", "tls_key={key}"], "{key}: no certificate in PEM form"),
    (["listen=tls:127.0.0.1:0", "tls_certificate={pem}", "tls_key={pem}"], "{pem}: everybody may read"),
    (["listen=tls:127.0.0.1:0", "tls_certificate={pem}", "tls_key=/nowhere"], "/nowhere: No such file"),
    (["tls_client_ca={pem}"], "there is no tls_certificate"),
    (["listen=tls:127.0.0.1:0", "tls_certificate={pem}", "tls_key={key}", "tls_client_ca={key}"],
     "-o tls_client_ca: {key}: no certificate"),
    (["listen=tls:127.0.0.1:0", "tls_certificate={pem}", "tls_key={key}", "tls_client_ca={empty}"],
     "-o tls_client_ca: {empty}: no certificate"),
    (["listen=tls:127.0.0.1:0", "tls_certificate={pem}", "tls_key={key}", "tls_client_ca={cut}"],
     "-o tls_client_ca: {cut}: "),
    (["listen=tls:127.0.0.1:0", "tls_certificate={cut}", "tls_key={key}"], "-o tls_certificate: {cut}: "),
    (["listen=tls:127.0.0.1:0", "tls_certificate={many}", "tls_key={key}"], "{many}: more certificates than"),
    (["listen=tls:localhost:1"], "has a name"), (["admin=tls:127.0.0.1:1"], "tls:127.0.0.1:1")], ids=range(14))
def test_what_is_wrong_is_named(authority, certificate, options, words, tmp_path):
    names = {"pem": certificate[0], "key": certificate[1], "other": authority.issue("DNS:x.test")[1]}
    certificate[0].chmod(0o644)
    good = certificate[0].read_text()
    for name, text in (("empty", ""), ("cut", good + good[:len(good) // 2]), ("many", good * 17)):
        names[name] = tmp_path / name
        names[name].write_text(text)
    result = run("-t", "-o", f"store={tmp_path}/store",
                 *[word for option in options for word in ("-o", option.format(**names))])
    assert result.returncode == 2 and words.format(**names) in result.stderr, result


@pytest.mark.long
def test_passphrase_is_not_asked_for(authority, certificate, tmp_path):
    locked = tmp_path / "locked.key"
    authority.openssl("pkey", "-in", str(certificate[1]), "-aes256", "-passout", "pass:secret", "-out", str(locked))
    locked.chmod(0o600)
    result = run("-t", "-o", f"store={tmp_path}/store", "-o", "listen=tls:127.0.0.1:0", "-o",
                 f"tls_certificate={certificate[0]}", "-o", f"tls_key={locked}")
    assert result.returncode == 2 and "has a passphrase" in result.stderr, result


@pytest.mark.long
def test_expired_certificate_is_warned_of(start_proxy, authority):
    pem, key = authority.issue("DNS:proxy.test", days=(-2, -1))
    proxy = start_proxy("listen=127.0.0.1:0,tls:127.0.0.1:0", f"tls_certificate={pem}", f"tls_key={key}")
    assert re.search(r"tls_certificate: .* has expired", proxy.errors())


# Certificates of clients


def test_client_certificates(start_tls, authority, certificate, tmp_path, origin):
    origin.default = respond(204, FRESH)
    proxy, port = start_tls(f"tls_client_ca={authority.file}")
    alice = authority.issue(common_name="alice")
    stranger = Authority(tmp_path / "other").issue(common_name="mallory")
    assert refusal(port, context_for(authority)) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert refusal(port, context_for(authority, certificate=stranger)) in ("TLSV1_ALERT_UNKNOWN_CA",
                                                                          "TLSV1_ALERT_DECRYPT_ERROR")
    expired = authority.issue(common_name="late", days=(-2, -1))
    assert refusal(port, context_for(authority, certificate=expired)) == "SSLV3_ALERT_CERTIFICATE_EXPIRED"
    until(lambda: failures(proxy) == {"client_tls_certificate": 3}, "they are counted")
    with TlsClient(port, context_for(authority, certificate=alice)) as client:
        assert client.get(origin.url()).status == 204 and client.get(origin.url()).hit
    until(lambda: len(proxy.log_lines()) == 2, "they are logged")
    assert all('"user":"CN=alice"' in line for line in proxy.log_lines()), proxy.log_lines()


# Sessions


def ask_again(port, context, session, url):
    """One request: whether the session was resumed, and the session to resume next."""
    with TlsClient(port, context, session=session) as client:
        assert client.get(url).status == 204
        return client.sock.session_reused, client.sock.session


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.long), 3])
def test_sessions_are_resumed_at_all_workers(start_tls, authority, origin, version, workers):
    origin.default = respond(204, FRESH)
    proxy, port = start_tls(f"workers={workers}")
    client = context_for(authority, versions=(version, version))
    reused, session = ask_again(port, client, None, origin.url())
    assert not reused
    for _ in range(6):
        reused, session = ask_again(port, client, session, origin.url())
        assert reused
    proxy.process.send_signal(signal.SIGHUP)
    until(lambda: proxy.stats()["reload"]["generation"] == 2, "the reload", timeout=60)
    for _ in range(6):
        reused, session = ask_again(port, client, session, origin.url())
        assert reused
    counted = steady(lambda: {name: n for name, n in proxy.stats()["counters"].items() if name.startswith("client_tls")})
    assert counted == {"client_tls_handshakes": 13, "client_tls_resumed": 12}


def clients_of(proxy, make, wanted):
    """Clients that have been answered, one of each worker that is wanted, by its process id."""
    found = {}
    for _ in range(200):
        client = make()
        if found.setdefault(proxy.worker_of(client), client) is not client:
            client.close()
        if wanted(found):
            return found
    raise AssertionError(f"connections came to the workers {list(found)} alone")


@pytest.mark.long  # 1 s
@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_death_of_a_worker_is_that_of_its_own_clients(start_tls, authority, origin, version):
    """The others serve on, and the one that takes its place resumes the sessions that it began."""
    origin.default = respond(204, FRESH)
    proxy, port = start_tls("workers=3")
    context = context_for(authority, versions=(version, version))

    def asked(session=None):
        client = TlsClient(port, context, session)
        assert client.get(origin.url()).status == 204
        assert client.sock.session_reused == (session is not None)
        return client
    clients = clients_of(proxy, asked, lambda found: len(found) == 3)
    proxy.until_written()
    victim, lost = clients.popitem()
    session = lost.sock.session
    os.kill(victim, signal.SIGKILL)
    lost.end()
    for client in clients.values():
        assert client.get(origin.url()).hit
    until(lambda: len(proxy.workers() - {victim}) == 3, "another worker takes its place")
    again = clients_of(proxy, lambda: asked(session), lambda found: found.keys() - clients.keys() - {victim})
    for client in (lost, *clients.values(), *again.values()):
        client.close()


@pytest.mark.long
def test_sessions_are_of_the_authorities_that_verified_them(start_tls, authority, tmp_path, origin):
    """Under other authorities a session of the ones before is no admission."""
    origin.default = respond(204, FRESH)
    trusted = tmp_path / "trusted.pem"
    shutil.copy(authority.file, trusted)
    proxy, port = start_tls(f"tls_client_ca={trusted}")
    context = context_for(authority, certificate=authority.issue(common_name="alice"))
    _, session = ask_again(port, context, None, origin.url())
    reused, session = ask_again(port, context, session, origin.url())
    assert reused
    shutil.copy(Authority(tmp_path / "other").file, trusted)
    proxy.process.send_signal(signal.SIGHUP)
    until(lambda: proxy.stats()["reload"]["generation"] == 2, "the reload", timeout=60)
    with pytest.raises(OSError):
        ask_again(port, context, session, origin.url())


def test_reload_exchanges_the_certificate_or_refuses(start_tls, authority, tmp_path, origin):
    origin.default = respond(204, FRESH)
    pem, key = tmp_path / "now.pem", tmp_path / "now.key"

    def put(source):
        shutil.copy(source[0], pem)
        shutil.copy(source[1], key)

    def reload(generation, ok=True):
        proxy.process.send_signal(signal.SIGHUP)
        until(lambda: (proxy.stats()["reload"]["generation"], proxy.stats()["reload"]["ok"]) == (generation, ok),
              "the reload is over", timeout=60)

    first, second = authority.issue("DNS:proxy.test"), authority.issue("DNS:proxy.test")
    put(first)
    proxy, port = start_tls(f"tls_certificate={pem}", f"tls_key={key}")
    context = context_for(authority)

    def serial():
        with TlsClient(port, context) as client:
            assert client.get(origin.url()).status == 204
            return client.sock.getpeercert()["serialNumber"]

    before = serial()
    until(lambda: proxy.stats()["gauges"]["writes_waiting"] == 0, "all workers have it")
    with TlsClient(port, context) as kept:
        assert kept.get(origin.url()).hit
        put(second)
        reload(2)
        assert serial() != before
        shutil.copy(first[1], key)
        reload(2, ok=False)
        assert f"-o tls_key: {key}: is not the key of the certificate in {pem}" in proxy.errors()
        key.unlink()
        proxy.process.send_signal(signal.SIGHUP)
        until(lambda: "No such file" in proxy.errors(), "it is refused again", timeout=60)
        assert serial() != before
        assert kept.get(origin.url()).hit  # what was there goes on under the first


@pytest.mark.long
def test_refused_reload_names_the_line(authority, certificate, tmp_path):
    running = Reloaded(tmp_path, listen=["127.0.0.1:0", "tls:127.0.0.1:0"], tls_certificate=certificate[0],
                       tls_key=certificate[1])
    try:
        result = running.reload(tls_key=authority.issue("DNS:proxy.test")[1])
        line = [line.split()[0] for line in running.file.read_text().splitlines()].index("tls_key") + 1
        assert not result["ok"] and result["errors"].startswith(f"{running.file}:{line}: tls_key: "), result
    finally:
        running.stop()


@pytest.mark.long
def test_passwords_in_the_clear_are_warned_of(start_tls, tmp_path):
    """On an address that other machines reach, and without TLS."""
    users = tmp_path / "users"
    users.write_text("bob:$5$salt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEl8\n")
    users.chmod(0o600)
    options = [f"password_file={users}", "clients=127.0.0.0/8"]
    for listen, warned in (("listen=127.0.0.1:0,0.0.0.0:0", True), ("listen=127.0.0.1:0,tls:0.0.0.0:0", False)):
        proxy = start_tls(*options, listen=listen)[0]
        assert ("in the clear" in proxy.errors()) is warned, proxy.errors()
