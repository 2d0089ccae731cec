"""`make try`: all of it in one terminal. It ends by itself, and leaves nothing, however it ends."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest

from support.proxy import BINARY, ROOT
from support.until import until

pytestmark = pytest.mark.one_worker("it has one")

WAIT = 60


@pytest.fixture
def start(tmp_path):
    """The script, in a session of its own as at a terminal, with temporary files below tmp_path/tmp."""
    started = []
    (tmp_path / "tmp").mkdir()

    def start(binary=BINARY, **variables):
        started.append(subprocess.Popen(
            [sys.executable, ROOT / "scripts" / "try.py", binary], text=True, cwd=tmp_path,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), **variables}))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def processes_of(session):
    """Ids of the processes of a session that are not over."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def assert_nothing_is_left(tmp_path, process):
    """It has waited for all that it began."""
    assert not processes_of(process.pid)
    assert not list((tmp_path / "tmp").iterdir())


def steps(text):
    return [int(number) for number in re.findall(r"^(\d)  ", text, re.M)]


def test_it_shows_all_and_ends(start, tmp_path):
    process = start()
    text = process.communicate(timeout=WAIT)[0]
    assert process.returncode == 0, text
    assert steps(text) == [1, 2, 3, 4, 5, 6], text
    asked = re.findall(r"^ +\d+ (?:GET|HEAD|POST) \S+.* (204|304) (.*)$", text, re.M)
    assert len(asked) == 10 and sum("; ttl=" in told for _, told in asked) == 5, text
    assert int(re.search(r"^ +stores +([\d,]+)$", text, re.M)[1].replace(",", "")) in (3, 4), text
    assert re.search(r"the origin was asked \d times", text), text
    assert_nothing_is_left(tmp_path, process)


def test_busy_ports_and_other_proxies_do_not_matter(start):
    """Somebody listens on 3128, and the environment names a proxy that is not there."""
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            busy.bind(("127.0.0.1", 3128))
            busy.listen()
        except OSError:
            pass  # somebody else's, as wanted
        process = start(http_proxy="http://127.0.0.1:1", HTTP_PROXY="http://127.0.0.1:1", no_proxy="*")
        text = process.communicate(timeout=WAIT)[0]
    assert process.returncode == 0, text


def test_without_wrk(start, tmp_path):
    process = start(PATH=str(tmp_path))
    text = process.communicate(timeout=WAIT)[0]
    assert process.returncode == 0 and "wrk is not installed" in text, text
    assert steps(text) == [1, 2, 3, 4, 5, 6], text


# What Python runs first: the child that will be the proxy signals the script, which is still beginning it.
SIGNAL_FROM_CHILD = """
import os, signal
setpgid = os.setpgid
def first_a_signal(*arguments):
    os.kill(os.getppid(), signal.SIGINT)
    setpgid(*arguments)
os.setpgid = first_a_signal
"""


def test_signal_while_the_proxy_is_begun(start, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SIGNAL_FROM_CHILD)
    process = start(PYTHONPATH=str(tmp_path))
    process.stdout.read()
    assert process.wait(WAIT) == 128 + signal.SIGINT
    assert_nothing_is_left(tmp_path, process)


@pytest.mark.parametrize("number, to_all", [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, True)])
@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_signals(start, tmp_path, number, to_all, step):
    """A Ctrl-C goes to all processes of the terminal, a kill to one: at each step nothing is left."""
    process = start()
    for line in process.stdout:
        if line.startswith(f"{step}  "):
            break
    (os.killpg if to_all else os.kill)(process.pid, number)
    process.stdout.read()
    assert process.wait(WAIT) == 128 + number
    assert_nothing_is_left(tmp_path, process)


def test_killed(start):
    """No time to clean up: the proxy goes all the same."""
    process = start()
    while not process.stdout.readline().startswith("2  "):
        assert process.poll() is None
    assert len(processes_of(process.pid)) >= 2
    process.kill()
    until(lambda: not processes_of(process.pid), "the proxy has gone with it")


def test_binary_that_does_not_start(start, tmp_path):
    for binary, told in (("/bin/false", "the proxy did not start"), ("/nonexistent", "/nonexistent")):
        process = start(binary)
        text = process.communicate(timeout=WAIT)[0]
        assert process.returncode == 1 and told in text and "Traceback" not in text, text
        assert_nothing_is_left(tmp_path, process)


def test_make_runs_it():
    plan = subprocess.run(["make", "-n", "try"], cwd=ROOT, capture_output=True, text=True, timeout=WAIT, check=True)
    assert re.search(r"scripts/try\.py \S*/cache204$", plan.stdout, re.M), plan.stdout
