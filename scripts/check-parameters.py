#!/usr/bin/python3
"""Usage: scripts/check-parameters.py MOST FILE...

No function has more parameters than MOST: what belongs together is a structure.  A parameter that is the size of
the one before it is one that a type would carry.
"""

import re
import sys

# a declaration or definition at the left margin, up to its parameters
FUNCTION = re.compile(r"^(?!typedef)[A-Za-z_][\w \t\n*]*?\b(\w+)\(((?:[^;{}()]|\([^()]*\))*)\)"
                      r"\s*(?:__attribute__\(\([^;{]*\)\)\s*)?[;{]", re.M)


def functions(path):
    """Name, line and parameters of each function of a file."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    # comments and what is for the preprocessor are blanked out: lines stay where they are
    text = re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.S)
    text = re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.M)
    for match in FUNCTION.finditer(text):
        inner = re.sub(r"\([^()]*\)", "", match[2])
        yield match[1], text.count("\n", 0, match.start(1)) + 1, [one.strip() for one in inner.split(",")]


def main(most, *paths):
    count = faults = 0
    for path in paths:
        for name, line, parameters in functions(path):
            count += 1
            if len(parameters) > int(most):
                faults += 1
                print(f"{path}:{line}: {name}() has {len(parameters)} parameters: a structure")
            for one in parameters:
                if re.search(r"\b(error|notice|why)_size$", one):
                    faults += 1
                    print(f"{path}:{line}: {name}() has {one}: struct diagnostic")
    if faults == 0:
        print(f"check-parameters: ok, {count} functions")
    return 1 if faults or not count else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
