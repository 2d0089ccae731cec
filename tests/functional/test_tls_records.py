"""https origins whose TLS records come together, or in pieces: each answer is the same as ever."""

import socket
import ssl
import threading

import pytest

from support.origin import respond
from support.tls import Authority

HEAD_END = b"\r\n\r\n"


class RecordOrigin:
    """An https origin that has its records in memory before it sends them. For each request `answer`
    gets how many came before it and yields what to send: a list is the contents of records that go
    out together, in one segment as a rule; a number sends what waits in pieces of so many bytes;
    bytes go out behind all else, as they are."""

    def __init__(self, certificate, answer):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.answer = answer
        self.requests = 0
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self, path="/"):
        return f"https://127.0.0.1:{self.port}{path}"

    def close(self):
        self.listener.close()
        for sock in self.connections:
            sock.close()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(sock)
            threading.Thread(target=self.serve, args=[sock], daemon=True).start()

    def serve(self, sock):
        taken, made = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(taken, made, server_side=True)

        def receive(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    # what the last step of the handshake made, tickets, waits for the answer
                    if made.pending and step == tls.do_handshake:
                        sock.sendall(made.read())
                    data = sock.recv(65536)
                    if not data:
                        raise ConnectionError
                    taken.write(data)

        try:
            receive(tls.do_handshake)
            while True:
                head = b""
                while HEAD_END not in head:
                    head += receive(lambda: tls.read(65536))
                self.requests += 1
                raw = b""
                for records in self.answer(self.requests - 1):
                    if isinstance(records, bytes):
                        raw += records
                    elif isinstance(records, int):
                        waiting = made.read()
                        for i in range(0, len(waiting), records):
                            sock.sendall(waiting[i:i + records])
                    else:
                        for record in records:
                            tls.write(record)
                sock.sendall(made.read() + raw)
        except (OSError, ssl.SSLError):
            sock.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("IP:127.0.0.1")


@pytest.fixture
def start_origin(certificate):
    origins = []

    def start(answer):
        origins.append(RecordOrigin(certificate, answer))
        return origins[-1]

    yield start
    for origin in origins:
        origin.close()


@pytest.fixture
def client(start_proxy, authority):
    proxy = start_proxy(f"tls_ca_file={authority.file}", "first_byte_timeout=700ms")
    with proxy.connect() as client:
        yield client


def head_of(body):
    return respond(200, body=body)[:-len(body)]


def test_many_records_at_once(client, start_origin):
    pieces = [b"%08d-" % i for i in range(500)]
    body = b"".join(pieces)
    origin = start_origin(lambda n: [[head_of(body), *pieces]])
    for _ in range(3):
        answer = client.get(origin.url())
        assert answer.status == 200 and answer.body == body
    assert len(origin.connections) == 1


def test_each_byte_of_a_record_on_its_own(client, start_origin):
    origin = start_origin(lambda n: [[respond(200, body=b"x" * 100)], 1])
    for _ in range(2):
        answer = client.get(origin.url())
        assert answer.status == 200 and answer.body == b"x" * 100
    assert len(origin.connections) == 1


@pytest.mark.parametrize("size", [100, 1000, 17000, 40000])
def test_large_records_in_pieces_of_any_size(client, start_origin, size):
    body = bytes(range(256)) * 256
    origin = start_origin(lambda n: [[head_of(body), body], size])
    answer = client.get(origin.url())
    assert answer.status == 200 and answer.body == body
    assert client.get(origin.url()).body == body
    assert len(origin.connections) == 1


def test_an_answer_nobody_asked_for_behind_another(client, start_origin):
    planted = respond(200, body=b"planted")
    origin = start_origin(lambda n: [[respond(204), planted] if n == 0 else [respond(204)]])
    assert client.get(origin.url("/1")).status == 204
    answer = client.get(origin.url("/2"))
    assert answer.status == 204 and b"planted" not in answer.body
    assert len(origin.connections) == 2


def test_half_a_record_behind_an_answer(client, start_origin):
    """In the same segment: it is no beginning of the next answer."""
    def answer(n):
        yield [respond(204)]
        if n == 0:
            yield b"\x17\x03\x03"

    origin = start_origin(answer)
    for path in ("/1", "/2", "/3"):
        assert client.get(origin.url(path)).status == 204
    assert len(origin.connections) == 2


def test_a_peer_that_falls_silent_in_a_record_is_given_up_in_time(client, start_origin):
    silent = threading.Event()

    def answer(n):
        # the head of a record that never comes
        origin.connections[-1].sendall(b"\x17\x03\x03\x01\x00" + b"x" * 17)
        silent.wait(15)
        yield [b""]

    origin = start_origin(answer)
    refused = client.get(origin.url())
    silent.set()
    assert refused.status == 504
