"""The operator's page as it is sent: to whom, with which fields, and that nothing in it comes from elsewhere. How it
looks and what it does is tests/browser's."""

import base64
import hashlib
import re

import pytest

from support.proxy import ROOT
from support.rawclient import Client

pytestmark = pytest.mark.one_worker("a page is the same from whichever worker")

HTML = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
LIMIT = 100 * 1024


@pytest.fixture
def page(proxy):
    answer = proxy.admin("/", "GET", HTML)
    assert answer.status == 200 and answer["Content-Type"] == "text/html; charset=utf-8", answer
    return answer


def digest(text):
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(text).digest()).decode()


def test_policy_allows_what_is_there_and_no_more(page):
    style, = re.findall(rb"<style>(.*?)</style>", page.body, re.S)
    script, = re.findall(rb"<script>(.*?)</script>", page.body, re.S)
    assert page["Content-Security-Policy"].split("; ") == [
        "default-src 'none'", f"script-src {digest(script)}", f"style-src {digest(style)}", "img-src data:", "connect-src 'self'",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"]
    assert (page["X-Content-Type-Options"], page["Referrer-Policy"], page["Vary"]) == ("nosniff", "no-referrer", "Accept")
    assert page["Cache-Control"] == "no-store"


def test_nothing_comes_from_elsewhere(page):
    text = page.body.decode("utf-8")
    assert len(page.body) < LIMIT
    assert not re.search(r"\son\w+=|\sstyle=|@import|https?://(?!www\.w3\.org/2000/svg|host/path|YOUR-ORIGIN|\$\{|\"|/)[^\s]*\.(js|css|woff)", text)
    assert re.findall(r'(?:href|src)="([^"]*)"', text) and all(
        re.fullmatch(r"/[a-z]*|#main|data:,", link) for link in re.findall(r'(?:href|src)="([^"]*)"', text))
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "localStorage", "console."):
        assert name not in text, name


def test_others_get_the_list(proxy):
    for fields in ([], ["Accept: */*"], ["Accept: application/json, text/plain"], ["Accept: text/htmlx"], ["Accept: ,;,"]):
        answer = proxy.admin("/", "GET", *fields)
        assert answer["Content-Type"].startswith("text/plain") and b"/stats" in answer.body and answer["Vary"] == "Accept", answer
    for fields in (["Accept: text/html"], ["Accept: */*;q=0.1 , TEXT/HTML ;q=1"]):
        assert proxy.admin("/", "GET", *fields)["Content-Type"].startswith("text/html")


def test_token_is_not_for_the_page(start_proxy, tmp_path):
    """It asks for the token by itself, and tells nothing."""
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    token.chmod(0o600)
    proxy = start_proxy(f"admin_token_file={token}")
    assert proxy.admin("/", "GET", HTML).status == 200 and proxy.admin("/").status == 200
    for target in ("/stats", "/nosuch"):
        assert proxy.admin(target, "GET", HTML).status == 401, target
    assert proxy.admin("/", "POST", HTML).status == 405
    assert proxy.admin("/", "GET", HTML, "Host: evil.test").status in (400, 403)


def test_head(proxy, page):
    answer = proxy.admin("/", "HEAD", HTML)
    assert answer.status == 200 and answer["Content-Length"] == str(len(page.body)) and answer.body == b""


def test_many_at_once_to_who_reads_nothing(proxy, page):
    """All are answered in the end, and meanwhile do not wait in memory."""
    before = proxy.memory()
    request = f"GET / HTTP/1.1\r\nHost: localhost\r\n{HTML}\r\n\r\n".encode()
    with Client(proxy.admin_port) as client:
        client.send(request * 200)
        assert proxy.admin("/healthz").status == 204
        assert proxy.grew_less_than(4 << 20, before)
        for _ in range(200):
            assert client.response("GET").body == page.body


# ---- its words -------------------------------------------------------------------------------------


def names(path, pattern):
    return re.findall(pattern, (ROOT / path).read_text(encoding="utf-8"), re.M)


def test_each_reason_and_failure_has_its_words(page):
    """Rows of the tables as the script has them, between backquotes."""
    text = page.body.decode("utf-8")
    reasons, failures = text[text.index("const REASONS"):].split("FAILURES = new Map([")
    failures = failures[:failures.index("]);")]
    assert "\\" not in reasons + failures and "${" not in reasons + failures
    tokens = names("cache/policy/reasons.def", r'^REASON\(\w+,\s*"([a-z-]+)"')
    assert tokens and re.findall(r"^\[`([a-z-]+)`,\[`[^`]+`,`[^`]+`,\]\],$", reasons, re.M) == tokens
    found = names("proxy/base/failures.def", r'^FAILURE\(\w+, "(\w+)"')
    assert found and re.findall(r"^\[`(\w+)`,`[^`]+`,\],$", failures, re.M) == found
