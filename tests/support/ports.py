"""Ports that nothing listens on."""

import itertools
import os
import pathlib
import socket

FIRST, ALONGSIDE = 20000, 16
RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
# each process of a run has ports of its own
own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % ALONGSIDE
attempts = itertools.count(os.getpid() * 61)


def is_free(port):
    """Free at every address, of which a test may listen on another one later."""
    both = socket.has_dualstack_ipv6()
    try:
        socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both).close()
        return True
    except OSError:
        return False


def free_port():
    """Below the ports that the kernel gives to whoever asks for any, so that nothing takes it meanwhile."""
    end = int(RANGE.read_text().split()[0])
    for attempt in attempts:
        port = FIRST + attempt % ((end - FIRST) // ALONGSIDE) * ALONGSIDE + own
        if is_free(port):
            return port
