"""Plots as SVG: a row for each server, a dot for each round, a bar to the median."""

import html
import math

from harness.figures import shown as number

WIDTH, LEFT, RIGHT, ROW, TOP = 820, 190, 130, 26, 8
QUANTILES = {"quiet_p50_us": "p50", "quiet_p99_us": "p99", "quiet_p999_us": "p99.9"}  # of undisturbed requests


def kind_of(load, label):
    if label == load["floor"]:
        return "floor"
    return "ours" if label.startswith("cache204") else "other"


def steps(most):
    """Round numbers for the grid, from 0 to `most`."""
    size = 10 ** math.floor(math.log10(most / 4)) if most > 0 else 1
    size *= next(times for times in (1, 2, 5, 10) if most / (size * times) <= 6)
    return [size * i for i in range(int(most / size) + 1)]


def svg(rows, ticks, place, unit):
    """rows: (label, kind, values, median, words beside)."""
    height = TOP + ROW * len(rows) + 34
    bottom = TOP + ROW * len(rows)
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg">']
    for tick in ticks:
        x = place(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
                     f'<text class="soft" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text class="soft" x="{LEFT}" y="{bottom + 29}">{html.escape(unit)}</text>')
    for line, (label, kind, values, median, words) in enumerate(rows):
        y = TOP + ROW * line + ROW / 2
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{html.escape(label)}</text>'
                     f'<rect class="{kind}" x="{LEFT}" y="{y - 6:.1f}" width="{max(place(median) - LEFT, 0):.1f}" '
                     'height="12" fill-opacity="0.35" stroke="none"/>')
        parts += [f'<circle class="{kind}" cx="{place(value):.1f}" cy="{y:.1f}" r="2.6" fill-opacity="0.8"/>'
                  for value in values]
        parts.append(f'<text x="{max(place(max(values)), place(median)) + 8:.1f}" y="{y + 4:.1f}">'
                     f'{html.escape(words)}</text>')
    return "".join(parts) + "</svg>"


def figure(image, caption):
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>"


def of_cpu(load, unit):
    rows, most = [], 0
    for label, row in load["results"].items():
        values = [one["cpu_per"] for one in row["rounds"].values()]
        median = row["figures"]["cpu_per"]["median"]
        times = f", {row['ratio']['median']:.2f} ×" if row.get("ratio") else ""
        rows.append((label, kind_of(load, label), values, median, f"{number(median)}{times}"))
        most = max(most, *values)
    scale = (WIDTH - LEFT - RIGHT) / most
    return figure(svg(rows, steps(most), lambda value: LEFT + value * scale, unit),
                  "Less is better. The bar is the median, a dot is a round; × is beside the base.")


def of_latency(load):
    """Quantiles of latency, on a scale of powers of ten."""
    rows = []
    for label, row in load["results"].items():
        for name, words in QUANTILES.items():
            values = [max(one[name], 1) for one in row["rounds"].values()]
            median = max(row["figures"][name]["median"], 1)
            rows.append((f"{label}, {words}", kind_of(load, label), values, median, number(median)))
    low = math.floor(math.log10(min(min(values) for _, _, values, _, _ in rows)))
    high = math.ceil(math.log10(max(max(values) for _, _, values, _, _ in rows)) + 1e-9)
    scale = (WIDTH - LEFT - RIGHT) / max(high - low, 1)
    return figure(svg(rows, [10 ** power for power in range(low, high + 1)],
                      lambda value: LEFT + (math.log10(value) - low) * scale, "µs"),
                  "Less is better. Each line of the grid is ten times the one before.")


def of_load(load, unit):
    return of_cpu(load, unit) if load["unit"] else of_latency(load)
