#!/usr/bin/python3
"""Reads odd messages with our parser and with others: who reads them in two ways?

    compare.py VERDICTS SEED COUNT        cases of that seed
    compare.py VERDICTS SEED:INDEX        one of them, in full

What we take, another has to read the same way: same end, same content, same start line and fields; what we pass on
it has to take and read as we did.  A difference without a row in differences.py fails.  What we refuse and another
takes is counted by reason.
"""

import collections
import importlib.util
import pathlib
import shutil
import subprocess
import sys

import cases
import differences

HERE = pathlib.Path(__file__).parent
BATCH = 5000
SHOWN = 20
FRAMING = (b"content-length", b"transfer-encoding")


def parsed(line):
    """A verdict of a line as verdicts.c prints it."""
    word, *rest = line.split(" ")
    verdict = {"verdict": word, "fields": []}
    for part in rest:
        name, value = part.split("=", 1)
        if name == "field":
            verdict["fields"].append(tuple(map(bytes.fromhex, value.split(":"))))
        elif name in ("method", "target", "body", "sent"):
            verdict[name] = bytes.fromhex(value)
        else:
            verdict[name] = int(value) if value.isdigit() else value
    # What the framing fields say is compared by end and content.
    verdict["plain"] = [(name.lower(), value) for name, value in verdict["fields"] if name.lower() not in FRAMING]
    return verdict


def asked(command, messages):
    text = b"".join(b"%s %d\n%s" % (kind.encode(), len(message), message) for kind, message in messages)
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()


class H11:
    def __init__(self):
        import h11_reader
        self.reader, self.name = h11_reader, h11_reader.NAME

    def read(self, messages):
        return [parsed(self.reader.read(kind, message)) for kind, message in messages]


class Node:
    COMMAND = ["node", "--no-warnings", HERE / "node_reader.js"]

    def __init__(self):
        [self.name] = asked(self.COMMAND, [])

    def read(self, messages):
        return [parsed(line) for line in asked(self.COMMAND, messages)[1:]]


def others():
    """Those that are here; those that are not are named."""
    found = []
    for name, package, here, reader in (("h11", "python3-h11", importlib.util.find_spec("h11"), H11),
                                         ("Node", "nodejs", shutil.which("node"), Node)):
        if here:
            found.append(reader())
        else:
            print(f"differential: left out, {name} is not here (Debian: {package})")
    return found


def difference(ours, theirs):
    """None, or what `theirs` makes otherwise of what we take."""
    if theirs["verdict"] != "accept":
        return {"reject": "refused", "more": "unfinished"}[theirs["verdict"]]
    if ours["version"] != min(theirs["version"], 1):
        return "version"
    for what in ("end", "close", "method", "target", "status", "body", "plain"):
        if what in ours and ours[what] != theirs[what]:
            return what
    return "keep" if ours["keep"] and not theirs.get("keep", 1) else None


def sent_of(messages, ours):
    """What we pass on, with a message behind it, and how it has to be read."""
    for (kind, _), verdict in zip(messages, ours):
        if "sent" in verdict:
            wanted = {**verdict, "end": len(verdict["sent"]), "close": 0, "version": 1, "keep": 0}
            del wanted["plain"]
            wanted.pop("target", None)
            yield kind, verdict["sent"] + cases.NEXT[kind.split("-")[0]], wanted


class Comparison:
    def __init__(self, program):
        self.program = program
        self.others = others()
        self.explained, self.refused_here = collections.Counter(), collections.Counter()
        self.faults = []
        self.read = self.taken = self.passed_on = 0

    def compare_one(self, other, label, kind, message, ours, theirs):
        what = difference(ours, theirs)
        if what is None:
            return
        look = differences.Look(kind, message, ours, theirs)
        row = differences.explain(other.name.split()[0], what, look)
        if row:
            self.explained[row] += 1
        else:
            self.faults.append((other.name, what, label, look))

    def compare(self, labels, messages):
        ours = [parsed(line) for line in asked([self.program], messages)]
        sent = list(sent_of(messages, ours))
        self.read += len(messages)
        self.taken += sum(verdict["verdict"] == "accept" for verdict in ours)
        self.passed_on += len(sent)
        for other in self.others:
            for label, (kind, message), our, their in zip(labels, messages, ours, other.read(messages)):
                if our["verdict"] == "accept":
                    self.compare_one(other, label, kind, message, our, their)
                elif their["verdict"] == "accept":
                    self.refused_here[our.get("why", "unfinished"), other.name] += 1
            for (kind, message, wanted), their in zip(sent, other.read([(kind, message) for kind, message, _ in sent])):
                self.compare_one(other, "passed on", kind, message, wanted, their)

    def report(self):
        print(f"differential: {self.read:,} messages, {self.taken:,} taken, {self.passed_on:,} passed on, read by " +
              " and ".join(other.name for other in self.others))
        for row, count in self.explained.most_common():
            print(f"  {count:7,} {row.other}, {row.what} (RFC {row.section}): {row.reason}")
        for (why, other), count in self.refused_here.most_common():
            print(f"  {count:7,} refused here ({why}), taken by {other}")
        if self.read >= 50000 and len(self.others) == 2:
            for row in differences.ROWS:
                if row not in self.explained:
                    print(f"differential: no message met {row.other}, {row.what}: {row.reason}")
        for other, what, label, look in self.faults[:SHOWN]:
            there = {name: value for name, value in look.theirs.items() if value != look.ours.get(name)}
            here = {name: value for name, value in look.ours.items() if value != look.theirs.get(name)}
            print(f"differential: {other}: {what}, without a row in differences.py: case {label}, {look.kind}\n  {look.message}\n"
                  f"  here:  {here}\n  there: {there}")
        print(f"differential: {len(self.faults)} differences without a reason")


def main():
    program, seed = sys.argv[1:3]
    comparison = Comparison(program)
    if not comparison.others:
        return 0
    seed, _, one = seed.partition(":")
    indices = [int(one)] if one else range(int(sys.argv[3]))
    for first in range(0, len(indices), BATCH):
        batch = indices[first:first + BATCH]
        messages = [cases.case(seed, index) for index in batch]
        if one:
            print(*messages[0])
        comparison.compare([f"{seed}:{index}" for index in batch], messages)
    comparison.report()
    return 1 if comparison.faults else 0


if __name__ == "__main__":
    sys.exit(main())
