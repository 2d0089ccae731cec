"""Where requests may go: judged by the address that is connected to, however it was spelt."""

import json
import shutil
import subprocess

import pytest

from support.nameserver import NameServer
from support.origin import respond
from support.proxy import BINARY
from support.target import connect_bytes

# By default nobody's: link-local and metadata, multicast, broadcast, unspecified, reserved.
NEVER = ["169.254.169.254", "169.254.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250", "240.0.0.1",
         "255.255.255.255", "192.0.2.1", "198.51.100.7", "203.0.113.9",
         "[fe80::1]", "[fd00:ec2::254]", "[::]", "[ff02::1]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]",
         "[64:ff9b::169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "[::ffff:0.0.0.0]",
         "[2001:db8::1]"]

# Spellings of one address that inet_aton() knows, and nobody should.
ODD = {
    "127.0.0.1": ["2130706433", "0x7f000001", "0x7F.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1",
                  "127.0.0.01", "0x7f.1", "127.0.0.1.", "127.000.000.001", "127.0.0.0x1", "4294967296"],
    "169.254.169.254": ["2852039166", "0xa9fea9fe", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "169.254.43518",
                        "169.16689662", "025177524776"],
    "a name": ["1.2.3", "example.80", "localhost.0x7f"],
}


@pytest.fixture(scope="module")
def names():
    server = NameServer({
        "home.test": ["127.0.0.1"], "metadata.test": ["169.254.169.254"], "any.test": ["0.0.0.0"],
        "multicast.test": ["224.0.0.1"], "both.test": ["169.254.169.254", "127.0.0.1"],
        "blocked.test": ["127.0.0.1"], "sub.blocked.test": ["127.0.0.1"], "other.test": ["127.0.0.1"],
        "private.test": ["10.0.0.1"], "second.test": ["127.0.0.2"]})
    yield server
    server.close()


@pytest.fixture
def start(start_proxy, names):
    def start(*options):
        return start_proxy(f"resolvers={names.address}", "hosts_file=", "connect_ports=*",
                           "connect_timeout=300ms", *options)
    return start


def ask_both(proxy, host, port):
    """The statuses of a GET and a CONNECT, and that the connection is closed after either."""
    found, before = [], getattr(proxy, "before", b"")
    for data, method in ((f"GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode(), "GET"),
                         (connect_bytes(f"{host}:{port}"), "CONNECT")):
        with proxy.connect() as client:
            client.send(before + data)
            answer = client.response(method)
            found.append((answer.status, (answer["Proxy-Status"] or "").partition("error=")[2].partition(";")[0]))
    return found


DENIED = [(403, "destination_ip_prohibited")] * 2
LOOP = [(508, "proxy_loop_detected")] * 2


def test_reserved_addresses_are_refused(start):
    proxy = start()
    for host in NEVER:
        expected = LOOP if host in ("0.0.0.0", "[::]", "[::ffff:0.0.0.0]") else DENIED
        for port in (80, 443):
            if expected is DENIED:
                assert ask_both(proxy, host, port) == DENIED, (host, port)
    assert proxy.stats()["counters"]["origin_connections"] == 0


@pytest.mark.parametrize("which", ODD)
def test_odd_spellings_lead_nowhere(start, names, origin, which):
    proxy = start()
    names.asked.clear()
    for host in ODD[which]:
        assert ask_both(proxy, host, origin.port) == [(400, "http_request_error")] * 2, host
    assert not names.asked
    assert not origin.connections
    assert proxy.stats()["counters"]["origin_connections"] == 0


def test_names_that_lead_there(start, names):
    proxy = start()
    for name in ("metadata.test", "any.test", "multicast.test", "METADATA.TEST"):
        assert ask_both(proxy, name, 80) == DENIED, name
    assert proxy.stats()["counters"]["origin_connections"] == 0
    assert ("metadata.test", 1) in names.asked


def test_the_other_address_of_a_name_is_used(start, origin):
    with start("allow=127.0.0.1").connect() as client:
        assert client.get(f"http://both.test:{origin.port}/").status == 204


OWN = ["127.0.0.1", "localhost", "LOCALHOST", "x.localhost", "home.test", "0.0.0.0", "[::ffff:127.0.0.1]",
       "[::ffff:7f00:1]", "[::]", "[64:ff9b::7f00:1]", "any.test"]


@pytest.mark.parametrize("listener", ["listen", "admin"])
def test_own_listeners_are_never_reached(start, listener):
    """Not even when they are allowed."""
    for options in ((), ("allow=127.0.0.0/8,localhost,home.test,0.0.0.0/8,::/0",)):
        proxy = start(*options)
        port = proxy.port if listener == "listen" else proxy.admin_port
        for host in OWN:
            assert ask_both(proxy, host, port) == LOOP, host
        assert proxy.stats()["counters"]["client_connections"] == 2 * len(OWN)


def test_own_listeners_by_any_address_of_the_machine(start_proxy):
    proxy = start_proxy("listen=127.0.0.1:0,0.0.0.0:0,[::1]:0", "admin=127.0.0.1:0,0.0.0.0:0", "connect_ports=*",
                        "allow=0.0.0.0/0,::/0")
    ports = [int(line.rpartition(":")[2].partition("/")[0]) for line in proxy.output
             if line.startswith(("export", "stats:"))]
    assert len(ports) == 5
    for port, hosts in ((ports[1], ["127.0.0.1", "127.0.0.2", "127.9.9.9", "0.0.0.0", "[::ffff:127.0.0.1]"]),
                        (ports[4], ["127.0.0.1", "127.0.0.2", "0.0.0.0"]),
                        (ports[2], ["[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "ip6-localhost"])):
        for host in hosts:
            if host == "ip6-localhost":
                continue  # as the hosts file of the machine has it
            assert ask_both(proxy, host, port) == LOOP, (host, port)


@pytest.mark.parametrize("options", [(), ("clients=127.0.0.0/8", "listen=127.0.0.1:0,0.0.0.0:0")],
                         ids=["listening on loopback", "clients on loopback"])
def test_loopback_is_reached_where_only_this_machine_may_be_a_client(start, origin, options):
    with start(*options).connect() as client:
        for host in ("127.0.0.1", "localhost", "x.localhost"):
            assert client.get(f"http://{host}:{origin.port}/").status == 204


def test_name_that_the_dns_leads_here(start, origin, tmp_path):
    """A page's own name may be pointed here once it is loaded; localhost and the hosts file are our own."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 dev.test\n")
    for options in ((), ("dns_private=pass",), ("dns_private=refuse",), ("clients=127.0.0.0/8",)):
        proxy = start(*options, f"hosts_file={hosts}")
        for host in ("home.test", "HOME.test", "both.test"):
            assert ask_both(proxy, host, origin.port) == DENIED, (host, options)
        assert not origin.connections
        with proxy.connect() as client:
            for host in ("dev.test", "DEV.test", "localhost", "x.localhost", "127.0.0.1"):
                assert client.get(f"http://{host}:{origin.port}/").status == 204, (host, options)
        origin.connections.clear()


def test_private_name_of_the_dns(start):
    """Asked for, and found closed or unreachable, or refused by option."""
    for options, denied in (((), False), (("dns_private=refuse",), True),
                            (("dns_private=refuse", "allow=private.test"), False),
                            (("dns_private=refuse", "allow=10.0.0.0/8"), False)):
        found = ask_both(start(*options), "private.test", 2)
        assert (found == DENIED) == denied, options
        assert (403 in dict(found)) == denied, options


@pytest.mark.parametrize("options", [
    ("proxy_protocol_from=127.0.0.1", "clients=203.0.113.0/24,127.0.0.1"), ("proxy_protocol_from=192.0.2.1",),
    ("clients=127.0.0.0/8,203.0.113.0/24",), ("listen=127.0.0.1:0,0.0.0.0:0",)],
    ids=["balancer here", "balancer elsewhere", "wider clients", "listening for others"])
def test_loopback_and_private_networks_are_not_reached_where_others_may_be_clients(start, origin, options):
    proxy = start(*options)
    if options[0].endswith("=127.0.0.1"):
        proxy.before = b"PROXY TCP4 203.0.113.9 192.0.2.1 1234 3128\r\n"
    for host in ("127.0.0.1", "localhost", "home.test", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1",
                 "172.16.0.1", "192.168.0.1", "100.64.0.1", "[fd00::1]", "[::ffff:10.0.0.1]", "private.test",
                 "[64:ff9b::a00:1]"):
        assert ask_both(proxy, host, origin.port) == DENIED, host
    assert not origin.connections


def test_allow_gives_back(start, origin):
    proxy = start("listen=127.0.0.1:0,0.0.0.0:0", "allow=127.0.0.1,second.test")
    with proxy.connect() as client:
        for host in ("127.0.0.1", "localhost", "home.test"):
            assert client.get(f"http://{host}:{origin.port}/").status == 204
    assert ask_both(proxy, "127.0.0.2", origin.port) == DENIED
    assert ask_both(proxy, "second.test", origin.port) == [(502, "connection_refused")] * 2


def test_deny_by_name(start, origin):
    proxy = start("deny=blocked.test,.other.test", "allow=127.0.0.1")
    for host in ("blocked.test", "BLOCKED.test", "x.other.test", "other.test"):
        assert ask_both(proxy, host, origin.port) == DENIED, host
    with proxy.connect() as client:
        assert client.get(f"http://sub.blocked.test:{origin.port}/").status == 204
    assert len(origin.connections) == 1


def test_deny_by_network_holds_for_names(start, origin):
    proxy = start("deny=127.0.0.0/8")
    for host in ("127.0.0.1", "home.test", "localhost", "[::ffff:127.0.0.1]"):
        assert ask_both(proxy, host, origin.port) == DENIED, host
    assert not origin.connections


def test_denied_destination_is_not_served_from_the_store(start, origin):
    origin.default = respond(204, "Cache-Control: max-age=3600")
    proxy = start("allow=127.0.0.1")
    with proxy.connect() as client:
        assert client.get(f"http://blocked.test:{origin.port}/").stored
    proxy.options.append("deny=blocked.test")
    proxy.restart()
    with proxy.connect() as client:
        assert client.get(f"http://blocked.test:{origin.port}/").status == 403


def test_userinfo_does_not_hide_the_host(start, origin):
    proxy = start()
    for target in (f"http://home.test@169.254.169.254:{origin.port}/", f"http://169.254.169.254@127.0.0.1:{origin.port}/",
                   f"http://127.0.0.1:{origin.port}\\@169.254.169.254/", f"http://127.0.0.1:{origin.port}#@169.254.169.254/"):
        with proxy.connect() as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert client.response().status == 400, target
    assert not origin.connections


def test_host_field_does_not_choose_the_destination(start, origin):
    with start().connect() as client:
        client.send(f"GET {origin.url()} HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n".encode())
        assert client.response().status == 204
        client.send(b"GET http://169.254.169.254/ HTTP/1.1\r\nHost: " + origin.authority.encode() + b"\r\n\r\n")
        assert client.response().status == 403


@pytest.mark.parametrize("url", ["http://127.0.0.1:25/", "https://127.0.0.1:25/", "http://127.0.0.1:6667/x",
                                 "http://mail.test:110/"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_ports_of_other_protocols(connect, method, url):
    answer = connect().ask(method, url, body=b"RCPT TO:<a@b>\r\n" if method == "POST" else None)
    assert answer.status == 403 and "error=http_request_denied" in answer["Proxy-Status"]
    assert b"port" in answer.body


def test_port_that_is_allowed(start_proxy):
    """Whether anything is there is another matter."""
    with start_proxy("allow_ports=25", "deny=127.0.0.0/8").connect() as client:
        answer = client.get("http://127.0.0.1:25/")
        assert "error=destination_ip_prohibited" in answer["Proxy-Status"]
    with start_proxy("allow_ports=25", "deny=127.0.0.0/8").connect() as client:
        assert "error=http_request_denied" in client.get("http://127.0.0.1:110/")["Proxy-Status"]


NAMESPACE = ["unshare", "-rn", "--"] if shutil.which("unshare") and shutil.which("ip") and shutil.which("nsenter") and \
    subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode == 0 else None


@pytest.mark.skipif(not NAMESPACE, reason="no network of one's own to be had")
def test_an_address_that_the_machine_gets_later(tmp_path):
    """A listener on all addresses has it, too. Everything is done in a network of its own."""
    script = tmp_path / "script"
    script.write_text(f"""set -e
ip link set lo up
{BINARY} -o listen=0.0.0.0:3128 -o admin= -o store={tmp_path}/store -o store_size=1MiB -o connect_ports='*' \\
    -o allow=10.99.0.0/16 -o hosts_file= &
pid=$!
trap 'kill $pid' EXIT
until ip -o addr show >/dev/null && (echo >/dev/tcp/127.0.0.1/3128) 2>/dev/null; do :; done
ip addr add 10.99.0.1/32 dev lo
for method in GET CONNECT; do
    target=10.99.0.1:3128; [ $method = CONNECT ] || target=http://$target/
    exec 3<>/dev/tcp/127.0.0.1/3128
    printf '%s %s HTTP/1.1\\r\\nHost: 10.99.0.1:3128\\r\\nConnection: close\\r\\n\\r\\n' $method $target >&3
    head -n 1 <&3
done
""")
    result = subprocess.run([*NAMESPACE, "bash", str(script)], check=False, capture_output=True, text=True, timeout=30)
    assert result.stdout.count("HTTP/1.1 508 ") == 2, result


def test_a_refusal_names_its_rule_and_the_option(start_proxy):
    """Likely the first answer that somebody gets who serves a network: body and log say what to do."""
    proxy = start_proxy("listen=127.0.0.1:0,0.0.0.0:0", "deny=example.com")
    for host, kind, words in (("10.1.2.3", "denied_private", ("private address", "see the option allow")),
                              ("169.254.169.254", "denied_reserved", ("link-local", "see the option allow")),
                              ("example.com", "denied_destination", ("option deny",))):
        with proxy.connect() as client:
            answer = client.get(f"http://{host}/path?secret")
        assert answer.status == 403
        text = answer.body.decode()
        line = next(line for line in proxy.errors().splitlines() if f"{kind}: {host}:80" in line)
        for word in (*words, kind):
            assert word in text and word in line, (word, text, line)
        assert "for client 127.0.0.1" in line and "secret" not in line
    proxy.stop()
    # lines of several workers come in no order
    assert sorted(json.loads(line)["failure"] for line in proxy.log_lines()) == [
        "denied_destination", "denied_private", "denied_reserved"]
