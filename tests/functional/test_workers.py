"""Several workers: one service to its clients, whichever process answers and whichever dies."""

import os
import pathlib
import random
import signal
import socket
import struct
import threading
import time

import pytest

from support.http1 import Closed
from support.origin import CLOSE, NEVER, RESET, respond
from support.processes import is_running, state, until_ended
from support.proxy import run
from support.rawclient import Client

WORKERS = 3
FRESH = "Cache-Control: max-age=600"
WAIT = 5.0


def until(condition, what, timeout=WAIT):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


@pytest.fixture
def start(start_proxy):
    def start(*options):
        return start_proxy(f"workers={WORKERS}", "log_level=debug", *options)
    return start


@pytest.fixture
def each():
    """A client of each worker: each(proxy) is a dictionary from process id to client."""
    opened = []

    def each(proxy, count=WORKERS):
        found = {}
        for _ in range(500):
            client = proxy.connect()
            opened.append(client)
            client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.response().status == 204
            found.setdefault(proxy.worker_of(client), client)
            if len(found) == count:
                return found
        raise AssertionError(f"connections reach only {list(found)}")

    yield each
    for client in opened:
        client.close()


def stored(proxy, n=1):
    until(lambda: proxy.stats()["store"]["entries"] >= n, "not in the store")


def replaced(proxy, pid, timeout=1.0):
    """Wait for the one that takes a dead worker's place, and serves."""
    until(lambda: not is_running(pid) and len(proxy.workers()) == WORKERS, "not replaced", timeout)
    until(lambda: proxy.stats()["workers"] == WORKERS, "the new one does not serve", timeout)


def listening(proxy):
    try:
        Client(proxy.port).close()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:
        pass  # accepted by the kernel just before the end of the listener
    return True


def kill9(pid):
    os.kill(pid, signal.SIGKILL)


def test_one_worker_when_one_is_asked_for(start_proxy):
    proxy = start_proxy("workers=1")
    assert len(proxy.workers()) == 1
    assert proxy.stats()["workers"] == 1


def test_ready_is_said_once_when_all_serve(start):
    proxy = start()
    assert sum(line.endswith(" ready") for line in proxy.output) == 1
    assert sum("http_proxy=" in line for line in proxy.output) == 1
    assert len(proxy.workers()) == WORKERS
    assert proxy.stats()["workers"] == WORKERS


def test_a_store_by_one_is_a_hit_at_all(start, each, origin):
    proxy = start()
    origin.default = respond(204, FRESH, "X-A: b")
    clients = list(each(proxy).values())
    assert not clients[0].get(origin.url()).hit
    stored(proxy)
    for client in clients:
        answer = client.get(origin.url())
        assert answer.hit and answer["X-A"] == "b"
    assert len(origin.requests) == 1


def test_invalidation_by_one_is_seen_by_all_at_once(start, each, origin):
    proxy = start()
    origin.default = respond(204, FRESH)
    clients = list(each(proxy).values())
    for n, client in enumerate(clients):
        for i in range(4):
            url = origin.url(f"/{n}/{i}")
            until(lambda: all(other.get(url).hit for other in clients), "no hit")
            client.ask("DELETE", url)
            for other in clients[n + 1:] + clients[:n + 1]:
                answer = other.ask("GET", url, "Cache-Control: only-if-cached")
                assert answer.status == 504, answer


@pytest.mark.parametrize("path", ["/late", "/other"])
def test_an_answer_on_its_way_is_overtaken_by_another_worker(start, each, origin, path):
    proxy = start()
    asker, other, *_ = each(proxy).values()
    go = threading.Event()
    late = respond(204, FRESH, 'Cache-Groups: "g"', "X-A: old")
    new = respond(204, FRESH, "X-A: new")
    if path == "/late":
        origin.on("/late", [go, late], respond(200), new)
    else:
        origin.on("/late", [go, late], new)
        origin.on("/other", respond(200, 'Cache-Group-Invalidation: "g"'))
    asker.request("GET", origin.url("/late"))
    origin.wait_requests(1)
    assert other.ask("PUT", origin.url(path)).status == 200
    go.set()
    answer = asker.response()
    assert answer["X-A"] == "old" and not answer.stored
    assert answer.cache_status["detail"] == "overtaken"
    assert asker.get(origin.url("/late"))["X-A"] == "new"


def test_a_write_that_waits_is_overtaken_by_another_worker(start, each, origin):
    proxy = start("store_interval=1s")
    storer, other, *_ = each(proxy).values()
    origin.on("/", respond(204, FRESH, "X-A: old"), respond(200),
              respond(204, FRESH, "X-A: new"))
    assert storer.get(origin.url("/")).stored
    assert other.ask("PUT", origin.url("/")).status == 200
    assert storer.get(origin.url("/"))["X-A"] == "new"


def test_statistics_are_of_all_and_outlive_a_worker(start, each, origin):
    proxy = start()
    origin.default = respond(204, FRESH)
    clients = each(proxy)
    for n, client in enumerate(clients.values()):
        client.get(origin.url(f"/{n}"))
        client.get(origin.url(f"/{n}"))
    stored(proxy, WORKERS)
    until(lambda: proxy.stats()["store"]["stored"] == WORKERS, "not all stores are counted")
    before = proxy.stats()
    assert before["hits"] == before["stores"] == WORKERS
    assert before["gauges"]["clients"] >= WORKERS
    for pid in clients:
        kill9(pid)
        replaced(proxy, pid)
    after = proxy.stats()
    assert (after["hits"], after["stores"], after["store"]["stored"]) == (WORKERS, WORKERS, WORKERS)
    assert after["requests"] == before["requests"] >= 2 * WORKERS
    assert after["counters"]["operator_requests"] > before["counters"]["operator_requests"]
    until(lambda: proxy.stats()["gauges"]["clients"] == 0, "the dead have clients")
    assert after["uptime_s"] >= before["uptime_s"]
    with proxy.connect() as client:
        assert client.get(origin.url("/0")).hit
    assert proxy.stats()["hits"] == WORKERS + 1


def test_a_killed_worker_costs_the_others_nothing(start, each, origin):
    proxy = start()
    origin.default = respond(204, FRESH)
    clients = each(proxy)
    victim = next(iter(clients))
    answered, errors, end = [], [], threading.Event()

    def ask(client):
        try:
            while not end.is_set():
                assert client.get(origin.url()).status == 204
                answered.append(None)
        except (AssertionError, OSError, Closed) as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(client,))
               for pid, client in clients.items() if pid != victim]
    for thread in threads:
        thread.start()
    kill9(victim)
    # those that the kernel deals to the dead one's sockets wait for the next one
    for _ in range(30):
        with proxy.connect() as client:
            assert client.get(origin.url()).status == 204
    replaced(proxy, victim)
    seen = len(answered)
    until(lambda: len(answered) > seen + 10 or errors, "the others stand still")
    end.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert f"worker {victim} died of signal 9" in proxy.errors()
    assert clients[victim].end()


@pytest.mark.long  # 3 s
def test_killed_again_and_again_under_load(start, each, origin):
    proxy = start()
    origin.default = respond(204, FRESH)
    random.seed(204)
    end, wrong, count = threading.Event(), [], [0]

    def load(number):
        n = 0
        while not end.is_set():
            try:
                with proxy.connect() as client:
                    for _ in range(20):
                        n += 1
                        status = client.get(origin.url(f"/{number}/{n % 500}")).status
                        count[0] += 1
                        if status != 204:
                            wrong.append(status)
            except Closed:
                pass  # of the killed one
            except OSError as error:
                if isinstance(error, (ConnectionRefusedError, socket.timeout)):
                    wrong.append(error)

    threads = [threading.Thread(target=load, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(12):
            seen = count[0]
            victim = random.choice(sorted(proxy.workers()))
            kill9(victim)
            replaced(proxy, victim, timeout=1.5)
            until(lambda: count[0] > seen + 50, "nothing is answered")
    finally:
        end.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert len(each(proxy)) == WORKERS
    assert proxy.stats()["counters"]["requests"] >= count[0]


def writer(proxy):
    """The process that holds the writers' lock: the first word of LMDB's second mutex, a cache line
    into its lock file; the kernel keeps the owner of a robust mutex there."""
    with open(proxy.store / "lock.mdb", "rb") as file:
        head = file.read(128)
    assert head[:4] == bytes.fromhex("dec0efbe"), "LMDB's lock file has another form"
    return struct.unpack_from("<I", head, 64)[0] & 0x3fffffff


def stop_while_writing(proxy, pid):
    for _ in range(5000):
        os.kill(pid, signal.SIGSTOP)
        until(lambda: state(pid) == "T", "it does not stop")
        if writer(proxy) == pid:
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(random.uniform(0.0005, 0.0015))
    raise AssertionError("it was never stopped while writing")


def test_killed_with_the_writers_lock(start, each, origin):
    proxy = start("store_interval=0")
    origin.default = respond(204, FRESH)
    clients = each(proxy)
    victim, other, _ = clients

    def load():
        try:
            for n in range(1000000):
                clients[victim].get(origin.url(f"/victim/{n}"))
        except (Closed, OSError, AssertionError):
            pass

    thread = threading.Thread(target=load)
    thread.start()
    until(lambda: origin.requests, "no load")
    stop_while_writing(proxy, victim)
    clients[other].request("GET", origin.url("/other"))
    assert clients[other].response().status == 204
    clients[other].request("GET", origin.url("/after"))  # after the store of the one before
    assert not clients[other].readable(0.2), "it does not wait for the lock"
    kill9(victim)
    assert clients[other].response().status == 204
    thread.join()
    replaced(proxy, victim)
    for n, client in enumerate(each(proxy).values()):
        client.get(origin.url(f"/new/{n}"))
        until(lambda: client.get(origin.url(f"/new/{n}")).hit, "it does not store")
        assert client.get(origin.url("/other")).hit
    assert proxy.stats()["store"]["failures"] == 0


def stale(*fields):
    return respond(204, "Cache-Control: max-age=10, stale-while-revalidate=600", "Age: 100",
                   'ETag: "a"', *fields)


def test_one_validation_in_the_background_for_all(start, each, origin):
    """While one is under way no worker begins another; when it has ended the next may."""
    proxy = start()
    go = threading.Event()
    clients = list(each(proxy).values())
    origin.on("/", stale(), [go, stale("X-A: second")], respond(204, FRESH, "X-A: third"))
    clients[0].get(origin.url())
    stored(proxy)
    for _ in range(3):
        for client in clients:
            answer = client.get(origin.url())
            assert answer.hit and answer["X-A"] is None
    origin.wait_requests(2)
    assert len(origin.heads) == 2
    assert proxy.stats()["counters"]["validations_background"] == 1
    go.set()
    until(lambda: clients[1].get(origin.url())["X-A"], "the second answer is not stored")
    until(lambda: all(client.get(origin.url())["X-A"] == "third" for client in clients),
          "the third answer is not at all")
    assert len(origin.requests) == 3


def test_one_validation_in_the_background_of_many_keys(start, each, origin):
    proxy = start()
    origin.default = stale()
    clients = list(each(proxy).values())
    keys = [f"/{n}" for n in range(100)]
    for key in keys:
        clients[0].get(origin.url(key))
    stored(proxy, len(keys))
    origin.default = respond(204, FRESH)
    for key in keys:
        for client in clients:
            assert client.get(origin.url(key)).hit
    origin.wait_requests(2 * len(keys))
    for key in keys:
        assert [request.target for request in origin.requests].count(key) == 2


def test_lease_of_a_failed_validation_is_released(start, each, origin):
    proxy = start()
    clients = list(each(proxy).values())
    origin.on("/", stale(), [b"HTTP/1.1 2", CLOSE], [RESET], respond(204, FRESH, "X-A: fresh"))
    clients[0].get(origin.url())
    stored(proxy)
    until(lambda: all(client.get(origin.url())["X-A"] for client in clients),
          "it is not validated again")


def test_sigterm_drains_all(start, each, origin):
    proxy = start()
    go = threading.Event()
    origin.default = [go, respond(204, "X-A: b")]
    pids = proxy.workers()
    clients = list(each(proxy).values())
    for n, client in enumerate(clients):
        client.request("GET", origin.url(f"/{n}"))
    origin.wait_requests(WORKERS)
    proxy.terminate()
    for pid in pids:  # as a service manager may: a signal to each process of the group
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
    until(lambda: not listening(proxy), "still listening")
    assert proxy.is_alive()
    go.set()
    for client in clients:
        answer = client.response()
        assert (answer.status, answer["X-A"]) == (204, "b")
        client.close()
    proxy.wait(3)
    assert not any(map(is_running, pids))


def test_second_sigterm_ends_at_once(start, each, origin):
    proxy = start()
    origin.default = [NEVER]
    pids = proxy.workers()
    for client in each(proxy).values():
        client.request("GET", origin.url(f"/{id(client)}"))
    origin.wait_requests(WORKERS)
    proxy.terminate()
    until(lambda: not listening(proxy), "still listening")
    assert proxy.is_alive()
    proxy.terminate()
    proxy.wait(6)
    assert not any(map(is_running, pids))


@pytest.mark.long
def test_stopped_worker_does_not_hold_the_end_for_ever(start):
    proxy = start()
    pid = min(proxy.workers())
    os.kill(pid, signal.SIGSTOP)
    proxy.terminate()
    until(lambda: proxy.workers() == {pid}, "the others do not end")
    assert proxy.is_alive()
    proxy.terminate()
    assert proxy.process.wait(10) == 1
    assert "killing workers" in proxy.errors()
    assert not is_running(pid)


def test_workers_end_with_a_killed_master(start, origin):
    proxy = start()
    origin.default = respond(204, FRESH)
    with proxy.connect() as client:
        client.get(origin.url())
    stored(proxy)
    pids = proxy.workers()
    assert len(pids) == WORKERS
    proxy.kill9()
    until_ended(pids, 2)
    proxy.start()
    with proxy.connect() as client:
        assert client.get(origin.url()).hit


def has_open(pid, path):
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(link) == str(path):
                return True
        except OSError:
            continue  # closed meanwhile
    return False


def test_hangup_has_all_open_their_log_again(start, each, origin):
    proxy = start()
    clients = each(proxy)
    proxy.access_log.rename(proxy.directory / "old")
    proxy.process.send_signal(signal.SIGHUP)
    until(lambda: all(has_open(pid, proxy.access_log) for pid in clients), "not opened by all")
    for n, client in enumerate(clients.values()):
        client.get(origin.url(f"/after/{n}"))
    proxy.stop()
    text = proxy.access_log.read_text()
    assert all(f"/after/{n}" in text for n in range(WORKERS))


def test_limit_on_clients_is_of_all_workers(start, origin):
    proxy = start("clients_max=6", "clients_per_address=6")
    clients = [proxy.connect() for _ in range(6)]
    for client in clients:
        assert client.get(origin.url()).status == 204
    for _ in range(6):
        with proxy.connect() as client:
            client.request("GET", origin.url())
            assert client.response().status == 503
    for client in clients:
        client.close()


# What cannot start says why, once, and leaves nothing behind.

def fail_to_start(directory, *options):
    result = run(*[a for option in (
        "listen=127.0.0.1:0", "admin=127.0.0.1:0", f"store={directory}/own", "store_size=16MiB",
        *options) for a in ("-o", option)])
    assert result.returncode == 1, result
    assert "Sanitizer" not in result.stderr, result.stderr
    assert "ready" not in result.stdout
    return result.stderr


def test_second_service_on_a_store_in_use(start, origin, tmp_path):
    proxy = start()
    origin.default = respond(204, FRESH)
    with proxy.connect() as client:
        client.get(origin.url())
        stored(proxy)
        for workers in (1, WORKERS):
            began = time.monotonic()
            errors = fail_to_start(tmp_path, f"workers={workers}", f"store={proxy.store}")
            assert time.monotonic() - began < 2
            assert errors.count("another service uses this store") == 1
            assert client.get(origin.url()).hit
    assert len(proxy.workers()) == WORKERS


@pytest.mark.parametrize("workers", [1, WORKERS])
def test_port_of_another_program(tmp_path, workers):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        errors = fail_to_start(tmp_path, f"workers={workers}", f"listen={address}")
        assert [line.partition(" ")[2] for line in errors.splitlines()] == [
            f"cache204: error: cannot listen on {address}: Address already in use: another process has it, "
            "ss -ltnp shows which"]


@pytest.mark.parametrize("workers", [1, WORKERS])
def test_port_of_another_service(start, tmp_path, workers):
    """No joining in the group of its sockets, and taking part of its connections."""
    proxy = start()
    errors = fail_to_start(tmp_path, f"workers={workers}", f"admin=127.0.0.1:{proxy.admin_port}")
    assert "Address already in use" in errors


def test_workers_that_cannot_start(tmp_path):
    log = tmp_path / "missing" / "log"
    errors = fail_to_start(tmp_path, f"workers={WORKERS}", f"access_log={log}")
    assert errors.count(str(log)) == 1
    assert "workers cannot start, giving up" in errors


def test_workers_that_can_start_no_more(start, origin):
    """All die, and none can start again: the end is an end, not a process that serves nothing."""
    proxy = start()
    moved = proxy.directory / "moved"
    proxy.store.rename(moved)
    proxy.store.write_text("not a directory")
    for pid in proxy.workers():
        kill9(pid)
    assert proxy.process.wait(20) == 1
    assert "workers cannot start, giving up" in proxy.errors()
    proxy.store.unlink()
    moved.rename(proxy.store)
