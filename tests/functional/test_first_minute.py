"""What a new user is told: at the start, with the first request, and with the first tunnel to a host."""

import re
import subprocess

import pytest

from support.origin import respond
from support.ports import free_port
from support.rawclient import Client
from support.until import until

FRESH = "Cache-Control: max-age=60"


def lines_with(proxy, text):
    return [line for line in proxy.errors().splitlines() if text in line]


def holds(proxy):
    """(URIs, unit of the size) as it was printed."""
    found = [re.fullmatch(r"# it holds (\d+) URIs? in (\d{1,4}(?:[KM]iB|B)), and may grow to 16MiB", line)
             for line in proxy.output]
    found = [match for match in found if match]
    assert len(found) == 1, proxy.output
    return int(found[0][1])


def test_what_the_store_holds(start_proxy, origin):
    proxy = start_proxy()
    origin.default = respond(204, FRESH)
    assert holds(proxy) == 0
    for i in range(3):
        with proxy.connect() as client:
            client.get(origin.url(f"/{i}"))
    assert {file.stat().st_mode & 0o777 for file in [*proxy.store.iterdir(), proxy.access_log]} == {0o600}
    proxy.restart()
    assert holds(proxy) == 3


def test_the_line_to_try_it_works(proxy, origin):
    origin.default = respond(204, FRESH)
    line = next(line for line in proxy.output if line.startswith("# try: "))
    command = line.removeprefix("# try: ").replace("http://example.com/", origin.url())
    result = subprocess.run(["sh", "-c", command], text=True, capture_output=True, timeout=15, check=True)
    assert "Cache-Status: cache204; fwd=uri-miss" in result.stdout


@pytest.mark.parametrize("options, warned", [
    (["listen=0.0.0.0:0", "clients=0.0.0.0/0"], True),
    (["listen=127.0.0.1:0,[::]:0", "clients=10.0.0.0/8,::/0"], True),
    (["listen=0.0.0.0:0", "clients=10.0.0.0/8,127.0.0.1"], False),
    (["listen=0.0.0.0:0"], False),
    (["listen=127.0.0.1:0", "clients=0.0.0.0/0"], False),
    (["listen=127.0.0.1:0", "clients=0.0.0.0/0", "gateway=0.0.0.0:0=http://example.com"], False),
])
def test_an_open_proxy_is_warned_of(start_proxy, options, warned):
    proxy = start_proxy(*options)
    assert len(lines_with(proxy, "warning: listen: an open proxy: ")) == warned, proxy.errors()


def test_an_admin_address_that_others_reach_is_warned_of(start_proxy):
    proxy = start_proxy("admin=0.0.0.0:0")
    assert len(lines_with(proxy, "warning: admin: other machines may reach ")) == 1 and not lines_with(proxy, "error: "), proxy.errors()


def test_one_with_logins_is_no_open_proxy(start_proxy, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text("a:$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/\n")
    passwords.chmod(0o600)
    proxy = start_proxy("listen=0.0.0.0:0", "clients=0.0.0.0/0", f"password_file={passwords}")
    assert not lines_with(proxy, "open proxy")


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_request_is_announced_once(start_proxy, origin, workers):
    """Also when it is a hit; not for what is no request of a proxy, nor for the statistics."""
    origin.default = respond(204, FRESH)
    proxy = start_proxy(f"workers={workers}")
    with proxy.connect() as client:
        assert client.get(origin.url("/secret?password=x")).status == 204
    proxy.restart()
    before = len(lines_with(proxy, "first request"))
    with Client(proxy.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert client.response().status == 400
    proxy.stats()
    assert len(lines_with(proxy, "first request")) == before == 1
    for _ in range(6):
        with proxy.connect() as client:
            assert "hit" in client.get(origin.url("/secret?password=x"))["Cache-Status"]
    lines = lines_with(proxy, "first request through the proxy: ")
    assert len(lines) == 2, lines
    assert lines[1].endswith(f"info: first request through the proxy: GET http://{origin.authority} from 127.0.0.1")


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_request_to_a_gateway_is_told(start_proxy, origin, workers):
    gateway = free_port()
    proxy = start_proxy(f"gateway=127.0.0.1:{gateway}={origin.url().rstrip('/')}", f"workers={workers}")
    origin.default = respond(204, FRESH)
    for n in range(6):
        with Client(gateway) as client:
            client.send(f"GET /secret?password=x HTTP/1.1\r\nHost: 127.0.0.1:{gateway}\r\n\r\n".encode())
            assert client.response().status == 204, n
        with proxy.connect() as client:
            assert client.get(origin.url("/x")).status == 204
    lines = lines_with(proxy, "first request through the proxy: ")
    assert len(lines) == 1, lines
    assert lines[0].endswith(f"info: first request through the proxy: GET http://{origin.authority} from 127.0.0.1")


def connect(proxy, authority):
    with Client(proxy.port) as client:
        client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        return client.response("CONNECT").status


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_tunnel_to_a_host_is_logged(start_proxy, origin, workers):
    proxy = start_proxy("connect_ports=*", f"workers={workers}")
    name = f"localhost:{origin.port}"
    for authority in (origin.authority, origin.authority, name, origin.authority):
        assert connect(proxy, authority) == 200
    lines = lines_with(proxy, "tunnelled, not seen by the cache: ")
    assert len(lines) == 2, lines
    assert f"CONNECT {origin.authority}; " in lines[0] and "CONNECT localhost:" in lines[1]
    assert lines[0].endswith(f" use gateway=ADDRESS:PORT=https://{origin.authority}")
    assert proxy.stats()["tunnelled_not_seen"] == {origin.authority: 3, name: 1}
    metrics = proxy.admin("/metrics").body.decode()
    assert f'cache204_tunnels_by_host{{host="{name}"}} 1\n' in metrics


def test_one_that_was_refused_is_not(start_proxy, origin):
    proxy = start_proxy()
    assert connect(proxy, origin.authority) == 403
    assert not lines_with(proxy, "tunnelled, not seen")
    assert proxy.stats()["tunnelled_not_seen"] == {}
    until(lambda: lines_with(proxy, "first request through the proxy: CONNECT "), "it was announced")
