"""Node's undici with its defaults, by tunnels that are read as HTTP. `make undici` installs it."""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from support.origin import READ_BODY, respond
from support.proxy import ROOT
from support.target import Target

UNDICI = pathlib.Path(os.environ.get("CACHE204_UNDICI", ROOT / "build" / "undici" / "node_modules" / "undici"))

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("node") or not UNDICI.is_dir(), reason="no node, or no undici: make undici")]

# In place of AGENT, what a program has.
AGENTS = {"ProxyAgent": "new undici.ProxyAgent(process.env.http_proxy)",
          "EnvHttpProxyAgent": "new undici.EnvHttpProxyAgent()"}

START = """
const undici = require(process.argv[1]);
const [origin, ...rest] = process.argv.slice(2);
const dispatcher = AGENT;
undici.setGlobalDispatcher(dispatcher);
const say = value => console.log(JSON.stringify(value));
async function get(path, options) {
    const response = await undici.fetch(origin + path, options);
    return {status: response.status, cache: response.headers.get('cache-status'), body: await response.text()};
}
(async () => {
"""


@pytest.fixture(params=AGENTS)
def node(request, reading, tmp_path):
    """Run a program with such an agent: what it says, line by line."""
    def run(script, *arguments):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "http_proxy": reading.url}
        text = START.replace("AGENT", AGENTS[request.param]) + script + "\nawait dispatcher.close();\n})()"
        ended = subprocess.run(["node", "-e", text, "--", str(UNDICI), *arguments], env=environment, timeout=60,
                               capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]
    return run


@pytest.fixture
def reading(start_proxy):
    return start_proxy("connect_ports=*", "tunnel_http=*")


def test_what_it_fetches_is_cached(node, reading, origin):
    origin.on("/ping", respond(204, "Cache-Control: max-age=60", 'ETag: "v1"'))
    said = node("""
        for (let n = 0; n < 5; n++) { say(await get('/ping')); await new Promise(r => setTimeout(r, 50)); }
        const {statusCode, headers} = await undici.request(origin + '/ping', {headers: {'If-None-Match': '"v1"'}});
        say({status: statusCode, cache: headers['cache-status']});
        """, origin.url(""))
    assert [answer["status"] for answer in said] == [204] * 5 + [304]
    assert "stored" in said[0]["cache"] and all("hit" in answer["cache"] for answer in said[1:])
    assert origin.lines == ["GET /ping HTTP/1.1"]
    counted = reading.stats()["counters"]
    assert counted["tunnels"] == 0 and counted["tunnels_read"] >= 1 and counted["tunnel_requests"] == 6
    with reading.connect() as client:
        assert client.get(origin.url("/ping")).hit


def test_bodies_and_many_at_a_time(node, origin):
    body = os.urandom(100_000).hex()
    origin.default = respond(200, body=body.encode())
    origin.on("/up", [READ_BODY, respond(200, body=b"taken")])
    said = node("""
        const answers = await Promise.all(Array.from({length: 50}, (_, n) => get('/' + n)));
        say(answers.map(answer => [answer.status, answer.body.length]));
        say(await get('/up', {method: 'POST', body: 'x'.repeat(300000)}));
        const pieces = async function* () { for (let n = 0; n < 100; n++) yield Buffer.alloc(5000, 'y'); };
        say(await get('/up', {method: 'PUT', body: pieces(), duplex: 'half'}));
        """, origin.url(""))
    assert said[0] == [[200, len(body)]] * 50
    assert [answer["body"] for answer in said[1:]] == ["taken"] * 2
    bodies = [request.body for request in origin.requests if request.target == "/up"]
    assert bodies == [b"x" * 300_000, b"y" * 500_000]


def test_its_request_and_stream_take_the_same_way(node, origin):
    origin.on("/r", respond(204, "Cache-Control: max-age=60"))
    said = node("""
        for (let n = 0; n < 2; n++) {
            const {statusCode, headers, body} = await undici.request(origin + '/r');
            await body.dump();
            say([statusCode, headers['cache-status']]);
            await new Promise(r => setTimeout(r, 50));
        }
        """, origin.url(""))
    assert [status for status, _ in said] == [204, 204] and "hit" in said[1][1]


def test_errors_are_pages(node, origin):
    origin.refuse()
    said, = node("say(await get('/'))", origin.url(""))
    assert said["status"] == 502 and "refused" in said["body"]


def test_a_web_socket_passes(node, reading):
    """Its first request asks for another protocol: the tunnel is left alone."""
    def serve(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(4096)
        key = next(line.split(b": ")[1] for line in data.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                           b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n\x81\x05hello")
        while connection.recv(4096):
            pass
    target = Target(serve)
    try:
        said, = node("""
            const socket = new undici.WebSocket(origin.replace('http:', 'ws:') + '/ws', {dispatcher});
            say(await new Promise((resolve, reject) => {
                socket.onmessage = event => resolve(event.data);
                socket.onerror = event => reject(new Error(String(event.error ?? event.type)));
            }));
            process.exit(0);
            """, f"http://{target.authority}")
    finally:
        target.close()
    assert said == "hello"
    assert reading.stats()["counters"]["tunnels_read"] == 0
