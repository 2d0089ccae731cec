#!/usr/bin/python3
"""Shows what the tests ran: of each source its lines and branches, of each room, and the sums; also in BUILD/../cover.txt.

    scripts/cover.py BUILD        a build with --coverage, whose programs have run

A branch counts when it was taken at least once.  In the rooms of WHOLE each one is taken, or its line stands in
tests/coverage/explained.txt with the reason; those that do not are named, and fail.  By kind are explained what an
assert rules out, and the way past all cases of a switch: the compiler warns of a value without one.
"""

import collections
import itertools
import json
import pathlib
import re
import subprocess
import sys

import entries

EXPLAINED = "tests/coverage/explained.txt"
WHOLE = ("cache/policy", "proxy/http1", "proxy/access")
INCLUDED = re.compile(r'^#include "(?:proxy|cache|conf)/\S+\.c"', re.M)
SOURCE = re.compile(r"(proxy|cache|conf)/.*\.c$")
BATCH = 40


def objects_of(build):
    """The data of the sources' objects, and of those of unit tests that have a source within them."""
    for room in ("proxy", "cache", "conf"):
        yield from (build / "obj" / room).rglob("*.gcda")
    for file in (build / "obj/tests/unit").rglob("*.gcda"):
        if INCLUDED.search(file.relative_to(build / "obj").with_suffix(".c").read_text()):
            yield file


def lines_of(build):
    """{file: {line: (count, branches taken, branches)}} of the sources over all objects, and {(file, line): function} never called."""
    files, functions = collections.defaultdict(dict), collections.Counter()
    data = sorted(map(str, objects_of(build)))
    for first in range(0, len(data), BATCH):
        said = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", *data[first:first + BATCH]],
                              capture_output=True, text=True, check=True).stdout
        for report in said.splitlines():
            for file in json.loads(report)["files"]:
                if SOURCE.match(file["file"]):
                    add(files[file["file"]], file["lines"])
                    functions.update({(file["file"], function["start_line"], function["demangled_name"]): function["execution_count"]
                                      for function in file["functions"]})
    uncalled = {(file, line): name for (file, line, name), count in functions.items() if count == 0}
    return {file: by_line(known) for file, known in files.items()}, uncalled


def add(known, lines):
    """A branch of a function is one, in however many objects that is."""
    for line in lines:
        key = (line["line_number"], line.get("function_name"))
        count, branches = known.get(key, (0, []))
        more = [branch["count"] for branch in line["branches"]]
        known[key] = (count + line["count"], [sum(pair) for pair in itertools.zip_longest(branches, more, fillvalue=0)])


def by_line(known):
    lines = collections.defaultdict(lambda: (0, 0, 0))
    for (number, _), (count, branches) in known.items():
        before = lines[number]
        lines[number] = (before[0] + count, before[1] + sum(taken > 0 for taken in branches), before[2] + len(branches))
    return lines


def shares(lines):
    run = sum(count > 0 for count, _, _ in lines)
    taken, branches = sum(taken for _, taken, _ in lines), sum(branches for _, _, branches in lines)
    return run, len(lines), taken, branches


def text(run, lines, taken, branches, name):
    return f"{100 * run / lines:6.1f}% of {lines:5d} lines, {100 * taken / branches if branches else 100:5.1f}% of {branches:5d} branches  {name}"


def by_kind(code, number, left):
    """Ways that cannot be taken: see above.  An assert begins on the line, or goes on there."""
    if left == 1 and code[number - 1].strip().startswith("switch ("):
        return True
    while not code[number - 1].strip().startswith("assert(") and number > 1 and not re.search(r"[;{}:]\s*$", code[number - 2]):
        number -= 1
    return code[number - 1].strip().startswith("assert(")


def unexplained(files, uncalled):
    """Lines of WHOLE with branches that no test takes, and no reason; and reasons that nothing needs."""
    reasons = {(file, code) for file, code, *_ in entries.read(EXPLAINED, 3)}
    used = set()
    for name in sorted(file for file in files if str(pathlib.Path(file).parent) in WHOLE):
        code = pathlib.Path(name).read_text().splitlines()
        for number, (_, taken, branches) in sorted(files[name].items()):
            key = (name, code[number - 1].strip())
            if (name, number) in uncalled:
                yield f"{name}:{number}: {uncalled[name, number]}() is not called"
            if taken == branches or by_kind(code, number, branches - taken):
                continue
            if key not in reasons:
                yield f"{name}:{number}: {taken} of {branches} branches: {key[1]}"
            used.add(key)
    for file, line in sorted(reasons - used):
        print(f"cover: explained, and taken or gone: {file}: {line}")


def main():
    build = pathlib.Path(sys.argv[1])
    files, uncalled = lines_of(build)
    if not files:
        sys.exit("cover: nothing has run")
    report = sorted(text(*shares(lines.values()), name) for name, lines in files.items())
    rooms = collections.defaultdict(list)
    for name, lines in files.items():
        rooms[str(pathlib.Path(name).parent)] += lines.values()
    report += sorted(text(*shares(lines), name + "/") for name, lines in rooms.items())
    run, lines, taken, branches = shares([line for lines in files.values() for line in lines.values()])
    open_lines = list(unexplained(files, uncalled))
    report += [f"cover: neither taken nor explained: {line}" for line in open_lines]
    report += [f"cover: lines {100 * run / lines:.1f} % of {lines}", f"cover: branches {100 * taken / branches:.1f} % of {branches}",
               f"cover: {len(open_lines)} lines of {', '.join(WHOLE)} with a branch neither taken nor explained"]
    (build.parent / "cover.txt").write_text("\n".join(report) + "\n")
    print("\n".join(report))
    return 1 if open_lines else 0


if __name__ == "__main__":
    sys.exit(main())
