#!/usr/bin/env python3
"""Usage: scripts/try.py BINARY

An origin, the proxy before it, ten requests, a short load by wrk where that is installed, and the
statistics: in one terminal, each step in a line, on free ports, with a store of its own.  It ends by
itself, and whatever ends it, a Ctrl-C as well, leaves no process and no file.  Exits 1 when an answer is
not what its line says it is.
"""

import contextlib
import ctypes
import http.client
import http.server
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

START_S = 15
LOAD_S = 2
HIT_LUA = pathlib.Path(__file__).resolve().parents[1] / "bench" / "load" / "hit.lua"
PR_SET_PDEATHSIG = 1
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failed(Exception):
    """Something is not as it should be: the line for the user."""


class Origin(http.server.ThreadingHTTPServer):
    """Answers each request with a 204 that is fresh for a minute, and counts them."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked = 0
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def authority(self):
        return "127.0.0.1:%d" % self.server_address[1]


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked += 1
        self.send_response(304 if self.headers["If-None-Match"] == '"v1"' else 204)
        self.send_header("Cache-Control", "max-age=60")
        self.send_header("ETag", '"v1"')
        self.end_headers()

    def do_POST(self):
        self.server.asked += 1
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def signals_held():
    """For the making of what has to be undone: a signal does not come before it is known what there is to undo.
    Threads that begin here take none at all, or one of theirs would interrupt the main thread all the same."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def end_with_us():
    """In a child: it does not outlive this program, however that ends. A Ctrl-C is for this program alone, which
    ends the child then."""
    os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Proxy:
    """The binary on free ports, which it prints."""

    def __init__(self, binary, directory):
        options = ["listen=127.0.0.1:0", "admin=127.0.0.1:0", f"store={directory}/store", "workers=1",
                   "store_size=16MiB"]
        self.process = subprocess.Popen([binary, *(word for one in options for word in ("-o", one))],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=open(f"{directory}/stderr", "wb"),
                                        preexec_fn=end_with_us)
        self.errors = pathlib.Path(directory, "stderr")
        self.authority = self.admin = None

    def wait(self):
        text = b""
        deadline = time.monotonic() + START_S
        while not re.search(rb"^cache204 \S+ ready$", text, re.M):
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Failed(f"the proxy is not ready after {START_S} s")
            piece = os.read(self.process.stdout.fileno(), 4096)
            if not piece:
                raise Failed("the proxy did not start: " + self.errors.read_text(errors="replace"))
            text += piece
        self.authority = re.search(rb"^export http_proxy=http://(\S+)", text, re.M)[1].decode()
        self.admin = re.search(rb"^stats: http://([^/]+)/stats$", text, re.M)[1].decode()

    def stop(self):
        """It has nothing in flight; if it does not go, it is made to."""
        self.process.terminate()
        try:
            self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


# Method, path, fields, status and part of Cache-Status expected, and what that is.
REQUESTS = [
    ("GET", "/ping", {}, 204, "stored", "a miss: the origin is asked, its answer stored"),
    ("GET", "/ping", {}, 204, "hit", "a hit: the origin is not asked"),
    ("GET", "/ping", {}, 204, "hit", ""),
    ("HEAD", "/ping", {}, 204, "hit", "also for HEAD"),
    ("GET", "/ping", {"If-None-Match": '"v1"'}, 304, "hit", "the client has it: 304, from the cache as well"),
    ("GET", "/ping?a", {}, 204, "stored", "another URI, another miss"),
    ("GET", "/ping", {"Cache-Control": "no-cache"}, 204, "fwd=request", "validated: the origin says 304"),
    ("GET", "/ping", {}, 204, "hit", ""),
    ("POST", "/ping", {}, 204, "fwd=method", "goes on, what is stored is forgotten"),
    ("GET", "/ping", {}, 204, "stored", "so this is a miss"),
]


def say(step, text):
    print(f"{step}  {text}", flush=True)


def ask(proxy, origin):
    connection = http.client.HTTPConnection(proxy.authority, timeout=START_S)
    for number, (method, path, fields, status, part, what) in enumerate(REQUESTS, 1):
        connection.request(method, f"http://{origin.authority}{path}", headers=fields)
        answer = connection.getresponse()
        answer.read()
        told = answer.headers["Cache-Status"] or ""
        request = f"{method} {path}" + "".join(f" ({name})" for name in fields)
        told = told.partition("; ")[2]
        print(f"   {number:2} {request:26} {answer.status} {told:38} {what}".rstrip(), flush=True)
        if answer.status != status or part not in told:
            raise Failed(f"expected {status} with {part!r}")
    connection.close()


def load(proxy, origin):
    wrk = shutil.which("wrk")
    if wrk is None or not HIT_LUA.exists():
        say(4, "wrk is not installed: no load")
        return
    say(4, f"wrk for {LOAD_S} s: one stored 204 over and over, on 16 connections")
    with contextlib.ExitStack() as undo:
        with signals_held():
            child = subprocess.Popen([wrk, "-t1", "-c16", f"-d{LOAD_S}s", "-s", str(HIT_LUA),
                                      f"http://{proxy.authority}", "--", origin.authority],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                     preexec_fn=end_with_us)
            undo.callback(child.wait)
            undo.callback(child.kill)
        text = child.communicate(timeout=LOAD_S + START_S)[0]
    rate = re.search(r"^Requests/sec:\s+(\d+)", text, re.M)
    if rate is None:
        raise Failed("wrk: " + text)
    print(f"      {int(rate[1]):,} requests a second", flush=True)


def show_stats(proxy):
    say(5, f"the statistics, http://{proxy.admin}/stats; /metrics has the same for Prometheus")
    connection = http.client.HTTPConnection(proxy.admin, timeout=START_S)
    connection.request("GET", "/stats")
    stats = json.loads(connection.getresponse().read())
    connection.close()
    for name in ("requests", "hits", "misses", "validations", "stores"):
        print(f"      {name:12}{stats[name]:>10,}")
    print(f"      half of the hits took less than {stats['latency_us']['hit']['p50']} us", flush=True)


def run(binary, directory, undo):
    with signals_held():
        origin = Origin()
        undo.callback(origin.shutdown)
    say(1, f"an origin on http://{origin.authority}: each GET gets a 204 that is fresh for a minute")
    with signals_held():
        proxy = Proxy(binary, directory)
        undo.callback(proxy.stop)
    proxy.wait()
    say(2, f"the proxy on http://{proxy.authority}, with a store of its own")
    say(3, "ten requests through it, and what Cache-Status says of each")
    ask(proxy, origin)
    load(proxy, origin)
    show_stats(proxy)
    say(6, f"the origin was asked {origin.asked} times; now all ends. To go on: make run, and README.md")


def handle_signals(handler):
    for number in ENDING:
        signal.signal(number, handler)


def end(number, _):
    """Each signal ends it as a Ctrl-C does, and a second one does not stop the cleaning up."""
    handle_signals(signal.SIG_IGN)
    raise SystemExit(128 + number)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    with contextlib.ExitStack() as undo:
        try:
            with signals_held():
                handle_signals(end)
                directory = undo.enter_context(tempfile.TemporaryDirectory(prefix="cache204-try-"))
            run(sys.argv[1], directory, undo)
        except (Failed, OSError, http.client.HTTPException) as error:
            sys.exit(f"try: {error}")
        finally:
            handle_signals(signal.SIG_IGN)


if __name__ == "__main__":
    main()
