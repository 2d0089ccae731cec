"""`cache204 purge`: here, and at several nodes."""

import socket

import pytest

from support.origin import respond
from support.proxy import run

FRESH = "Cache-Control: max-age=600"
CACHED = "Cache-Control: only-if-cached"


def purge(proxy, *arguments):
    return run("purge", "-o", f"admin=127.0.0.1:{proxy.admin_port}", *arguments)


@pytest.fixture
def some(proxy, client, origin):
    origin.default = respond(204, FRESH, 'Cache-Groups: "g"', 'ETag: "a"')
    for path in ("/a1", "/a2", "/b"):
        client.get(origin.url(path))
    proxy.until_written()
    return client


def left(client, origin):
    return [path for path in ("/a1", "/a2", "/b") if client.get(origin.url(path), CACHED).status == 204]


def test_a_url(proxy, some, origin):
    done = purge(proxy, origin.url("/a1"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "purged: 1 URL\n", "")
    assert left(some, origin) == ["/a2", "/b"]
    assert purge(proxy, origin.authority + "/a1").stdout == "purged: 0 URLs\n"
    done = purge(proxy, "--soft", origin.url("/b"))
    assert (done.returncode, done.stdout) == (0, "made stale: 1 URL\n")
    assert left(some, origin) == ["/a2"]


@pytest.mark.parametrize("soft", [[], ["--soft"]])
@pytest.mark.parametrize("kind", ["prefix", "host", "group", "group of host", "all"])
def test_many(proxy, some, origin, kind, soft):
    arguments = {"prefix": ["--prefix", origin.url("/a")], "host": ["--host", origin.authority],
                 "group": ["--group", "g", origin.url("/")],
                 "group of host": ["--group", "g", "--host", origin.authority], "all": ["--all"]}[kind]
    proxy.until_written()
    done = purge(proxy, "--wait", *soft, *arguments)
    assert done.returncode == 0 and done.stderr == "", done
    what, count, unit = done.stdout.rsplit(" ", 2)
    assert what == ("made stale:" if soft else "purged:") and unit == "URLs\n"
    assert int(count) == (2 if kind == "prefix" else 3) or (kind == "all" and int(count) >= 3)
    assert left(some, origin) == (["/b"] if kind == "prefix" else [])
    done = purge(proxy, *soft, *arguments)
    assert done.returncode == 0 and done.stdout.startswith("in force; ")


@pytest.mark.parametrize("arguments", [
    [], ["--soft"], ["--group", "g"], ["--group", "g", "--all"], ["--all", "http://a/"], ["--host", "a", "--prefix", "http://a/"],
    ["http://a/", "http://b/"], ["--node", "127.0.0.1"], ["--all", "--node", ""], ["--all", "--node", "a:0"],
    ["--all", "--node", "a:x"], ["--all", "--node", "nosuch.invalid"]])
def test_wrong_use_purges_nothing(proxy, some, origin, arguments):
    done = purge(proxy, *arguments)
    assert done.returncode == 2 and done.stdout == "" and done.stderr
    assert left(some, origin) == ["/a1", "/a2", "/b"]


@pytest.mark.parametrize("arguments", [["ftp://a/"], ["--prefix", "http://u@a/"], ["--host", "a/b"]])
def test_what_the_proxy_refuses(proxy, arguments):
    done = purge(proxy, *arguments)
    assert done.returncode == 1 and "not understood" in done.stderr


# Several nodes


@pytest.fixture
def nodes(start_proxy, origin):
    """Two of them, with the same stored."""
    origin.default = respond(204, FRESH)
    both = [start_proxy(), start_proxy()]
    for proxy in both:
        with proxy.connect() as client:
            client.get(origin.url("/a1"))
        proxy.until_written()
    return both


def has(proxy, origin):
    with proxy.connect() as client:
        return client.get(origin.url("/a1"), CACHED).status == 204


def test_at_all_nodes(nodes, origin):
    names = [f"127.0.0.1:{proxy.admin_port}" for proxy in nodes]
    done = run("purge", *(part for name in names for part in ("--node", name)), origin.url("/a1"))
    assert done.returncode == 0 and done.stderr == "", done
    assert sorted(done.stdout.splitlines()) == sorted(f"{name}: purged: 1 URL" for name in names)
    assert not any(has(proxy, origin) for proxy in nodes)


def test_one_that_fails_is_named_and_the_others_are_purged(nodes, origin):
    with socket.socket() as silent:  # accepts, and never answers
        silent.bind(("127.0.0.1", 0))
        closed = silent.getsockname()[1]
    done = run("purge", "--node", f"127.0.0.1:{closed}", "--node", f"127.0.0.1:{nodes[0].admin_port}",
               "--host", origin.authority, "--wait")
    assert done.returncode == 1
    assert f"127.0.0.1:{closed}: Connection refused" in done.stderr and "failed at 1 of 2 nodes" in done.stderr
    assert done.stdout == f"127.0.0.1:{nodes[0].admin_port}: purged: 1 URL\n"
    assert not has(nodes[0], origin) and has(nodes[1], origin)


@pytest.mark.one_worker("that all is written is asked for without the token")
def test_nodes_are_shown_the_token(start_proxy, origin, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    token.chmod(0o600)
    proxy = start_proxy(f"admin_token_file={token}")
    origin.default = respond(204, FRESH)
    with proxy.connect() as client:
        client.get(origin.url("/a1"))
    node = f"127.0.0.1:{proxy.admin_port}"
    done = run("purge", "--node", node, origin.url("/a1"))
    assert done.returncode == 1 and f"{node}: refused: This needs the token of the option admin_token_file" in done.stderr
    assert has(proxy, origin)
    done = run("purge", "-o", f"admin_token_file={token}", "--node", node, origin.url("/a1"))
    assert done.returncode == 0 and done.stdout == f"{node}: purged: 1 URL\n", done
    assert not has(proxy, origin)


def test_a_name_is_all_its_addresses_once(nodes, origin):
    port = nodes[0].admin_port
    done = run("purge", "-o", f"admin=127.0.0.1:{port}", "--node", "localhost", "--node", f"localhost:{port}",
               "--node", "127.0.0.1", origin.url("/a1"))
    assert done.stdout.splitlines() == [f"127.0.0.1:{port}: purged: 1 URL"]  # ::1 refuses, if it is there
    assert not has(nodes[0], origin) and has(nodes[1], origin)
