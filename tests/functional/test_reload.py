"""A new configuration without a connection refused, a request lost or a stream cut."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

from support.reloaded import EVENTS, FRESH, Load, Reloaded, begin_stream, begin_tunnel, read_until, starter
from support.origin import CLOSE, respond
from support.ports import free_port
from support.proxy import BINARY
from support.rawclient import Client
from support.until import until

pytestmark = pytest.mark.one_worker("each test says how many there are")

MANY = int(os.environ.get("CACHE204_RELOADS", "20"))  # under load; `make reload-storm` has 1,000


@pytest.fixture
def begin(tmp_path):
    with starter(Reloaded, tmp_path) as start:
        yield start


@pytest.mark.parametrize("workers", [1, 3])
def test_an_option_is_in_effect_for_new_connections(begin, origin, workers):
    running = begin(workers=workers)
    origin.default = respond(204, FRESH)
    with running.proxy.connect() as client:
        assert client.get(origin.url()).status == 204
        result = running.reload(deny=["127.0.0.1"])
        assert (result["ok"], result["generation"], result["errors"]) == (True, 2, "")
    with running.proxy.connect() as client:
        assert client.get(origin.url("/other")).status == 403
    assert running.reload(deny=None)["generation"] == 3
    with running.proxy.connect() as client:
        assert client.get(origin.url()).hit  # the store is the same
    running.stop()


def test_by_signal(begin):
    running = begin()
    running.write(pseudonym="another")
    os.kill(running.proxy.pid, signal.SIGHUP)
    until(lambda: running.result()["generation"] == 2, "the reload")
    with running.proxy.connect() as client:
        assert "another" in client.get("http://192.0.2.1:1/")["Proxy-Status"]
    running.stop()


@pytest.mark.parametrize("options, words", [
    ({"clients_max": "many"}, "cache204.conf:6: clients_max"),
    ({"nonsense": "1"}, "cache204.conf:6: nonsense"),
    ({"password_file": "/nowhere/passwords"}, "/nowhere/passwords"),
    ({"tls_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
    ({"access_log": "/nowhere/log"}, "/nowhere/log"),
    ({"store": "/tmp/elsewhere"}, "store: "),
    ({"store_size": "32MiB"}, "store_size: "),
    ({"listen": "192.0.2.1:80"}, "192.0.2.1:80"),
    ({"workers": "60"}, "workers: ")])
def test_what_is_wrong_changes_nothing(begin, origin, options, words):
    running = begin()
    origin.default = respond(204, FRESH)
    with running.proxy.connect() as client:
        client.get(origin.url())
        workers = running.proxy.workers()
        result = running.reload(**options)
        assert (result["ok"], result["generation"]) == (False, 1)
        assert words in result["errors"], result["errors"]
        assert words in running.proxy.errors() and "generation 1 stays in effect" in running.proxy.errors()
        assert client.get(origin.url()).hit
    assert running.proxy.workers() == workers
    assert running.proxy.stats()["reload"]["ok"] is False
    for name in options:
        running.options[name] = {"listen": "127.0.0.1:0", "access_log": running.proxy.access_log,
                                 "store": running.proxy.store, "store_size": "16MiB"}.get(name)
    assert running.reload()["ok"]
    running.stop()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stream_and_a_tunnel_survive_three_reloads(begin, origin, workers):
    running = begin(workers=workers, connect_ports=f"{origin.port}", allow="127.0.0.1")
    go_on = threading.Event()
    origin.on("/stream", [*EVENTS, go_on, b"data: 2\n\n", CLOSE])
    with running.proxy.connect() as stream, running.proxy.connect() as tunnel:
        begin_stream(stream, origin)
        begin_tunnel(tunnel, origin)
        for generation in (2, 3, 4):
            assert running.reload()["generation"] == generation
        assert running.result()["older_generations"] >= 1
        go_on.set()
        read_until(stream, b"data: 2")
        tunnel.send(f"GET / HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
        assert tunnel.response().status == 204
    until(lambda: running.result()["older_generations"] == 0, "the old ones end with their connections")
    running.stop()


def test_listeners_come_and_go(begin, origin):
    first, second = free_port(), free_port()
    running = begin(listen=[f"127.0.0.1:{first}", "127.0.0.1:0"])
    origin.default = respond(204)
    assert running.reload(listen=[f"127.0.0.1:{second}", f"127.0.0.1:{first}", "127.0.0.1:0"])["ok"]
    for port in (first, second):
        with Client(port) as client:
            assert client.get(origin.url()).status == 204
    assert running.reload(listen=[f"127.0.0.1:{second}", "127.0.0.1:0"])["ok"]
    with Client(second) as client:
        assert client.get(origin.url()).status == 204

    def is_refused():
        try:
            Client(first).close()
        except ConnectionRefusedError:
            return True
        return False
    until(is_refused, "nobody listens there any more")
    running.stop()


def test_one_worker_takes_the_sockets_of_many(begin, origin):
    """More than a configuration may have addresses."""
    ports = [free_port() for _ in range(12)]
    running = begin(workers=8, listen=[f"127.0.0.1:{port}" for port in ports])
    origin.default = respond(204)
    for workers in (1, 2, 1):
        assert running.reload(workers=workers)["ok"]
        for port in ports * 8:
            with Client(port) as client:
                assert client.get(origin.url()).status == 204
    running.stop()


@pytest.mark.parametrize("workers", [1, 3])
def test_all_addresses_instead_of_one_and_back(begin, origin, workers):
    port = free_port()
    one, every = f"127.0.0.1:{port}", f"0.0.0.0:{port}"
    running = begin(workers=workers, listen=one, allow="127.0.0.1")
    running.proxy.port = port
    origin.default = respond(204, FRESH)
    with Load(running.proxy, origin) as load:
        for listen in (every, [one.replace("0.1:", "0.2:"), one], every, one, every):
            result = running.reload(listen=listen, workers=workers)
            assert result["ok"], result
    assert load.answers > 0 and not load.failures, load.failures[:5]
    with Client(port, host="127.0.0.3") as client:
        assert client.get(origin.url()).status == 204
    for listen, admin in ((one, every), (every, one)):
        assert "listened on twice" in running.reload(listen=listen, admin=["127.0.0.1:0", admin])["errors"]
    running.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_more_workers_than_when_we_were_root(origin):
    user = pwd.getpwnam("nobody")
    origin.default = respond(204)
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        os.chown(place, user.pw_uid, user.pw_gid)  # where that user can read, unlike in tmp_path
        running = Reloaded(pathlib.Path(place), workers=1, user="nobody", allow="127.0.0.1")
        stack.callback(running.proxy.kill)
        result = running.reload(workers=4)
        assert result["ok"], result
        until(lambda: len(running.proxy.workers()) == 4, "the old one ends")
        for _ in range(20):
            with running.proxy.connect() as client:
                assert client.get(origin.url()).status == 204
        running.stop()


def test_many_under_load_lose_nothing(begin, origin):
    """The number of workers changes as well, and each time in between something is wrong."""
    running = begin(workers=2)
    origin.default = respond(204, FRESH)
    with Load(running.proxy, origin) as load:
        for n in range(MANY):
            if n % 5 == 4:
                assert not running.reload(clients_max="many")["ok"]
                running.options.pop("clients_max")
            assert running.reload(workers=1 + n % 3)["ok"]
    assert not load.failures and load.answers > MANY, load.failures[:5]
    until(lambda: running.result()["older_generations"] == 0, "all the old ones end")
    assert len(running.proxy.workers()) == 1 + (MANY - 1) % 3
    running.stop()


def test_the_sixth_generation_ends_the_oldest(begin, origin):
    running = begin(drain_timeout="500ms")
    held = threading.Event()
    origin.on("/stream", [*EVENTS, held])
    with contextlib.ExitStack() as stack:
        streams = []
        for generation in range(1, 6):
            streams.append(stack.enter_context(running.proxy.connect()))
            begin_stream(streams[-1], origin)
            assert running.reload()["generation"] == generation + 1
        assert streams[0].end() in ("fin", "rst")
        assert "generation 1 still has connections: it has 500 ms to finish" in running.proxy.errors()
        until(lambda: running.result()["older_generations"] == 4, "the first has ended")
        assert running.reload()["ok"]
        held.set()
    running.stop()


def test_passwords_are_read_anew(begin, origin, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text("ali:$5$rounds=1000$Yp2kQvS1$vGczs8RKiCNWsRAaHrG4HLJrQuqvLg01/WWM8c4nwk2\n", encoding="ascii")
    passwords.chmod(0o600)
    running = begin(password_file=passwords)
    with running.proxy.connect() as client:
        assert client.get(origin.url()).status == 407
    assert running.reload(password_file=None)["ok"]
    origin.default = respond(204)
    with running.proxy.connect() as client:
        assert client.get(origin.url()).status == 204
    running.stop()


@pytest.mark.parametrize("option", [None, "password_file", "tls_ca_file", "hosts_file"])
def test_a_fifo_is_not_waited_for(begin, tmp_path, option):
    running = begin()
    fifo = running.file if option is None else tmp_path / "fifo"
    if option is None:
        fifo.unlink()
    else:
        running.write(**{option: fifo})
    os.mkfifo(fifo, 0o600)
    os.kill(running.proxy.pid, signal.SIGHUP)
    until(lambda: not running.result()["ok"], "it is refused")
    assert str(fifo) in running.result()["errors"]
    running.stop()


def test_a_killed_worker_of_the_new_generation_is_replaced(begin):
    running = begin(workers=2)
    before = running.proxy.workers()
    assert running.reload()["ok"]
    until(lambda: not before & running.proxy.workers(), "the old ones are gone")
    victim = min(running.proxy.workers())
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(running.proxy.workers() - {victim}) == 2, "it is replaced")
    until(lambda: running.proxy.stats()["workers"] == 2, "it serves")
    assert "and is replaced" in running.proxy.errors()
    running.stop()


def test_no_page_of_others_may_ask(begin):
    running = begin()
    assert running.proxy.admin("/reload", "POST", "Origin: http://evil.example").status == 403
    assert running.result()["asked"] == 0
    running.stop()


# ---- while something else is under way ------------------------------------------------------------


def store_many(running, origin, count=400):
    origin.default = respond(204, FRESH)
    with running.proxy.connect() as client:
        for n in range(count):
            assert client.get(origin.url(f"/{n}")).status == 204
    running.proxy.until_written()
    until(lambda: running.proxy.stats()["store"]["entries"] >= count, "all is stored")


@pytest.mark.parametrize("what", ["reload", "upgrade"])
@pytest.mark.parametrize("workers", [1, 3])
def test_during_a_purge(begin, origin, what, workers):
    """Whoever removes it, and by however many at once: all of it goes, and nothing comes back."""
    running = begin(workers=workers)
    store_many(running, origin)
    assert running.proxy.admin("/purge", "POST").status == 202
    for _ in range(2):
        assert running.ask(what)["ok"]
    with running.proxy.connect() as client:
        assert not client.get(origin.url("/7")).hit
    until(lambda: running.proxy.stats()["store"]["entries"] <= 1, "all is removed")


    def is_hit(path):
        with running.proxy.connect() as client:
            return client.get(origin.url(path)).hit
    assert not is_hit("/8")
    until(lambda: is_hit("/7"), "what was stored since is there")
    running.stop()


@pytest.mark.long
@pytest.mark.parametrize("what", ["reload", "upgrade"])
def test_while_copies_are_made(begin, origin, what):
    running = begin(sync="1s")
    store_many(running, origin)
    for n in range(8):
        with running.proxy.connect() as client:
            client.get(origin.url(f"/more/{n}"))
        assert running.ask(what)["ok"]
    made = running.proxy.stats()["store"]["copies"]
    with running.proxy.connect() as client:
        client.get(origin.url("/last"))
    until(lambda: running.proxy.stats()["store"]["copies"] > made, "the next one is made", timeout=15)
    assert running.proxy.stats()["store"]["copies_failed"] == 0
    running.stop()


@pytest.mark.long
@pytest.mark.parametrize("what", ["reload", "upgrade"])
def test_copies_begin_and_stop_with_the_option(begin, origin, what):
    running = begin()
    store_many(running, origin, 20)

    def copies():
        return running.proxy.stats()["store"]["copies"]
    running.write(sync="1s")
    assert running.ask(what)["ok"]
    until(lambda: copies() >= 1, "a copy is made", timeout=15)
    running.write(sync="1h")
    assert running.ask(what)["ok"]
    before, copy = copies(), running.proxy.store / "data.mdb.copy"
    made = copy.stat().st_mtime_ns
    with running.proxy.connect() as client:
        client.get(origin.url("/new"))
    running.write(sync="0s")
    assert running.ask(what)["ok"]
    log = running.proxy.store / "data.mdb"
    with running.proxy.connect() as client:
        client.get(origin.url("/newer"))
    running.write(sync="1s")
    assert log.exists() and (copies() <= before or what == "upgrade") and copy.stat().st_mtime_ns == made
    assert running.ask(what)["ok"]
    until(lambda: copy.stat().st_mtime_ns != made, "the next one", timeout=15)
    running.stop()


@pytest.mark.parametrize("what", ["reload", "upgrade"])
def test_gateways_move(begin, origin, what):
    """To another address, to another origin, and two that exchange theirs."""
    first, second = (f"127.0.0.1:{free_port()}" for _ in range(2))
    other = origin.url("/").replace("127.0.0.1", "localhost").rstrip("/")
    one = origin.url("/").rstrip("/")
    running = begin(gateway=[f"{first}={one}", f"{second}={other}"])
    origin.default = respond(204)

    def host_at(gateway):
        with Client(int(gateway.rpartition(":")[2])) as client:
            client.send(f"GET /x HTTP/1.1\r\nHost: {gateway}\r\n\r\n".encode())
            assert client.response().status == 204
        return origin.requests[-1].fields.all("Host")[0].partition(":")[0]
    assert (host_at(first), host_at(second)) == ("127.0.0.1", "localhost")
    running.write(gateway=[f"{first}={other}", f"{second}={one}"])
    assert running.ask(what)["ok"]
    assert (host_at(first), host_at(second)) == ("localhost", "127.0.0.1")
    running.write(gateway=[f"{second}={other}"])
    assert running.ask(what)["ok"]
    assert host_at(second) == "localhost"
    with pytest.raises(ConnectionRefusedError):
        host_at(first)
    running.stop()


@pytest.mark.parametrize("what", ["reload", "upgrade"])
@pytest.mark.parametrize("option", ["tls_ca_file", "password_file"])
def test_a_file_that_went_is_refused_and_comes_back(begin, origin, tmp_path, what, option):
    file = tmp_path / "file"
    if option == "tls_ca_file":
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", file)
    else:
        file.write_text("ali:$5$rounds=1000$Yp2kQvS1$vGczs8RKiCNWsRAaHrG4HLJrQuqvLg01/WWM8c4nwk2\n", encoding="ascii")
    file.chmod(0o600)
    running = begin(**{option: file})
    before, away = running.proxy.workers(), file.with_suffix(".away")
    file.rename(away)
    result = running.ask(what)
    assert not result["ok"] and str(file) in result["errors"] and running.proxy.workers() == before, result
    away.rename(file)
    assert running.ask(what)["ok"]
    running.stop()


def limit_processes(pid, number):
    """As that user, who may do it for its own processes."""
    subprocess.run(["prlimit", f"--pid={pid}", f"--nproc={number}:"], user="nobody", group=pwd.getpwnam("nobody").pw_gid, check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user, whose processes can be limited")
@pytest.mark.parametrize("what", ["reload", "upgrade"])
def test_no_more_processes(origin, what):
    user = pwd.getpwnam("nobody")
    origin.default = respond(204)
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        os.chown(place, user.pw_uid, user.pw_gid)  # where that user can read, unlike in tmp_path
        binary = shutil.copy(BINARY, pathlib.Path(place) / "cache204")
        running = Reloaded(pathlib.Path(place), binary, workers=2, user="nobody", allow="127.0.0.1")
        stack.callback(running.proxy.kill)
        before = running.proxy.workers()
        limit_processes(running.proxy.pid, "1")
        result = running.ask(what)
        assert not result["ok"] and "start" in result["errors"] and running.proxy.workers() == before, result
        with running.proxy.connect() as client:
            assert client.get(origin.url()).status == 204
        limit_processes(running.proxy.pid, "10000")
        assert running.ask(what)["ok"]
        running.stop()
