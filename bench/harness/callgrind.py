"""What callgrind writes: instructions by function, with the library that a function without a name is of."""

import collections
import os
import re

NAMED = re.compile(r"^(c?ob|c?fn|c?f[lie])=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"^(?:[+-]?\d+|\*) (\d+)$")


def functions_of(lines):
    """{(object, file, function): instructions of its own} of one dump."""
    names = {"ob": {}, "fn": {}, "f": {}}  # of each kind by number; a name is written once
    at = {"ob": "", "fn": "", "fl": ""}
    costs = collections.Counter()
    called = False
    for line in lines:
        found = NAMED.match(line)
        if found:
            what, number, name = found.groups()
            kind = what.removeprefix("c")
            table = names["f" if kind in ("fl", "fi", "fe") else kind]
            if name is not None:
                table[number] = name
            if what in at:
                at[what] = table[number]
        elif line.startswith("calls="):
            called = True
        elif (cost := COST.match(line)) is not None:
            if not called:  # the line after a call is what the callee cost
                costs[at["ob"], at["fl"], at["fn"]] += int(cost[1])
            called = False
    return costs


def short(path):
    """A library without its place and version."""
    return re.sub(r"\.so[.\d]*$", "", os.path.basename(path))


def label(key, program):
    """How a function is named: ours by its file, another by its library."""
    path, file, function = key
    if short(path) == program:
        # a function that begins with an inlined one of a system header is told with that file
        place = re.search(r"(?:proxy|cache|conf)/.*$", file)
        return f"{place[0] if place else program}: {function}"
    if re.fullmatch(r"0x[0-9a-f]+", function):
        return f"{short(path)}: static function at {int(function, 16):#x}"
    return f"{short(path)}: {function}"


def by_label(costs, program):
    named = collections.Counter()
    for key, cost in costs.items():
        named[label(key, program)] += cost
    return named


def by_owner(labels):
    """Of each room and library the sum."""
    sums = collections.Counter()
    for name, cost in labels.items():
        place = name.partition(": ")[0]
        sums[os.path.dirname(place) or place] += cost
    return sums
