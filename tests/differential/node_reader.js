// What Node's parser makes of messages: reads and prints what tests/differential/verdicts.c does.
"use strict";
const fs = require("fs");
const http = require("http"); // sets the parser's own list of methods up
const { HTTPParser, methods, allMethods } = process.binding("http_parser");
const names = allMethods || methods;
const REQUEST = HTTPParser.REQUEST, RESPONSE = HTTPParser.RESPONSE;
const bytes = (text) => Buffer.from(text, "latin1").toString("hex");

function read(kind, message) {
  const parser = new HTTPParser();
  const seen = { fields: [], body: [], complete: false };
  const keep = (list) => { for (let i = 0; i < list.length; i += 2) seen.fields.push(`${bytes(list[i])}:${bytes(list[i + 1])}`); };
  parser.initialize(kind === "request" ? REQUEST : RESPONSE, {}, 0, 0);
  parser[HTTPParser.kOnHeaders | 0] = (list, url) => { if (!seen.head) { keep(list); seen.url = (seen.url || "") + url; } };
  parser[HTTPParser.kOnHeadersComplete | 0] = (major, minor, list, method, url, status, text, upgrade, stays) => {
    if (list) keep(list);
    seen.head = { major, minor, method: names[method], url: url || seen.url || "", status, upgrade, stays };
    return kind === "response-head" && status >= 200 ? 1 : 0;
  };
  parser[HTTPParser.kOnBody | 0] = (part, start, length) => {
    seen.body.push(Buffer.from(start === undefined ? part : part.subarray(start, start + length)));
  };
  parser[HTTPParser.kOnMessageComplete | 0] = () => { seen.complete = true; };
  const told = (end, close) => `accept end=${end} close=${close} version=${seen.head.minor} keep=${seen.head.stays ? 1 : 0}` +
    ` major=${seen.head.major}` + (kind === "request" ? ` method=${bytes(seen.head.method)} target=${bytes(seen.head.url)}`
      : ` status=${seen.head.status}`) +
    ` body=${Buffer.concat(seen.body).toString("hex")}` + seen.fields.map((field) => ` field=${field}`).join("");
  // Byte by byte: so it is known which byte ended the message.
  for (let at = 0; at < message.length; at++) {
    const result = parser.execute(message.subarray(at, at + 1));
    if (result instanceof Error) return `reject why=${result.code}:${(result.reason || "").replace(/[^!-~]/g, "_")}`;
    if (seen.complete) return told(at + 1, 0);
  }
  if (kind !== "request" && seen.head) {
    const result = parser.finish();
    if (!(result instanceof Error) && seen.complete) return told(message.length, 1);
  }
  return "more";
}

const input = fs.readFileSync(0);
const output = [`node ${process.version}, llhttp ${process.versions.llhttp}`];
for (let at = 0; at < input.length;) {
  const end = input.indexOf(10, at);
  const [kind, length] = input.toString("latin1", at, end).split(" ");
  const message = input.subarray(end + 1, end + 1 + Number(length));
  at = end + 1 + message.length;
  output.push(read(kind, message));
}
process.stdout.write(output.join("\n") + "\n");
