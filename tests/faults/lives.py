"""What becomes of the processes themselves when calls go wrong: start, reload, upgrade, a worker's death, the end."""

import json
import os
import signal
import time

from support.http1 import Closed
from support.processes import until_ended
from support.until import until
from traffic import Wrong

UNHEARD = (Closed, ConnectionError, ValueError, KeyError)
TROUBLE = 2.0  # seconds that a lasting one lasts
LONG = 20.0  # seconds for the slowest of them: a worker that hangs at its start is given up after some


def by_itself(code):
    """Whether a process ended by its own will."""
    return code is not None and 0 <= code < 128


def begin(bench, fault):
    """It starts, or says why not and ends."""
    proxy = bench.proxy
    bench.stats = None
    arm(bench, fault)
    try:
        proxy.start()
    except AssertionError as error:
        code = proxy.process.wait(LONG)
        if code == -signal.SIGKILL:
            raise Wrong(f"neither starts nor ends: {error}") from error
        if not by_itself(code) or code == 0:
            raise Wrong(f"exit {code}: {error}") from error
        said = proxy.errors()
        if not said.strip():
            raise Wrong(f"exit {code} without a word") from error
        return
    finally:
        disarm(bench)
    bench.workers = proxy.workers()
    until_workers(bench)
    bench.served()
    finish(bench, armed=False)


def reload(bench, fault, what="reload"):
    """It succeeds, or says why not and all is as before. Trouble that lasts is over after a while: what is tried
    again and again is tried until then."""
    proxy = bench.proxy
    arm(bench, fault)
    try:
        asked = json.loads(patient(lambda: proxy.admin(f"/{what}", "POST")).body)["asked"]
        deadline = time.monotonic() + (TROUBLE if fault and fault.all else LONG)
        while result(bench, what)["answered"] < asked and time.monotonic() < deadline:
            time.sleep(0.01)
    except UNHEARD:
        pass  # the fault was for the operator's question
    finally:
        disarm(bench)
    until_workers(bench)
    answer = result(bench, what)
    if answer["answered"] < answer["asked"]:
        raise Wrong(f"the {what} does not end")
    if not answer["ok"] and not answer["errors"]:
        raise Wrong(f"a {what} failed without a word")
    bench.served()


def upgrade(bench, fault):
    reload(bench, fault, "upgrade")


def result(bench, what):
    return json.loads(patient(lambda: bench.proxy.admin(f"/{what}")).body)


def patient(ask):
    for _ in range(3):
        try:
            return ask()
        except UNHEARD:
            continue
    return ask()


def respawn(bench, fault):
    """A worker dies, another takes its place."""
    before = bench.proxy.workers()
    arm(bench, fault)
    try:
        os.kill(min(before), signal.SIGKILL)
        until_ended([min(before)])
        until(lambda: fault and fault.all and bench.page.happened or bench.proxy.workers() != before and
              len(bench.proxy.workers()) == len(before), "as many workers as before", timeout=LONG)
    finally:
        disarm(bench)
    until_workers(bench)
    bench.served()


def finish(bench, fault=None, armed=True):
    """It ends by itself, and all its processes."""
    proxy = bench.proxy
    workers = proxy.workers()
    if armed:
        arm(bench, fault)
    try:
        proxy.terminate()
        code = proxy.process.wait(LONG)
    finally:
        if armed:
            disarm(bench)
    if not by_itself(code):
        raise Wrong(f"exit {code} at SIGTERM: {proxy.errors()[-1500:]}")
    until_ended(workers)
    proxy.check_errors()


def end(bench, fault):
    """A start, and an end with the fault in it."""
    bench.stats = None
    bench.proxy.start()
    bench.workers = bench.proxy.workers()
    bench.served()
    finish(bench, fault)


def arm(bench, fault):
    if fault is None:
        bench.page.count()
    else:
        bench.page.arm(fault, bench.kinds)


def disarm(bench):
    bench.happened = bench.page.happened
    bench.page.disarm()


def is_answered(bench):
    """No reload and no upgrade is under way."""
    return all(told["answered"] >= told["asked"] for told in (result(bench, what) for what in ("reload", "upgrade")))


def until_workers(bench):
    """Until there are as many as there should be, and all of them serve."""
    def told():
        try:
            stats = bench.proxy.stats()
        except (*UNHEARD, AssertionError):
            return None
        named = {w["pid"] for w in stats["process"]["workers"]}
        return len(named) == bench.count and named == bench.proxy.workers() and is_answered(bench)
    until(told, f"{bench.count} workers serve", timeout=LONG)
    bench.workers = bench.proxy.workers()
    bench.stats = None
    bench.each_serves()


LIVES = {life.__name__: life for life in (begin, reload, upgrade, respawn, end)}
FROM_NOTHING = ("begin", "end")  # the proxy does not run before, nor after
