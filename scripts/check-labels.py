#!/usr/bin/python3
"""Usage: scripts/check-labels.py

Each label that a comment, a test or SECURITY.md names (HAZARDS A3, RULES 10) has its entry in proxy/HAZARDS.md or
cache/RULES.md, and no entry of a hazard is there that nothing names.
"""

import os
import re
import sys

LABEL = r"[A-Z]\d+(?:\.\d+)?"
NAMED = re.compile(rf"HAZARDS((?:[\s*#/,]|and|to|-|(?:{LABEL})(?!\w))+)")
RULE = re.compile(r"RULES[\s*]+(\d+)\b")


def labels_of(text):
    """All labels of one mention: "A3, A4 and C1 to C3"."""
    for first, last in re.findall(rf"({LABEL})(?:(?:\s+to\s+|-)({LABEL}))?", text):
        yield first
        if last:
            yield from (f"{first[0]}{n}" for n in range(int(first[1:]) + 1, int(last[1:]) + 1))


def main():
    with open("proxy/HAZARDS.md", encoding="utf-8") as file:
        hazards = set(re.findall(rf"^\| ({LABEL}) \|", file.read(), re.M))
    with open("cache/RULES.md", encoding="utf-8") as file:
        rules = set(re.findall(r"^(\d+)\. \*\*", file.read(), re.M))
    files = sorted(os.path.join(folder, name) for top in ("proxy", "cache", "conf", "tests", "bench")
                   for folder, _, names in os.walk(top) for name in names
                   if name.endswith((".c", ".h", ".def", ".py")))
    faults, named = [], set()
    for path in files:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for match in NAMED.finditer(text):
            named |= set(labels_of(match[1]))
            faults += [f"{path}: HAZARDS {label} has no entry" for label in labels_of(match[1])
                       if label not in hazards]
        faults += [f"{path}: RULES {rule} has no entry" for rule in RULE.findall(text) if rule not in rules]
    with open("SECURITY.md", encoding="utf-8") as file:
        promised = re.findall(rf"(?<![\w.])({LABEL})(?![\w.]*\w)", file.read())
    faults += [f"SECURITY.md: {label} has no entry" for label in promised if label not in hazards]
    faults += [f"proxy/HAZARDS.md: nothing names {label}" for label in sorted(hazards - named)]
    print("\n".join(faults) if faults else "check-labels: ok")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
