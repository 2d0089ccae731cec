"""Subcommands: what they print and with what they exit; `env` is used as it says, `completion` is completed
with, and `reload` is told what a proxy may answer."""

import json
import re
import shutil
import socket
import subprocess
import threading

import pytest

from support.origin import respond
from support.ports import free_port
from support.proxy import ROOT, Proxy, run

pytestmark = pytest.mark.one_worker("a command asks whichever worker")

MANUAL = (ROOT / "conf/cache204.8").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^COMMAND\((\w+),", (ROOT / "proxy/cli/commands.def").read_text(encoding="utf-8"), re.M)
PROGRAMS = re.findall(r"^PROGRAM\((\w+),", (ROOT / "proxy/cli/programs.def").read_text(encoding="utf-8"), re.M)


# ---- all of them ----------------------------------------------------------------------------------


def test_help_lists_them():
    text = run("--help").stdout
    assert COMMANDS
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S", text, re.M), name


@pytest.mark.parametrize("name", COMMANDS)
def test_each_has_help_and_a_place_in_the_manual(name):
    result = run(name, "--help")
    assert result.returncode == 0 and result.stdout.startswith(f"usage: cache204 {name} "), result
    assert re.search(rf"^\.It Ic {name}\b", MANUAL, re.M), name
    for flag in re.findall(r"--([a-z]+)", result.stdout):
        assert f"-{flag}" in MANUAL, flag


@pytest.mark.parametrize("arguments", [["nosuch"], ["env", "nosuch"], ["reload", "--shell"], ["completion"],
                                       ["completion", "fish"], ["env", "--nosuch"], ["env", "-o", "nosuch=1"],
                                       ["env", "--shell", "go"], ["env", "-o", "listen=127.0.0.1:0"],
                                       ["reload", "-o", "admin="], ["reload", "-o", "admin=127.0.0.1:0"]])
def test_wrong_use_exits_2(arguments):
    result = run(*arguments)
    assert result.returncode == 2 and result.stderr and not result.stdout, result


# ---- env ------------------------------------------------------------------------------------------


def env(*arguments, port=3128):
    result = run("env", "-o", f"listen=127.0.0.1:{port}", *arguments)
    assert result.returncode == 0 and not result.stderr, result
    return result.stdout


def test_env_has_each_with_its_trap():
    shown = json.loads(env("--json"))
    assert [row["program"] for row in shown] == PROGRAMS
    for row in shown:
        assert row["text"].endswith("\n") and row["trap"] and row["where"] and "@" not in row["text"], row
        assert "127.0.0.1" in row["text"] and "3128" in row["text"], row
    text = env()
    for row in shown:
        assert row["text"] in text, row
    assert env("go", "curl").count("\n# ") == 1 + env("go", "curl").count("\n#   ")


@pytest.mark.parametrize("option, url", [
    ("listen=0.0.0.0:3128", "http://127.0.0.1:3128"),
    ("listen=[::]:81", "http://[::1]:81"),
    ("listen=192.0.2.1:8080,127.0.0.1:1", "http://192.0.2.1:8080"),
    ("password_file=/nowhere", "http://USER:PASSWORD@127.0.0.1:3128"),
])
def test_env_names_the_address_in_effect(option, url):
    result = run("env", "--shell", "-o", option)
    assert result.stdout == f'export http_proxy="{url}" HTTP_PROXY="{url}"\n', result


def shell(script, directory):
    """In a shell that has none of the variables."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(directory)}
    return subprocess.run(["bash", "-c", script], env=environment, cwd=directory, text=True, timeout=20,
                          stdin=subprocess.DEVNULL, capture_output=True)


def text_of(program, proxy):
    return json.loads(env("--json", program, port=proxy.port))[0]["text"]


@pytest.fixture
def served(proxy, origin):
    """The proxy, and a URL that it has to have been asked for."""
    origin.default = respond(204, "Cache-Control: max-age=60")
    before = proxy.stats()["requests"]
    yield proxy, origin.url("/env")
    assert proxy.stats()["requests"] > before, proxy.errors()


def test_sh_as_it_is_printed(served, tmp_path):
    proxy, url = served
    result = shell(f"{text_of('sh', proxy)} curl -sS {url}", tmp_path)
    assert result.returncode == 0, result.stderr


def test_curl_as_it_is_printed(served, tmp_path):
    proxy, url = served
    command = text_of("curl", proxy).replace("http://example.com/", url)
    result = shell(f"export no_proxy=127.0.0.1; {command}", tmp_path)
    assert result.returncode == 0 and "Cache-Status: cache204; fwd=uri-miss" in result.stdout, result


def test_wget_as_it_is_printed(served, tmp_path):
    proxy, url = served
    (tmp_path / ".wgetrc").write_text(text_of("wget", proxy))
    result = shell(f"wget -S -O - {url}", tmp_path)
    assert "Cache-Status: cache204; fwd=uri-miss" in result.stderr, result


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
def test_git_as_it_is_printed(served, tmp_path):
    proxy, url = served
    shell(f"{text_of('git', proxy)} git ls-remote {url}", tmp_path)  # whatever it makes of a 204


@pytest.mark.skipif(not shutil.which("java"), reason="no java")
def test_java_as_it_is_printed(served, tmp_path):
    proxy, url = served
    (tmp_path / "Ask.java").write_text(
        "public class Ask { public static void main(String[] a) throws Exception {"
        "  System.out.println(((java.net.HttpURLConnection) new java.net.URL(a[0]).openConnection())"
        ".getHeaderField(\"Cache-Status\")); } }")
    command = text_of("java", proxy).replace(" ...\n", f" Ask.java {url}")
    result = shell(command, tmp_path)
    if "compiler" in result.stderr or "ClassNotFound" in result.stderr or "Could not find" in result.stderr:
        result = shell(f"javac Ask.java && {command.replace('Ask.java', 'Ask')}", tmp_path)
    assert "cache204; fwd=uri-miss" in result.stdout, result


@pytest.mark.skipif(not shutil.which("apt-config"), reason="no apt")
def test_apt_understands_its_line(tmp_path):
    (tmp_path / "apt.conf").write_text(json.loads(env("--json", "apt"))[0]["text"])
    result = subprocess.run(["apt-config", "-c", tmp_path / "apt.conf", "dump", "Acquire::http::Proxy"],
                            text=True, capture_output=True, timeout=20, check=True)
    assert result.stdout == 'Acquire::http::Proxy "http://127.0.0.1:3128";\n'


def test_docker_has_json():
    text = json.loads(env("--json", "docker"))[0]["text"]
    assert json.loads(text) == {"proxies": {"default": {"httpProxy": "http://127.0.0.1:3128"}}}


# ---- completion -----------------------------------------------------------------------------------


def complete(line, breaks=None):
    """What a bash offers for the last word of a line."""
    script = run("completion", "bash").stdout
    setting = f"COMP_WORDBREAKS={breaks!r}\n" if breaks is not None else ""
    result = subprocess.run(
        ["bash", "--noprofile", "--norc", "-c",
         f"{script}\n{setting}COMP_LINE=$1 COMP_POINT=${{#1}}\n_cache204\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"", "bash", line],
        text=True, capture_output=True, timeout=20, check=True)
    assert not result.stderr, result.stderr
    return [word for word in result.stdout.split("\n") if word]


@pytest.mark.parametrize("line, words", [
    ("cache204 ", COMMANDS),
    ("cache204 re", ["reload"]),
    ("cache204 -o workers=2 re", ["reload"]),
    ("cache204 -c env re", ["reload"]),
    ("cache204 --v", ["--version"]),
    ("cache204 reload --", ["--json", "--help"]),
    ("cache204 env -o x=y --s", ["--shell"]),
    ("cache204 env ", PROGRAMS),
    ("cache204 env curl ch", ["chromium"]),
    ("cache204 completion ", ["bash"]),
    ("cache204 -c ", []),
    ("cache204 -o conditional", ["conditional_hit="]),
    ("cache204 -o conditional_hit=3", ["304"]),
    ("cache204 -o language_select=", ["on", "off"]),
    ("cache204 reload -o log_level=d", ["debug"]),
    ("cache204 -o store_size=", []),
])
def test_completion(line, words):
    assert complete(line) == words


def test_completion_where_bash_does_not_cut_at_an_equals_sign():
    assert complete("cache204 -o log_level=e", breaks=" ") == ["log_level=error"]


def test_completion_has_every_option():
    rows = re.findall(r"^OPTION_\w+\((\w+),", (ROOT / "conf/options.def").read_text(encoding="utf-8"), re.M)
    assert complete("cache204 -o ") == [f"{name}=" for name in rows]


# ---- reload ---------------------------------------------------------------------------------------


def answer(status, body):
    return (f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Connection: close\r\n\r\n{body}").encode()


def result_of(answered, ok=True, errors="", generation=2, older=0):
    return answer(200, json.dumps({"generation": generation, "older_generations": older, "time": 1, "ok": ok,
                                   "errors": errors, "asked": 7, "answered": answered}))


ASKED = answer(202, '{"asked": 7}')


class Admin:
    """Says what it was given, one answer a request, and then the last for good."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.requests = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                head = b""
                while b"\r\n\r\n" not in head:
                    got = peer.recv(4096)
                    if not got:
                        break
                    head += got
                if not head:
                    continue  # looked whether there is anybody
                self.requests.append(head.split(b" HTTP/")[0].decode())
                peer.sendall(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    def reload(self, *arguments):
        port = self.socket.getsockname()[1]
        return run("reload", "-o", f"admin=127.0.0.1:{port}", *arguments)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(5)


@pytest.fixture
def admin():
    started = []

    def start(*answers):
        started.append(Admin(answers))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_reload_waits_until_it_is_answered(admin):
    server = admin(ASKED, result_of(5), result_of(6, ok=False, errors="of another"), result_of(7, older=1))
    result = server.reload()
    assert result.returncode == 0 and not result.stderr, result
    assert result.stdout == "cache204: reloaded: generation 2 is in effect, connections of 1 before it go on\n"
    assert server.requests == ["POST /reload"] + 3 * ["GET /reload"]


def test_reload_refused(admin):
    result = admin(ASKED, result_of(7, ok=False, errors="a.conf:1: x: no such option\n\x1b[2Ja.conf:2: y")).reload()
    assert result.returncode == 1 and not result.stdout
    assert result.stderr.startswith("a.conf:1: x: no such option\n\\x1b[2Ja.conf:2: y\ncache204: reload: refused")


@pytest.mark.parametrize("ok", [True, False])
def test_reload_as_json(admin, ok):
    result = admin(ASKED, result_of(8, ok=ok, errors="" if ok else "f:1: no")).reload("--json")
    assert result.returncode == (0 if ok else 1)
    assert json.loads(result.stdout)["errors"] == ("" if ok else "f:1: no")


@pytest.mark.parametrize("bad", [b"", answer(500, "no"), result_of(7)[:-3], answer(200, "{}"), answer(200, "[")],
                         ids=["none", "500", "cut", "empty", "malformed"])
def test_reload_asks_again_while_workers_are_exchanged(admin, bad):
    result = admin(ASKED, bad, result_of(7)).reload()
    assert result.returncode == 0 and not result.stderr, result


@pytest.mark.parametrize("bad, said", [
    (answer(404, "no"), "it is older"),
    (answer(403, "403 Forbidden\n"), "answers 403: 403 Forbidden"),
    (answer(202, "{}"), "no ticket"),
    (ASKED[:-2], "cut"),
    (b"", "without an answer"),
    (b"SSH-2.0-x\r\n", "not one of cache204"),
    (b"HTTP/1.1 202 X\r\n" + b"a: b\r\n" * 600000, "too long"),
], ids=["404", "403", "no-ticket", "cut", "none", "other", "long"])
def test_reload_that_cannot_be_asked_for(admin, bad, said):
    result = admin(bad).reload()
    assert result.returncode == 2 and not result.stdout and said in result.stderr, result


def test_reload_without_a_proxy():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = run("reload", "-o", f"admin=127.0.0.1:{port}")
    assert result.returncode == 2 and "Connection refused: is the proxy running" in result.stderr, result


def test_reload_takes_the_first_address_that_answers(admin):
    server = admin(ASKED, result_of(7))
    port = free_port()
    result = run("reload", "-o", f"admin=127.0.0.1:{port},127.0.0.1:{server.socket.getsockname()[1]}")
    assert result.returncode == 0, result


def test_reload_of_a_broken_file_asks_nothing(admin, tmp_path):
    server = admin(ASKED)
    file = tmp_path / "a.conf"
    file.write_text("workers = many\n")
    result = server.reload("-c", file)
    assert result.returncode == 1 and f"{file}:1: workers: " in result.stderr and not server.requests, result


def test_reload_of_a_proxy(tmp_path):
    """The proxy itself says what is wrong with its file, and keeps what was right."""
    file = tmp_path / "its.conf"
    file.write_text("max_ttl = 5m\n")
    proxy = Proxy(tmp_path / "proxy", start=False)
    proxy.arguments = ["-c", str(file)]
    proxy.start()
    try:
        admin = f"admin=127.0.0.1:{proxy.admin_port}"
        good = run("reload", "-o", admin)
        assert good.returncode == 0 and "generation 2 is in effect" in good.stdout, good
        file.write_text("max_ttl = soon\n")
        bad = run("reload", "-o", admin)
        assert bad.returncode == 1 and f"{file}:1: max_ttl: " in bad.stderr and not bad.stdout, bad
        shown = run("reload", "--json", "-o", admin)
        assert shown.returncode == 1 and json.loads(shown.stdout)["generation"] == 2, shown
        proxy.stop()
    finally:
        proxy.kill()
