"""A hit asks the kernel to wait, receive and send, and for nothing else; and allocates nothing."""

import collections
import mmap
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest
from support.origin import respond
from support.proxy import BINARY, PRELOAD, Proxy
from support.rawclient import request_bytes

WARM = 20
HITS = 500
ALONE = 40
COUNTER = r"""
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static unsigned long spare, *count = &spare;
__attribute__((constructor)) static void begin(void)
{
	int fd = open(getenv("ALLOCATIONS"), O_RDWR);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		count = page;
	close(fd);
}
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *malloc(size_t n) { ++*count; return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { ++*count; return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { ++*count; return __libc_realloc(p, n); }
"""


@pytest.fixture
def wrapped(tmp_path):
    """A proxy without logs and timers of note, to be started under a wrapper."""
    proxy = Proxy(tmp_path / "proxy", "access_log=", "store_interval=0", start=False)
    yield proxy
    proxy.kill()


def skip_if_sanitized():
    if PRELOAD:
        pytest.skip("what is preloaded makes calls of its own")
    if b"__asan_init" in pathlib.Path(BINARY).read_bytes():
        pytest.skip("a sanitized build has an allocator and system calls of its own")


def wait_for_end(trace):
    """strace writes the last line after the process has ended."""
    deadline = time.monotonic() + 10
    while "+++ exited" not in trace.read_text(errors="replace")[-200:]:
        assert time.monotonic() < deadline, "strace did not end"
        time.sleep(0.01)


def calls_of_hits(names):
    """Without what a worker asks about itself a few times a second, whatever the traffic."""
    return {name for name, count in names.items() if count > HITS / 50}


def ask(client, origin, count, *fields):
    """So many hits, one after the other; the first one of all is a miss."""
    for _ in range(count):
        answer = client.get(origin.url("/hit"), *fields)
    return answer


@pytest.mark.parametrize("condition", [[], ['If-None-Match: "a"']], ids=["204", "304"])
def test_system_calls_of_a_hit(wrapped, origin, tmp_path, condition):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    skip_if_sanitized()
    trace = tmp_path / "trace"
    # -D: the proxy is our child and strace watches from aside, so that both end when it does
    wrapped.wrapper = ["strace", "-D", "-f", "-q", "-o", str(trace)]
    origin.on("/hit", respond(204, "Cache-Control: max-age=600", 'ETag: "a"'))
    wrapped.start()
    with wrapped.connect() as client:
        ask(client, origin, WARM, *condition)
        client.get(origin.url("/hit?mark"))
        answer = ask(client, origin, HITS, *condition)
        assert answer.hit
        client.get(origin.url("/hit?mark"))
    wrapped.stop()
    wait_for_end(trace)
    calls = trace.read_text(errors="replace").split("/hit?mark")
    between = calls[-2] if len(calls) > 2 else ""
    # what the first mark's own miss does ends with its answer: count from the first hit on
    between = between[between.index('"GET http://127.0.0.1'):]
    names = collections.Counter(re.findall(r"^\d+ +(\w+)\(", between, re.M))
    assert names["sendto"] >= HITS - 1, names
    assert calls_of_hits(names) == {"epoll_wait", "recvfrom", "sendto"}, names


def ask_alone(proxy, origin, path="/hit"):
    """On a connection of its own, of which all is there when the worker sees it."""
    os.kill(proxy.worker, signal.SIGSTOP)
    with proxy.connect() as client:
        client.send(request_bytes("GET", origin.url(path), "Connection: close"))
        os.kill(proxy.worker, signal.SIGCONT)
        answer = client.response()
        assert client.end() == "fin"
    return answer


@pytest.mark.one_worker("the calls of one worker are counted")
def test_system_calls_of_a_hit_on_a_connection_of_its_own(wrapped, origin, tmp_path):
    """Accept, receive, send, end, close; and one more accept in each few, which finds no other."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    skip_if_sanitized()
    trace = tmp_path / "trace"
    wrapped.wrapper = ["strace", "-D", "-f", "-q", "-s", "200", "-o", str(trace)]
    origin.on("/hit", respond(204, "Cache-Control: max-age=600"))
    wrapped.start()
    worker = wrapped.worker
    for _ in range(WARM):
        ask_alone(wrapped, origin)
    ask_alone(wrapped, origin, "/hit?mark")
    for _ in range(ALONE):
        assert ask_alone(wrapped, origin).hit
    ask_alone(wrapped, origin, "/hit?mark")
    wrapped.stop()
    wait_for_end(trace)
    lines = [line.split(maxsplit=1)[1] for line in trace.read_text(errors="replace").splitlines()
             if line.startswith(f"{worker} ")]
    marks = [n for n, line in enumerate(lines) if "/hit?mark" in line and "recvfrom" in line]
    hits = [n for n, line in enumerate(lines) if '/hit HTTP' in line and n > marks[-2]]
    calls = (re.match(r"\w+(?=\()", line) for line in lines[hits[0] + 1:hits[-1] + 1])
    names = collections.Counter(call[0] for call in calls if call)
    names.pop("restart_syscall", None)
    rare = {name for name in names if names[name] <= ALONE // 4} - {"epoll_ctl", "setsockopt"}
    assert set(names) - rare <= {"epoll_wait", "accept4", "recvfrom", "sendto", "shutdown", "close"}, names
    assert names["recvfrom"] == names["sendto"] == names["shutdown"] == names["close"] == ALONE - 1, names
    assert names["accept4"] <= 1.3 * ALONE, names
    sent = [line for line in lines[hits[0]:hits[-1]] if line.startswith("sendto")]
    assert all("MSG_MORE" in line for line in sent), sent  # the FIN is in the answer's packet


@pytest.mark.parametrize("condition", [[], ['If-None-Match: "a"']], ids=["204", "304"])
def test_allocations_of_a_hit(wrapped, origin, tmp_path, condition):
    skip_if_sanitized()
    source, library, page = (tmp_path / name for name in ("count.c", "count.so", "page"))
    source.write_text(COUNTER)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    page.write_bytes(bytes(mmap.PAGESIZE))
    wrapped.environment = {"LD_PRELOAD": str(library), "ALLOCATIONS": str(page)}
    origin.on("/hit", respond(204, "Cache-Control: max-age=600", 'ETag: "a"'))
    wrapped.start()

    def allocations():
        return struct.unpack_from("L", page.read_bytes())[0]

    assert allocations() > 0  # it counts
    with wrapped.connect() as client:
        ask(client, origin, WARM, *condition)
        rounds = []
        for _ in range(3):
            before = allocations()
            assert ask(client, origin, HITS, *condition).hit
            rounds.append(allocations() - before)
        # the proxy's housekeeping, a few times a second, may allocate beside the hits
        assert min(rounds) == 0 and max(rounds) < 10, rounds
