/* An answer of /dash.json on the page: every number of a view is of one answer. */

/* ---- the last hour, kept by the numbers of its rows; of a proxy that has just begun the last five minutes ---- */

const slots = () => (past1h.stepS === 1 ? 300 : 360);
const past1h = {rows: new Map(), next: null, stepS: 10, endMs: null};

function keepHistory(d) {
  const history = object(d.history), columns = object(history.columns), next = num(history.next);
  const count = Math.max(0, ...Object.values(columns).map((column) => list(column).length));
  if (next === null) return;
  const stepS = num(history.step_s) || 10;
  if (past1h.next !== null && (next < past1h.next || stepS !== past1h.stepS)) past1h.rows.clear();
  past1h.next = next;
  past1h.stepS = stepS;
  past1h.endMs = num(history.end_ms) ?? num(d.now_ms);
  for (let i = 0; i < count; i++) {
    const at = {};
    for (const [name, column] of Object.entries(columns)) at[name] = num(list(column)[i]);
    const isGap = LAYERS.every((name) => at[name] === null || at[name] === undefined);
    past1h.rows.set(next - count + i, isGap ? null : at);
  }
  for (const key of past1h.rows.keys()) if (key < next - slots()) past1h.rows.delete(key);
}
function forgetHistory() {
  past1h.rows.clear();
  past1h.next = null;
}
/* The row that is known last is asked for again, as it may have grown. */
const historyAfter = () => (past1h.next === null || past1h.next < 1 || stepWanted() !== past1h.stepS ? null : past1h.next - 1);
const stepWanted = () => (shown && shown.now_ms - shown.start_ms < 300000 ? 1 : 10);
function series() {
  const found = [];
  for (let i = (past1h.next || 0) - slots(); i < (past1h.next || 0); i++) found.push(past1h.rows.get(i) || null);
  return found;
}

/* ---- words of the moment ---- */

let shown = null;       /* the answer on the page */
let kind = "hosts";
let isLost = false;

const total204 = (d) => sum(LAYERS.map((name) => object(d.answers204)[name]));
const seconds = (d) => num(d.window_s) || 60;
function windowWords(d) {
  const asked = $("window").querySelector(":checked").value, s = seconds(d);
  if (asked === "0") return "since start";
  if (asked === "3600") return s > 3540 ? "in the last hour" : "in the last " + age(s);
  return s > 55 ? "in the last minute" : "in the last " + age(s);
}
const isEmpty = (d) => total204(d) === 0 && num(object(d.share).w0) === null;

function explainButton(uri, words) {
  const button = h("button", {type: "button", class: "link", title: "Explain it"}, bdi(words === undefined ? text(uri).replace(/^http:\/\//, "") : words));
  button.addEventListener("click", () => explain(text(uri)));
  return button;
}

/* ---- the verdict ---- */

const level = (note) => (["bad", "warn"].includes(note.level) ? note.level : "info");
const sentence = (note) => text(note.text);
const notesOf = (d) => list(d.notes).map(object).filter((note) => sentence(note) !== "");

function nothing(d) {
  if (isEmpty(d)) return ["Ready.", "Waiting for the first request."];
  const failed = list(d.errors_recent).map(object).filter((error) => !(error.status >= 200 && error.status < 400));
  const latest = failed.reduce((ms, error) => Math.max(ms, num(error.last_ms) || 0), 0);
  const ok = list(d.hosts).every((host) => ["ok", "slow", "", "null"].includes(text(object(host).state)));
  const words = latest ? `No client got an error in the last ${age((d.now_ms - latest) / 1000)}` : "No client got an error since start";
  if (latest && d.now_ms - latest < 60000) return ["Nothing needs you.", "The last error is less than a minute ago."];
  return ["Nothing needs you.", words + (ok ? "; all origins answer." : ".")];
}

/* One row of the verdict; its sentence may change its numbers, and then stays where it is. */
const plainOf = (words) => words.replace(/[\d\s.,:]+/g, " ");
function noteRow(first) {
  const strong = h("strong"), words = h("bdi"), since = h("time"), todo = h("bdi"), more = h("p", {class: "more"}, todo, " ");
  const shape = first.kind === "lost" ? "warn" : first.kind;
  const node = h("div", {class: "note" + (first.kind === "bad" || first.kind === "warn" ? ` ${first.kind}-note` : "")}, icon(shape),
    h("p", {class: "sentence"}, strong, " ", words), since, more);
  if (first.uri) more.append(explainButton(first.uri, "Explain"));
  return {node, update: (note) => {
    say(strong, note.strong || "");
    say(words, visible(note.words));
    words.setAttribute("class", note.strong ? "second" : "");
    say(since, note.since || "");
    say(todo, visible(note.todo));
    show(more, Boolean(note.todo || first.uri));
  }};
}

let spoken = null;
function verdict(d) {
  const notes = notesOf(d), found = [];
  if (isLost) found.push({kind: "lost", strong: `Not known since ${clock(d.now_ms)}.`, words: "Below is what was true then."});
  else if (!notes.some((note) => level(note) !== "info")) {
    const [strong, words] = nothing(d);
    found.push({kind: "ok", strong, words});
  }
  for (const note of notes) {
    const since = num(note.since_ms);
    found.push({kind: level(note), words: sentence(note), todo: text(note.do), uri: note.uri || (note.host ? `http://${note.host}/` : null),
                since: since === null ? null : `since ${clock(since, false)} · ${age((d.now_ms - since) / 1000)}`});
  }
  if (restartedAt !== null) found.push({kind: "info", strong: `Restarted at ${clock(restartedAt)}.`, words: "Counters began anew."});
  rows($("verdict"), found, (note) => `${note.kind} ${plainOf(note.strong || note.words)} ${found.filter((other) => plainOf(other.words) === plainOf(note.words)).indexOf(note)}`, noteRow, false);
  const now = isLost ? "Not connected." : found.map((note) => note.strong || note.words).join(" ");
  if (spoken !== null && plainOf(spoken) !== plainOf(now)) say($("status"), visible(now));
  spoken = now;
}

/* ---- the number ---- */

const SOURCES = [["fresh", "Fresh from the store"], ["shared", "Shared another’s fetch"], ["stale", "Stale, as allowed"],
                 ["confirmed", "Confirmed by the origin"], ["fetched", "Fetched from the origin"]];
const keyMark = (name) => h("span", {class: "key " + name, "aria-hidden": "true"});

function theNumber(d) {
  const all = total204(d), of = object(d.answers204), share = object(d.share), stale = ratio(num(of.stale) || 0, all);
  const main = ratio(sum([of.fresh, of.shared, of.stale]), all);
  if (main === null) $("number").replaceChildren(h("small", null, "No 204 " + windowWords(d)));
  else $("number").replaceChildren(percent(main, ""), h("small", null, "%"));
  show($("split"), stale > 0.01);
  if (stale > 0.01)
    $("split").replaceChildren(
      h("li", null, keyMark("fresh"), percent(ratio(sum([of.fresh, of.shared]), all)) + " fresh or shared"),
      h("li", null, keyMark("stale"), h("strong", null, percent(stale) + " stale, as an origin fails or is asked behind")));
  const asked = $("window").querySelector(":checked").value;
  const parts = [["60", "last minute", share.w60], ["3600", "1 h", share.w3600], ["0", "since start", share.w0]]
    .map(([window, words, value]) => (window === asked ? windowWords(d).replace("in the ", "") : `${words} ${percent(value)}`));
  say($("windows"), parts.join(" · "));
  $("bar").replaceChildren(split($("bar").clientWidth || 340, 14, LAYERS.map((name) => [num(of[name]) || 0, "s-" + name])));
  const body = $("sources").tBodies[0];
  rows(body, SOURCES.concat([["all", "All 204s"]]), ([name]) => name, ([name, words]) => {
    const share = cell({class: "num"}), each = cell({class: "num"});
    const node = h("tr", {role: "row", class: name}, rowHead(null, name === "all" ? null : keyMark(name), words), share, each);
    return {node, update: () => {
      const n = name === "all" ? total204(shown) : num(object(shown.answers204)[name]);
      say(share, name === "all" ? "" : percent(ratio(n, total204(shown))));
      say(each, rate(n, seconds(shown)) + "/s");
    }};
  });
}

/* ---- strips and vitals ---- */

function marksOf(d) {
  const marks = list(d.marks).map(object).map((mark) => ({name: mark.name, ms: num(mark.ms), isEnd: /[-_.]end$/.test(text(mark.name))}));
  const events = list(d.events).map(object).map((event) => ({name: event.text, ms: num(event.ms), isEnd: false}));
  return marks.concat(events).filter((mark) => mark.ms !== null).sort((a, b) => a.ms - b.ms);
}

function theStrips(d) {
  const known = series(), end = past1h.endMs ?? d.now_ms;
  say($("strips-h"), past1h.stepS === 1 ? "The last five minutes" : "The last hour");
  $("strips").replaceChildren(strips(Math.max(260, $("strips").clientWidth), known, past1h.stepS, end, !isLost, marksOf(d)));
  if ($("strips-more").open) stripTable(known, end);
}
/* A row a minute, the newest first. */
function stripTable(known, end) {
  const perRow = Math.max(1, Math.round(60 / past1h.stepS)), lines = [];
  for (let to = known.length; to > 0; to -= perRow) {
    const part = known.slice(Math.max(0, to - perRow), to).filter((at) => at !== null), s = part.length * past1h.stepS;
    if (!part.length) continue;
    const total = (names) => sum(part.map((at) => sum(names.map((name) => at[name]))));
    const all = total(LAYERS), here = total(LAYERS.slice(0, 3));
    lines.push(row(rowHead(null, clock(end - (known.length - to + perRow) * past1h.stepS * 1000, false)), cell(null, rate(all, s)),
      cell(null, percent(ratio(here, all))), cell(null, rate(total(["stale"]), s)), cell(null, rate(total(["confirmed", "fetched"]), s)), cell(null, group(total(["errors"])))));
  }
  const made = table($("strips-h").textContent + ", a row a minute", "", [["Minute from"], ["204s a second"], ["Without the origin"], ["Stale a second"], ["At origins a second"], ["Errors"]]);
  made.body.append(...lines);
  $("strips-more").querySelector(".wide").replaceChildren(made.node);
}

function theVitals(d) {
  const known = series(), each = (f) => known.map((at) => (at === null ? null : f(at)));
  let wide = 100;
  const hit = object(object(d.latency_us).hit), miss = object(object(d.latency_us).miss), first = object(object(d.origin_us).first_byte);
  const asked = sum([object(d.answers204).confirmed, object(d.answers204).fetched]), other = num(object(d.other).total);
  const requests = each((at) => sum(LAYERS.map((name) => at[name])) + (num(at.other) || 0));
  const kept = each((at) => sum(LAYERS.slice(0, 3).map((name) => at[name])));
  const column = (name) => each((at) => num(at[name]));
  const latency = (values, p50, p99, tone) => [micros(values.p50), () => spark(wide, column(p50), column(p99), "l-" + tone, tone === "here" ? "s-fresh" : "s-fetched-soft"),
    num(values.p99) === null ? "no request " + windowWords(d) : `area: p99 ${micros(values.p99)} · max ${micros(values.max)}`];
  const errors = num(d.errors), lastError = list(d.errors_recent).map(object).reduce((ms, error) => Math.max(ms, num(error.last_ms) || 0), 0);
  const vitals = [
    ["Requests", rate(d.requests, seconds(d)) + " /s", () => spark(wide, requests, requests, "l-ink", "s-ink-soft"),
      (num(d.clients) === null ? "" : group(d.clients) + " clients · ") + percent(ratio(other, num(d.requests))) + " not 204"],
    ["Kept from origins", rate(object(d.saved).requests, seconds(d)) + " /s", () => spark(wide, kept, kept, "l-here", "s-soft2"),
      asked > 0 ? "origins see 1 of " + group(Math.max(1, (num(d.requests) || 0) / asked)) : "no origin was asked"],
    ["Hit, median", ...latency(hit, "hit_p50", "hit_p99", "here")],
    ["Miss, median", ...latency(miss, "miss_p50", "miss_p99", "fetched")],
    ["Origin’s first byte", ...latency(first, "fb_p50", "fb_p99", "fetched")],
    ["Errors", group(errors) + " " + windowWords(d), () => sparkBars(wide, column("errors")),
      errors > 0 ? percent(ratio(errors, num(d.requests))) + " of requests" : lastError ? `last one ${past(d.now_ms, lastError)}` : "none since start"],
  ];
  rows($("vitals"), vitals, ([name]) => name, ([name]) => {
    const value = h("p", {class: "value"}), line = h("div"), sub = h("p", {class: "sub"});
    return {node: h("li", null, h("h3", null, name), value, line, sub), update: ([, words, picture, more]) => {
      const at = words.indexOf(" ");
      if (value.textContent !== words.replace(" ", "")) value.replaceChildren(at < 0 ? words : words.slice(0, at), at < 0 ? "" : h("small", null, words.slice(at + 1)));
      line.picture = picture;
      say(sub, more);
    }};
  });
  const lines = [...$("vitals").querySelectorAll("li > div")];
  wide = Math.max(60, lines[0].clientWidth);
  for (const line of lines) line.replaceChildren(line.picture());
}

/* ---- reasons ---- */

const capital = (words) => words.slice(0, 1).toUpperCase() + words.slice(1);
function theReasons(parent, items, never) {
  const all = sum(items.map((item) => item.n)), most = Math.max(1, ...items.map((item) => num(item.n) || 0));
  if (items.length === 0 && !isHeld(parent)) {
    parent.known = null;
    parent.replaceChildren(h("p", {class: "second"}, never));
    return;
  }
  if (!parent.known) parent.replaceChildren();
  rows(parent, items, (item) => text(item.reason), (item) => {
    const token = text(item.reason), [meaning, todo] = REASONS.get(token) || [token, ""];
    const share = h("span", {class: "pct"}), meter = h("span", {class: "meter", "aria-hidden": "true"}), n = h("span", {class: "n num"});
    const last = h("p"), node = h("details", null,
      h("summary", null, share, meter, h("span", null, h("bdi", null, short(capital(meaning))), " ", h("code", {class: "token"}, short(token))), n),
      h("div", {class: "text"}, todo ? h("p", null, todo) : null, last,
        h("p", {class: "second"}, "In answers: ", h("code", null, "Cache-Status: …; detail=" + short(token)))));
    return {node, update: (now) => {
      say(share, percent(ratio(num(now.n), sum(list(parent.items).map((i) => i.n)))));
      say(n, group(now.n));
      meter.replaceChildren(chart(84, 8, null, rect(0, 0, 84, 8, "s-rest"), rect(0, 0, (84 * (num(now.n) || 0)) / Math.max(1, sum(list(parent.items).map((i) => i.n))), 8, "s-fetched")));
      if (last.title_ !== text(now.uri)) {
        last.title_ = text(now.uri);
        last.replaceChildren(...(now.uri ? ["Last: ", explainButton(now.uri)] : []));
      }
    }};
  });
}

function reasons(d) {
  const asked = list(d.asked).map(object), not = list(d.not_stored).map(object), other = object(d.other);
  const askedN = sum(asked.map((item) => item.n)), notN = sum(not.map((item) => item.n));
  $("asked").items = asked;
  $("not").items = not;
  say($("asked-n"), askedN ? `${group(askedN)} ${windowWords(d)}` : "");
  say($("not-n"), notN ? `${group(notN)} ${windowWords(d)}` : "");
  theReasons($("asked"), asked, "Never " + windowWords(d) + ".");
  theReasons($("not"), not, "All were stored.");
  const by = list(other.by).map(object).map((item) => (item.status === "tunnels" ? `${group(item.n)} tunnels` : `${group(item.n)}\u00a0×\u00a0${short(item.status)}`));
  const words = (notN && askedN ? " of what origins were asked brought a 204 that may not be kept. " : "") +
    (num(other.total) ? `Not counted here: ${group(other.total)} answers other than 204, which are never kept${by.length ? ` (${by.join(", ")})` : ""}.` : "");
  sayStrong($("not-more"), notN && askedN ? percent(Math.min(1, notN / askedN)) : "", words);
}

/* ---- hosts and URLs ---- */

const stateWords = (state) => STATES[state] || short(state).replace(/[-_]/g, " ");
function answered(item) {
  const here = num(item.here) || 0, stale = Math.min(num(item.stale) || 0, here), asked = num(item.asked) || 0, all = here + asked;
  if (all === 0) return [h("span", {class: "second"}, "none answered")];
  return [split(120, 9, [[here - stale, "s-fresh"], [stale, "s-stale"], [asked, "s-fetched"]]),
          h("span", null, percent(here / all), stale / all > 0.01 ? h("span", {class: "second"}, " stale") : null)];
}
function firstByte(item) {
  const us = object(item.first_byte_us), state = text(item.state);
  if (state && state !== "ok" && state !== "slow") return [h("span", {class: "bad"}, stateWords(state))];
  if (num(us.p50) === null) return [h("span", {class: "second"}, num(item.asked) ? DASH : "not asked")];
  return [range(150, 5, us.p50, us.p99), h("span", {class: "second"}, `${micros(us.p50)} – ${micros(us.p99)}`, state === "slow" ? h("span", {class: "slow"}, " slow") : null)];
}
function hostRow(isUrl, first) {
  const requests = cell({class: "num"}), here = h("div", {class: "withbar"}), asked = cell({class: "num", "data-label": "asked"});
  const times = h("div", {class: "withbar"}), size = cell({class: "num soft drop"}), failures = cell({"data-label": "failed"});
  const uri = isUrl ? text(first.uri) : "http://" + text(first.host) + "/";
  const name = first.more ? first.more : isUrl ? explainButton(uri) : explainButton(uri, first.host);
  const node = row(rowHead({class: "name-cell"}, name), requests, cell(null, here), asked, isUrl ? null : cell({class: "range"}, times), size, failures);
  return {node, update: (item) => {
    say(requests, group(item.requests));
    here.replaceChildren(...answered(item));
    say(asked, group(item.asked));
    times.replaceChildren(...(item.more ? [] : firstByte(item)));
    say(size, bytes(item.bytes));
    say(failures, group(item.failures));
    failures.setAttribute("class", "num failures " + (item.failures > 0 ? "bad" : "soft"));
    if (item.more) say(node.firstChild, item.more);
  }};
}
let hostTable = null;
function hosts(d) {
  const isUrl = kind === "urls", other = object(d.hosts_other);
  if (!hostTable || hostTable.kind !== kind) {
    hostTable = {kind, ...table(isUrl ? "URLs" : "Hosts", "rows " + kind, [[isUrl ? "URL" : "Host", "name-cell"], ["Requests", "num"],
      ["Answered without the origin"], ["Asked", "num"], ...(isUrl ? [] : [["Origin’s first byte, p50 to p99, ticks at 1, 10, 100 ms, 1 s"]]), ["Bytes", "num drop"], ["Failures", "num"]])};
    $("hosts").replaceChildren(hostTable.node);
  }
  const items = list(isUrl ? d.urls : d.hosts).map(object);
  if (!isUrl && num(other.requests)) items.push({...other, more: `${group(other.hosts)} more hosts`});
  rows(hostTable.body, items, (item) => (item.more ? "\u0000more" : text(isUrl ? item.uri : item.host)), (item) => hostRow(isUrl, item));
  say($("hosts-what"), isUrl ? "URLs" : "Hosts");
  say($("hosts-n"), windowWords(d).replace("in the ", ""));
  const error = num(other.error);
  say($("hosts-more"), items.length === 0 ? "None yet." : error > 0
    ? `Counted by a sketch of fixed size: a number may be too high by ${group(error)} at most, never too low. Choose one to explain it.` : "Choose one to explain it.");
}

/* ---- origins, store, in flight, errors ---- */

const STEPS = [["dns", "Name look-up"], ["connect", "Connect"], ["tls", "TLS handshake"], ["first_byte", "First byte"]];
function times(d) {
  const all = object(d.origin_us);
  if (!$("times").body) {
    const made = table("Time at origins", "", [["Step"], ["p50 to p99, drawn"], ["p50 to p99", "num"], ["Times", "num"]]);
    made.node.tHead.setAttribute("class", "vh");
    $("times").replaceChildren(made.node);
    $("times").body = made.body;
  }
  rows($("times").body, STEPS, ([name]) => name, ([name, words]) => {
    const drawn = cell(), told = cell({class: "num"}), n = cell({class: "num"});
    return {node: row(rowHead(null, words), drawn, told, n), update: () => {
      const values = object(object(shown.origin_us)[name]);
      drawn.replaceChildren(range(130, 5, values.p50, values.p99));
      say(told, num(values.p50) === null ? "not asked" : `${micros(values.p50)} – ${micros(values.p99)}`);
      say(n, num(values.n) === null ? "" : group(values.n) + " ×");
    }};
  });
  const reused = num(d.origin_reused);
  if (reused === null) sayStrong($("reused"), "", STEPS.some(([name]) => num(object(all[name]).n)) ? "" : "None asked " + windowWords(d) + ".");
  else sayStrong($("reused"), percent(reused), " of requests went out on a connection that was open already; only the rest pay for the first three rows.");
}

function store(d) {
  const of = object(d.store), evicted = num(of.evicted), fresh = num(of.evicted_fresh), ages = object(of.evicted_age_s), full = ratio(num(of.used), num(of.size));
  say($("store-n"), `${bytes(of.used)} of ${bytes(of.size)}`);
  const wide = Math.max(120, $("store-bar").clientWidth);
  $("store-bar").replaceChildren(chart(wide, 14, null, rect(0, 0, wide, 14, "s-rest"), full === null ? null : rect(0, 0, wide * Math.min(1, full), 14, "s-fresh"), full === null ? null : rect(0, 12.5, wide * Math.min(1, full), 1.5, "s-here")));
  const when = windowWords(d);
  const pairs = [["Entries", group(of.entries)], ["New " + when, group(of.stored)], ["Evicted " + when, group(of.evicted)], ["Of these still fresh", group(of.evicted_fresh)], ["Lost for want of room", group(of.dropped)]];
  if (of.restored === true) pairs.push(["Restored from a copy", "yes"]);
  const now = pairs.flat().join();
  if ($("store").now !== now) $("store").replaceChildren(...pairs.flatMap(([a, b]) => [h("dt", null, a), h("dd", null, b)]));
  $("store").now = now;
  if (evicted === 0) sayStrong($("store-more"), "", num(of.dropped) > 0 ? "Writes were lost: the store had no room or its disk failed." : "Nothing evicted yet.");
  else if (evicted === null) sayStrong($("store-more"), "", "");
  else {
    const tooSmall = fresh !== null && fresh > evicted / 10;
    const words = num(ages.p50) === null ? "" : ` Half of what is evicted was stored ${age(ages.p50)} before${num(ages.p10) === null ? "" : `, nine tenths over ${ages.p10 >= 7200 ? group(ages.p10 / 3600) + " h" : age(ages.p10)}`}.`;
    sayStrong($("store-more"), tooSmall ? "Too small." : "Large enough.", words + (tooSmall ? ` ${percent(fresh / evicted)} of the evicted were fresh: raise store_size.` : ""));
  }
}

function flight(d) {
  const of = object(d.in_flight), oldest = list(of.oldest).map(object);
  say($("flight-n"), num(of.n) === null ? "" : `${group(of.n)} exchanges` + (of.waiting > 0 ? `, ${group(of.waiting)} wait for another’s fetch` : ""));
  if (oldest.length === 0) {
    if (!isHeld($("flight"))) $("flight").replaceChildren(h("p", {class: "second"}, of.n > 0 ? "None for long." : "None."));
    $("flight").known = null;
    return;
  }
  if (!$("flight").known) $("flight").replaceChildren($("flight").ul = h("ul", {class: "plain"}));
  $("flight").known = true;
  rows($("flight").ul, oldest, (item) => text(item.id ?? item.uri) + " " + text(item.phase), (item) => {
    const old = h("span"), words = h("small");
    return {node: h("li", null, old, explainButton(item.uri), words), update: (now) => {
      say(old, micros(1000 * num(now.age_ms)));
      old.setAttribute("class", now.age_ms >= 5000 ? "bad" : "");
      say(words, (PHASES[now.phase] || short(now.phase)) + (now.waiters > 0 ? `, ${group(now.waiters)} wait for it` : ""));
    }};
  });
}

/* The sentence for the client, up to where it names an option. */
const failureWords = (name) => (FAILURES.has(name) ? FAILURES.get(name).split(/[:.]/)[0] : short(name));
function gotWords(status) {
  if (num(status) === null) return DASH;
  if (status === 0) return "cut off";
  if (status === 204 || status === 304) return "a stale 204";
  return status >= 400 ? `${status} error` : String(status);
}
function errors(d) {
  const recent = list(d.errors_recent).map(object).sort((a, b) => (num(b.last_ms) || 0) - (num(a.last_ms) || 0));
  show($("errors-section"), !isEmpty(d) || recent.length > 0);
  if (recent.length === 0) {
    if (!isHeld($("errors"))) {
      $("errors").body = null;
      $("errors").replaceChildren(h("p", {class: "second"}, "None since start."));
    }
    return;
  }
  if (!$("errors").body) {
    const made = table("Recent errors", "rows", [["Last"], ["What"], ["URL"], ["Times", "num"], ["The client got"]]);
    $("errors").body = made.body;
    $("errors").replaceChildren(made.node);
  }
  rows($("errors").body, recent, (item) => [item.failure, item.uri, item.status, item.first_ms].map(text).join(" "), (item) => {
    const last = cell({class: "soft"}), n = cell({class: "num", "data-label": "times"}), detail = h("small");
    const failed = item.status === 0 || item.status >= 400;
    const node = row(last, cell({class: "what"}, h("bdi", null, failureWords(item.failure)), detail), cell({class: "url"}, item.uri ? explainButton(item.uri) : DASH), n,
      cell({class: failed ? "bad" : ""}, gotWords(item.status)));
    return {node, update: (now) => {
      say(last, past(shown.now_ms, num(now.last_ms)));
      say(n, group(now.n));
      say(detail, visible(now.detail));
    }};
  });
}

/* ---- just started ---- */

function begin(d) {
  const proxy = visible(d.proxy || "127.0.0.1:3128"), admin = visible(d.admin || location.host), tunnels = list(object(d.other).by).map(object).find((item) => item.status === "tunnels");
  say($("begin-text"), `This page fills within two seconds of the first request. The proxy listens on ${proxy}${num(object(d.store).size) === null ? "" : `, the store has room for ${bytes(d.store.size)}`}.`);
  const pairs = [["Requests so far", group(d.requests)], ["Tunnels so far", group(tunnels ? tunnels.n : d.tunnels ?? 0)], ["Errors so far", group(d.errors)]];
  $("so-far").replaceChildren(...pairs.flatMap(([a, b]) => [h("dt", null, a), h("dd", null, b)]));
  const steps = [
    ["Send one request through it.", "", `export http_proxy=http://${proxy}\ncurl -si http://YOUR-ORIGIN/ping`],
    ["Send it again.", " The answer says what the cache did.", "Cache-Status: cache204; hit; ttl=59"],
    ["Not a hit?", " Type the URL into “Explain a URL” above, or:", "cache204 explain --fetch http://YOUR-ORIGIN/ping"],
    ["Load it.", "", `curl -X POST --noproxy '*' http://${admin}/marks/run-a\nwrk -t2 -c64 -d30s --latency -s bench/load/hit.lua \\\n    http://${proxy} -- YOUR-ORIGIN`],
  ];
  const now = JSON.stringify(steps);
  if ($("steps").now !== now)
    $("steps").replaceChildren(...steps.map(([strong, more, code]) => h("li", null, h("strong", null, strong), more, h("pre", {class: "box", tabindex: "0", "aria-label": "Commands: " + strong}, code))));
  $("steps").now = now;
}

/* ---- all of it ---- */

function view(d) {
  shown = d;
  const empty = isEmpty(d), number = ratio(sum([object(d.answers204).fresh, object(d.answers204).shared, object(d.answers204).stale]), total204(d));
  say($("about"), [d.name, d.version, num(d.start_ms) === null ? null : "up " + age((d.now_ms - d.start_ms) / 1000),
    num(d.workers) === null ? null : `${group(d.workers)} worker${d.workers === 1 ? "" : "s"}`, d.state && d.state !== "serving" ? d.state : null]
    .filter((part) => part !== null && part !== undefined && part !== "").map(short).join(" · "));
  show($("all"), !empty);
  show($("begin"), empty);
  verdict(d);
  if (empty) begin(d);
  else for (const part of [theNumber, theStrips, theVitals, reasons, hosts, times, store, flight]) part(d);
  errors(d);
  runs(d);
  const alarm = isLost || notesOf(d).some((note) => level(note) !== "info");
  document.title = `${alarm ? "(!) " : ""}${empty ? "No 204 yet" : percent(number)} · cache204`;
}
