#!/usr/bin/python3
"""Plants small faults in the sources, one at a time, and tells which of them no test notices.

    scripts/mutate.py [--seed 1] [--count 50] [--stages test,room,unit,replay,functional] [FILE or ROOM ...]

A copy of the tracked files is built below build/mutate.  For each mutant one file of the copy is changed in one
place, and tests run until one fails: the unit test of the file's own name, those of its room, all, the corpora, the
functional tests.  A test that does not end in time has noticed, too.  What does not compile is no mutant.

tests/mutants/equivalent.txt lists mutants that change nothing that anybody could notice, each with the reason.
"""

import argparse
import collections
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys

TREE = pathlib.Path("build/mutate/tree")
EQUIVALENT = pathlib.Path("tests/mutants/equivalent.txt")
STAGES = ["test", "room", "unit", "replay", "functional"]
PROGRAM_S, BUILD_S, FUNCTIONAL_S = 60, 600, 900

# what stands in a line, and what it becomes
OPERATORS = [
    (r"(?<![<>=!-])<(?![<=])", ["<="]),
    (r"(?<![<>=!-])>(?![>=])", [">="]),
    (r"<=", ["<"]),
    (r"(?<!>)>=", [">"]),
    (r"==", ["!="]),
    (r"!=", ["=="]),
    (r"&&", ["||"]),
    (r"\|\|", ["&&"]),
    (r"(?<=[\w)\]] )\+(?= [\w(*])", ["-"]),
    (r"(?<=[\w)\]] )-(?= [\w(*])", ["+"]),
    (r"\+\+", ["--"]),
    (r"\+=", ["-="]),
    (r"(?<!-)-=", ["+="]),
    (r" \| ", [" & "]),
    (r"(?<=\w) & ", [" | "]),
    (r"\|=", ["="]),
    (r"\btrue\b", ["false"]),
    (r"\bfalse\b", ["true"]),
    (r"(?<![\w.])0(?![\w.])", ["1"]),
    (r"(?<![\w.])[1-9]\d*(?![\w.])", ["+1"]),
    (r"(?<=if \()(?=.)", ["!"]),
    (r"\bcontinue;", ["break;"]),
]
STATEMENT = re.compile(r"^\t+(?!return\b|break\b|goto\b|case\b|default\b|else\b|do\b|struct\b|static\b|const\b)"
                       r"(?:\w[\w>.*\[\]()-]*\([^{}]*\)|[\w>.*\[\]-]+ [-+|&]?= [^{}]+|[\w>.-]+(?:\+\+|--));$")
RETURN = re.compile(r"^(\t+return )(?!0;|true;|false;|NULL;)([^;{}]+);$")

Mutant = collections.namedtuple("Mutant", "file line was now")


def code_lines(text):
    """Which lines are code of functions, with comments and strings blanked in place."""
    blank = re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'',
                   lambda found: re.sub(r"[^\n]", "\x01", found[0]), text, flags=re.S)
    inside = False
    for number, line in enumerate(blank.split("\n")):
        if line == "{":
            inside = True
        elif line == "}":
            inside = False
        elif inside and line.strip() and not line.startswith("#") and "assert(" not in line:
            yield number, line


def mutations(line, blank):
    """All lines that this one may become."""
    for pattern, replacements in OPERATORS:
        for found in re.finditer(pattern, blank):
            for new in replacements:
                if new == "+1":
                    new = str(int(found[0]) + 1)
                elif new == "!":
                    end = closing(blank, found.start())
                    if end is None:
                        continue
                    yield line[:found.start()] + "!(" + line[found.start():end] + ")" + line[end:]
                    continue
                yield line[:found.start()] + new + line[found.end():]
    if STATEMENT.match(blank):
        yield re.match(r"\t+", line)[0] + ";"
    returned = RETURN.match(blank)
    if returned:
        yield returned[1] + "0;"


def closing(text, start):
    """Where the bracket closes that was open before start; None on a later line."""
    depth = 1
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return None


def mutants_of(file):
    text = file.read_text()
    lines = text.split("\n")
    return [Mutant(str(file), number + 1, lines[number], now) for number, blank in code_lines(text)
            for now in dict.fromkeys(mutations(lines[number], blank)) if now != lines[number]]


def equivalents():
    """{(file, line without blanks, the same as it becomes)}; entries are four lines and an empty one."""
    if not EQUIVALENT.exists():
        return set()
    blocks = re.sub(r"^#.*\n", "", EQUIVALENT.read_text(), flags=re.M).split("\n\n")
    entries = [block.strip("\n").split("\n") for block in blocks if block.strip()]
    for entry in entries:
        if len(entry) < 4:
            sys.exit(f"{EQUIVALENT}: an entry is file, line, what it becomes, reason: {entry}")
    return {(entry[0], entry[1].strip(), entry[2].strip()) for entry in entries}


def sources(names):
    rooms = subprocess.run(["make", "-s", "sources"], capture_output=True, text=True, check=True).stdout.split()
    chosen = [file for file in rooms if not names or any(file == name or file.startswith(name.rstrip("/") + "/")
                                                         for name in names)]
    if not chosen:
        sys.exit(f"mutate: no source is named {' '.join(names)}")
    return [pathlib.Path(file) for file in chosen]


def run(command, seconds, **more):
    """Exit status; None when it did not end in time."""
    with subprocess.Popen(command, cwd=TREE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          start_new_session=True, **more) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None


def make(*targets):
    return run(["make", "-s", f"-j{os.cpu_count()}", *targets], BUILD_S) == 0


def programs(pattern):
    return sorted("build/" + str(source.relative_to(TREE).with_suffix("")) for source in TREE.glob(pattern))


def failing_program(names):
    """The first program that fails; they are built first, all at once."""
    if names and not make(*names):
        return "build"
    return next((name for name in names if run([name], PROGRAM_S) != 0), None)


def failing_corpus():
    targets = [source.stem.removeprefix("fuzz_") for source in sorted(TREE.glob("tests/fuzz/fuzz_*.c"))]
    if not make(*(f"build/tests/fuzz/replay_{target}" for target in targets)):
        return "build"
    return next((f"replay_{target}" for target in targets
                 if run([f"build/tests/fuzz/replay_{target}", f"tests/fuzz/corpus/{target}"], PROGRAM_S) != 0), None)


def failing_functional():
    if not make("all", "build/tests/tools/check_store", "build/tests/tools/check_metrics"):
        return "build"
    command = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-x", "-n", str(2 * os.cpu_count()),
               "tests/functional"]
    status = run(command, FUNCTIONAL_S, env={**os.environ, "CACHE204_BIN": str((TREE / "build/cache204").resolve())})
    return None if status == 0 else "functional"


def noticed_by(mutant, stages):
    """What fails: a stage and a program; None when the mutant survives; "build" when it is none."""
    source = pathlib.Path(mutant.file)
    room = source.parent.name
    tries = {
        "test": lambda: failing_program(programs(f"tests/unit/{room}/test_{source.stem}.c")),
        "room": lambda: failing_program(programs(f"tests/unit/{room}/test_*.c")),
        "unit": lambda: failing_program(programs("tests/unit/*/test_*.c")),
        "replay": failing_corpus,
        "functional": failing_functional,
    }
    if not make(f"build/obj/{source.with_suffix('.o')}"):
        return "build"
    for stage in stages:
        found = tries[stage]()
        if found:
            return found
    return None


def try_one(mutant, stages):
    file = TREE / mutant.file
    text = file.read_text()
    lines = text.split("\n")
    lines[mutant.line - 1] = mutant.now
    try:
        file.write_text("\n".join(lines))
        return noticed_by(mutant, stages)
    finally:
        file.write_text(text)


def lay_tree(stages):
    """The copy, with only what differs written anew, so that objects of an earlier run are of use."""
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, tracked):
        source, copy = pathlib.Path(name), TREE / name
        if source.is_file() and not (copy.exists() and copy.read_bytes() == source.read_bytes()):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    print(f"mutate: building {TREE}", flush=True)
    if not make("all"):
        sys.exit(f"mutate: {TREE} does not build")
    if "functional" in stages and failing_functional():
        sys.exit("mutate: the functional tests fail without a mutant")


def report(results, path):
    counted = [result for result in results if result["noticed"] != "build"]
    by_room = collections.defaultdict(lambda: [0, 0])
    for result in counted:
        room = by_room[str(pathlib.Path(result["file"]).parent)]
        room[0] += bool(result["noticed"])
        room[1] += 1
    for room, (noticed, tried) in sorted(by_room.items()):
        print(f"{room:24} {noticed:5} of {tried:5}  {100 * noticed / tried:5.1f} %")
    noticed = sum(bool(result["noticed"]) for result in counted)
    print(f"mutate: {noticed} of {len(counted)} noticed, {100 * noticed / max(len(counted), 1):.1f} %; {path} has each")
    path.write_text(json.dumps(results, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", default="1")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--list", action="store_true", help="show the mutants, run nothing")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    stages = arguments.stages.split(",")
    if set(stages) - set(STAGES):
        parser.error(f"stages are {', '.join(STAGES)}")
    known = equivalents()
    every = [mutant for mutant in itertools.chain(*map(mutants_of, sources(arguments.names)))
             if (mutant.file, mutant.was.strip(), mutant.now.strip()) not in known]
    chosen = sorted(random.Random(arguments.seed).sample(every, min(arguments.count, len(every))))
    if arguments.list:
        for mutant in chosen:
            print(f"{mutant.file}:{mutant.line}: {mutant.was.strip()}  ->  {mutant.now.strip()}")
        return 0
    lay_tree(stages)
    results = []
    for number, mutant in enumerate(chosen, 1):
        noticed = try_one(mutant, stages)
        results.append({**mutant._asdict(), "noticed": noticed})
        if noticed is None:
            print(f"{mutant.file}:{mutant.line}: survives: {mutant.was.strip()}  ->  {mutant.now.strip()}", flush=True)
        elif sys.stderr.isatty():
            print(f"\r{number} of {len(chosen)} ", end="", file=sys.stderr)
    report(results, pathlib.Path("build/mutate/results.json"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
