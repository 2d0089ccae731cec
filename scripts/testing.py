#!/usr/bin/python3
"""Counts what is tested and how much, and writes it into TESTING.md, between the two marks there.

    scripts/testing.py            what the tree itself tells
    scripts/testing.py BUILD      and what the last runs below BUILD tell: coverage, other parsers, fuzzers
"""

import pathlib
import re
import subprocess
import sys

DOCUMENT = pathlib.Path("TESTING.md")
TRIED = pathlib.Path("tests/mutants/tried.txt")
OF_RUNS = re.compile("run by the tests$|^messages read|^inputs made")  # kept until such a run is made again
BEGIN, END = "<!-- numbers: make testing -->", "<!-- end of numbers -->"


def lines_of(*patterns):
    """Lines that are neither empty nor comments alone; how many files."""
    files = [file for pattern in patterns for file in pathlib.Path().glob(pattern)]
    code = sum(bool(line.strip()) and not re.match(r"\s*(/\*|\*|//|#(?!include|define|if|e|undef|pragma))", line)
               for file in files for line in file.read_text().splitlines())
    return code, len(files)


def count(pattern, *globs):
    return sum(len(re.findall(pattern, file.read_text(), re.M)) for glob in globs for file in pathlib.Path().glob(glob))


def output(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, **more).stdout


def functional():
    said = output("/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q",
                  "tests/functional", env={"CACHE204_BIN": "build/cache204", "CACHE204_LONG": "1", "PATH": "/usr/bin:/bin"})
    return int(re.search(r"(\d+) tests collected", said)[1])


def rows():
    product, product_files = lines_of("proxy/**/*.[ch]", "cache/**/*.[ch]", "conf/*.[ch]")
    tests, test_files = lines_of("tests/**/*.[ch]", "tests/**/*.py")
    yield "lines of the product, in C", f"{product:,} in {product_files:,} files"
    yield "lines of tests, in C and Python", f"{tests:,} in {test_files:,} files, {tests / product:.1f} for each of the product"
    yield "asserts in the product", f"{count(r'^[^*/]*assert[(]', 'proxy/**/*.c', 'cache/**/*.c', 'conf/*.c'):,}"
    yield "functions of unit tests", f"{count(r'cmocka_unit_test', 'tests/unit/*/*.c'):,} in {len(list(pathlib.Path().glob('tests/unit/*/test_*.c')))} programs"
    yield "vectors of the caching rules", f"{count(r'^# .', 'tests/vectors/*.txt', 'tests/vectors/choice/*.txt'):,}"
    yield "functional tests, with one worker or several", f"{functional():,}"
    corpora = sorted(pathlib.Path("tests/fuzz/corpus").iterdir())
    yield "fuzzed parsers", f"{len(corpora)}, with {sum(len(list(corpus.iterdir())) for corpus in corpora):,} inputs kept"
    yield "scripted exchanges, each with each allocation failing", f"{count(r'^# ', 'tests/exchanges/*.txt'):,}"
    conformance = output("/usr/bin/python3", "tests/conformance/report.py").strip().splitlines()
    yield "requirements of the RFCs", conformance[-1].removeprefix("conformance: ").split(";")[0].removeprefix("requirements: ") if conformance else "?"
    counts = re.findall(r"^(hit|hit-pipelined|hit-304|miss) +(\d+)", pathlib.Path("bench/instructions.txt").read_text(), re.M)
    yield "instructions counted", ", ".join(f"{name} {int(number):,}" for name, number in counts)


def rows_of_runs(build):
    cover = build / "cover.txt"
    if cover.exists():
        for name, share in re.findall(r"^cover: (\w+) ([\d.]+ %.*)$", cover.read_text(), re.M):
            yield f"{name} run by the tests", share
    differential = build / "differential.txt"
    found = differential.exists() and re.search(r"^differential: (.* messages), .* read by (.*)$", differential.read_text(), re.M)
    if found:
        faults = re.search(r"^differential: (\d+) differences", differential.read_text(), re.M)[1]
        yield "messages read by other parsers too", f"{found[1]}, by {found[2]}; {faults} differences without a reason"
    yield from rows_of_fuzzers(build / "fuzz.txt")


def rows_of_fuzzers(file):
    """The longest run of each."""
    longest = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        target, seconds, runs, reached, linked, result = re.match(r"(\w+): (\d+) s, (\d+) runs, (\d+) of (\d+) edges, (.*)", line).groups()
        if int(seconds) >= longest.get(target, (0,))[0]:
            longest[target] = int(seconds), f"{int(runs):,} in {int(seconds)} s, {reached} of the {linked} edges linked, {result}"
    for target, (_, row) in sorted(longest.items()):
        yield f"inputs made for `{target}`", row


def rows_of_mutants():
    rooms = re.findall(r"^([a-z0-9/]+): (\d+) of (\d+), (.*)$", TRIED.read_text() if TRIED.exists() else "", re.M)
    if rooms:
        noticed, tried = (sum(int(room[column]) for room in rooms) for column in (1, 2))
        yield "planted faults that a test noticed", f"{noticed:,} of {tried:,}, {100 * noticed / tried:.1f} %"
    for room, noticed, tried, more in rooms:
        yield f"planted faults in {room}", f"{int(noticed):,} of {int(tried):,}, {more}"


def main():
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    of_runs = {name: value for name, value in re.findall(r"^\| (.*?) \| (.*?) \|$", old, re.M) if OF_RUNS.search(name)}
    if len(sys.argv) > 1:
        of_runs.update(rows_of_runs(pathlib.Path(sys.argv[1])))
    table = "".join(f"| {name} | {value} |\n" for name, value in [*rows(), *of_runs.items(), *rows_of_mutants()])
    DOCUMENT.write_text(f"{before}{BEGIN}\n| What | How much |\n|---|---|\n{table}{END}{after}")


if __name__ == "__main__":
    main()
