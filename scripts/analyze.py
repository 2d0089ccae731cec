#!/usr/bin/python3
"""Runs static analyzers over sources; fails on what they find, unless tests/analysis/accepted.txt has it.

    scripts/analyze.py JOBS FLAG... -- FILE...

gcc -fanalyzer, clang-tidy (.clang-tidy says what it looks for) and cppcheck; one that is not here is named.  What is
accepted is named by file, check and the line of code, with the reason.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

import entries

ACCEPTED = "tests/analysis/accepted.txt"
FINDING = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+):\d+: (?:warning|error|performance|portability)[^:]*: (?P<message>.*) \[(?P<check>[\w.,-]+)\]$",
                     re.M)
ANALYZERS = {
    "gcc": lambda flags, file: ["gcc", *flags, "-O2", "-fanalyzer", "-c", "-o", os.devnull, file],
    "clang-tidy": lambda flags, file: ["clang-tidy", "--quiet", file, "--", *flags],
    "cppcheck": lambda flags, file: ["cppcheck", "--quiet", "--std=c11", "--enable=warning,performance,portability", "--inconclusive",
                                     "--template={file}:{line}:{column}: {severity}: {message} [{id}]",
                                     *(flag for flag in flags if flag[:2] in ("-D", "-I")), file],
}


def analyze(name, flags, file):
    """{(file, check, code): where and what}."""
    done = subprocess.run(ANALYZERS[name](flags, file), capture_output=True, text=True)
    said = done.stdout + done.stderr
    found = {}
    for match in FINDING.finditer(said):
        path = os.path.relpath(match["file"])
        code = pathlib.Path(path).read_text().splitlines()[int(match["line"]) - 1].strip() if os.path.exists(path) else ""
        found[path, match["check"].split(",")[0], code] = f"{name}: {path}:{match['line']}: {match['message']} [{match['check']}]\n    {code}"
    if done.returncode != 0 and not found:
        found[file, name, ""] = f"{name}: {file}: exit status {done.returncode}\n{said}"
    return found


def main():
    jobs, *flags = sys.argv[1:]
    end = flags.index("--")
    flags, files = flags[:end], flags[end + 1:]
    here = [name for name in ANALYZERS if shutil.which(name)]
    for name in ANALYZERS.keys() - set(here):
        print(f"analyze: left out, {name} is not here")
    accepted = {tuple(entry[:3]) for entry in entries.read(ACCEPTED, 4)}
    found = {}
    with concurrent.futures.ThreadPoolExecutor(int(jobs)) as pool:
        for result in pool.map(lambda pair: analyze(pair[0], flags, pair[1]), [(name, file) for file in files for name in here]):
            found.update(result)
    for key in sorted(found.keys() - accepted):
        print(found[key])
    for file, check, code in sorted(accepted - found.keys()):
        print(f"analyze: accepted, and no longer found: {file} {check}: {code}")
    new = len(found.keys() - accepted)
    print(f"analyze: {' and '.join(here)} over {len(files)} files: {new} findings, {len(found) - new} accepted")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
