"""Rules for some hosts and paths: each option by a request, explained and counted, over reloads and purges."""

import json
import threading
from urllib.parse import quote

import pytest

from support.origin import CLOSE, respond
from support.proxy import Proxy, run
from support.reloaded import Reloaded
from support.until import until

FRESH = ["Cache-Control: max-age=60", 'ETag: "a"']
STALE = ["Cache-Control: max-age=60", 'ETag: "a"', "Age: 65"]

RULES = """
rule "off"    { match = "*/off*"     store = off }
rule "denied" { match = {"*/denied*", "denied.example"}  deny = on }
rule "asked"  { match = "*/?x=denied*"  deny = on }
rule "ttl"    { match = "*/ttl*"     ttl = 1h }
rule "forced" {                      # on several lines
  match     = "*/forced*"
  force_ttl = 1m;
}
rule "capped" { match = "*/capped*"  max_ttl = 5s }
rule "stale"  { match = "*/stale*"   stale_while_revalidate = 10m  stale_if_error = 10m }
rule "polls"  { match = "*/polls*"   ignore_request_no_cache = on }
rule "alone"  { match = "*/alone*"   collapse = off }
rule "cors"   { match = "*/cors*"    preflight_cache = on }
rule "query"  { match = "*/query*"   ignore_query = {"utm_*", "fbclid"}  sort_query = on }
"""


class Ruled(Reloaded):
    """A proxy of a configuration file with rules."""

    rules = ""

    def __init__(self, directory, rules, **options):
        self.rules = rules
        super().__init__(directory, workers=Proxy.worker_count, **options)

    def write(self, **options):
        super().write(**options)
        with open(self.file, "a", encoding="utf-8") as file:
            file.write(self.rules)

    def reload_rules(self, rules):
        self.rules = rules
        result = self.reload()
        assert result["ok"], result["errors"]


@pytest.fixture(scope="module")
def module_proxy(worker_count, tmp_path_factory):
    ruled = Ruled(tmp_path_factory.mktemp("ruled"), RULES)
    yield ruled.proxy
    ruled.stop()


def explain(proxy, url, *lines, method="GET"):
    proxy.until_written()
    target = f"/explain?method={method}" + "".join(f"&header={quote(line, '')}" for line in lines)
    return json.loads(proxy.admin(f"{target}&uri={quote(url, '')}").body)


def line_of(name):
    """The line of the file: the options stand before the rules."""
    before = RULES[:RULES.index(f'rule "{name}"')]
    return before.count("\n") + 7  # of Reloaded's six options


def test_store_off(proxy, client, origin):
    origin.default = respond(204, *FRESH)
    for _ in range(2):
        answer = client.get(origin.url("/off"))
        assert not answer.hit and not answer.stored
        assert answer.cache_status["fwd"] == "bypass" and answer.cache_status["detail"] == "rule-store-off"
    assert len(origin.requests) == 2
    said = explain(proxy, origin.url("/off"))
    assert (said["verdict"], said["reason"]) == ("bypass", "rule-store-off")
    assert said["rule"] == f"by rule off, line {line_of('off')}: store = off"
    assert ["no", "Rule", said["rule"]] in said["checks"]
    assert proxy.stats()["last_uris"]["rule-store-off"] == origin.url("/off")


def test_the_command_names_the_rule(proxy, client, origin):
    result = run("explain", "-o", f"admin=127.0.0.1:{proxy.admin_port}", origin.url("/query?b=1&utm_x=2&a=3"))
    line = f"by rule query, line {line_of('query')}"
    assert line in " ".join(result.stdout.split()), result.stdout + result.stderr
    assert origin.url("/query?a=3&b=1") in result.stdout


def test_denied(proxy, client, origin):
    before = proxy.stats()["failures"]["denied_rule"]
    answer = client.get(origin.url("/denied"))
    assert answer.status == 403
    assert "http_request_denied" in answer["Proxy-Status"] and b"(cache204: denied_rule)" in answer.body
    assert proxy.stats()["failures"]["denied_rule"] == before + 1
    said = explain(proxy, origin.url("/denied"))
    assert (said["verdict"], said["failure"], said["status"]) == ("refused", "denied_rule", 403)
    assert said["rule"].startswith(f"by rule denied, line {line_of('denied')}")
    assert not origin.heads


@pytest.mark.parametrize("path", [
    "/%64enied", "/%64%65nied?x", "/./denied", "/x/../denied", "/x/%2e%2E/denied", "//denied", "/%2fdenied",
    "/x/..%2fdenied", "/denied/../x", "/denied%00", "/%64enied/../x", "/%64enied/%2e%2e/x", "/x//../../denied",
    "/a/b%2fc/../../denied", "/a%2fb/../denied", "?x=denied_by_query", "/?x=denied_by_query"])
def test_no_spelling_of_a_path_avoids_it(client, origin, path):
    assert client.get(origin.url(path)).status == 403
    assert not origin.heads


@pytest.mark.parametrize("target", [
    "http://denied.example/", "http://DENIED.example", "http://denied.example./x", "http://denied.example:80/",
    "https://denied.example/", "http://denied.example:8080/"])
def test_no_spelling_of_a_host_avoids_it(client, target):
    assert client.get(target).status == 403


def test_no_tunnel_leads_there(client):
    client.send(b"CONNECT Denied.example:443 HTTP/1.1\r\nHost: denied.example:443\r\n\r\n")
    answer = client.response("CONNECT")
    assert answer.status == 403 and b"(cache204: denied_rule)" in answer.body


def test_a_host_below_is_another(client):
    answer = client.get("http://www.denied.example/")
    assert b"denied_rule" not in answer.body


def test_userinfo_is_refused_as_ever(client):
    assert client.get("http://x@denied.example/").status == 400


def test_ttl(proxy, connect, origin):
    origin.default = respond(204)
    assert connect().get(origin.url("/ttl")).stored
    answer = connect().get(origin.url("/ttl"))
    assert answer.hit and 3590 < int(answer.cache_status["ttl"]) <= 3600
    said = explain(proxy, origin.url("/ttl"))
    assert (said["record"]["lifetime_s"], said["record"]["lifetime_from"]) == (3600, "ttl of a rule")


@pytest.mark.parametrize("case, fields, lines", [
    ("private", ["Cache-Control: private"], []), ("no-store", ["Cache-Control: no-store"], []),
    ("vary-star", ["Vary: *"], []), ("set-cookie", ["Set-Cookie: a=b"], []),
    ("authorization", [], ["Authorization: Basic QTpC"])])
@pytest.mark.parametrize("rule", ["ttl", "forced"])
def test_what_no_lifetime_makes_storable(client, origin, rule, case, fields, lines):
    path = f"/{rule}-{case}"
    origin.on(path, respond(204, *fields))
    answer = client.get(origin.url(path), *lines)
    assert not answer.stored and answer.cache_status["detail"] == case


def test_force_ttl(proxy, connect, origin):
    origin.default = respond(204, "Cache-Control: no-cache, max-age=0", "Age: 1000", 'ETag: "a"')
    assert connect().get(origin.url("/forced")).stored
    answer = connect().get(origin.url("/forced"))
    assert answer.hit and int(answer["Age"]) >= 1000 and 50 < int(answer.cache_status["ttl"]) <= 60
    assert explain(proxy, origin.url("/forced"))["record"]["lifetime_from"] == "force_ttl of a rule, from receipt on"


def test_max_ttl(proxy, connect, origin):
    origin.default = respond(204, *FRESH)
    assert connect().get(origin.url("/capped")).stored
    assert int(connect().get(origin.url("/capped")).cache_status["ttl"]) <= 5
    assert explain(proxy, origin.url("/capped"))["record"]["capped"] is True
    listed = json.loads(proxy.admin(f"/entries?prefix={origin.url('/capped')}").body)
    assert listed["entries"][0]["variants"][0]["lifetime_s"] == 5


def test_stale_times(connect, origin):
    origin.on("/stale", respond(204, *STALE), respond(204, *FRESH))
    assert connect().get(origin.url("/stale")).stored
    assert connect().get(origin.url("/stale")).cache_status["detail"] == "revalidating"
    origin.wait_heads(2)
    origin.on("/stale-error", respond(204, "Cache-Control: max-age=60, stale-while-revalidate=0", "Age: 65"), [CLOSE])
    assert connect().get(origin.url("/stale-error")).stored
    assert connect().get(origin.url("/stale-error")).cache_status["detail"] == "stale-if-error"


def test_no_cache_of_requests_is_ignored(connect, origin):
    origin.default = respond(204, *FRESH)
    assert connect().get(origin.url("/polls")).stored
    for line in ("Cache-Control: no-cache", "Cache-Control: max-age=0", "Pragma: no-cache"):
        assert connect().get(origin.url("/polls"), line).hit
    assert not connect().get(origin.url("/polls"), "Cache-Control: no-store").hit


def test_no_collapsing(connect, origin):
    gate = threading.Event()
    origin.on("/alone", [gate, respond(204, *FRESH)])
    clients = [connect() for _ in range(3)]
    for client in clients:
        client.request("GET", origin.url("/alone"))
    origin.wait_heads(3)
    gate.set()
    for client in clients:
        assert "collapsed" not in client.response().cache_status


def test_preflights(connect, origin):
    origin.default = respond(204, "Access-Control-Max-Age: 60")
    lines = ["Origin: http://a.example", "Access-Control-Request-Method: PUT"]
    assert connect().ask("OPTIONS", origin.url("/cors"), *lines).stored
    assert connect().ask("OPTIONS", origin.url("/cors"), *lines).hit
    assert not connect().ask("OPTIONS", origin.url("/other"), *lines).stored


# ---- keys of queries ------------------------------------------------------------------------------------

def test_the_origin_gets_the_query_of_the_request(proxy, connect, origin):
    origin.default = respond(204, *FRESH)
    assert connect().get(origin.url("/query1?utm_a=1&b=2&a=3")).stored
    assert connect().get(origin.url("/query1?a=3&fbclid=4&b=2")).hit
    assert [request.target for request in origin.requests] == ["/query1?utm_a=1&b=2&a=3"]
    listed = json.loads(proxy.admin(f"/entries?prefix={origin.url('/query1')}").body)
    assert [entry["uri"] for entry in listed["entries"]] == [origin.url("/query1?a=3&b=2")]
    assert explain(proxy, origin.url("/query1?b=2&a=3&utm_z"))["verdict"] == "hit"


@pytest.mark.parametrize("soft", ["", "soft=1&"])
def test_a_purge_of_one_is_one_of_all(proxy, connect, origin, soft):
    path = f"/query2{soft[:4]}"
    origin.default = respond(204, *FRESH)
    assert connect().get(origin.url(f"{path}?utm_a=1&b=2&a=3")).stored
    assert proxy.admin(f"/purge?{soft}uri={quote(origin.url(f'{path}?b=2&a=3&utm_c=9'), '')}", "POST").status == 200
    assert not connect().get(origin.url(f"{path}?a=3&b=2")).hit


def test_an_unsafe_request_to_one_invalidates_all(connect, origin):
    origin.default = respond(204, *FRESH)
    assert connect().get(origin.url("/query3?b=2&a=3")).stored
    assert connect().ask("PUT", origin.url("/query3?utm_a=1&a=3&b=2")).status == 204
    assert not connect().get(origin.url("/query3?b=2&a=3")).hit
    origin.on("/elsewhere", respond(204, "Location: /query3?utm_b=5&b=2&a=3"))
    assert connect().ask("POST", origin.url("/elsewhere")).status == 204
    assert not connect().get(origin.url("/query3?b=2&a=3")).hit


def test_a_validation_asks_with_its_own_query(connect, origin):
    origin.on("/query4?utm_a=1", respond(204, *STALE, "Cache-Control: must-revalidate"))
    origin.on("/query4?utm_b=2", respond(304, *FRESH))
    assert connect().get(origin.url("/query4?utm_a=1")).stored
    connect().get(origin.url("/query4?utm_b=2"))
    assert origin.requests[1].target == "/query4?utm_b=2" and origin.requests[1].fields.get("If-None-Match") == '"a"'
    assert connect().get(origin.url("/query4")).hit


# ---- reloads --------------------------------------------------------------------------------------------

def test_a_reload_changes_rules(tmp_path, origin):
    """What is stored stays, and the rules in effect decide whether it is used."""
    ruled = Ruled(tmp_path, "")
    proxy = ruled.proxy
    origin.default = respond(204, "Cache-Control: max-age=600")

    def get(path):
        with proxy.connect() as client:
            return client.get(origin.url(path))

    try:
        assert get("/x").stored and get("/x").hit
        ruled.reload_rules('rule "off" { match = "*/x" store = off }')
        assert get("/x").cache_status["detail"] == "rule-store-off"
        ruled.reload_rules('rule "capped" { match = "*/x" max_ttl = 5s }')
        answer = get("/x")
        assert not answer.hit or int(answer.cache_status["ttl"]) <= 5
        ruled.reload_rules('rule "joined" { match = "*/y" ignore_query = "u" }\nrule "others" { match = "*/y?*" ignore_query = {"u", "v"} }')
        assert get("/y?u=1").stored and get("/y?u=2").hit
        assert explain(proxy, origin.url("/y"))["reason"] == "rule-key"
        assert get("/y").fwd == "uri-miss"  # "joined" and "others" do not join the same
        ruled.rules = 'rule "bad" { match = "" }'
        result = ruled.reload()
        assert not result["ok"] and "match" in result["errors"]
    finally:
        ruled.stop()


def test_parents(tmp_path, origin, start_origin):
    """Per rule: by way of another proxy, here an origin that takes absolute targets, or directly."""
    parent = start_origin()
    rules = f"""
rule "inner" {{ match = "inner.example" parent = "http://u:p@{parent.authority}/" }}
rule "local" {{ match = "{origin.authority.rpartition(':')[0]}" parent = none }}
"""
    ruled = Ruled(tmp_path, rules)
    parent.default = respond(204, *FRESH)
    origin.default = respond(204, *FRESH)
    try:
        with ruled.proxy.connect() as client:
            assert client.get("http://inner.example/x").status == 204
            assert parent.requests[0].target == "http://inner.example/x"
            assert parent.requests[0].fields.get("Proxy-Authorization") == "Basic dTpw"
            assert client.get(origin.url("/x")).status == 204
            assert len(parent.requests) == 1
            said = explain(ruled.proxy, "http://inner.example/x")
            assert "u:p" not in json.dumps(said) and parent.authority in said["rule"]
    finally:
        ruled.stop()


def test_inside_of_a_tunnel(tmp_path, origin):
    """What is read as HTTP there goes by the rules for its URI."""
    from support.target import open_tunnel
    ruled = Ruled(tmp_path, f'rule "deny" {{ match = "http://{origin.authority}/a/*" deny = on }}\n'
                            f'rule "ttl" {{ match = "{origin.authority}" ttl = 1m }}\n',
                  connect_ports=[origin.port], tunnel_http=[origin.port])
    origin.default = respond(204)
    try:
        with ruled.proxy.connect() as client:
            open_tunnel(client, origin.authority)
            for path, status in (("/b", 204), ("/%61/b", 403)):
                client.send(f"GET {path} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
                answer = client.response()
                assert answer.status == status
                assert answer.stored if status == 204 else b"denied_rule" in answer.body
    finally:
        ruled.stop()


def test_of_a_gateway(tmp_path, origin):
    from support.ports import free_port
    from support.rawclient import Client
    port = free_port()
    host = origin.authority.rpartition(":")[0]
    ruled = Ruled(tmp_path, f'rule "deny" {{ match = "http://{origin.authority}/a/*" deny = on }}\n'
                            f'rule "ttl" {{ match = "{host}" ttl = 1m }}\n',
                  gateway=f"127.0.0.1:{port}={origin.url('')}")
    origin.default = respond(204)
    try:
        for path, status in (("/a/b", 403), ("/%61/b", 403), ("/b", 204)):
            with Client(port) as client:
                client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert client.response().status == status
        until(lambda: ruled.proxy.stats()["stores"] == 1, "it is stored")
    finally:
        ruled.stop()


# ---- the file -------------------------------------------------------------------------------------------

def test_what_is_wrong_with_a_file_is_said(tmp_path):
    file = tmp_path / "conf"
    file.write_text('workers = 1\nrule "a" {\n  match = "^/x"\n  tll = 5s\n}\nrule "a" { }\n', encoding="utf-8")
    result = run("-t", "-c", file)
    assert result.returncode != 0
    assert f"{file}:3: match: ^/x is a regular expression" in result.stderr
    assert f"{file}:4: tll: no such option of rules; did you mean ttl?" in result.stderr
    assert "a rule stands in a file" in run("-t", "-o", 'rule "x"={match=x}').stderr


TWO = """
rule "A" { match = "*/p?a=*"  sort_query = on  collapse = on }
rule "B" { match = "*/p?b=*"  sort_query = on  collapse = on }
"""


def test_rules_that_make_the_same_key_share_nothing(tmp_path, origin):
    """The same parameters in another order are of another rule, which may have another parent; nobody waits for it."""
    ruled = Ruled(tmp_path, TWO, store_interval="0")
    go = threading.Event()
    try:
        with ruled.proxy.connect() as first, ruled.proxy.connect() as second:
            origin.on("/p?a=1&b=2", [go, respond(204, *FRESH, "X-By: A")])
            origin.on("/p?b=2&a=1", respond(204, *FRESH, "X-By: B"))
            first.request("GET", origin.url("/p?a=1&b=2"))
            origin.wait_requests(1)
            assert second.get(origin.url("/p?b=2&a=1"))["X-By"] == "B"
            go.set()
            assert first.response()["X-By"] == "A"
            for path, by in (("/p?b=2&a=1", "B"), ("/p?a=1&b=2", "A"), ("/p?b=2&a=1", "B")):
                assert first.get(origin.url(path))["X-By"] == by
    finally:
        ruled.stop()
