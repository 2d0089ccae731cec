"""`cache204 explain`: the explanation as text, and the exit status."""

import json
import re
import shlex

import pytest

from support.origin import respond
from support.proxy import run

pytestmark = pytest.mark.one_worker("a command asks whichever worker")


@pytest.fixture
def explain(proxy):
    """The output of the command, whose exit status is looked at."""
    def explain(*arguments, status=0):
        result = run("explain", "-o", f"admin=127.0.0.1:{proxy.admin_port}", *arguments)
        assert result.returncode == status, result
        assert not (result.stdout and result.stderr)
        text = result.stdout + result.stderr
        assert text.isascii() and not re.search(r"[^\n\x20-\x7e]", text)
        assert "--json" in arguments or max(map(len, result.stdout.split("\n"))) <= 79
        return text
    return explain


def rows(text):
    """What is said under each label."""
    return {m[1]: " ".join(m[2].split()) for m in re.finditer(r"^  (\S+) +(.*(?:\n {16,}.*)*)", text, re.M)}


def test_from_the_store(explain, client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=300, stale-while-revalidate=30, stale-if-error=7200", 'ETag: "h-8841"',
                           'Cache-Groups: "status"', "Vary: Accept-Language"))
    for language in ("de", "en", "fr"):
        client.get(origin.url(), f"Accept-Language: {language}")
    text = explain(origin.url(), "-H", "Accept-Language: de")
    assert re.match(r"HIT\. A request now is answered from the store, fresh for (5 min|4 min \d+ s) more\.\n", text)
    found = rows(text)
    assert re.fullmatch(r"cache204; hit; ttl=\d+", found["Cache-Status"])
    assert re.fullmatch(r"\d\d:\d\d:\d\d, \d+ bytes", found["stored"])
    assert re.fullmatch(r"5 min, from max-age=300 in Cache-Control; \d+ s old", found["lifetime"])
    time = r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d"
    assert re.fullmatch(f"stale at {time}; renewed behind to {time}; if the origin fails to {time}; then validated",
                        found["then"])
    assert found["variant"] == "Accept-Language: de"
    assert found["others"] == "en, fr"
    assert (found["validators"], found["groups"]) == ('ETag "h-8841"', "status")
    assert "Do this" not in text
    assert text.endswith(f"\nSee the stored head: cache204 get {origin.url()} and the same -H\n")
    hint = explain(f"{origin.url()}?a&b", status=1)
    assert "cache204 get" not in hint


def test_the_hint_can_be_pasted(explain, proxy, client, origin):
    origin.on("/x?a=1&b", respond(204, "Cache-Control: max-age=60"))
    client.get(origin.url("/x?a=1&b"))
    command = explain(origin.url("/x?a=1&b")).splitlines()[-1].removeprefix("See the stored head: cache204 ")
    assert command == f"get '{origin.url('/x?a=1&b')}'"
    result = run(*shlex.split(command), "-o", f"admin=127.0.0.1:{proxy.admin_port}")
    assert result.returncode == 0 and "Cache-Control: max-age=60" in result.stdout


def test_not_from_the_store(explain, origin):
    text = explain(origin.url("/none"), status=1)
    assert text.startswith("MISS. A request now goes to the origin: nothing stored under this URI.\nDo this: ")
    assert "See cache204-origins(7), WHETHER IT WAS STORED." in " ".join(text.split())
    assert not origin.connections


def test_without_a_scheme_it_is_http(proxy, client, origin):
    origin.on("/x", respond(204, "Cache-Control: max-age=60"))
    client.get(origin.url("/x"))
    result = run("explain", f"{origin.authority}/x", "-o", f"admin=127.0.0.1:{proxy.admin_port}")
    assert result.returncode == 0 and result.stdout.startswith("HIT. ")
    assert result.stderr == f"cache204: explain: {origin.authority}/x has no scheme: taken as {origin.url('/x')}\n"


def test_other_methods(explain, client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60"))
    client.get(origin.url())
    assert explain("-X", "HEAD", origin.url()).startswith("HIT. ")
    assert explain("--method", "POST", origin.url(), status=1).startswith("BYPASS. ")


def test_as_json(explain, origin):
    said = json.loads(explain("--json", origin.url(), "--header", "Cache-Control: only-if-cached", status=1))
    assert (said["verdict"], said["failure"], said["reason"]) == ("refused", "only_if_cached", "only-if-cached")


def test_hostile_bytes_are_escaped(explain, client, origin):
    hostile = "\x80\xff\x9b31m</b>\""
    origin.on("/", respond(204, "Cache-Control: max-age=60", f'ETag: "{hostile}"', f'Cache-Groups: "{hostile}"', "Vary: X"))
    client.get(origin.url(), f"X: {hostile}")
    text = explain(origin.url(), status=1)
    assert r'others        \x80\xff\x9b31m</b>"' in text
    text = explain(origin.url(), "-H", b"X: \x80\xff\x9b31m</b>\"".decode("utf-8", "surrogateescape"))
    assert r'ETag "\x80\xff\x9b31m</b>""' in text


@pytest.mark.parametrize("arguments, says", [
    (["http://u@a/"], "user"), (["http://a/ b"], "absolute"), (["http://a/\nb"], "absolute"), (["ftp://a/"], "http or https"),
    (["http://a/", "-H", "X"], "Name: value"), (["http://a/", "-H", "X: \nY: z"], "Name: value"),
    (["http://a/", "-X", "CONNECT"], ""), (["http://a/", "-H", "X: " + "y" * 10000], "uri_length"),
    (["http://a/", *["-H", "X: y"] * 128], "field_count")])
def test_what_is_no_question(explain, arguments, says):
    assert says in explain(*arguments, status=2)


@pytest.mark.parametrize("arguments", [[], ["http://a/", "http://b/"], ["http://a/", *["-H", "X: y"] * 129],
                                       ["http://a/", "-o", "admin="], ["http://a/", "-o", "nosuch=1"]])
def test_wrong_use(arguments):
    result = run("explain", *arguments)
    assert result.returncode == 2 and result.stderr and not result.stdout


def test_the_proxy_is_gone():
    result = run("explain", "-o", "admin=127.0.0.1:1", "http://a/")
    assert result.returncode == 2 and "is the proxy running" in result.stderr
