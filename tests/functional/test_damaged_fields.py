"""Each field of each kind of page of the store's file, of its heads, and of the files beside it, is spoiled in
turn: seen at the opening, or by a disk that tells nobody. No answer is wrong, and no worker dies again and
again (HAZARDS S3)."""

import contextlib
import os
import random
import struct

import pytest

from support.http1 import Closed
from support.origin import Origin, respond
from support.proxy import SANITIZED, Proxy
from support.rawclient import request_bytes

SEED = int(os.environ.get("DAMAGE_SEED", "0")) or 20260204
PAGE = 4096
COUNT = 400  # URIs, so that the tree has branches
FIELDS = ["Cache-Control: max-age=600", 'Cache-Groups: "a", "b"']
LARGE = "X-Large: " + "a" * 6000  # for pages of its own
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
KINDS = {"branch": BRANCH, "leaf": LEAF, "overflow": OVERFLOW, "meta": META}
DEATHS = 2  # of a worker, by a damage that nothing told of: it dies, and the store is begun anew

# Offset and size of what LMDB 0.9 has in a page, and in a meta page behind that.
HEADER = {"number": (0, 8), "pad": (8, 2), "flags": (10, 2), "lower": (12, 2), "upper": (14, 2), "pointer": (16, 2)}
DATABASE = {"pad": (0, 4), "flags": (4, 2), "depth": (6, 2), "branches": (8, 8), "leaves": (16, 8),
            "overflows": (24, 8), "entries": (32, 8), "root": (40, 8)}
META_FIELDS = {"magic": (16, 4), "version": (20, 4), "address": (24, 8), "mapsize": (32, 8), "last": (136, 8),
               "transaction": (144, 8)}
META_FIELDS |= {f"free.{name}": (40 + at, size) for name, (at, size) in DATABASE.items()}
META_FIELDS |= {f"main.{name}": (88 + at, size) for name, (at, size) in DATABASE.items()}
NODE = {"low": (0, 2), "high": (2, 2), "flags": (4, 2), "key size": (6, 2), "key": (8, 8), "value": (24, 8)}
MAPS = ["visited", "clock", "noted", "invalidations"]
MAP_FIELDS = {"magic": (0, 8), "size": (8, 8), "version": (16, 4), "first": (64, 8), "middle": (None, 8),
              "last": (-8, 8)}

pytestmark = [pytest.mark.long, pytest.mark.one_worker("damage is found by whoever opens the store")]


class Store:
    """A store that was closed, and its files, which each case spoils anew."""

    def __init__(self, proxy, origin):
        self.proxy, self.origin = proxy, origin
        for n in range(COUNT):
            origin.on(f"/{n}", respond(204, *FIELDS, f"X-Target: /{n}", *([LARGE] if n % 20 == 0 else [])))
        self.ask()
        proxy.stop()
        self.files = {path.name: path.read_bytes() for path in proxy.store.iterdir()}

    def pages(self, kind):
        data = self.files["data.mdb"]
        return [at for at in range(0, len(data), PAGE)
                if struct.unpack_from("=Q", data, at)[0] == at // PAGE
                and struct.unpack_from("=H", data, at + 10)[0] & 15 == KINDS[kind]]

    def spoil(self, name, at, size, rng):
        """Write the files as they were, but these bytes of one."""
        for file in self.proxy.store.iterdir():
            if file.name not in self.files:
                file.unlink()
        for other, data in self.files.items():
            path = self.proxy.store / other
            if other == name:
                new = rng.choice([bytes(size), b"\xff" * size, rng.randbytes(size),
                                  bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:at + size]])
                data = data[:at] + new + data[at + size:]
            if path.read_bytes() != data:
                path.write_bytes(data)

    def tell_nobody(self):
        """Let the state say that the file is as it was left: its disk has spoiled it."""
        look = (self.proxy.store / "data.mdb").stat()
        words = self.files["state"].decode().split()
        at = words.index("data")
        words[at + 1:at + 4] = map(str, (look.st_ino, look.st_size, look.st_ctime_ns))
        (self.proxy.store / "state").write_text(" ".join(words) + "\n")

    def ask(self):
        """All URIs, of which each answer names its own; whoever is cut off asks again."""
        pending, cut = list(range(COUNT)), 0
        while pending:
            try:
                with self.proxy.connect() as client:
                    client.send(b"".join(request_bytes("GET", self.origin.url(f"/{n}")) for n in pending[:50]))
                    for n in pending[:50]:
                        answer = client.response()
                        assert (answer.status, answer["X-Target"]) == (204, f"/{n}"), answer
                        pending.remove(n)
            except (OSError, Closed) as error:
                cut += 1
                assert cut < 20, error

    def change(self):
        """A worker may die of it."""
        with contextlib.suppress(OSError, Closed), self.proxy.connect() as client:
            client.ask("POST", self.origin.url("/0"))
            client.ask("DELETE", self.origin.url("/1"))
        with contextlib.suppress(OSError, Closed):
            self.proxy.admin("/purge?group=a&uri=" + self.origin.url("/"), "POST")

    def used(self, deaths):
        """With this damage."""
        proxy = self.proxy
        proxy.error_log.unlink(missing_ok=True)
        proxy.start()
        try:
            self.ask()
            self.change()
            self.ask()
            assert proxy.is_alive()
        finally:
            died = proxy.errors().count(" died of signal ")
            proxy.kill()
        assert died <= deaths, proxy.errors()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    origin = Origin()
    proxy = Proxy(tmp_path_factory.mktemp("damaged"), "store_size=2MiB")
    yield Store(proxy, origin)
    proxy.kill()
    origin.close()


def cases():
    """File, kind of page, field."""
    for kind in KINDS:
        fields = META_FIELDS if kind == "meta" else HEADER | NODE
        yield from (("data.mdb", kind, field) for field in fields)
    for name in MAPS:
        yield from ((name, "map", field) for field in MAP_FIELDS)
    yield from (("state", "text", field) for field in ("first", "middle", "last"))


CASES = list(cases())


def place(store, name, kind, field, rng):
    """Where that is, in one of its pages, and how long."""
    if kind == "meta":
        at, size = META_FIELDS[field]
        return rng.choice(store.pages(kind)) + at, size
    if kind in KINDS:
        page = rng.choice(store.pages(kind))
        if field in HEADER:
            at, size = HEADER[field]
            return page + at, size
        at, size = NODE[field]
        data = store.files["data.mdb"]
        node = struct.unpack_from("=H", data, page + 16)[0] if kind != "overflow" else rng.randrange(16, PAGE - 64)
        return page + node + at, size
    length = len(store.files[name])
    at, size = MAP_FIELDS[field]
    return {"middle": length // 2 // 8 * 8, "last": length - 8}.get(field, at), size


@pytest.mark.parametrize("case", [case for case in CASES if case[1] in ("meta", "map", "text")], ids="-".join)
def test_seen_at_the_opening(store, case):
    rng = random.Random(f"{SEED} {case}")
    store.spoil(case[0], *place(store, *case, rng), rng)
    store.used(deaths=0)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer ends a worker by itself")
@pytest.mark.parametrize("case", [case for case in CASES if case[0] == "data.mdb"], ids="-".join)
def test_nothing_tells_of_it(store, case):
    rng = random.Random(f"{SEED} {case}")
    store.spoil(case[0], *place(store, *case, rng), rng)
    store.tell_nobody()
    store.used(deaths=DEATHS)
