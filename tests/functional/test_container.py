"""The proxy as the first process of a container (PID 1): the kernel withholds signals that such a process
has no handler for, and gives it the children of processes that are gone."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from support.proxy import BINARY, is_ready
from support.until import until

UNSHARE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]
WAIT = 15


def can_unshare():
    return shutil.which("unshare") and shutil.which("nsenter") and subprocess.run(
        [*UNSHARE, "true"], capture_output=True).returncode == 0


pytestmark = [pytest.mark.one_worker("it says itself how many"),
              pytest.mark.skipif(not can_unshare(), reason="no namespaces for processes here")]


def children_of(pid):
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


class Container:
    def __init__(self, directory, *options, wrapper=(), arguments=()):
        settings = ["listen=127.0.0.1:0", "admin=127.0.0.1:0", f"store={directory}/store", "store_size=16MiB",
                    *options]
        self.outside = subprocess.Popen(
            [*UNSHARE, *wrapper, BINARY, *arguments, *(word for one in settings for word in ("-o", one))],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @property
    def pid(self):
        """Of its first process, as it is called outside."""
        until(lambda: children_of(self.outside.pid), "it has a first process")
        return children_of(self.outside.pid)[0]

    def wait_ready(self):
        assert any(is_ready([line.rstrip("\n")]) for line in self.outside.stdout)

    def leave_an_orphan(self):
        """A process whose parent is gone, and which ends then."""
        subprocess.run(["nsenter", "-t", str(self.pid), "-U", "--preserve-credentials", "-p", "-m",
                        "sh", "-c", "sleep 0.1 & echo"], check=True, capture_output=True, timeout=WAIT)

    def zombies(self):
        states = [pathlib.Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
                  for child in children_of(self.pid) if pathlib.Path(f"/proc/{child}").exists()]
        return states.count("Z")

    def close(self):
        self.outside.kill()
        self.outside.wait()
        self.outside.stdout.close()


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*options, **more):
        started.append(Container(tmp_path, *options, **more))
        return started[-1]

    yield start
    for container in started:
        container.close()


@pytest.mark.parametrize("options", [("workers=1",), ("workers=2",), ("workers=1", "sync=1m")])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_asked_to(start, options, number):
    container = start(*options)
    container.wait_ready()
    os.kill(container.pid, signal.SIGUSR1)
    os.kill(container.pid, number)
    assert container.outside.wait(WAIT) == 0, container.outside.stdout.read()


@pytest.mark.parametrize("workers", [1, 2])
def test_orphans_are_no_zombies(start, workers):
    container = start(f"workers={workers}")
    container.wait_ready()
    own = len(children_of(container.pid))
    for _ in range(3):
        container.leave_an_orphan()
    until(lambda: len(children_of(container.pid)) == own, "orphans are gone")
    assert container.zombies() == 0


def test_a_worker_that_dies_is_replaced(start):
    container = start("workers=2")
    container.wait_ready()
    before = children_of(container.pid)
    os.kill(before[0], signal.SIGKILL)
    until(lambda: before[0] not in children_of(container.pid) and len(children_of(container.pid)) == len(before),
          "another has its place")


def test_also_when_children_were_ignored_by_who_started_it(start, tmp_path):
    """A disposition that is inherited: without the default one the kernel tells of no child's end."""
    container = start("workers=2", wrapper=["python3", "-c", "import os, signal, sys; "
                      "signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"])
    container.wait_ready()
    before = children_of(container.pid)
    os.kill(before[0], signal.SIGKILL)
    until(lambda: before[0] not in children_of(container.pid) and len(children_of(container.pid)) == len(before),
          "another has its place")


def catches(pid, number):
    """Whether a process has a handler for a signal."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^SigCgt:\s+(\w+)$", status, re.M)[1], 16) >> (number - 1) & 1 == 1


def test_a_signal_during_the_start_ends_it(start, tmp_path):
    """It reads its configuration from a pipe here that nobody has written to yet."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    container = start(arguments=["-c", pipe])
    until(lambda: catches(container.pid, signal.SIGTERM), "it has begun")
    os.kill(container.pid, signal.SIGTERM)
    assert container.outside.wait(WAIT) == 0


def test_it_is_upgraded_as_the_same_process(start, tmp_path):
    """Nothing of a container ends: its first process becomes the other program."""
    program = tmp_path / "program"
    shutil.copy(BINARY, program)
    container = start("workers=2", wrapper=["sh", "-c", 'shift; exec "$0" "$@"', str(program)])
    container.wait_ready()
    before, pid = children_of(container.pid), container.pid
    shutil.copy(BINARY, tmp_path / "next")
    (tmp_path / "next").rename(program)
    os.kill(pid, signal.SIGUSR2)
    until(lambda: not set(before) & set(children_of(pid)) and len(children_of(pid)) == 2, "others serve", timeout=30)
    assert os.readlink(f"/proc/{pid}/exe") == str(program) and container.zombies() == 0
    os.kill(pid, signal.SIGTERM)
    assert container.outside.wait(WAIT) == 0, container.outside.stdout.read()
