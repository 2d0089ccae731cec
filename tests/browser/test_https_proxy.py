"""Chromium, with the proxy as its https proxy: what it asks for is answered, cached and tunnelled by it."""

import base64
import hashlib
import subprocess

import pytest

from support import chromium
from support.origin import Origin, respond
from support.proxy import Proxy
from support.tls import Authority, TlsOrigin, tls_ports

PAGE = respond(200, "Content-Type: text/html", body=b"<!doctype html><title>origin</title><p>by the proxy")


def pin(certificate):
    """What Chromium knows a key by that no authority of the system has vouched for."""
    public = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], capture_output=True, check=True)
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public.stdout, capture_output=True,
                         check=True)
    return base64.b64encode(hashlib.sha256(der.stdout).digest()).decode()


@pytest.fixture
def certificate(tmp_path):
    return Authority(tmp_path / "authority").issue("IP:127.0.0.1")


@pytest.fixture
def proxy(tmp_path, certificate):
    proxy = Proxy(tmp_path / "proxy", "listen=127.0.0.1:0,tls:127.0.0.1:0", f"tls_certificate={certificate[0]}",
                  f"tls_key={certificate[1]}", "connect_ports=*")
    yield proxy
    proxy.stop()
    proxy.remove()


@pytest.fixture
def page(tmp_path, proxy, certificate):
    port, = tls_ports(proxy)
    browser = chromium.Browser(tmp_path / "profile", [
        f"--proxy-server=https://127.0.0.1:{port}", "--proxy-bypass-list=<-loopback>",
        f"--ignore-certificate-errors-spki-list={pin(certificate[0])}"])
    yield browser.page()
    browser.close()


def test_pages_hits_and_tunnels(proxy, page, certificate):
    plain, secure = Origin(), TlsOrigin(certificate, name="127.0.0.1")
    for origin in (plain, secure):
        origin.default = respond(404)
        origin.on("/", PAGE)
    plain.on("/ping", respond(204, "Cache-Control: max-age=600"))
    try:
        page.go(plain.url("/"))
        page.until("document.title == 'origin'", "the page is shown")
        with proxy.connect() as client:
            assert client.get(plain.url("/ping")).stored
        assert page.run("fetch('/ping').then(answer => answer.headers.get('Cache-Status'))").startswith("cache204; hit")
        page.go(secure.url("/"))
        page.until("location.protocol == 'https:' && document.title == 'origin'", "the tunnel's page is shown")
    finally:
        plain.close()
        secure.close()
    assert proxy.stats()["counters"]["tunnels"] >= 1
    row = proxy.stats()["listeners"][1]
    assert row["tls_handshakes"] >= 1 and row["tls_failed"] == 0, row
    assert proxy.stats()["failures"]["client_tls_mismatch"] == 0
