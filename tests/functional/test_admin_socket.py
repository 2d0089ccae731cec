"""Operators on a Unix socket: its file, who may connect, restarts and reloads."""

import json
import os
import signal
import socket
import stat

import pytest

from support.origin import respond
from support.proxy import Proxy, run
from support.rawclient import Client
from support.reloaded import Reloaded
from support.until import until


@pytest.fixture(name="path")
def path_of_a_socket(tmp_path_factory):
    # a socket's path is at most 107 bytes long
    path = tmp_path_factory.getbasetemp() / f"s{os.getpid()}.{len(os.listdir(tmp_path_factory.getbasetemp()))}"
    yield path
    path.unlink(missing_ok=True)


def ask(path, target, method="GET", *fields):
    with Client(None, path=path) as client:
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Content-Length: 0", *fields]
        client.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        return client.response(method)


def refuses(path):
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) != 0


def mode_of(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_pages_are_served_and_changes_allowed(start_proxy, origin, path):
    proxy = start_proxy(f"admin=127.0.0.1:0,unix:{path}")
    origin.on("/", respond(204, "Cache-Control: max-age=60"))
    with proxy.connect() as client:
        assert client.get(origin.url()).stored
    proxy.until_written()
    assert json.loads(ask(path, "/stats").body)["stores"] == 1
    assert ask(path, "/purge?uri=" + origin.url(), "POST").status == 200
    assert 'by unix:' in proxy.errors()
    assert ask(path, "/healthz").status == 204
    assert mode_of(path) == 0o600 and stat.S_ISSOCK(path.lstat().st_mode)
    assert f"stats: curl --unix-socket '{path}' http://localhost/stats" in proxy.output


def test_it_is_removed_at_the_end_and_made_with_its_mode(start_proxy, path):
    proxy = start_proxy(f"admin=127.0.0.1:0,unix:{path}", "admin_mode=0660")
    assert mode_of(path) == 0o660
    proxy.stop()
    assert not path.exists()


def test_one_left_behind_is_replaced(start_proxy, path):
    proxy = start_proxy(f"admin=127.0.0.1:0,unix:{path}")
    proxy.kill9()
    assert path.exists() and refuses(path)
    proxy.start()
    assert ask(path, "/healthz").status == 204


def test_one_that_is_listened_on_stays(start_proxy, path, tmp_path):
    first = start_proxy(f"admin=127.0.0.1:0,unix:{path}")
    ended = run("-o", "listen=127.0.0.1:0", "-o", f"admin=unix:{path}", "-o", f"store={tmp_path / 'other'}")
    assert ended.returncode == 1 and "another process listens on it" in ended.stderr
    assert str(path) in ended.stderr
    assert ask(path, "/healthz").status == 204
    first.stop()


def test_another_file_stays(path, tmp_path):
    path.write_text("precious")
    ended = run("-o", "listen=127.0.0.1:0", "-o", f"admin=unix:{path}", "-o", f"store={tmp_path / 'store'}")
    assert ended.returncode == 1 and "not a socket" in ended.stderr
    assert path.read_text() == "precious"


def test_one_of_another_process_that_took_the_path_stays(start_proxy, path):
    """Removed by somebody, and made by another process: it is that one's."""
    proxy = start_proxy(f"admin=127.0.0.1:0,unix:{path}")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        proxy.stop()
        assert path.exists() and not refuses(path)


@pytest.mark.parametrize("value, says", [
    ("unix:admin.sock", "no absolute path"), ("unix:", "no absolute path"), ("unix:/", "no absolute path"),
    ("/run/a.sock", "use unix:PATH"), ("unix:/" + "a" * 107, "longer than the 107 bytes")])
def test_other_paths_are_refused(value, says):
    ended = run("-t", "-o", f"admin={value}")
    assert ended.returncode == 2 and says in ended.stderr


@pytest.mark.parametrize("mode", ["0", "rw-rw----", "660x", "0888", "7777", ""])
def test_other_modes_are_refused(mode):
    ended = run("-t", "-o", f"admin_mode={mode}")
    assert ended.returncode == 2 and "0600" in ended.stderr


def test_the_same_file_twice_is_refused(path):
    ended = run("-t", "-o", f"admin=unix:{path},unix:{path}")
    assert ended.returncode == 2 and "listened on twice" in ended.stderr


def reload(running, *arguments):
    """By the subcommand, over the first admin address of the file."""
    return run("reload", "-c", running.file, *arguments, timeout=60)


@pytest.fixture(name="begin")
def begin_with_a_file(tmp_path):
    started = []

    def start(*admin, **options):
        started.append(Reloaded(tmp_path, admin=[*admin, "127.0.0.1:0"], workers=Proxy.worker_count, **options))
        return started[-1]
    yield start
    for running in started:
        running.proxy.kill()


def test_a_reload_keeps_it_and_changes_its_mode(begin, path):
    running = begin(f"unix:{path}")
    before = path.lstat().st_ino
    running.write(admin_mode="0660")
    ended = reload(running)
    assert ended.returncode == 0 and "generation 2" in ended.stdout, ended
    assert path.lstat().st_ino == before and mode_of(path) == 0o660
    assert ask(path, "/healthz").status == 204
    running.proxy.stop()
    assert not path.exists()


def test_a_refused_reload_leaves_no_file(begin, path):
    other, file = path.with_name(path.name + "b"), path.with_name(path.name + "c")
    running = begin(f"unix:{path}")
    file.write_text("")
    running.write(admin=[f"unix:{path}", f"unix:{other}", f"unix:{file}"])
    ended = reload(running)
    assert ended.returncode == 1 and "not a socket" in ended.stderr
    assert not other.exists() and ask(path, "/healthz").status == 204


@pytest.mark.long
def test_a_reload_drops_it_and_takes_another(begin, path):
    other = path.with_name(path.name + "b")
    running = begin(f"unix:{path}")
    running.write(admin=[f"unix:{other}", "127.0.0.1:0"])
    assert reload(running, "-o", f"admin=unix:{path}").returncode in (0, 2)  # it may be gone before it was asked
    until(lambda: not path.exists(), "the former is removed")
    assert ask(other, "/healthz").status == 204
    running.proxy.stop()
    assert not other.exists()


def test_a_reload_makes_one_anew_that_was_removed(begin, path):
    running = begin(f"unix:{path}")
    path.unlink()
    running.proxy.process.send_signal(signal.SIGHUP)
    until(lambda: path.exists() and not refuses(path), "the file is there again, and listened on")
    assert ask(path, "/healthz").status == 204
    running.proxy.stop()
    assert not path.exists()


def test_a_new_worker_listens_on_it(begin, path):
    running = begin(f"unix:{path}")
    dead = running.proxy.workers()
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    assert ask(path, "/healthz").status == 204  # it waited in the socket
    assert not dead & running.proxy.workers()
