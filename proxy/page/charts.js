/* Charts, of SVG alone. Each takes its width from the page and has its meaning in words as its name. */

const chart = (width, height, label, ...kids) =>
  s("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: label ? "img" : null, "aria-label": label,
            "aria-hidden": label ? null : "true", focusable: "false"}, ...kids);
const rect = (x, y, width, height, className) =>
  s("rect", {x: x.toFixed(1), y: y.toFixed(1), width: Math.max(0, width).toFixed(1), height: Math.max(0, height).toFixed(1), class: className});
const line = (x1, y1, x2, y2, className) => s("line", {x1: x1.toFixed(1), y1, x2: x2.toFixed(1), y2, class: className});
const label = (x, y, words, attributes) => s("text", {x: x.toFixed(1), y, ...attributes}, words);

/* The stretches without a gap: [first, end). */
function stretches(values) {
  const found = [];
  let from = -1;
  for (let i = 0; i <= values.length; i++) {
    const there = i < values.length && num(values[i]) !== null;
    if (there && from < 0) from = i;
    if (!there && from >= 0) {
      found.push([from, i]);
      from = -1;
    }
  }
  return found;
}
const points = (values, from, end, x, y) => {
  const all = [];
  for (let i = from; i < end; i++) all.push(x(i).toFixed(1) + "," + y(values[i]).toFixed(1));
  return all;
};
function area(upper, lower, x, y, className) {
  const paths = stretches(upper).map(([from, end]) =>
    "M" + points(upper, from, end, x, y).join("L") + "L" + points(lower, from, end, x, y).reverse().join("L") + "Z");
  return s("path", {d: paths.join(""), class: className});
}
function path(values, x, y, className) {
  const paths = stretches(values).map(([from, end]) => "M" + points(values, from, end, x, y).join("L") + "h.1");
  return s("path", {d: paths.join(""), class: "l " + className});
}

/* Ticks of 0 to at least `max`, two or three of them. */
function scale(max) {
  if (!(max > 0)) return [0, 1];
  const rough = max / 3, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999);
  const ticks = [];
  for (let at = 0; ticks.length < 2 || ticks[ticks.length - 1] < max * 0.999; at++) ticks.push(at * step);
  return ticks;
}
function tickName(value) {
  if (value >= 1e6) return value / 1e6 + " M";
  if (value >= 1e4) return value / 1e3 + " k";
  return value >= 10 ? group(value) : String(+value.toPrecision(2));
}

/* ---- the four strips ---- */

const LAYERS = ["fresh", "shared", "stale", "confirmed", "fetched"];

function stripData(series) {
  const each = (f) => series.map((at) => (at === null ? null : f(at)));
  const levels = LAYERS.map((_, i) => each((at) => sum(LAYERS.slice(0, i + 1).map((name) => at[name]))));
  const all = levels[4], here = levels[2];
  return {
    levels, all,
    share: all.map((n, i) => (n ? here[i] / n : null)),
    asked: each((at) => (num(at.confirmed) || 0) + (num(at.fetched) || 0)),
    errors: each((at) => num(at.errors) || 0),
  };
}

/* Of one moment: `end` is the time at the right edge, and `live` says whether that is now. */
function strips(width, series, stepS, end, live, marks) {
  const right = 52, plot = width - right, data = stripData(series), n = series.length;
  const x = (i) => (n > 1 ? (i / (n - 1)) * plot : plot), kids = [];
  const perSecond = (values) => values.map((v) => (v === null ? null : v / stepS));
  const highest = (values) => values.reduce((most, v) => (v > most ? v : most), 0);
  let top = 0;
  const strip = (height, title, words, ticks, names) => {
    const base = top + 22 + height, most = ticks[ticks.length - 1];
    const y = (value) => base - (value / most) * height;
    kids.push(s("text", {x: 0, y: top + 13}, s("tspan", {class: "strong-part"}, title), " " + words));
    ticks.forEach((tick, i) => {
      kids.push(line(0, y(tick), plot, y(tick), "l-hair"));
      kids.push(label(plot + 8, Math.max(y(tick) + (i ? 9 : 0), top + 27), names[i]));
    });
    top = base + 8;
    return {y, base};
  };
  const bounds = [];
  const all = perSecond(data.all), levels = data.levels.map(perSecond), zero = all.map(() => 0);

  let ticks = scale(highest(all));
  const first = strip(140, "204s a second", "by where they came from", ticks, ticks.map(tickName));
  bounds.push([20, first.base]);
  levels.forEach((level, i) => kids.push(area(level, i ? levels[i - 1] : zero, x, first.y, "s-" + LAYERS[i])));
  kids.push(path(levels[0], x, first.y, "l-here"));

  const second = strip(36, "Without the origin", "% of 204s", [0, 1], ["0", "100 %"]);
  bounds.push([second.base - 36, second.base]);
  kids.push(area(data.share, zero, x, second.y, "s-soft2"), path(data.share, x, second.y, "l-here"));

  const asked = perSecond(data.asked);
  ticks = scale(highest(asked));
  ticks = [0, ticks[ticks.length - 1]];
  const third = strip(36, "At origins", "requests a second, own scale", ticks, ticks.map(tickName));
  bounds.push([third.base - 36, third.base]);
  kids.push(area(asked, zero, x, third.y, "s-fetched-soft"), path(asked, x, third.y, "l-fetched"));

  const errors = perSecond(data.errors), most = scale(highest(errors));
  const fourth = strip(24, "Errors a second", "answers that clients did not get", [0, most[most.length - 1]], ["", tickName(most[most.length - 1])]);
  bounds.push([fourth.base - 24, fourth.base]);
  errors.forEach((value, i) => {
    if (value > 0) kids.push(rect(x(i) - plot / n / 2, Math.min(fourth.y(value), fourth.base - 2), Math.max(plot / n, 1.5), Math.max(fourth.base - fourth.y(value), 2), "s-errors"));
  });

  const spanMs = Math.max(1, (n - 1) * stepS * 1000);
  let free = -1;
  for (const mark of marks) {
    const at = plot - ((end - mark.ms) / spanMs) * plot;
    if (at < 0 || at > plot) continue;
    for (const [from, to] of bounds) kids.push(line(at, from, at, to, mark.isEnd ? "l-end" : "l-mark"));
    const name = short(mark.name), wide = Array.from(name).length * 6.6 + 8;
    if (mark.isEnd || at < free || name === "") continue;
    kids.push(at + wide > plot ? label(at - 4, 32, name, {class: "mark halo", "text-anchor": "end"}) : label(at + 4, 32, name, {class: "mark halo"}));
    free = at + wide;
  }
  const steps = plot < 420 ? 2 : 6;
  for (let i = 0; i <= steps; i++) {
    const words = i === steps && live ? "now" : clock(end - spanMs * (1 - i / steps), i === steps || spanMs < 600000);
    kids.push(label((i / steps) * plot, top + 10, words, {"text-anchor": i === 0 ? "start" : i === steps ? "end" : "middle"}));
  }
  const told = `${$("strips-h").textContent}. 204s a second: ${tickName(Math.round(highest(all)))} at most, ` +
    `errors a second: ${tickName(highest(errors))} at most. The same as a table follows.`;
  return chart(width, top + 16, told, ...kids);
}

/* ---- small ones ---- */

/* A line, and an area of the same or of a second series. */
function spark(width, values, areaValues, lineClass, areaClass) {
  const height = 28, n = values.length, x = (i) => (n > 1 ? (i / (n - 1)) * width : width);
  const most = areaValues.reduce((high, v) => (v > high ? v : high), 0) || 1;
  const y = (v) => height - 1 - (v / most) * (height - 4);
  return chart(width, height, null, area(areaValues, areaValues.map(() => 0), x, y, areaClass), path(values, x, y, lineClass));
}
function sparkBars(width, values) {
  const height = 28, n = values.length || 1, most = values.reduce((high, v) => (v > high ? v : high), 0) || 1;
  return chart(width, height, null, line(0, height - 0.5, width, height - 0.5, "l-hair"),
    ...values.map((v, i) => (v > 0 ? rect((i / n) * width, height - Math.max(2, (v / most) * height), Math.max(1.5, width / n), height, "s-errors") : null)));
}

/* Parts of a whole, each at least a pixel wide. */
function split(width, height, parts) {
  const there = parts.filter(([n]) => n > 0), total = sum(there.map(([n]) => n)), kids = [];
  let at = 0;
  there.forEach(([n, className], i) => {
    const wide = Math.min((n / total) * (width - there.length), width - at);
    const least = Math.max(wide, 1);
    kids.push(rect(at, 0, least, height, className));
    if (className === "s-fresh" || className === "s-stale") kids.push(rect(at, height - 1.5, least, 1.5, "s-here"));
    at += least + (i < there.length - 1 ? 1 : 0);
  });
  return chart(width, height, null, ...kids);
}

/* From 0.1 ms on, a logarithmic scale of `decades`: p50 as a bar, a line to p99. */
function range(width, decades, p50, p99) {
  const x = (us) => Math.min(1, Math.max(0, Math.log10(Math.max(us, 1) / 100) / decades)) * (width - 4) + 2, kids = [line(0, 8, width, 8, "l-hair")];
  for (let tick = 1; tick < decades; tick++) kids.push(line(x(100 * 10 ** tick), 5, x(100 * 10 ** tick), 11, "l-hair"));
  if (num(p50) !== null) {
    if (num(p99) !== null) kids.push(rect(x(p50), 6.5, Math.max(1, x(p99) - x(p50)), 3, "s-confirmed"));
    kids.push(rect(x(p50) - 1, 3, 2.5, 10, "s-fetched"));
  }
  return chart(width, 16, null, ...kids);
}

const SHAPES = {
  ok: ["M3 8.5l3 3 7-7", "l-here l-bold"],
  no: ["M4 4l8 8M12 4l-8 8", "l-bad"],
  info: ["M8 7v5M8 3.6v1.6", "l-here l-bold"],
  warn: ["M8 2l7 12H1zM8 6.5v3.6M8 11.8v1", "l-warn"],
};
function icon(kind) {
  if (kind === "bad")
    return chart(16, 16, null, s("rect", {x: 1, y: 1, width: 14, height: 14, rx: 2, class: "s-errors"}), s("path", {d: "M8 4v5.5M8 11v1.6", class: "l l-on"}));
  const [d, className] = SHAPES[kind] || SHAPES.warn;
  return chart(16, 16, null, s("path", {d, class: "l " + className}));
}
