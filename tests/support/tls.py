"""A certificate authority of the test's own, and a scripted origin and a client that speak TLS."""

import re
import ssl
import subprocess
from datetime import datetime, timedelta, timezone

from support.http1 import Stream
from support.origin import Connection, Origin
from support.rawclient import Client


# `openssl ca` sets both ends of validity in every version; `openssl x509` only in the newest.
CA_CONF = """
[ca]
default_ca = test
[test]
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


def validity(begins_days, ends_days):
    """Options of `openssl ca` for days counted from now."""
    now = datetime.now(timezone.utc)
    return [word for option, days in (("-startdate", begins_days), ("-enddate", ends_days))
            for word in (option, (now + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ"))]


class Authority:
    """Keys and certificates in a directory, made by openssl(1)."""

    def __init__(self, directory, name="test authority"):
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.file = self.directory / "ca.pem"
        self.count = 0
        (self.directory / "ca.cnf").write_text(CA_CONF)
        (self.directory / "index.txt").touch()
        self.openssl("req", "-x509", *self.new_key("ca"), "-out", "ca.pem", "-subj", f"/CN={name}",
                     "-days", "2", "-addext", "basicConstraints=critical,CA:TRUE")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    @staticmethod
    def new_key(name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", f"{name}.key"]

    def issue(self, *names, days=(-1, 2), common_name="origin"):
        """The files of a certificate for these names ("DNS:a.test", "IP:127.0.0.1") and of its key.

        It is valid from the first of `days` to the second, counted from now.
        """
        self.count += 1
        name = f"leaf{self.count}"
        self.openssl("req", *self.new_key(name), "-out", f"{name}.csr", "-subj", f"/CN={common_name}")
        (self.directory / "extensions").write_text(
            f"subjectAltName={','.join(names)}\n" if names else "keyUsage=digitalSignature\n")
        self.openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-create_serial",
                     *validity(*days), "-extfile", "extensions", "-in", f"{name}.csr", "-out", f"{name}.pem")
        return self.directory / f"{name}.pem", self.directory / f"{name}.key"

    def issue_self_signed(self, *names):
        self.openssl("req", "-x509", *self.new_key("self"), "-out", "self.pem", "-subj", "/CN=self",
                     "-days", "2", "-addext", f"subjectAltName={','.join(names)}")
        return self.directory / "self.pem", self.directory / "self.key"


def close_notify(connection):
    """A step: the clean end of TLS; waits for the peer's."""
    connection.sock = connection.sock.unwrap()


class TlsConnection(Connection):
    def run(self):
        try:
            self.sock.settimeout(5)
            self.sock = self.origin.context.wrap_socket(self.sock, server_side=True,
                                                        suppress_ragged_eofs=False)
            self.sock.settimeout(None)
        except (OSError, ValueError) as error:
            self.origin.handshake_errors.append(str(error))
            self.close(f"handshake: {error}")
            return
        self.stream = Stream(self.sock)
        self.resumed = self.sock.session_reused
        self.version = self.sock.version()
        self.protocol = self.sock.selected_alpn_protocol()
        super().run()


class TlsOrigin(Origin):
    """An https origin. `names` are those that clients asked for by SNI, None for none."""

    connection_type = TlsConnection

    def __init__(self, certificate, host="127.0.0.1", name="origin.test", **options):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.context.set_alpn_protocols(["http/1.1"])
        self.names = []
        self.handshake_errors = []
        self.context.sni_callback = lambda sock, asked, context: self.names.append(asked)
        super().__init__(host, **options)
        self.authority = f"{name}:{self.port}"

    def url(self, path="/"):
        return f"https://{self.authority}{path}"


class TlsClient(Client):
    """A client of an address with TLS. `context` says what it trusts and offers."""

    def __init__(self, port, context, session=None, name="proxy.test", first=b"", **options):
        super().__init__(port, **options)
        try:
            if first:
                self.sock.sendall(first)
            self.sock = context.wrap_socket(self.sock, server_hostname=name, session=session,
                                            suppress_ragged_eofs=False)
        except BaseException:
            self.close()
            raise
        self.stream = Stream(self.sock)

    def readable(self, timeout):
        return self.sock.pending() > 0 or super().readable(timeout)


def context_for(authority, *, certificate=None, protocols=("http/1.1",), versions=None):
    """What a client trusts and offers; `versions` are the lowest and the highest of TLS."""
    context = ssl.create_default_context(cafile=str(authority.file))
    if certificate:
        context.load_cert_chain(*certificate)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if versions:
        context.minimum_version, context.maximum_version = versions
    return context


def tls_ports(proxy):
    """Ports of a proxy's addresses with TLS, as it printed them: of listen, then of gateways."""
    text = "\n".join(proxy.output)
    return [int(port) for port in re.findall(r"^(?:proxy|gateway): https://127\.0\.0\.1:(\d+)", text, re.M)]
