"""A scripted origin server on raw sockets.

An origin answers each request from what was registered for its target:

    origin.on("/a", respond(204, "Cache-Control: max-age=60"))
    origin.on("/b", respond(200, body=b"first"), respond(404))       one per request, the last repeats
    origin.on("/c", [b"HTTP/1.1 200 OK\\r\\n", event, b"\\r\\n", RESET])  steps, see Connection.play()

and records what it got: `requests` (complete ones), `heads` (as soon as their head was in), and on
`connections` the exact bytes of each. Requests are read strictly; what the proxy may not have written
is kept in `faults`, and the fixture fails the test for it.
"""

import email.utils
import socket
import struct
import threading
import time

from support.http1 import (REQUEST_LINE, TOKEN, Closed, Malformed, Stream, content_length, is_chunked)

RESET = object()       # RST at once
HALF_CLOSE = object()  # FIN, go on reading
CLOSE = object()       # FIN and no more
NEVER = object()       # say nothing more until the peer goes away
READ_BODY = object()   # read the request body now (with early=True)

WAIT = 5.0            # seconds until a wait that should have ended counts as a failure


def http_date(offset=0):
    """Now plus offset seconds, as an HTTP date."""
    return email.utils.formatdate(time.time() + offset, usegmt=True)


def chunked(*pieces, trailer=b""):
    """A chunked body of these pieces, with its last chunk."""
    out = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)
    return out + b"0\r\n" + trailer + b"\r\n"


def respond(status=204, *fields, body=None, date=True, version="1.1"):
    """The bytes of a response. Fields are "Name: value" lines. A body gets its Content-Length, and a
    final response that may have one always says its length. `date` may be False, or seconds from now."""
    lines = [f"HTTP/{version} {status} Status"]
    if date is not False:
        lines.append(f"Date: {http_date(0 if date is True else date)}")
    lines += fields
    if status >= 200 and status not in (204, 304):
        body = body or b""
        lines.append(f"Content-Length: {len(body)}")
    head = "".join(line + "\r\n" for line in lines) + "\r\n"
    return head.encode("latin-1") + (body or b"")


class Request:
    """One request as it came."""

    def __init__(self, line, fields, connection):
        match = REQUEST_LINE.fullmatch(line)
        if not match or not TOKEN.fullmatch(match[1]):
            raise Malformed(f"request line {line!r}")
        self.line = line.decode("latin-1")
        self.method, self.target = match[1].decode(), match[2].decode("latin-1")
        self.version = "1." + match[3].decode()
        self.fields = fields
        self.connection = connection
        self.pieces = []
        self.trailers = []
        if len(fields.all("Host")) != 1:
            raise Malformed(f"Host lines {fields.all('Host')!r}")

    @property
    def body(self):
        return b"".join(self.pieces)

    def __repr__(self):
        return f"<{self.line}>"


class Connection(threading.Thread):
    """One accepted connection and the thread that serves it."""

    def __init__(self, origin, sock, number):
        super().__init__(daemon=True)
        self.origin = origin
        self.sock = sock
        self.number = number
        self.stream = Stream(sock)
        self.sent = 0
        self.open = True
        self.ended = None  # "peer fin", "peer rst" or "origin"
        self.unfinished = None  # the request that the peer broke off
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def received(self):
        return bytes(self.stream.raw)

    def run(self):
        try:
            while self.open:
                self.serve_one()
        except Closed as end:
            self.ended = self.ended or f"peer {end.how}"
        except OSError:
            self.ended = self.ended or "peer rst"
        except Malformed as fault:
            self.origin.faults.append(f"{fault} in {self.received[-2000:]!r}")
        finally:
            self.close(self.ended or "origin")

    def serve_one(self):
        request = Request(*self.stream.head(), self)
        self.unfinished = request
        length = content_length(request.fields)
        chunks = is_chunked(request.fields)
        steps, early = self.origin.began(request)
        unread = True

        def read_body():
            nonlocal unread
            if unread:
                unread = False
                if chunks:
                    request.trailers = self.stream.chunked(request.pieces.append)
                elif length:
                    self.stream.pass_on(length, request.pieces.append)
                self.unfinished = None
                self.origin.completed(request)

        if not early:
            read_body()
        self.play(steps, read_body)
        if self.open:
            read_body()
            if "close" in request.fields.members("Connection"):
                self.close("origin")

    def play(self, steps, read_body=lambda: None):
        """Steps: bytes to send, an Event to wait for, one of the constants above, or a callable that
        gets the connection. Any iterable will do, so a generator may make endless bodies."""
        for step in [steps] if isinstance(steps, bytes) else steps:
            if isinstance(step, (bytes, bytearray)):
                self.send(step)
            elif isinstance(step, threading.Event):
                step.wait(WAIT)
            elif step is READ_BODY:
                read_body()
            elif step is NEVER:
                while True:
                    self.stream.fill()
            elif step is HALF_CLOSE:
                self.sock.shutdown(socket.SHUT_WR)
            elif step is CLOSE:
                self.close("origin")
                return
            elif step is RESET:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close("origin")
                return
            else:
                step(self)

    def send(self, data):
        view = memoryview(data)
        while view:
            n = self.sock.send(view[:65536])
            self.sent += n
            view = view[n:]

    def close(self, why):
        with self.origin.changed:
            if self.open:
                self.open = False
                self.ended = why
                try:
                    self.sock.close()
                except OSError:
                    pass
            self.origin.changed.notify_all()

    def abort(self):
        """Wake the thread up from outside, whatever it waits for."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Origin:
    connection_type = Connection
    used_ports = set()  # a port is used once a process, so that no key of an earlier test comes back

    def __init__(self, host="127.0.0.1", receive_buffer=None, send_buffer=None, path=None):
        """At a free port of `host`, or at the Unix socket `path`, where `host` is its name alone."""
        self.changed = threading.Condition()
        self.listener = self.listen_at(path) if path else self.listen(host, receive_buffer, send_buffer)
        self.host, self.port = (host, None) if path else self.listener.getsockname()[:2]
        self.authority = self.host if path else f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.default = respond(204)
        self.replies = {}
        self.requests = []
        self.heads = []
        self.connections = []
        self.faults = []
        self.closing = False
        threading.Thread(target=self.accept, daemon=True).start()

    @staticmethod
    def listen_at(path):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        sock.listen(128)
        return sock

    @classmethod
    def listen(cls, host, receive_buffer, send_buffer):
        rejected = []
        while True:
            sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if send_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            sock.bind((host, 0))
            port = sock.getsockname()[1]
            if port not in cls.used_ports:
                cls.used_ports.add(port)
                sock.listen(128)
                for other in rejected:
                    other.close()
                return sock
            rejected.append(sock)

    def url(self, path="/"):
        return f"http://{self.authority}{path}"

    def on(self, target, *replies, early=False):
        """What to answer to requests for this target (with its query), in turn; the last one repeats.
        With early=True the answer starts before the body of the request is read."""
        self.replies[target] = [list(replies), early]

    def began(self, request):
        with self.changed:
            self.heads.append(request)
            replies, early = self.replies.get(request.target, [[self.default], False])
            self.changed.notify_all()
            return (replies.pop(0) if len(replies) > 1 else replies[0]), early

    def completed(self, request):
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def wait(self, condition, what, timeout=WAIT):
        with self.changed:
            assert self.changed.wait_for(condition, timeout), f"{what}: {self!r}"

    def wait_requests(self, n):
        self.wait(lambda: len(self.requests) >= n, f"{n} requests did not come")
        return self.requests

    def wait_heads(self, n):
        self.wait(lambda: len(self.heads) >= n, f"{n} request heads did not come")
        return self.heads

    def wait_all_closed(self):
        """Until every connection has ended."""
        self.wait(lambda: not any(c.open for c in self.connections), "connections stay open")

    @property
    def lines(self):
        return [request.line for request in self.requests]

    @property
    def last(self):
        return self.requests[-1]

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                if self.closing:
                    sock.close()
                    return
                connection = self.connection_type(self, sock, len(self.connections))
                self.connections.append(connection)
                connection.start()
                self.changed.notify_all()

    def refuse(self):
        """Stop listening: from now on a connection is refused. The old ones are closed."""
        with self.changed:
            self.closing = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for connection in self.connections:
            connection.abort()

    def close(self):
        self.refuse()
        for connection in self.connections:
            connection.join(1)

    def __repr__(self):
        ends = [c.ended for c in self.connections]
        return f"<origin :{self.port} heads={self.heads} requests={len(self.requests)} ended={ends}>"
