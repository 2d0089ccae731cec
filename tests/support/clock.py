"""A wall clock of its own for a proxy, by libfaketime. Its monotonic clocks stay as they are."""

import glob
import subprocess
import time

from support.dates import dated
from support.origin import respond
from support.proxy import BINARY

HOUR, DAY = 3600, 86400
LIBRARY = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
SANITIZED = b"libasan" in subprocess.run(["ldd", BINARY], capture_output=True, check=False).stdout
MISSING = not LIBRARY or SANITIZED  # where it is not installed, or something else must be loaded first


class Clock:
    """The wall clock of one proxy, as seconds from the true time."""

    def __init__(self, path):
        self.path = path
        self.set(0)

    @property
    def environment(self):
        return {"LD_PRELOAD": LIBRARY[0], "FAKETIME_TIMESTAMP_FILE": str(self.path), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def set(self, offset):
        self.offset = offset
        new = self.path.with_suffix(".new")
        new.write_text(f"{offset:+d}")
        new.replace(self.path)  # at no moment is it empty

    def respond(self, status, *lines):
        """A response made at this clock's time."""
        now = time.time() + self.offset
        return respond(status, *[dated(line, now) for line in ("Date: {0}", *lines)], date=False)
