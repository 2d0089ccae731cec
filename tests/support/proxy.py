"""The proxy under test: started in a directory of its own, watched, ended by its process id."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading

from support.ports import free_port
from support.processes import until_ended
from support.rawclient import Client
from support.until import until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = (os.environ.get("CACHE204_BIN") or os.environ.get("CACHE204")
          or str(ROOT / "build" / "cache204"))
SANITIZED = b"__asan_init" in pathlib.Path(BINARY).read_bytes()  # its library has to be loaded first
WAIT = 15.0  # seconds for a start or an end

PRELOAD = os.environ.get("CACHE204_PRELOAD", "")  # libraries that each proxy is run with

FAULT = re.compile(r"runtime error:|ERROR: \w*Sanitizer|WARNING: \w*Sanitizer|^map_shim: ", re.M)


def run(*arguments, timeout=WAIT):
    """The binary with these arguments, to its end: a CompletedProcess with text."""
    return subprocess.run([BINARY, *map(str, arguments)], text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, capture_output=True)


def is_ready(lines):
    return any(re.fullmatch(r"cache204 \S+ ready", line) for line in lines)


def parents():
    """Each process that runs, with that which started it."""
    found = {}
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (directory / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # ended meanwhile
        if state != "Z":
            found[int(directory.name)] = int(parent)
    return found


class Proxy:
    """One proxy, of one process or several. Its ports are free ones, read from its output; it keeps them when it is
    started again, as no other test gets them meanwhile."""

    worker_count = 1  # of those that are begun without the option; conftest.py sets it

    def __init__(self, directory, *options, start=True):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.store = self.directory / "store"
        self.access_log = self.directory / "access.log"
        self.error_log = self.directory / "stderr"
        self.options = [f"listen=127.0.0.1:{free_port()}", f"admin=127.0.0.1:{free_port()}", f"store={self.store}",
                        f"access_log={self.access_log}", "store_size=16MiB",
                        f"workers={self.worker_count}", *options]
        self.binary = BINARY
        self.arguments = []
        self.wrapper = []  # a program to run it under, with its arguments
        self.environment = {}
        self.pass_fds = ()  # descriptors that it has from the start
        self.process = None
        self.written = False
        if start:
            self.start()

    def start(self):
        arguments = self.arguments + [a for option in self.options for a in ("-o", option)]
        with open(self.error_log, "ab") as errors:
            self.process = subprocess.Popen([*self.wrapper, self.binary, *arguments],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=errors, cwd=self.directory, text=True,
                                            env=self.whole_environment(), pass_fds=self.pass_fds)
        self.output = []
        self.ready = threading.Event()
        self.reader = threading.Thread(daemon=True, target=self.read_output,
                                       args=(self.process, self.output, self.ready))
        self.reader.start()
        if not self.ready.wait(WAIT) or not is_ready(self.output):
            self.kill()
            raise AssertionError(f"the proxy did not start: {self.output!r} {self.errors()}")
        text = "\n".join(self.output)
        self.port = int(re.search(r"^export http_proxy=http://127\.0\.0\.1:(\d+) ", text, re.M)[1])
        self.admin_port = int(re.search(r"^stats: http://127\.0\.0\.1:(\d+)/stats$", text, re.M)[1])
        return self

    def whole_environment(self):
        libraries = f"{PRELOAD} {self.environment.get('LD_PRELOAD', '')}".strip()
        return {**os.environ, **self.environment, **({"LD_PRELOAD": libraries} if libraries else {})}

    @staticmethod
    def read_output(process, output, ready):
        for line in process.stdout:
            output.append(line.rstrip("\n"))
            if is_ready(output[-1:]):
                ready.set()
        process.stdout.close()
        ready.set()  # ended; start() looks whether it had been ready

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    @property
    def instance(self):
        """Its name in Via of requests, with the preset pseudonym."""
        return "cache204-" + (self.store / "instance").read_text(encoding="ascii").strip()

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def errors(self):
        return self.error_log.read_text(errors="replace") if self.error_log.exists() else ""

    def connect(self, **options):
        """A client's connection. When the test knows nothing of workers it may be another worker's
        than the last one; so what was stored meanwhile is made sure to be in the store."""
        self.until_written()
        return Client(self.port, seen=self.see, **options)

    def see(self, answer):
        """Whether an answer may have changed what is stored."""
        status = answer["Cache-Status"] or ""
        self.written |= "; stored" in status or "; fwd=stale" in status or "; fwd=request" in status

    def until_written(self):
        """Until every worker sees what another has changed, which takes as long as store_interval."""
        if self.written and self.worker_count > 1:
            until(lambda: self.stats()["gauges"]["writes_waiting"] == 0, "all is in the store")
        self.written = False

    def admin(self, target, method="GET", *fields):
        """The answer of the admin listener."""
        if method == "POST":
            self.until_written()
        with Client(self.admin_port) as client:
            lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.admin_port}", *fields]
            client.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            return client.response(method)

    def stats(self):
        answer = self.admin("/stats")
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def log_lines(self):
        """The access log so far; it is buffered, so stop() first to have all of it. Several workers write their lines
        in any order, and a test must not trust in one: here the connections come backwards, as they may at any time."""
        lines = self.access_log.read_text(errors="replace").splitlines()
        if [option for option in self.options if option.startswith("workers=")][-1:] in ([], ["workers=1"]):
            return lines
        connections = {}
        for line in lines:
            connections.setdefault(re.search('"client_port":[0-9]+|$', line)[0] or line, []).append(line)
        return [line for of_one in reversed(connections.values()) for line in of_one]

    @property
    def worker(self):
        """The process id of the one worker."""
        only, = self.workers()
        return only

    def memory(self):
        """Resident bytes of the workers."""
        return sum(int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024
                   for pid in self.workers())

    def grew_less_than(self, size, before):
        """Whether memory() grew by less than size. A sanitized build keeps what was freed for a
        while, so that there its growth says less."""
        return self.memory() - before < size * (32 if SANITIZED else 1)

    def workers(self):
        """Process ids of the workers: the children of the process."""
        return {pid for pid, parent in parents().items() if parent == self.pid}

    def descendants(self):
        """Workers, and a program that is tried with those of its own."""
        of, found, last = parents(), set(), {self.pid}
        while last:
            last = {pid for pid, parent in of.items() if parent in last}
            found |= last
        return found

    def worker_of(self, client):
        """The worker that has this connection, which it has answered on already. The proxy needs
        log_level=debug, or the test the rights to look into its processes."""
        wanted = [client.sock.getpeername()[1], client.sock.getsockname()[1]]
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            ends = [int(end.rpartition(":")[2], 16) for end in fields[1:3]]
            if ends == wanted:
                return next((pid for pid in self.workers() if self.has_socket(pid, fields[9])), None)
        return None

    @staticmethod
    def has_socket(pid, inode):
        for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                if os.readlink(link) == f"socket:[{inode}]":
                    return True
            except OSError:
                continue  # closed meanwhile
        return False

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout=WAIT):
        """Wait for the end; it must be a good one."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end within {timeout} s of SIGTERM: {self.errors()}") from None
        assert code == 0, f"exit {code}: {self.errors()}"
        self.check_errors()

    def check_errors(self):
        """A worker that died of a fault was replaced, and would not be missed."""
        assert not FAULT.search(self.errors()), self.errors()

    def stop(self):
        if self.process is None or self.process.returncode is not None:
            return
        self.terminate()
        self.wait()

    def restart(self):
        self.stop()
        return self.start()

    def kill(self):
        """The process, and those it started, which end with it a moment later and hold the store."""
        if self.is_alive():
            started = self.descendants()
            self.process.kill()
            self.process.wait()
            until_ended(started)

    def kill9(self):
        """As a power cut does to a process: no chance to write anything."""
        self.kill()

    def told(self, *fields):
        """All that it tells and keeps, for what must not be in it: pages, asked for with these fields, what it printed,
        and the files of its folder: logs and store.  It is stopped by that."""
        pages = [self.admin(page, "GET", *fields).body
                 for page in ("/stats", "/metrics", "/dash.json", "/entries", "/explain?uri=http://a/", "/reload")]
        self.stop()
        files = [file.read_bytes() for file in self.directory.rglob("*") if file.is_file()]
        return b"\n".join([*pages, *files, *(line.encode() for line in self.output)])

    def remove(self):
        self.check_errors()
        shutil.rmtree(self.directory, ignore_errors=True)
