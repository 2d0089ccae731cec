"""Ports that nothing listens on."""

import itertools
import os
import pathlib
import socket

FIRST = 20000
RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
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
        port = FIRST + attempt % max(end - FIRST, 1000)
        if is_free(port):
            return port
