"""The README's session: its commands are run in one shell, in order, and print what it shows.

Every ```console block counts. A line with "$ " is a command, the lines below it are its output. What
differs from run to run (see VARIABLE) is compared by its form, everything else as it is. The README's
ports become free ones.

A line of a ```sh block has a row in COMMANDS, which says how it is run here; one without fails.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time

import pytest

from support.origin import respond
from support.ports import free_port
from support.proxy import BINARY, ROOT, run
from support.rawclient import Client
from support.tls import Authority

pytestmark = pytest.mark.one_worker("the session is with one")

DESIGN = ["ARCHITECTURE.md", "CONTRIBUTING.md", "proxy/README.md", "proxy/HAZARDS.md", "cache/RULES.md",
          "cache/store/README.md"]
DOCUMENTS = ["README.md", "CHANGELOG.md"] + DESIGN
README = ROOT / "README.md"
ORIGIN_PORT = "8080"
END = "--- end of output ---"
WAIT = 15.0

DATE = r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"
LOG_DATE = r"\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\]"

# What may differ, by its form: both the text of the README and the output must have it.
VARIABLE = [
    re.compile(rf"(?<=Date: ){DATE}$"),
    re.compile(r"(?<=Server: BaseHTTP/)[\d.]+ Python/[\w.+]+$"),
    re.compile(r"(?<=^Age: )\d$"),
    re.compile(r"(?<=; ttl=)(60|5\d)\b"),
    re.compile(LOG_DATE),
    re.compile(r'(?<="version": ")[\w.+-]+'),
    re.compile(r'(?<="uptime_s": )\d+'),
    re.compile(r"(?<=fresh for )(60|5\d) s"),
    re.compile(r"(?<=^  stored        )(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d, \d+ bytes$"),
    re.compile(r"(?<=; )\d s old$"),
    re.compile(r"(?<=stale at )(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d"),
]


def sessions(text):
    """(line number, command, output lines) of each command of all console blocks."""
    found = []
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            found.append((number, line[2:], []))
        elif inside:
            found[-1][2].append(line)
    return found


def form(line):
    """The line with what is variable in it named, not told."""
    for index, pattern in enumerate(VARIABLE):
        line = pattern.sub(f"<{index}>", line)
    return line


def shown(lines):
    """Output as a README shows it: no CR, no empty line at the end."""
    lines = [line.rstrip("\r") for line in lines]
    while lines and lines[-1] == "":
        lines.pop()
    return lines


class Shell:
    """A bash that runs commands one after the other, like a terminal: jobs and variables stay."""

    def __init__(self, directory):
        environment = {name: value for name, value in os.environ.items()
                       if not name.lower().endswith("_proxy")}
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=directory, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, bufsize=1)

    def run(self, command):
        self.process.stdin.write(f"{command}\necho; echo '{END}'\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if line == END:
                return shown(lines)
            lines.append(line)
        raise AssertionError(f"the shell ended at: {command}\n" + "\n".join(lines))

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def wait_for(port):
    """A background command is an origin: go on when it listens, as a reader would."""
    deadline = time.monotonic() + WAIT
    while True:
        try:
            Client(port).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the README's origin does not listen"


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_session(start_proxy, shell):
    proxy = start_proxy()
    ports = {ORIGIN_PORT: free_port(), "3128": proxy.port, "3129": proxy.admin_port}

    def here(text):
        text = text.replace("build/cache204 explain", f"{BINARY} explain -o admin=127.0.0.1:3129")
        return re.sub(r"(?<=[:( ])(8080|3128|3129)\b", lambda match: str(ports[match[0]]), text)

    commands = sessions(README.read_text(encoding="utf-8"))
    assert len(commands) >= 7, "the session is gone from the README"
    for number, command, expected in commands:
        output = shell.run(here(command))
        assert list(map(form, output)) == [form(here(line)) for line in expected], \
            f"README.md:{number}: {command}"
        if command.endswith("&"):
            wait_for(ports[ORIGIN_PORT])


# ---- commands of ```sh blocks


def sh_lines(text):
    """(line number, command) of each line of all sh blocks."""
    found = []
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```sh"
        elif inside and line:
            found.append((number, line))
    return found


def a_target_of_make(words, **_):
    """What it would do; options for the proxy are checked as a start would."""
    plan = subprocess.run(["make", "-n", words[1]], cwd=ROOT, capture_output=True, text=True, timeout=8 * WAIT)
    assert plan.returncode == 0, plan.stderr
    for word in words[2:]:
        assert word.startswith("ARGS="), word
        the_proxy(["cache204", *shlex.split(word[len("ARGS="):])])


def the_proxy(words, here=str):
    result = run("-t", *map(here, words[1:]))
    assert result.returncode == 0, result.stderr


def a_client(words, here, told=""):
    """Run for less time than the README has it, against a proxy, a gateway and an origin, in a shell that
    has the session's variable."""
    if not shutil.which(words[0]):
        pytest.skip(f"no {words[0]}")
    words = [{"-d10s": "-d1s", "10000": "200"}.get(word, word) for word in words]
    variable = here("http://127.0.0.1:3128")
    result = subprocess.run([here(word) for word in words], cwd=ROOT, text=True, timeout=4 * WAIT,
                            stdin=subprocess.DEVNULL, capture_output=True,
                            env={**os.environ, "http_proxy": variable, "HTTP_PROXY": variable})
    assert result.returncode == 0 and re.search(told, result.stdout), result.stdout + result.stderr
    assert "Non-2xx" not in result.stdout, result.stdout


def a_comparison(words, here):
    if not shutil.which("wrk"):
        pytest.skip("no wrk")
    a_client(["env", "ADMIN=127.0.0.1:3129", *words], here, r"\nA +[1-9]\d* ")


def of_a_unit(words, **_):
    """test_install.py runs what it starts."""
    assert words[1:] == ["enable", "--now", "cache204"]


# By how a line begins.
COMMANDS = {
    "make ": a_target_of_make,
    "cache204 ": the_proxy,
    "systemctl ": of_a_unit,
    "curl -i ": lambda words, here: a_client(words, here, "^HTTP/1.1 204 "),
    "curl -X POST ": lambda words, here: a_client(words, here, '"purged": 1'),
    "wrk ": lambda words, here: a_client(words, here, "Requests/sec"),
    "bench/load/compare.sh ": a_comparison,
    "ab ": lambda words, here: a_client(words, here, r"Keep-Alive requests: +200\n"),
}


SLOW = ("make try", "make test")  # to find out what these would do takes make seconds


@pytest.mark.parametrize("number, line", [
    pytest.param(number, line, marks=pytest.mark.long if line.startswith(SLOW) else ())
    for number, line in sh_lines(README.read_text(encoding="utf-8"))],
    ids=lambda value: value.split()[0] if isinstance(value, str) else str(value))
def test_command(start_proxy, origin, tmp_path, number, line):
    origin.default = respond(204, "Cache-Control: max-age=60")
    proxy = start_proxy(f"gateway=127.0.0.1:0=http://{origin.authority},"
                        f"unix:{tmp_path / 'g'}=http://{origin.authority}")
    gateway = re.search(r"^gateway: http://127\.0\.0\.1:(\d+) ", "\n".join(proxy.output), re.M)[1]
    ports = {ORIGIN_PORT: origin.port, "3128": proxy.port, "3129": proxy.admin_port, "3130": gateway}
    with proxy.connect() as client:
        client.get(origin.url("/ping"))

    if "tls_key" in line:
        for made, kind in zip(Authority(tmp_path / "authority").issue("DNS:proxy.example.com"), ("pem", "key")):
            shutil.copy(made, tmp_path / f"proxy.{kind}")

    def here(text):
        text = text.replace("/tmp/g.sock", str(tmp_path / "g"))
        text = text.replace("/etc/cache204/proxy", str(tmp_path / "proxy"))
        return re.sub(r"\b(8080|3128|3129|3130)\b", lambda match: str(ports[match[0]]), text)

    runners = [runner for start, runner in COMMANDS.items() if line.startswith(start)]
    assert len(runners) == 1, f"README.md:{number}: not run by this test: {line}"
    runners[0](shlex.split(line, comments=True), here=here)


def test_there_are_commands():
    lines = [line for _, line in sh_lines(README.read_text(encoding="utf-8"))]
    assert all(any(line.startswith(start) for line in lines) for start in COMMANDS), lines


def test_every_kind_of_answer_is_shown():
    text = README.read_text(encoding="utf-8")
    output = "\n".join(line for _, _, lines in sessions(text) for line in lines)
    for part in ("stored", "; hit; ttl=", "304 Not Modified", '"hits": 2'):
        assert part in output, part


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    """Links within the repository."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for target, place in re.findall(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)", text):
        if "://" in target:
            continue
        path = (ROOT / document).parent / target if target else ROOT / document
        assert path.exists(), target
        if place:
            titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
            assert place in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], place


def test_files_named_in_the_design_exist():
    """A path like proxy/exchange/fetch.c in a document is one that is there."""
    for document in DESIGN:
        text = (ROOT / document).read_text(encoding="utf-8")
        for path in re.findall(r"`((?:proxy|cache|conf|tests|bench|scripts)/[\w./-]+\.\w+)`", text):
            assert (ROOT / path).exists(), f"{document}: {path}"


def sources():
    return {path.relative_to(ROOT): path.read_text(encoding="utf-8")
            for room in ("proxy", "cache", "conf") for path in sorted((ROOT / room).rglob("*.[ch]"))}


def test_functions_named_in_the_design_exist():
    """A name like fetch_start() in a document is a function, or a member that is one."""
    names = set().union(*(re.findall(r"\b(\w+)\)?\(", text) for text in sources().values()))
    for document in DESIGN:
        text = (ROOT / document).read_text(encoding="utf-8")
        for name in re.findall(r"\b([a-z]\w*)\(\)", text):
            assert name in names, f"{document}: {name}()"


def test_steps_of_a_request_are_in_their_files():
    """The walk of a request names functions and the files that have them."""
    text = (ROOT / "proxy/README.md").read_text(encoding="utf-8")
    walk = text.split("## One request")[1].split("```")[1]
    steps = re.findall(r"^([\w, >-]+?) {2,}(\w+\.[ch]) ", walk, re.M)
    assert len(steps) > 10
    for names, file in steps:
        found = [content for path, content in sources().items() if path.name == file]
        assert len(found) == 1, file
        for name in names.split(", "):
            assert re.search(rf"\b{name.split('>')[-1]}\b", found[0]), f"{name} is not in {file}"


def test_every_file_says_what_it_is():
    """`make files` is the list of the sources, by room."""
    listing = subprocess.run(["make", "--no-print-directory", "-C", ROOT, "files"], check=False,
                             capture_output=True, text=True)
    assert listing.returncode == 0, listing.stderr
    listed = set(re.findall(r"^  (\w+) +\S", listing.stdout, re.M))
    sources = {path.stem for folder in ("proxy", "cache", "conf") for path in (ROOT / folder).glob("*/*.[ch]")}
    assert sources and sources <= listed, sources - listed


def test_functions_named_in_the_design_exist():
    """A name like fetch_start() in a document can be found in the sources."""
    sources = "\n".join(path.read_text(encoding="utf-8") for folder in ("proxy", "cache", "conf")
                        for path in (ROOT / folder).rglob("*.[ch]"))
    names = {name for document in DESIGN
             for name in re.findall(r"`(\w+)\(\)`", (ROOT / document).read_text(encoding="utf-8"))}
    missing = sorted(name for name in names if not re.search(rf"\b{name}\(", sources))
    assert names and not missing, missing
