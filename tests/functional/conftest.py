"""Fixtures of the functional tests. All ports are free ones, so tests may run side by side (-n)."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.origin import Origin  # noqa: E402
from support.proxy import Proxy  # noqa: E402


@pytest.fixture(scope="module")
def module_proxy(tmp_path_factory):
    """One proxy for the tests of a file; each test asks it about an origin of its own."""
    proxy = Proxy(tmp_path_factory.mktemp("proxy"), start=False)
    yield proxy
    proxy.stop()
    proxy.remove()


@pytest.fixture
def proxy(module_proxy):
    """The proxy of the file. The test that it does not survive is the one that fails."""
    if not module_proxy.is_alive():
        module_proxy.start()
    yield module_proxy
    assert module_proxy.is_alive(), f"the proxy died: {module_proxy.errors()}"


@pytest.fixture
def start_proxy(tmp_path):
    """Start a proxy of one's own: start_proxy("first_byte_timeout=300ms")."""
    started = []

    def start(*options):
        started.append(Proxy(tmp_path / f"proxy{len(started)}", *options, start=False))
        return started[-1].start()

    yield start
    try:
        for proxy in started:
            proxy.stop()
    finally:
        for proxy in started:
            proxy.kill()
            proxy.remove()


@pytest.fixture
def start_origin():
    """More origins than one, or with options."""
    origins = []

    def start(**options):
        origins.append(Origin(**options))
        return origins[-1]

    yield start
    for origin in origins:
        origin.close()
    faults = [fault for origin in origins for fault in origin.faults]
    assert not faults, f"the proxy sent malformed requests: {faults}"


@pytest.fixture
def origin(start_origin):
    return start_origin()


@pytest.fixture
def connect(proxy):
    """More clients of the file's proxy than one."""
    clients = []

    def connect(**options):
        clients.append(proxy.connect(**options))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(connect):
    return connect()
