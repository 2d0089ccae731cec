"""Many records, and a client that asks for one of them all the time."""

import threading

from support.rawclient import request_bytes
from support.until import until


def fill(proxy, origin, count, batch=100):
    """Many records in the store, of requests sent ahead."""
    with proxy.connect() as client:
        for first in range(0, count, batch):
            numbers = range(first, min(first + batch, count))
            client.send(b"".join(request_bytes("GET", origin.url(f"/{n}")) for n in numbers))
            for _ in numbers:
                assert client.response().status == 204
    until(lambda: proxy.stats()["store"]["entries"] >= count, f"{count} entries in the store")


class Hits(threading.Thread):
    """Asks for one record again and again, until told to stop. Each answer is a hit with these fields."""

    def __init__(self, proxy, url, **fields):
        super().__init__(daemon=True)
        self.client = proxy.connect()
        self.url, self.fields = url, {name.replace("_", "-"): value for name, value in fields.items()}
        self.count, self.wrong, self.go_on = 0, [], True

    def run(self):
        while self.go_on and not self.wrong:
            answer = self.client.get(self.url)
            if not answer.hit or any(answer[name] != value for name, value in self.fields.items()):
                self.wrong.append(answer)
            self.count += 1

    def stop(self):
        self.go_on = False
        self.join()
        self.client.close()
        assert not self.wrong, self.wrong
