"""One round of one server under one load: a row for the checks, as a dict."""

import json
import os
import re
import shutil
import socket
import subprocess
import time

from harness import checks, machine
from harness.machine import Failed

TOOLS = "build/bench"
ANSWER_S = 5.0
WARM_TRIES = 5
LOOKED_AT = 2000  # answers, before a load of hits
LARGE_MIB = 256
DOWNLOADS = 4
WRITE_RATE = HIT_RATE = 2000
PACED_CONNECTIONS = 64
LATENCIES = 20      # that a closed loop lasts at least,
SECONDS_MOST = 5.0  # if it can be
RESTART_S = 60.0


# ---- one exchange -------------------------------------------------------------------------------

def exchange(port, request):
    """The head of an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as sock:
        sock.sendall(request.encode("ascii"))
        head = b""
        while b"\r\n\r\n" not in head:
            part = sock.recv(1 << 16)
            if not part:
                break
            head += part
    return head.decode("latin-1")


class Origin:
    """bench/origin.c on the load's core."""

    def __init__(self, run, *files):
        directory = run.new_directory("tls-origin" if files else "origin")
        self.tls = bool(files)
        self.process = machine.start([f"{TOOLS}/origin", "0", *map(str, files)], run.load_cores, directory / "port")
        end = time.monotonic() + ANSWER_S
        while not (text := (directory / "port").read_text()).endswith("\n"):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed(f"the origin did not start: {text}")
            time.sleep(0.01)
        self.port = int(text)
        self.run = run

    def url(self, path):
        return f"https://localhost:{self.port}{path}" if self.tls else f"http://127.0.0.1:{self.port}{path}"

    def asked(self):
        """Requests that it has had before this one."""
        command = ["curl", "-s", "-m", "5", "--noproxy", "*"]
        if self.tls:
            command += ["--cacert", str(self.run.tls.authority)]
        done = subprocess.run([*command, self.url("/asked")], text=True, check=False, capture_output=True)
        if done.returncode != 0:
            raise Failed(f"the origin does not answer (curl: {done.returncode})")
        return int(done.stdout)

    def cpu_s(self):
        return machine.process_cpu_s(self.process.pid)


# ---- asking a server ----------------------------------------------------------------------------

class Subject:
    """A running server under a load."""

    def __init__(self, run, load, entrant, running):
        self.run, self.load, self.entrant, self.running = run, load, entrant, running
        self.origin = run.tls_origin if entrant.profile.tls_origin else run.origin
        self.keys = load.keys or int(entrant.profile.store or 0)
        self.seconds = run.seconds
        server = entrant.server
        self.form = server.tls_form if entrant.profile.tls_clients and server.tls_form else server.form

    def url(self, path=None):
        url = self.origin.url(self.load.path if path is None else path)
        return url.replace("https:", self.entrant.server.https_as + ":")

    def in_form(self, url):
        """As bench/paced.c and bench/idle.c want a URL that is asked for in origin form."""
        return url if self.form == "absolute" else url[url.index("//"):]

    def closed(self, seconds, path=None, under=None, ready=None, **options):
        """Runs bench/closed.c, and returns what it prints; `ready` is called when connections are open."""
        words = [f"{name}={value}" for name, value in options.items()]
        if ready:
            words.append("hold=1")
        if self.form == "origin":
            words.append("form=origin")
        if self.entrant.profile.tls_clients:
            words.append(f"tls={self.run.tls.authority}")
        command = [*(self.run.under if under is None else under), f"{TOOLS}/closed",
                   str(self.running.port), self.url(path), str(seconds), *words]
        status, out, err, cpu_s = machine.run_load(command, self.run.load_cores, seconds + 120, ready)
        if status != 0:
            raise Failed(err or f"closed ended with {status}")
        return {**json.loads(out), "load_cpu_s": cpu_s}

    # What the load asks for

    def options(self):
        options = {"connections": self.run.connections, "status": self.load.status, **self.load.options}
        if options.get("from") == "next":
            options["from"] = self.run.next_number()
        if options.get("same") == "connections":
            options["same"] = self.run.connections
        if self.keys:
            options["keys"] = self.keys
        return options

    # Filling

    def is_stored(self):
        """Whether the load is about what was stored before it."""
        return self.load.kind != "transfer" and not self.load.options.get("together")

    def warm(self):
        """Asks until all that the load asks for comes from the store; otherwise says why it does not."""
        if self.entrant.server.is_floor or self.load.origin == "each" or not self.is_stored():
            return None
        if (self.load.path, self.keys) in self.running.warm_for:
            return None
        count = max(self.keys, 1)
        if self.entrant.profile.store and not self.load.keys:
            return self.look(64)
        numbered = {"from": 0} if self.keys else {}
        for _ in range(WARM_TRIES):
            self.closed(60, count=count, connections=min(count, self.run.connections), **numbered)
            time.sleep(0.1)  # writes that wait for a transaction
            cold = self.look(min(count, LOOKED_AT))
            if cold is None:
                self.running.warm_for.add((self.load.path, self.keys))
                return None
        return cold

    def look(self, count):
        """Whether so many answers, of URIs at random, come from the store."""
        asked = self.origin.asked()
        self.closed(60, count=count, connections=1, keys=self.keys)
        missed = self.origin.asked() - asked - 1
        return f"{missed} of {count} answers do not come from its store" if missed else None

    def wrong_answer(self):
        """One answer is looked at in each round."""
        looked_at = self.load.kind == "transfer" or self.load.options.get("kind") == "tunnel"
        if self.entrant.server.is_floor or looked_at or self.entrant.profile.tls_clients:
            return None  # bench/closed.c verifies certificates, and looks at each status; curl at each length
        path = self.load.path + ("0" if self.keys or self.load.path.endswith("/") else "")
        url, field = self.url(path), self.load.options.get("field")
        host = url.split("/")[2]
        target = url if self.form == "absolute" else path
        head = exchange(self.running.port, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n" +
                        (f"{field}\r\n" if field else "") + "Connection: close\r\n\r\n")
        if not head.startswith(f"HTTP/1.1 {self.load.status} "):
            return f"{head.partition(chr(13))[0] or 'none'}, where {self.load.status} is right"
        if self.entrant.server.name == "cache204" and self.load.origin == "none" and "; hit" not in head:
            return "Cache-Status says that it is no hit"
        return None

    # One round

    def counts(self):
        """What is read before and after: times in seconds, and requests at the origin."""
        return {"asked": self.origin.asked(), "origin_s": self.origin.cpu_s(),
                "busy_s": sum(map(machine.core_busy_s, self.run.server_cores)),
                "server_s": machine.tree_cpu_s(self.running.process.pid), "at_s": time.monotonic()}

    def measured(self, work):
        """What `work` returns, with the CPU times and the origin's count from when it calls its argument, which
        is when its connections are open, to its end."""
        before = {}
        row = work(lambda: before.update(self.counts()))
        after = self.counts()
        spent = {name: after[name] - before[name] for name in after}
        elapsed, cores = spent["at_s"], self.run.server_cores
        row.update(server_cpu_s=spent["server_s"], elapsed_s=elapsed, server_cores=len(cores),
                   server_busy=spent["server_s"] / elapsed / len(cores),
                   others_busy=max(0.0, spent["busy_s"] - spent["server_s"]) / elapsed / len(cores),
                   asked=spent["asked"] - 1, load_busy=(row["load_cpu_s"] + spent["origin_s"]) / elapsed,
                   strayed=machine.strayed_threads(self.running.process.pid, cores))
        return row

    def round(self):
        wrong = self.wrong_answer()
        work = {"closed": self.run_closed, "wrk": self.run_wrk, "transfer": self.run_transfer,
                "idle": self.run_idle, "start": self.run_start, "paced": self.run_paced, "rate": self.run_rate,
                "writes": self.run_writes, "purge": self.run_purge}[self.load.kind]
        if self.load.share:
            self.capacity()
        row = self.measured(work)
        if self.is_too_short(row):
            self.seconds = min(row["mean_us"] / 1e6 * 1.5 * LATENCIES, SECONDS_MOST * (0.3 if self.run.quick else 1))
            row = self.measured(work)
        row["bound"] = checks.bound(row)
        if wrong:
            row["wrong_answer"] = wrong
        if "cpu_per" not in row and row.get("answers"):
            row["cpu_per"] = row["server_cpu_s"] * 1e6 / row["answers"]
        row["faults"] = checks.faults(row, "any" if self.entrant.server.name == "limit" else self.load.origin)
        return row

    def run_closed(self, begin):
        row = self.closed(self.seconds, ready=begin, **self.options())
        if not self.load.options.get("together"):  # there not all are under way all the time
            row["connections"] = self.run.connections
        return row

    def is_too_short(self, row):
        """A closed loop ends with a request under way on each connection: they must not be many of all."""
        return self.load.kind == "closed" and row["mean_us"] / 1e6 * LATENCIES > row["seconds"]

    def run_wrk(self, begin):
        """wrk tells no sum of latencies, only a mean that it has corrected: no law holds for that."""
        proxy, absolute = f"http://127.0.0.1:{self.running.port}", self.form == "absolute"
        command = [*self.run.under, "wrk", "-t1", f"-c{self.run.connections}", f"-d{max(1, round(self.run.seconds))}s",
                   *(["-s", "bench/load/hit.lua", proxy, "--", f"127.0.0.1:{self.origin.port}"] if absolute else
                     ["-H", f"Host: 127.0.0.1:{self.origin.port}", proxy + self.load.path])]
        begin()
        status, out, err, cpu_s = machine.run_load(command, self.run.load_cores, self.run.seconds + 60)
        found = re.search(r"(\d+) requests in", out)
        if status != 0 or not found:
            raise Failed(f"wrk: {err or out}")
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        failed = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
        return {"answers": int(found[1]), "rate": float(re.search(r"Requests/sec: +([\d.]+)", out)[1]),
                "unexpected": int(bad[1]) if bad else 0, "load_cpu_s": cpu_s,
                "errors": sum(map(int, failed.groups())) if failed else 0}

    def run_transfer(self, begin):
        tunnel = ["--proxytunnel"] if "connect" in self.load.needs else []
        number = self.run.next_number(DOWNLOADS)
        url = f"{self.url()}/{number}-[1-{DOWNLOADS}]"
        command = ["curl", "-s", *tunnel, "--noproxy", "", "-x", f"http://127.0.0.1:{self.running.port}",
                   "-o", "/dev/null", "-w", "%{http_code} %{size_download}\n", url]
        begin()
        status, out, err, cpu_s = machine.run_load(command, self.run.load_cores, 120)
        got = out.splitlines().count(f"200 {LARGE_MIB << 20}")
        row = {"answers": LARGE_MIB * DOWNLOADS, "load_cpu_s": cpu_s, "errors": DOWNLOADS - got}
        if got != DOWNLOADS:
            row["wrong_answer"] = f"{got} of {DOWNLOADS} downloads are whole (curl {status}: {out.split()} {err})"
        return row

    def run_idle(self, begin):
        begin()
        root, count = self.running.process.pid, self.run.idle
        before = machine.memory_kib(root)
        directory = self.run.new_directory(f"idle-{self.running.port}")
        client = machine.start([f"{TOOLS}/idle", str(self.running.port),
                                self.in_form(self.url()), str(count)],
                               self.run.load_cores, directory / "out")
        try:
            end = time.monotonic() + 60
            while not (said := (directory / "out").read_text()).endswith("\n"):
                if client.poll() is not None or time.monotonic() > end:
                    raise Failed(f"it does not take {count} connections: {said.strip()}")
                time.sleep(0.05)
            if said.strip() != str(count):
                raise Failed(f"it does not take {count} connections: {said.strip()}")
            after = machine.memory_kib(root)
            row = {"answers": count, "load_cpu_s": machine.process_cpu_s(client.pid),
                   "cpu_per": (after - before) * 1024 / count, "before_kib": before, "after_kib": after}
        finally:
            machine.stop(client)
            shutil.rmtree(directory, ignore_errors=True)
        return row

    def run_start(self, begin):
        """Started anew on its store; then all that it is asked for has to be a hit."""
        self.running.restart(self.load.killed)
        began, request = time.monotonic(), f"GET {self.url(self.load.path + '0')} HTTP/1.1\r\nHost: a\r\n\r\n"
        while "; hit" not in self.answer(request):
            if time.monotonic() - began > RESTART_S:
                raise Failed(f"no hit in {RESTART_S:.0f} s after it was started")
            time.sleep(0.001)
        first_ms = 1000 * (time.monotonic() - began)
        row = self.closed(self.seconds, ready=begin, **self.options())
        return {**row, "cpu_per": first_ms, "connections": self.run.connections}

    def answer(self, request):
        """The head of an answer; nothing while it does not listen."""
        try:
            return exchange(self.running.port, request)
        except ConnectionError:
            return ""

    # At a fixed rate

    def paced(self, rate, *more):
        """Runs bench/paced.c: latencies of hits at this rate."""
        command = [*self.run.real_time, f"{TOOLS}/paced", str(self.running.port),
                   str(machine.busiest(self.running.process.pid)), str(self.run.paced_seconds), f"{rate:.0f}",
                   str(PACED_CONNECTIONS), str(self.keys), self.in_form(self.url()), *more]
        status, out, err, cpu_s = machine.run_load(command, self.run.load_cores, self.run.paced_seconds + 60)
        if status != 0:
            raise Failed(err or f"paced ended with {status}")
        sent, _, *times = map(float, out.split())
        return {"answers": int(sent), "rate": sent / self.run.paced_seconds, "wanted_rate": rate, "load_cpu_s": cpu_s,
                "p50_us": times[0], "p99_us": times[1], "p999_us": times[2], "max_us": times[3],
                "undisturbed": times[4] / max(sent, 1), "quiet_p50_us": times[5], "quiet_p99_us": times[6],
                "quiet_p999_us": times[7]}

    def capacity(self):
        """Hits a second in a closed loop, with the same priority: once for all shares of it."""
        label = self.entrant.label
        if label not in self.run.capacity:
            with self.run.as_real_time(self.running):
                self.run.capacity[label] = self.closed(1, under=self.run.real_time, keys=self.keys,
                                                       connections=self.run.connections)["rate"]
        return self.run.capacity[label]

    def run_paced(self, begin):
        with self.run.as_real_time(self.running):
            begin()
            return self.paced(self.capacity() * self.load.share)

    def run_rate(self, begin):
        with self.run.as_real_time(self.running):
            begin()
            return self.paced(HIT_RATE)

    def run_purge(self, begin):
        """A purge of all is begun by the first round, and has to be under way to the end of each."""
        self.running.begin_purge()
        row = self.run_rate(begin)
        if self.running.stored() <= self.keys:
            raise Failed("the purge was over before the round")
        return row

    def run_writes(self, begin):
        number = self.run.next_number()
        with self.run.as_real_time(self.running):
            begin()
            return self.paced(HIT_RATE, str(WRITE_RATE), str(PACED_CONNECTIONS), "0",
                              self.in_form(self.origin.url(f"/hit/{os.getpid()}-{number}/")))
