"""Logins: who has no right name and password gets nothing, and nobody else learns what they are."""

import base64
import re
import subprocess
import threading

import pytest

from support.origin import respond
from support.proxy import ROOT, run
from support.rawclient import request_bytes
from support.target import Target, open_tunnel, until

# name: password, hash
USERS = {
    "ali": ("open sesame", "$5$rounds=1000$Yp2kQvS1$vGczs8RKiCNWsRAaHrG4HLJrQuqvLg01/WWM8c4nwk2"),
    "jürgen": ("grüß", "$6$rounds=1000$b7XqLw0e$2yhjnto/O2ZyGkiNZIAoOC4C2x5p9X5BfBux1r.r.56FO4YuZb"
                       "AcWZNPSEppb9cKswyZBZ9YSpD0pV6ECFLdv1"),
    "modern": ("modern", "$y$j75$8mQ2fGhs$UGOUGRTUqRSmu4s9d79DdmqsbUFdZ181Pjcbhd7NZ41"),
    "slow": ("slow", "$6$rounds=80000$b7XqLw0e$ETJ.Nv2aJC92nABErhPPv1fjBcJNB5FI5v3RAgY0ESOLJD7yZBG1"
                     "0pnRYbmVo94oOjug./Rcp9StJFfqvy9zn."),
}


def login(name, password=None):
    pair = f"{name}:{USERS[name][0] if password is None else password}"
    return "Proxy-Authorization: Basic " + base64.b64encode(pair.encode()).decode()


def write_users(directory, text=None, mode=0o600):
    file = directory / "users"
    file.write_text(text if text is not None else
                    "# users\n\n" + "".join(f"{name}:{row[1]}\n" for name, row in USERS.items()))
    file.chmod(mode)
    return file


@pytest.fixture
def start(start_proxy, tmp_path):
    def start(*options):
        return start_proxy(f"password_file={write_users(tmp_path)}", *options)
    return start


def assert_asks(answer):
    assert answer.status == 407
    assert answer["Proxy-Authenticate"] == 'Basic realm="cache204", charset="UTF-8"'
    assert "no-store" in answer.fields.members("Cache-Control")
    assert "error=http_request_denied" in answer["Proxy-Status"]


@pytest.mark.parametrize("name", ["ali", "jürgen", "modern"])
def test_right_password(start, origin, name):
    with start().connect() as client:
        for _ in range(3):
            assert client.get(origin.url(), login(name)).status == 204
    assert len(origin.requests) == 3


WRONG = {
    "none": [],
    "wrong password": [login("ali", "sesame")],
    "empty password": [login("ali", "")],
    "another's password": [login("ali", "grüß")],
    "unknown user": ["Proxy-Authorization: Basic bm9ib2R5Ong="],
    "for the origin": ["Authorization" + login("ali")[len("Proxy-Authorization"):]],
    "another scheme": ["Proxy-Authorization: Bearer YWxpOm9wZW4gc2VzYW1l"],
    "no base64": ["Proxy-Authorization: Basic ali:open sesame"],
    "twice": [login("ali"), login("ali")],
    "empty": ["Proxy-Authorization:"],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_password(start, origin, name):
    with start().connect() as client:
        answer = client.get(origin.url(), *WRONG[name])
        assert_asks(answer)
        assert_asks(client.get(origin.url(), *WRONG[name]))  # on the same connection
    assert not origin.connections


def test_what_is_stored_is_not_shown(start, origin):
    origin.default = respond(204, "Cache-Control: max-age=60", "X-Secret: 1")
    proxy = start()
    with proxy.connect() as client:
        assert client.get(origin.url(), login("ali")).status == 204
        assert client.get(origin.url(), login("modern")).hit
        answer = client.get(origin.url())
        assert_asks(answer)
        assert "X-Secret" not in answer.fields
    with proxy.connect() as client:
        assert_asks(client.get(origin.url(), "Cache-Control: only-if-cached"))


def test_each_request_of_a_connection_is_asked(start, origin):
    with start().connect() as client:
        client.send(request_bytes("GET", origin.url("/1"), login("ali")) + request_bytes("GET", origin.url("/2"))
                    + request_bytes("GET", origin.url("/3"), login("ali")))
        assert client.response().status == 204
        assert_asks(client.response())
        assert client.response().status == 204
    assert origin.lines == ["GET /1 HTTP/1.1", "GET /3 HTTP/1.1"]


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "TRACE", "FOO"])
def test_any_method_is_asked(start, origin, method):
    with start().connect() as client:
        client.request(method, origin.url(), body=b"hello" if method == "POST" else None)
        assert_asks(client.response(method))
    assert not origin.connections


def test_connect(start):
    target = Target()
    proxy = start("connect_ports=*")
    with proxy.connect() as client:
        client.send(f"CONNECT {target.authority} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert_asks(client.response("CONNECT"))
        assert client.end() == "fin"
    assert not target.connections
    with proxy.connect() as client:
        open_tunnel(client, target.authority, login("ali"))
        client.send(b"ping")
        assert client.stream.exactly(4) == b"ping"
    target.close()


def test_refusals_do_not_tell_what_is_denied(start, origin):
    """Who does not log in learns nothing of the rules."""
    with start("deny=denied.example").connect() as client:
        assert_asks(client.get("http://denied.example/"))


def test_credentials_do_not_travel_on(start, origin):
    with start().connect() as client:
        client.get(origin.url(), login("ali"))
        client.ask("POST", origin.url(), login("ali"), body=b"x")
    for request in origin.requests:
        assert "Proxy-Authorization" not in request.fields
        assert b"YWxpOm" not in request.connection.received


def test_no_login_is_asked_without_the_option(client, origin):
    assert client.get(origin.url(), login("ali")).status == 204
    assert "Proxy-Authorization" not in origin.last.fields


def test_operators_need_no_login(start):
    assert start().admin("/healthz").status == 204


def test_user_is_in_the_access_log_and_the_password_nowhere(start, origin):
    proxy = start("log_level=debug")
    with proxy.connect() as client:
        client.get(origin.url(), login("ali"))
        client.get(origin.url(), login("jürgen"))
    for wrong in (login("ali", "sesame"), "Proxy-Authorization: Basic secret"):
        with proxy.connect() as client:
            client.get(origin.url(), wrong)
    told = proxy.told()
    users = [line.split('"user":"')[1].split('"')[0] if '"user":' in line else None
             for line in proxy.log_lines()]
    assert sorted(users, key=str) == [None, None, "ali", r"j\u00c3\u00bcrgen"]
    for secret in ("sesame", "YWxp", "secret", "$5$"):
        assert secret.encode() not in told


def lines_of(proxy, kind):
    return [line.split(" ", 1)[1] for line in proxy.errors().splitlines() if f": {kind}: " in line]


def test_missing_and_wrong_logins_are_distinguished(start, origin):
    """In the answer, the counters and the access log; on stderr with the user, each time."""
    proxy = start()
    name = 'x", client 9.9.9.9 \\\xff'
    with proxy.connect() as client:
        assert b"asks for" in client.get(origin.url()).body
        for wrong in (login("ali", "sesame"), login("ali", "sesame"), login("bob", "sesame"), login(name, "sesame")):
            assert b"wrong" in client.get(origin.url(), wrong).body
    failures = proxy.stats()["failures"]
    assert (failures["auth_required"], failures["auth_failed"]) == (1, 4)
    proxy.stop()
    told = "cache204: info: auth_failed: client 127.0.0.1, user {}: The user name or the password is wrong: see the option password_file."
    assert lines_of(proxy, "auth_failed") == [told.format(user) for user in (
        '"ali"', '"ali"', '"bob"', r'"x\x22, client 9.9.9.9 \x5c\xc3\xbf"')]
    assert not lines_of(proxy, "auth_required")
    assert sorted(re.findall(r'"failure":"(\w+)"', "\n".join(proxy.log_lines()))) == ["auth_failed"] * 4 + ["auth_required"]


def test_fail2ban_filter_of_the_manual(start, origin):
    """It finds the client's address in the line of a failed login, and in nothing a client can make up."""
    manual = (ROOT / "conf" / "cache204.8").read_text(encoding="utf-8")
    pattern = re.search(r"^failregex = (.*)$", manual, re.M)[1].replace(r"\e", "\\")
    assert pattern.count("<ADDR>") == 1
    pattern = re.compile(pattern.replace("<ADDR>", r"(?P<address>[0-9a-f.:]+)"))
    forged = "cache204: info: auth_failed: client 9.9.9.9, user"
    proxy = start()
    with proxy.connect(source="127.0.0.7") as client:
        client.get(origin.url())  # a client that waits to be asked is no guesser
        client.get(origin.url(), login("ali", "sesame"))
        client.get(origin.url(), login(forged, "sesame"))
        client.get("http://127.0.0.1:1/", login("ali"), f"User-Agent: {forged}")
    proxy.stop()
    lines = proxy.errors().splitlines()
    # as fail2ban sees them: without the time, from a file or the journal
    for seen in (lambda text: " " + text, lambda text: f"host cache204[12]: {text}"):
        found = [pattern.search(seen(line.split(" ", 1)[1])) for line in lines]
        assert [match["address"] for match in found if match] == ["127.0.0.7"] * 2


def test_user_in_the_squid_format(start, origin):
    proxy = start("access_log_format=squid")
    with proxy.connect() as client:
        client.get(origin.url(), login("ali"))
        client.get(origin.url())
    proxy.stop()
    assert sorted(line.split()[7] for line in proxy.log_lines()) == ["-", "ali"]


class Guessers:
    """Strangers that try one wrong password after another, each on a connection of its own at a time."""

    def __init__(self, proxy, origin, count, name, source="127.0.0.1"):
        self.proxy, self.url, self.name, self.source = proxy, origin.url(), name, source
        self.statuses = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.guess, args=(n,)) for n in range(count)]
        for thread in self.threads:
            thread.start()

    def guess(self, n):
        i = 0
        while not self.over.is_set():
            i += 1
            with self.proxy.connect(source=self.source) as client:
                name = self.name(n, i) if callable(self.name) else self.name
                self.statuses.append(client.get(self.url, login(name, f"guess {n} {i}")).status)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.one_worker("each worker works out one at a time")
def test_many_wrong_passwords_do_not_stop_the_proxy(start, origin):
    """Each costs some 50 ms of processor time: a few are worked out, the others wait for their turn."""
    origin.default = respond(204, "Cache-Control: max-age=60")
    proxy = start()
    known = proxy.connect()
    assert known.get(origin.url(), login("slow")).status == 204
    guessers = Guessers(proxy, origin, 4, "slow")
    answered = 0
    while len(guessers.statuses) < 10 or answered < 500:
        assert known.get(origin.url(), login("slow")).hit
        answered += 1
    guessers.end()
    assert set(guessers.statuses) == {407}
    assert len(guessers.statuses) < answered // 5
    failures = proxy.stats()["failures"]
    assert failures["too_many_logins"] == 0
    assert failures["auth_failed"] == len(guessers.statuses)
    known.close()


@pytest.mark.parametrize("name, source", [
    ("slow", "127.0.0.1"), ("ali", "127.0.0.1"), (lambda n, i: f"nobody {n} {i}", "127.0.0.9")],
    ids=["one name", "one user", "any name"])
def test_right_password_gets_through_while_others_guess(start, origin, name, source):
    """Also for the first time, and from an address and with a name that others guess with."""
    proxy = start()
    guessers = Guessers(proxy, origin, 3, name, source)
    until(lambda: len(guessers.statuses) > 3, "nothing is verified")
    for user in USERS:
        for own in ("127.0.0.1", "127.0.0.2"):
            with proxy.connect(source=own) as client:
                assert client.get(origin.url(), login(user)).status == 204
    guessers.end()
    assert set(guessers.statuses) == {407}


def test_body_and_tunnel_of_a_login_that_waits(start, origin):
    """What comes behind the head is held back until it is known who asks."""
    target = Target()
    proxy = start("connect_ports=*")
    guessers = Guessers(proxy, origin, 4, "slow")
    until(lambda: len(guessers.statuses) > 4, "nothing is verified")
    body = b"x" * 300000
    with proxy.connect() as client:
        assert client.ask("POST", origin.url("/post"), login("ali"), body=body).status == 204
        assert client.get(origin.url("/next"), login("ali")).status == 204
    assert next(r for r in origin.requests if r.line.startswith("POST")).body == body
    with proxy.connect() as client:
        open_tunnel(client, target.authority, login("modern"))
        client.send(b"hello")
        assert client.stream.exactly(5) == b"hello"
    guessers.end()
    target.close()


def test_client_that_leaves_while_its_login_waits(start, origin):
    proxy = start()
    guessers = Guessers(proxy, origin, 4, "slow")
    until(lambda: len(guessers.statuses) > 4, "nothing is verified")
    for n in range(50):
        client = proxy.connect()
        client.request("GET", origin.url(), login("slow", f"gone {n}"))
        client.reset()
    guessers.end()
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 0, "exchanges stay")
    with proxy.connect() as client:
        assert client.get(origin.url(), login("slow")).status == 204


def test_curl(start, origin):
    proxy = start()

    def curl(user):
        return subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--proxy-user", user,
                               "-x", proxy.url, origin.url()], capture_output=True, text=True, timeout=20).stdout

    assert curl("ali:open sesame") == "204"
    assert curl("ali:sesame") == "407"


BAD_FILES = {
    "name without hash": ("ali\n", ":1: "),
    "password in the clear": ("\nali:open sesame\n", ":2: "),
    "md5": ("ali:$1$salt$qJH7.N4xYta3aEG/dfqo/0\n", ":1: "),
    "nobody": ("# nobody\n", ": "),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_is_refused_with_its_place(tmp_path, name):
    text, place = BAD_FILES[name]
    file = write_users(tmp_path, text)
    for arguments in (("-t",), ()):
        result = run("-o", f"password_file={file}", "-o", "listen=127.0.0.1:0", "-o", "admin=127.0.0.1:0",
                     "-o", f"store={tmp_path / 'store'}", *arguments)
        assert result.returncode != 0
        assert f"{file}{place}" in result.stderr
        assert "sesame" not in result.stderr and "ready" not in result.stdout


def test_file_that_everybody_may_read_is_refused(tmp_path):
    result = run("-t", "-o", f"password_file={write_users(tmp_path, mode=0o644)}")
    assert result.returncode != 0 and "everybody" in result.stderr
    result = run("-t", "-o", f"password_file={tmp_path / 'none'}")
    assert result.returncode != 0 and "No such file" in result.stderr


def test_several_workers(start, origin):
    proxy = start("workers=2")
    for _ in range(12):
        with proxy.connect() as client:
            assert client.get(origin.url(), login("ali")).status == 204
        with proxy.connect() as client:
            assert_asks(client.get(origin.url()))
