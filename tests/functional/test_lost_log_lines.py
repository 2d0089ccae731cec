"""Lines of the access log that cannot be written are counted, and their loss is told with path and cause."""

import os
import re
import resource
import shutil
import signal

import pytest

from support.until import until

pytestmark = pytest.mark.one_worker("each worker tells what it has lost")


def lost(proxy):
    """(lines, cause) of each line about lost lines, with the path."""
    return [(int(match[1]), match[2]) for match in re.finditer(
        rf"cache204: error: access_log: {re.escape(str(proxy.access_log))}: lines lost: (\d+): (.*)",
        proxy.errors())]


def ask(proxy, origin, times):
    with proxy.connect() as client:
        for _ in range(times):
            client.get(origin.url())


def test_full_disk(start_proxy, origin):
    proxy = start_proxy("access_log=/dev/full")
    proxy.access_log = "/dev/full"
    ask(proxy, origin, 1)
    until(lambda: lost(proxy), "the loss is not told")
    ask(proxy, origin, 300)
    until(lambda: proxy.stats()["counters"]["log_dropped"] >= 301, "not all are lost")
    assert lost(proxy) == [(1, "No space left on device")]  # once, not for each
    proxy.stop()


def test_file_size_limit(start_proxy, origin):
    """Another kind of failure; lines are written again when there is room."""
    proxy = start_proxy()
    ask(proxy, origin, 100)
    until(lambda: proxy.access_log.stat().st_size > 10000, "nothing is written")
    _, hard = resource.prlimit(proxy.worker, resource.RLIMIT_FSIZE)
    resource.prlimit(proxy.worker, resource.RLIMIT_FSIZE, (10000, hard))
    ask(proxy, origin, 3)
    until(lambda: lost(proxy), "the loss is not told")
    assert {why for _, why in lost(proxy)} == {"File too large"}
    resource.prlimit(proxy.worker, resource.RLIMIT_FSIZE, (hard, hard))
    ask(proxy, origin, 2)
    proxy.stop()
    dropped = sum(count for count, _ in lost(proxy))
    assert dropped > 0 and len(proxy.log_lines()) == 105 - dropped


def test_slow_reader(start_proxy, origin, tmp_path):
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    proxy = start_proxy(f"access_log={fifo}")
    proxy.access_log = fifo
    while not lost(proxy):
        ask(proxy, origin, 300)
    assert lost(proxy)[0][1] == "what reads it is too slow"
    os.close(reader)


def test_nothing_is_logged_when_nothing_is_lost(start_proxy, origin):
    proxy = start_proxy()
    ask(proxy, origin, 3)
    proxy.stop()
    assert "access_log" not in proxy.errors() and len(proxy.log_lines()) == 3


def test_log_that_cannot_be_opened_anew(start_proxy, origin, tmp_path):
    """After a rotation went wrong: the old file is written on, and the line has path, cause and user."""
    directory = tmp_path / "logs"
    directory.mkdir()
    path = directory / "access.log"
    proxy = start_proxy(f"access_log={path}")
    with open(path, encoding="utf-8") as old:
        shutil.rmtree(directory)
        os.kill(proxy.pid, signal.SIGUSR1)
        line = (f"cache204: error: access_log: {path}: cannot be reopened, the old file stays in use: "
                "No such file or directory (as user ")
        until(lambda: line in proxy.errors(), "it is not told")
        ask(proxy, origin, 2)
        proxy.stop()
        assert len(old.readlines()) == 2
