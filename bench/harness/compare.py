"""Two runs side by side: what has changed, beyond the spread of either."""

import json

from harness.figures import shown as number
from harness.machine import Failed


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            run = json.load(file)
        run["loads"], run["machine"]["commit"]  # noqa: B018 (is it one of ours?)
        return run
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failed(f"COMPARE={path}: not a result of this bench: {error!r}") from None


def compared_by(row):
    """What a row is compared by: CPU time or memory, or the p99 (undisturbed) of those at a fixed rate."""
    for name in ("cpu_per", "quiet_p99_us"):
        if name in row["figures"] and (name != "cpu_per" or "wanted_rate" not in row["figures"]):
            return name
    return "rate"


def changes(old, new):
    """(load, label, what, old summary, new summary, verdict) of each row that both have, and what only one has."""
    before = {load["name"]: load for load in old["loads"]}
    for load in new["loads"]:
        former = before.get(load["name"], {"results": {}})
        for label, row in load["results"].items():
            what = compared_by(row)
            was = former["results"].get(label, {}).get("figures", {}).get(what)
            now = row["figures"][what]
            if was is None:
                yield load["name"], label, what, None, now, "new"
            elif now["least"] > was["most"]:
                yield load["name"], label, what, was, now, "more"
            elif now["most"] < was["least"]:
                yield load["name"], label, what, was, now, "less"
            else:
                yield load["name"], label, what, was, now, "within the spread"
        for label in former["results"].keys() - load["results"].keys():
            was = former["results"][label]
            yield (load["name"], label, compared_by(was), was["figures"][compared_by(was)], None, "gone: " +
                   load["reasons"].get(label, "not measured"))


def shown(summary):
    if summary is None:
        return "–"
    return f"{number(summary['median'])} ({number(summary['least'])} to {number(summary['most'])})"


def table(old, new):
    lines = ["", f"Compared with {old['machine']['commit']} of {old['machine']['date']}; `more` and `less` where no "
             "round of one is within those of the other.", "",
             "| Load | Server | of | before | now | × | |", "|---|---|---|---:|---:|---:|---|"]
    for load, label, what, was, now, verdict in changes(old, new):
        times = f"{now['median'] / was['median']:.3f}" if was and now and was["median"] else "–"
        lines.append(f"| {load} | {label} | {what} | {shown(was)} | {shown(now)} | {times} | {verdict} |")
    return "\n".join(lines)
