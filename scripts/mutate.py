#!/usr/bin/python3
"""Plants small faults in the sources, one at a time, and tells which of them no test notices.

    scripts/mutate.py [--seed 1] [--count 50] [--stages test,room,unit,replay,functional] [FILE or ROOM ...]

A copy of the tracked files is built below build/mutate.  For each mutant one file of the copy is changed in one
place, and tests run until one fails: the unit test of the file's own name, those of its room, all, the corpora, the
simulated world if asked for (simulate), all of these once more with AddressSanitizer and UndefinedBehaviorSanitizer
if asked for (sanitized), the functional tests, of which --functional chooses files.  A test that does not end in time
has noticed, too.  What does not compile is no mutant, nor is what the optimizer makes the same code of.

tests/mutants/equivalent.txt lists mutants that change nothing that anybody could notice, each with the reason; behind
the file may stand the function, name(), where the line occurs in others, too.

build/mutate/results.json has every mutant that was tried, of all runs: one that was noticed is not tried again while
its file stays as it is.  --keep writes what is known there of the rooms into tests/mutants/tried.txt, from which
`make testing` fills TESTING.md.
"""

import argparse
import collections
import functools
import hashlib
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

import mutate_programs

TREE = pathlib.Path("build/mutate/tree")
RESULTS = pathlib.Path("build/mutate/results.json")
EQUIVALENT = pathlib.Path("tests/mutants/equivalent.txt")
TRIED = pathlib.Path("tests/mutants/tried.txt")
STAGES = ["test", "room", "unit", "replay", "simulate", "sanitized", "functional"]
USUAL = "test,room,unit,replay,functional"
FUNCTIONAL_S = 900
# what a mutant may turn out to be, when no program has noticed it
NO_MUTANT, SAME_CODE = "build", "same code"

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
    """{(file, function() or "", line without blanks, the same as it becomes)}; entries are four lines and an empty one."""
    if not EQUIVALENT.exists():
        return set()
    blocks = re.sub(r"^#.*\n", "", EQUIVALENT.read_text(), flags=re.M).split("\n\n")
    entries = [block.strip("\n").split("\n") for block in blocks if block.strip()]
    for entry in entries:
        if len(entry) < 4:
            sys.exit(f"{EQUIVALENT}: an entry is file, line, what it becomes, reason: {entry}")
    return {(*(entry[0] + " ").split(" ")[:2], entry[1].strip(), entry[2].strip()) for entry in entries}


@functools.cache
def lines_of(file):
    return pathlib.Path(file).read_text().split("\n")


def function_of(mutant):
    """name() of the function that its line is in."""
    lines = lines_of(mutant.file)
    begin = max(number for number in range(mutant.line) if lines[number] == "{")
    while not (begins := re.match(r"(?:__attribute__\(\(.*?\)\) )?\w.*?(\w+)\(", lines[begin])):
        begin -= 1
    return f"{begins[1]}()"


def is_equivalent(mutant, known):
    texts = (mutant.was.strip(), mutant.now.strip())
    return (mutant.file, "", *texts) in known or (mutant.file, function_of(mutant), *texts) in known


def sources(names):
    rooms = subprocess.run(["make", "-s", "sources"], capture_output=True, text=True, check=True).stdout.split()
    chosen = [file for file in rooms if not names or any(file == name or file.startswith(name.rstrip("/") + "/")
                                                         for name in names)]
    if not chosen:
        sys.exit(f"mutate: no source is named {' '.join(names)}")
    return [pathlib.Path(file) for file in chosen]


def unit_programs(pattern):
    return {"build/" + str(source.relative_to(TREE).with_suffix("")): [] for source in sorted(TREE.glob(pattern))}


def stage_programs(stage, room="*", stem="*"):
    """{program: its arguments} of a stage, for a file of a room."""
    if stage == "replay":
        targets = [source.stem.removeprefix("fuzz_") for source in sorted(TREE.glob("tests/fuzz/fuzz_*.c"))]
        return {f"build/tests/fuzz/replay_{target}": [f"tests/fuzz/corpus/{target}"] for target in targets}
    if stage == "simulate":
        return {"build/tests/sim/simulate": ["300"]}
    return unit_programs({"test": f"tests/unit/{room}/test_{stem}.c", "room": f"tests/unit/{room}/test_*.c",
                          "unit": "tests/unit/*/test_*.c"}[stage])


def functional_fails(files):
    if not mutate_programs.make(TREE, "all", "build/tests/tools/check_store", "build/tests/tools/check_metrics"):
        return True
    command = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-x", "-n", str(2 * os.cpu_count()), *files]
    return mutate_programs.run(TREE, command, FUNCTIONAL_S, env={
        **os.environ, "CACHE204_BIN": str((TREE / "build/cache204").resolve())}) != 0


class Trial:
    """Tries mutants, with the programs of the stages and the functional tests."""

    def __init__(self, stages, files, rooms):
        self.stages = [stage for stage in stages if stage not in ("sanitized", "functional")]
        self.functional = files if "functional" in stages else None
        wanted = {}
        for stage, room in itertools.product(self.stages, rooms):
            wanted.update(stage_programs(stage, room))
        self.bench = mutate_programs.Bench(TREE, wanted)
        self.sanitized = mutate_programs.Bench(TREE, wanted, sanitize=True) if "sanitized" in stages else None
        if self.functional and functional_fails(files):
            sys.exit("mutate: the functional tests fail without a mutant")

    def noticed_by(self, mutant, text):
        """What fails; None when the mutant survives; NO_MUTANT or SAME_CODE when it is none."""
        source = pathlib.Path(mutant.file)
        if not self.bench.compiles(source, "build/mutant.o"):
            return NO_MUTANT
        # The quickest of all goes first, so the stages are one choice.
        choice = {name for stage in self.stages for name in stage_programs(stage, source.parent.name, source.stem)}
        found = self.bench.failing(source, choice)
        if found is None and self.bench.is_same_code(source, text):
            return SAME_CODE
        if found is None and self.sanitized and self.sanitized.compiles(source, "build/mutant.o"):
            found = self.sanitized.failing(source, choice)
        if found is None and self.functional and functional_fails(self.functional):
            return "functional"
        return found

    def try_one(self, mutant):
        file = TREE / mutant.file
        text = file.read_text()
        lines = text.split("\n")
        lines[mutant.line - 1] = mutant.now
        try:
            file.write_text("\n".join(lines))
            return self.noticed_by(mutant, text)
        finally:
            file.write_text(text)


def lay_tree():
    """The copy, with only what differs written anew, so that objects of an earlier run are of use."""
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, tracked):
        source, copy = pathlib.Path(name), TREE / name
        if source.is_file() and not (copy.exists() and copy.read_bytes() == source.read_bytes()):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    print(f"mutate: building {TREE}", flush=True)


def hash_of(file):
    return hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()[:16]


def known_results(known):
    """Those of earlier runs that are still so: {mutant: result}."""
    if not RESULTS.exists():
        return {}
    results = {Mutant(*(result[name] for name in Mutant._fields)): result for result in json.loads(RESULTS.read_text())}
    return {mutant: result for mutant, result in results.items()
            if pathlib.Path(mutant.file).exists() and result["hash"] == hash_of(mutant.file)
            and not is_equivalent(mutant, known)}


def by_room(results):
    """{room: its results}, without what was no mutant."""
    rooms = collections.defaultdict(list)
    for result in results:
        if result["noticed"] not in (NO_MUTANT, SAME_CODE):
            rooms[str(pathlib.Path(result["file"]).parent)].append(result)
    return rooms


def write_results(results):
    new = RESULTS.with_suffix(".new")
    new.write_text(json.dumps(list(results.values()), indent=1))
    new.rename(RESULTS)


def share(results):
    noticed = sum(bool(result["noticed"]) for result in results)
    return f"{noticed} of {len(results)}, {100 * noticed / max(len(results), 1):.1f} %"


def keep(rooms, equivalent):
    """A line a room of tests/mutants/tried.txt; the others stay."""
    lines = TRIED.read_text().split("\n") if TRIED.exists() else []
    kept = {line.split(":")[0]: line for line in lines if line and not line.startswith("#")}
    for room, results in rooms.items():
        seeds = sorted({seed for result in results for seed in result["seeds"]})
        beside = sum(file.rpartition("/")[0] == room for file, *_ in equivalent)
        kept[room] = (f"{room}: {share(results)}; equivalent {beside}; "
                      f"{'functional tests too' if any(result['noticed'] == 'functional' for result in results) else 'units and corpora'}; "
                      f"seeds {' '.join(seeds)}")
    TRIED.write_text("# Planted faults that a test noticed, a line a room, by `make mutate KEEP=yes`; `make testing` reads it.\n"
                     + "".join(line + "\n" for _, line in sorted(kept.items())))


def report(results, chosen):
    counted = [results[mutant] for mutant in chosen]
    for room, tried in sorted(by_room(counted).items()):
        print(f"{room:24} {share(tried)}")
    print(f"mutate: noticed {share(sum(by_room(counted).values(), []))}; {RESULTS} has each")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", default="1")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--stages", default=USUAL)
    parser.add_argument("--functional", default="tests/functional", help="files of functional tests, instead of all")
    parser.add_argument("--keep", action="store_true", help=f"write the rooms' lines of {TRIED}")
    parser.add_argument("--survivors", action="store_true", help="try those again that have survived, no others")
    parser.add_argument("--list", action="store_true", help="show the mutants, run nothing")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    stages = arguments.stages.split(",")
    if set(stages) - set(STAGES):
        parser.error(f"stages are {', '.join(STAGES)}")
    known = equivalents()
    every = [mutant for mutant in itertools.chain(*map(mutants_of, sources(arguments.names)))
             if not is_equivalent(mutant, known)]
    results = known_results(known)
    if arguments.survivors:
        every = [mutant for mutant in every if mutant in results and results[mutant]["noticed"] is None]
    chosen = sorted(random.Random(arguments.seed).sample(every, min(arguments.count, len(every))))
    if arguments.list:
        for mutant in chosen:
            print(f"{mutant.file}:{mutant.line}: {mutant.was.strip()}  ->  {mutant.now.strip()}")
        return 0
    lay_tree()
    trial = Trial(stages, arguments.functional.split(), {pathlib.Path(mutant.file).parent.name for mutant in chosen})
    for number, mutant in enumerate(chosen, 1):
        result = results.setdefault(mutant, {**mutant._asdict(), "noticed": None, "hash": hash_of(TREE / mutant.file), "seeds": []})
        if not arguments.survivors:
            result["seeds"] = sorted({*result["seeds"], arguments.seed})
        if result["noticed"] is None:
            result["noticed"] = trial.try_one(mutant)
        if number % 20 == 0 or number == len(chosen):
            write_results(results)
        if result["noticed"] is None:
            print(f"{mutant.file}:{mutant.line}: survives: {mutant.was.strip()}  ->  {mutant.now.strip()}", flush=True)
        elif sys.stderr.isatty():
            print(f"\r{number} of {len(chosen)} ", end="", file=sys.stderr)
    report(results, chosen)
    if arguments.keep:
        keep(by_room(results.values()), known)
    return 0


if __name__ == "__main__":
    sys.exit(main())
