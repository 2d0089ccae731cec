"""Signals: what each does, that no other one ends the proxy, and what a terminal that closes means."""

import fcntl
import os
import pty
import signal
import subprocess
import termios

import pytest

from support.proxy import BINARY
from support.until import until

IGNORED = ["SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSTKFLT", "SIGXCPU", "SIGWINCH",
           "SIGCONT", "SIGURG", "SIGPIPE", "SIGRTMIN", "SIGRTMAX"]


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGHUP"])
def test_logs_are_opened_anew(start_proxy, origin, name):
    proxy = start_proxy()
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 204
    proxy.access_log.rename(proxy.directory / "access.log.1")
    proxy.process.send_signal(getattr(signal, name))
    until(proxy.access_log.exists, "the log is made anew")
    told = "reopen their logs" if name == "SIGUSR1" else "reload: generation 2 serves"
    until(lambda: told in proxy.errors(), "it is told")
    with proxy.connect() as client:
        assert client.get(origin.url("/2")).status == 204
    proxy.stop()
    assert "/2" in proxy.access_log.read_text()


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGHUP"])
def test_a_log_that_cannot_be_opened_anew_is_reported_with_its_path(start_proxy, name):
    proxy = start_proxy()
    proxy.access_log.rename(proxy.directory / "access.log.1")
    proxy.access_log.mkdir()
    proxy.process.send_signal(getattr(signal, name))
    until(lambda: "(as user" in proxy.errors(), "it is told")
    assert str(proxy.access_log) in proxy.errors() and "Is a directory" in proxy.errors()


def test_other_signals_do_not_end_it(start_proxy, origin):
    proxy = start_proxy()
    processes = {proxy.pid} | proxy.workers()
    for pid in processes:
        for name in IGNORED if pid == proxy.pid else (*IGNORED, "SIGUSR2"):  # that is for the first process
            os.kill(pid, getattr(signal, name))
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 204
    assert {proxy.pid} | proxy.workers() == processes


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_the_signal_that_ends_it_is_logged(start_proxy, name):
    proxy = start_proxy()
    proxy.process.send_signal(getattr(signal, name))
    proxy.wait()
    assert proxy.errors().count(f"{name}: going down") == 1


def on_terminal(tmp_path, worker_count, ready, ignore_hangup=False):
    """A proxy at a terminal of its own, and the other end of that."""
    ours, theirs = pty.openpty()

    def adopt():
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        # whatever these tests were started with
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignore_hangup else signal.SIG_DFL)

    options = ["listen=127.0.0.1:0", "admin=127.0.0.1:0", f"store={tmp_path}/store", f"access_log={tmp_path}/log",
               "store_size=1MiB", f"workers={worker_count}"]
    with open(ready, "wb") as output:
        process = subprocess.Popen([BINARY, *[a for o in options for a in ("-o", o)]], stdin=theirs, stdout=output,
                                   stderr=output, preexec_fn=adopt, pass_fds=[theirs])
    os.close(theirs)
    until(lambda: " ready\n" in ready.read_text(), "it is ready")
    return process, ours


def test_it_ends_with_its_terminal(tmp_path, worker_count):
    process, terminal = on_terminal(tmp_path, worker_count, tmp_path / "out")
    try:
        process.send_signal(signal.SIGHUP)
        until((tmp_path / "log").exists, "a SIGHUP opens the log")
        assert process.poll() is None
        os.close(terminal)
        assert process.wait(15) == 0
        assert "the terminal is closed" in (tmp_path / "out").read_text()
    finally:
        process.kill()
        process.wait()


def test_nohup_outlives_the_terminal(tmp_path, worker_count):
    process, terminal = on_terminal(tmp_path, worker_count, tmp_path / "out", ignore_hangup=True)
    try:
        os.close(terminal)
        until(lambda: "generation 2 serves" in (tmp_path / "out").read_text(), "it reloads")
        assert process.poll() is None
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
