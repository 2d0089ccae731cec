#!/usr/bin/python3
"""Usage: scripts/check-layers.py BUILD ROOM...

Proves the order of the house from its includes and its objects. The rooms come from the outermost to the
innermost (ROOMS in the Makefile). A file includes files of its own room and of the rooms after it, but
for the pairs below; no files include each other in a circle; each library is included by its home files
only; and no object of a pure room calls, by whatever way, a function that does I/O, reads a clock or
writes to the log.
"""

import glob
import os
import re
import sys

from objects import symbols

# Rooms that do not know each other, in either direction.
STRANGERS = [("proxy/front", "proxy/client"), ("cache/store", "cache/record"),
             ("cache/store", "cache/policy"), ("cache/store", "cache/http")]

# Rooms that know these others alone: a subcommand talks to a running proxy, and has no part of one.
ALONE = {"proxy/cli": ["proxy/base", "cache/base", "conf"]}

# What is included by these rooms and files alone.
KEPT = {
    "proxy/loop/env.h": ["proxy/process", "proxy/front", "proxy/client"],
    "http_parser.h": ["proxy/http1/parse_head.c"],
    "ev.h": ["proxy/loop/deadline.h", "proxy/loop/conn.c", "proxy/client/acceptor.c", "proxy/dns/resolver.c",
             "proxy/process/worker.c"],
    "ares.h": ["proxy/dns/dns_channel.c"],
    "jansson.h": ["proxy/cli/json.c"],
    "openssl/*": ["proxy/loop/tls.c", "proxy/loop/tls_state.h", "proxy/loop/tls_server.c", "proxy/loop/tls_tickets.c",
                  "proxy/page/page.c"],
    "lmdb.h": ["cache/store/lmdb.c", "cache/store/lmdb_copy.c"],
    "xxhash.h": ["cache/base/key.c", "cache/record/vary.c", "cache/record/record.c", "proxy/limits/budgets.c",
                 "proxy/access/credentials.c", "proxy/http1/parse_memo.c", "proxy/http1/response_memo.c"],
    "crypt.h": ["proxy/access/credentials.c"],
    "confuse.h": ["conf/load.c"],
    "uthash.h": ["cache/base/table.h"],
}

# Rooms of rules: what they return depends on what they are given.
PURE = ["proxy/access", "proxy/http1", "cache/record", "cache/policy", "cache/http", "cache/base"]

# What a pure object may call of libraries: bytes, memory, text, hashes, and what compilers add.
PURE_CALLS = re.compile(r"(__)?(mem\w*|str\w*|v?snprintf|[mc]alloc|realloc(array)?|free|qsort|abort|inet_[np]to[np]|crypt_rn|crypt_checksalt|explicit_bzero)(_chk)?"
                        r"|XXH\w+|http_parser_\w+|http_method_str|__stack_chk_fail|__assert_fail|__(asan|ubsan|gcov)_\w+"
                        r"|_GLOBAL_OFFSET_TABLE_|__popcountdi2")

# Bytes that are taken back are read by functions that know when (cache/base/view.h).
LENT = re.compile(r"(record|old|view)(->|\.)(meta|vary|head_304|head_rest|etag|last_modified|bytes)\b")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)')
MAIN = "proxy/main.c"


def included(path):
    """The files of this project and the headers of others that a file includes, with line numbers."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = INCLUDE.match(line)
            if match:
                yield number, match[1] or match[2]


def stem(path):
    """A source and its header are one: they know each other."""
    return os.path.splitext(path)[0]


def circles(edges):
    """The sets of more than one file that reach each other (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def order_faults(path, rooms):
    """What a file includes that it must not know."""
    room = os.path.dirname(path)
    for number, name in included(path):
        other = os.path.dirname(name)
        for kept, homes in KEPT.items():
            if name == kept or kept.endswith("*") and name.startswith(kept[:-1]):
                if path not in homes and room not in homes and path != MAIN:
                    yield f"{path}:{number}: {name} is for {', '.join(homes)}"
        if other.split("/")[0] not in ("proxy", "cache", "conf", "tests", "bench"):
            continue
        if other not in rooms:
            yield f"{path}:{number}: {name} is in no room"
        elif path != MAIN and rooms.index(other) < rooms.index(room):
            yield f"{path}:{number}: {room} is below {other}"
        elif room != other and other not in ALONE.get(room, rooms):
            yield f"{path}:{number}: {room} does not know {other}"
        elif (room, other) in STRANGERS or (other, room) in STRANGERS:
            yield f"{path}:{number}: {room} and {other} do not know each other"


def lent_faults(path):
    """Bytes of a record that are read past the functions of record.h."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if path.startswith("proxy/") and LENT.search(line):
                yield f"{path}:{number}: a record is read by the functions of cache/record/record.h"


def impure_faults(build):
    """Objects of pure rooms that call what is not pure, themselves or by way of others."""
    table = symbols(build, ["proxy", "cache", "conf"])
    owner = {name: path for path, (defined, _) in table.items() for name in defined}
    why = {path: name for path, (_, wanted) in table.items() for name in sorted(wanted)
           if name not in owner and not PURE_CALLS.fullmatch(name)}
    spreading = True
    while spreading:
        spreading = {path: f"{name} ({why[owner[name]]})" for path, (_, wanted) in table.items() if path not in why
                     for name in sorted(wanted) if owner.get(name) in why}
        why.update(spreading)
    for source, name in sorted(why.items()):
        if os.path.dirname(source) in PURE:
            yield f"{source}: calls {name}, and is to be pure"


def main(build, *rooms):
    files = [MAIN] + sorted(file for room in rooms for file in glob.glob(f"{room}/*.[ch]"))
    faults = [fault for file in files for fault in (*order_faults(file, rooms), *lent_faults(file))]
    edges = {stem(file): set() for file in files}
    for file in files:
        edges[stem(file)] |= {stem(name) for _, name in included(file) if stem(name) in edges} - {stem(file)}
    faults += [f"a circle of {len(ring)} files: {' '.join(ring)}" for ring in circles(edges)]
    faults += impure_faults(build)
    print("\n".join(faults) if faults else "check-layers: ok")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
