"""Usage: ipv6_only.py BINARY DIRECTORY

Run on a machine that has IPv6 addresses alone, 2001:db8::1 among them: an origin, a name server, the proxy,
and what it answers for each host, as JSON on stdout. What the proxy says with its defaults is there, too.
"""

import http.client
import http.server
import json
import pathlib
import re
import socket
import subprocess
import sys
import threading

from support.nameserver import NameServer

HOSTS = ["[::1]", "localhost", "[2001:db8::1]", "six.test", "both.test", "four.test", "127.0.0.1"]


class Origin(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(204)
        self.send_header("Cache-Control", "max-age=60")
        self.end_headers()

    def log_message(self, *_):
        pass


def ask(port, host, origin_port):
    connection = http.client.HTTPConnection("::1", port, timeout=10)
    connection.request("GET", f"http://{host}:{origin_port}/x")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return [answer.status, answer.headers["Cache-Status"], answer.headers["Proxy-Status"]]


def main(binary, directory):
    origin = Origin(("::", 0), Answer)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    names = NameServer({"six.test": ["2001:db8::1"], "both.test": ["9.9.9.9", "2001:db8::1"],
                        "four.test": ["9.9.9.9"]}, host="::1")
    hosts = pathlib.Path(directory, "hosts")
    hosts.write_text("127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
    with_defaults = subprocess.run([binary, "-o", f"store={directory}/defaults"], capture_output=True, text=True,
                                   timeout=10)
    proxy = subprocess.Popen([binary, "-o", "listen=[::1]:0", "-o", "admin=[::1]:0", "-o", f"store={directory}/store",
                              "-o", f"resolvers={names.address}", "-o", "allow=2001:db8::/32",
                              "-o", f"hosts_file={hosts}"],
                             stdout=subprocess.PIPE, text=True)
    port = None
    for line in proxy.stdout:
        if match := re.match(r"export http_proxy=http://\[::1\]:(\d+) ", line):
            port = int(match[1])
        if line.endswith(" ready\n"):
            break
    twice = {host: [ask(port, host, origin.server_address[1]) for _ in range(2)] for host in HOSTS}
    proxy.terminate()
    print(json.dumps({"answers": twice, "exit": proxy.wait(), "defaults": with_defaults.stderr}))


if __name__ == "__main__":
    main(*sys.argv[1:])
