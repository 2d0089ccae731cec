#!/usr/bin/python3
"""Each promise of SECURITY.md names the tests that hold it, and these exist: files, test programs, targets of make."""

import pathlib
import re
import sys

DOCUMENT = pathlib.Path("SECURITY.md")


def section(text, title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]


def is_there(name, targets):
    if name.startswith("make "):
        return name.split()[1] in targets
    if "/" in name:
        return bool(list(pathlib.Path().glob(name))) or bool(list(pathlib.Path().glob(name + ".*")))
    return any(pathlib.Path("tests").glob(f"*/{name}.py")) or any(pathlib.Path("tests/unit").glob(f"*/{name}.c"))


def main():
    text = DOCUMENT.read_text()
    targets = set(re.findall(r"^([\w-]+):", pathlib.Path("Makefile").read_text(), re.M))
    promised = re.findall(r"^(\d+)\. ", section(text, "Promises"), re.M)
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", section(text, "How it is tested"), re.M))
    faults = [f"promise {number} has no tests" for number in promised if not re.search("`.*`", rows.get(number, ""))]
    faults += [f"there is no promise {number}" for number in rows if number not in promised]
    named = [(number, name) for number, row in rows.items() for name in re.findall(r"`([^`]+)`", row)]
    faults += [f"promise {number}: there is no {name}" for number, name in named if not is_there(name, targets)]
    for fault in faults:
        print(f"check-promises: {DOCUMENT}: {fault}")
    if not faults:
        print(f"check-promises: ok, {len(promised)} promises, {len(named)} tests of them")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
