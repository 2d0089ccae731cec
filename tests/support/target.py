"""A TCP server that the far end of a tunnel may be: no HTTP, a thread a connection."""

import socket
import struct
import threading

WAIT = 5.0


class Target:
    """serve(connection) is run in a thread for each connection; by default it echoes until FIN."""

    def __init__(self, serve=None, host="127.0.0.1"):
        self.serve = serve or self.echo
        self.connections = []
        self.changed = threading.Condition()
        self.listener = socket.create_server((host, 0), backlog=64)
        self.host, self.port = self.listener.getsockname()[:2]
        self.authority = f"{self.host}:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(WAIT)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                self.connections.append(connection)
                self.changed.notify_all()
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        try:
            self.serve(connection)
        except OSError:
            pass

    def wait_connections(self, n):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.connections) >= n, WAIT), \
                f"{len(self.connections)} connections instead of {n}"
        return self.connections

    @staticmethod
    def echo(connection):
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    @staticmethod
    def silent(_connection):
        """Left to the test."""

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for connection in self.connections:
            connection.close()


def reset(sock):
    """Leave with an RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def connect_bytes(authority, *fields):
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def open_tunnel(client, authority, *fields):
    """CONNECT; what follows the 200 stays to be read by client.stream."""
    client.send(connect_bytes(authority, *fields))
    answer = client.message("CONNECT")
    assert answer.status == 200, answer
    return answer


def until(condition, what, timeout=WAIT):
    """Ask again and again; for what nothing tells."""
    pause = threading.Event()
    for _ in range(int(timeout / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError(what() if callable(what) else what)
