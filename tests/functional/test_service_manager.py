"""Under a service manager: what it is told (sd_notify), and sockets that it has bound (socket activation)."""

import fcntl
import json
import os
import signal
import socket

import pytest

from support.proxy import WAIT, Proxy
from support.rawclient import Client
from support.until import until

pytestmark = pytest.mark.one_worker("the master alone talks")


class Manager:
    """The end of NOTIFY_SOCKET that a service manager has."""

    def __init__(self, name):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name[0] == "@" else name)
        self.socket.settimeout(WAIT)

    def next(self):
        """The next state but signs of life, as a dict."""
        while True:
            state = dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())
            if state != {"WATCHDOG": "1"}:
                return state

    def close(self):
        self.socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    manager = Manager(str(tmp_path / "notify") if request.param == "path" else f"@cache204-test-{os.getpid()}")
    yield manager
    manager.close()


def under(manager, directory, *options, **environment):
    proxy = Proxy(directory, *options, start=False)
    proxy.environment = {"NOTIFY_SOCKET": manager.name, **environment}
    return proxy


def test_from_start_to_end(manager, tmp_path):
    proxy = under(manager, tmp_path / "proxy", "drain_timeout=20s").start()
    try:
        state = manager.next()
        assert state["READY"] == "1" and state["MAINPID"] == str(proxy.pid), state
        assert "serving" in state["STATUS"]
        proxy.process.send_signal(signal.SIGTERM)
        state = manager.next()
        assert state["STOPPING"] == "1" and int(state["EXTEND_TIMEOUT_USEC"]) > 20_000_000, state
        assert proxy.process.wait(WAIT) == 0
    finally:
        proxy.kill()


def test_reload(manager, tmp_path):
    file = tmp_path / "conf"
    file.write_text("workers = 1\n")
    proxy = under(manager, tmp_path / "proxy")
    proxy.options = [option for option in proxy.options if not option.startswith("workers=")]
    proxy.arguments = ["-c", str(file)]
    proxy.start()
    try:
        assert manager.next()["READY"] == "1"
        for text, said in [("workers = 2\n", "serving, generation 2, workers: 2"), ("nonsense\n", "reload refused")]:
            file.write_text(text)
            proxy.process.send_signal(signal.SIGHUP)
            state = manager.next()
            assert state["RELOADING"] == "1" and int(state["MONOTONIC_USEC"]) > 0, state
            state = manager.next()
            assert state["READY"] == "1" and said in state["STATUS"], state
    finally:
        proxy.stop()


def test_watchdog(tmp_path):
    """One sign of life in each half of its time, also when nothing else happens."""
    manager = Manager(str(tmp_path / "notify"))
    proxy = under(manager, tmp_path / "proxy", WATCHDOG_USEC="200000").start()
    try:
        assert manager.next()["READY"] == "1"
        for _ in range(3):
            assert manager.socket.recv(4096) == b"WATCHDOG=1"
    finally:
        proxy.stop()
        manager.close()


def test_watchdog_of_another_process(tmp_path):
    manager = Manager(str(tmp_path / "notify"))
    proxy = under(manager, tmp_path / "proxy", WATCHDOG_USEC="2000", WATCHDOG_PID="1").start()
    try:
        assert "READY" in manager.next()
        proxy.process.send_signal(signal.SIGTERM)
        assert b"STOPPING=1" in manager.socket.recv(4096)
    finally:
        proxy.kill()
        manager.close()


def test_without_manager(tmp_path):
    """A name that leads nowhere keeps nothing from serving."""
    proxy = Proxy(tmp_path, start=False)
    proxy.environment = {"NOTIFY_SOCKET": str(tmp_path / "nothing")}
    proxy.start()
    proxy.stop()
    assert "service manager: cannot send to NOTIFY_SOCKET" in proxy.errors()


# ---- sockets that are there -----------------------------------------------------------------------


def listening(address="127.0.0.1", port=0):
    """A socket, on a descriptor that none of those from 3 on can be in the way of."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(100)
    high = fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, 100)
    sock.close()
    return socket.socket(fileno=high)


def port_of(sock):
    return sock.getsockname()[1]


def activated(directory, sockets, *options, names="web"):
    """A proxy with these sockets from descriptor 3 on."""
    proxy = Proxy(directory, start=False)
    proxy.options = [option for option in proxy.options if not option.startswith("listen=")] + list(options)
    moves = " ".join(f"{3 + i}<&{sock.fileno()}" for i, sock in enumerate(sockets))
    proxy.wrapper = ["bash", "-c", f"export LISTEN_PID=$$ LISTEN_FDS={len(sockets)} LISTEN_FDNAMES={names}; "
                     f'exec "$@" {moves}', "-"]
    proxy.pass_fds = [sock.fileno() for sock in sockets]
    return proxy


@pytest.mark.parametrize("workers", [1, 3])
def test_socket_is_taken_and_outlives_the_proxy(tmp_path, origin, workers):
    """A client that comes while no proxy runs waits, and is answered by the next one."""
    with listening() as sock:
        proxy = activated(tmp_path, [sock], f"listen=127.0.0.1:{port_of(sock)}", f"workers={workers}").start()
        assert proxy.port == port_of(sock)
        for n in range(8):
            with proxy.connect() as client:
                assert client.get(origin.url(f"/{n}")).status == 204
        proxy.stop()
        with Client(port_of(sock)) as waiting:
            waiting.send(f"GET {origin.url('/0')} HTTP/1.1\r\nHost: 127.0.0.1:{origin.port}\r\n\r\n".encode())
            proxy.start()
            assert waiting.response().status == 204
        proxy.stop()


def test_socket_survives_reloads_and_more_workers(tmp_path, origin):
    with listening() as sock:
        file = tmp_path / "conf"
        file.write_text("workers = 1\n")
        proxy = activated(tmp_path / "proxy", [sock], f"listen=127.0.0.1:{port_of(sock)}")
        proxy.options = [option for option in proxy.options if not option.startswith("workers=")]
        proxy.arguments = ["-c", str(file)]
        manager = Manager(str(tmp_path / "notify"))
        proxy.environment = {"NOTIFY_SOCKET": manager.name}
        proxy.start()
        assert manager.next()["READY"] == "1"
        for workers in (3, 1, 2):
            file.write_text(f"workers = {workers}\n")
            proxy.process.send_signal(signal.SIGHUP)
            assert "RELOADING" in manager.next()
            assert f"workers: {workers}" in manager.next()["STATUS"], proxy.errors()
            for n in range(8):
                with proxy.connect() as client:
                    assert client.get(origin.url(f"/{n}")).status == 204
        proxy.stop()
        manager.close()


def test_gateway_and_admin_are_taken_as_well(tmp_path, origin):
    with listening() as listen, listening() as admin, listening() as gateway:
        proxy = activated(tmp_path, [gateway, admin, listen], f"listen=127.0.0.1:{port_of(listen)}",
                          f"gateway=127.0.0.1:{port_of(gateway)}=http://127.0.0.1:{origin.port}", names="a:b:c")
        proxy.options = [option for option in proxy.options if not option.startswith("admin=")]
        proxy.options.append(f"admin=127.0.0.1:{port_of(admin)}")
        proxy.start()
        assert (proxy.port, proxy.admin_port) == (port_of(listen), port_of(admin))
        assert proxy.admin("/healthz").status == 204
        with Client(port_of(gateway)) as client:
            client.send(f"GET /g HTTP/1.1\r\nHost: 127.0.0.1:{port_of(gateway)}\r\n\r\n".encode())
            assert client.response().status == 204
        proxy.stop()


def listening_at(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(100)
    high = fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, 100)
    sock.close()
    return socket.socket(fileno=high)


@pytest.mark.parametrize("workers", [1, 3])
def test_unix_sockets_are_taken_by_their_paths(tmp_path, tmp_path_factory, origin, workers):
    """They stay the manager's: with their modes, over reloads, upgrades and the end."""
    base = tmp_path_factory.getbasetemp()
    listen, gateway = (base / f"{name}{os.getpid()}.{workers}" for name in "lg")
    request = f"GET {origin.url()} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode()

    def all_answer():
        for path in (listen, gateway):
            with Client(None, path=path) as client:
                client.send(request)
                assert client.response().status == 204
    with listening_at(gateway) as second, listening_at(listen) as first:
        listen.chmod(0o640)
        proxy = activated(tmp_path, [second, first], f"listen=127.0.0.1:0,unix:{listen}", f"workers={workers}",
                          f"gateway=unix:{gateway}=http://{origin.authority}", names="a:b").start()
        all_answer()
        for number, sent in ((2, signal.SIGHUP), (3, signal.SIGUSR2)):
            proxy.process.send_signal(sent)
            page = "/reload" if sent == signal.SIGHUP else "/upgrade"
            until(lambda at=page, want=number: json.loads(proxy.admin(at).body)["generation"] == want, "it is over")
            all_answer()
        assert listen.stat().st_mode & 0o777 == 0o640
        proxy.stop()
        assert listen.exists() and gateway.exists()
    errors = []
    with listening_at(base / f"o{os.getpid()}.{workers}") as other:
        errors = refused(activated(tmp_path / "other", [other], "listen=127.0.0.1:0", names="other"))
    assert f"/o{os.getpid()}.{workers} (other): none of the options" in errors, errors


def refused(proxy):
    with pytest.raises(AssertionError, match="did not start"):
        proxy.start()
    return proxy.errors()


def test_socket_of_another_address_is_refused(tmp_path):
    with listening() as sock, listening() as other:
        errors = refused(activated(tmp_path, [sock, other], f"listen=127.0.0.1:{port_of(sock)}", names="web:other"))
        assert f"127.0.0.1:{port_of(other)} (other)" in errors and "gateway" in errors, errors


def test_descriptor_that_is_no_socket_is_refused(tmp_path):
    with listening() as sock, socket.socket(socket.AF_UNIX) as odd:
        high = socket.socket(fileno=fcntl.fcntl(odd.fileno(), fcntl.F_DUPFD_CLOEXEC, 100))
        errors = refused(activated(tmp_path, [sock, high], f"listen=127.0.0.1:{port_of(sock)}", names="web:odd"))
        high.close()
        assert "descriptor 4 (odd): not a listening TCP or Unix socket" in errors, errors


def test_sockets_of_another_process_are_none_of_ours(tmp_path):
    proxy = Proxy(tmp_path, start=False)
    proxy.environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    proxy.start()
    proxy.stop()


# ---- another program ------------------------------------------------------------------------------


def test_upgrade(manager, tmp_path):
    """The same process says it, with the same watchdog; a trial says nothing."""
    proxy = under(manager, tmp_path / "proxy", WATCHDOG_USEC="600000").start()
    try:
        assert manager.next()["READY"] == "1"
        for generation in (2, 3):
            proxy.process.send_signal(signal.SIGUSR2)
            state = manager.next()
            assert state["RELOADING"] == "1" and state["STATUS"] == "upgrading", state
            state = manager.next()
            assert state["READY"] == "1" and state["MAINPID"] == str(proxy.pid), state
            assert f"serving, generation {generation}" in state["STATUS"], state
        while manager.socket.recv(4096) != b"WATCHDOG=1":
            pass
    finally:
        proxy.stop()


@pytest.mark.parametrize("workers", [1, 3])
def test_socket_survives_upgrades(tmp_path, origin, workers):
    with listening() as sock:
        proxy = activated(tmp_path, [sock], f"listen=127.0.0.1:{port_of(sock)}", f"workers={workers}").start()
        for generation in (2, 3):
            proxy.process.send_signal(signal.SIGUSR2)
            until(lambda number=generation: json.loads(proxy.admin("/upgrade").body)["generation"] == number, "it is over")
            for n in range(8):
                with proxy.connect() as client:
                    assert client.get(origin.url(f"/{n}")).status == 204
        proxy.stop()
        with Client(port_of(sock)) as waiting:  # the service manager still has it
            waiting.send(f"GET {origin.url('/0')} HTTP/1.1\r\nHost: 127.0.0.1:{origin.port}\r\n\r\n".encode())
            proxy.start()
            assert waiting.response().status == 204
        proxy.stop()
