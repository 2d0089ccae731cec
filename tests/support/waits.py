"""All that the proxy waits for with a deadline, one class each: how the wait begins, how it goes on, how one
sees that it was served, and how that it was not.

    wait = Head(world, "300ms")
    wait.begin()                    the proxy waits
    wait.go_on()                    what it waits for comes
    wait.served() or wait.late()    assert the one or the other
"""

import re
import socket
import ssl
import threading

from support.http1 import Closed, Stream
from support.nameserver import NameServer
from support.origin import READ_BODY, Origin, respond
from support.rawclient import WAIT, Client, request_bytes
from support.target import Target, connect_bytes
from support.tls import Authority
from support.until import until

MIB = 1024 * 1024
SIZE = 16 * MIB  # more than all buffers on the way
SMALL = 16 * 1024  # socket buffers
FRESH = "Cache-Control: max-age=60"


class World:
    """What a wait is made of: start(*options) starts the proxy; all else ends with close()."""

    def __init__(self, start, directory):
        self.start = start
        self.directory = directory
        self.parts = []

    def keep(self, part):
        self.parts.append(part)
        return part

    def origin(self, **options):
        return self.keep(Origin(**options))

    def target(self, serve):
        return self.keep(Target(serve))

    def client(self, **options):
        return self.keep(self.proxy.connect(**options))

    def close(self):
        for part in reversed(self.parts):
            part.close()
        self.parts = []


class Wait:
    """`option` has the deadline, `more` are further ones."""

    option = None
    more = ()
    is_dated = False  # dates decide, too

    def __init__(self, world, deadline):
        self.world = world
        self.go = threading.Event()
        self.prepare()
        world.proxy = world.start(f"{self.option}={deadline}", *self.more)

    def prepare(self):
        """Before the proxy starts."""

    def go_on(self):
        self.go.set()

    def connect(self):
        self.client = self.world.client()
        return self.client

    def status(self):
        return self.client.response().status

    def served(self):
        assert self.status() == 204

    def gone(self):
        try:
            assert self.client.response() is None
        except (Closed, ConnectionError):
            pass


class Head(Wait):
    """The rest of a request head."""

    option = "head_timeout"

    def prepare(self):
        self.origin = self.world.origin()

    def halves(self):
        data = request_bytes("GET", self.origin.url())
        return data[:20], data[20:]

    def begin(self):
        self.connect().send(self.halves()[0])

    def go_on(self):
        self.client.send(self.halves()[1])

    def late(self):
        assert self.status() == 408


class AdminHead(Head):
    """The same of an operator."""

    def halves(self):
        return b"GET /healthz HTTP/1.1\r\nHo", b"st: localhost\r\n\r\n"

    def connect(self):
        self.client = self.world.keep(Client(self.world.proxy.admin_port))
        return self.client


class ProxyHeader(Head):
    """The rest of a load balancer's header, and the request."""

    more = ("proxy_protocol_from=127.0.0.0/8", "clients=192.0.2.0/24", "allow=127.0.0.0/8")

    def halves(self):
        data = b"PROXY TCP4 192.0.2.7 192.0.2.9 1234 443\r\n" + request_bytes("GET", self.origin.url())
        return data[:20], data[20:]

    def late(self):
        self.gone()


class Refused(Head):
    """The rest of a request head that is told no, within 2 s of its own."""

    more = ("clients=192.0.2.0/24",)

    def served(self):
        assert self.status() == 403

    def late(self):
        assert self.status() == 403


class Idle(Wait):
    """Another request of the same client."""

    option = "keepalive_timeout"

    def prepare(self):
        self.origin = self.world.origin()

    def begin(self):
        assert self.connect().get(self.origin.url()).status == 204

    def go_on(self):
        self.client.request("GET", self.origin.url("/2"))

    def late(self):
        self.gone()


class RequestBody(Wait):
    """The rest of a request body."""

    option = "body_timeout"

    def prepare(self):
        self.origin = self.world.origin()

    def begin(self):
        self.connect().send(request_bytes("POST", self.origin.url(), body=b"0123456789")[:-5])
        self.origin.wait_heads(1)

    def go_on(self):
        self.client.send(b"56789")

    def served(self):
        super().served()
        assert self.origin.last.body == b"0123456789"

    def late(self):
        assert self.status() == 408


class FirstByte(Wait):
    """The head of a response."""

    option = "first_byte_timeout"
    before = b""
    after = respond(204)

    def prepare(self):
        self.origin = self.world.origin()
        self.origin.on("/", [self.before, self.go, self.after])

    def begin(self):
        self.connect().request("GET", self.origin.url())
        self.origin.wait_heads(1)

    def late(self):
        assert self.status() == 504


class RestOfHead(FirstByte):
    """The rest of the head of a response."""

    before = b"HTTP/1.1 204 No"
    after = b" Content\r\n\r\n"


class ResponseBody(FirstByte):
    """The rest of the body of a response."""

    option = "body_timeout"
    before = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"
    after = b"56789"

    def served(self):
        answer = self.client.response()
        assert (answer.status, answer.complete, answer.body) == (200, True, b"0123456789")

    def late(self):
        assert not self.client.response().complete


class Taken(Wait):
    """A client that takes its answer."""

    option = "body_timeout"

    def prepare(self):
        self.origin = self.world.origin(send_buffer=SMALL)
        self.origin.on("/", respond(200, body=bytes(SIZE)))

    def begin(self):
        self.client = self.world.client(receive_buffer=SMALL)
        self.client.request("GET", self.origin.url())
        until(lambda: self.origin.connections and self.origin.connections[0].sent > MIB, "its buffers fill up")

    def go_on(self):
        self.answers = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        self.answers.append(self.client.response())

    def served(self):
        self.reader.join(WAIT)
        assert (self.answers[0].status, len(self.answers[0].body)) == (200, SIZE)

    def late(self):
        until(lambda: self.world.proxy.stats()["failures"]["client_timeout"] == 1, "the client is late")


class OriginTakes(Wait):
    """An origin that takes the body of a request."""

    option = "body_timeout"

    def prepare(self):
        self.origin = self.world.origin(receive_buffer=SMALL)
        self.origin.on("/", [self.go, READ_BODY, respond(204)], early=True)

    def begin(self):
        self.connect()
        self.writer = threading.Thread(target=self.write, daemon=True)
        self.writer.start()
        self.origin.wait_heads(1)

    def write(self):
        try:
            self.client.request("POST", self.origin.url(), body=bytes(SIZE))
        except OSError:
            pass  # it was late

    def served(self):
        self.writer.join(WAIT)
        super().served()
        assert len(self.origin.last.body) == SIZE

    def late(self):
        until(lambda: self.world.proxy.stats()["failures"]["origin_write_timeout"] == 1, "the origin is late")


class Connect(Wait):
    """An origin's system that has no room for the connection yet; it is asked again after a second."""

    option = "connect_timeout"

    def prepare(self):
        self.listener = self.world.keep(socket.create_server(("127.0.0.1", 0), backlog=0))
        self.listener.settimeout(WAIT)
        self.authority = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.filler = self.world.keep(socket.create_connection(self.listener.getsockname()))

    def begin(self):
        self.connect().request("GET", f"http://{self.authority}/")
        until(lambda: self.is_asked() or self.is_over(), "the proxy connects")

    def is_over(self):
        """The deadline has passed before one could look, on a machine that has other things to do."""
        return self.client.readable(0)

    def is_asked(self):
        """A connection in the state SYN_SENT, to that port."""
        port = "%04X" % self.listener.getsockname()[1]
        with open("/proc/net/tcp", encoding="ascii") as table:
            return any(line.split()[2].endswith(":" + port) and line.split()[3] == "02"
                       for line in table.readlines()[1:])

    def go_on(self):
        self.world.keep(self.listener.accept()[0])
        self.server = self.world.keep(self.listener.accept()[0])  # the proxy's, established
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            Stream(self.server).head()
            self.server.sendall(respond(204))
        except (OSError, Closed):
            pass

    def late(self):
        assert self.status() == 504


class Handshake(Connect):
    """The TLS handshake of an origin."""

    is_dated = True  # its certificate's

    def prepare(self):
        authority = Authority(self.world.directory / "tls")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*authority.issue("IP:127.0.0.1"))
        self.more = (f"tls_ca_file={authority.file}",)
        self.listener = self.world.keep(socket.create_server(("127.0.0.1", 0)))
        self.listener.settimeout(WAIT)
        self.authority = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def begin(self):
        self.connect().request("GET", f"https://{self.authority}/")
        self.server = self.world.keep(self.listener.accept()[0])
        self.server.settimeout(WAIT)
        self.server.recv(1, socket.MSG_PEEK)  # the client's part of it has come

    def go_on(self):
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            self.server = self.world.keep(self.context.wrap_socket(self.server, server_side=True))
        except OSError:
            return
        super().serve()


class ParentAnswer(Connect):
    """A parent's answer to CONNECT."""

    option = "first_byte_timeout"

    def prepare(self):
        self.parent = self.world.target(self.tunnel)
        self.more = (f"parent=http://{self.parent.authority}", "connect_ports=*",
                     "allow=127.0.0.0/8")

    def tunnel(self, connection):
        Stream(connection).head()
        self.go.wait(WAIT)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    def begin(self):
        self.connect().send(connect_bytes("origin.test:443"))  # what is loopback is no parent's
        self.parent.wait_connections(1)

    def go_on(self):
        self.go.set()

    def served(self):
        assert self.client.message("CONNECT").status == 200

    def late(self):
        assert self.client.message("CONNECT").status == 504


class Tunnel(Wait):
    """Bytes of the client in a tunnel."""

    option = "tunnel_timeout"
    more = ("connect_ports=*",)

    def prepare(self):
        self.target = self.world.target(self.serve)

    @staticmethod
    def serve(connection):
        Target.echo(connection)

    def begin(self):
        self.connect().send(connect_bytes(self.target.authority))
        assert self.client.message("CONNECT").status == 200

    def go_on(self):
        self.client.send(b"hello")

    def served(self):
        assert self.client.stream.exactly(5) == b"hello"

    def late(self):
        try:
            self.client.stream.exactly(5)
            raise AssertionError("it is open still")
        except (Closed, ConnectionError):
            pass


class TunnelTarget(Tunnel):
    """Bytes of the far end of a tunnel."""

    def serve(self, connection):
        self.go.wait(2 * WAIT)
        connection.sendall(b"hello")
        connection.recv(1)

    def go_on(self):
        self.go.set()


class HeldNames(NameServer):
    """Keeps what it is asked until go_on()."""

    def __init__(self):
        self.held = []
        self.going = False
        self.lock = threading.Lock()
        super().__init__({"held.test": ["127.0.0.1"]})

    def serve(self):
        while True:
            try:
                query, peer = self.sock.recvfrom(4096)
            except OSError:
                return
            if not query:
                return
            with self.lock:
                if not self.going:
                    self.held.append((query, peer))
                    continue
            self.sock.sendto(self.answer(query), peer)

    def go_on(self):
        with self.lock:
            self.going = True
            for query, peer in self.held:
                self.sock.sendto(self.answer(query), peer)


class Name(Wait):
    """The answer of a name server."""

    option = "dns_timeout"

    def prepare(self):
        self.origin = self.world.origin()
        self.names = self.world.keep(HeldNames())
        self.more = (f"resolvers={self.names.address}", "allow=127.0.0.0/8", "hosts_file=")

    def begin(self):
        self.connect().request("GET", f"http://held.test:{self.origin.port}/")
        until(lambda: len(self.names.held) >= 2, "both families are asked for")

    def go_on(self):
        self.names.go_on()

    def late(self):
        assert self.status() == 504


class NameOfSecond(Name):
    """The answer of a second name server, after the first said nothing."""

    def prepare(self):
        super().prepare()
        first = self.world.keep(NameServer({"held.test": None}))
        self.more = (f"resolvers={first.address},{self.names.address}", *self.more[1:])


class Background(Wait):
    """The answer to a validation that nobody waits for."""

    option = "first_byte_timeout"

    def prepare(self):
        self.origin = self.world.origin()
        self.origin.on("/", respond(204, "Cache-Control: max-age=0, stale-while-revalidate=1000000", date=False),
                       [self.go, respond(204, FRESH, "X: new", date=False)])

    def ask(self):
        return self.client.get(self.origin.url())

    def begin(self):
        self.connect()
        assert self.ask().stored
        until(lambda: self.ask().hit, "it is stored", 1)
        self.origin.wait_heads(2)

    def served(self):
        until(lambda: self.ask()["X"] == "new", "the answer is stored")
        assert len(self.origin.heads) == 2

    def late(self):
        until(lambda: self.world.proxy.stats()["failures"]["origin_timeout"] == 1, "the origin is late")


class Collapsed(Wait):
    """The fetch of another client."""

    option = "collapse_timeout"

    def prepare(self):
        self.origin = self.world.origin()
        self.origin.on("/", [self.go, respond(204, FRESH, date=False)], respond(204, FRESH, date=False))

    def begin(self):
        self.leader = self.world.client()
        self.leader.request("GET", self.origin.url())
        self.origin.wait_heads(1)
        self.connect().request("GET", self.origin.url())
        until(lambda: self.world.proxy.stats()["counters"]["collapsed"] == 1, "the other waits")

    def served(self):
        assert self.client.response().cache_status.get("collapsed") is True
        assert self.leader.response().status == 204
        assert len(self.origin.heads) == 1

    def late(self):
        self.origin.wait_heads(2)


class Drain(Wait):
    """What is in flight when the proxy is asked to end."""

    option = "drain_timeout"

    def prepare(self):
        self.origin = self.world.origin()
        self.origin.on("/", [self.go, respond(204)])

    def begin(self):
        self.connect().request("GET", self.origin.url())
        self.origin.wait_heads(1)
        self.world.proxy.terminate()
        until(self.is_draining, "it takes no more")

    def is_draining(self):
        try:
            self.world.proxy.connect().close()
        except ConnectionError:
            return True
        return False

    def served(self):
        super().served()
        self.world.proxy.wait()

    def late(self):
        self.gone()
        self.world.proxy.wait()


def all_waits():
    found, todo = [], [Wait]
    while todo:
        for kind in todo.pop().__subclasses__():
            todo.append(kind)
            if kind not in found:
                found.append(kind)
    return sorted(found, key=lambda kind: kind.__name__)


def name_of(kind):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
