"""Origins that know what they said to whom, and the judge of what clients are given.

Each answer of an origin has a serial, which grows with every request that any origin gets, the path it is
for, and what the answer depends on: the user, the language. What is after an invalidation has a later
serial than all that was said before that was asked for.
"""

import threading

from support.http1 import Closed
from support.origin import CLOSE, RESET, Origin, chunked, respond
from support.tls import TlsOrigin

HOUR = "Cache-Control: max-age=3600"
DEPENDS = {"private": ["X-User"], "nostore": ["X-User", "X-Lang"], "vary": ["X-Lang"]}
ALL = None     # in the place of a path
LONG = 70000  # bytes of a body: more than a buffer of the proxy
LIFETIMES = {
    "fresh": [HOUR],
    "stale": [HOUR, "Age: 7200"],
    "swr": [HOUR + ", stale-while-revalidate=86400", "Age: 7200"],
    "sie": [HOUR + ", stale-if-error=86400", "Age: 7200"],
    "private": ["Cache-Control: private, max-age=3600"],
    "vary": [HOUR, "Vary: X-Lang"],
    "group": [HOUR, 'Cache-Groups: "g"'],
    "nostore": ["Cache-Control: no-store"],
}


def kind_of(path):
    return path.split("/")[1]


def content(path, serial, size):
    """Bytes that tell whose they are, wherever they are cut."""
    piece = f"{path}={serial};".encode()
    return (piece * (size // len(piece) + 1))[:size]


class World:
    """What has been said. `floor` is the serial that answers for a path have to be later than, and
    the version that they have to be of at least."""

    def __init__(self):
        self.lock = threading.Lock()
        self.serial = 0
        self.versions = {}
        self.floor = {}
        self.requests = 0
        self.unsafe = {}      # how often each unsafe request came
        self.faults = []
        self.down = frozenset()  # kinds whose origin breaks off

    def next(self):
        with self.lock:
            self.serial += 1
            return self.serial

    def reply(self, request):
        """Steps of the answer to a request."""
        with self.lock:
            self.requests += 1
            self.serial += 1
            path, kind = request.target, kind_of(request.target)
            if request.method not in ("GET", "HEAD"):
                name = request.fields.get("X-Once")
                self.unsafe[name] = self.unsafe.get(name, 0) + 1
                self.versions[path] = self.versions.get(path, 0) + 1
            return self.steps(request, path, kind, self.serial)

    def steps(self, request, path, kind, serial):
        tag = f'"{path}#{self.versions.get(path, 0)}"'
        said = [f"X-Path: {path}", f"X-Serial: {serial}", f"ETag: {tag}",
                *(f"{name}: {request.fields.get(name, '')}" for name in DEPENDS.get(kind, [])), *LIFETIMES.get(kind, [])]
        if kind in self.down or kind == "reset":
            return [RESET]
        if request.method == "POST":
            return [respond(200, *said, body=b"done")]
        if request.fields.get("If-None-Match") == tag and kind != "body":
            return [respond(304, *said)]
        if request.method == "HEAD":
            return [respond(204, *said)]
        if kind == "body":
            return [respond(200, *said, body=content(path, serial, LONG))]
        if kind == "chunked":
            data = content(path, serial, LONG)
            return [respond(200, *said, "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b""),
                    chunked(data[:100], data[100:])]
        if kind == "cut":
            return [respond(200, *said, body=content(path, serial, LONG))[:-1000], CLOSE]
        return [respond(204, *said)]

    # ---- the judge ----

    def judge(self, question, answer):
        """None, or what is wrong with an answer, whole or cut; failures that the proxy tells are not."""
        if answer.status >= 500 and "X-Path" not in answer.fields:
            return None if answer["Proxy-Status"] or answer["Cache-Status"] else f"who says {answer!r}?"
        if answer.status == 304:
            return self.judge_304(question, answer)
        serial = int(answer["X-Serial"] or 0)
        if answer["X-Path"] != question.path:
            return f"an answer for {answer['X-Path']}"
        if not question.floor < serial <= self.serial:
            return f"serial {serial}, and it was invalidated at {question.floor}, now it is {self.serial}"
        for name, mine in (("X-User", question.user), ("X-Lang", question.lang)):
            if name in answer.fields and (answer[name] or "") != (mine or ""):
                return f"an answer for the {name} {answer[name]}"
        return self.judge_body(question, answer, serial)

    def judge_304(self, question, answer):
        """It has no fields but those of validation (RFC 9110 15.4.5): the tag says path and version."""
        if question.tag is None or answer["ETag"] != question.tag:
            return "a 304 that was not asked for"
        path, _, version = question.tag.strip('"').partition("#")
        if path != question.path or int(version) < question.version:
            return f"a 304 for version {version}, which was invalidated before {question.version}"
        return None

    def judge_body(self, question, answer, serial):
        kind = kind_of(question.path)
        expected = b"done" if question.method == "POST" else \
            content(question.path, serial, LONG) if kind in ("body", "chunked", "cut") else b""
        if question.method == "HEAD":
            expected = b""
        if answer.status not in (200, 204):
            return f"status {answer.status}"
        if answer.complete and answer.body != expected or not expected.startswith(answer.body):
            return f"a body of {len(answer.body)} bytes, {answer.body[:60]!r}"
        if answer.complete and kind == "cut" and question.method == "GET":
            return "a body that the origin broke off is passed on as whole"
        return None

    def ask(self, question):
        """It is asked now: what its answer has to be later than, and what an invalidation of it reaches."""
        with self.lock:
            path = question.path
            question.floor, question.version = max(self.floor.get(path, (0, 0)), self.floor.get(ALL, (0, 0)))
            question.sent = self.serial, self.versions.get(path, 0) + (question.method == "POST")

    def invalidated(self, path, sent):
        """What was asked for before `sent` is not to be used from now on, for a path or ALL."""
        with self.lock:
            self.floor[path] = max(self.floor.get(path, (0, 0)), sent)


class WorldOrigin(Origin):
    def __init__(self, world, **options):
        self.world = world
        super().__init__(**options)

    def began(self, request):
        super().began(request)
        return self.world.reply(request), False


class TlsWorldOrigin(TlsOrigin):
    def __init__(self, world, certificate, **options):
        self.world = world
        super().__init__(certificate, **options)

    def began(self, request):
        super().began(request)
        return self.world.reply(request), False


__all__ = ["Closed", "TlsWorldOrigin", "World", "WorldOrigin"]
