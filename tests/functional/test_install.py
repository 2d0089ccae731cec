"""`make install`: what it puts where, and that the unit can start right after it."""

import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess

import pytest

from support.proxy import BINARY, ROOT, is_ready

pytestmark = pytest.mark.one_worker("the unit has one")

WAIT = 60


def install(**variables):
    """From the build that is tested: nothing is built."""
    settings = [f"{name}={value}" for name, value in variables.items()]
    subprocess.run(["make", "-s", "-o", "all", "install", f"BUILD={pathlib.Path(BINARY).resolve().parent}", *settings],
                   cwd=ROOT, check=True, capture_output=True, text=True, timeout=WAIT, umask=0o077)


def files_below(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def commands_of(unit):
    """The commands of the unit that start the service, in order, as lists of words."""
    lines = unit.read_text().splitlines()
    return [shlex.split(line.partition("=")[2]) for line in lines if re.match("ExecStart(Pre)?=", line)]


def test_files(tmp_path):
    install(DESTDIR=tmp_path)
    assert files_below(tmp_path) == {
        "etc/cache204.conf",
        "usr/local/sbin/cache204",
        "usr/local/share/man/man5/cache204.conf.5",
        "usr/local/share/man/man7/cache204-origins.7",
        "usr/local/share/man/man8/cache204.8",
        "usr/local/share/doc/cache204/cache204.conf.example",
        "usr/local/share/doc/cache204/haproxy.cfg.example",
        "usr/local/lib/systemd/system/cache204.service",
    }
    for path in tmp_path.rglob("*"):  # whatever the umask: the service has a user of its own
        assert path.stat().st_mode & 0o444 == 0o444, path
    for command in commands_of(tmp_path / "usr/local/lib/systemd/system/cache204.service"):
        assert command[0] == "/usr/local/sbin/cache204"
        assert command[command.index("-c") + 1] == "/etc/cache204.conf"


def test_unit_starts_with_nothing_else_done(tmp_path):
    """Its own commands, as they stand but for ports and the store."""
    install(PREFIX=tmp_path / "usr", SYSCONFDIR=tmp_path / "etc")
    unit = tmp_path / "usr/lib/systemd/system/cache204.service"
    assert not re.search("@[A-Z]+@", unit.read_text())
    check, start = commands_of(unit)
    result = subprocess.run([*check, "-o", f"store={tmp_path}/store"], capture_output=True, text=True, timeout=WAIT)
    assert result.returncode == 0 and "configuration ok" in result.stderr, result.stderr
    process = subprocess.Popen([*start, "-o", "listen=127.0.0.1:0", "-o", "admin=127.0.0.1:0",
                                "-o", f"store={tmp_path}/store"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert any(is_ready([line.rstrip("\n")]) for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_configuration_of_the_operator_stays(tmp_path):
    install(DESTDIR=tmp_path)
    file = tmp_path / "etc/cache204.conf"
    sample = (ROOT / "conf/cache204.conf.example").read_text()
    assert file.read_text() == re.sub("^(?=[a-z])", "#", sample, flags=re.M)
    file.write_text("workers = 2\n")
    install(DESTDIR=tmp_path)
    assert file.read_text() == "workers = 2\n"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_systemd_understands_the_unit(tmp_path):
    """Complaints about a line have its number; others are of this machine, which may have no systemd."""
    install(PREFIX=tmp_path / "usr", SYSCONFDIR=tmp_path / "etc")
    unit = tmp_path / "usr/lib/systemd/system/cache204.service"
    result = subprocess.run(["systemd-analyze", "verify", unit], text=True, timeout=WAIT, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env={**os.environ, "SYSTEMD_LOG_LEVEL": "notice"})
    assert not re.search(r"cache204\.service:\d+:|cache204 is not executable", result.stdout), result.stdout
