"""A strict reader of HTTP/1.1 messages, used by both ends of the tests.

It accepts only what RFC 9112 lets a sender generate, so whatever the proxy writes to a client or to
an origin is checked on the way: a message that is merely tolerable raises Malformed.
"""

import re
import socket

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FIELD_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t\x20-\x7e\x80-\xff]*)?")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
REQUEST_LINE = re.compile(rb"([\x21-\x7e]+) ([^\x00-\x20\x7f#]+) HTTP/1\.([01])")


class Malformed(AssertionError):
    """The peer wrote something that no HTTP/1.1 sender may write."""


class Closed(Exception):
    """The connection ended. `how` is "fin" or "rst", `partial` the bytes of the unfinished part."""

    def __init__(self, how, partial=b""):
        super().__init__(f"connection ended by {how} after {bytes(partial)[:200]!r}")
        self.how = how
        self.partial = bytes(partial)


class Fields(list):
    """Field lines in order, as (name, value) pairs of str; names compare without case."""

    def all(self, name):
        return [v for n, v in self if n.lower() == name.lower()]

    def get(self, name, default=None):
        lines = self.all(name)
        return ", ".join(lines) if lines else default

    def __contains__(self, name):
        return bool(self.all(name))

    def members(self, name):
        """Members of a list-valued field without quoted strings, lower case."""
        return [m.strip().lower() for m in self.get(name, "").split(",") if m.strip()]


def parse_fields(lines):
    fields = Fields()
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name):
            raise Malformed(f"field line {line!r}")
        value = value.strip(b" \t")
        if not FIELD_VALUE.fullmatch(value):
            raise Malformed(f"field value {line!r}")
        fields.append((name.decode("ascii"), value.decode("latin-1")))
    return fields


def content_length(fields):
    """The one valid Content-Length, or None; anything doubtful is Malformed."""
    lines = fields.all("Content-Length")
    if not lines:
        return None
    if len(lines) > 1 or not re.fullmatch(r"[0-9]+", lines[0]):
        raise Malformed(f"Content-Length {lines!r}")
    if "Transfer-Encoding" in fields:
        raise Malformed("Content-Length beside Transfer-Encoding")
    return int(lines[0])


def is_chunked(fields):
    lines = fields.all("Transfer-Encoding")
    if not lines:
        return False
    if [line.lower() for line in lines] != ["chunked"]:
        raise Malformed(f"Transfer-Encoding {lines!r}")
    return True


class Stream:
    """Buffered reading from a socket. Each byte ever received is kept in `raw`."""

    def __init__(self, sock):
        self.sock = sock
        self.raw = bytearray()
        self.taken = 0

    def fill(self):
        """Receive once; raises Closed at the end of the stream."""
        try:
            data = self.sock.recv(262144)
        except (ConnectionResetError, BrokenPipeError):
            raise Closed("rst", self.raw[self.taken:]) from None
        except socket.timeout:
            raise AssertionError(
                f"nothing came in time; unread: {bytes(self.raw[self.taken:])[:500]!r}") from None
        if not data:
            raise Closed("fin", self.raw[self.taken:])
        self.raw += data

    def buffered(self):
        return bytes(self.raw[self.taken:])

    def take(self, n):
        data = bytes(self.raw[self.taken:self.taken + n])
        self.taken += n
        return data

    def exactly(self, n):
        while len(self.raw) - self.taken < n:
            self.fill()
        return self.take(n)

    def until(self, mark):
        """Bytes up to and without the mark, which is taken too."""
        start = self.taken
        while True:
            at = self.raw.find(mark, start)
            if at >= 0:
                data = self.take(at - self.taken)
                self.taken += len(mark)
                return data
            start = max(self.taken, len(self.raw) - len(mark) + 1)
            self.fill()

    def head(self):
        """First line and fields of a message."""
        lines = self.until(b"\r\n\r\n").split(b"\r\n")
        for line in lines:
            if b"\n" in line or b"\r" in line or b"\0" in line:
                raise Malformed(f"head line {line!r}")
        return lines[0], parse_fields(lines[1:])

    def chunked(self, on_data):
        """A chunked body: each piece is handed to on_data; returns the trailer fields."""
        while True:
            line = self.until(b"\r\n")
            match = CHUNK_LINE.fullmatch(line)
            if not match:
                raise Malformed(f"chunk line {line!r}")
            size = int(match[1], 16)
            if size == 0:
                break
            self.pass_on(size, on_data)
            if self.exactly(2) != b"\r\n":
                raise Malformed("no CRLF after the chunk data")
        lines = []
        while line := self.until(b"\r\n"):
            lines.append(line)
        return parse_fields(lines)

    def pass_on(self, size, on_data):
        """Hand `size` bytes to on_data as they come."""
        while size:
            if len(self.raw) == self.taken:
                self.fill()
            piece = self.take(min(size, len(self.raw) - self.taken))
            size -= len(piece)
            on_data(piece)

    def to_end(self, on_data):
        """Hand all bytes to the end of the stream to on_data; a reset raises Closed."""
        while True:
            if len(self.raw) > self.taken:
                on_data(self.take(len(self.raw) - self.taken))
            try:
                self.fill()
            except Closed as end:
                if end.how == "fin":
                    return
                raise
