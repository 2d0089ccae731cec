"""Whether processes have ended. One whose end was not waited for is still in /proc, as "Z": where the
first process of a system does not do that, in a container, for ever."""

from support.until import until


def state(pid):
    """One letter as in proc(5), "Z" for one that has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def is_running(pid):
    return state(pid) != "Z"


def until_ended(pids, timeout=15):
    until(lambda: not any(map(is_running, pids)), f"{pids} have ended", timeout=timeout)
