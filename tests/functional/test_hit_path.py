"""A hit asks the kernel to wait, receive and send, and for nothing else; and allocates nothing."""

import collections
import mmap
import pathlib
import re
import shutil
import struct
import subprocess
import time

import pytest
from support.origin import respond
from support.proxy import BINARY, PRELOAD, Proxy

WARM = 20
HITS = 500
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
    assert set(names) <= {"epoll_wait", "recvfrom", "sendto"}, names


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
