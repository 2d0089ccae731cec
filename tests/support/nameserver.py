"""A scripted DNS server on UDP: names to addresses, the rest does not exist, some stay unanswered."""

import socket
import struct
import threading

A, AAAA = 1, 28
NXDOMAIN, SERVFAIL = 3, 2


class NameServer:
    """answers: {name: [IPv4 addresses], or a response code, or None for silence}."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                query, peer = self.sock.recvfrom(4096)
            except OSError:
                return
            if query and (answer := self.answer(query)):
                self.sock.sendto(answer, peer)

    def answer(self, query):
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1:at + 1 + length].decode("latin-1"))
            at += 1 + length
        name = ".".join(labels).lower()
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        question = query[12:at + 5]
        self.asked.append((name, kind))
        found = self.answers.get(name, NXDOMAIN)
        if found is None:
            return None
        code = found if isinstance(found, int) else 0
        addresses = found if isinstance(found, list) and kind == A else []
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(addresses), 0, 0)
        records = b"".join(struct.pack("!HHHIH", 0xc00c, A, 1, 60, 4) + socket.inet_aton(address)
                           for address in addresses)
        return head + question + records

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
