"""Answers of /dash.json, made up in the shape of the contract, and a server that gives them with the page."""

import copy
import http.server
import json
import math
import pathlib
import threading
import urllib.parse

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors" / "dash"
SLOTS, STEP_S = 360, 10
NAMES = ("fresh", "shared", "stale", "confirmed", "fetched", "other", "errors", "hit_p50", "hit_p99", "miss_p50", "miss_p99",
         "fb_p50", "fb_p99", "in_flight")
# names that would do something if the page took them for more than text
HOSTILE = ("<img src=x onerror=alert(1)><script>alert(2)</script>", "\u202egnp.exe\u2066\u0000\u001b[31m\u200b",
           "javascript:alert(3)//" + "a" * 300, "'\"><svg onload=alert(4)>&lt;b&gt;")


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def history(after=None, next_row=88231, failing=False, gap=()):
    """An hour of rows, or those from `after` on."""
    rows = []
    for seq in range(next_row - SLOTS, next_row):
        i = seq - (next_row - SLOTS)
        wave = 1 + 0.05 * math.sin(i / 20) + 0.01 * math.sin(i * 7.3)
        wave *= 1.5 if 234 <= i < 264 else 1.75 if 306 <= i < 336 else 1
        purge = math.exp(-(i - 96) / 12) if i >= 96 else 0
        down = failing and i >= 300
        all204 = 150000 * wave * (0.62 if failing else 1)
        fetched = all204 * (0.02 + 0.25 * purge * (not failing))
        stale = all204 * (0.44 if down else 0.003)
        row = [all204 - fetched - stale, 370 * wave, stale, 900 * wave, fetched, 3270 * wave,
               (71 + i % 5 * 4) if down else (6 + i % 3 * 3 if not failing and 176 <= i < 182 else 0),
               46 + i % 3, 171 + i % 11, 8700 + i % 7 * 90, 126000 + i % 9 * 900 if down else 44900 + i % 9 * 900,
               8200 + i % 7 * 80, 118000 if down else 41200 + i % 9 * 700, 351 + i % 20]
        rows.append([None] * len(row) if i in gap else [round(v) for v in row])
    if after is not None:
        rows = rows[max(0, min(SLOTS, SLOTS - (next_row - after))):]
    return {"step_s": STEP_S, "end_ms": 0, "next": next_row, "columns": {name: [row[i] for row in rows] for i, name in enumerate(NAMES)}}


def whole(name, after=None, **options):
    d = load(name)
    d["history"] = {**history(after, failing=name == "failing", **options), "end_ms": d["now_ms"]}
    return d


def begun():
    """A proxy that was started twelve seconds ago and not used yet."""
    d = whole("normal")
    nothing = {"n": 0, "p50": None, "p90": None, "p99": None, "max": None}
    d.update(start_ms=d["now_ms"] - 12000, window_s=12, share={"w60": None, "w3600": None, "w0": None}, requests=0, clients=0, errors=0,
             answers204={name: 0 for name in d["answers204"]}, other={"total": 0, "by": []}, asked=[], not_stored=[], hosts=[], urls=[],
             hosts_other=None, errors_recent=[], notes=[], events=[], marks=[], origin_reused=None,
             saved={"requests": 0, "bytes_in": 0}, latency_us={"hit": nothing, "miss": nothing},
             origin_us={step: nothing for step in d["origin_us"]}, in_flight={"n": 0, "waiting": 0, "oldest": []})
    d["store"].update(used=0, entries=0, stored=0, evicted=0, evicted_fresh=0, evicted_age_s=None)
    columns = d["history"]["columns"]
    d["history"].update(next=1, columns={name: [0] for name in columns})
    return d


def spoilt(value, words, at=None):
    """The same with hostile text in the place of every string, but of those that choose among words of the page."""
    at = at if at is not None else [0]
    if isinstance(value, dict):
        return {key: item if key == "level" else spoilt(item, words, at) for key, item in value.items()}
    if isinstance(value, list):
        return [spoilt(item, words, at) for item in value]
    if isinstance(value, str):
        at[0] += 1
        return f"{words[at[0] % len(words)]}#{at[0]}"
    return value


def unknown(value):
    """The same with null for every number and string, but for what makes it an answer."""
    if isinstance(value, dict):
        return {key: item if key in ("v", "now_ms") else unknown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unknown(item) for item in value]
    return None


class DashServer:
    """Serves a page, and for it the answers of `state`: a function of the query's parameters."""

    def __init__(self, page, fields):
        self.page, self.fields, self.state, self.token = page, fields, lambda query: whole("normal"), None
        self.asked, self.marks, self.purged = [], [], []
        self.explained = lambda query: load("answers")["hit"]
        self.going = threading.Event()
        self.going.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self, "GET")

            def do_POST(self):
                outer.answer(self, "POST")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()

    @property
    def authority(self):
        return "127.0.0.1:%d" % self.server.server_address[1]

    @property
    def url(self):
        return f"http://{self.authority}/"

    def answer(self, handler, method):
        path, _, text = handler.path.partition("?")
        query = urllib.parse.parse_qs(text)
        self.asked.append((method, path, query))
        self.going.wait(60)
        status, kind, body, fields = 200, "application/json", None, {}
        if path == "/":
            kind, body, fields = "text/html; charset=utf-8", self.page, self.fields
        elif self.token and handler.headers["Authorization"] != f"Bearer {self.token}":
            status, kind, body = 401, "text/plain", b"401 Unauthorized\n"
        elif path == "/dash.json":
            body = self.state(query)
        elif path == "/explain":
            body = load("answers")["fetched"] if method == "POST" else self.explained(query)
        elif path == "/stats":
            body = copy.deepcopy(load("answers")["stats"])
            if query["since"] == ["run-b"]:
                body.update(rate=26432, share=0.9748, cpu_us=7.4, origin=196656, requests=7929600)
                body["latency_us"].update(p50=54, p99=311, max=9200)
        elif path.startswith("/marks/") and method == "POST":
            self.marks.append(path[7:])
            body = {}
        elif path == "/purge" and method == "POST":
            self.purged.append(query)
            body = {"purged": 1}
        else:
            status, kind, body = 404, "text/plain", b"404 Not Found\n"
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        try:
            handler.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store", **fields}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            pass  # the page waits no longer

    def close(self):
        self.going.set()
        self.server.shutdown()
        self.server.server_close()
