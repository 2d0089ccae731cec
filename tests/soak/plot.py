"""An SVG of what a soak has sampled: a panel for each kind, one under the other, and a line for each event."""

import html

WIDTH, PANEL, GAP, LEFT, RIGHT, TOP = 1100, 130, 34, 70, 150, 70
COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd"]
EVENTS = {"reload": "#bbbbbb", "upgrade": "#9467bd", "kill": "#d62728"}


def nice_top(value):
    """The least of 1, 2, 5 times a power of ten that is not below."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value > 0:
        power /= 10
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value) if value > 0 else 1.0


def spell(value):
    return f"{value:g}"


class Plot:
    """panels: [(title, {name: [numbers]})] over `times`, in seconds; events: [(time, kind)]."""

    def __init__(self, title, times, panels, events):
        self.title, self.times, self.panels, self.events = title, times, panels, events
        self.end = max([1e-9, times[-1], *(time for time, _ in events)])
        self.out = []

    def x(self, time):
        return LEFT + (WIDTH - LEFT - RIGHT) * time / self.end

    def add(self, text):
        self.out.append(text)

    def text(self, x, y, words, **attributes):
        more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
        self.add(f'<text x="{x:.1f}" y="{y:.1f}"{more}>{html.escape(words)}</text>')

    def svg(self):
        height = TOP + len(self.panels) * (PANEL + GAP) + 30
        self.add(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                 f'height="{height}" font-family="sans-serif" font-size="11">')
        self.add(f'<rect width="{WIDTH}" height="{height}" fill="white"/>')
        self.text(LEFT, 22, self.title, font_size=15)
        for number, (kind, colour) in enumerate(EVENTS.items()):
            count = sum(name == kind for _, name in self.events)
            self.text(LEFT + 140 * number, 44, f"| {count} {kind}{'s' if count != 1 else ''}", fill=colour)
        for number, (title, lines) in enumerate(self.panels):
            self.panel(TOP + number * (PANEL + GAP), title, lines)
        self.seconds(height - 22)
        self.add("</svg>")
        return "\n".join(self.out) + "\n"

    def panel(self, top, title, lines):
        bottom = top + PANEL
        highest = nice_top(max((n for numbers in lines.values() for n in numbers), default=0))
        for time, kind in self.events:
            if kind in EVENTS:
                self.add(f'<line x1="{self.x(time):.1f}" x2="{self.x(time):.1f}" y1="{top}" y2="{bottom}" '
                         f'stroke="{EVENTS[kind]}" stroke-opacity="0.35"/>')
        for share in (0, 0.5, 1):
            y = bottom - PANEL * share
            self.add(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
            self.text(LEFT - 6, y + 4, spell(highest * share), text_anchor="end")
        self.text(LEFT, top - 6, title, font_weight="bold")
        for number, (name, numbers) in enumerate(lines.items()):
            points = " ".join(f"{self.x(time):.1f},{bottom - PANEL * value / highest:.1f}"
                              for time, value in zip(self.times, numbers))
            colour = COLOURS[number % len(COLOURS)]
            self.add(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
            self.text(WIDTH - RIGHT + 8, top + 12 + 15 * number, f"{name} {spell(round(numbers[-1], 2))}", fill=colour)

    def seconds(self, y):
        for step in range(7):
            time = self.end * step / 6
            self.text(self.x(time), y, f"{time / 60:.1f} min", text_anchor="middle")


def write(path, *arguments):
    path.write_text(Plot(*arguments).svg(), encoding="utf-8")
