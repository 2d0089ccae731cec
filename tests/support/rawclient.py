"""A client that sends exact bytes to the proxy and reads its answers strictly."""

import re
import select
import socket
import struct
from urllib.parse import urlsplit

from support.http1 import (STATUS_LINE, Closed, Fields, Malformed, Stream, content_length, is_chunked)

WAIT = 5.0  # seconds until an answer that should have come counts as a failure


class Response:
    """An answer. `complete` is False when the connection ended before the body did; `framing` says
    what ended it: "none", "length", "chunked" or "close"."""

    def __init__(self, version, status, fields):
        self.version = version
        self.status = status
        self.fields = fields
        self.interim = []
        self.trailers = Fields()
        self.pieces = []
        self.framing = "none"
        self.complete = True

    @property
    def body(self):
        return b"".join(self.pieces)

    def __getitem__(self, name):
        return self.fields.get(name)

    @property
    def age(self):
        return int(self["Age"])

    @property
    def cache_status(self):
        """Parameters of our member of Cache-Status, the last one (RFC 9211 2)."""
        members = re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+', self["Cache-Status"] or "")
        assert members, f"no Cache-Status in {self!r}"
        name, *params = [p.strip() for p in re.findall(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+', members[-1])]
        found = {"name": name}
        for param in params:
            key, equals, value = param.partition("=")
            found[key] = (int(value) if re.fullmatch(r"-?\d+", value) else value.strip('"')) \
                if equals else True
        return found

    @property
    def hit(self):
        return self.cache_status.get("hit", False)

    @property
    def fwd(self):
        return self.cache_status.get("fwd")

    @property
    def stored(self):
        return self.cache_status.get("stored", False)

    def __repr__(self):
        return f"<{self.status} {list(self.fields)} {self.body[:200]!r} complete={self.complete}>"


def request_bytes(method, url, *fields, body=None, version="1.1"):
    """A proxy request in absolute-form; Host and Content-Length come by themselves."""
    lines = [f"{method} {url} HTTP/{version}", f"Host: {urlsplit(url).netloc}", *fields]
    if isinstance(body, bytes):
        lines.append(f"Content-Length: {len(body)}")
    head = "".join(line + "\r\n" for line in lines) + "\r\n"
    return head.encode("latin-1") + (body or b"")


class Client:
    def __init__(self, port, host="127.0.0.1", receive_buffer=None, timeout=WAIT, source=None, seen=None,
                 path=None):
        self.seen = seen  # is called with each final answer
        self.sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(timeout)
        self.sock.connect(str(path) if path else (host, port))
        if not path:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = Stream(self.sock)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending

    def send(self, data):
        self.sock.sendall(data)

    def send_bytewise(self, data, step=1):
        """Each `step` bytes in a write of their own; stops when the proxy answers or goes away."""
        for at in range(0, len(data), step):
            if self.readable(0):
                return
            try:
                self.sock.send(data[at:at + step])
            except (ConnectionResetError, BrokenPipeError):
                return

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def request(self, method, url, *fields, body=None, version="1.1"):
        self.send(request_bytes(method, url, *fields, body=body, version=version))

    def reset(self):
        """Leave with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    # Reading

    def readable(self, timeout):
        return bool(select.select([self.sock], [], [], timeout)[0])

    def message(self, method="GET", on_data=None):
        """The next response, interim ones included."""
        line, fields = self.stream.head()
        match = STATUS_LINE.fullmatch(line)
        if not match:
            raise Malformed(f"status line {line!r}")
        answer = Response("1." + match[1].decode(), int(match[2]), fields)
        on_data = on_data or answer.pieces.append
        length, chunks = content_length(fields), is_chunked(fields)
        if answer.status < 200 or answer.status == 204:
            if length is not None or chunks:
                raise Malformed(f"{answer.status} with {fields!r}")
            return answer
        if method == "CONNECT" and answer.status < 300:
            if length is not None or chunks:
                raise Malformed(f"{answer.status} to CONNECT with {fields!r}")
            return answer
        if answer.status == 304 or method == "HEAD":
            return answer
        try:
            if chunks:
                answer.framing = "chunked"
                answer.trailers = self.stream.chunked(on_data)
            elif length is not None:
                answer.framing = "length"
                self.stream.pass_on(length, on_data)
            else:
                answer.framing = "close"
                self.stream.to_end(on_data)
        except Closed:
            answer.complete = False
        return answer

    def response(self, method="GET", on_data=None):
        """The next final response, with the interim ones before it in `interim`."""
        interim = []
        while True:
            answer = self.message(method, on_data)
            if answer.status >= 200:
                answer.interim = interim
                if self.seen:
                    self.seen(answer)
                return answer
            interim.append(answer)

    def ask(self, method, url, *fields, body=None, version="1.1"):
        """One request and its answer."""
        self.request(method, url, *fields, body=body, version=version)
        return self.response(method)

    def get(self, url, *fields):
        return self.ask("GET", url, *fields)

    def head(self, url, *fields):
        return self.ask("HEAD", url, *fields)

    # Ends

    def end(self):
        """Wait for the proxy to close; returns "fin" or "rst". Bytes before that fail the test."""
        assert not self.stream.buffered(), f"left over: {self.stream.buffered()!r}"
        try:
            self.stream.fill()
        except Closed as end:
            return end.how
        raise AssertionError(f"bytes instead of the end: {self.stream.buffered()!r}")

    def is_open(self):
        """Nothing has come and nothing has ended."""
        return not self.stream.buffered() and not self.readable(0)
