"""Messages to be read in two ways: requests and responses with odd lines, framing and ends, by seed."""

import random

METHODS = [b"GET"] * 6 + [b"POST"] * 5 + [b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"PATCH", b"CONNECT", b"TRACE"]
ODD_METHODS = [b"get", b"Get", b"QUERY", b"PROPFIND", b"M-SEARCH", b"G@T", b"GE T", b"", b"A" * 33, b"GET\t", b"G\x00T", b"PRI", b"X!#$%",
               b"SOURCE", b"DESCRIBE", b"GET\xff", b"\"GET\"", b"G(T"]
TARGETS = [b"http://h.example/"] * 5 + [b"http://h.example/a?b=c", b"/", b"/a/b?c"]
ODD_TARGETS = [b"*", b"h.example:443", b"h.example", b"http://h.example:80/", b"http://h.example", b"http://h.example?q", b"HTTP://H.EXAMPLE/",
               b"http://u@h.example/", b"http://[::1]/", b"http://[::1/", b"https://h.example/", b"ftp://h/", b"http://h.example/#f",
               b"/a#b", b"//h/x", b"http:///", b"http:/x", b"http://h.example/%zz", b"http://h.example/|{}\"<>^`\\", b"http://h.example/\xc3\xa9",
               b"/a b", b"/\x7f", b"/\x01", b"/\t", b"", b"?a", b"http://h.example:0/", b"http://h.example:99999/", b"http://h.example:/",
               b"http://h.example:8x/", b"http://h\xe9/", b"http://h_x/", b"http://-/", b"/\x00", b"/\x80", b"a", b"1:2"]
VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0"]
ODD_VERSIONS = [b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.01", b"http/1.1", b"HTTP/1.1 ", b"HTTP/1", b"", b"HTTP/+1.1",
                b"HTTP/1,1", b"HTTP/1.1\t", b"HTTP /1.1", b"HTTP/ 1.1", b"HTTP/11", b"ICY", b"HTTP/1.", b"RTSP/1.0", b"HTTP/3.1"]
SPACES = [b"  ", b"\t", b"", b"\x0b", b"\x0c", b"\r", b"\xa0", b" \t", b"\x00"]
ENDS = [b"\n", b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"", b" \r\n", b"\x0b\r\n", b"\r\n ", b"\r\n\t", b"\x00\r\n", b"\r\x00\n", b"\r \n"]
BEFORE = [b"\r\n", b"\r\n\r\n", b"\n", b"\n\n", b"\r", b" ", b"\xef\xbb\xbf", b"\r\n" * 4, b"\r\n" * 5, b"\x00", b" \r\n", b"0\r\n\r\n"]
NAMES_OF = {
    b"Content-Length": [b"content-length", b"CONTENT-LENGTH", b"Content-Length ", b"Content-Length\t", b" Content-Length", b"Content_Length",
                        b"Content-Length\x00", b"Content-Length\r", b"Content-Lengt", b"Content-Length\x0b", b"\"Content-Length\"", b"Content-Length:"],
    b"Transfer-Encoding": [b"transfer-encoding", b"TRANSFER-ENCODING", b"Transfer-Encoding ", b"Transfer-Encoding\t", b" Transfer-Encoding",
                           b"Transfer_Encoding", b"Transfer-Encoding\x0b", b"Transfer-Encoding\x00", b"Transfer-Encodin", b"\x01Transfer-Encoding",
                           b"Transfer\r\n-Encoding"],
}
CODINGS = [b"Chunked", b"CHUNKED", b"chunked ", b"chunked\t", b"\tchunked", b" chunked", b"chunked\x0b", b"\x0bchunked", b"\x0cchunked",
           b"x-chunked", b"xchunked", b"chunke", b"chunkedx", b"gzip, chunked", b"gzip,chunked", b"chunked, gzip", b"chunked, chunked", b"chunked,chunked",
           b"identity", b"chunked, identity", b"identity, chunked", b"\"chunked\"", b"chunked;q=1", b"chunked;", b",chunked", b"chunked,", b", chunked ,",
           b"", b"chunked\x00", b"ch unked", b"chunked\r\n ", b"\r\n chunked", b"gzip", b"chunked\x7f", b"\xa0chunked", b"chunked\xff", b"'chunked'",
           b"trailers", b"chunked\r", b"\rchunked", b"chunked\n", b"deflate\r\n\t, chunked"]
SIZES = [b"0%x", b"000%x", b"00000000000000000%x", b"0x%x", b"+%x", b"-%x", b"%x ", b"%x\t", b" %x", b"\t%x", b"%x  \t ", b"%x;a", b"%x;a=b",
         b"%x;a=\"b\"", b"%x;a=\"\r\n\"", b"%x ;a", b"%x; a", b"%x;", b"%x;\n", b"%x;\r", b"%x\n", b"%x\r", b"%x\x00", b"%x;a\x00", b"%x;a\x01b",
         b"%x;\x7f", b"%x,", b"%xg", b"%x_0", b"%x.0", b"%x\x0b", b"%x;a\tb", b"%x;\xff", b"%x;a=\"b", b"%x;a\nb", b"%x;;", b"%x;=", b"%x;a b",
         b"%x:", b"%x\x0c", b"%x;a=b;c"]
WHOLE_SIZES = [b"", b"g", b";a", b"FFFFFFFFFFFFFFFF", b"10000000000000005", b"7FFFFFFFFFFFFFFF", b"8000000000000000", b"FFFFFFFFFFFFFFFFFFFF5", b"\r\n", b"\n5",
               b"1000000000000000000000005"]
LAST = [b"00", b"0;a", b"0 ", b"0\t", b"00000000000000000", b"", b"0x0", b"-0", b"0;a=b", b"0;\n", b"0\r", b"+0", b"000000000000000000000000000000"]
TRAILERS = [b"A: b", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: x", b"A : b", b": b", b"A", b" A: b", b"A: b\x00", b"A: b\r", b"A:\x7f",
            b"A: b\r\n c", b"A: b\nB: c", b"\x80: b", b"A:", b"Trailer: A", b"A: \xff", b"A: b\x01", b"A\x00: b"]
LINES = [b"X-A: v", b"X-A:v", b"x-a:   v\t ", b"X-A:", b"X-A: ", b"X-A: a\r\n b", b"X-A: a\r\n\tb", b"X-A: a\r\n \r\n", b"X-A: a\r\n", b"X-A : v", b"X-A\t: v",
         b"X A: v", b": v", b"v", b"X-A: a\x00b", b"X-A: a\x01b", b"X-A: a\x7fb", b"X-A: a\rb", b"X-A: a\nb", b"X-A: \xff\x80", b"X\x80: v", b"X(: v",
         b"X-A: \x0bv", b"X-A: v\x0b", b"X-A: v\x0c", b"X-A: v\x85", b"X-A: v\xa0", b"X-A: v\x1c", b"X-A:\xa0v", b"!#$%&'*+-.^_`|~: v", b"X-A: \"a, b\"",
         b"X-A: " + b"y" * 300, b"Connection: close", b"Connection: keep-alive", b"Connection: Content-Length", b"Connection: Transfer-Encoding, close",
         b"Connection: upgrade\r\nUpgrade: websocket", b"Connection: upgrade\r\nUpgrade: h2c", b"Upgrade: x", b"Expect: 100-continue", b"Expect: x",
         b"Expect: 100-Continue, x", b"Trailer: A", b"TE: trailers", b"Proxy-Connection: keep-alive", b"Keep-Alive: 5", b"Via: 1.1 x", b"Host: other", b"X-A", b"X:A:b",
         b"Content-Type: a/b", b"Content-Encoding: gzip", b"X-A: a\r\n  ", b" X-A: v", b"\tX-A: v", b"\x00: v", b"X-A: a\r\r\n b", b"Vary: *", b"Cookie: a=b; c"]
HOST_LINES = [[], [b"Host: h.example", b"Host: h.example"], [b"Host: h.example", b"Host: other"], [b"Host : h.example"], [b"host:h.example"], [b"Host:"],
              [b"Host: h h"], [b"Host: h,h"], [b"Host: h/x"], [b"Host: [::1]:80"], [b"Host: other"], [b"Host: u@h"], [b"Host: h\x00"], [b"Host: h.example "],
              [b"Host: h\r\n .example"], [b"Host: \xff"], [b"Host: h:x"], [b"Host: h:"], [b"Host: h%41"], [b"Host: h\"x"], [b"Host: h?x"], [b"Host: h_x"]]
STATUSES = [b"200"] * 8 + [b"204", b"204", b"304", b"404"]
ODD_STATUSES = [b"100", b"103", b"101", b"199", b"205", b"206", b"301", b"500", b"600", b"999", b"099", b"000", b"20", b"2000", b"2 0", b"+20", b"-20", b"2x0", b"",
                b"\x0020", b" 200", b"0200", b"1000"]
REASONS = [b"", b" ", b"  OK", b" a\tb", b" \x80", b" a\x00b", b" a\x0bb", b" a\x7fb", b"\tOK", b"OK", b" OK ", b" a\rb", b" a\nb", b" \x1b[1m", b"-OK"]
NEXT = {"request": b"GET /next HTTP/1.1\r\nHost: h.example\r\n\r\n", "response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}
BYTES = [b"\r", b"\n", b"\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b"0", b"1", b"a", b"\xff", b"\x0b", b"\x7f", b"\"", b"\r\n ", b"\r\n\r\n"]


class Writer:
    """Draws parts; each is odd about once in `oddness` draws."""

    def __init__(self, dice, oddness):
        self.dice = dice
        self.oddness = oddness

    def odd(self):
        return self.dice.randrange(self.oddness) == 0

    def one(self, usual, odd):
        return self.dice.choice(odd if self.odd() else usual)

    def end(self):
        return ENDS[self.dice.randrange(len(ENDS))] if self.dice.randrange(self.oddness * 3) == 0 else b"\r\n"

    def space(self):
        return self.dice.choice(SPACES) if self.dice.randrange(self.oddness * 3) == 0 else b" "

    def lines(self, lines):
        return b"".join(line + self.end() for line in lines)

    def framing_line(self, name, value):
        return self.one([name], NAMES_OF[name]) + self.one([b": "], [b":", b":\t", b" : ", b":  ", b"", b": \r\n "]) + value

    def length(self, n):
        right = b"%d" % n
        return self.one([right], [b"%d" % (n + 1), b"%d" % max(n - 1, 0), right + b", " + right, right + b", %d" % (n + 1), b"+" + right, b"-" + right,
                                  b"0x" + right, b"0" + right, right + b" ", right + b"\t", right + b"\x0b", b"", right + b";", right + b".0", b"1e1",
                                  b"%d" % (2**64 + n), b"%d" % (2**63 - 1), b"%d" % 2**63, b"0" * 40 + right, right + b"\x00", right + b"\r", right + b" 1",
                                  b"\"" + right + b"\"", right + b",", b"," + right, right + b"_0", right + b"\r\n ", b"\r\n " + right, b"\x0b" + right,
                                  b"\xd9\xa5", right + b"\r\n\t0", b"0", b"%d" % (2**32 + n)])

    def chunk(self, data):
        size = self.one([b"%x", b"%x", b"%X"], SIZES)
        head = self.dice.choice(WHOLE_SIZES) if self.dice.randrange(self.oddness * 6) == 0 else size % len(data)
        after = self.dice.choice([b"\n", b"", b"\r", b"x\r\n", b"\r\r\n", b"\r\nx", b"\n\r\n", b"  "]) if self.dice.randrange(self.oddness * 2) == 0 else b"\r\n"
        return head + self.end() + data + after

    def chunked(self, content):
        parts = []
        while content:
            n = self.dice.randint(1, len(content))
            parts.append(self.chunk(content[:n]))
            content = content[n:]
        trailers = [self.dice.choice(TRAILERS) for _ in range(self.dice.choice([0] * self.oddness + [1, 2]))]
        return b"".join(parts) + self.one([b"0"], LAST) + self.end() + self.lines(trailers) + self.end()

    def content(self):
        length = self.dice.choice([0, 1, 5, 10, 17, 40])
        return bytes(self.dice.choice(b"ab\r\n0:5;") if self.odd() else self.dice.choice(b"abc") for _ in range(length))

    def framing(self, may_be_without):
        """Lines and what follows the head."""
        content = self.content()
        kind = self.dice.choice(["length", "length", "chunked", "chunked", "none", "none" if may_be_without else "chunked"] + ["both", "odd"] * self.odd())
        lines, after = [], content
        if kind in ("length", "both"):
            lines += [self.framing_line(b"Content-Length", self.length(len(content)))] * (2 if self.dice.randrange(self.oddness * 2) == 0 else 1)
            if self.dice.randrange(self.oddness * 3) == 0:
                lines.append(self.framing_line(b"Content-Length", self.length(len(content))))
        if kind in ("chunked", "both", "odd"):
            lines.append(self.framing_line(b"Transfer-Encoding", self.dice.choice(CODINGS) if kind == "odd" else self.one([b"chunked"], CODINGS)))
            if self.dice.randrange(self.oddness * 3) == 0:
                lines.append(self.framing_line(b"Transfer-Encoding", self.one([b"chunked"], CODINGS)))
            after = self.chunked(content)
        if kind == "none":
            after = content if self.odd() else b""
        self.dice.shuffle(lines)
        return lines, after

    def head(self, first, lines, framing):
        lines = lines + framing
        for _ in range(self.dice.choice([0, 0, 1, 2])):
            lines.insert(self.dice.randint(0, len(lines)), self.one([b"X-A: v", b"Accept: */*", b"Connection: keep-alive"], LINES))
        return first + self.end() + self.lines(lines) + self.end()

    def request(self):
        method = self.one(METHODS, ODD_METHODS)
        target = self.one(TARGETS if method != b"CONNECT" else [b"h.example:443"], ODD_TARGETS)
        first = method + self.space() + target + self.space() + self.one(VERSIONS, ODD_VERSIONS)
        framing, after = self.framing(True)
        head = self.head(first, list(self.one([[b"Host: h.example"]], HOST_LINES)), framing)
        return (self.dice.choice(BEFORE) if self.odd() else b"") + head + after

    def response(self):
        first = self.one(VERSIONS, ODD_VERSIONS) + self.space() + self.one(STATUSES, ODD_STATUSES) + self.one([b" OK"], REASONS)
        framing, after = self.framing(False)
        return (self.dice.choice(BEFORE) if self.dice.randrange(self.oddness * 3) == 0 else b"") + self.head(first, [], framing) + after

    def damaged(self, message):
        """A byte more, less or another, a line twice or gone; or the end is missing."""
        at = self.dice.randrange(len(message) + 1)
        kind = self.dice.choice(["insert", "replace", "remove", "cut", "line"])
        if kind == "insert":
            return message[:at] + self.dice.choice(BYTES) + message[at:]
        if kind == "replace":
            return message[:at] + self.dice.choice(BYTES) + message[at + 1:]
        if kind == "remove":
            return message[:at] + message[at + self.dice.randint(1, 4):]
        if kind == "cut":
            return message[:at]
        lines = message.split(b"\r\n")
        line = self.dice.randrange(len(lines))
        lines[line:line + 1] = [lines[line]] * self.dice.choice([0, 2])
        return b"\r\n".join(lines)


def case(seed, index):
    """Kind ("request", "response", "response-head") and bytes; the same for the same two numbers."""
    dice = random.Random(f"{seed}:{index}")
    writer = Writer(dice, dice.choice([3, 8, 8, 20]))
    kind = dice.choice(["request", "request", "request", "response", "response", "response-head"])
    message = writer.request() if kind == "request" else writer.response()
    if dice.randrange(2):
        message += NEXT[kind.split("-")[0]]
    if dice.randrange(6) == 0:
        message = writer.damaged(message)
    return kind, message
