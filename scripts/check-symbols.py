#!/usr/bin/python3
"""Usage: scripts/check-symbols.py BUILD

No function hides state: what is static and changes stands before the functions of its file.

What is declared for others is used by others: for each function or datum that an object of the
program defines for all, another object of the program asks.  Else only its own file uses it, and it
is to be static; or only tests do, and it is to go.  What a file uses itself may be declared for its
unit test.  To be run when all objects of tests and benches are built.
"""

import glob
import os
import re
import sys

from objects import symbols

PROGRAM = ["proxy", "cache", "conf"]
OTHERS = ["tests", "bench"]

# A test needs these where the program ends with its process.
FOR_TESTS = {
    "holdings_count": "tests of all rooms ask whether all that was taken has been given back",
    "holdings_unmap": "a test process has more than one",
}


def uses_itself(source, name):
    """Whether a source has the name more than once, which is where it is defined."""
    with open(source, encoding="utf-8") as file:
        code = re.sub(r'/\*.*?\*/|"(\\.|[^"\\])*"', "", file.read(), flags=re.DOTALL)
    return len(re.findall(rf"\b{re.escape(name)}\b", code)) > 1


def hidden():
    """Statics within functions that are not constant."""
    for folder in PROGRAM:
        for source in sorted(glob.glob(f"{folder}/**/*.c", recursive=True)):
            with open(source, encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    if re.match(r"\s+static (?!const |inline )(?!.*\*const )", line):
                        yield f"{source}:{number}: a function hides state: {line.strip()}"


def main(build):
    program, others = symbols(build, PROGRAM), symbols(build, OTHERS)
    wanted = set().union(*(asked for _, asked in program.values()))
    tested = set().union(*(asked for _, asked in others.values())) if others else set()
    faults = list(hidden())
    for source, (defined, _) in sorted(program.items()):
        for name in sorted(defined - wanted - {"main"} - set(FOR_TESTS)):
            if re.match(r"_|asan\.|ubsan", name):
                continue
            if not uses_itself(source, name):
                faults.append(f"{source}: {name} is not used by the program")
            elif name not in tested:
                faults.append(f"{source}: {name} is used by its own file alone: make it static")
    faults += [f"{os.path.basename(sys.argv[0])}: {name}, of FOR_TESTS, is used by the program, or is gone"
               for name in sorted(FOR_TESTS)
               if name in wanted or not any(name in defined for defined, _ in program.values())]
    print("\n".join(faults) if faults else "check-symbols: ok")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
