"""`cache204 top` in a terminal of its own: what it shows and asks, its keys, other sizes, and that the terminal is
afterwards what it was before, however it ends. `stats` and `mark` beside a running proxy."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from support import dash
from support.origin import respond
from support.proxy import BINARY, run
from support.until import until

pytestmark = pytest.mark.one_worker("a command asks whichever worker")

LEAVE = "\x1b[?1049l"
KEYS = "q quit"


class Terminal:
    """A program in a terminal: what it wrote, as text, and its screen as far as it is plain."""

    def __init__(self, *arguments, size=(24, 80), **environment):
        self.ours, theirs = pty.openpty()
        self.resize(*size, tell=False)
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.text = ""
        self.process = subprocess.Popen([BINARY, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                        env={**os.environ, "TERM": "xterm", **environment})

    def resize(self, rows, columns, tell=True):
        self.columns = columns
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def read(self):
        while select.select([self.ours], [], [], 0)[0]:
            try:
                data = os.read(self.ours, 65536)
            except OSError:
                break
            if not data:
                break
            self.text += data.decode("latin-1")
        return self.text

    def wait_for(self, words, timeout=15):
        until(lambda: words in self.read(), f"{words!r} is shown, not only {self.text[-2000:]!r}", timeout)

    def screen(self):
        """Rows of the last page that was drawn whole."""
        page = self.read().split("\x1b[H")[-1]
        return [self.row(re.sub(r"\x1b\[[0-9;?]*[A-IL-Za-z]", "", text)) for text in page.split("\r\n")]

    def row(self, text):
        """What a terminal shows of it: behind the last column the cursor stays there, so what erases then takes that sign."""
        shown, *parts = re.split(r"\x1b\[[JK]", text)
        for part in parts:
            shown = shown[:self.columns - 1] + part
        return shown.rstrip()

    def press(self, keys):
        self.text = ""
        os.write(self.ours, keys.encode())

    def end(self):
        """The exit status; the terminal is looked at."""
        code = self.process.wait(15)
        self.read()
        now = termios.tcgetattr(self.theirs)
        assert now == self.before
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def server():
    server = dash.DashServer(b"", {})
    server.state = lambda query: dash.load("normal")
    yield server
    server.close()


@pytest.fixture
def top(server):
    terminals = []

    def start(*arguments, **options):
        terminals.append(Terminal("top", "-o", f"admin={server.authority}", *arguments, **options))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


def asked(server):
    return [query for _, path, query in server.asked if path == "/dash.json"]


def test_shows_what_the_vectors_show(top, server):
    terminal = top()
    until(lambda: terminal.screen() == (dash.VECTORS / "top-80x24.txt").read_text().splitlines(), "it is drawn")
    assert asked(server)[0]["window"] == ["60"]
    terminal.press("q")
    assert terminal.end() == 0 and terminal.text.endswith(LEAVE)


def test_other_sizes(top, server):
    server.state = lambda query: dash.load("failing")
    terminal = top(NO_COLOR="1")
    terminal.wait_for(KEYS)
    terminal.text = ""
    terminal.resize(40, 120)
    terminal.wait_for(KEYS)
    until(lambda: terminal.screen() == (dash.VECTORS / "top-120x40.txt").read_text().splitlines(), "it fills the new size")
    assert "\x1b[0;" not in terminal.read()
    terminal.text = ""
    terminal.resize(5, 60)
    until(lambda: len(terminal.screen()) == 5, "it is cut")
    assert all(len(row) <= 60 for row in terminal.screen()) and terminal.screen()[0].startswith("cache204")
    for rows, columns in ((1, 1), (300, 500), (24, 80)):
        terminal.text = ""
        terminal.resize(rows, columns)
        terminal.wait_for("cache204" if rows > 1 else "\x1b[J")
    assert terminal.process.poll() is None


def test_colours_only_add(top, server):
    server.state = lambda query: dash.load("failing")
    plain, coloured = top(NO_COLOR="1"), top(NO_COLOR="")
    for terminal in (plain, coloured):
        terminal.wait_for(KEYS)
    assert "\x1b[0;1;31m" in coloured.text and "\x1b[0;1;31m" not in plain.text
    assert plain.screen() == coloured.screen()


def test_keys(top, server):
    terminal = top()
    terminal.wait_for(KEYS)
    terminal.press("u")
    terminal.wait_for("api.example.com/v2/heartbeat")
    terminal.press("w")
    terminal.wait_for("WHY 204s WERE NOT STORED")
    terminal.press("e")
    terminal.wait_for("CLIENT GOT")
    terminal.press("2")
    until(lambda: asked(server)[-1]["window"] == ["3600"], "the hour is asked for")
    terminal.press("s")
    terminal.wait_for("ordered by asked")
    until(lambda: asked(server)[-1]["sort"] == ["asked"], "the order is asked for")
    terminal.press("\x1b[A")  # an arrow is no key of ours
    terminal.press("m")
    terminal.wait_for("set a mark")
    terminal.press("run-x\x7fa\r")
    terminal.wait_for("mark run-a is set")
    assert server.marks == ["run-a"]
    terminal.press("m")
    terminal.wait_for("set a mark")
    terminal.press("1st\r")
    terminal.wait_for("begins with a letter")
    terminal.press("p")
    terminal.wait_for("paused")
    n = len(asked(server))
    time.sleep(2.5)  # an answer is asked for every two seconds
    assert len(asked(server)) == n
    terminal.press("p")
    until(lambda: len(asked(server)) > n, "it goes on")
    terminal.press("q")
    assert terminal.end() == 0


def test_explain(top, server):
    server.explained = lambda query: {"from_store": True, "line": "HIT. " + query["uri"][0]}
    terminal = top()
    terminal.wait_for(KEYS)
    terminal.press("/")
    terminal.wait_for("explain the URL")
    terminal.press("example.com/a?b=1\r")
    terminal.wait_for("HIT. http://example.com/a?b=1")
    terminal.wait_for("goes back")
    terminal.press("\r")
    terminal.wait_for(KEYS)
    terminal.press("q")
    assert terminal.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_terminal_is_given_back(number, top):
    terminal = top()
    terminal.wait_for(KEYS)
    terminal.process.send_signal(number)
    assert terminal.end() == -number and LEAVE in terminal.text


def test_stopped_and_gone_on(top):
    terminal = top()
    terminal.wait_for(KEYS)
    terminal.text = ""
    terminal.process.send_signal(signal.SIGTSTP)
    until(lambda: os.waitpid(terminal.process.pid, os.WUNTRACED | os.WNOHANG)[0], "it is stopped")
    terminal.read()
    assert LEAVE in terminal.text and termios.tcgetattr(terminal.theirs) == terminal.before
    terminal.process.send_signal(signal.SIGCONT)
    terminal.wait_for(KEYS)
    terminal.press("q")
    assert terminal.end() == 0


def test_terminal_that_goes_away(top):
    terminal = top()
    terminal.wait_for(KEYS)
    os.close(terminal.theirs)
    os.close(terminal.ours)
    terminal.process.wait(15)
    terminal.ours, terminal.theirs = pty.openpty()


@pytest.mark.long
def test_no_answer_is_told_with_what_was_there(top, server):
    terminal = top()
    terminal.wait_for(KEYS)
    server.going.clear()
    terminal.text = ""
    terminal.wait_for("Not known since 14:12:11.")
    assert "402 310" in terminal.text
    server.going.set()
    terminal.text = ""
    terminal.wait_for("Nothing needs you")


def test_hostile_text_is_escaped(top, server):
    for state in (dash.spoilt(dash.load("failing"), dash.HOSTILE), dash.unknown(dash.load("normal"))):
        server.state = lambda query, state=state: state
        result = run("top", "-1", "-o", f"admin={server.authority}")
        assert result.returncode == 0, result
        assert re.fullmatch(r"[\x20-\x7e\n]*", result.stdout), ascii(result.stdout)


def test_once(server):
    result = run("top", "-1", "-o", f"admin={server.authority}")
    assert result.returncode == 0 and "97.4 %" in result.stdout and KEYS not in result.stdout and "\x1b" not in result.stdout
    assert "214 more hosts" in result.stdout and max(map(len, result.stdout.splitlines())) <= 80
    server.token = "0123456789abcdef"
    result = run("top", "-1", "-o", f"admin={server.authority}")
    assert result.returncode == 2 and "401" in result.stderr, result
    result = run("top", "-o", f"admin={server.authority}")
    assert result.returncode == 2 and "no terminal" in result.stderr, result


# ---- stats and mark, of a proxy ---------------------------------------------------------------------


@pytest.fixture
def command(proxy):
    def command(*arguments):
        return run(*arguments, "-o", f"admin=127.0.0.1:{proxy.admin_port}")
    return command


def test_marks_bound_what_is_counted(command, client, origin):
    origin.default = respond(204, "Cache-Control: max-age=60")
    assert command("mark", "a", "before & after").returncode == 0
    for _ in range(5):
        assert client.get(origin.url("/stats")).status == 204
    assert command("mark", "a-end").returncode == 0
    client.get(origin.url("/stats"))
    shown = command("stats", "--since", "a", "--until", "a-end")
    assert shown.returncode == 0 and re.search(r"^  requests +5 ", shown.stdout, re.M), shown
    assert re.search(r"^  without the origin +80\.0 %$", shown.stdout, re.M) and "from a to a-end" in shown.stdout, shown
    assert "before & after" in shown.stdout
    assert json.loads(command("stats", "--since", "a", "--json").stdout)["requests"] == 6
    whole = command("stats")
    assert whole.returncode == 0 and re.search(r"^  hit +\d", whole.stdout, re.M) and ", up " in whole.stdout, whole


def test_marks_that_are_none(command):
    unknown = command("stats", "--since", "nosuch")
    assert unknown.returncode == 1 and not unknown.stdout, unknown
    assert "no mark" in unknown.stderr and "`cache204 mark NAME`" in unknown.stderr, unknown
    for arguments in (["mark"], ["mark", "1st"], ["mark", "a/b"], ["mark", "a" * 33], ["stats", "--until", "a"], ["stats", "--since", "a&b"],
                      ["stats", "--last", "x"], ["stats", "--last", "60s", "--since", "a"], ["mark", "a", "b", "c"]):
        result = command(*arguments)
        assert result.returncode == 2 and result.stderr and not result.stdout, result
