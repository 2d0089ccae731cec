"""What has to be on disk is, before what relies on it: each write, sync and rename of the store's files, in the
order in which they were made. A power failure may lose all that was not synced, and no test here can take it
away; so this looks at what was."""

import re

import pytest

from support.origin import respond
from support.power import power_fails
from support.proxy import Proxy
from support.until import until

FRESH = "Cache-Control: max-age=600"


class Log:
    """What was done, as (what, file, more); files by their names, the directory as "store"."""

    def __init__(self, path):
        self.path = path

    def done(self):
        """Since the last time."""
        found = []
        for line in self.path.read_text(errors="replace").splitlines():
            match = re.fullmatch(r"(write|sync|rename) (\S+) ?(.*)", line)
            if match:  # and no further line of a text
                found.append((match[1], match[2].rpartition("/")[2], match[3]))
        self.path.write_text("")
        return found


def where(done, *wanted):
    """Places of what begins so."""
    return [at for at, one in enumerate(done) if one[:len(wanted)] == wanted]


def synced_before(done, name, place):
    """Whether the last that was done to a file before a place was to sync it."""
    before = [what for what, file, _ in done[:place] if file == name and what != "rename"]
    return before[-1:] == ["sync"]


def states(done, clean):
    return [at for at in where(done, "write", "state") if f" clean {clean} " in done[at][2]]


@pytest.fixture
def logged(tmp_path, troubled_store):
    """A proxy that makes copies, and what it does."""
    log = Log(tmp_path / "log")
    proxy = Proxy(tmp_path / "proxy", "sync=50ms", start=False)
    proxy.environment = {"LD_PRELOAD": str(troubled_store), "TROUBLE_LOG": str(log.path)}
    yield proxy, log
    proxy.kill()
    proxy.remove()


def is_marked_in_use(done):
    """That it is in use is on disk, before anything is written that is not."""
    (marked,) = states(done, 0)
    assert synced_before(done, "state", len(done)) or states(done, 1)
    synced = where(done[marked:], "sync", "state")[0] + marked
    assert where(done[synced:], "sync", "store"), "the directory as well"
    assert not [at for at in where(done, "write", "data.mdb") if at < synced], "nothing is written before"


def test_a_life(logged, origin):
    proxy, log = logged
    origin.default = respond(204, FRESH)
    proxy.start()
    done = log.done()
    is_marked_in_use(done)
    assert where(done, "sync", "invalidations"), "epochs are not given out again"
    with proxy.connect() as client:
        assert client.get(origin.url()).stored
    copy = proxy.store / "data.mdb.copy"
    until(lambda: copy.exists() and origin.url().encode() in copy.read_bytes(), "it is copied", timeout=15)
    proxy.stop()
    done = log.done()
    renames = where(done, "rename", "data.mdb.copy.new")
    assert renames
    for at in renames:
        assert synced_before(done, "data.mdb.copy.new", at), "a copy is whole before it has its name"
        assert where(done[at:], "sync", "store"), "and its name is on disk"
    (closed,) = states(done, 1)
    assert synced_before(done, "data.mdb", closed), "the store is, before it counts as closed"
    assert synced_before(done, "clock", closed), "and its clock"
    assert synced_before(done, "state", len(done))


def test_a_copy_takes_its_place(logged, origin):
    proxy, log = logged
    test_a_life(logged, origin)
    proxy.start()
    proxy.kill()
    log.done()
    power_fails(proxy.store)
    proxy.start()
    assert "takes its place" in proxy.errors()
    done = log.done()
    (taken,) = where(done, "rename", "data.mdb.copy", "data.mdb")
    assert synced_before(done, "clock", taken), "that nothing of it is used unasked is on disk before it is there"
    assert where(done, "sync", "invalidations")
    is_marked_in_use(done)
