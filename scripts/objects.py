"""What the objects of a build define and want, for the checks beside this file."""

import glob
import os
import subprocess


def symbols(build, folders):
    """By source that is still there: the symbols its object defines for all, and those it wants."""
    objects = [path for folder in folders for path in glob.glob(f"{build}/obj/{folder}/**/*.o", recursive=True)]
    table, current = {}, None
    for line in subprocess.run(["nm", "-A", *objects], check=True, capture_output=True, text=True).stdout.splitlines():
        path, rest = line.split(":", 1)
        source = path[len(f"{build}/obj/"):-1] + "c"
        *_, kind, name = rest.split()
        if os.path.exists(source):
            current = table.setdefault(source, (set(), set()))
            if kind in "Uw":
                current[1].add(name)
            elif kind in "TDBRVC":
                current[0].add(name)
    return table
