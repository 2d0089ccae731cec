#!/usr/bin/python3
"""Usage: scripts/check-metrics.py BUILD

Each metric and each number of /stats has its place in conf/cache204-metrics.7, which has none that is
not there; names are by the conventions of Prometheus; and what the dashboard and the rules for Prometheus
ask for exists.
"""

import json
import pathlib
import re
import subprocess
import sys

CONF = pathlib.Path("conf")
PAGE = CONF / "cache204-metrics.7"
READERS = [CONF / "grafana-dashboard.json", CONF / "prometheus-rules.yml"]
GROUPS = ["counters", "gauges", "store", "process", "reload", "latency_us", "origin_us"]  # whose members are named
NAME = re.compile(r"(?<![\w:])(?:cache204|process)_[a-z0-9_]+(?![\w:])")
SERIES = {"histogram": ["_bucket", "_sum", "_count"]}
UNITS = ("_seconds", "_bytes")
failures = []


def fail(text):
    failures.append(text)


def told(what):
    tool = pathlib.Path(sys.argv[1]) / "tests/tools/check_metrics"
    return subprocess.run([tool, what], check=True, capture_output=True, text=True).stdout


def check_names(types, helps):
    for name, kind in types.items():
        if (kind == "counter") != name.endswith("_total"):
            fail(f"{name}: a {kind} is named so: {'NAME_total' if kind == 'counter' else 'without _total'}")
        if not helps.get(name):
            fail(f"{name}: no HELP")
        stem = name.removesuffix("_total")
        for unit in UNITS:
            if unit in stem and not stem.endswith(unit):
                fail(f"{name}: the unit stands at the end")
        if re.search(r"_(ms|us|milliseconds|kb|kib|mib|s)(_|$)", stem):
            fail(f"{name}: base units are seconds and bytes")


def check_page(types):
    text = PAGE.read_text(encoding="utf-8")
    items = re.findall(r"^\.It Ic (\S+)", text, re.M)
    for name in items:
        if name not in types:
            fail(f"{PAGE}: {name} is no metric")
        if items.count(name) > 1:
            fail(f"{PAGE}: {name} twice")
    for name in types:
        if name not in items:
            fail(f"{PAGE}: no {name}")
    members = set(re.findall(r"\bVa ([a-z0-9_.]+)", text))
    stats = set()
    for name, value in json.loads(told("stats")).items():
        stats |= {f"{name}.{member}" for member in value} if name in GROUPS else {name}
    for name in sorted(stats - members):
        fail(f"{PAGE}: no {name} of /stats")
    for name in sorted(members - stats):
        fail(f"{PAGE}: {name} is not in /stats")


def check_readers(types):
    """Recorded series have a colon in their name, and are not ours to have."""
    known = set(types)
    for name, kind in types.items():
        known |= {name + suffix for suffix in SERIES.get(kind, [])}
    for file in READERS:
        text = file.read_text(encoding="utf-8")
        names = set(NAME.findall(text))
        for name in sorted(names - known):
            fail(f"{file}: {name} is no metric")
        if not names:
            fail(f"{file}: no metric in it")
    json.loads(READERS[0].read_text(encoding="utf-8"))


def main():
    text = told("metrics")
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.M))
    check_names(types, helps)
    check_page(types)
    check_readers(types)
    for line in failures:
        print(line)
    if not failures:
        print(f"check-metrics: ok, {len(types)} metrics")
    sys.exit(bool(failures))


main()
