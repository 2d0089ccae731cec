"""What is left of a reload that was given up has no part in those after it."""

import os
import re
import signal

import pytest

from support.origin import respond
from support.processes import until_ended
from support.reloaded import FRESH, Reloaded
from support.until import until

pytestmark = pytest.mark.one_worker("each test says how many there are")

TRIES = 20  # both workers may be ready before one is caught


@pytest.fixture
def running(tmp_path, origin):
    origin.default = respond(204, FRESH)
    reloaded = Reloaded(tmp_path, workers=2)
    yield reloaded
    reloaded.proxy.kill()


def leave_one(running):
    """A reload of which one worker is killed while the other is stopped, and cannot end: that one. What comes of
    it is read in the log, as a connection might wait for who is stopped."""
    for _ in range(TRIES):
        before, lines = running.proxy.workers(), len(running.proxy.errors())
        os.kill(running.proxy.pid, signal.SIGHUP)
        stopped = until(lambda known=before: next(iter(running.proxy.workers() - known), None), "the first")
        os.kill(stopped, signal.SIGSTOP)
        other = until(lambda known=before | {stopped}: next(iter(running.proxy.workers() - known), None), "another")
        os.kill(other, signal.SIGKILL)
        until(lambda since=lines: re.search("refused|serves", running.proxy.errors()[since:]), "the reload ends")
        if "refused" in running.proxy.errors()[lines:]:
            return stopped
        os.kill(stopped, signal.SIGCONT)
        until(lambda: running.result()["older_generations"] == 0 and len(running.proxy.workers()) == 2, "two again")
    raise AssertionError("no reload was given up")


def ends_well(running, origin, left):
    until_ended({left})
    until(lambda: len(running.proxy.workers()) == 2, "two are left")
    assert "signal 11" not in running.proxy.errors()
    with running.proxy.connect() as client:
        assert client.get(origin.url()).status == 204
    running.proxy.stop()


@pytest.mark.long
def test_the_next_reload_is_its_own(running, origin):
    """It neither waits for a worker of the one given up, nor fails when that ends."""
    left = leave_one(running)
    assert running.ask("reload")["ok"]
    ends_well(running, origin, left)


def test_an_upgrade_ends_what_is_left(running, origin):
    """The next program has no deadline for such a worker; taken for one of its own it would be replaced
    in a place that nothing shared has memory for."""
    left = leave_one(running)
    assert running.ask("upgrade")["ok"]
    ends_well(running, origin, left)
