"""Behind the real HAProxy, with the example file: three nodes are one cache, and one may be lost."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest

from support.origin import respond
from support.proxy import BINARY, ROOT, WAIT
from support.rawclient import Client
from support.until import until

sys.path.append(str(ROOT / "bench"))
import cluster  # noqa: E402, the simulation

EXAMPLE = ROOT / "conf" / "haproxy.cfg.example"
NODES = ("node1", "node2", "node3")
PATHS = [f"/{number}?q={number % 7}" for number in range(60)]
CLIENT = "127.0.0.9"  # unlike the address that the balancer itself connects from

HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")


class Balancer:
    """HAProxy with the example file, in which only addresses are others, and by default the bound of a node's load: two
    requests at once are one too many for a node of three, and a request is under way for a while after its answer.
    Its listening sockets are made here and handed over, so that no port can be taken meanwhile, and none is refused."""

    def __init__(self, directory, nodes, origin, factor=1000):
        self.factor = factor
        self.sockets = {"3128": self.listen(), "3130": self.listen()}
        self.port, self.gateway_port = (s.getsockname()[1] for s in self.sockets.values())
        self.file = directory / "haproxy.cfg"
        self.file.write_text(self.adapt(EXAMPLE.read_text(), nodes, origin))
        self.lines = []
        self.process = subprocess.Popen([HAPROXY, "-db", "-f", self.file], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        pass_fds=[s.fileno() for s in self.sockets.values()])
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    @staticmethod
    def listen():
        return socket.create_server(("127.0.0.1", 0), backlog=128)

    def adapt(self, text, nodes, origin):
        """Each substitution must be of something that is there."""
        changes = [(f"bind :{port}\n", f"bind fd@{s.fileno()}\n") for port, s in self.sockets.items()]
        changes.append(("http://api.example.com", f"http://{origin.authority}"))
        changes.append(("hash-balance-factor 150\n", f"hash-balance-factor {self.factor}\n"))
        for number, node in enumerate(nodes.values(), start=1):
            address = f"192.0.2.1{number}:3128"
            changes.append((f"{address} id {number} check port 3129",
                            f"127.0.0.1:{node.port} id {number} check port {node.admin_port}"))
            changes.append((f"{address} track", f"127.0.0.1:{node.port} track"))
            changes.append((f"{address} id {number} track", f"127.0.0.1:{node.port} id {number} track"))
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for_notice(self, pattern):
        until(lambda: any(re.search(pattern, line) for line in self.lines),
              f"{pattern} in {self.lines}", WAIT)

    def close(self):
        self.process.terminate()
        self.process.wait(WAIT)
        self.reader.join(WAIT)
        self.process.stdout.close()
        for s in self.sockets.values():
            s.close()


@pytest.fixture
def nodes(start_proxy, request):
    """By name; a node has its name in Via and Cache-Status, which tells which one has answered."""
    options = ("proxy_protocol_from=127.0.0.0/8", "clients=127.0.0.0/8", "allow=127.0.0.0/8", "connect_ports=*",
               "store_interval=0", *getattr(request, "param", []))
    return {name: start_proxy(f"pseudonym={name}", *options) for name in NODES}


@pytest.fixture
def balancer(nodes, origin, tmp_path, request):
    origin.default = respond(204, "Cache-Control: max-age=600")
    balancer = Balancer(tmp_path, nodes, origin, *getattr(request, "param", []))
    yield balancer
    balancer.close()


def ask(balancer, origin, method="GET", paths=PATHS, **options):
    """Each path once: a dictionary to the answers."""
    with Client(balancer.port, **options) as client:
        return {path: client.ask(method, origin.url(path)) for path in paths}


def names(answers):
    """Which node has answered for which path."""
    return {path: answer.cache_status["name"] for path, answer in answers.items()}


def hits(answers):
    return {path for path, answer in answers.items() if answer.hit}


def of(node, homes):
    """The paths of a node."""
    return {path for path, name in homes.items() if name == node}


def connect(origin):
    return f"CONNECT {origin.authority} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode()


def test_each_uri_lives_on_one_node(balancer, nodes, origin):
    homes = names(ask(balancer, origin))
    for _ in range(2):
        answers = ask(balancer, origin)
        assert hits(answers) == set(PATHS)
        assert names(answers) == homes
    assert len(origin.requests) == len(PATHS)
    for name, node in nodes.items():
        share, stats = len(of(name, homes)), node.stats()
        assert share >= len(PATHS) / 10, homes
        assert (stats["misses"], stats["stores"], stats["hits"]) == (share, share, 2 * share)


def test_put_invalidates(balancer, origin):
    homes = names(ask(balancer, origin))
    put = PATHS[::3]
    assert names(ask(balancer, origin, "PUT", put)) == {path: homes[path] for path in put}
    answers = ask(balancer, origin)
    assert hits(answers) == set(PATHS) - set(put)
    assert names(answers) == homes


def test_clients_are_reported(balancer, nodes, origin):
    with Client(balancer.port, source=CLIENT) as client:
        port = client.sock.getsockname()[1]
        for path in PATHS:
            assert client.get(origin.url(path)).status == 204
    logged = set()
    for node in nodes.values():
        node.stop()
        logged |= {(entry["client"], entry["client_port"]) for entry in map(json.loads, node.log_lines())
                   if entry["target"] != "/healthz"}
    assert logged == {(CLIENT, port)}


def test_gateway_has_the_responses_of_the_proxy(balancer, origin):
    homes = names(ask(balancer, origin))
    with Client(balancer.gateway_port) as client:
        for path in PATHS:
            client.send(f"GET {path} HTTP/1.1\r\nHost: gateway.example\r\n\r\n".encode())
            answer = client.response()
            assert answer.hit and answer.cache_status["name"] == homes[path]
        client.send(connect(origin))
        assert client.response("CONNECT").status == 405
    assert len(origin.requests) == len(PATHS)


def test_tunnel(balancer, origin):
    with Client(balancer.port) as client:
        client.send(connect(origin))
        assert client.response("CONNECT").status == 200
        client.send(f"GET /inside HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
        assert client.response().status == 204
    assert origin.last.fields.get("Via") is None


def reserve(port):
    """A socket that keeps a port from all who take any free one, but not from who asks for it."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    return s


def assert_only_moved(share, homes, answers):
    """The share is with all of the others; what is not of it is where it was, stored."""
    now = names(answers)
    assert {path for path in PATHS if now[path] != homes[path]} == share
    assert len({now[path] for path in share}) == len(NODES) - 1
    assert hits(answers) >= set(PATHS) - share


def test_the_simulated_ring_is_the_real_one(balancer, origin):
    ring = cluster.Ring([1, 2, 3])
    assert names(ask(balancer, origin)) == {path: f"node{ring.node(cluster.hash_of(origin.url(path)))}" for path in PATHS}


@pytest.mark.parametrize("balancer", [[150]], indirect=True)
def test_a_hot_uri_goes_on_to_others_when_its_own_node_is_busy(balancer, nodes, origin):
    """Twelve clients wait for one URI: no node has more than half of them. A write still goes to the URI's own."""
    homes = names(ask(balancer, origin, "PUT"))
    hot = PATHS[0]
    go = threading.Event()
    origin.on(hot, [go, respond(204, "Cache-Control: max-age=600")])
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(balancer.port)) for _ in range(13)]
        for count, client in enumerate(clients, start=1):
            client.request("GET" if count <= 12 else "PUT", origin.url(hot))
            until(lambda: sum(node.stats()["gauges"]["exchanges"] for node in nodes.values()) >= count, "it is at a node")
        go.set()
        answered = [client.response().cache_status["name"] for client in clients]
    assert answered.pop() == homes[hot]
    assert max(map(answered.count, NODES)) <= 6, answered


class Load(threading.Thread):
    """Requests, one after the other, until it is stopped; those that were not answered 204."""

    def __init__(self, balancer, origin, seed):
        super().__init__(daemon=True)
        self.balancer, self.origin, self.seed = balancer, origin, seed
        self.stopping, self.asked, self.wrong = threading.Event(), 0, []
        self.start()

    def run(self):
        while not self.stopping.is_set():
            with Client(self.balancer.port) as client:
                for path in PATHS[self.seed::3]:
                    answer = client.get(self.origin.url(path))
                    self.asked += 1
                    if answer.status != 204:
                        self.wrong.append((path, answer))

    def stop(self):
        self.stopping.set()
        self.join(WAIT)
        assert self.asked > 0 and self.wrong == []


@pytest.mark.long
@pytest.mark.parametrize("nodes", [["drain_delay=3s"]], indirect=True)
def test_rolling_upgrade_and_restart_lose_no_request(balancer, nodes, origin):
    homes = names(ask(balancer, origin))
    loads = [Load(balancer, origin, seed) for seed in range(3)]
    for node in nodes.values():
        subprocess.run([BINARY, "upgrade", "-o", f"admin=127.0.0.1:{node.admin_port}"], check=True, timeout=WAIT,
                       stdout=subprocess.DEVNULL)
    for name, node in nodes.items():
        os.kill(node.pid, signal.SIGTERM)
        balancer.wait_for_notice(rf"nodes/{name} is DOWN")
        node.process.wait(WAIT)
        node.start()
        balancer.lines.clear()
        balancer.wait_for_notice(rf"nodes/{name} is UP")
    for load in loads:
        load.stop()
    assert names(ask(balancer, origin)) == homes


def test_purge_at_all_nodes(balancer, nodes, origin):
    ask(balancer, origin)
    at = [word for node in nodes.values() for word in ("--node", f"127.0.0.1:{node.admin_port}")]
    gone = PATHS[::2]
    for path in gone:
        subprocess.run([BINARY, "purge", *at, origin.url(path)], check=True, timeout=WAIT, stdout=subprocess.DEVNULL)
    answers = ask(balancer, origin)
    assert hits(answers) == set(PATHS) - set(gone)


@pytest.mark.one_worker("takes a port that several sockets share")
def test_losing_a_node_moves_only_its_share(balancer, nodes, origin):
    homes = names(ask(balancer, origin))
    lost = "node2"
    share = of(lost, homes)
    assert nodes[lost].stats()["stores"] == len(share)
    nodes[lost].kill9()
    kept = [reserve(port) for port in (nodes[lost].port, nodes[lost].admin_port)]

    answers = ask(balancer, origin)  # no check has found out yet, or only just
    assert {answer.status for answer in answers.values()} == {204}
    assert_only_moved(share, homes, answers)

    balancer.wait_for_notice(rf"nodes/{lost} is DOWN")
    answers = ask(balancer, origin)
    assert_only_moved(share, homes, answers)
    moved = names(answers)
    answers = ask(balancer, origin)
    assert hits(answers) == set(PATHS)
    assert names(answers) == moved

    nodes[lost].options += [f"{name}=127.0.0.1:{s.getsockname()[1]}"
                            for name, s in zip(("listen", "admin"), kept)]
    nodes[lost].start()
    balancer.wait_for_notice(rf"nodes/{lost} is UP")
    answers = ask(balancer, origin)
    assert names(answers) == homes
    assert hits(answers) == set(PATHS)  # it still has its store
    for s in kept:
        s.close()
