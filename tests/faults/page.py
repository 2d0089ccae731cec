"""The page by which a test tells tests/tools/faults_shim.c what goes wrong, and learns what was called."""

import errno
import mmap
import os
import pathlib
import struct
import subprocess
from dataclasses import dataclass

from support.proxy import BINARY, ROOT

SHIM = pathlib.Path(os.environ.get("CACHE204_FAULTS") or pathlib.Path(BINARY).parent / "faults_shim.so")

# As struct page of the shim.
HEAD = struct.Struct("=IIIIQQIIII Qqq24Q64Q")
COUNTING, KIND, HOW, ERROR, FIRST, LAST, PID, HAPPENED, BY, KIND_COUNT, PROGRAM, LIVE, CLOCK = range(13)
FROM, COUNTS = slice(13, 37), slice(37, 101)
NAME_SIZE, KINDS_MAX = 24, 64
SIZE = HEAD.size + NAME_SIZE * KINDS_MAX

HOWS = {"short": 1, "late": 2, "after": 3}
LMDB = {name: -30799 + n for n, name in enumerate("""
    KEYEXIST NOTFOUND PAGE_NOTFOUND CORRUPTED PANIC VERSION_MISMATCH INVALID MAP_FULL DBS_FULL READERS_FULL
    TLS_FULL TXN_FULL CURSOR_FULL PAGE_FULL MAP_RESIZED INCOMPATIBLE BAD_RSLOT BAD_TXN""".split())}
ALL = (1 << 63) - 1


@dataclass(frozen=True)
class Fault:
    """The calls from `nth` on, one or all, of a kind go wrong: "short", "late", or the name of an error;
    "after:EIO" is done and then said to have failed."""
    kind: str
    nth: int
    what: str
    all: bool = False

    def __str__(self):
        return f"{self.kind}:{self.nth}{'+' if self.all else ''}:{self.what}"

    @classmethod
    def parse(cls, text):
        kind, nth, what = text.split(":", 2)
        return cls(kind, int(nth.rstrip("+")), what, nth.endswith("+"))


class Page:
    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(SIZE))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), SIZE)

    @property
    def environment(self):
        """What the loader takes for the library's backtrace() is no leak of the proxy's."""
        loader = self.path.with_suffix(".lsan")
        loader.write_text("leak:dl_open_worker\nleak:ld-linux\n")
        return {"LD_PRELOAD": str(SHIM), "FAULTS_PAGE": str(self.path),
                "LSAN_OPTIONS": f"suppressions={loader}:print_suppressions=0:" + os.environ.get("LSAN_OPTIONS", ""),
                "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}

    def read(self):
        return HEAD.unpack_from(self.map)

    def names(self):
        count = self.read()[KIND_COUNT]
        return [self.map[HEAD.size + n * NAME_SIZE:][:NAME_SIZE].split(b"\0")[0].decode() for n in range(count)]

    def put(self, counting, kind=KINDS_MAX, how=0, error=0, first=0, last=0, pid=0):
        """Fields are put one by one: a process may look at any time, and counting comes last."""
        struct.pack_into("=I", self.map, 0, 0)
        struct.pack_into("=IIIQQIII", self.map, 4, kind, how, error & 0xffffffff, first, last, pid, 0, 0)
        self.map[HEAD.size - 8 * KINDS_MAX:HEAD.size] = bytes(8 * KINDS_MAX)
        struct.pack_into("=I", self.map, 0, counting)

    def count(self):
        """From now on calls are counted, and none goes wrong."""
        self.put(1)

    def arm(self, fault, names, pid=0):
        how, error = HOWS.get(fault.what.split(":")[0], 0), 0
        if fault.what not in HOWS:
            name = fault.what.rpartition(":")[2]
            error = LMDB[name] if name in LMDB else getattr(errno, name)
        self.put(1, names.index(fault.kind), how, error, fault.nth, ALL if fault.all else fault.nth, pid)

    def disarm(self):
        struct.pack_into("=I", self.map, 0, 0)

    def counts(self):
        names = self.names()
        return dict(zip(names, self.read()[COUNTS]))

    @property
    def happened(self):
        return self.read()[HAPPENED]

    @property
    def live(self):
        """Pieces of memory that were taken and not given back, in all processes since their start."""
        return self.read()[LIVE]

    def set_clock(self, ahead):
        """The wall clock of the proxy, in seconds from the true one."""
        struct.pack_into("=q", self.map, 48 + 8 * (CLOCK - PROGRAM), ahead)

    def where(self):
        """Which functions of the program made the call that went wrong, the innermost first."""
        fields = self.read()
        base, frames = fields[PROGRAM], [at - fields[PROGRAM] for at in fields[FROM] if at]
        size = pathlib.Path(BINARY).stat().st_size
        inside = [hex(at - 1) for at in frames if 0 < at < 4 * size and base]
        if not inside:
            return "by a library alone"
        found = subprocess.run(["addr2line", "-fsi", "-e", BINARY, *inside], capture_output=True, text=True,
                               check=False).stdout.split("\n")
        names = [f"{name} ({line})" for name, line in zip(found[::2], found[1::2]) if name != "??"]
        return " < ".join(names[:9]) or "by a library alone"


def shim_is_built():
    return SHIM.exists()


__all__ = ["Fault", "Page", "ROOT", "shim_is_built"]
