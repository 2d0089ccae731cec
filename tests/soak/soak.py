"""Usage: tests/soak/soak.py MINUTES SEED FOLDER

Mixed traffic for a long time: clients that ask what a judge knows, slow ones, bodies, tunnels, and as much as
wrk sends, while an operator purges, reloads and upgrades, and workers are killed. Memory, descriptors, threads
and how long hits take are sampled every few seconds, into FOLDER/soak.csv, soak.json and soak.svg.

In the middle third of the time nothing is reloaded, upgraded or killed, so that what a worker would lose by and
by adds up; in the last nothing is upgraded, so that what the master would lose with each reload does.

It fails when an answer was wrong, or a request was lost although no worker was killed meanwhile, or what the
processes have grows beyond BOUNDS: in all, in the middle third and in the last, each without its warm-up, from
the first third of it to the last and by medians. How long hits take is shown and not judged.
"""

import csv
import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]

import plot  # noqa: E402
import traffic  # noqa: E402
from support.origin import Origin, respond  # noqa: E402
from support.proxy import BINARY, ROOT, SANITIZED  # noqa: E402
from support.reloaded import Reloaded  # noqa: E402
from support.storm import Forgetting, Judge, Threads, VersionedOrigin, check_store  # noqa: E402
from support.target import Target  # noqa: E402
from support.until import until  # noqa: E402

WORKERS = 3
URIS = 3000  # more than the store has room for
WARM_UP = 0.2  # of the time
MIB = 1 << 20
ALL, CALM, RELOADS = "in all", "calm", "reloads"
# Growth of what is sampled: of memory that is a process's own, of all together, where workers of the second reload
# after an upgrade have 2 MiB more, each. What they share is of a fixed size, of which an hour of histories and the
# store's file are touched as they fill. wrk's connections come and go.
BOUNDS = {"own MiB": {ALL: 8, CALM: 3, RELOADS: 8}, "master's MiB": {ALL: 1, CALM: 0.2, RELOADS: 0.3},
          "descriptors": {ALL: 24, CALM: 24, RELOADS: 24}, "master's descriptors": {ALL: 1, CALM: 1, RELOADS: 1},
          "threads": {ALL: 0, CALM: 0, RELOADS: 0}}


def read(pid, name, pattern):
    """The number that a file of a process has; 0 when it has ended."""
    try:
        return int(re.search(pattern, pathlib.Path(f"/proc/{pid}/{name}").read_text(), re.M)[1])
    except (OSError, TypeError):
        return 0


def mebibytes(pids, name):
    return round(sum(read(pid, "smaps_rollup", rf"^{name}:\s+(\d+)") for pid in pids) / 1024, 2)


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def share(times, part):
    return times[min(int(len(times) * part), len(times) - 1)] if times else 0.0


class Others(Origin):
    """What needs no judge."""

    connection_type = Forgetting

    def began(self, request):
        if request.target == "/stale":
            return respond(204, "Cache-Control: max-age=1, stale-while-revalidate=86400"), False
        return super().began(request)

    def completed(self, request):
        """There are many."""
        self.heads.clear()


class Soak:
    def __init__(self, minutes, seed, folder):
        self.rng = random.Random(seed)
        self.folder, self.seconds = folder, minutes * 60
        self.step = max(1.0, min(5.0, self.seconds / 120))
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="soak."))
        self.origin, self.other, self.target = VersionedOrigin(URIS), Others(), Target()
        self.other.default = respond(204, "Cache-Control: max-age=86400", date=False)
        self.fast = subprocess.Popen([pathlib.Path(BINARY).parent / "bench/origin", "0"], text=True,
                                     stdout=subprocess.PIPE)
        port = re.search(r"\d+", self.fast.stdout.readline())[0]
        self.running = Reloaded(self.directory, workers=WORKERS, store_size="1MiB", sync="2s", allow="127.0.0.1",
                                connect_ports=str(self.target.port), access_log_hits=100)
        self.proxy = self.running.proxy
        self.judge, self.ledger = Judge(URIS), traffic.Ledger()
        self.probe = traffic.Probe(self.other.url("/probe"))
        self.stale = traffic.Stale(self.other.url("/stale"), self.ledger)
        self.events, self.samples, self.failed = [], [], []
        self.fast_authority = f"127.0.0.1:{port}"

    def begin(self):
        proxy, ledger, rng = self.proxy, self.ledger, self.rng
        self.threads = Threads()
        ending = self.threads.ending
        parts = [traffic.again(proxy, ledger, "judged", traffic.asks(self.origin, self.judge, random.Random(n)), 0.003)
                 for n in range(3)]
        parts += [traffic.again(proxy, ledger, "slow", traffic.slow(self.other.url("/slow"), ending), 0.1)
                  for _ in range(10)]
        parts += [traffic.again(proxy, ledger, "bodies", traffic.bodies(self.other), 0.2),
                  traffic.again(proxy, ledger, "tunnels", traffic.tunnels(self.target), 0.2),
                  traffic.again(proxy, ledger, "probe", self.probe.act, 0.02),
                  traffic.again(proxy, ledger, "stale", self.stale.act, 0.2),
                  traffic.purges(proxy, self.origin, self.judge, rng, 1.0)]
        if shutil.which("wrk"):
            parts.append(traffic.wrk(proxy, ledger, ROOT / "bench/load/hit.lua", self.fast_authority, 3, 5))
        self.threads.start(parts)

    # ---- events ------------------------------------------------------------------------------

    def run(self):
        self.began = time.monotonic()
        self.begin()
        periods = {"reload": max(5, min(15, self.seconds / 48)), "kill": 25, "upgrade": 100}
        due = {kind: min(period, self.seconds / 6) for kind, period in periods.items()}
        sample = 0.0
        while (now := time.monotonic() - self.began) < self.seconds and not self.threads.errors:
            if now >= sample:
                self.sample(now)
                sample += self.step
            for kind in [kind for kind in due if now >= due[kind] and self.may(kind, now)]:
                due[kind] = now + periods[kind] * self.rng.uniform(0.7, 1.3)
                self.events.append((now, kind))
                getattr(self, kind)()
            self.threads.ending.wait(0.2)
        self.threads.end()

    def is_in(self, part, seconds):
        third = int(seconds * 3 / self.seconds)
        return part == ALL or third == {CALM: 1, RELOADS: 2}[part]

    def may(self, kind, seconds):
        return not self.is_in(CALM, seconds) and not (kind == "upgrade" and self.is_in(RELOADS, seconds))

    def reload(self):
        result = self.running.reload(heuristic_percent=self.rng.randrange(1, 50))
        if not result["ok"]:
            self.failed.append(f"reload: {result}")

    def upgrade(self):
        result = self.running.ask("upgrade")
        if not result["ok"]:
            self.failed.append(f"upgrade: {result}")

    def kill(self):
        workers = [pid for pid in self.proxy.workers() if descriptors(pid) > 10]
        if workers:
            self.ledger.killed()
            os.kill(self.rng.choice(sorted(workers)), signal.SIGKILL)
            self.ledger.killed()

    # ---- samples -----------------------------------------------------------------------------

    def sample(self, now):
        master, workers = self.proxy.pid, self.proxy.workers()
        pids = [master, *workers]
        times = self.probe.take()
        stats = self.proxy.stats()
        self.samples.append({
            "seconds": round(now, 1),
            "own MiB": mebibytes(pids, "Pss_Anon"), "shared MiB": mebibytes(pids, "Pss_Shmem"),
            "of files MiB": mebibytes(pids, "Pss_File"), "resident MiB": mebibytes(pids, "Rss"),
            "master's MiB": mebibytes([master], "Anonymous"),
            "descriptors": sum(map(descriptors, pids)),
            "master's descriptors": descriptors(master),
            "threads": max(read(pid, "status", r"^Threads:\s+(\d+)") for pid in pids),
            "processes": len(pids),
            "half ms": share(times, 0.5), "99th ms": share(times, 0.99), "longest ms": share(times, 1),
            "answers": sum(self.ledger.answered.values()),
            "entries": stats["store"]["entries"],
            "older generations": stats["reload"]["older_generations"],
        })

    def column(self, name):
        return [sample[name] for sample in self.samples]

    def growth(self, name, part):
        """From the first third of what was sampled in that part to the last, without the warm-up; where nobody was on the
        way out, or making a copy."""
        numbers = [sample[name] for sample in self.samples if self.is_in(part, sample["seconds"])
                   and sample["processes"] == 1 + WORKERS]
        numbers = numbers[int(len(numbers) * WARM_UP):]
        third = max(len(numbers) // 3, 1)
        if not numbers:
            return 0
        return round(statistics.median(numbers[-third:]) - statistics.median(numbers[:third]), 2)

    def growths(self):
        return {f"{name}, {part}": (self.growth(name, part), bound)
                for name, bounds in BOUNDS.items() for part, bound in bounds.items()}

    # ---- the end -----------------------------------------------------------------------------

    def verdict(self):
        """What is wrong, in lines."""
        wrong = [*self.failed, *self.ledger.wrong, *self.stale.wrong()[:5], *map(str, self.judge.wrong()), *self.origin.faults,
                 *self.other.faults]
        wrong += [f"lost although no worker was killed: {failure}" for failure in self.ledger.unexcused()[:10]]
        wrong += [f"{name} grow by {growth}, more than {bound}" for name, (growth, bound) in self.growths().items()
                  if growth > bound and not (SANITIZED and "MiB" in name)]
        return wrong

    def after(self):
        """Without traffic: no generation is left, all is written, the tables say the same."""
        until(lambda: self.proxy.stats()["reload"]["older_generations"] == 0, "older generations end", timeout=60)
        until(lambda: self.proxy.stats()["gauges"]["clients"] == 0, "clients are closed", timeout=60)
        self.running.stop()
        self.found = check_store(self.proxy, "dead")

    def write(self, wrong):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "soak.csv", "w", newline="", encoding="utf-8") as file:
            rows = csv.DictWriter(file, self.samples[0])
            rows.writeheader()
            rows.writerows(self.samples)
        kinds = [kind for _, kind in self.events]
        summary = {"seconds": self.seconds, "answers": dict(self.ledger.answered),
                   "lost with a killed worker": sum(failure[4] for failure in self.ledger.failures
                                                    if self.ledger.is_excused(failure)),
                   "lost": len(self.ledger.unexcused()), "events": {kind: kinds.count(kind) for kind in set(kinds)},
                   "purges": self.judge.purges, "invalidations": self.judge.invalidations,
                   "growth and bound": self.growths(), "wrong": wrong}
        (self.folder / "soak.json").write_text(json.dumps({**summary, "samples": self.samples}, indent=1))
        self.draw()
        return summary

    def draw(self):
        answers, times = self.column("answers"), self.column("seconds")
        rate = [0.0] + [(b - a) / max(t - s, 0.1) for a, b, s, t in zip(answers, answers[1:], times, times[1:])]

        def lines(*names):
            return {name: self.column(name) for name in names}
        plot.write(self.folder / "soak.svg", f"Soak: {sum(self.ledger.answered.values()):,} answers", times, [
            ("Memory of all processes, their shares of it, MiB", lines("own MiB", "shared MiB", "of files MiB")),
            ("Memory of the master's own, MiB", lines("master's MiB")),
            ("Descriptors", lines("descriptors", "master's descriptors")),
            ("Processes, threads of one, generations that end", lines("processes", "threads", "older generations")),
            ("A hit, ms", lines("half ms", "99th ms")),
            ("Answers a second", {"all": rate}),
            ("Entries in the store", lines("entries"))], self.events)

    def close(self):
        self.proxy.kill()
        self.fast.kill()
        self.fast.wait()
        for server in (self.origin, self.other, self.target):
            server.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def main(minutes, seed, folder):
    soak = Soak(minutes, seed, folder)
    try:
        soak.run()
        soak.after()
        wrong = soak.verdict()
        print(json.dumps(soak.write(wrong), indent=1))
    finally:
        soak.close()
    print(f"soak: {'ok' if not wrong else 'failed'}, see {folder}/soak.svg")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])))
