"""Clients of all kinds while processes are killed, stopped, reloaded and exchanged, the clock jumps and calls go wrong.

A seed decides what happens, and what each client asks. What it comes to depends on the machine as well: a seed
that failed is run again several times.
"""

import contextlib
import os
import random
import signal
import subprocess
import threading

import pytest

from bench import Bench
from cases import CASE, ENDS, ROUNDS, SEED, told
from page import Fault, shim_is_built
from support.http1 import Closed
from support.processes import until_ended
from support.proxy import BINARY, ROOT
from support.until import until
from traffic import Clients, Wrong, some
from world import ALL

STORMS = 2    # of each number of workers
EVENTS = 25
CLIENTS = 3
CHECK_STORE = ROOT.joinpath(BINARY).parent / "tests/tools/check_store"

pytestmark = [pytest.mark.long, pytest.mark.skipif(not shim_is_built(), reason="build/faults_shim.so is not built")]


class Storm:
    def __init__(self, bench, seed):
        self.bench, self.seed, self.proxy = bench, seed, bench.proxy
        self.chance = random.Random(seed)
        self.over = threading.Event()
        self.wrong, self.seen, self.happened = [], 0, []

    def client(self, number):
        chance, round_ = random.Random(f"{self.seed}-{number}"), 0
        while not self.over.is_set() and not self.wrong:
            clients = Clients(self.bench.world, self.proxy, patient=False)
            try:
                some(clients, [self.bench.plain], f"s{round_ // 5}-", chance, 20)
            except Exception as error:  # for the one who waits
                self.wrong.append(str(error) if isinstance(error, Wrong) else repr(error))
            clients.drop()
            self.seen += clients.tally.answered
            round_ += 1

    # ---- what happens ----

    def kill_worker(self):
        self.send(signal.SIGKILL, self.chance.choice([*sorted(self.proxy.workers()), None]))

    def stop_some(self):
        """For less than the watchdog waits, and than clients do."""
        pids = [*sorted(self.proxy.workers()), self.proxy.pid]
        pid = self.chance.choice(pids)
        self.send(signal.SIGSTOP, pid)
        self.over.wait(self.chance.uniform(0.01, 0.4))
        self.send(signal.SIGCONT, pid)

    @staticmethod
    def send(what, pid):
        """It may have ended: workers of an older generation do."""
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)

    def kill_all(self):
        self.proxy.kill()
        self.bench.page.disarm()
        self.proxy.start()

    def kill_first(self):
        """The workers end with it."""
        started = self.proxy.descendants()
        self.proxy.process.kill()
        self.proxy.process.wait()
        until_ended(started)
        self.bench.page.disarm()
        self.proxy.start()

    def signal_first(self):
        self.proxy.process.send_signal(self.chance.choice([signal.SIGHUP, signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1]))

    def jump(self):
        self.bench.page.set_clock(self.chance.choice([-3600, 0, 3600, 86400]))

    def call(self):
        kind = self.chance.choice(sorted(set(ENDS) - {"fork"}))
        fault = Fault(kind, self.chance.randrange(1, 60), self.chance.choice(ENDS[kind].split()))
        self.happened[-1] += f" {fault}"
        self.bench.page.arm(fault, self.bench.kinds)

    def purge_all(self):
        """What was said before that is not to be seen any more."""
        world = self.bench.world
        with world.lock:
            sent = world.serial, 0
        try:
            if self.proxy.admin("/purge", "POST").status == 200:
                world.invalidated(ALL, sent)
        except (Closed, OSError, AssertionError):
            pass

    def origin_fails(self):
        self.bench.world.down ^= {"sie", "stale"}

    def run(self):
        acts = [self.kill_worker, self.stop_some, self.stop_some, self.signal_first, self.signal_first, self.jump, self.call,
                self.call, self.call, self.purge_all, self.origin_fails, self.kill_all, self.kill_first]
        threads = [threading.Thread(target=self.client, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(EVENTS):
                act = self.chance.choice(acts)
                self.happened.append(act.__name__)
                if not self.proxy.is_alive():
                    self.wrong.append(f"the first process ended: {self.proxy.process.returncode}")
                if self.wrong:
                    break
                act()
                self.over.wait(self.chance.uniform(0, 0.3))
        finally:
            self.bench.page.disarm()
            self.over.set()
            for thread in threads:
                thread.join()
            self.bench.world.down = frozenset()

    def after(self):
        """All is well again."""
        assert not self.wrong, "\n".join(self.wrong)[:6000]
        bench = self.bench
        until(lambda: len(self.proxy.workers()) == bench.count, "as many workers as before", timeout=30)
        bench.page.set_clock(0)
        bench.stats = None
        bench.workers = self.proxy.workers()
        bench.each_serves()
        bench.run_case(None)
        self.proxy.check_errors()
        for line in self.proxy.errors().splitlines():
            assert "died of signal" not in line or "signal 9 " in line, line
        self.proxy.stop()
        checked = subprocess.run([CHECK_STORE, self.proxy.store], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert self.seen > 100, f"no more than {self.seen} answers"


@pytest.mark.parametrize("workers", [1, 3])
def test_storm(tmp_path, workers):
    if CASE and not CASE.startswith(f"storm/{workers}/"):
        pytest.skip("another case is asked for")
    seeds = [int(CASE.split("/")[2])] if CASE else range(SEED, SEED + (int(ROUNDS) if ROUNDS and ROUNDS != "all" else STORMS))
    for seed in seeds:
        bench = Bench(tmp_path / str(seed), workers)
        storm = Storm(bench, seed)
        try:
            bench.start()
            storm.run()
            storm.after()
        except Exception as error:
            happened = ", ".join(storm.happened)
            raise AssertionError(told(f'make faults CASE="storm/{workers}/{seed}"\n    {error}\n    {happened}\n'
                                      f"{bench.proxy.errors()[-3000:]}")) from error
        finally:
            bench.proxy.kill()
            bench.close()
        print(f"seed {seed}: {storm.seen} answers, {storm.happened}")
