"""What clients ask in each case: a bit of everything, each answer judged, each failure asked again."""

import contextlib
import itertools
import random
import socket
from dataclasses import dataclass, field

from support.http1 import Closed, Malformed
from support.rawclient import Client, request_bytes

once = itertools.count(1)
PATIENCE = 15.0  # seconds for an answer, by a proxy that has nothing to wait for


@dataclass
class Question:
    path: str
    url: str
    method: str = "GET"
    user: str = None
    lang: str = None
    tag: str = None
    fields: tuple = ()
    body: bytes = None
    floor: int = 0
    version: int = 0
    sent: tuple = (0, 0)
    answer: object = None

    def bytes(self):
        """Each time it is asked an unsafe question is another one."""
        lines = [*self.fields, *([f"X-Once: {next(once)}"] if self.method == "POST" else [])]
        lines += [f"{name}: {value}" for name, value in
                  (("X-User", self.user), ("X-Lang", self.lang), ("If-None-Match", self.tag)) if value]
        return request_bytes(self.method, self.url, *lines, body=self.body)


class Wrong(AssertionError):
    """What no fault excuses."""


@dataclass
class Tally:
    """What the clients of a case saw."""
    sent: int = 0        # requests, whole ones
    answered: int = 0    # finally and whole
    failed: list = field(default_factory=list)  # what became of the others
    hits: int = 0
    local: int = 0       # errors that the proxy told
    left: int = 0        # not to be answered in whole: the client left, or the origin
    direct: int = 0      # requests that came to an origin through a tunnel


class Clients:
    """Clients of one proxy. With `patient` what failed is asked again, and has to succeed then."""

    def __init__(self, world, proxy, patient=True):
        self.world, self.proxy, self.patient = world, proxy, patient
        self.tally = Tally()
        self.kept = None

    def client(self):
        if self.kept is None:
            self.kept = Client(self.proxy.port, timeout=PATIENCE)
        return self.kept

    def drop(self):
        if self.kept is not None:
            self.kept.close()
            self.kept = None

    def question(self, origin, path, **options):
        return Question(path, origin.url(path), **options)

    def ask(self, *questions, again=2):
        """Questions of one connection, sent ahead: their answers, None for what could not be had."""
        left = list(questions)
        for attempt in range(again + 1):
            left = self.attempt(left)
            if not left:
                break
            if attempt == again and self.patient:
                raise Wrong(f"asked {again + 1} times: {[q.path for q in left]}: {self.tally.failed[-again - 1:]}")
            if not self.patient:
                break
        return [q.answer for q in questions]

    def attempt(self, questions):
        """Those that were not answered."""
        try:
            client = self.client()
            for q in questions:
                q.answer = None
                self.world.ask(q)
            client.send(b"".join(q.bytes() for q in questions))
            self.tally.sent += len(questions)
        except OSError as error:
            return self.lost(questions, f"{questions[0].path}: {error!r}")
        for at, q in enumerate(questions):
            try:
                answer = client.response(q.method)
            except (Closed, ConnectionError, socket.timeout) as error:
                return self.lost(questions[at:], f"{q.path}: {error!r}")
            except Malformed as error:
                raise Wrong(f"{q.path}: {error}") from error
            except AssertionError as error:
                raise Wrong(f"{q.path}: no answer within {PATIENCE} s: {error}") from error
            if self.take(q, answer):
                return self.lost(questions[at:], f"{q.path}: {answer.status} {answer['Proxy-Status']}"
                                 f" complete={answer.complete}")
            if answer["Connection"] == "close" or answer.framing == "close":
                self.drop()
                return questions[at + 1:]
        return []

    def lost(self, questions, why):
        self.tally.failed += [why] * len(questions)
        self.drop()
        return questions

    def take(self, question, answer):
        """Whether it is a failure."""
        wrong = self.world.judge(question, answer)
        if wrong:
            raise Wrong(f"{question}: {wrong}: {answer!r}")
        if not answer.complete:
            return True
        self.tally.answered += 1
        question.answer = answer
        if answer["Cache-Status"] and answer.hit:
            self.tally.hits += 1
        if answer.status >= 500:
            self.tally.local += 1
            return True
        if question.method == "POST":
            self.world.invalidated(question.path, question.sent)
        return False

    def expect_cut(self, question):
        """An answer that the origin breaks off: no whole one may come of it."""
        try:
            client = self.client()
            self.world.ask(question)
            client.send(question.bytes())
            self.tally.sent += 1
            self.tally.left += 1
            if not self.take(question, client.response()):
                raise Wrong(f"{question}: the origin broke off, and the answer is whole")
        except (Closed, ConnectionError) as error:
            self.tally.failed.append(f"{question.path}: {error!r}")
        self.drop()

    # ---- who does what ----

    def purge(self, origin, path):
        """By an operator; a purge that is answered is in force."""
        asked = self.question(origin, path)
        self.world.ask(asked)
        try:
            answer = self.proxy.admin(f"/purge?uri={origin.url(path)}", "POST")
        except (Closed, OSError) as error:
            self.tally.failed.append(f"purge: {error!r}")
            return
        if answer.status == 200:
            self.world.invalidated(path, asked.sent)
        elif answer.status < 500:
            raise Wrong(f"purge: {answer!r}")

    def post(self, origin, path, body=b"x" * 3000):
        return self.ask(self.question(origin, path, method="POST", body=body))[0]

    def aborts(self, origin, path):
        """A client that leaves in the middle of an answer."""
        try:
            client = Client(self.proxy.port, receive_buffer=4096)
            client.send(request_bytes("GET", origin.url(path)))
            self.tally.sent += 1
            self.tally.left += 1
            client.sock.recv(2000)
            client.reset()
        except OSError as error:
            self.tally.failed.append(f"{path}: {error!r}")

    def tunnel(self, origin, path):
        """A question asked of the origin itself, through a tunnel."""
        for attempt in range(3):
            try:
                with Client(self.proxy.port, timeout=PATIENCE) as client:
                    client.send(f"CONNECT {origin.host}:{origin.port} HTTP/1.1\r\n"
                                f"Host: {origin.host}:{origin.port}\r\n\r\n".encode())
                    self.tally.sent += 1
                    answer = client.response("CONNECT")
                    if answer.status != 200:
                        raise Closed(f"{answer.status} {answer['Proxy-Status']}")
                    self.tally.answered += 1
                    self.tally.direct += 1
                    question = Question(path, path)
                    self.world.ask(question)
                    client.send(f"GET {path} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
                    answer = client.response()
                    if wrong := self.world.judge(question, answer):
                        raise Wrong(f"{question} in a tunnel: {wrong}: {answer!r}")
                    if answer.complete:
                        return
                    self.tally.failed.append("tunnel: cut")
            except (Closed, OSError) as error:
                self.tally.failed.append(f"tunnel: {error!r}")
            if not self.patient:
                return
        raise Wrong(f"no tunnel, asked 3 times: {self.tally.failed[-3:]}")

    def at_once(self, origin, path, count=3):
        """Clients that ask for the same at once."""
        clients, questions = [], []
        try:
            for _ in range(count):
                clients.append(Client(self.proxy.port, timeout=PATIENCE))
                q = self.question(origin, path)
                self.world.ask(q)
                questions.append(q)
                clients[-1].send(q.bytes())
                self.tally.sent += 1
        except OSError as error:
            self.tally.failed.append(f"{path}: {error!r}")
        for client, q in zip(clients, questions):
            try:
                if self.take(q, client.response()):
                    self.tally.failed.append(f"{path}: {q.answer!r}")
            except (Closed, ConnectionError) as error:
                self.tally.failed.append(f"{path}: {error!r}")
            except AssertionError as error:
                raise error if isinstance(error, Wrong) else Wrong(f"{path}: {error}") from error
        for client in clients:
            client.close()

    @contextlib.contextmanager
    def silent(self):
        """One that connects and says nothing, to the end of the case unless the proxy ends it."""
        try:
            client = Client(self.proxy.port)
        except OSError as error:
            self.tally.failed.append(f"silent: {error!r}")
            yield
            return
        with client:
            yield


def everything(clients, origins, name):
    """Each kind of request once or twice, beside one that stays silent. `name` makes the paths new ones."""
    with clients.silent():
        ask_everything(clients, origins, name)


def ask_everything(clients, origins, name):
    plain, named, secure = origins

    def path(kind):
        return f"/{kind}/{name}"

    def q(kind, origin=plain, **options):
        return clients.question(origin, path(kind), **options)

    first, = clients.ask(q("fresh"))
    clients.ask(q("fresh"))
    if first is not None:
        clients.ask(q("fresh", tag=first["ETag"]))
    clients.ask(q("fresh"), q("fresh", method="HEAD"), q("group"), q("nostore", user="a"), q("fresh"))
    clients.post(plain, path("fresh"))
    clients.ask(q("fresh"))
    clients.ask(q("fresh", fields=("Connection: close",)))
    for _ in range(2):
        clients.ask(q("stale"))
        clients.ask(q("swr"))
    clients.ask(q("private", user="a"))
    clients.ask(q("private", user="b"))
    clients.ask(q("vary", lang="x"))
    clients.ask(q("vary", lang="y"))
    clients.ask(q("vary", lang="x"))
    clients.ask(q("body"))
    clients.ask(q("chunked"))
    clients.expect_cut(q("cut"))
    clients.expect_cut(q("reset"))
    clients.aborts(plain, path("body"))
    clients.tunnel(plain, path("body"))
    clients.at_once(plain, path("stale2"))
    clients.at_once(plain, path("fresh2"))
    if named is not None:
        clients.ask(q("fresh", named))
    if secure is not None:
        clients.ask(q("fresh", secure))
        clients.ask(q("body", secure))
    clients.purge(plain, path("vary"))
    clients.ask(q("vary", lang="x"))
    clients.drop()


def some(clients, origins, name, chance: random.Random, count):
    """So many random ones of few paths, so that they meet."""
    plain = origins[0]
    for _ in range(count):
        kind = chance.choice(["fresh", "stale", "swr", "sie", "private", "vary", "group", "nostore", "body"])
        path = f"/{kind}/{name}{chance.randrange(3)}"
        act = chance.random()
        if act < 0.08:
            clients.post(plain, path)
        elif act < 0.12:
            clients.purge(plain, path)
        elif act < 0.15:
            clients.aborts(plain, path)
        elif act < 0.18:
            clients.tunnel(plain, path)
        else:
            clients.ask(*(clients.question(plain, path, user=chance.choice("ab"), lang=chance.choice("xy"))
                          for _ in range(chance.choice([1, 1, 1, 3]))))
    clients.drop()
