"""What is measured: cache204, its peers and its floors, each started in the configuration that is best for
the load at hand (bench/peers)."""

import dataclasses
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import time

from harness import machine
from harness.machine import Failed

PEERS = pathlib.Path(__file__).resolve().parents[1] / "peers"
START_S = 20.0
MODULES = "/usr/lib/apache2/modules"
SYSTEM_PATHS = ":/usr/local/sbin:/usr/sbin:/sbin"


@dataclasses.dataclass(frozen=True)
class Profile:
    """What a server is to be good at, in runs with it."""
    use: str = "hit"         # hit, pipelined, close, keys, miss, herd, connect
    workers: int = 1
    log: bool = False
    tls_origin: bool = False
    tls_clients: bool = False
    store: str = ""          # a filled store, by name

    def words(self):
        """Which lines of a configuration are there."""
        uses = {name if self.use == name else f"no{name}"
                for name in ("herd", "pipelined", "close", "connect", "keys")}
        return uses | {"log" if self.log else "nolog",
                       "oneworker" if self.workers == 1 else "manyworkers",
                       "tlsorigin" if self.tls_origin else "plainorigin",
                       "tlsclients" if self.tls_clients else "plainclients"}


class Server:
    """One kind of server. `can` are the abilities that not all have: connect, tls_origin, tls_clients, log,
    workers, herd; `form` is how it is asked."""
    name = title = package = program = ""
    can = frozenset()
    form = "absolute"
    tls_form = ""  # another form, of clients that speak TLS
    https_as = "https"
    user = "nobody"
    folders = ()
    is_floor = False

    def found(self):
        """The program, or None."""
        return shutil.which(self.program, path=os.environ.get("PATH", "") + SYSTEM_PATHS)

    def version(self):
        return ""

    def command(self, run, profile, directory, port):
        raise NotImplementedError

    def files(self):
        """Templates of its configuration."""
        return []


def configure(template, values, words, to):
    """The lines of a template that this run has, with its values."""
    lines = []
    for line in template.read_text(encoding="utf-8").splitlines():
        marks = re.match(r"(\s*)((?:\[\w+\] )*)(.*)", line)
        if set(re.findall(r"\[(\w+)\] ", marks[2])) <= words:
            lines.append(marks[1] + marks[3])
    text = "\n".join(lines) + "\n"
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    left = re.search(r"@[A-Z]+@", text)
    if left:
        raise Failed(f"{template.name}: no value for {left[0]}")
    to.write_text(text, encoding="utf-8")


def as_user(name):
    """What a peer that refuses to be root runs under, where we are root."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def first_line(pattern, *command):
    done = subprocess.run(command, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    found = re.search(pattern, done.stdout)
    return found[1] if found else ""


# ---- floors and ours ----------------------------------------------------------------------------

class Limit(Server):
    name, title, form, is_floor = "limit", "constant answer", "absolute", True

    def found(self):
        return "build/bench/limit"

    def command(self, run, profile, directory, port):
        return [self.found(), str(port), *(["close"] if profile.use == "close" else [])]


class Relay(Server):
    # It looks at nothing, so what comes is what the origin has to understand.
    name, title, form, is_floor = "relay", "relay that does not look", "origin", True

    def found(self):
        return "build/bench/relay"

    def command(self, run, profile, directory, port):
        return [self.found(), str(port), str(run.origin.port), *(["tunnel"] if profile.use == "connect" else [])]


class Cache204(Server):
    name = title = "cache204"
    can = frozenset(["connect", "tls_origin", "log", "workers", "herd"])

    def __init__(self, binary, options):
        self.program, self.options = binary, options
        shown = subprocess.run([binary, "--help"], text=True, check=False, capture_output=True).stdout
        if "tls_certificate" in shown:
            self.can = self.can | {"tls_clients"}

    def version(self):
        return first_line(r"cache204 (\S+)", self.program, "--version")

    def command(self, run, profile, directory, port):
        tls = "tls:" if profile.tls_clients else ""
        store, size = run.stores.get(profile.store, (directory / "store", "256MiB"))
        options = [f"listen={tls}127.0.0.1:{port}", f"admin=127.0.0.1:{machine.free_port()}",
                   f"store={store}", f"store_size={size}", f"workers={profile.workers}", "connect_ports=*",
                   f"access_log={directory / 'access.log' if profile.log else ''}",
                   "clients_max=19000", "clients_per_address=19000", "client_requests=1000000000"]
        if profile.tls_clients:
            options += [f"tls_certificate={run.tls.certificate}", f"tls_key={run.tls.key}"]
        if profile.tls_origin:
            options += [f"tls_ca_file={run.tls.authority}"]
        return [self.program, *(part for option in options for part in ("-o", option)), *self.options]


# ---- peers --------------------------------------------------------------------------------------

class Nginx(Server):
    name = title = package = program = "nginx"
    can = frozenset(["tls_origin", "tls_clients", "log", "workers", "herd"])

    def version(self):
        return first_line(r"nginx/(\S+)", self.found(), "-v")

    def files(self):
        return ["nginx.conf"]

    def command(self, run, profile, directory, port):
        return [self.found(), "-p", directory, "-e", directory / "error.log", "-c", directory / "nginx.conf"]


class Squid(Server):
    name = package = program = "squid"
    title = "Squid"
    user = "proxy"  # its workers meet in /run/squid
    can = frozenset(["connect", "tls_origin", "tls_clients", "log", "workers", "herd"])

    def version(self):
        return first_line(r"Version (\S+)", self.found(), "-v")

    def files(self):
        return ["squid.conf"]

    def command(self, run, profile, directory, port):
        # one process, or a master with its workers in the foreground
        mode = ["-N"] if profile.workers == 1 else ["--foreground"]
        return [*as_user(self.user), self.found(), *mode, "-n", f"bench{port}", "-f", directory / "squid.conf"]


class Varnish(Server):
    name = package = "varnish"
    title, program = "Varnish", "varnishd"
    can = frozenset(["herd"])

    # Threads for all connections in one pool, as there is one core; nothing is written into the log in
    # shared memory that others have switched off, too.
    PARAMETERS = ["thread_pools=1", "thread_pool_min=200", "thread_pool_max=20000", "listen_depth=4096",
                  "timeout_idle=3600", "backend_idle_timeout=3600", "nuke_limit=1000",
                  "vsl_mask=-Debug,-Hash,-ReqHeader,-ReqMethod,-ReqURL,-ReqProtocol,-RespHeader,-RespStatus,"
                  "-RespReason,-RespProtocol,-BereqHeader,-BerespHeader,-ObjHeader,-VCL_call,-VCL_return,"
                  "-Timestamp,-Begin,-End,-Link,-SessOpen,-SessClose,-ReqStart,-ReqAcct,-Hit,-Length,-TTL"]

    def version(self):
        return first_line(r"varnish-(\S+)", self.found(), "-V")

    def files(self):
        return ["varnish.vcl"]

    def command(self, run, profile, directory, port):
        parameters = [part for parameter in self.PARAMETERS for part in ("-p", parameter)]
        return [self.found(), "-F", "-j", "none", "-n", directory / "run", "-a", f"127.0.0.1:{port}",
                "-s", "malloc,1g", "-f", directory / "varnish.vcl", *parameters]


class TrafficServer(Server):
    name = package = "trafficserver"
    title, program = "Traffic Server", "traffic_server"
    # It takes no https URI from a plain connection, nor http from TLS: remap.config makes one of the other.
    https_as, tls_form = "http", "origin"
    can = frozenset(["connect", "tls_origin", "tls_clients", "log", "workers", "herd"])

    def version(self):
        return first_line(r"Traffic Server (\d\S+)", self.found(), "--version")

    def files(self):
        return [f"trafficserver/{name}" for name in (
            "records.config", "storage.config", "ip_allow.yaml", "runroot.yaml", "ssl_multicert.config",
            "logging.yaml", "remap.config")]

    def command(self, run, profile, directory, port):
        return [*as_user(self.user), self.found(), f"--run-root={directory / 'runroot.yaml'}"]


class Httpd(Server):
    name, title, package, program = "apache2", "httpd", "apache2", "apache2"
    form = "origin"  # what it has in absolute form, its cache for paths takes no part in
    folders = ("cache.disk",)
    can = frozenset(["connect", "tls_origin", "tls_clients", "log", "workers", "herd"])

    def version(self):
        return first_line(r"Apache/(\S+)", self.found(), "-v")

    def files(self):
        return ["httpd.conf"]

    def command(self, run, profile, directory, port):
        return [self.found(), "-d", directory, "-f", directory / "httpd.conf", "-DFOREGROUND"]


def every(binary, options):
    return [Limit(), Relay(), Cache204(binary, options), Nginx(), Squid(), Varnish(), TrafficServer(), Httpd()]


# ---- one that runs ------------------------------------------------------------------------------

class Running:
    """A server that was started, until stop()."""

    def __init__(self, run, server, profile):
        self.run, self.server, self.profile = run, server, profile
        self.port = machine.free_port()
        self.directory = run.new_directory(f"{server.name}-{self.port}")
        self.output = self.directory / "output"
        self.prepare()
        self.command = [*run.under, *map(str, server.command(run, profile, self.directory, self.port))]
        self.warm_for = set()  # loads of which all that is asked for is stored
        self.purges = False
        self.process = machine.start(self.command, run.server_cores, self.output)
        run.started.append(self)
        self.wait()

    def prepare(self):
        origin = self.run.tls_origin if self.profile.tls_origin else self.run.origin
        values = {"PORT": self.port, "ORIGIN": origin.port, "DIRECTORY": self.directory,
                  "USER": "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody"),
                  "GROUP": "root" if os.geteuid() == 0 else os.environ.get("USER", "nogroup"),
                  "WORKERS": self.profile.workers, "THREADS": 256 * self.profile.workers,
                  "MODULES": MODULES, "CERTIFICATE": self.run.tls.certificate, "KEY": self.directory / "key.pem",
                  "AUTHORITY": self.run.tls.authority}
        if self.server.name == "apache2" and os.geteuid() == 0:  # it refuses to serve as root
            values.update(USER="nobody", GROUP="nogroup")
        for name in self.server.files():
            to = self.directory / pathlib.PurePath(name).name
            configure(PEERS / name, values, self.profile.words(), to)
        for name in self.server.folders:
            (self.directory / name).mkdir()
        if self.server.files():  # a copy of the key, that its user may read and no other
            shutil.copy(self.run.tls.key, values["KEY"])
        if self.server.files() and os.geteuid() == 0:
            user = pwd.getpwnam(self.server.user)
            for path in [self.directory, *self.directory.iterdir()]:
                os.chown(path, user.pw_uid, user.pw_gid)

    def wait(self):
        end = time.monotonic() + START_S
        while not machine.is_open(self.port):
            if self.process.poll() is not None or time.monotonic() > end:
                said = self.output.read_text(errors="replace").strip().splitlines()[-3:]
                self.stop()
                raise Failed(f"{self.server.name} did not start: {' / '.join(said) or 'it says nothing'}")
            time.sleep(0.02)
        machine.pin(self.process.pid, self.run.server_cores)

    def restart(self, killed):
        """Ended, in good order or not, and started again; it may not listen yet."""
        if killed:
            pids = machine.tree(self.process.pid)
            machine.kill(pids)
            machine.until_ended(pids)
        machine.stop(self.process)
        self.process = machine.start(self.command, self.run.server_cores, self.output)

    # Of cache204 alone

    def admin(self, *path_and_more):
        """What an operator's page answers."""
        address = next(word[len("admin="):] for word in self.command if word.startswith("admin="))
        path, *more = path_and_more
        done = subprocess.run(["curl", "-sf", "-m", "10", "--noproxy", "*", *more, f"http://{address}{path}"], text=True,
                              check=False, capture_output=True)
        if done.returncode != 0:
            raise Failed(f"{path} is not answered (curl: {done.returncode})")
        return done.stdout

    def begin_purge(self):
        if not self.purges:
            self.admin("/purge", "-X", "POST")
        self.purges = True

    def stored(self):
        """Records in its store."""
        return int(re.search(r"^cache204_store_entries (\d+)", self.admin("/metrics"), re.M)[1])

    def stop(self):
        if self in self.run.started:
            self.run.started.remove(self)
            machine.stop(self.process)
            shutil.rmtree(self.directory, ignore_errors=True)
