/* Nodes and numbers: text is only ever text, and unknown is a dash. */

const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

function fill(node, attributes, kids) {
  for (const [name, value] of Object.entries(attributes || {}))
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  node.append(...kids.filter((kid) => kid !== null && kid !== undefined));
  return node;
}
const h = (name, attributes, ...kids) => fill(document.createElement(name), attributes, kids);
const s = (name, attributes, ...kids) => fill(document.createElementNS(SVG, name), attributes, kids);

/* A change alone touches the page: selections stay, and nothing is read aloud twice. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
function show(node, on) {
  if (node.hidden === on) node.hidden = !on;
}

/* A number that counts, and its sentence. */
function sayStrong(node, strong, words) {
  if (!node.strong) node.replaceChildren(node.strong = h("strong"), node.rest = h("span"));
  say(node.strong, strong);
  say(node.rest, words);
}

/* ---- what came over the wire ---- */

const LONGEST = 96;
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

const text = (value) => (value === null || value === undefined ? "" : String(value));

/* Controls and marks that turn the writing about are shown, not obeyed. */
function visible(value) {
  return text(value).replace(HIDDEN, (c) => {
    const code = c.codePointAt(0).toString(16);
    return code.length <= 4 ? "\\u" + code.padStart(4, "0") : "\\u{" + code + "}";
  });
}
function short(value) {
  const all = Array.from(visible(value));
  if (all.length <= LONGEST) return all.join("");
  return all.slice(0, LONGEST - 40).join("") + "…" + all.slice(-39).join("");
}
const bdi = (value) => h("bdi", null, short(value));

/* Lines of a head: each is shown so, the ends of lines are kept. */
const lines = (value) => text(value).split(/\r?\n/).map(visible).join("\n");

const num = (value) => (typeof value === "number" && isFinite(value) ? value : null);
const list = (value) => (Array.isArray(value) ? value : []);
const object = (value) => (value && typeof value === "object" && !Array.isArray(value) ? value : {});
const sum = (values) => values.reduce((total, value) => total + (num(value) || 0), 0);

/* ---- numbers ---- */

const THIN = "\u202f", DASH = "–";

function group(value) {
  if (num(value) === null) return DASH;
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, THIN);
}
function rate(count, seconds) {
  if (num(count) === null || !num(seconds)) return DASH;
  const each = count / seconds;
  return each > 0 && each < 9.95 ? each.toFixed(1).replace(/\.0$/, "") : group(each);
}
/* A share, never rounded to all or none of it. */
function percent(share, unit = " %") {
  if (num(share) === null) return DASH;
  const text = (100 * share).toFixed(1);
  if (text === "100.0" && share < 1) return ">99.9" + unit;
  if (text === "0.0" && share > 0) return "<0.1" + unit;
  return text + unit;
}
const ratio = (a, b) => (num(a) === null || !num(b) ? null : a / b);

function two(value, unit) {
  return (value < 9.95 ? value.toFixed(1) : String(Math.round(value))) + " " + unit;
}
function micros(us) {
  if (num(us) === null) return DASH;
  if (us < 999.5) return Math.round(us) + " µs";
  return us < 999500 ? two(us / 1000, "ms") : two(us / 1e6, "s");
}
function bytes(n) {
  if (num(n) === null) return DASH;
  if (n < 1024) return Math.round(n) + " B";
  let unit = -1;
  do { n /= 1024; unit++; } while (n >= 999.5 && unit < 4);
  return two(n, ["KiB", "MiB", "GiB", "TiB", "PiB"][unit]);
}
/* Two units at most. */
function age(seconds) {
  if (num(seconds) === null) return DASH;
  const whole = Math.max(0, Math.floor(seconds)), min = Math.floor(whole / 60), hours = Math.floor(min / 60);
  if (whole < 60) return whole + " s";
  if (hours < 1) return min + " min";
  if (hours < 24) return hours + " h" + (min % 60 ? " " + (min % 60) + " min" : "");
  return Math.floor(hours / 24) + " d" + (hours % 24 ? " " + (hours % 24) + " h" : "");
}
/* Grace times are read to the second where they are short. */
const span = (seconds) => (num(seconds) !== null && seconds < 120 ? Math.round(seconds) + " s" : age(seconds));
function clock(ms, withSeconds = true) {
  if (num(ms) === null) return DASH;
  const date = new Date(ms);
  return isNaN(date) ? DASH : date.toISOString().slice(11, withSeconds ? 19 : 16);
}
const past = (now, ms) => (num(ms) === null ? DASH : now - ms < 1500 ? "now" : age((now - ms) / 1000) + " ago");

/* ---- lists whose rows stay ---- */

let under = null;  /* what the pointer is on; a finger is on nothing once it is lifted */
for (const type of ["pointerover", "pointerdown"])
  document.addEventListener(type, (event) => { under = event.pointerType === "touch" ? null : event.target; });
document.documentElement.addEventListener("pointerleave", () => { under = null; });
const isHeld = (parent) => parent.contains(under) || parent.contains(document.activeElement);

/*
 * A row for each item, kept by its key. make(item) returns {node, update(item)}. While the pointer or the focus is
 * within, rows change their numbers and not their places; what is new then waits.
 */
function rows(parent, items, key, make, mayHold = true) {
  const known = parent.known || (parent.known = new Map());
  const held = mayHold && isHeld(parent), wanted = new Map(items.map((item) => [key(item), item]));
  for (const [name, item] of wanted) {
    const row = known.get(name);
    if (row) row.update(item);
    else if (!held || known.size < wanted.size) {
      const made = make(item);
      known.set(name, made);
      made.update(item);
      if (held) parent.append(made.node);
    }
  }
  if (held) return;
  for (const [name, row] of known)
    if (!wanted.has(name)) {
      row.node.remove();
      known.delete(name);
    }
  let at = parent.firstChild;
  for (const name of wanted.keys()) {
    const node = known.get(name).node;
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
}

/* Tables are laid out as two-line rows on a phone, where some browsers forget what they are: so roles are said. */
const cell = (attributes, ...kids) => h("td", {role: "cell", ...attributes}, ...kids);
const rowHead = (attributes, ...kids) => h("th", {scope: "row", role: "rowheader", ...attributes}, ...kids);
const row = (...kids) => h("tr", {role: "row"}, ...kids);
function table(label, className, heads) {
  const body = h("tbody", {role: "rowgroup"});
  const node = h("table", {role: "table", class: className, "aria-label": label},
    h("thead", {role: "rowgroup"}, row(...heads.map(([name, type]) =>
      h("th", {scope: "col", role: "columnheader", class: type}, name)))), body);
  return {node, body};
}
