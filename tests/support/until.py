"""Waiting for what no event tells: asked again and again, within a deadline."""

import time

WAIT = 5.0
CLOCK_REALTIME_COARSE = 5  # of Linux: the time of the last tick, which files get


def until(condition, what, timeout=WAIT):
    """Until condition() is true; returns its value. The first time it is asked at once."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"it did not come to this: {what}"
        time.sleep(0.002)
    return value


def steady(read):
    """What read() gives three times in a row: what a worker has sent is counted just after it has arrived."""
    found = [read()]

    def same():
        found.append(read())
        return found[-3:] == [found[-1]] * 3
    until(same, "the numbers stand still")
    return found[-1]


def until_waiting(proxy, n):
    """Until n exchanges are under way."""
    until(lambda: proxy.stats()["gauges"]["exchanges"] >= n, f"{n} exchanges under way")


def settle(path):
    """Until the kernel's clock has gone on since a file changed: the next change shows in its ctime."""
    changed = path.stat().st_ctime_ns
    until(lambda: time.clock_gettime_ns(CLOCK_REALTIME_COARSE) > changed, "the clock goes on")
