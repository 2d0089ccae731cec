"""The figures of a run, where people read them: the tables of bench/RESULTS.md, and a few of them in README.md.

    publish.py RESULT     of a run, build/bench/bench.json; `make bench-results`

What is between two marks, comments that name the part, is written anew; the words around them are by hand.
Loads that the run had not keep the table that they have. A run of some loads, as of those that are only made
when asked for, changes their tables and rows alone; the tables then tell the command.
"""

import pathlib
import re
import sys

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import compare, report  # noqa: E402 (their home is set above)
from harness.figures import shown  # noqa: E402
from harness.machine import Failed  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = {"cache204": "cache204", "floor": "floor", "nginx": "nginx", "squid": "Squid", "varnish": "Varnish",
           "trafficserver": "Traffic Server", "apache2": "httpd"}
ROWS = {"hit": "hit", "hit_pipelined": "hit, 16 pipelined", "hit_close": "hit on a connection of its own",
        "miss": "miss", "miss_tls": "miss, kept https origin", "tunnel_setup": "CONNECT, one exchange, closed",
        "tunnel_transfer": "CONNECT, per MiB"}


def summary(run, old):
    """README's table; the rows of loads that the run had not are kept."""
    kept = {line.split(" | ")[0][2:]: line for line in old.splitlines() if line.startswith("| ")}
    loads = {load["name"]: load for load in run["loads"]}
    lines = ["| CPU µs | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "---:|" * len(COLUMNS)]
    for name, title in ROWS.items():
        if name not in loads:
            lines.append(kept[title])
            continue
        results = loads[name]["results"]
        found = (results.get(loads[name]["floor"] if column == "floor" else column) for column in COLUMNS)
        lines.append("| " + " | ".join([title, *(
            shown(row["figures"]["cpu_per"]["median"]) if row else "" for row in found)]) + " |")
    return "\n".join(lines)


def is_whole(run):
    return ROWS.keys() <= {load["name"] for load in run["loads"]}


def tables(text, run):
    """The tables that are there already, with those of the run in place of the same load's."""
    machine = run["machine"]
    by = "" if is_whole(run) else f"\n\nBy `{run['command']}`, commit {machine['commit']}, {machine['date']}."
    titles = {load["title"]: report.table(load) + by for load in run["loads"]}
    kept = [part for part in re.split(r"(?=^### )", text, flags=re.M) if part.startswith("### ")]
    kept = {part.partition("\n")[0][len("### "):]: part.strip() for part in kept}
    return "\n\n".join({**kept, **titles}.values())


def between(text, name, make):
    """The text with make(what is between the marks of this name) there."""
    begin, end = f"<!-- {name}: by make bench-results -->\n", f"<!-- end of {name} -->\n"
    before, found, rest = text.partition(begin)
    old, ended, after = rest.partition(end)
    if not found or not ended:
        raise Failed(f"no marks for {name}")
    return f"{before}{begin}\n{make(old)}\n\n{end}{after}"


def main():
    run = compare.read(sys.argv[1])
    if run["quick"]:
        raise Failed("a quick run is no result to publish")
    results, readme = ROOT / "bench/RESULTS.md", ROOT / "README.md"
    text = between(results.read_text(encoding="utf-8"), "tables", lambda old: tables(old, run))
    if is_whole(run):
        text = between(text, "run", lambda _: "\n\n".join(report.machine_lines(run)))
    results.write_text(text, encoding="utf-8")
    short = between(readme.read_text(encoding="utf-8"), "figures", lambda old: summary(run, old))
    readme.write_text(short, encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench: {failure}")
