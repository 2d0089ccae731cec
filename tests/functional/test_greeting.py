"""What is printed at the start: addresses that work when pasted, the store, and what to beware of."""

import re
import socket

import pytest

from support.rawclient import Client


def urls(proxy):
    return re.findall(r"http://(\[[^\]]+\]|[^:/ ]+):(\d+)", "\n".join(proxy.output))


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def check_urls(proxy, expected):
    """Each address is one to connect to, and no wildcard is among them."""
    found = urls(proxy)
    assert len(found) >= expected, proxy.output
    for host, port in found:
        assert host not in ("0.0.0.0", "[::]"), proxy.output
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()


def test_a_wildcard_is_printed_as_an_address_that_works(start_proxy):
    proxy = start_proxy("listen=0.0.0.0:0", "admin=0.0.0.0:0", "gateway=0.0.0.0:0=http://example.com")
    text = "\n".join(proxy.output)
    assert re.search(r"^export http_proxy=http://127\.0\.0\.1:\d+ ", text, re.M), text
    assert re.search(r"^stats: http://127\.0\.0\.1:\d+/stats$", text, re.M), text
    assert re.search(r"^gateway: http://127\.0\.0\.1:\d+ -> http://example\.com$", text, re.M), text
    check_urls(proxy, 4)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_a_wildcard_of_ipv6(start_proxy):
    proxy = start_proxy("listen=127.0.0.1:0,[::]:0")
    assert re.search(r"^export http_proxy=http://\[::1\]:\d+ ", "\n".join(proxy.output), re.M), proxy.output
    check_urls(proxy, 3)


def test_an_address_is_printed_as_it_is(proxy):
    assert not [line for line in proxy.output if "other machines" in line]
    check_urls(proxy, 2)


def test_the_store_is_named(proxy):
    assert f"store: {proxy.store}" in proxy.output
    assert proxy.output[-1].endswith(" ready")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_admin_address_for_others_is_logged_once(start_proxy, workers):
    proxy = start_proxy(f"workers={workers}", "admin=0.0.0.0:0")
    lines = [line for line in proxy.errors().splitlines() if "no token" in line]
    assert len(lines) == 1 and f"0.0.0.0:{proxy.admin_port}" in lines[0], proxy.errors()


def test_an_admin_address_of_this_machine_is_not(proxy):
    assert "no login" not in proxy.errors()


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0.0.0.0:0"])
def test_the_printed_addresses_through_the_proxy_say_what_to_do(start_proxy, listen):
    """`export http_proxy`, then the printed URL of the statistics: what a newcomer does first."""
    proxy = start_proxy(f"listen={listen}", f"admin={listen}", "connect_ports=*")
    with proxy.connect() as client:
        for host, port in urls(proxy):
            answer = client.get(f"http://{host}:{port}/stats")
            assert answer.status == 508, (host, port)
            assert b"This is the proxy's own address: use --noproxy" in answer.body, answer.body
            assert b"has been here before" not in answer.body
            assert "error=proxy_loop_detected" in answer["Proxy-Status"]
    assert proxy.stats()["failures"]["own_address"] == len(urls(proxy))
    assert proxy.stats()["failures"]["loop"] == 0
    with Client(proxy.port) as client:
        client.send(f"CONNECT 127.0.0.1:{proxy.admin_port} HTTP/1.1\r\nHost: 127.0.0.1:{proxy.admin_port}\r\n\r\n".encode())
        assert b"own address" in client.response("CONNECT").body


def test_a_request_that_was_here_is_recognised(proxy, client):
    answer = client.get("http://example.com/", f"Via: 1.1 {proxy.instance}")
    assert answer.status == 508
    assert b"has been here before" in answer.body and b"own address" not in answer.body
