"""A scripted DNS server on UDP: names to addresses, the rest does not exist, some stay unanswered."""

import socket
import struct
import threading

A, AAAA = 1, 28
NXDOMAIN, SERVFAIL = 3, 2


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


class NameServer:
    """answers: {name: [addresses], or a response code, or None for silence}."""

    def __init__(self, answers, host="127.0.0.1"):
        self.answers = answers
        self.asked = []
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.address = (f"[{host}]:%d" if ":" in host else f"{host}:%d") % self.sock.getsockname()[1]
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
        addresses = [packed(address) for address in found
                     if kind == (AAAA if ":" in address else A)] if isinstance(found, list) else []
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(addresses), 0, 0)
        records = b"".join(struct.pack("!HHHIH", 0xc00c, kind, 1, 60, len(address)) + address
                           for address in addresses)
        return head + question + records

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
