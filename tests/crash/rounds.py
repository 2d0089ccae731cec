"""Usage: tests/crash/rounds.py ROUNDS SEED

Rounds of kill -9 at a moment that the seed chooses, while clients store, invalidate and are evicted, an
operator purges and reloads, and copies are made: of one worker, of all, of the master, of the whole group; from
outside, or from within, between any two calls of the store or of the file system. After each: the store
opens and is kept, every record can be read, nothing that is answered contradicts the judge
(tests/support/storm.py), the tables say the same, and nothing is left of the dead. Now and then it is a
power failure: another boot, and a file as the disk happens to have it.

A store lives through LIFE rounds, so that what a crash leaves behind adds up and is seen at the end. A
failure tells its seed and round; the same seed makes the same choices, but not the same moments.
"""

import collections
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.power import power_fails  # noqa: E402
from support.processes import until_ended  # noqa: E402
from support.proxy import BINARY, SANITIZED, Proxy  # noqa: E402
from support.storm import (BROKEN, WAIT, Judge, Threads, VersionedOrigin, ask_all, check_store, purges,  # noqa: E402
                           storm)
from support.until import until  # noqa: E402

LIFE = 25  # rounds of one store
CLIENTS = 4
ASKED = 200  # URIs after a round
LIBRARY = pathlib.Path(BINARY).with_name("troubled_store.so")
FILES = {"data.mdb", "lock.mdb", "lock", "state", "visited", "clock", "noted", "invalidations", "instance",
         "data.mdb.copy"}
LOST = re.compile(r"set aside|begun anew|damaged|cannot be|foreign")
WITHIN = ("one within", "all within", "commit within", "commit within", "copier within")  # the library does it
WAYS = ("one", "one", "workers", "master", "all", "all") + (() if SANITIZED else WITHIN * 2)
PAGE = os.sysconf("SC_PAGESIZE")
COPY_CALLS = 12  # about so many calls make a copy


def memory_directory():
    """Where no disk has to keep up; the machine's own place else."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Life:
    """One store, its origin and its judge, and the proxies that use it one after the other."""

    def __init__(self, rng):
        self.rng = rng
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="crash.", dir=memory_directory()))
        self.count = rng.choice((3000, 300, 30))  # more than fit, fewer, or those that all have to do with
        self.small = self.count == 3000
        self.origin = VersionedOrigin(self.count)
        self.judge = Judge(self.count)
        self.told = 0  # bytes of stderr that were looked at
        self.counts = collections.Counter()
        self.link = self.directory / "kill"
        self.sync = rng.random() < 0.6
        self.start()

    def start(self):
        rng = self.rng
        self.worker_count = rng.choice((1, 3, 3))
        options = [f"workers={self.worker_count}", f"store_size={'1MiB' if self.small else '16MiB'}",
                   f"store_interval={rng.choice((0, 10, 10, 100))}ms", f"sync={rng.choice(('100ms', '1s')) if self.sync else 0}"]
        self.proxy = Proxy(self.directory, *options, start=False)
        self.proxy.wrapper = ["setsid"]  # a group of its own
        if not SANITIZED:
            self.proxy.environment = {"LD_PRELOAD": str(LIBRARY), "TROUBLE_KILL": str(self.link),
                                      "TROUBLE_SEED": str(rng.randrange(1 << 31)),
                                      "TROUBLE_DELAYS": str(rng.choice((0, 0, 64)))}
        self.proxy.start()
        self.descriptors = self.master_descriptors()

    def master_descriptors(self):
        return len(os.listdir(f"/proc/{self.proxy.pid}/fd"))

    def notices(self):
        """What stderr says since the last time."""
        text = self.proxy.errors()
        new, self.told = text[self.told:], len(text)
        return new

    # ---- a round -----------------------------------------------------------------------------

    def round(self):
        rng, judge = self.rng, self.judge
        unsafe, every = rng.choice(((0, 0), (0.002, 0), (0.02, 0.2), (0.2, 0.02)))
        parts = [storm(self.proxy, self.origin, judge, random.Random(rng.random()), unsafe) for _ in range(CLIENTS)]
        if every:
            parts.append(purges(self.proxy, self.origin, judge, random.Random(rng.random()), every))
        if rng.random() < 0.3:
            parts.append(self.reloads(random.Random(rng.random())))
        threads = Threads(parts)
        wanted = judge.answers + rng.randrange(2000 if self.small else 400)
        way = rng.choice(WAYS)
        until(lambda: judge.answers >= wanted or threads.errors, "there is traffic", timeout=60)
        self.counts[way] += 1
        self.counts["evictions"] += self.proxy.stats()["store"]["evictions"]
        gone, wanted = self.kill(way), judge.answers + 50
        until(lambda: gone or judge.answers >= wanted or threads.errors or not self.proxy.is_alive(),
              "others serve on", timeout=60)
        threads.end()
        if gone or not self.proxy.is_alive():  # the one within may have been the master
            self.after_all_died()
        else:
            until(lambda: self.proxy.stats()["workers"] >= 1, "it has workers", timeout=WAIT)
        self.ask()

    def reloads(self, rng):
        def run(ending):
            while not ending.wait(0.1 + rng.random() / 5):
                os.kill(self.proxy.pid, signal.SIGHUP)
        return run

    def kill(self, way):
        """Whether that was the end of the service."""
        pid, workers = self.proxy.pid, sorted(self.proxy.workers())
        if way in WITHIN:
            return self.kill_within(way)
        if way == "one":
            self.end(self.rng.choice(workers))
        elif way == "workers":
            for worker in workers:
                self.end(worker)
        elif way == "master":
            self.end(pid)
        else:
            os.killpg(pid, signal.SIGKILL)
        return way in ("master", "all")

    @staticmethod
    def end(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # a worker of a generation that has ended

    def kill_within(self, way):
        """At a call that the library counts; there may be none in time, as of who makes a copy."""
        if way == "copier within":
            text = f"{-self.proxy.pid} {1 + self.rng.randrange(COPY_CALLS)} copy"
        else:
            text = f"{0 if way == 'one within' else -self.proxy.pid} {self.rng.choice((2, 8, 64))}"
            text += " commit" * (way == "commit within")
        os.symlink(text, self.link)
        end = time.monotonic() + 2
        while os.path.lexists(self.link) and time.monotonic() < end:
            time.sleep(0.002)
        try:
            self.link.unlink()
            self.counts["not come to it"] += 1
            return False
        except FileNotFoundError:
            return way != "one within"  # a worker, or who makes a copy, unless it was the master

    # ---- after it ----------------------------------------------------------------------------

    def after_all_died(self):
        left = self.proxy.workers()
        self.proxy.process.wait(WAIT)
        until_ended(left | self.group(), timeout=30)
        self.notices()
        found = check_store(self.proxy, "dead")
        self.counts["entries"] += found["entries"]
        self.counts["records"] += found["records"]
        fails = self.sync and self.rng.random() < 0.2
        if fails:
            self.power_fails()
        self.start()
        said = self.notices()
        if fails:
            self.counts["power failures"] += 1
            self.counts["copies taken"] += "takes its place" in said
        else:
            assert not LOST.search(said), f"a store that is whole is not kept: {said}"
            entries, most = self.proxy.stats()["store"]["entries"], found["entries"]
            removing = found["purges"] + found["marks"]  # what remained to be removed goes at once
            assert entries == most or (removing and entries < most), f"{entries} entries of {most} were kept: {found}"

    def group(self):
        """Processes of the proxy's group, whoever their parent is."""
        return {int(path.name) for path in pathlib.Path("/proc").glob("[0-9]*")
                if self.group_of(path) == self.proxy.pid}

    @staticmethod
    def group_of(path):
        try:
            return int((path / "stat").read_text().rpartition(")")[2].split()[2])
        except OSError:
            return None

    def power_fails(self):
        """Some pages of the data file were written, and others were not."""
        def spoil(data):
            return b"".join(data[at:at + PAGE] if self.rng.random() < 0.7 else bytes(PAGE)
                            for at in range(0, len(data), PAGE))
        power_fails(self.proxy.store, spoil)

    def ask(self):
        numbers = self.rng.sample(range(self.count), min(self.count, ASKED))
        ask_all(self.proxy, self.origin, self.judge, numbers)
        assert not self.judge.wrong(), self.judge.wrong()
        assert not self.origin.faults, self.origin.faults

    # ---- the end -----------------------------------------------------------------------------

    def close(self):
        """Nothing is left of the dead: in the tables, in shared memory, in the directory."""
        proxy = self.proxy
        until(self.is_quiet, "all is written, purged and removed", timeout=30)
        found, store = check_store(proxy), proxy.stats()["store"]
        pages = store["bytes_used"] // PAGE
        assert (store["entries"], pages) == (found["entries"], found["pages_used"]), (store, found)
        assert found["dead_readers"] == 0 and found["readers"] <= self.worker_count + 1, found
        self.check_directory()
        until(lambda: self.master_descriptors() <= self.descriptors + 2, "the master closes what it opened")
        proxy.stop()
        said = self.notices()
        assert not LOST.search(said), said
        last = check_store(proxy, "dead")
        assert last["entries"] == found["entries"]
        self.restarted()

    def restarted(self):
        """What a killed process left half done is gone with the next start."""
        self.start()
        self.proxy.stop()
        last = check_store(self.proxy, "dead")
        assert (last["half_marks"], last["marks"], last["purges"], last["copying"]) == (0, 0, 0, 0), last
        assert last["marks_live"] == last["marks_by_hash"], last
        self.check_directory()

    def is_quiet(self):
        found = check_store(self.proxy)
        if found["marks"] or found["purges"] or found["copying"]:
            return False
        stats = self.proxy.stats()
        return stats["gauges"]["writes_waiting"] == stats["gauges"]["purging"] == stats["reload"]["older_generations"] == 0

    def check_directory(self):
        names = set(os.listdir(self.proxy.store)) - {"data.mdb.copy.new"}  # one may be under way
        assert names <= FILES, names - FILES

    def remove(self):
        if self.proxy.is_alive():
            os.killpg(self.proxy.pid, signal.SIGKILL)
            self.proxy.process.wait()
        self.origin.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def main(rounds, seed):
    started, counts, done = time.monotonic(), collections.Counter(), 0
    print(f"crash: {rounds} rounds, seed {seed}{', no library in a sanitized build' if SANITIZED else ''}", flush=True)
    while done < rounds:
        life = Life(random.Random(f"{seed} {done}"))
        try:
            for _ in range(min(LIFE, rounds - done)):
                done += 1
                life.round()
            life.close()
        except (AssertionError, *BROKEN) as error:
            print(f"crash: seed {seed}, round {done}, after {life.counts}: {error}\n{life.proxy.errors()[-3000:]}")
            raise
        finally:
            life.remove()
        counts += life.counts
        if done % 100 == 0:
            print(f"crash: {done} rounds, {time.monotonic() - started:.0f} s", flush=True)
        for name in ("answers", "hits", "invalidations", "purges"):
            counts[name] += getattr(life.judge, name)
    print("crash: ok, " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) +
          f", {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
