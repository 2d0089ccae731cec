"""Instructions of a request through the proxy, and of the phases of one, counted by callgrind.

    instructions.py BUILD write [--restart]    count, and write bench/instructions.txt, functions.txt, dearest.txt
    instructions.py BUILD check                count, and hold the counts against the former, and the
                                               dearest inputs against ordinary ones

Counts do not depend on what else the machine does, so they tell what times cannot: that a request
has become dearer by a few per cent. They are of the proxy's own code and its libraries, without the
kernel, and differ between compilers, libraries and processors: the file says what it was counted
with, and nothing else is held against it. FLAGS in the environment are those of the compiler.
"""

import email.utils
import errno
import os
import pathlib
import platform
import random
import re
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(sys.argv[1]).resolve()
os.environ["CACHE204_BIN"] = str(BUILD / "cache204")
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

from harness import callgrind  # noqa: E402 (its home is set above)
from support.proxy import Proxy  # noqa: E402 (its home and its binary are set above)

FILE = ROOT / "bench" / "instructions.txt"
DEAREST_FILE = ROOT / "bench" / "dearest.txt"
FUNCTIONS_FILE = ROOT / "bench" / "functions.txt"
CALLGRIND = ["valgrind", "-q", "--tool=callgrind"]
# Keys of the store have a random seed, and with them what it takes to find a record.
NO_RANDOM = str(BUILD / "no_random.so")
# Their code is in the counts, or does the counting.
PACKAGES = ["libc6", "libev4", "libhttp-parser2.9", "liblmdb0", "libxxhash0", "valgrind"]

WAIT = 30.0
ROUNDS = 5     # the least of so many counts: timers of the proxy fall into some of them
REQUESTS = 64  # of a round
DEPTH = 16     # of them in one write, when they are pipelined

GROWTH = 1.02   # how much more than in the file a count may be
CEILING = 1.03  # how much more than their ceiling these may be, whatever the file says:
CAPPED = ["hit", "hit-others", "hit-pipelined", "hit-304"]

# The place of a record in the store, and so what it takes to find it, follows from its URI.
ORIGIN, PORT = "origin.example", 8080

DEAREST = 20  # how many times an ordinary input of its phase the dearest may cost

FIELDS = (f"Host: {ORIGIN}:{PORT}\r\n"
          "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
          "Accept: */*\r\n"
          "Accept-Language: en-GB,en;q=0.5\r\n"
          "Accept-Encoding: gzip, deflate\r\n"
          "Cookie: session=5f1d7a9c0b3e4862; theme=dark\r\n"
          "Connection: keep-alive\r\n")

ANSWER = ("HTTP/1.1 204 No Content\r\n"
          "Date: {date}\r\n"
          "Server: nginx\r\n"
          "Cache-Control: {control}\r\n"
          'ETag: "5f1d7a9c"\r\n'
          "Vary: Accept-Encoding\r\n"
          "\r\n")

HEADING = f"""\
# Instructions of a request through the proxy, and of its phases one by one (bench/micro/phases.c), as
# callgrind counts them.  `make bench-instructions` writes this file.  `make check` fails when a count
# is more than {100 * GROWTH - 100:.0f} % above the one here, and also when one of
#   {", ".join(CAPPED)}
# is more than {100 * CEILING - 100:.0f} % above its ceiling, which stays as it was counted first.
"""


DEAREST_HEADING = f"""\
# The dearest inputs of each phase of a request that peers can send, beside an ordinary one, in
# instructions as callgrind counts them: rows of bench/micro/dearest.def.  `make bench-instructions`
# writes this table; `make check` counts again, and fails when a row costs more than {DEAREST} times the
# ordinary one of its phase ("times").  Of an input that is longer than the ordinary one, it is each
# byte that may cost so much more: whoever lets us work then has to send all of it, and work that is
# linear in what was sent passes, while a product of two lists does not.  Bytes are those that come for
# this one run: what is stored came before, and its length excuses nothing.  Limits are the options'
# defaults; a line of one phase says nothing of the others that the same input passes through.
"""

FUNCTIONS_HEADING = """\
# Where the instructions of a request go: of each kind of request first the rooms and libraries, then the functions
# that take most.  `make bench-instructions` writes this file beside bench/instructions.txt; nothing is held against
# it.  A library's static functions have no name in what Debian ships, so they are told by its name and their place.
"""
FUNCTIONS_SHOWN = 20
OWNERS_LEAST, FUNCTIONS_LEAST = 1, 10  # instructions of a request; less is left out


class Failed(Exception):
    """With what to tell the user."""


# ---- what counts depend on, beside the sources --------------------------------------------------

def output_of(*command):
    return subprocess.run(command, text=True, check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def upstream(line):
    """Without the last part of a Debian version: security updates of a stable release keep the code."""
    return re.sub(r"\+deb\d+u\d+$", "", line)


def toolchain():
    processor = pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    machine = platform.machine() + (" avx2" if "avx2" in processor else "")
    comment = output_of("readelf", "-p", ".comment", BUILD / "cache204")
    compilers = sorted(set(re.findall(r"^ +\[ *\w+\] +(.+)$", comment, re.M)))
    packages = output_of("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES)
    return "; ".join([machine, *compilers, os.environ.get("FLAGS", ""),
                      *map(upstream, packages.splitlines())])


# ---- counting -----------------------------------------------------------------------------------

def total_of(dump):
    """The instructions of one dump of callgrind."""
    return int(re.search(r"^totals: (\d+)$", dump.read_text(), re.M)[1])


def measured(directory, program):
    """What is counted within measured() of a program of bench/micro, in each of its lines: pairs of
    line and instructions. The n-th dump is the n-th line."""
    dumps, stores = directory / program, directory / f"{program}-stores"
    stores.mkdir()
    done = subprocess.run([*CALLGRIND, f"--callgrind-out-file={dumps}", "--toggle-collect=measured",
                           "--dump-after=measured", BUILD / "bench/micro" / program, stores],
                          text=True, check=False, capture_output=True,
                          env={**os.environ, "LD_PRELOAD": NO_RANDOM})
    if done.returncode != 0:
        raise Failed(done.stderr)
    return [(line, total_of(pathlib.Path(f"{dumps}.{number}")))
            for number, line in enumerate(done.stdout.splitlines(), 1)]


def count_phases(directory):
    """Instructions of one run of each row of bench/micro/phases.c."""
    counts = {}
    for line, total in measured(directory, "phases"):
        name, times = line.split()
        counts[name] = total / int(times)
    return counts


class Input:
    """A row of bench/micro/dearest.def, and what a run of it costs."""

    def __init__(self, line, total, ordinary):
        self.phase, times, length, self.text = line.split(" ", 3)
        self.count, self.bytes = total / int(times), int(length)
        ordinary = ordinary.get(self.phase, self)  # the first of a phase is itself the ordinary one
        self.times = self.count / ordinary.count / max(1, self.bytes / ordinary.bytes)

    def __str__(self):
        return f"{self.phase:17}{self.count:10.0f}{self.bytes:7}{self.times:7.1f}  {self.text}"


def count_dearest(directory):
    ordinary, inputs = {}, []
    for line, total in measured(directory, "dearest"):
        inputs.append(Input(line, total, ordinary))
        ordinary.setdefault(inputs[-1].phase, inputs[-1])
    return inputs


def read_heads(sock, count):
    """As many messages as that, which have no content."""
    received = b""
    while received.count(b"\r\n\r\n") < count:
        part = sock.recv(1 << 16)
        if not part:
            raise Failed(f"the connection ends after {received!r}")
        received += part
    return received.decode("ascii")


def listen_anywhere():
    """On PORT, and an address of this machine that nobody else listens on there."""
    while True:
        address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        try:
            listener = socket.create_server((address, PORT))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        listener.settimeout(WAIT)
        return listener


class Counted:
    """A proxy under callgrind, a client of it, and the origin: one thread, so that each step waits
    for the one before. A request to the operators' page makes callgrind dump what was counted since
    the last one, by the function that serves it."""

    def __init__(self, directory, access_log=""):
        self.dumps = directory / "requests"
        self.number = 0
        self.listener = listen_anywhere()
        hosts = directory / "hosts"
        hosts.write_text(f"{self.listener.getsockname()[0]} {ORIGIN}\n", encoding="ascii")
        self.asked = None  # the connection that the origin is asked on
        # what is stored goes into the store before the next request, or time would tell which
        self.proxy = Proxy(directory / "proxy", f"access_log={access_log}", "store_interval=0",
                           f"hosts_file={hosts}", start=False)
        self.proxy.wrapper = [*CALLGRIND, f"--callgrind-out-file={self.dumps}",
                              "--dump-before=admin_handle"]
        self.proxy.environment["LD_PRELOAD"] = NO_RANDOM
        self.proxy.start()
        self.operator = self.connect(self.proxy.admin_port)
        self.client = self.connect(self.proxy.port)
        self.dump()
        self.of_dump, self.functions_of_dump = min(((self.dump(), self.functions()) for _ in range(ROUNDS)),
                                                   key=lambda pair: pair[0])

    @staticmethod
    def connect(port):
        return socket.create_connection(("127.0.0.1", port), timeout=WAIT)

    def close(self):
        for sock in (self.client, self.operator, self.asked, self.listener):
            if sock:
                sock.close()
        self.proxy.stop()

    def dump(self):
        """Instructions since the last dump."""
        self.operator.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        read_heads(self.operator, 1)
        self.number += 1
        return total_of(pathlib.Path(f"{self.dumps}.{self.number}"))

    def functions(self):
        """Of the last dump the instructions by function."""
        with open(f"{self.dumps}.{self.number}", encoding="ascii", errors="replace") as lines:
            return callgrind.by_label(callgrind.functions_of(line.rstrip("\n") for line in lines), "cache204")

    @staticmethod
    def request(path, extra=""):
        return f"GET http://{ORIGIN}:{PORT}{path} HTTP/1.1\r\n{FIELDS}{extra}\r\n".encode("ascii")

    def hits(self, request, status=204, depth=1):
        for _ in range(REQUESTS // depth):
            self.hit(request, status, depth)

    def hit(self, request, status, depth=1):
        self.client.sendall(request * depth)
        answers = read_heads(self.client, depth)
        if answers.count(f"HTTP/1.1 {status} ") != depth or answers.count("; hit; ") != depth:
            raise Failed(f"no hits: {answers}")

    def forwarded(self, request, answer, content=b""):
        """The head of what the client gets when the origin gives this answer."""
        self.client.sendall(request)
        if not self.asked:
            self.asked = self.listener.accept()[0]
            self.asked.settimeout(WAIT)
        read_heads(self.asked, 1)
        self.asked.sendall(answer.encode("ascii") + content)
        received = b""
        while len(received.partition(b"\r\n\r\n")[2]) < len(content) or b"\r\n\r\n" not in received:
            part = self.client.recv(1 << 16)
            if not part:
                raise Failed(f"the connection ends after {received!r}")
            received += part
        return received.partition(b"\r\n\r\n")[0].decode("ascii")

    def miss(self, request, control="no-store"):
        head = self.forwarded(request, ANSWER.format(date=email.utils.formatdate(usegmt=True), control=control))
        if not head.startswith("HTTP/1.1 204 ") or "; fwd=uri-miss" not in head:
            raise Failed(f"no miss: {head}")

    def validated(self, request):
        """What is stored and has to be confirmed by the origin each time."""
        answer = ANSWER.format(date=email.utils.formatdate(usegmt=True), control="no-cache")
        head = self.forwarded(request, answer.replace("204 No Content", "304 Not Modified"))
        if not head.startswith("HTTP/1.1 204 ") or "fwd=" not in head:
            raise Failed(f"not validated: {head}")

    def body(self, request):
        head = self.forwarded(request, f"HTTP/1.1 200 OK\r\nDate: {email.utils.formatdate(usegmt=True)}\r\n"
                              "Content-Length: 1024\r\n\r\n", b"x" * 1024)
        if not head.startswith("HTTP/1.1 200 "):
            raise Failed(f"no body: {head}")

    def least(self, make_round):
        """Instructions of one request, the least of some rounds: make_round(n) makes REQUESTS; and of that
        round the instructions by function."""
        rounds = []
        for number in range(ROUNDS):
            self.dump()
            make_round(number)
            count = (self.dump() - self.of_dump) / REQUESTS
            if not rounds or count < min(rounds):
                functions = self.functions()
            rounds.append(count)
        functions.subtract(self.functions_of_dump)
        return min(rounds), {name: cost / REQUESTS for name, cost in functions.items()}


def count_requests(directory):
    run = Counted(directory)
    try:
        one, tagged = run.request("/poll"), run.request("/poll", 'If-None-Match: "5f1d7a9c"\r\n')
        others = [run.request(f"/poll/{number:04}") for number in range(REQUESTS)]

        def repeated(ask, request):
            for _ in range(REQUESTS):
                ask(request)

        def hits_of_others():
            for request in others:
                run.hit(request, 204)

        def misses(number, control):
            for i in range(REQUESTS):
                run.miss(run.request(f"/{control}/{number}/{i:04}"), control)

        checked = run.request("/checked")
        run.miss(checked, "no-cache")
        for request in [one, *others]:
            run.miss(request, "max-age=3600")
        for _ in range(3):  # what the proxy keeps of requests that come again
            run.hits(one)
            hits_of_others()
        return {
            "hit": run.least(lambda _: run.hits(one)),
            "hit-others": run.least(lambda _: hits_of_others()),
            "hit-pipelined": run.least(lambda _: run.hits(one, depth=DEPTH)),
            "hit-304": run.least(lambda _: run.hits(tagged, 304)),
            "miss": run.least(lambda number: misses(number, "no-store")),
            "miss-stored": run.least(lambda number: misses(number, "max-age=3600")),
            "validated": run.least(lambda _: repeated(run.validated, checked)),
            "body": run.least(lambda _: repeated(run.body, run.request("/body"))),
        }
    finally:
        run.close()


def count_logged(directory):
    """The same hit with a line of the access log."""
    directory.mkdir()
    run = Counted(directory, access_log=directory / "access.log")
    try:
        one = run.request("/poll")
        run.miss(one, "max-age=3600")
        for _ in range(3):
            run.hits(one)
        return {"hit-logged": run.least(lambda _: run.hits(one))}
    finally:
        run.close()


def count_all():
    with tempfile.TemporaryDirectory(prefix="cache204-instructions-") as directory:
        directory = pathlib.Path(directory)
        requests = {**count_requests(directory), **count_logged(directory / "logged")}
        functions = {name: costs for name, (_, costs) in requests.items()}
        counts = {**{name: count for name, (count, _) in requests.items()}, **count_phases(directory)}
        return {name: round(count) for name, count in counts.items()}, functions, count_dearest(directory)


def too_dear(inputs):
    return [f"{row.phase}: {row.text}: {row.count:.0f} instructions, {row.times:.1f} times an ordinary "
            f"one where {DEAREST} are allowed (see {DEAREST_FILE.name})"
            for row in inputs if row.times > DEAREST]


def write_dearest(inputs):
    lines = [DEAREST_HEADING, f"{'':17}{'count':>10}{'bytes':>7}{'times':>7}", *map(str, inputs)]
    DEAREST_FILE.write_text("\n".join(lines) + "\n", encoding="ascii")


def write_functions(functions):
    parts = [FUNCTIONS_HEADING]
    for request, costs in functions.items():
        parts.append(f"{request}, {sum(costs.values()):.0f} instructions\n")
        for some, least, most in ((callgrind.by_owner(costs), OWNERS_LEAST, None),
                                  (costs, FUNCTIONS_LEAST, FUNCTIONS_SHOWN)):
            shown = sorted(((cost, name) for name, cost in some.items() if cost >= least), reverse=True)[:most]
            parts.append("".join(f"{cost:10.0f}  {name}\n" for cost, name in shown))
    FUNCTIONS_FILE.write_text("\n".join(parts), encoding="ascii", errors="backslashreplace")


# ---- the file -----------------------------------------------------------------------------------

class Kept:
    """What the file says: of each name the count and the ceiling."""

    def __init__(self):
        text = FILE.read_text(encoding="ascii") if FILE.exists() else ""
        found = re.search(r"^counted with: (.*)$", text, re.M)
        self.toolchain = found[1] if found else None
        rows = re.findall(r"^([\w-]+) +(\d+) +(\d+)$", text, re.M)
        self.counts = {name: int(count) for name, count, _ in rows}
        self.ceilings = {name: int(ceiling) for name, _, ceiling in rows}


def per_cent(count, of):
    return f"{100 * (count / of - 1):+.1f} %"


def over_ceiling(counts, ceilings):
    return [f"{name}: {counts[name]} instructions are {per_cent(counts[name], ceilings[name])} of "
            f"the ceiling, {ceilings[name]}; {100 * CEILING - 100:.0f} % are allowed in all"
            for name in CAPPED
            if name in ceilings and counts[name] > CEILING * ceilings[name]]


def write(counts, restart):
    kept = Kept()
    if kept.toolchain not in (None, toolchain()) and not restart:
        raise Failed(f"{FILE.name} was counted with another toolchain, and so were its ceilings:\n"
                     f"    {kept.toolchain}\n    {toolchain()}\n"
                     "RESTART=1 begins it anew, with these counts as ceilings")
    ceilings = counts if restart else {**counts, **kept.ceilings}
    lines = [HEADING, f"counted with: {toolchain()}\n", f"{'':16}{'count':>8}{'ceiling':>9}"]
    lines += [f"{name:16}{count:8}{ceilings[name]:9}" for name, count in counts.items()]
    FILE.write_text("\n".join(lines) + "\n", encoding="ascii")
    print(FILE.read_text(encoding="ascii"), end="")
    return over_ceiling(counts, ceilings)


def check(counts):
    kept = Kept()
    if kept.toolchain != toolchain():
        print(f"instructions: not compared, {FILE.name} was counted with another toolchain:\n"
              f"    {kept.toolchain}\n    {toolchain()}")
        for name, count in counts.items():
            print(f"    {name:16}{count:8}")
        return []
    wrong = [f"{name}: counted, but not in {FILE.name}" for name in counts.keys() - kept.counts.keys()]
    wrong += [f"{name}: in {FILE.name}, but not counted"
              for name in kept.counts.keys() - counts.keys()]
    for name in counts.keys() & kept.counts.keys():
        before, count = kept.counts[name], counts[name]
        if count > GROWTH * before:
            wrong.append(f"{name}: {count} instructions, {per_cent(count, before)} of the "
                         f"{before} in {FILE.name}")
        elif count * GROWTH < before:
            print(f"instructions: {name} has become cheaper, {count} for {before}: "
                  "`make bench-instructions` keeps it so")
    return sorted(wrong) + over_ceiling(counts, kept.ceilings)


def main():
    counts, functions, inputs = count_all()
    if sys.argv[2] == "write":
        wrong = write(counts, "--restart" in sys.argv)
        write_functions(functions)
        write_dearest(inputs)
    else:
        wrong = check(counts)
        if wrong:
            wrong.append("what has to be so is written down by `make bench-instructions`, and said "
                         "in the commit")
    wrong += too_dear(inputs)
    for line in wrong:
        print(f"instructions: {line}", file=sys.stderr)
    if not wrong:
        dearest = max(inputs, key=lambda row: row.times)
        print(f"check-instructions: ok, the dearest input costs {dearest.times:.1f} times an ordinary "
              f"one ({dearest.phase}: {dearest.text})")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"instructions: {failure}")
