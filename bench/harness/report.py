"""The result of a run as Markdown tables, and as one HTML page with its plots in it."""

import html
import json

from harness import compare, plot, servers
from harness.figures import shown as number

UNITS = {"request": "CPU µs/request", "MiB": "CPU µs/MiB", "connection": "bytes/connection", "start": "ms"}


def spread(summary):
    return f"{number(summary['least'])} to {number(summary['most'])}"


def ratio(summary):
    if summary is None:
        return "–"
    return f"{summary['median']:.2f} ({summary['low']:.2f} to {summary['high']:.2f})"


def cells(load, label, row):
    """The cells of a row, as texts."""
    value = row["figures"]
    if load["unit"]:
        rate = value.get("rate")
        bad = row["bad_rounds"]
        count = f", {len(row['rounds'])} of {len(row['rounds']) + bad} rounds" if bad else ""
        shown = [number(value["cpu_per"]["median"]), spread(value["cpu_per"]) + count,
                 ratio(row.get("floor_ratio")), ratio(row.get("ratio"))]
        shown += [f"{rate['median']:.0f}" if rate else "–", row["bound"] if rate else "–",
                  f"{value['asked']['median'] / value['answers']['median']:.4f}"
                  if load["unit"] == "request" else "–"]
    else:
        shown = [f"{value['wanted_rate']['median']:.0f}", *(
            f"{value[name]['median']:.0f} ({spread(value[name])})" for name in plot.QUANTILES),
            f"{value['p999_us']['median']:.0f}", f"{100 * value['undisturbed']['median']:.1f}"]
    return [label, *shown]


def headings(load):
    if load["unit"]:
        return ["Server", UNITS[load["unit"]], "spread", f"× {load['floor'] or 'floor'}", "× base", "requests/s",
                "bound by", "origin/request"]
    return ["Server", "requests/s", *(f"{name} µs" for name in plot.QUANTILES.values()), "p99.9 µs of all",
            "undisturbed %"]


def machine_lines(run):
    machine, pinned = run["machine"], run["pinned"]
    versions = ", ".join(f"{run['titles'][name]} {version}" for name, version in run["versions"].items())
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory, "
        f"{machine['system']}, Linux {machine['kernel']}, load average {machine['load_average']} at the start; "
        f"commit {machine['commit']}, {machine['date']}.",
        f"{versions}.",
        f"`{run['command']}`: {run['rounds']} rounds of {run['seconds']:g} s ({run['paced_seconds']:g} s at fixed "
        f"rates), {run['connections']} connections; servers on core {pinned['server']}, load and origin on core "
        f"{pinned['load']}.",
        "Medians of the rounds, with the least and the most. A ratio is the median of the ratios of the rounds, "
        f"with an interval of order statistics ({confidence(run)}): the base is cache204, or of a server "
        "with something switched on, the same server without.",
        "Rates compare servers only where the server's core is the bound; CPU time does everywhere."]
    if run["real_time_for_latency"]:
        lines.append("At fixed rates server and load have real-time priority, and latencies are those of undisturbed "
                     "requests: of those that came while neither waited for a core that somebody else had.")
    return lines


def confidence(run):
    for load in run["loads"]:
        for row in load["results"].values():
            if row.get("ratio"):
                return f"{row['ratio']['confidence']:.0%}"
    return "as many rounds as there are"


def table(load):
    """Markdown, for bench/RESULTS.md."""
    parts = [f"### {load['title']}"]
    if load["why"]:
        parts.append(f"`{load['name']}`: {load['why']}.")
    if load["results"]:
        names = headings(load)
        lines = ["| " + " | ".join(names) + " |", "|---" + "|---:" * (len(names) - 1) + "|"]
        lines += ["| " + " | ".join(cells(load, label, row)) + " |" for label, row in load["results"].items()]
        parts.append("\n".join(lines))
    if load["reasons"]:
        parts.append("No row: " + "; ".join(f"{label} ({reason})" for label, reason in load["reasons"].items()) + ".")
    return "\n\n".join(parts)


def tables(run):
    """All that a run tells, as Markdown."""
    return "\n\n".join(["\n".join(machine_lines(run)), *map(table, run["loads"])]) + "\n"


# ---- the page -----------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; --ink: #1b2127; --soft: #5b6670; --line: #d5dbe0; --paper: #fff; --ours: #0b6e4f;
        --other: #56708a; --floor: #a8642a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e9ec; --soft: #9aa6b0; --line: #333c44; --paper: #14181c;
        --ours: #4cc79b; --other: #8fabc7; --floor: #dc9c62; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 68rem;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .3rem; border-top: 1px solid var(--line);
       padding-top: .8rem; }
p { margin: .4rem 0; } .soft, figcaption { color: var(--soft); font-size: .87rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .87rem; margin: .5rem 0; }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap;
         font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } figure { margin: .6rem 0; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .soft { fill: var(--soft); font-size: 12px; } svg .grid { stroke: var(--line); }
svg .ours { fill: var(--ours); stroke: var(--ours); } svg .other { fill: var(--other); stroke: var(--other); }
svg .floor { fill: var(--floor); stroke: var(--floor); }
pre { overflow-x: auto; font-size: .8rem; background: color-mix(in srgb, var(--line) 35%, transparent);
      padding: .6rem; }
"""


def text(value):
    return html.escape(str(value))


def table_of(names, rows):
    head = "".join(f"<th>{text(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def section(load):
    parts = [f'<h2 id="{text(load["name"])}">{text(load["title"])}</h2>']
    if load["why"]:
        parts.append(f'<p class="soft">{text(load["why"])}.</p>')
    if load["results"]:
        parts.append(plot.of_load(load, UNITS.get(load["unit"], "µs")))
        parts.append(table_of(headings(load), [cells(load, label, row) for label, row in load["results"].items()]))
    if load["reasons"]:
        parts.append("<p>No row: " + "; ".join(
            f"<b>{text(label)}</b>: {text(reason)}" for label, reason in load["reasons"].items()) + ".</p>")
    return "\n".join(parts)


def comparison(old, run):
    if old is None:
        return ""
    rows = [[load, label, what, compare.shown(was), compare.shown(now), verdict]
            for load, label, what, was, now, verdict in compare.changes(old, run)]
    return (f"<h2>What has changed</h2><p>Since {text(old['machine']['commit'])} of {text(old['machine']['date'])}; "
            "<i>more</i> and <i>less</i> where no round of one is within those of the other.</p>" +
            table_of(["Load", "Server", "of", "before", "now", ""], rows))


def configurations(run):
    parts = ["<h2>Configurations</h2><p>Lines that begin with [word] are there in runs of that kind only.</p>"]
    for path in sorted(servers.PEERS.rglob("*")):
        if path.is_file():
            parts.append(f"<details><summary>{text(path.relative_to(servers.PEERS))}</summary>"
                         f"<pre>{text(path.read_text(encoding='utf-8'))}</pre></details>")
    figures = json.dumps({"machine": run["machine"], "command": run["command"]})
    return "\n".join(parts) + f'<p class="soft">{text(figures)}</p>'


def page(run, old=None):
    lines = "".join(f"<p>{text(line.replace('`', ''))}</p>" for line in machine_lines(run))
    left_out = "".join(f"<p>Left out: {text(name)}, {text(why)}.</p>" for name, why in run["left_out"].items())
    links = " · ".join(f'<a href="#{text(load["name"])}">{text(load["title"])}</a>' for load in run["loads"])
    body = "\n".join(section(load) for load in run["loads"])
    return ("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width\"><title>cache204 beside its peers</title>"
            f"<style>{STYLE}</style></head><body><h1>cache204 beside its floors and its peers</h1>{lines}{left_out}"
            f"<p class=\"soft\">{links}</p>{comparison(old, run)}{body}{configurations(run)}</body></html>\n")
