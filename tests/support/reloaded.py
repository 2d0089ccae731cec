"""A proxy whose configuration or program is exchanged while clients ask it."""

import contextlib
import json
import threading

from support.origin import respond
from support.proxy import BINARY, Proxy
from support.rawclient import Client
from support.until import until

FRESH = "Cache-Control: max-age=600"
PAGES = 7  # that each client of Load asks for in turn


EVENTS = [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", b"data: 1\n\n"]  # a stream begins


def begin_stream(client, origin):
    """Ask for /stream, up to its first event."""
    client.request("GET", origin.url("/stream"))
    read_until(client, b"data: 1")


def begin_tunnel(client, origin):
    client.send(f"CONNECT {origin.authority} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n".encode())
    read_until(client, b"\r\n\r\n")


@contextlib.contextmanager
def starter(kind, directory):
    """A function that starts proxies, each a `kind` with options of its own; all end with this."""
    with contextlib.ExitStack() as stack:
        def start(**options):
            started = kind(directory, **options)
            stack.callback(started.proxy.kill)
            return started
        yield start


def read_until(client, end):
    """Raw bytes, however they are framed."""
    data = client.stream.buffered()
    while end not in data:
        data += client.sock.recv(65536)
    return data


class Reloaded:
    """A proxy of a configuration file, which is written anew."""

    def __init__(self, directory, binary=BINARY, wrapper=(), **options):
        self.proxy = Proxy(directory, start=False)
        self.proxy.binary, self.proxy.wrapper = str(binary), list(wrapper)
        self.file = directory / "cache204.conf"
        self.options = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "store": self.proxy.store,
                        "access_log": self.proxy.access_log, "store_size": "16MiB", **options}
        self.write()
        self.proxy.options, self.proxy.arguments = [], ["-c", str(self.file)]
        self.proxy.start()

    def write(self, **options):
        self.options.update(options)
        text = [f"{name} = {self.spell(value)}\n" for name, value in self.options.items() if value is not None]
        self.file.write_text("".join(text), encoding="utf-8")

    @staticmethod
    def spell(value):
        if isinstance(value, (list, tuple)):
            return "{" + ", ".join(f'"{member}"' for member in value) + "}"
        return f'"{value}"'

    def stop(self):
        self.proxy.stop()
        assert "Sanitizer" not in self.proxy.errors()

    def result(self, what="reload"):
        return json.loads(self.proxy.admin(f"/{what}").body)

    def ask(self, what):
        """Ask for a reload or an upgrade, and wait for its end: the result."""
        asked = json.loads(self.proxy.admin(f"/{what}", "POST").body)["asked"]
        until(lambda: self.answered(what) >= asked, f"the {what} ends", timeout=60)
        return self.result(what)

    def answered(self, what):
        return self.result(what)["answered"]

    def reload(self, **options):
        """Write options anew and reload, to the end of it: the result."""
        self.write(**options)
        return self.ask("reload")


class Load:
    """Clients that ask again and again, each with a connection for every third request, and look
    whether each answer is the one to its question."""

    def __init__(self, proxy, origin, clients=6):
        self.proxy, self.origin = proxy, origin
        self.end = threading.Event()
        self.failures, self.answers = [], 0
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(clients)]
        for n in range(clients):
            for page in range(PAGES):
                origin.on(f"/{n}-{page}", respond(204, FRESH, f'ETag: "{n}-{page}"'))

    def run(self, number):
        asked = 0
        while not self.end.is_set():
            try:
                with Client(self.proxy.port) as client:
                    for _ in range(3):
                        asked += 1
                        page = f"{number}-{asked % PAGES}"
                        answer = client.get(self.origin.url(f"/{page}"))
                        assert answer.status == 204 and answer["ETag"] == f'"{page}"', (page, answer)
                        self.answers += 1
                        if answer["Connection"] == "close":
                            break
            except Exception as failure:  # whatever it is, it is for the one who waits
                self.failures.append(repr(failure))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join()
