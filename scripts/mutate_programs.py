"""Builds and runs the programs that may notice a mutant, for scripts/mutate.py.

Make builds everything once.  After that a mutant costs one compilation, and for each program that has its object, the
one that has noticed most per second first, a link and a run.  A run ends by the processor time that it has used, many
times of what it needs without a mutant, so a loop that does not end is noticed soon and a busy machine is no failure.
"""

import collections
import os
import pathlib
import re
import resource
import shlex
import signal
import subprocess
import sys
import time

BUILD_S, WALL_S, CPU_LEAST_S, CPU_TIMES = 1800, 120, 2, 10
MEMORY_MAX = 2 << 30
SANITIZED = "address,undefined"

INCLUDED = re.compile(r'^#include "((?:cache|proxy|conf)/\S+\.c)"', re.M)

# `includes` are the sources that stand within one of the tests' own, instead of their objects: {source: that one}
Program = collections.namedtuple("Program", "name command link objects includes")


def run(tree, command, seconds, cpu_s=None, **more):
    """Exit status; None when it did not end in time, or used more of the processor than it may."""
    def limit():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if cpu_s is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
        if cpu_s is not None and "address" not in command[0]:  # its shadow memory would count
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MAX, MEMORY_MAX))

    with subprocess.Popen(command, cwd=tree, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=limit, **more) as process:
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        try:
            os.killpg(process.pid, signal.SIGKILL)  # what it may have left behind
        except ProcessLookupError:
            pass
        return None if status == -signal.SIGXCPU else status


def make(tree, *words):
    return run(tree, ["make", "-s", f"-j{os.cpu_count()}", "CFLAGS=-O0", *words], BUILD_S) == 0


class Bench:
    """Every program that may run, and what is known of each."""

    def __init__(self, tree, wanted, sanitize=False):
        """`wanted` are {program: its arguments}; those that fail without a mutant are left out, by name."""
        self.tree = tree
        self.build = "build/" + SANITIZED.replace(",", "-") if sanitize else "build"
        self.words = [f"SANITIZE={SANITIZED}"] if sanitize else []
        self.seconds, self.noticed = {}, collections.Counter()
        self.compile = {}
        wanted = {self.inside(name): arguments for name, arguments in wanted.items()}
        if not make(tree, *self.words, *wanted):
            sys.exit(f"mutate: {tree} does not build")
        for name in wanted:
            (tree / name).unlink()
        links = self.recipes(wanted, rf" -o ({self.build}/tests/\S+) ")
        self.programs = [self.linked(name, wanted[name], links[name]) for name in wanted]
        if wanted and not any(program.objects for program in self.programs):
            sys.exit(f"mutate: this linker does not say (-Wl,-t,-t) what is in {', '.join(wanted)}")
        self.programs = [program for program in self.programs if self.passes(program)]

    def inside(self, name):
        """build/... of the usual build, in this one."""
        return self.build + name.removeprefix("build")

    def recipes(self, targets, pattern, *flags):
        """The commands by which make would make the targets, by what they write."""
        said = subprocess.run(["make", "-n", "V=1", "CFLAGS=-O0", *self.words, *flags, *targets], cwd=self.tree,
                              capture_output=True, text=True, check=True).stdout.replace("\\\n", " ")
        return {found[1]: line for line in said.split("\n") if (found := re.search(pattern, line))}

    def linked(self, name, arguments, link):
        """Links it, and asks the linker what of the archives is in it."""
        said = subprocess.run(shlex.split(link) + ["-Wl,-t,-t"], cwd=self.tree, capture_output=True, text=True, check=True).stdout
        members = re.findall(rf"[(]{self.build}/rooms/(\S+)\.a[)](\S+\.o)", said)
        objects = {f"{self.build}/obj/{room}/{member}" for room, member in members}
        own = [pathlib.Path(found).with_suffix(".c") for found in re.findall(rf"{self.build}/obj/(tests/\S+\.o)", link)]
        includes = {source: test for test in own for source in INCLUDED.findall((self.tree / test).read_text())}
        return Program(name, [name, *arguments], link, objects, includes)

    def object_of(self, source):
        return f"{self.build}/obj/{source.with_suffix('.o')}"

    def passes(self, program):
        begun = time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        status = run(self.tree, program.command, WALL_S)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        self.seconds[program.name] = (max(used, 0.01), time.monotonic() - begun)
        if status != 0:
            print(f"mutate: {program.name} fails without a mutant, and is left out", flush=True)
        return status == 0

    def compiles(self, source, to):
        """The mutated file, or one that includes it, as it stands in the tree, as an object of its own."""
        object_file = self.object_of(source)
        if source not in self.compile:
            recipe = self.recipes([object_file], r" -c -o (\S+) ", "-W", str(source))[object_file]
            self.compile[source] = shlex.split(re.split(r"\s2>", recipe)[0].replace(" -MMD -MP ", " "))
        command = [to if word == object_file else word for word in self.compile[source]]
        return run(self.tree, command, BUILD_S) == 0

    def is_same_code(self, source, original):
        """Whether the optimizer makes the same of the mutated file, as it stands, and of `original`, its text."""
        words = [word for word in self.compile[source] if not re.fullmatch(r"-O\d|-g|\S+\.o|-o|ccache", word)]
        texts = {"mutant": (self.tree / source).read_text(), "original": original}
        code = {}
        try:
            for name, text in texts.items():
                (self.tree / source).write_text(text)
                to = f"build/mutant_{name}.o"
                if run(self.tree, [*words, "-O2", "-o", to], BUILD_S) != 0:
                    return False
                code[name] = (self.tree / to).read_bytes()
        finally:
            (self.tree / source).write_text(texts["mutant"])
        return code["mutant"] == code["original"]

    def promise(self, program, source):
        """What has noticed mutants of this file, of its name or of its room goes first, the quick before the slow."""
        room, name = pathlib.Path(program.name).parent.name, pathlib.Path(program.name).name
        guess = 5 if name == f"test_{source.stem}" else 2 if room == source.parent.name else 0.2
        return (self.noticed[program.name, source] + guess) / (self.seconds[program.name][0] + 0.05)

    def failing(self, source, choice):
        """The first program of the choice that fails with build/mutant.o in the place of the file's object."""
        object_file = self.object_of(source)
        choice = {self.inside(name) for name in choice}
        chosen = [program for program in self.programs
                  if program.name in choice and (object_file in program.objects or str(source) in program.includes)]
        for program in sorted(chosen, key=lambda program: -self.promise(program, source)):
            if not self.links(program, source):
                return f"link of {program.name}"
            if self.fails([f"{self.build}/mutant", *program.command[1:]], *self.seconds[program.name]):
                self.noticed[program.name, source] += 1
                return program.name
        return None

    def links(self, program, source):
        """The program with build/mutant.o, or with the tests' object made anew that includes the mutated file."""
        link = program.link.replace(f"-o {program.name} ", f"-o {self.build}/mutant ").replace("ccache ", "")
        if str(source) in program.includes:
            own = program.includes[str(source)]
            if not self.compiles(own, "build/mutant_includes.o"):
                return False
            link = link.replace(self.object_of(own), "build/mutant_includes.o")
        else:
            link = link.replace(" -Wl,--start-group", " build/mutant.o -Wl,--start-group")
        return run(self.tree, shlex.split(link), BUILD_S) == 0

    def fails(self, command, cpu_s, wall_s):
        """Twice, but for what does not end: a test that fails now and then by itself has noticed nothing."""
        most = int(max(CPU_LEAST_S, CPU_TIMES * cpu_s)) + 1
        first = run(self.tree, command, max(WALL_S, CPU_TIMES * wall_s), most)
        return first is None or (first != 0 and run(self.tree, command, max(WALL_S, CPU_TIMES * wall_s), most) != 0)
