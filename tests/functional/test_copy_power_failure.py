"""Power fails at each call by which a copy of the store is made: what is there then is the copy before, or
the new one, and whichever it is, nothing of it is used without asking."""

import contextlib
import os
import signal

import pytest

from support.power import power_fails
from support.processes import until_ended
from support.proxy import Proxy
from support.storm import BROKEN, WAIT, Judge, VersionedOrigin, ask_all, check_store
from support.until import until

CALLS = 12  # before and after each of those about a copy; more than there are, so that the last case has one made
COUNT = 20

pytestmark = pytest.mark.long


class Scene:
    """A proxy that makes copies, and an origin whose answers the judge knows."""

    def __init__(self, directory, library):
        self.origin, self.judge = VersionedOrigin(COUNT), Judge(COUNT)
        self.link = directory / "kill"
        self.proxy = proxy = Proxy(directory / "proxy", "sync=50ms", start=False)
        proxy.wrapper = ["setsid"]  # a group of its own
        proxy.environment = {"LD_PRELOAD": str(library), "TROUBLE_KILL": str(self.link)}
        self.copy = proxy.store / "data.mdb.copy"
        proxy.start()

    def change(self, n):
        """It gets a version that nobody has asked for, and no older one may be answered."""
        with self.proxy.connect(timeout=WAIT) as client:
            answer = client.ask("POST", self.origin.url(f"/{n}/x"), "Content-Length: 0")
            self.judge.invalidated([tuple(map(int, answer["X-Raised"].split(":")))])
            client.get(self.origin.url(f"/{n}/x"), "X-Kind: 0")

    def change_all(self):
        for n in range(COUNT):
            self.change(n)

    def ask(self):
        ask_all(self.proxy, self.origin, self.judge)
        assert not self.judge.wrong(), self.judge.wrong()

    def ends(self, n):
        """At the n-th call of one who makes a copy from now on; False when one was made by fewer calls. The first
        that is finished may have been begun before."""
        copies = {self.copied()}
        os.symlink(f"{-self.proxy.pid} {n} copy", self.link)
        until(lambda: self.has_ended(copies), "one ends", timeout=30)
        return not self.proxy.is_alive()

    def has_ended(self, copies):
        """What is changed is copied, until the power fails."""
        with contextlib.suppress(*BROKEN):
            self.change(0)
        copies.add(self.copied())
        return not self.proxy.is_alive() or len(copies) > 2

    def copied(self):
        return self.copy.stat().st_mtime_ns

    def close(self):
        if self.proxy.is_alive():
            os.killpg(self.proxy.pid, signal.SIGKILL)
            self.proxy.process.wait()
        self.origin.close()


@pytest.fixture
def scene(tmp_path, troubled_store):
    scene = Scene(tmp_path, troubled_store)
    yield scene
    scene.close()


@pytest.mark.parametrize("n", range(1, CALLS + 1))
def test_power_fails_at_a_call(scene, n):
    scene.ask()
    scene.change_all()
    until(scene.copy.exists, "a first copy", timeout=15)
    workers = scene.proxy.workers()
    failed = scene.ends(n)
    if not failed:
        assert n > CALLS // 2, "a copy is made by more calls"
        scene.link.unlink(missing_ok=True)
        os.killpg(scene.proxy.pid, signal.SIGKILL)
    scene.proxy.process.wait()
    until_ended(workers)
    scene.link.unlink(missing_ok=True)
    power_fails(scene.proxy.store)
    scene.proxy.start()
    assert "takes its place" in scene.proxy.errors(), scene.proxy.errors()
    scene.ask()
    scene.change_all()
    scene.ask()
    scene.proxy.stop()
    assert check_store(scene.proxy, "dead")["copying"] == 0
