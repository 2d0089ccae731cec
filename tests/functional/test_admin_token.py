"""Who may read and change on the admin addresses: the token, and other machines without one."""

import re
import socket
import subprocess

import pytest

from support.ports import free_port
from support.proxy import Proxy, run
from support.rawclient import Client
from support.reloaded import Reloaded
from support.until import until

TOKEN = "0123456789abcdef-._~+/=="
BEARER = f"Authorization: Bearer {TOKEN}"


@pytest.fixture(name="file")
def token_file(tmp_path):
    return write(tmp_path / "token", TOKEN + "\n")


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_all_but_healthz_need_it(start_proxy, file):
    proxy = start_proxy(f"admin_token_file={file}")
    for target, method in (("/stats", "GET"), ("/dash.json", "GET"), ("/metrics", "HEAD"), ("/none", "GET"), ("/purge", "POST"),
                           ("/reload", "GET"), ("/reload", "POST")):
        answer = proxy.admin(target, method, "Content-Length: 0")
        assert answer.status == 401, target
        assert answer["WWW-Authenticate"] == 'Bearer realm="cache204"'
        assert "no-store" in answer["Cache-Control"]
        assert method == "HEAD" or b"admin_token_file" in answer.body
    assert proxy.admin("/healthz").status == 204
    assert proxy.admin("/").status == 200  # the page, which asks for the token
    assert proxy.admin("/stats", "GET", BEARER).status == 200
    assert proxy.admin("/none", "GET", BEARER).status == 404
    assert proxy.admin("/purge", "POST", "Content-Length: 0", BEARER).status == 202
    assert TOKEN.encode() not in proxy.told(BEARER)


@pytest.mark.parametrize("value", [
    "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Bearer x{TOKEN}", f"Basic {TOKEN}", TOKEN,
    f"Bearer{TOKEN}", f"Bearer {TOKEN.upper()}", f"Bearer {TOKEN}, Bearer {TOKEN}", f"Bearer {TOKEN}{TOKEN}"])
def test_others_are_refused(start_proxy, file, value):
    proxy = start_proxy(f"admin_token_file={file}")
    answer = proxy.admin("/stats", "GET", f"Authorization: {value}")
    assert answer.status == 401 and 'error="invalid_token"' in answer["WWW-Authenticate"]
    assert b"requests" not in answer.body and TOKEN.encode() not in answer.body
    assert proxy.admin("/stats", "GET", BEARER, BEARER).status == 401
    assert proxy.admin("/stats", "GET", f"Authorization: bEARER   {TOKEN}").status == 200


@pytest.mark.parametrize("text, mode, says", [
    (TOKEN, 0o604, "other users"), (TOKEN, 0o660, "other users"), ("short\n", 0o600, "shorter than 16"),
    (f"{TOKEN}\n{TOKEN}\n", 0o600, "more than one line"), ("", 0o600, "not a token"), (f"a {TOKEN}", 0o600, "not a token"),
    ("x" * 513, 0o600, "longer than 512"), (f"{TOKEN}\0{TOKEN}", 0o600, "more than one line, or a NUL")])
def test_files_that_are_refused(tmp_path, text, mode, says):
    file = write(tmp_path / "token", text, mode)
    for checking in (["-t"], []):
        ended = run(*checking, "-o", "listen=127.0.0.1:0", "-o", "admin=127.0.0.1:0", "-o", f"store={tmp_path / 's'}",
                    "-o", f"admin_token_file={file}")
        assert ended.returncode != 0 and f"admin_token_file: {file}: " in ended.stderr and says in ended.stderr
        assert TOKEN not in ended.stderr


def test_the_longest_is_taken(start_proxy, tmp_path):
    proxy = start_proxy(f"admin_token_file={write(tmp_path / 'token', 'x' * 512, 0o640)}")
    assert proxy.admin("/stats", "GET", f"Authorization: Bearer {'x' * 512}").status == 200


def test_a_reload_reads_it_anew_and_the_subcommand_shows_it(tmp_path, file):
    running = Reloaded(tmp_path, admin="127.0.0.1:0", admin_token_file=file, workers=Proxy.worker_count)
    proxy = running.proxy
    try:
        ended = run("reload", "-c", running.file, "-o", f"admin=127.0.0.1:{proxy.admin_port}", timeout=60)
        assert ended.returncode == 0 and "generation 2" in ended.stdout, ended
        write(file, "another-" + TOKEN)
        assert proxy.admin("/reload", "POST", "Content-Length: 0", BEARER).status == 202
        until(lambda: proxy.admin("/stats", "GET", f"Authorization: Bearer another-{TOKEN}").status == 200, "the reload")
        assert proxy.admin("/stats", "GET", BEARER).status == 401
        write(file, TOKEN)  # the proxy does not know it yet
        ended = run("reload", "-c", running.file, "-o", f"admin=127.0.0.1:{proxy.admin_port}", timeout=60)
        assert ended.returncode == 2 and "SIGHUP" in ended.stderr
        file.chmod(0o666)
        ended = run("reload", "-c", running.file, "-o", f"admin=127.0.0.1:{proxy.admin_port}", timeout=60)
        assert ended.returncode == 2 and f"admin_token_file: {file}: " in ended.stderr
        file.unlink()
        ended = run("reload", "-c", running.file, "-o", f"admin=127.0.0.1:{proxy.admin_port}", timeout=60)
        assert ended.returncode == 2 and "No such file" in ended.stderr
    finally:
        proxy.kill()


def outer_address():
    """An address of this machine that is not loopback; None where there is none."""
    listed = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    return next((address for address in listed if "." in address and not address.startswith("169.254.")), None)


def ask(port, host, source=None, target="/stats", method="GET", *fields):
    with Client(port, host=host, source=source) as client:
        client.send("\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", "Content-Length: 0", *fields, "", ""])
                    .encode())
        return client.response(method)


@pytest.fixture(name="outer")
def an_outer_address():
    address = outer_address()
    if address is None:
        pytest.skip("no interface but loopback")
    return address


def test_other_machines_read_only_without_a_token(start_proxy, outer):
    """Whoever comes by an address that is not loopback might be one: this machine's other address stands for it."""
    port = free_port()
    proxy = start_proxy(f"admin=127.0.0.1:0,0.0.0.0:{port}", f"clients=127.0.0.0/8,{outer}")
    assert ask(port, outer).status == 200
    for target in ("/purge", "/reload", "/purge?uri=http://a.example/"):
        answer = ask(port, outer, None, target, "POST")
        assert answer.status == 403 and b"admin_token_file" in answer.body
    # over loopback at the same listener it is this machine that asks
    assert ask(port, "127.0.0.1", None, "/purge", "POST").status == 202
    # the address that is asked from decides, not the one that is asked
    assert ask(port, "127.0.0.1", outer, "/purge", "POST").status == 403
    assert "admin_token_file" in proxy.errors() and "0.0.0.0" in proxy.errors()


def test_with_a_token_they_may_change(start_proxy, outer, file):
    port = free_port()
    proxy = start_proxy(f"admin=127.0.0.1:0,0.0.0.0:{port}", f"clients=127.0.0.0/8,{outer}", f"admin_token_file={file}")
    assert ask(port, outer, None, "/purge", "POST").status == 401
    assert ask(port, outer, None, "/purge", "POST", BEARER).status == 202
    assert "admin:" not in proxy.errors()


def test_loopback_of_ipv6_may_change(start_proxy):
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no ::1")
    proxy = start_proxy("admin=127.0.0.1:0,[::1]:0")
    port = next(int(m[1]) for line in proxy.output if (m := re.fullmatch(r"stats: http://\[::1\]:(\d+)/stats", line)))
    with socket.create_connection(("::1", port), 5) as sock:
        sock.sendall(b"POST /purge HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 202 ")
    assert "admin:" not in proxy.errors()
