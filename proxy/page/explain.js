/* Why a URL is, or is not, answered from the store. */

let askedLines = [];    /* header lines of the client that is played */
let explaining = 0;     /* the number of the newest question */

const query = (uri, more) => "/explain?" + [["uri", uri], ...askedLines.map((line) => ["header", line]), ...more]
  .map(([name, value]) => name + "=" + encodeURIComponent(value)).join("&");

function close() {
  show($("explained"), false);
  explaining++;
  $("uri").focus();
}

async function explain(uri, doFetch) {
  const number = ++explaining;
  $("uri").value = uri;
  let answer, failure = null;
  try {
    answer = await ask(query(uri, doFetch ? [["fetch", "1"]] : []), doFetch ? "POST" : "GET", doFetch ? 40000 : 10000);
  } catch (error) {
    failure = error;
  }
  if (number !== explaining) return;
  const parts = failure ? [h("h2", {id: "explained-h", tabindex: "-1"}, failure.status === 404 ? "This proxy has no /explain." : "It could not be explained."),
    h("p", null, h("bdi", null, visible(failure.message))), actions(uri, null)] : result(uri, object(answer));
  $("explained").replaceChildren(...parts);
  show($("explained"), true);
  $("explained").querySelector("h2").focus();
  $("explained").scrollIntoView({block: "nearest"});
}

function button(words, then) {
  const node = h("button", {type: "button"}, words);
  node.addEventListener("click", then);
  return node;
}

/* What changes something is done once for a click, and the result is looked at anew. */
function actions(uri, answer) {
  const act = async (path) => {
    const said = $("explained").querySelector(".said-of");
    try {
      await ask(path, "POST", 10000);
      await explain(uri);
    } catch (error) {
      if (said) say(said, visible(error.message));
    }
  };
  const record = answer && answer.record;
  return h("div", null, h("div", {class: "actions"}, button(answer && answer.fetch ? "Ask the origin again" : "Ask the origin once", () => explain(uri, true)),
    record ? button("Make stale", () => act("/purge?soft=1&uri=" + encodeURIComponent(uri))) : null,
    record ? button("Forget it", () => act("/purge?uri=" + encodeURIComponent(uri))) : null, button("Close", close)), h("p", {class: "said-of bad", role: "status"}));
}
function checkList(rowsOf) {
  const kinds = {ok: "it is so", no: "it is not so", warn: "worth mending"};
  return h("ul", {class: "checks"}, ...list(rowsOf).map(list).map(([kindOf, name, said]) =>
    h("li", null, h("span", null, icon(SHAPES[kindOf] ? kindOf : "warn"), h("span", {class: "vh"}, kinds[kindOf] || short(kindOf))),
      h("strong", null, bdi(name)), h("span", {class: "said"}, h("bdi", null, visible(said))))));
}

/* Fresh, stale and renewed behind, stale if the origin fails, gone: not to scale. */
function timeline(record, now) {
  const lifetime = num(record.lifetime_s), old = num(record.age_s), swr = num(record.swr_s) || 0, sie = num(record.sie_s) || 0;
  if (lifetime === null || old === null) return null;
  const width = Math.max(260, Math.min($("main").clientWidth - ($("main").clientWidth < 600 ? 18 : 50), 1310)), bounds = [0, lifetime], words = [["fresh", `stored ${clock(num(record.stored_ms) ?? now - old * 1000)}`]];
  const classes = ["s-fresh"], born = now - old * 1000, at = (s) => clock(born + s * 1000);
  if (swr > 0) { bounds.push(lifetime + swr); words.push([width < 600 ? "renewed" : "stale, renewed behind", lifetime]); classes.push("s-stale"); }
  if (sie > swr) { bounds.push(lifetime + sie); words.push([width < 600 ? "if origin fails" : "stale, if the origin fails", lifetime + swr]); classes.push("s-sie"); }
  const narrow = width < 600, last = bounds[bounds.length - 1], weights = classes.map((name) => (narrow ? {"s-fresh": 36, "s-stale": 26, "s-sie": 32} : {"s-fresh": 42, "s-stale": 18, "s-sie": 34})[name]);
  const room = width - 60, unit = room / sum(weights), kids = [], edges = [0];
  weights.forEach((weight) => edges.push(edges[edges.length - 1] + weight * unit));
  classes.forEach((name, i) => kids.push(rect(edges[i] + 0.5, 26, edges[i + 1] - edges[i] - 1, 18, name), s("rect", {x: edges[i] + 0.5, y: 26, width: edges[i + 1] - edges[i] - 1, height: 18, class: "l l-here"})));
  kids.push(s("rect", {x: room + 0.5, y: 26.5, width: 59, height: 17, class: "l-gone"}));
  words.forEach(([name, when], i) => {
    kids.push(label(edges[i], 60, name));
    kids.push(label(edges[i], 78, i === 0 ? when : narrow ? at(when) : `${span(when)} · ${at(when)}`));
  });
  kids.push(label(width, 60, "gone", {"text-anchor": "end"}), label(width, 78, narrow ? at(last) : `${span(last)} · ${at(last)}`, {"text-anchor": "end"}));
  let i = bounds.findIndex((bound) => old < bound) - 1;
  const x = old >= last ? room + 30 : edges[i = Math.max(0, i)] + ((old - bounds[i]) / Math.max(1, bounds[i + 1] - bounds[i])) * (edges[i + 1] - edges[i]);
  kids.push(line(x, 20, x, 46, "l-mark l-bold"), s("path", {d: `M${x - 6} 12h12l-6 9z`, class: "s-mark"}),
    x > 150 ? label(x - 9, 18, `now, ${span(old)} old`, {class: "strong", "text-anchor": "end"}) : label(x + 9, 18, `now, ${span(old)} old`, {class: "strong"}));
  return chart(width, 82, `Now ${span(old)} old. Fresh until ${at(lifetime)}, gone at ${at(last)}. Not to scale.`, ...kids);
}
let drawTimeline = () => {};  /* anew, for another width */
function timelinePart(record, now) {
  const node = h("div", {class: "part"});
  drawTimeline = () => node.replaceChildren(...[timeline(record, now)].filter(Boolean));
  drawTimeline();
  return node;
}

function recordList(record) {
  const others = list(record.others).map(object).map((other) => short(other.variant) + (num(other.age_s) === null ? "" : ` (${span(other.age_s)} old)`));
  const validators = [record.etag ? "ETag: " + short(record.etag) : null, record.last_modified ? "Last-Modified: " + short(record.last_modified) : null].filter(Boolean);
  const pairs = [
    ["Lifetime", num(record.lifetime_s) === null ? null : span(record.lifetime_s) + (record.lifetime_from ? `, from ${short(record.lifetime_from)}` : "")],
    ["Received from", record.received_from ? short(record.received_from) + (num(record.took_us) === null ? "" : `, in ${micros(record.took_us)}`) : null],
    ["Variant", record.variant ? short(record.variant) : null], ["Other variants", others.length ? others.join(", ") : null],
    ["Validators", validators.length ? validators.join("\n") : "none"], ["Groups", list(record.groups).length ? list(record.groups).map(short).join(", ") : null],
    ["Size", bytes(record.size)], ["Used", num(record.used) === null ? null : group(record.used) + " ×"],
  ].filter(([, value]) => value !== null);
  return h("dl", null, ...pairs.flatMap(([name, value]) => [h("dt", null, name), h("dd", {class: name === "Validators" ? "mono" : null}, h("bdi", null, value))]));
}

const head = (title, value) => h("div", {class: "part"}, h("h3", null, title), h("pre", {class: "box", tabindex: "0", "aria-label": title}, lines(value)));

function clientForm(uri) {
  const area = h("textarea", {id: "lines", rows: "3", spellcheck: "false", autocapitalize: "off"});
  area.value = askedLines.join("\n");
  const form = h("form", null, h("label", {for: "lines"}, "One header field a line, as ", h("code", null, "Accept-Language: de")), area, h("button", null, "Explain again"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    askedLines = area.value.split("\n").map((line) => line.trim()).filter(Boolean).slice(0, 32);
    explain(uri);
  });
  return h("details", null, h("summary", {class: "second"}, "Asked as a client that sends ", askedLines.length ? h("code", null, h("bdi", null, askedLines.map(short).join(", "))) : "no further headers", " – change"), form);
}

function result(uri, answer) {
  const record = answer.record ? object(answer.record) : null, fetched = answer.fetch ? object(answer.fetch) : null, last = object(answer.last);
  const now = shown ? shown.now_ms : Date.now(), nodes = [
    h("p", {class: "second"}, "GET ", h("bdi", null, visible(answer.uri || uri))),
    h("h2", {id: "explained-h", tabindex: "-1"}, h("bdi", null, visible(answer.line || answer.verdict || "No answer"))),
    answer.do ? h("p", {class: "do"}, h("strong", null, "What to do: "), h("bdi", null, visible(answer.do))) : null,
    answer.cache_status ? h("p", null, h("code", {class: "second"}, h("bdi", null, "Cache-Status: " + visible(answer.cache_status)))) : null,
    clientForm(uri), record ? timelinePart(record, now) : null];
  const why = h("div", null, h("h3", null, "Why"), checkList(answer.checks));
  if (answer.reason && num(last.n)) {
    const reason = text(answer.reason);
    why.append(h("p", {class: "second measure"}, "Answers of this URL were not stored: ", h("code", {title: REASONS.has(reason) ? REASONS.get(reason)[0] : null}, short(reason)), `, ${group(last.n)} times.`));
  }
  const asked = fetched && !fetched.head ? h("p", {class: "second measure"}, h("bdi", null, visible(fetched.summary))) : fetched ? head(`Asked once ${num(fetched.ms) === null ? "" : past(now + 2000, fetched.ms).replace("now", "just now")}, in ${micros(fetched.took_us)}`.replace(/ \d+ s ago/, " just now"), fetched.head) : null;
  nodes.push(h("div", {class: "two"}, why, record ? h("div", null, h("h3", null, "The record"), recordList(record)) : asked));
  if (record && answer.head) nodes.push(head("Stored head", answer.head));
  if (record && asked) nodes.push(asked);
  if (fetched) nodes.push(h("div", {class: "part"}, h("h3", null, list(fetched.lint).some((row) => list(row)[0] !== "ok") ? "What is wrong with it" : "Nothing is wrong with it"), checkList(fetched.lint)));
  nodes.push(actions(uri, answer));
  return nodes.filter((node) => node !== null);
}
