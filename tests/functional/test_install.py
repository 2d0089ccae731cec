"""`make install`: what it puts where, and that the unit can start right after it."""

import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
from email.utils import parsedate_to_datetime

import pytest

from support.proxy import BINARY, ROOT, is_ready

pytestmark = pytest.mark.one_worker("the unit has one")

WAIT = 60


def make(target, **variables):
    """From the build that is tested: nothing is built. This machine gets no user, and its systemd is left alone."""
    settings = [f"{name}={value}" for name, value in {"ACTIVATE": "", **variables}.items()]
    return subprocess.run(["make", "-s", "-o", "all", target, f"BUILD={pathlib.Path(BINARY).resolve().parent}", *settings],
                          cwd=ROOT, check=True, capture_output=True, text=True, timeout=WAIT, umask=0o077)


def install(**variables):
    make("install", **variables)


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
        "usr/local/share/bash-completion/completions/cache204",
        "usr/local/share/man/man5/cache204.conf.5",
        "usr/local/share/man/man7/cache204-metrics.7",
        "usr/local/share/man/man7/cache204-origins.7",
        "usr/local/share/man/man8/cache204.8",
        "usr/local/share/doc/cache204/cache204.conf.example",
        "usr/local/share/doc/cache204/haproxy.cfg.example",
        "usr/local/share/doc/cache204/cache204.socket",
        "usr/local/share/doc/cache204/grafana-dashboard.json",
        "usr/local/share/doc/cache204/prometheus-rules.yml",
        "usr/local/lib/systemd/system/cache204.service",
        "usr/local/lib/sysusers.d/cache204.conf",
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


@pytest.mark.long
def test_uninstall_removes_what_install_made(tmp_path):
    others = ["etc/other.conf", "usr/local/sbin/other", "usr/local/share/doc/other/README"]
    for other in others:
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).write_text("")
    install(DESTDIR=tmp_path)
    make("uninstall", DESTDIR=tmp_path)
    assert files_below(tmp_path) == set(others)
    assert not (tmp_path / "usr/local/share/doc/cache204").exists()
    make("uninstall", DESTDIR=tmp_path)  # nothing is there any more


def test_uninstall_leaves_what_the_operator_wrote(tmp_path):
    install(DESTDIR=tmp_path)
    (tmp_path / "etc/cache204.conf").write_text("workers = 2\n")
    (tmp_path / "usr/local/share/doc/cache204/notes").write_text("")
    assert "cache204.conf was changed" in make("uninstall", DESTDIR=tmp_path).stdout
    assert files_below(tmp_path) == {"etc/cache204.conf", "usr/local/share/doc/cache204/notes"}


def test_user_of_the_unit_is_the_one_that_is_made(tmp_path):
    install(DESTDIR=tmp_path)
    unit = (tmp_path / "usr/local/lib/systemd/system/cache204.service").read_text()
    user = re.search("^User=(.*)$", unit, re.M).group(1)
    lines = (tmp_path / "usr/local/lib/sysusers.d/cache204.conf").read_text().splitlines()
    assert [line.split()[:2] for line in lines if line[0] != "#"] == [["u", user]]


def test_addresses_of_the_socket_are_options():
    """The example is for a proxy without options."""
    text = (ROOT / "conf/cache204.socket").read_text()
    options = subprocess.run([BINARY, "-T"], capture_output=True, text=True, check=True, timeout=WAIT).stdout
    addresses = re.findall("^ListenStream=(.*)$", text, re.M)
    assert addresses
    for address in addresses:
        assert re.search(f"^listen = .*{re.escape(address)}", options, re.M), options


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="no working copy of git")
@pytest.mark.long
def test_archive_has_the_version_and_needs_no_git(tmp_path):
    made = make("dist").stdout.split()[-1]
    subprocess.run(["tar", "xzf", ROOT / made, "-C", tmp_path], check=True, timeout=WAIT)
    (tree,) = tmp_path.iterdir()
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True,
                             timeout=WAIT).stdout.split("\0")
    assert files_below(tree) == {name for name in tracked if name and (ROOT / name).exists()} | {".version"}
    again = subprocess.run(["make", "-s", "dist"], cwd=tree, capture_output=True, text=True, timeout=WAIT, check=True,
                           env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path)}).stdout.split()[-1]
    assert pathlib.Path(again).name == pathlib.Path(made).name == f"{tree.name}.tar.gz"
    (tmp_path / "again").mkdir()
    subprocess.run(["tar", "xzf", tree / again, "-C", tmp_path / "again"], check=True, timeout=WAIT)
    assert files_below(tmp_path / "again" / tree.name) | {again} == files_below(tree)


def test_each_version_of_the_package_is_newer_than_the_last():
    """lintian refuses two of one date; `make deb`, which asks it, is too slow for here."""
    text = (ROOT / "debian/changelog").read_text(encoding="utf-8")
    dates = [parsedate_to_datetime(date) for date in re.findall(r"^ -- .*>  (.*)$", text, re.M)]
    assert len(dates) == len(re.findall(r"^cache204 \(", text, re.M))
    assert dates == sorted(set(dates), reverse=True)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_systemd_understands_the_unit(tmp_path):
    """Complaints about a line have its number; others are of this machine, which may have no systemd."""
    install(PREFIX=tmp_path / "usr", SYSCONFDIR=tmp_path / "etc")
    unit = tmp_path / "usr/lib/systemd/system/cache204.service"
    result = subprocess.run(["systemd-analyze", "verify", unit], text=True, timeout=WAIT, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env={**os.environ, "SYSTEMD_LOG_LEVEL": "notice"})
    assert not re.search(r"cache204\.service:\d+:|cache204 is not executable", result.stdout), result.stdout
