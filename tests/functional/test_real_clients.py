"""Programs that honour http_proxy."""

import http.client
import os
import shutil
import subprocess
import sys

import pytest

from support.origin import CLOSE, READ_BODY, chunked, respond

BODY = os.urandom(300_000)


@pytest.fixture
def run_client(proxy, tmp_path):
    """Run a program with http_proxy set."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "http_proxy": proxy.url,
                   "LC_ALL": "C"}

    def run_client(*arguments, data=None):
        if not shutil.which(arguments[0]):
            pytest.fail(f"{arguments[0]} is needed for this test")
        proxy.written = True  # for all that is seen of what the one before did
        proxy.until_written()
        return subprocess.run(arguments, env=environment, cwd=tmp_path, input=data, timeout=20,
                              capture_output=True)

    return run_client


def test_curl_miss_and_hit(run_client, origin):
    origin.default = respond(204, "Cache-Control: max-age=60", 'ETag: "a"')
    miss = run_client("curl", "-sSi", origin.url("/c"))
    hit = run_client("curl", "-sSi", origin.url("/c"))
    assert miss.stdout.startswith(b"HTTP/1.1 204") and b"fwd=uri-miss" in miss.stdout
    assert hit.stdout.startswith(b"HTTP/1.1 204") and b"cache204; hit" in hit.stdout
    not_modified = run_client("curl", "-sSi", "-H", 'If-None-Match: "a"', origin.url("/c"))
    assert not_modified.stdout.startswith(b"HTTP/1.1 304")
    assert len(origin.requests) == 1


@pytest.mark.parametrize("option", ["--http1.1", "--http1.0"])
def test_curl_download(run_client, origin, option):
    origin.default = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                      chunked(BODY[:100_000], BODY[100_000:])]
    assert run_client("curl", "-sS", option, origin.url("/d")).stdout == BODY


def test_curl_upload(run_client, origin):
    origin.on("/u", [respond(100), READ_BODY, respond(201, body=b"created")], early=True)
    result = run_client("curl", "-sS", "-T", "-", "-H", "Expect: 100-continue", origin.url("/u"), data=BODY)
    assert result.stdout == b"created"
    assert (origin.last.method, origin.last.body) == ("PUT", BODY)


def test_curl_keeps_its_connection(run_client, origin):
    origin.default = respond(200, body=b"x")
    result = run_client("curl", "-sS", "-w", "%{stderr}%{num_connects} ", *[origin.url(f"/{i}") for i in range(3)])
    assert result.stdout == b"xxx"
    assert result.stderr == b"1 0 0 "
    assert len(origin.connections) == 1


def test_curl_sees_a_cut(run_client, origin):
    origin.default = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", CLOSE]
    assert run_client("curl", "-sS", origin.url()).returncode in (18, 56)


def test_wget(run_client, origin):
    origin.default = respond(200, body=BODY)
    assert run_client("wget", "-qO-", origin.url("/w")).stdout == BODY
    origin.default = respond(204, "Cache-Control: max-age=60")
    for expected in (b"fwd=uri-miss", b"cache204; hit"):
        result = run_client("wget", "-SO/dev/null", origin.url("/n"))
        assert b"204" in result.stderr and expected in result.stderr
    assert [r.target for r in origin.requests] == ["/w", "/n"]


def test_wget_post(run_client, origin):
    run_client("wget", "-qO-", "--post-data=a=b", origin.url("/p"))
    assert (origin.last.method, origin.last.body) == ("POST", b"a=b")


@pytest.mark.one_worker("it asks again before another worker may see what was stored")
def test_python_urllib(run_client, origin):
    origin.on("/204", respond(204, "Cache-Control: max-age=60"))
    origin.on("/200", respond(200, body=b"hello"))
    program = f"""
import urllib.request
for path in ("204", "204", "200"):
    with urllib.request.urlopen("{origin.url('/')}" + path) as answer:
        print(answer.status, answer.headers["Cache-Status"].split(";")[1].strip(), answer.read())
"""
    result = run_client(sys.executable, "-c", program)
    assert result.stdout.decode().splitlines() == [
        "204 fwd=uri-miss b''", "204 hit b''", "200 fwd=uri-miss b'hello'"], result.stderr


def test_python_http_client_keep_alive(proxy, origin):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    for i in range(3):
        connection.request("GET", origin.url(f"/{i}"))
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
    connection.close()
    assert len(origin.connections) == 1
