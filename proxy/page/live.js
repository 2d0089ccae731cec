/* Asking, every two seconds, and what becomes of the page while there is no answer; load tests; the start. */

const EVERY_MS = 2000, LIMIT_MS = 4000, AGAIN_MS = [1000, 2000, 4000, 8000, 15000];

let token = null;        /* kept here, and nowhere else */
let failed = 0;          /* questions in a row without an answer */
let isPaused = false, isAsking = false, timer = 0, nextTry = 0, needsToken = false;
let restartedAt = null, restartNoted = 0;

/* The JSON of an answer. An error has the status of an answer that is none. */
async function ask(path, method = "GET", limit = LIMIT_MS) {
  const stop = new AbortController(), timeout = setTimeout(() => stop.abort(), limit);
  try {
    const response = await fetch(path, {method, signal: stop.signal, cache: "no-store", credentials: "omit", redirect: "error",
                                        headers: token === null ? {} : {Authorization: "Bearer " + token}});
    const body = await response.text();
    if (response.status === 401) {
      needsToken = true;
      show($("token-form"), true);
    }
    if (!response.ok) throw Object.assign(new Error(body.trim().slice(0, 1000) || "The proxy answers " + response.status), {status: response.status});
    return body === "" ? null : JSON.parse(body);
  } catch (error) {
    if (error.name === "AbortError") throw Object.assign(new Error(`No answer within ${limit / 1000} s.`), {status: 0});
    if (error.status === undefined) throw Object.assign(new Error("No answer that can be read: " + error.message), {status: 0});
    throw error;
  } finally {
    clearTimeout(timeout);
  }
}

function dashPath() {
  const window = shown && isEmpty(shown) ? "0" : $("window").querySelector(":checked").value, after = historyAfter();
  return `/dash.json?window=${window}&step=${stepWanted()}&sort=${$("sort").value}` + (after === null ? "" : `&after=${after}`);
}

function schedule(ms) {
  clearTimeout(timer);
  timer = setTimeout(refresh, ms);
  nextTry = Date.now() + ms;
}

let again = false;       /* asked for while an answer is awaited: another one then */
async function refresh() {
  if (document.hidden || isPaused || needsToken) return;
  if (isAsking) {
    again = true;
    return;
  }
  isAsking = true;
  clearTimeout(timer);
  try {
    const d = object(await ask(dashPath(), "GET", failed === 1 ? LIMIT_MS / 2 : LIMIT_MS));
    if (num(d.now_ms) === null) throw new Error("not an answer of /dash.json");
    if (shown && num(d.start_ms) !== null && num(shown.start_ms) !== null && d.start_ms !== shown.start_ms) restarted(d);
    else if (Date.now() - restartNoted > 60000) restartedAt = null;
    received(d);
    schedule(again || stepWanted() !== past1h.stepS ? 0 : EVERY_MS);
  } catch (error) {
    if (error.status === undefined) error.status = 0;
    failed++;
    if (!needsToken) {
      if (failed >= 2) lost(error);
      schedule(AGAIN_MS[Math.min(failed, AGAIN_MS.length) - 1]);
    }
  }
  again = false;
  isAsking = false;
  tick();
}
function restarted(d) {
  forgetHistory();
  restartedAt = d.start_ms;
  restartNoted = Date.now();
}
function received(d) {
  failed = 0;
  isLost = false;
  document.documentElement.classList.remove("lost");
  show($("band"), false);
  say($("band-what"), "");
  keepHistory(d);
  view(d);
}
function lost(error) {
  isLost = true;
  document.documentElement.classList.add("lost");
  show($("band"), true);
  say($("band-what"), error.status >= 400 ? `${location.host} answers ${error.status}.` : `Not connected to ${location.host}.`);
  if (shown) view(shown);
}

/* What grows older by itself. */
let heard = 0;
function tick() {
  const s = (ms) => Math.max(0, Math.round(ms / 1000));
  if (failed === 0 && shown) heard = heard && heard.now === shown.now_ms ? heard : {now: shown.now_ms, at: Date.now()};
  const old = heard ? s(Date.now() - heard.at) : null;
  say($("live"), isPaused ? `Paused at ${shown ? clock(shown.now_ms) : DASH}` : isLost ? (old === null ? "No answer" : `No answer for ${age(old)}`)
    : shown ? `Live ${clock(shown.now_ms)}` : "Asking …");
  $("dot").setAttribute("class", "dot" + (isPaused ? " paused" : isLost ? " lost" : ""));
  if (isLost)
    say($("band-more"), (shown ? `What you see is of ${clock(shown.now_ms)} UTC, ${age(old)} old. ` : "") +
      `cache204 may be restarting, or the way to it is cut; ${isAsking || nextTry - Date.now() < 500 ? "trying now." : `next try in ${s(nextTry - Date.now())} s.`}`);
}

/* ---- load tests: a run is from a mark to NAME-end, or to the next mark ---- */

const measured = new Map();  /* of finished runs, by their bounds */
const endOf = (name) => new RegExp("^" + name.replace(/[.]/g, "\\.") + "[-_.]end$");

function runsOf(d) {
  const marks = list(d.marks).map(object).filter((mark) => text(mark.name) !== "" && num(mark.ms) !== null).sort((a, b) => a.ms - b.ms);
  const isEnd = (mark) => marks.some((other) => endOf(text(other.name)).test(text(mark.name)));
  return marks.filter((mark) => !isEnd(mark)).map((mark) => {
    const later = marks.filter((other) => other.ms > mark.ms);
    const end = later.find((other) => endOf(text(mark.name)).test(text(other.name))) || later[0] || null;
    return {name: text(mark.name), ms: mark.ms, until: end && text(end.name), endMs: end && end.ms};
  });
}
function choices(select, found, preset) {
  const names = found.map((run) => run.name), before = select.value;
  if (JSON.stringify(names) === select.names) return;
  select.names = JSON.stringify(names);
  select.replaceChildren(...names.map((name) => h("option", {value: name}, short(name))));
  select.value = names.includes(before) && select.chosen ? before : preset;
}
function runs(d) {
  const found = runsOf(d);
  show($("runs"), !isEmpty(d) || found.length > 0);
  show($("choose"), found.length > 1);
  say($("runs-n"), found.length ? "two runs side by side" : "a mark at the start and the end of each run makes them comparable");
  if (found.length === 0) {
    if (!$("compare").none) $("compare").replaceChildren($("compare").none = h("p", {class: "second"}, "No marks yet. From a script: ", h("code", null, `curl -X POST --noproxy '*' http://${visible(d.admin || location.host)}/marks/run-a`)));
    $("latency").replaceChildren();
    lastRuns = null;
    return;
  }
  $("compare").none = null;
  choices($("run-a"), found, (found[found.length - 2] || found[0]).name);
  choices($("run-b"), found, found[found.length - 1].name);
  compare([$("run-a").value, $("run-b").value].map((name) => found.find((run) => run.name === name)).filter(Boolean));
}
async function compare(pair) {
  const now = pair.map((run) => `${run.name} ${run.ms} ${run.until}`).join(" ");
  const isOver = pair.every((run) => run.until !== null);
  if ($("compare").now === now && (isOver || Date.now() - $("compare").at < 10000)) return;
  $("compare").now = now;
  $("compare").at = Date.now();
  try {
    const answers = await Promise.all(pair.map(async (run) => {
      const key = `${run.name} ${run.ms} ${run.until}`;
      if (measured.has(key)) return measured.get(key);
      const answer = object(await ask(`/stats?since=${encodeURIComponent(run.name)}` + (run.until ? `&until=${encodeURIComponent(run.until)}` : ""), "GET", 10000));
      if (run.until) measured.set(key, answer);
      return answer;
    }));
    if ($("compare").now === now) showRuns(pair, answers);
  } catch (error) {
    $("compare").replaceChildren(h("p", {class: "second"}, "The runs could not be compared: ", h("bdi", null, short(error.message))));
    $("latency").replaceChildren();
    $("compare").at = Date.now();
    $("compare").now = "";
  }
}
/* Which way is better; the same within 2 %. */
function change(a, b, higherIsBetter, isShare) {
  if (num(a) === null || num(b) === null) return "";
  if (isShare) {
    const points = 100 * (b - a);
    return `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)} points ${Math.abs(points) < 0.5 ? "same" : points > 0 === higherIsBetter ? "better" : "worse"}`;
  }
  if (a === 0) return "";
  const by = b / a - 1;
  return `${by < 0 ? "−" : "+"}${Math.abs(100 * by).toFixed(1)} % ${Math.abs(by) < 0.02 ? "same" : by > 0 === higherIsBetter ? "better" : "worse"}`;
}
let lastRuns = null;
function showRuns(pair, answers) {
  lastRuns = [pair, answers];
  const get = (f) => answers.map(f);
  const tail = (name) => get((of) => num(object(of.latency_us)[name]));
  const thousand = get((of) => (num(of.origin) === null || !num(of.requests) ? null : (1000 * of.origin) / of.requests));
  const wanted = [
    ["Requests a second", get((of) => num(of.rate)), group, true], ["Without the origin", get((of) => num(of.share)), (v) => percent(v), true, true],
    ["Hit, p50", tail("p50"), micros, false], ["Hit, p99", tail("p99"), micros, false], ["Hit, slowest", tail("max"), micros, false],
    ["CPU a request", get((of) => num(of.cpu_us)), (v) => (num(v) === null ? DASH : v.toFixed(1) + " µs"), false],
    ["Asked origins, of 1 000", thousand, (v) => (num(v) === null ? DASH : v.toFixed(1)), false], ["Errors", get((of) => num(of.errors)), group, false],
  ].filter(([, values]) => values.some((value) => value !== null));
  const isOne = pair.length < 2 || pair[0].name === pair[1].name;
  const columns = isOne ? pair.slice(0, 1) : pair;
  const made = table("Two runs side by side", "", [["What", "vh"]]);
  const heads = made.node.tHead.rows[0];
  columns.forEach((run, i) => heads.append(h("th", {scope: "col", role: "columnheader", class: "num"}, bdi(run.name), answers[i].note ? h("small", null, h("br"), short(answers[i].note)) : null)));
  if (!isOne) heads.append(h("th", {scope: "col", role: "columnheader", class: "num"}, "Change"));
  made.body.append(...wanted.map(([name, values, format, higher, isShare]) => row(rowHead(null, name), ...columns.map((_, i) => cell({class: "num"}, format(values[i]))),
    isOne ? null : cell({class: "num"}, change(values[0], values[1], higher, isShare)))));
  $("compare").replaceChildren(made.node);
  const bounds = columns.map((run) => `${short(run.name)} ${clock(run.ms, false)}–${run.endMs ? clock(run.endMs, false) : "now"}`).join(", ");
  $("latency").replaceChildren(h("p", null, "Latency of hits"), latencyChart(columns, answers), h("p", null, `Log scale: bar p50, dots p90 and p99, ring slowest. ${bounds}.`));
}
function latencyChart(columns, answers) {
  const width = Math.max(260, $("latency").clientWidth), left = 60, x = (us) => left + (Math.min(5, Math.log10(Math.max(us, 1))) / 5) * (width - left - 36), kids = [];
  const bottom = 24 + columns.length * 46;
  ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms"].forEach((words, i) => {
    const at = x(10 ** i);
    kids.push(line(at, 8, at, bottom, "l-hair"), label(at, bottom + 16, words, {"text-anchor": "middle"}));
  });
  columns.forEach((run, i) => {
    const of = object(answers[i].latency_us), y = 40 + i * 46;
    kids.push(label(0, y + 4, Array.from(short(run.name)).slice(0, 9).join(""), {class: "strong"}));
    if (num(of.p50) === null || num(of.max) === null) return;
    kids.push(line(x(of.p50), y, x(of.max), y, "l l-here"), rect(x(of.p50) - 1, y - 7, 2.5, 14, "s-here"));
    let free = -1;
    for (const [name, value] of [["p50", of.p50], ["p90", of.p90], ["p99", of.p99], ["max", of.max]]) {
      if (num(value) === null) continue;
      if (name === "p90" || name === "p99") kids.push(s("circle", {cx: x(value), cy: y, r: 4, class: "s-here"}));
      if (name === "max") kids.push(s("circle", {cx: x(value), cy: y, r: 4, class: "ring"}));
      if (x(value) > free) {
        kids.push(label(x(value), y - 12, name, {"text-anchor": "middle"}));
        free = x(value) + 24;
      }
    }
  });
  return chart(width, bottom + 22, "Latency of hits of the runs, as in the table.", ...kids);
}
async function setMark(event) {
  event.preventDefault();
  const name = $("mark").value.trim();
  if (!/^[A-Za-z][A-Za-z0-9._-]{0,31}$/.test(name)) {
    say($("mark-said"), "A name begins with a letter, and has up to 32 letters, digits, dots, dashes and underscores.");
    return;
  }
  try {
    await ask("/marks/" + name, "POST", 10000);
    say($("mark-said"), `Mark ${name} is set.`);
    $("mark").value = "";
    refresh();
  } catch (error) {
    say($("mark-said"), visible(error.message));
  }
}

/* ---- the start ---- */

function pause() {
  isPaused = !isPaused;
  $("pause").setAttribute("aria-pressed", String(isPaused));
  clearTimeout(timer);
  if (!isPaused) refresh();
  tick();
}
function start() {
  $("explain-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const uri = $("uri").value.trim();
    if (uri !== "") explain(/^[a-z][a-z0-9+.-]*:\/\//i.test(uri) ? uri : "http://" + uri);
  });
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    token = $("token").value.trim().replace(/[^\x21-\x7e]/g, "") || null;
    $("token").value = "";
    needsToken = false;
    show($("token-form"), false);
    refresh();
  });
  $("mark-form").addEventListener("submit", setMark);
  $("pause").addEventListener("click", pause);
  $("try").addEventListener("click", refresh);
  $("window").addEventListener("change", refresh);
  $("sort").addEventListener("change", refresh);
  $("kind").addEventListener("change", () => {
    kind = $("kind").querySelector(":checked").value;
    if (shown) hosts(shown);
  });
  for (const id of ["run-a", "run-b"])
    $(id).addEventListener("change", () => {
      $(id).chosen = true;
      $("compare").now = "";
      runs(shown);
    });
  $("strips-more").addEventListener("toggle", () => shown && theStrips(shown));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !$("explained").hidden && $("explained").contains(document.activeElement)) close();
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) refresh();
  });
  let wide = document.documentElement.clientWidth;
  new ResizeObserver(() => {
    if (wide === document.documentElement.clientWidth) return;
    wide = document.documentElement.clientWidth;
    if (shown) view(shown);
    if (lastRuns) showRuns(...lastRuns);
    drawTimeline();
  }).observe(document.documentElement);
  setInterval(tick, 1000);
  refresh();
}
start();
