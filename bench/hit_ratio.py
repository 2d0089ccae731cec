#!/usr/bin/python3
"""Hit ratios by eviction policy: runs build/bench/micro/hit_ratio and draws what it says.

    bench/hit_ratio.py BUILD [HIT_RATIO'S ARGUMENTS ...]

Prints a Markdown table of each trace, and leaves BUILD/bench/hit_ratio.svg, .json and .md. Shares are of all
requests after the first fifth of a trace; where a file has sizes, by bytes after a slash.
"""

import json
import math
import pathlib
import subprocess
import sys
from html import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 380, 250, 46, 34, 104, 40
COLORS = {"FIFO": "#9aa0a6", "LRU": "#b06000", "S3-FIFO": "#7b3fb5", "W-TinyLFU": "#1e8e3e", "SIEVE": "#1a5fd0",
          "Belady": "#202124"}


def measured(program, arguments):
    with subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True) as process:
        names = process.stdout.readline().rstrip("\n").split("\t")
        for line in process.stdout:
            row = dict(zip(names, line.rstrip("\n").split("\t")))
            print(f"hit_ratio: {row['trace']}, {row['entries']} entries", file=sys.stderr)
            yield row
    if process.returncode:
        sys.exit(process.returncode)


def share(text):
    return float(text.split("/")[0])


def table(trace, rows, policies):
    first = rows[0]
    seconds = f", over {float(first['seconds']) / 3600:.1f} h" if float(first["seconds"]) else ""
    lines = [f"{trace}: {int(first['requests']):,} requests for {int(first['distinct']):,} objects{seconds}; hits in %", "",
             "| Entries, of the objects | " + " | ".join(policies) + " |", "|---:|" + "---:|" * len(policies)]
    for row in rows:
        ratios = " | ".join("/".join(f"{100 * float(part):.1f}" for part in row[name].split("/")) for name in policies)
        lines.append(f"| {100 * float(row['size']):g} % | {ratios} |")
    return "\n".join(lines) + "\n"


def panel(trace, rows, policies, at):
    """One trace: size in logarithms to the right, share of hits up."""
    low, high = math.log(float(rows[0]["size"])), math.log(float(rows[-1]["size"]))
    top = max(share(row[name]) for row in rows for name in policies)

    def x(size):
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(float(size)) - low) / (high - low or 1)

    def y(ratio):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * ratio / (top or 1)

    out = [f'<g transform="translate({at[0]},{at[1]})"><text x="{LEFT}" y="18" font-weight="bold">{escape(trace)}</text>']
    for step in range(5):
        value = top * step / 4
        out.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{100 * value:.0f} %</text>')
    for row in rows[::2]:
        out.append(f'<text x="{x(row["size"]):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
                   f'{100 * float(row["size"]):g} %</text>')
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 6}" fill="#555">entries, of the objects</text>')
    labels = sorted(policies, key=lambda name: -share(rows[-1][name]))
    place = TOP
    for name in labels:
        color = COLORS.get(name, "#000")
        points = " ".join(f"{x(row['size']):.1f},{y(share(row[name])):.1f}" for row in rows)
        width = 3 if name == "SIEVE" else 1.5
        place = max(place, y(share(rows[-1][name])))
        out.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{width}"/>'
                   f'<text x="{WIDTH - RIGHT + 8}" y="{place + 4:.1f}" fill="{color}">{escape(name)}</text>')
        place += 13
    return "".join(out) + "</g>"


def drawing(traces, policies):
    columns = min(2, len(traces))
    lines = math.ceil(len(traces) / columns)
    panels = [panel(trace, rows, policies, (WIDTH * (i % columns), HEIGHT * (i // columns)))
              for i, (trace, rows) in enumerate(traces.items())]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * columns}" height="{HEIGHT * lines}" '
            f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
            + "".join(panels) + "</svg>\n")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1]) / "bench"
    traces = {}
    for row in measured(folder / "micro/hit_ratio", sys.argv[2:]):
        traces.setdefault(row["trace"], []).append(row)
    if not traces:
        sys.exit("hit_ratio: a trace is too short for any size")
    names = list(next(iter(traces.values()))[0])
    policies = names[names.index("entries") + 1:]
    text = "\n".join(table(trace, rows, policies) for trace, rows in traces.items())
    (folder / "hit_ratio.md").write_text(text)
    (folder / "hit_ratio.json").write_text(json.dumps(traces, indent=1))
    (folder / "hit_ratio.svg").write_text(drawing(traces, policies))
    print(text)
    print(f"hit_ratio: {folder}/hit_ratio.svg, .json, .md")


if __name__ == "__main__":
    main()
