"""cache204 beside its floors and its peers, on loopback, in one run: `make bench`. bench/README.md is the
page to read.

Environment, with defaults:

    LOADS        all but those that are to be asked for; names as in bench/harness/loads.py
    SERVERS      all that are installed
    ROUNDS       5; in each round every server has every load once
    SECONDS_EACH 1
    CONNECTIONS  64
    IDLE         5000 connections for `idle`
    CACHE204     build/cache204
    OPTIONS      more options for it, as "-o store_interval=1ms"
    SERVER_CORES 1, the last ones; the first is for the load and the origin
    UNDER        a command that servers and loads run under, as "nice -n -5"
    QUICK        1: few loads, short, within two minutes
    COMPARE      the JSON of another run: what has changed
    OUT          build/bench
"""

import contextlib
import itertools
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import checks, compare, figures, loads, machine, measure, report, servers
from harness.machine import Failed

QUICK_SECONDS, QUICK_ROUNDS, QUICK_END_S = 0.4, 3, 90
RECORD_BYTES = 1000      # room for one
FULL_BYTES = 64 << 20    # of a store that has no room left


class Tls:
    """A certificate for localhost, and the authority that it is of."""

    def __init__(self, directory):
        self.authority, self.certificate = directory / "authority.pem", directory / "certificate.pem"
        self.key = directory / "key.pem"
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        self.openssl("req", "-x509", *new, "-keyout", directory / "authority.key", "-out", self.authority,
                     "-subj", "/CN=bench", "-addext", "basicConstraints=critical,CA:TRUE")
        self.openssl("req", *new[:-2], "-keyout", self.key, "-out", directory / "request.pem", "-subj", "/CN=localhost")
        (directory / "extensions").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self.openssl("x509", "-req", "-in", directory / "request.pem", "-CA", self.authority, "-CAkey",
                     directory / "authority.key", "-CAcreateserial", "-days", "2", "-extfile",
                     directory / "extensions", "-out", self.certificate)
        for file in (self.authority, self.certificate):
            file.chmod(0o644)

    @staticmethod
    def openssl(*arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], text=True, check=False, capture_output=True)
        if done.returncode != 0:
            raise Failed(f"openssl: {done.stderr.strip()}")


def number_of(environment, name, default, kind=int):
    try:
        value = kind(environment.get(name) or default)
    except ValueError:
        raise Failed(f"{name}={environment[name]}: not a number") from None
    if value <= 0:
        raise Failed(f"{name}={value}: not above 0")
    return value


class Run:
    """What all of a run share. Ends what it started in close()."""

    def __init__(self, environment):
        self.quick = environment.get("QUICK", "") not in ("", "0")
        self.rounds = number_of(environment, "ROUNDS", QUICK_ROUNDS if self.quick else 5)
        self.seconds = number_of(environment, "SECONDS_EACH", QUICK_SECONDS if self.quick else 1, float)
        self.paced_seconds = max(self.seconds, 2.0) if not self.quick else self.seconds
        self.connections = number_of(environment, "CONNECTIONS", 64)
        self.idle = number_of(environment, "IDLE", 5000)
        self.under = shlex.split(environment.get("UNDER", ""))
        self.real_time = ["chrt", "-f", "1"] if machine.is_real_time_allowed() else []
        self.load_cores, self.server_cores = machine.cores(number_of(environment, "SERVER_CORES", 1))
        self.loads = loads.chosen(environment.get("LOADS", "").split(), self.quick)
        self.started = []  # every server that runs
        self.running = {}  # those of the load at hand, by name and profile
        self.stores, self.capacity, self.left_out = {}, {}, {}
        self.numbers = itertools.count()
        self.servers = self.find_servers(environment)
        self.began = time.monotonic()
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="cache204-bench."))
        self.work.chmod(0o755)

    def find_servers(self, environment):
        binary = environment.get("CACHE204") or "build/cache204"
        if not os.access(binary, os.X_OK):
            raise Failed(f"no {binary}: build it with make")
        every = servers.every(binary, shlex.split(environment.get("OPTIONS", "")))
        names = environment.get("SERVERS", "").split()
        wrong = set(names) - {server.name for server in every}
        if wrong:
            raise Failed(f"no server {', '.join(sorted(wrong))}; there are {', '.join(s.name for s in every)}")
        found = []
        for server in every:
            if names and server.name not in names:
                continue
            if server.found():
                found.append(server)
            else:
                self.left_out[server.name] = f"not installed (package {server.package})"
                print(f"bench: left out {server.name}: not installed (package {server.package})", file=sys.stderr)
        return found

    def begin(self):
        self.tls = Tls(self.new_directory("tls"))
        self.origin = measure.Origin(self)
        self.tls_origin = measure.Origin(self, self.tls.certificate, self.tls.key)

    def close(self):
        for running in list(self.started):
            running.stop()
        machine.stop_descendants()
        shutil.rmtree(self.work, ignore_errors=True)

    def is_late(self, load):
        """A quick run has so much time for the loads up to this one, whatever else the machine does."""
        share = (self.loads.index(load) + 1) / len(self.loads)
        return self.quick and time.monotonic() - self.began > share * QUICK_END_S

    def stop_others(self, wanted):
        """What the next load does not need, and what has died, goes."""
        for key, running in list(self.running.items()):
            if key not in wanted or running.process.poll() is not None:
                self.running.pop(key).stop()

    def new_directory(self, name):
        directory = self.work / name
        directory.mkdir(parents=True)
        return directory

    def next_number(self, count=10_000_000):
        """Numbers of URIs that nobody was asked for in this run."""
        return next(self.numbers) * count + 1

    @contextlib.contextmanager
    def as_real_time(self, running):
        """Where others use the machine, latencies would be theirs: server and load go first."""
        pids = machine.tree(running.process.pid) if self.real_time else []
        self.schedule(pids, "-f", "1")
        try:
            yield
        finally:
            self.schedule(pids, "-o", "0")

    @staticmethod
    def schedule(pids, *policy):
        for pid in pids:
            subprocess.run(["chrt", "-a", *policy[:1], "-p", policy[1], str(pid)], check=False, capture_output=True)

    def make_stores(self, load):
        """Stores with so many records, for loads that ask for them."""
        profiles = [load.profile, *(profile for _, profile in load.beside)]
        for name in {profile.store for profile in profiles if profile.store} - self.stores.keys():
            directory = self.work / f"store-{name}"
            records = FULL_BYTES // 300 if name == "full" else int(name)
            size = f"{FULL_BYTES if name == 'full' else (64 << 20) + records * RECORD_BYTES}B"
            done = subprocess.run([f"{measure.TOOLS}/fill", str(records), self.origin.url(load.path),
                                   f"store={directory}", f"store_size={size}"], text=True, check=False,
                                  capture_output=True)
            if done.returncode != 0:
                raise Failed(f"cannot fill a store: {done.stderr.strip()}")
            self.stores[name] = directory, size


# ---- progress -----------------------------------------------------------------------------------

class Progress:
    """A line that says where the run is, on a terminal always the same one."""

    def __init__(self, total):
        self.total, self.done, self.began = total, 0, time.monotonic()
        self.same_line = sys.stderr.isatty()

    def tell(self, text):
        spent = time.monotonic() - self.began
        left = spent / self.done * (self.total - self.done) if self.done else 0
        line = f"bench: {self.done}/{self.total}, {spent:.0f} s, about {left:.0f} s left: {text}"
        if self.same_line:
            print(f"\r{line:<100.100}", end="", file=sys.stderr, flush=True)
        elif ", round " not in text or text.endswith("round 1"):
            print(line, file=sys.stderr, flush=True)

    def note(self, text):
        print(("\r" + " " * 100 + "\r" if self.same_line else "") + f"bench: {text}", file=sys.stderr, flush=True)


# ---- a load -------------------------------------------------------------------------------------

def start_one(run, load, entrant):
    """A subject on a server that is warm for the load: one that runs with this profile already, or a new one."""
    key = entrant.server.name, entrant.profile
    running = run.running.get(key)
    if running is None:
        running = run.running[key] = servers.Running(run, entrant.server, entrant.profile)
    subject = measure.Subject(run, load, entrant, running)
    cold = subject.warm()
    if cold:
        raise Failed(cold)
    return subject


def start_all(run, load, progress):
    """The subjects of a load, and why others are none: {label: reason}."""
    entrants = loads.entrants(load, run.servers)
    run.stop_others({(entrant.server.name, entrant.profile) for entrant in entrants})
    subjects = []
    reasons = {name: "it has no " + ", ".join(sorted(load.needs)) for name in loads.left_out(load, run.servers)}
    for entrant in entrants:
        progress.tell(f"{load.name}: starting {entrant.label}")
        try:
            subjects.append(start_one(run, load, entrant))
        except (Failed, OSError) as failure:
            reasons[entrant.label] = str(failure)
    return subjects, reasons


def measure_round(run, subject, number):
    if subject.load.kind == "idle" and number > 0:  # memory that it has taken it does not give back
        run.stop_others(run.running.keys() - {(subject.entrant.server.name, subject.entrant.profile)})
        subject = start_one(run, subject.load, subject.entrant)
    return subject.round()


def measure_load(run, load, progress):
    """All rounds of a load: {label: {round: row}}, who has none with the reason, and what ratios are to."""
    run.make_stores(load)
    subjects, reasons = start_all(run, load, progress)
    rows = {subject.entrant.label: {} for subject in subjects}
    for number in range(run.rounds):
        if number > 0 and run.is_late(load):
            progress.note(f"{load.name}: ends after round {number}, for lack of time")
            break
        # Another one begins in each round, so that none is always the first.
        turn = number % len(subjects) if subjects else 0
        for subject in subjects[turn:] + subjects[:turn]:
            label = subject.entrant.label
            progress.tell(f"{load.name}: {label}, round {number + 1}")
            progress.done += 1
            if label in reasons:
                continue
            try:
                rows[label][number] = measure_round(run, subject, number)
            except (Failed, OSError) as failure:
                reasons[label] = str(failure)
    return rows, reasons, {subject.entrant.label: subject.entrant.base for subject in subjects}


def judge(load, rows, reasons, bases):
    """What a load gives: of each label its rounds, medians and ratios, or why it has none."""
    kept = {}
    for label, rounds in rows.items():
        faults = [fault for row in rounds.values() for fault in row["faults"]]
        good = {number: row for number, row in rounds.items() if not row["faults"]}
        if label in reasons:
            continue
        if len(good) * 2 <= len(rounds):
            reasons[label] = faults[0] if faults else "no round"
        else:
            kept[label] = good
    values = {label: {n: row["cpu_per"] for n, row in good.items()} for label, good in kept.items()}
    floor = figures.median(values[load.floor].values()) if load.floor in values else None
    results = {}
    for label, good in kept.items():
        low = label != load.floor and load.unit == "request" and checks.below_floor(
            figures.median(values[label].values()), floor)
        if low:
            reasons[label] = low
            continue
        results[label] = {"base": bases[label], "bad_rounds": len(rows[label]) - len(good), "rounds": good}
    for label, result in results.items():
        summarize(load, label, result, results, values)
    return {"name": load.name, "title": load.title, "unit": load.unit, "kind": load.kind, "why": load.why,
            "floor": load.floor, "results": results, "reasons": reasons}


def summarize(load, label, result, results, values):
    """Medians and spreads of what a label's rounds have, and its ratios."""
    good = result["rounds"].values()
    names = {name for row in good for name, value in row.items()
             if isinstance(value, (int, float)) and not isinstance(value, bool)}
    result["figures"] = {name: figures.summary([row[name] for row in good if name in row]) for name in sorted(names)}
    result["bound"] = max((row["bound"] for row in good), key=[row["bound"] for row in good].count)
    for name, other in (("ratio", result["base"]), ("floor_ratio", load.floor)):
        if load.unit and other in results and other != label:
            result[name] = figures.paired_ratio(values[label], values[other])


# ---- the run ------------------------------------------------------------------------------------

def measure_all(run):
    """The result of each load in turn."""
    progress = Progress(sum(run.rounds * len(loads.entrants(load, run.servers)) for load in run.loads))
    for load in run.loads:
        result = judge(load, *measure_load(run, load, progress))
        for label, reason in result["reasons"].items():
            progress.note(f"{load.name}: no row for {label}: {reason}")
        yield result
    progress.tell("done")
    progress.note(f"{time.monotonic() - progress.began:.0f} s in all")


def describe(run):
    cores = {"load": sorted(run.load_cores), "server": sorted(run.server_cores)}
    return {"machine": machine.describe(), "pinned": cores, "rounds": run.rounds, "seconds": run.seconds,
            "paced_seconds": run.paced_seconds, "connections": run.connections, "idle": run.idle,
            "under": " ".join(run.under), "real_time_for_latency": bool(run.real_time), "quick": run.quick,
            "versions": {server.name: server.version() for server in run.servers if not server.is_floor},
            "titles": {server.name: server.title for server in run.servers}, "left_out": run.left_out,
            "command": " ".join([*(f"{name}={shlex.quote(os.environ[name])}" for name in (
                "LOADS", "SERVERS", "ROUNDS", "SECONDS_EACH", "CONNECTIONS", "OPTIONS", "UNDER", "QUICK")
                if os.environ.get(name)), "make bench"])}


def write(result, old, out):
    out.mkdir(parents=True, exist_ok=True)
    (out / "bench.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (out / "bench.html").write_text(report.page(result, old), encoding="utf-8")
    print(report.tables(result))
    if old:
        print(compare.table(old, result))
    print(f"bench: {out / 'bench.json'} and {out / 'bench.html'}", file=sys.stderr)


def main():
    environment = dict(os.environ)
    old = compare.read(environment["COMPARE"]) if environment.get("COMPARE") else None
    machine.interrupt_once(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    machine.adopt_orphans()
    run = Run(environment)
    found, is_whole = [], False
    try:
        run.begin()
        described = describe(run)
        for result in measure_all(run):
            found.append(result)
        is_whole = True
    except KeyboardInterrupt:
        print("\nbench: interrupted; what it had started is ended", file=sys.stderr)
    finally:
        run.close()
    if found:  # of an interrupted run the loads that it had ended
        write({**described, "loads": found}, old, pathlib.Path(environment.get("OUT") or "build/bench"))
    return 0 if is_whole else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
    except (Failed, ValueError) as failure:
        sys.exit(f"bench: {failure}")
