"""GET /explain: what would become of a request, without changing anything."""

import json
import re
import time
from urllib.parse import quote

import pytest

from support.origin import http_date, respond
from support.proxy import ROOT
from support.rawclient import Client
from support.until import until

FRESH = ["Cache-Control: max-age=60", 'ETag: "a"']
STALE = [*FRESH, "Age: 100"]
REASONS = {token: (meaning.replace('\\"', '"'), advice.replace('\\"', '"')) for token, meaning, advice in re.findall(
    r'^REASON\(\w+, "([^"]+)", \w+, "((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)"\)',
    (ROOT / "cache/policy/reasons.def").read_text(), re.M)}


def ask(proxy, url, *lines, method="GET"):
    """The explanation, as an object."""
    proxy.until_written()
    target = f"/explain?method={quote(method, '')}" + "".join(f"&header={quote(line, '')}" for line in lines)
    answer = proxy.admin(f"{target}&uri={quote(url, '')}")
    assert answer.status == 200, answer.body
    assert answer["Content-Type"] == "application/json"
    assert "no-store" in answer.fields.members("Cache-Control")
    assert answer.body.isascii()
    return json.loads(answer.body)


def store(client, origin, *lines, path="/", fields=()):
    origin.on(path, respond(204, *lines))
    assert client.get(origin.url(path), *fields).stored


# ---- the same as a request ------------------------------------------------------------------------------

def params(text):
    """Those of a member of Cache-Status that do not depend on what the origin answers."""
    found = dict(part.strip().partition("=")[::2] for part in text.split(";")[1:])
    return {name: found[name] for name in ("hit", "fwd", "detail") if name in found}


ASKED = {
    "hit": (FRESH, [], "GET"), "head": (FRESH, [], "HEAD"), "304": (FRESH, ['If-None-Match: "a"'], "GET"),
    "no-match": (FRESH, ['If-None-Match: "b"'], "GET"), "expired": (STALE, [], "GET"),
    "no-validator": (["Cache-Control: max-age=60", "Age: 100"], [], "GET"),
    "behind": ([*STALE, "Cache-Control: stale-while-revalidate=600"], [], "GET"),
    "max-stale": (STALE, ["Cache-Control: max-stale"], "GET"),
    "no-cache": ([*FRESH, "Cache-Control: no-cache"], [], "GET"),
    "request-no-cache": (FRESH, ["Cache-Control: no-cache"], "GET"), "pragma": (FRESH, ["Pragma: no-cache"], "GET"),
    "max-age": (FRESH, ["Cache-Control: max-age=0"], "GET"), "min-fresh": (FRESH, ["Cache-Control: min-fresh=100"], "GET"),
    "no-store": (FRESH, ["Cache-Control: no-store"], "GET"), "precondition": (FRESH, ['If-Match: "a"'], "GET"),
    "range": (FRESH, ["Range: bytes=0-1"], "GET"), "override": (FRESH, ["X-HTTP-Method-Override: PUT"], "GET"),
    "only-if-cached": (STALE, ["Cache-Control: only-if-cached"], "GET"), "options": (FRESH, [], "OPTIONS"),
    "post": (FRESH, [], "POST"), "unknown": (FRESH, [], "FROB"), "trace": (FRESH, [], "TRACE"),
    "bad": (FRESH, ['Cache-Control: x="'], "GET"), "vary": ([*FRESH, "Vary: X"], ["X: 1"], "GET"),
    "upgrade": (FRESH, ["Connection: upgrade", "Upgrade: x"], "GET"),
    "max-forwards": (FRESH, ["Max-Forwards: 0"], "OPTIONS"),
}


@pytest.mark.parametrize("name", ASKED)
def test_says_what_a_request_then_meets(proxy, connect, origin, name):
    """Asked about before it is made: status, and hit, fwd and detail of its Cache-Status, are as explained."""
    lines, fields, method = ASKED[name]
    with proxy.connect() as client:
        store(client, origin, *lines)
    said = ask(proxy, origin.url(), *fields, method=method)
    before = len(origin.heads)
    with proxy.connect() as client:
        origin.on("/", respond(404))
        answer = client.ask(method, origin.url(), *fields)
    if said["from_store"] or said["verdict"] in ("refused", "local"):
        assert answer.status == said["status"]
        assert len(origin.heads) == before or said["reason"] == "revalidating"
    else:
        assert said["status"] is None
        assert len(origin.heads) == before + 1
    if said["cache_status"]:
        got, told = params(answer["Cache-Status"]), params(said["cache_status"])
        if answer.status == 404:  # its detail says why this is not stored
            got.pop("detail", None)
            told.pop("detail", None)
        assert got == told
    assert said["line"].endswith(".") and any(kind != "ok" for kind, *_ in said["checks"]) == (said["reason"] is not None
        or said["failure"] is not None)
    if said["reason"]:
        assert (said["meaning"], said["do"]) == REASONS[said["reason"]]


def test_nothing_stored(proxy, origin):
    said = ask(proxy, origin.url("/none"))
    assert (said["verdict"], said["reason"], said["record"], said["others"]) == ("miss", "no-record", None, [])
    assert said["uri"] == origin.url("/none")
    assert not origin.connections


# ---- the record -----------------------------------------------------------------------------------------

def test_the_record_and_its_times(proxy, client, origin):
    store(client, origin, "Cache-Control: max-age=60, stale-while-revalidate=30, stale-if-error=3600", 'ETag: "h-8841"',
          'Cache-Groups: "status"', "Vary: Accept-Language", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "Age: 42",
          fields=["Accept-Language: de"])
    for language in ("en", "fr"):
        store(client, origin, *FRESH, "Vary: Accept-Language", fields=[f"Accept-Language: {language}"])
    said = ask(proxy, origin.url(), "Accept-Language: de")
    record = said["record"]
    assert said["cache_status"].startswith("cache204; hit; ttl=1")
    assert record["lifetime_from"] == "max-age=60 in Cache-Control"
    assert (record["lifetime_s"], record["capped"]) == (60, False)
    assert 42 <= record["age_s"] <= 44
    assert record["stale_at_ms"] == said["now_ms"] + 1000 * (60 - record["age_s"])
    assert (record["swr_s"], record["sie_s"], record["sie_from"]) == (30, 3600, "stale-if-error=3600")
    assert record["renewed_behind_until_ms"] == record["stale_at_ms"] + 30000
    assert record["if_error_until_ms"] == record["stale_at_ms"] + 3600000
    assert abs(record["stored_ms"] / 1000 - time.time()) < 10
    assert (record["etag"], record["groups"]) == ('"h-8841"', ["status"])
    assert (record["variant"], record["variants"]) == ("Accept-Language: de", 3)
    assert {other["variant"] for other in record["others"]} == {"en", "fr"}
    head = said["head"].split("\n")
    assert head[0] == "HTTP/1.1 204 No Content" and "Age: 42" not in head and 'ETag: "h-8841"' in head
    assert said["headers"] == ["Accept-Language: de"]


@pytest.mark.parametrize("lines, options, source", [
    (["Cache-Control: s-maxage=70, max-age=60"], [], "s-maxage=70 in Cache-Control"),
    ([f"Expires: {http_date(100)}"], [], "Expires less Date"),
    ([f"Last-Modified: {http_date(-100000)}"], [], "Last-Modified, by the option heuristic_percent"),
    ([], ["default_ttl=5m"], "the option default_ttl"),
    (["CDN-Cache-Control: max-age=30", "Cache-Control: no-store"], ["targeted_cache_control=X-No, CDN-Cache-Control"],
     "CDN-Cache-Control"),
    (['ETag: "a"'], [], None)], ids=lambda value: str(value)[:20])
def test_where_the_lifetime_comes_from(start_proxy, origin, lines, options, source):
    proxy = start_proxy(*options)
    with proxy.connect() as client:
        store(client, origin, *lines)
    assert ask(proxy, origin.url())["record"]["lifetime_from"] == source


def test_a_cap_is_reported(start_proxy, origin):
    proxy = start_proxy("max_ttl=10s")
    with proxy.connect() as client:
        store(client, origin, *FRESH)
    record = ask(proxy, origin.url())["record"]
    assert (record["lifetime_s"], record["capped"]) == (10, True)


def test_never_stale(proxy, client, origin):
    store(client, origin, "Cache-Control: s-maxage=60, stale-while-revalidate=9, stale-if-error=9")
    record = ask(proxy, origin.url())["record"]
    assert record["never_stale"] and not record["always_validated"]
    assert record["renewed_behind_until_ms"] is None and record["if_error_until_ms"] is None
    assert (record["swr_s"], record["sie_s"], record["sie_from"]) == (0, 0, None)


@pytest.mark.parametrize("lines, request_lines, source", [
    (["Cache-Control: max-age=60"], [], "the option stale_if_error"),
    (["Cache-Control: max-age=60, stale-if-error=5"], ["Cache-Control: stale-if-error=3"], "stale-if-error=3 of the request")])
def test_where_the_time_for_errors_comes_from(start_proxy, origin, lines, request_lines, source):
    proxy = start_proxy("stale_if_error=9s")
    with proxy.connect() as client:
        store(client, origin, *lines)
    assert ask(proxy, origin.url(), *request_lines)["record"]["sie_from"] == source


def test_the_origin_unreached_and_the_record_purged(proxy, client, origin):
    store(client, origin, *FRESH)
    assert proxy.admin("/purge", "POST").status == 202
    said = ask(proxy, origin.url())
    assert (said["verdict"], said["reason"], said["record"], said["others"]) == ("miss", "no-record", None, [])


# ---- doors ----------------------------------------------------------------------------------------------

def test_what_the_proxy_refuses(start_proxy, origin):
    proxy = start_proxy("deny=.evil.example", "methods=GET")
    said = ask(proxy, "http://www.evil.example/")
    assert (said["verdict"], said["failure"], said["status"]) == ("refused", "denied_destination", 403)
    assert "option deny" in said["line"]
    assert ask(proxy, "http://169.254.169.254/")["failure"] == "denied_reserved"
    assert ask(proxy, "http://a.example:25/")["failure"] == "denied_port"
    assert ask(proxy, origin.url(), method="PUT")["failure"] == "denied_method"
    assert ask(proxy, origin.url(), f"Via: 1.1 {proxy.instance}")["failure"] == "loop"


def test_a_gateway(start_proxy, origin):
    """As its clients would get it, and what those of the proxy get."""
    from support.ports import free_port
    port = free_port()
    proxy = start_proxy(f"gateway=127.0.0.1:{port}={origin.url('')}", "deny=127.0.0.0/8")
    origin.on("/x?y", respond(204, *FRESH))
    with Client(port) as client:
        client.send(f"GET /x?y HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        assert client.response().stored
    until(lambda: proxy.stats()["gauges"]["writes_waiting"] == 0, "it is stored")
    said = ask(proxy, origin.url("/x?y"))
    assert (said["verdict"], said["gateway"]) == ("hit", f"127.0.0.1:{port}")
    assert "option deny" in said["proxy_refuses"]
    with proxy.connect() as client:
        assert client.get(origin.url("/x?y")).status == 403


def test_admission(start_proxy, origin):
    """What was stored before the proxy was restarted with stricter rules, by a name."""
    proxy = start_proxy()
    origin.on("/", respond(204, *FRESH))
    with proxy.connect() as client:
        assert client.get(f"http://localhost:{origin.port}/").stored
    proxy.stop()
    proxy.options.append("deny=127.0.0.0/8")
    proxy.start()
    said = ask(proxy, f"http://localhost:{origin.port}/")
    assert (said["verdict"], said["reason"], said["cache_status"]) == \
        ("miss", "admission", "cache204; fwd=uri-miss; detail=admission")


def test_failed_logins_are_logged(start_proxy, tmp_path, origin):
    (tmp_path / "users").write_text("a:$6$abcdefgh$" + "x" * 86 + "\n")
    (tmp_path / "users").chmod(0o600)
    assert ask(start_proxy(f"password_file={tmp_path / 'users'}"), origin.url())["login"] is True


# ---- nothing changes ------------------------------------------------------------------------------------

def flat(value, prefix=""):
    found = {}
    for key, item in value.items():
        found |= flat(item, f"{prefix}{key}.") if isinstance(item, dict) else {prefix + key: item}
    return found


def test_nothing_changes(start_proxy, origin):
    proxy = start_proxy()
    with proxy.connect() as client:
        store(client, origin, *FRESH)
        store(client, origin, *STALE, path="/stale")
        store(client, origin, *STALE, "Cache-Control: stale-while-revalidate=600", path="/behind")
    until(lambda: proxy.stats()["gauges"]["clients"] == 0, "its connection is closed there, too")
    until(lambda: proxy.stats()["store"]["stored"] == 3, "all is in the store")
    log, requests = proxy.log_lines(), len(origin.heads)
    before = flat(proxy.stats())
    for path in ("/", "/stale", "/behind", "/none"):
        for fields in ([], ["Cache-Control: no-cache"], ["Cache-Control: only-if-cached"]):
            for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
                ask(proxy, origin.url(path), *fields, method=method)
    after = flat(proxy.stats())
    changed = {name for name in before if before[name] != after[name]}
    assert {name for name in changed if not re.search(r"uptime|operator_requests|turns|map_used|^process\.", name)} == set()
    assert (proxy.log_lines(), len(origin.heads)) == (log, requests)
    assert [ask(proxy, origin.url(path))["verdict"] for path in ("/", "/stale", "/behind", "/none")] == \
        ["hit", "validate", "stale", "miss"]


# ---- questions that are none ----------------------------------------------------------------------------

BAD = {
    "": "which URI", "?": "which URI", "?uri=": "absolute", "?uri=/x": "absolute", "?uri=ftp://a/": "http or https",
    "?uri=http://u:p@a/": "user", "?uri=http%3A%2F%2Fa%2F%23x": "fragment", "?uri=http%3A%2F%2Fa%2F%0d%0aX:%20y": "absolute",
    "?uri=http%3A%2F%2Fa%2F%20HTTP/1.1": "absolute", "?uri=%": "hexadecimal", "?uri=%zz": "hexadecimal",
    "?x=1&uri=http://a/": "not a parameter", "?uri=http%3A%2F%2Fa%2F&uri=http://b/": "twice",
    "?method=GET%20x&uri=http://a/": "method", "?method=&uri=http://a/": "method", "?method=CONNECT&uri=http://a/": "",
    "?header=X&uri=http://a/": "Name: value", "?header=X:%0d%0aY:z&uri=http://a/": "Name: value",
    "?header=X%20:y&uri=http://a/": "Name: value", "?header=:y&uri=http://a/": "Name: value",
    "?header=Host:%20a&header=Host:%20a&uri=http://a/": "Host", "?header=X:%00&uri=http://a/": "",
    "?header=Content-Length:%20x&uri=http://a/": "", "?header=Transfer-Encoding:%20x&uri=http://a/": "",
    "?fetch=2&uri=http://a/": "fetch=1",
}


@pytest.mark.parametrize("query", BAD)
def test_bad_questions_are_reported(proxy, query):
    answer = proxy.admin("/explain" + query)
    assert answer.status == 400
    assert answer["Content-Type"].startswith("text/plain") and answer["X-Content-Type-Options"] == "nosniff"
    text = answer.body.decode("ascii")
    assert BAD[query] in text and text.endswith("\n") and text.count("\n") == 1


def test_a_fetch_is_a_post(proxy):
    answer = proxy.admin("/explain?fetch=1&uri=http://a/")
    assert (answer.status, answer["Allow"]) == (405, "POST")


@pytest.mark.parametrize("count, status", [(120, 200), (300, 400)])
def test_many_fields(proxy, count, status):
    answer = proxy.admin("/explain?" + "header=X:y&" * count + "uri=http://a.example/")
    assert answer.status == status
    if status == 400:
        assert b"field_count" in answer.body


def test_a_long_target(proxy):
    assert proxy.admin("/explain?header=X:" + "y" * 10000 + "&uri=http://a.example/").status == 414


HOSTILE = "http://a.example/\"><script>alert(1)</script>{|}`^\\%00%0d%0a%e2%80%ae" + "".join(map(chr, range(0xa0, 0x100)))


def test_a_hostile_uri_and_head(start_proxy, origin):
    """Bytes of peers are text, whatever they are."""
    proxy = start_proxy()
    path = "/" + HOSTILE.partition("example/")[2]
    hostile = "</script><b>\\\"\x80\xff"
    with proxy.connect() as client:
        store(client, origin, *FRESH, f"X-Y: {hostile}", "Vary: X-Z", path=path, fields=[f"X-Z: {hostile}"])
    proxy.until_written()
    target = "".join(f"%{byte:02x}" for byte in origin.url(path).encode("latin-1"))
    line = "".join(f"%{byte:02x}" for byte in f"X-Z: {hostile}".encode("latin-1"))
    answer = proxy.admin(f"/explain?header={line}&uri={target}")
    assert answer.status == 200 and answer.body.isascii()
    said = json.loads(answer.body)
    assert said["verdict"] == "hit" and said["uri"] == origin.url(path)
    assert f"X-Y: {hostile}" in said["head"].split("\n")
    assert said["record"]["variant"] == f"x-z: {hostile}" and said["headers"] == [f"X-Z: {hostile}"]


def test_for_no_other_host(proxy):
    with Client(proxy.admin_port) as client:
        client.send(b"GET /explain?uri=http://a/ HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        answer = client.response()
    assert answer.status == 403 and b"verdict" not in answer.body


# ---- the tables -----------------------------------------------------------------------------------------

def sections(page):
    text = next((ROOT / "conf").glob(f"{page[0]}.{page[1]}")).read_text()
    return set(re.findall(r"^\.Sh (.+)$", text, re.M)) | set(re.findall(r"^\.It Ic (\w+)", text, re.M))


@pytest.mark.parametrize("token", REASONS)
def test_each_reason_says_what_to_do(token):
    """A sentence, and the section of the manual that it names is there."""
    meaning, advice = REASONS[token]
    assert meaning and not meaning.endswith(".")
    if token == "none":
        return
    assert advice[0].isupper() and advice.endswith(".")
    page, volume, names = re.search(r" See ([a-z0-9.-]+)\((\d)\), ([^.]+)\.$", advice).groups()
    for name in names.split(" and ") if volume == "5" else [names]:
        assert name in sections((page, volume)), name


# ---- what the operators' page is drawn from -------------------------------------------------------------

UNKNOWN_HERE = {"last", "received_from", "took_us", "used"}  # the page shows nothing for what is not there


def shape(value, sample, place=""):
    """What a sample has and an answer has not, or has of another kind."""
    if isinstance(sample, dict) and isinstance(value, dict):
        missing = [f"{place}.{name}" for name in sample if name not in value and name not in UNKNOWN_HERE]
        return missing + [fault for name in sample if name in value
                          for fault in shape(value[name], sample[name], f"{place}.{name}")]
    if isinstance(sample, list) and isinstance(value, list):
        return [fault for item in value[:1] for fault in (shape(item, sample[0], f"{place}[]") if sample else [])]
    numbers = (int, float)
    same = value is None or sample is None or isinstance(value, type(sample)) \
        or (isinstance(value, numbers) and isinstance(sample, numbers))
    return [] if same else [f"{place}: {value!r} for {sample!r}"]


def test_it_is_as_the_page_expects(proxy, client, origin):
    samples = json.loads((ROOT / "tests/vectors/dash/answers.json").read_text(encoding="utf-8"))
    store(client, origin, *FRESH, "Cache-Control: stale-if-error=60, stale-while-revalidate=30", 'Cache-Groups: "a"',
          "Vary: Accept-Language", fields=["Accept-Language: de"])
    store(client, origin, *FRESH, "Vary: Accept-Language", fields=["Accept-Language: en"])
    assert shape(ask(proxy, origin.url(), "Accept-Language: de"), samples["hit"]) == []
    origin.on("/none", respond(204, "Content-Length: 0"))
    answer = proxy.admin(f"/explain?fetch=1&uri={origin.url('/none')}", "POST")
    said, sample = json.loads(answer.body), samples["fetched"]
    assert shape(said, sample) == []
    kinds = {kind for rows in (sample["checks"], sample["fetch"]["lint"]) for kind, *_ in rows}
    assert {kind for rows in (said["checks"], said["fetch"]["lint"]) for kind, *_ in rows} <= kinds
