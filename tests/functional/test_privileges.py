"""Started as root: bound first, then another user's process for good, with a store of its own."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from support.origin import respond
from support.proxy import BINARY, Proxy, run
from support.until import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

USER = "nobody"


@pytest.fixture
def open_directory():
    """One that other users can reach."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


def status(pid, name):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return re.search(rf"^{name}:\s*(.*)$", text, re.M)[1].split()


def limit(pid, name):
    text = pathlib.Path(f"/proc/{pid}/limits").read_text()
    return re.search(rf"^{name}\s+(\S+)\s+(\S+)", text, re.M).groups()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_becomes_the_user(open_directory, origin, workers, level):
    entry = pwd.getpwnam(USER)
    proxy = Proxy(open_directory / "run", f"user={USER}", f"workers={workers}", "access_log=",
                  f"store={open_directory}/made/store", f"log_level={level}", start=False)
    proxy.binary = shutil.copy(BINARY, open_directory / "cache204")  # where that user may read it
    try:
        proxy.start()
        for pid in {proxy.pid} | proxy.workers():
            assert status(pid, "Uid") == [str(entry.pw_uid)] * 4
            assert status(pid, "Gid") == [str(entry.pw_gid)] * 4
            assert "0" not in status(pid, "Groups")
            assert set(status(pid, "CapPrm")[0]) == {"0"}
            assert status(pid, "NoNewPrivs") == ["1"]
            if level == "info":
                assert os.stat(f"/proc/{pid}/environ").st_uid == 0  # not dumpable
                assert limit(pid, "Max core file size") == ("0", "0")
            else:
                assert os.stat(f"/proc/{pid}/environ").st_uid == entry.pw_uid
        store = os.stat(open_directory / "made" / "store")
        assert (store.st_uid, store.st_mode & 0o777) == (entry.pw_uid, 0o700)
        origin.default = respond(204, "Cache-Control: max-age=600")
        with proxy.connect() as client:
            assert client.get(origin.url()).stored
        os.kill(proxy.pid, signal.SIGUSR2)  # the program is asked to take over from itself
        until(lambda: "serves in place of" in proxy.errors(), "it does")
        assert status(proxy.pid, "Uid") == [str(entry.pw_uid)] * 4
        with proxy.connect() as client:
            assert client.get(origin.url()).hit
        proxy.restart()
    finally:
        proxy.kill()


def test_a_socket_of_operators_is_the_users(open_directory):
    """Its directory is root's alone, and a reload goes on with it; a start replaces what is left."""
    entry, path = pwd.getpwnam(USER), open_directory / "admin.sock"
    proxy = Proxy(open_directory / "run", f"user={USER}", "access_log=", f"store={open_directory}/made/store",
                  f"admin=unix:{path},127.0.0.1:0", "admin_mode=0660")
    try:
        found = path.lstat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (entry.pw_uid, entry.pw_gid, 0o660)
        ended = run("reload", "-o", f"admin=unix:{path}", timeout=60)
        assert ended.returncode == 0 and path.lstat().st_ino == found.st_ino, ended
        proxy.restart()
        assert run("reload", "-o", f"admin=unix:{path}", timeout=60).returncode == 0
    finally:
        proxy.kill()


def test_unknown_user(tmp_path):
    result = run("-o", "user=no-such-user", "-o", f"store={tmp_path}/s", "-o", "listen=127.0.0.1:0",
                 "-o", "admin=127.0.0.1:0")
    assert result.returncode == 1
    assert re.fullmatch(r"\S+Z cache204: error: .*no-such-user.*\n", result.stderr)


def test_store_that_the_user_cannot_have(open_directory):
    """A directory of root's that holds something is not given away."""
    store = open_directory / "store"
    store.mkdir(mode=0o755)
    (store / "file").write_text("of root")
    result = run("-o", f"user={USER}", "-o", f"store={store}", "-o", "listen=127.0.0.1:0", "-o",
                 "admin=127.0.0.1:0")
    assert result.returncode == 1
    assert str(store) in result.stderr and "Permission denied" in result.stderr
    assert os.stat(store).st_uid == 0


def test_store_in_the_service_managers_directory(open_directory, origin):
    proxy = Proxy(open_directory / "run", "store=", f"user={USER}", "access_log=", start=False)
    proxy.environment["CACHE_DIRECTORY"] = f"{open_directory}/cache:/nowhere"
    try:
        proxy.start()
        assert (open_directory / "cache" / "data.mdb").exists()
        proxy.stop()
    finally:
        proxy.kill()


def test_store_below_a_foreign_directory_is_reported_with_the_cause(open_directory):
    """Not "no such file", which would only be the consequence."""
    entry = pwd.getpwnam(USER)
    for check in ((), ("-t",)):
        result = subprocess.run(
            [BINARY, *check, "-o", f"store={open_directory}/a/b/c", "-o", "listen=127.0.0.1:0", "-o",
             "admin=127.0.0.1:0"], text=True, capture_output=True, timeout=15,
            preexec_fn=lambda: (os.setgroups([]), os.setgid(entry.pw_gid), os.setuid(entry.pw_uid)))
        assert result.returncode != 0
        assert f"store: {open_directory}/a/b/c: " in result.stderr and "Permission denied" in result.stderr
    assert not list(open_directory.iterdir())
