#!/usr/bin/env python3
"""Usage: report.py [-v]

Which requirement of the RFCs (requirements.txt) is proved by which test, read from the tests themselves:
titles of tests/vectors/ and names in tests/functional/ (support/requirement.py). Prints a line for each
requirement, with -v one for each test. Exit status 1 when a requirement has neither test nor reason, or
when a test names one that is not listed.
"""

import ast
import collections
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
LEVEL = r"(?:MUST NOT|MUST|SHOULD NOT|SHOULD|MAY|DEF|OWN)"
NAME = re.compile(rf"RFC \d+ [\d.]+ {LEVEL}(?: [a-z-]+)?")
TITLE = re.compile(rf"# ((?:RFC \d+|Fetch) [\d.]+ {LEVEL}(?: [a-z-]+)?): ")
OPTIONAL = re.compile(r".* (MAY|OWN)( [a-z-]+)?")  # need not be listed


def requirements(path):
    """Name to (what, reason or None), in the order of the file; and what is wrong with it."""
    found, faults = {}, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, *rest = line.split(" | ")
        reason = rest[1][5:] if len(rest) == 2 and rest[1].startswith("n/a: ") else None
        if not NAME.fullmatch(name) or len(rest) not in (1, 2) or (len(rest) == 2 and not reason):
            faults.append(f"{path.name}:{number}: not understood: {line}")
        elif name in found:
            faults.append(f"{path.name}:{number}: again: {name}")
        else:
            found[name] = (rest[0], reason)
    return found, faults


def of_vectors():
    """(name, place) of each case."""
    for path in sorted((TESTS / "vectors").rglob("*.txt")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if match := TITLE.match(line):
                yield match[1], f"{path.relative_to(TESTS)}:{number}"


def of_functional_tests():
    """(name, place) of each name that stands in a test or in a table of cases."""
    for path in sorted((TESTS / "functional").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(), path.name)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
                yield node.value, f"{path.relative_to(TESTS)}:{node.lineno}"


def main():
    wanted, faults = requirements(pathlib.Path(__file__).with_name("requirements.txt"))
    proofs = collections.defaultdict(list)
    for name, place in [*of_vectors(), *of_functional_tests()]:
        proofs[name].append(place)
    faults += [f"{place}: names {name}, which requirements.txt does not have"
               for name, places in proofs.items() if name not in wanted and not OPTIONAL.fullmatch(name)
               for place in places]
    for name, (what, reason) in wanted.items():
        places = proofs[name]
        print(f"{name:<33} {len(places):>4} " + (f"n/a: {reason}" if reason else what))
        if "-v" in sys.argv[1:]:
            print(*[f"{'':<38} {place}" for place in places], sep="\n")
        if reason and places:
            faults.append(f"{name}: does not apply, but {places[0]} proves it")
        elif not reason and not places:
            faults.append(f"{name}: no test proves it: {what}")
    count = collections.Counter("n/a" if reason else "proved" if proofs[name] else "open"
                                for name, (_, reason) in wanted.items())
    cases = sum(map(len, proofs.values()))
    own = sum(len(places) for name, places in proofs.items() if name not in wanted)
    print(f"\nconformance: {len(wanted)} requirements: {count['proved']} proved, {count['n/a']} that do not apply, "
          f"{count['open']} open; {cases} tests name a section, {own} of them a choice of our own")
    for fault in faults:
        print(f"conformance: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
