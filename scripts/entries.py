"""Reads lists of exceptions: entries of some lines and an empty one after each; lines with # first are comments."""

import pathlib
import re
import sys


def read(name, lines):
    """A list of entries, each a list of at least `lines` lines; what goes beyond is its reason."""
    text = re.sub(r"^#.*\n", "", pathlib.Path(name).read_text(), flags=re.M)
    entries = [block.strip("\n").split("\n") for block in text.split("\n\n") if block.strip()]
    for entry in entries:
        if len(entry) < lines:
            sys.exit(f"{name}: an entry has {lines} lines at least: {entry}")
    return [[line.strip() for line in entry] for entry in entries]
