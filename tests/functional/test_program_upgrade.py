"""Another program in the place of the one that runs: no connection refused, no request lost, no stream
cut; and back when it will not do."""

import fcntl
import os
import re
import shutil
import signal
import struct
import threading

import pytest

from support.reloaded import EVENTS, FRESH, Load, Reloaded, begin_stream, begin_tunnel, read_until, starter
from support.origin import CLOSE, respond
from support.processes import is_running, state, until_ended
from support.proxy import BINARY, run
from support.tls import Authority, TlsClient, context_for, tls_ports
from support.until import steady, until

pytestmark = pytest.mark.one_worker("each test says how many there are")

MANY = int(os.environ.get("CACHE204_UPGRADES", "3"))  # under load; `make reload-storm` has 20
SLOW = "CACHE204_UPGRADES" in os.environ  # what waits half a minute is for that as well


class Program(Reloaded):
    """A proxy with a program file of its own, which is exchanged as packages do: by a rename."""

    def __init__(self, directory, **options):
        self.program = directory / "bin" / "cache204"
        self.program.parent.mkdir()
        shutil.copy(BINARY, self.program)
        super().__init__(directory, binary=self.program, **options)
        self.version = self.proxy.stats()["version"]
        self.number = 0

    def install(self, content, mode=0o755):
        new = self.program.with_suffix(".new")
        new.write_bytes(content)
        new.chmod(mode)
        new.rename(self.program)

    def script(self, text):
        self.install(f"#!/bin/sh\n{text}\n".encode())

    def next_version(self):
        """The same program, which calls itself another version of as many letters."""
        self.number += 1
        other = f"{self.number:02}{self.version[2:]}"
        self.install(self.original().replace(self.version.encode(), other.encode()))
        return other

    @staticmethod
    def original():
        with open(BINARY, "rb") as file:
            return file.read()

    def upgrade(self):
        return self.ask("upgrade")

    def is_as_before(self, workers, origin):
        assert self.proxy.workers() == workers
        assert self.proxy.stats()["version"] == self.version
        with self.proxy.connect() as client:
            assert client.get(origin.url()).status == 204


@pytest.fixture
def begin(tmp_path, origin):
    origin.default = respond(204, FRESH)
    with starter(Program, tmp_path) as start:
        yield start

def test_sessions_of_tls_are_resumed_by_the_next_program(begin, origin, tmp_path):
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("DNS:proxy.test")
    running = begin(listen=["127.0.0.1:0", "tls:127.0.0.1:0"], tls_certificate=certificate, tls_key=key)
    port, = tls_ports(running.proxy)
    context, session = context_for(authority), None
    for resumed in (False, True, True):
        with TlsClient(port, context, session=session) as client:
            assert client.get(origin.url()).status == 204
            assert client.sock.session_reused is resumed
            session = client.sock.session
        running.next_version()
        assert running.upgrade()["ok"]


@pytest.mark.parametrize("workers", [1, 3])
def test_upgrades_under_load_lose_nothing(begin, origin, workers):
    """A stream and a tunnel outlive them; the process stays the same."""
    running = begin(workers=workers, connect_ports=f"{origin.port}", allow="127.0.0.1", drain_timeout="10s")
    pid = running.proxy.pid
    go_on = threading.Event()
    origin.on("/stream", [*EVENTS, go_on, b"data: 2\n\n", CLOSE])
    with running.proxy.connect() as stream, running.proxy.connect() as tunnel:
        begin_stream(stream, origin)
        begin_tunnel(tunnel, origin)
        with Load(running.proxy, origin) as load:
            for n in range(MANY):
                before, version = running.proxy.workers(), running.next_version()
                result = running.upgrade()
                assert (result["ok"], result["generation"], result["errors"]) == (True, n + 2, ""), result
                assert (result["version"], running.proxy.stats()["version"]) == (version, version)
                assert running.result()["generation"] == n + 2 and running.proxy.pid == pid
                assert len(running.proxy.workers() - before) == workers
        assert not load.failures and load.answers > MANY, load.failures[:5]
        if MANY < 5:  # more generations than that do not live on
            assert running.result("upgrade")["older_generations"] >= 1
            go_on.set()
            read_until(stream, b"data: 2")
            tunnel.send(f"GET / HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
            assert tunnel.response().status == 204
    go_on.set()
    until(lambda: running.result()["older_generations"] == 0, "the old ones end with their connections")
    assert len(running.proxy.workers()) == workers
    running.stop()


def test_what_is_stored_and_invalidated_holds_for_both(begin, origin):
    """A worker of the program before and one of the new share what they store, and forget alike."""
    running = begin(workers=1)
    with running.proxy.connect() as old:
        assert old.get(origin.url("/a")).status == 204
        assert old.get(origin.url("/b")).status == 204
        running.next_version()
        first = running.proxy.worker
        assert running.upgrade()["ok"] and first in running.proxy.workers()
        with running.proxy.connect() as new:
            assert new.get(origin.url("/a")).hit
            assert new.request("DELETE", origin.url("/a")) is None and new.response("DELETE").status == 204
        assert "uri-miss" in old.get(origin.url("/a"))["Cache-Status"]  # its last answer
    assert running.proxy.admin(f"/purge?uri={origin.url('/b')}", "POST").status == 200
    running.next_version()
    assert running.upgrade()["ok"]
    with running.proxy.connect() as new:
        assert "uri-miss" in new.get(origin.url("/b"))["Cache-Status"]
        assert new.get(origin.url("/a")).hit
    running.stop()
    # closed by its last user: as a whole, and nothing is read anew
    running.proxy.start()
    assert "begun anew" not in running.proxy.errors() and running.proxy.stats()["store"]["entries"] == 2
    running.stop()


def test_a_changed_configuration_comes_with_it(begin, origin):
    running = begin(workers=1)
    running.write(workers=3, deny=["127.0.0.1"])
    assert running.upgrade()["ok"]
    until(lambda: len(running.proxy.workers()) == 3, "the old one ends")
    with running.proxy.connect() as client:
        assert client.get(origin.url()).status == 403
    assert running.reload(workers=1, deny=None)["generation"] == 3
    assert running.upgrade()["generation"] == 4
    running.stop()


def test_by_signal_and_by_command(begin):
    running = begin()
    admin = f"admin=127.0.0.1:{running.proxy.admin_port}"
    version = running.next_version()
    os.kill(running.proxy.pid, signal.SIGUSR2)
    until(lambda: running.result("upgrade")["generation"] == 2, "the upgrade", timeout=30)
    good = run("upgrade", "-o", admin)
    assert good.returncode == 0 and good.stdout == f"cache204: upgraded: version {version} serves\n", good
    running.install(b"no program")
    bad = run("upgrade", "-o", admin)
    assert bad.returncode == 1 and "cannot be run: Exec format error" in bad.stderr, bad
    assert bad.stderr.endswith("cache204: upgrade: refused: the program that runs goes on\n"), bad
    running.stop()
    assert run("upgrade", "-o", admin).returncode == 2


def wrong_configuration(running):
    running.write(clients_max="many")
    return "cache204.conf:7: clients_max"


def missing(running):
    running.program.unlink()
    return "No such file or directory"


def not_executable(running):
    running.install(running.original(), mode=0o644)
    return "cannot be run: Permission denied"


def no_program(running):
    running.install(b"\x7fELF")
    return "cannot be run: Exec format error"


def crashes(running):
    running.script("kill -SEGV $$")
    return "died of signal 11"


def ends_well_without_a_word(running):
    running.script("exit 0")
    return "ended with status 0 without a word"


def ends_badly(running):
    running.script("exit 3")
    return "ended with status 3 without a word"


def another_form(running):
    running.install(running.original().replace(b"cache204-handover 1", b"cache204-handover 2"))
    return "ended with status 1 without a word"


def another_store(running):
    running.write(store=running.proxy.directory / "elsewhere")
    return "cannot leave"


def another_layout(running):
    """Of a map that workers of both would share."""
    with open(running.proxy.store / "invalidations", "r+b") as file:
        file.seek(16)
        version, = struct.unpack("I", file.read(4))
        file.seek(16)
        file.write(struct.pack("I", version + 1))
    return "invalidations: damaged or of another version, while the store is in use"


def another_log(running):
    running.write(access_log="/nowhere/log")
    return "/nowhere/log"


def taken_address(running):
    running.write(listen=[running.options["listen"], "192.0.2.1:80"])
    return "192.0.2.1:80"


@pytest.mark.parametrize("fail", [wrong_configuration, missing, not_executable, no_program, crashes,
                                  ends_well_without_a_word, ends_badly, another_form, another_store,
                                  another_layout, another_log, taken_address])
def test_one_that_fails_changes_nothing(begin, origin, fail):
    running = begin(workers=2)
    with running.proxy.connect() as client:
        client.get(origin.url())
        before = running.proxy.workers()
        words = fail(running)
        result = running.upgrade()
        assert (result["ok"], result["generation"]) == (False, 1) and words in result["errors"], result
        assert words in running.proxy.errors() and "goes on" in running.proxy.errors()
        assert client.get(origin.url()).hit
    running.is_as_before(before, origin)
    assert running.proxy.stats()["upgrade"]["ok"] is False
    running.stop()


def is_tried(running):
    return until(lambda: next((pid for pid in running.proxy.workers() - running.workers), None), "it is tried")


HANGS = "exec sleep 60"


@pytest.mark.skipif(not SLOW, reason="waits half a minute: make reload-storm")
def test_one_that_hangs_is_given_up(begin, origin):
    running = begin()
    before = running.proxy.workers()
    running.script(HANGS)
    result = running.upgrade()
    assert not result["ok"] and "was not ready in time" in result["errors"]
    running.is_as_before(before, origin)
    running.stop()


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_is_killed_changes_nothing(begin, origin, by):
    running = begin()
    running.workers = running.proxy.workers()
    running.script("trap 'exit 1' TERM; while :; do sleep 0.01; done" if by == signal.SIGTERM else HANGS)
    os.kill(running.proxy.pid, signal.SIGUSR2)
    os.kill(is_tried(running), by)
    until(lambda: not running.result("upgrade")["ok"] or by == signal.SIGTERM, "it is refused")
    if by == signal.SIGKILL:
        assert "died of signal 9" in running.result("upgrade")["errors"]
        running.is_as_before(running.workers, origin)
    running.stop()


def test_the_end_does_not_wait_for_a_trial(begin):
    running = begin()
    running.workers = running.proxy.workers()
    running.script(HANGS)
    os.kill(running.proxy.pid, signal.SIGUSR2)
    tried = is_tried(running)
    running.stop()
    assert not is_running(tried)


def test_a_killed_proxy_leaves_no_trial(begin):
    running = begin()
    running.workers = running.proxy.workers()
    running.script(HANGS)
    os.kill(running.proxy.pid, signal.SIGUSR2)
    tried = is_tried(running)
    os.kill(running.proxy.pid, signal.SIGKILL)
    running.proxy.process.wait()
    until_ended({tried} | running.workers)


def test_a_reload_waits_for_the_trial(begin):
    running = begin()
    running.workers = running.proxy.workers()
    running.script(HANGS)
    os.kill(running.proxy.pid, signal.SIGUSR2)
    tried = is_tried(running)
    running.proxy.admin("/reload", "POST")
    os.kill(tried, signal.SIGKILL)
    until(lambda: running.result()["generation"] == 2, "the reload")
    assert running.result("upgrade")["ok"] is False
    running.stop()


def test_wishes_that_come_meanwhile_are_granted(begin, origin):
    running = begin(workers=2)
    with Load(running.proxy, origin) as load:
        for _ in range(3):
            for _ in range(3):
                running.proxy.admin("/upgrade", "POST")
                running.proxy.admin("/reload", "POST")
                os.kill(running.proxy.pid, signal.SIGUSR2)
                os.kill(running.proxy.pid, signal.SIGHUP)
            for what in ("reload", "upgrade"):
                until(lambda name=what: running.answered(name) >= running.result(name)["asked"], "all is answered",
                      timeout=60)
                assert running.result(what)["ok"], running.result(what)
    assert not load.failures, load.failures[:5]
    running.stop()


def test_one_that_fails_after_its_trial_goes_back(begin, origin, tmp_path):
    """Between the trial and the takeover the configuration breaks, for both programs: workers go on until
    it is mended, and then the program before serves."""
    running = begin(workers=2)
    real, good = tmp_path / "real", tmp_path / "good.conf"
    shutil.copy(BINARY, real)
    shutil.copy(running.file, good)
    running.script(f'[ -e {tmp_path}/tried ] && echo "clients_max = many" >{running.file}\n'
                   f'touch {tmp_path}/tried\nexec {real} "$@"')
    before = running.proxy.workers()
    with Load(running.proxy, origin) as load:
        os.kill(running.proxy.pid, signal.SIGUSR2)
        until(lambda: "it is tried again each second" in running.proxy.errors(), "both fail", timeout=30)
        assert running.proxy.workers() == before
        good.rename(running.file)
        until(lambda: not running.result("upgrade")["ok"], "it is back", timeout=30)
    assert not load.failures and load.answers > 0, load.failures[:5]
    result = running.result("upgrade")
    assert "clients_max" in result["errors"] and result["version"] == running.version
    assert os.readlink(f"/proc/{running.proxy.pid}/exe").startswith(f"{running.program} (deleted)")
    shutil.copy(BINARY, running.program)
    assert running.upgrade()["ok"] and running.reload()["ok"]
    assert os.readlink(f"/proc/{running.proxy.pid}/exe") == str(running.program)
    running.stop()


@pytest.mark.long
def test_one_whose_workers_crash_before_they_serve_goes_back(begin, origin, tmp_path):
    """After its trial. However often they do, workers of the program before are not ended for it."""
    running = begin(workers=1)
    real, held = tmp_path / "real", threading.Event()
    shutil.copy(BINARY, real)
    running.script(f'if [ -e {tmp_path}/tried ]; then touch {tmp_path}/begun\n'
                   f'while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; fi\n'
                   f'touch {tmp_path}/tried\nexec {real} "$@"')
    origin.on("/stream", [*EVENTS, held, b"data: 2\n\n"])
    before, = running.proxy.workers()
    with running.proxy.connect() as stream, open(running.proxy.store / "lock", "r+b") as lock:
        begin_stream(stream, origin)
        os.kill(running.proxy.pid, signal.SIGUSR2)
        until((tmp_path / "begun").exists, "its trial is over")
        fcntl.lockf(lock, fcntl.LOCK_EX, 1, 1)  # the next worker waits for the store
        (tmp_path / "go").touch()
        until(lambda: os.readlink(f"/proc/{running.proxy.pid}/exe") == str(real), "it takes over")
        for crash in range(1, 6):
            pid = until(lambda: next(iter(running.proxy.workers() - {before}), None), "a worker is started", timeout=15)
            os.kill(pid, signal.SIGABRT)
            until_ended([pid])
            assert before in running.proxy.workers(), (crash, running.proxy.errors())
        fcntl.lockf(lock, fcntl.LOCK_UN, 1, 1)
        until(lambda: not running.result("upgrade")["ok"], "it is back", timeout=15)
        assert before in running.proxy.workers()
        held.set()
        read_until(stream, b"data: 2")
    running.stop()


def test_sigterm_while_no_program_serves(begin, origin, tmp_path):
    running = begin(workers=2)
    real = tmp_path / "real"
    shutil.copy(BINARY, real)
    running.script(f'[ -e {tmp_path}/tried ] && echo "clients_max = many" >{running.file}\n'
                   f'touch {tmp_path}/tried\nexec {real} "$@"')
    before = running.proxy.workers()
    os.kill(running.proxy.pid, signal.SIGUSR2)
    until(lambda: "it is tried again each second" in running.proxy.errors(), "both fail", timeout=30)
    running.proxy.terminate()
    assert running.proxy.process.wait(15) == 1
    until_ended(before)


@pytest.mark.long
def test_a_stopped_worker_costs_the_next_reload_no_time(begin):
    running = begin(workers=2)
    stopped = min(running.proxy.workers())
    os.kill(stopped, signal.SIGSTOP)
    until(lambda: state(stopped) == "T", "it is stopped")
    os.kill(running.proxy.pid, signal.SIGUSR2)  # a connection could wait for the one that is stopped
    until(lambda: "does not say" in running.proxy.errors(), "the upgrade ends", timeout=60)
    assert running.result("upgrade")["ok"] and running.result("upgrade")["older_generations"] == 1
    lines = len(running.proxy.errors().splitlines())
    assert f"worker {stopped} of generation 1 does not say" in running.proxy.errors()
    assert running.reload()["ok"] and running.reload()["ok"]
    until(lambda: running.result()["older_generations"] == 1, "it alone is left")
    assert not any("does not say" in line for line in running.proxy.errors().splitlines()[lines:])
    os.kill(stopped, signal.SIGCONT)
    until(lambda: running.result()["older_generations"] == 0, "it ends")
    running.stop()


def test_a_worker_of_before_that_dies(begin, origin):
    """It has no block of what is shared: nothing of another's is cleared for it."""
    running = begin(workers=1)
    held = threading.Event()
    origin.on("/stream", [*EVENTS, held])
    with running.proxy.connect() as stream:
        begin_stream(stream, origin)
        old, = running.proxy.workers()
        assert running.upgrade()["older_generations"] == 1
        os.kill(old, signal.SIGKILL)
        assert stream.end() in ("fin", "rst")
    until(lambda: running.result()["older_generations"] == 0, "it is gone")
    assert f"worker {old} of generation 1 died of signal 9" in running.proxy.errors()
    held.set()
    running.stop()


def test_a_killed_proxy_leaves_no_worker_of_before(begin, origin):
    running = begin(workers=1)
    held = threading.Event()
    origin.on("/stream", [*EVENTS, held])
    with running.proxy.connect() as stream:
        begin_stream(stream, origin)
        assert running.upgrade()["older_generations"] == 1
        both = running.proxy.workers()
        assert len(both) == 2
        running.proxy.process.kill()
        running.proxy.process.wait()
        until_ended(both)
        held.set()


def test_unix_sockets_stay_come_and_go(begin, origin, tmp_path):
    """One that stays is the same file all the time; a trial that fails leaves none of its own."""
    first, second = tmp_path / "a socket", tmp_path / "second"
    running = begin(workers=2, admin=["127.0.0.1:0", f"unix:{first}"])
    number = first.stat().st_ino
    answer = run("reload", "-o", f"admin=unix:{first}")
    assert answer.returncode == 0, answer
    running.write(admin=["127.0.0.1:0", f"unix:{first}", f"unix:{second}"], clients_max="many")
    assert not running.upgrade()["ok"] and not second.exists() and first.stat().st_ino == number
    running.write(clients_max=None, listen=["127.0.0.1:0", "192.0.2.1:80"])
    assert not running.upgrade()["ok"] and not second.exists() and first.stat().st_ino == number
    running.write(listen="127.0.0.1:0")
    answer = run("upgrade", "-o", f"admin=unix:{first}")
    assert answer.returncode == 0 and first.stat().st_ino == number and second.exists(), answer
    running.write(admin=["127.0.0.1:0", f"unix:{second}"])
    number = second.stat().st_ino
    answer = run("upgrade", "-o", f"admin=unix:{second}")
    assert answer.returncode == 0 and second.stat().st_ino == number and not first.exists(), answer
    running.stop()
    assert not second.exists()


def test_no_descriptor_is_left(begin):
    running = begin(workers=2)

    def descriptors():
        return sorted(os.readlink(f"/proc/{running.proxy.pid}/fd/{fd}").split(":")[0]
                      for fd in os.listdir(f"/proc/{running.proxy.pid}/fd"))
    running.upgrade()
    until(lambda: len(running.proxy.workers()) == 2, "those before have ended")
    before = steady(descriptors)
    for _ in range(3):
        assert running.upgrade()["ok"]
        running.script("exit 3")
        assert not running.upgrade()["ok"]
        running.install(running.original())
    until(lambda: descriptors() == before, "all else is closed")
    running.stop()


def test_a_signal_to_all_processes_is_for_the_first(begin, origin):
    """As `systemctl kill` sends it: workers do not take it for their own."""
    running = begin(workers=2)
    before = running.proxy.workers()
    for pid in before:
        os.kill(pid, signal.SIGUSR2)
    os.kill(running.proxy.pid, signal.SIGUSR2)
    until(lambda: running.result("upgrade")["generation"] == 2, "the upgrade", timeout=30)
    assert "is replaced" not in running.proxy.errors()
    running.stop()


def test_the_path_is_that_of_the_start(begin, tmp_path):
    """A link that names another version by then, as of installations side by side."""
    running = begin()
    running.stop()
    other, link = tmp_path / "other", tmp_path / "link"
    shutil.copy(BINARY, other)
    link.symlink_to(running.program)
    running.proxy.binary = "./link"
    running.proxy.start()
    link.unlink()
    link.symlink_to(other)
    assert running.upgrade()["ok"]
    assert os.readlink(f"/proc/{running.proxy.pid}/exe") == str(other)
    name = re.search(r"^Name:\t(.*)$", open(f"/proc/{running.proxy.pid}/status", encoding="ascii").read(), re.M)[1]
    assert name == "link"
    running.stop()
