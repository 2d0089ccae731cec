#!/usr/bin/python3
"""Usage: scripts/files.py ROOM...

Lists the files of the rooms, each with the first sentence that it says of itself: a source and its header
are one line, by the header.  Fails for a file that says nothing.
"""

import glob
import os
import re
import sys

KINDS = (".h", ".c", ".def", ".css", ".js")  # of two with one stem the first says what both are


def first_sentence(path):
    """Of the comment that a file begins with; a test's LINKS are left out."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    match = re.match(r"(?:#.*\n|\s|//.*\n)*/\*(.*?)\*/", text, re.S)
    words = " ".join(re.sub(r"^\s*\*", "", line).strip() for line in match[1].splitlines()) if match else ""
    sentence = re.match(r"\s*(.*?[.?])(?=\s|$)", words + " ")
    return (sentence[1] if sentence else words).strip().rstrip(".")


def main(rooms):
    silent = []
    for room in rooms:
        print(f"{room}/")
        stems = {}
        for path in sorted(sum((glob.glob(f"{room}/*{kind}") for kind in KINDS), [])):
            stems.setdefault(os.path.splitext(path)[0], []).append(path)
        for stem, paths in stems.items():
            best = min(paths, key=lambda path: KINDS.index(os.path.splitext(path)[1]))
            sentence = first_sentence(best)
            if not sentence:
                silent.append(best)
            print(f"  {os.path.basename(stem):20} {sentence}")
    for path in silent:
        print(f"files: {path} does not say what it is", file=sys.stderr)
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
