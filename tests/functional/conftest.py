"""Fixtures of the functional tests. All ports are free ones, so tests may run side by side (-n)."""

import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.origin import Origin  # noqa: E402
from support.proxy import ROOT, SANITIZED, Proxy  # noqa: E402
from support.target import Target  # noqa: E402


# Files that are run with one worker and with several in `make test`: what they are about is the store,
# limits, or signals. `make functional-map` runs all files with several.
SEVERAL = 3
WITH_SEVERAL = {f"test_{name}" for name in """
    auth cache_groups clock_steps counted descriptors
    hit invalidation limits many_clients marks must_revalidate
    origin_connections origin_failures preflight_cache purge purge_patterns restart
    shutdown signals stale_while_revalidate store_views sync tunnel upgrade validation
""".split()}


def pytest_collection_modifyitems(config, items):
    """What takes seconds is left to `make test-all`, unless it is asked for by its name."""
    if os.environ.get("CACHE204_LONG") or config.getoption("keyword"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if any("::" in argument for argument in config.args):
        return
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


def worker_counts(definition):
    """With how many workers a test is run."""
    asked = os.environ.get("CACHE204_WORKERS")
    alone = definition.get_closest_marker("one_worker")
    if asked:
        counts = [int(n) for n in asked.split(",")]
    else:
        counts = [1, SEVERAL] if definition.path.stem in WITH_SEVERAL else [1]
    if not alone:
        return counts
    return [1] if 1 in counts else [pytest.param(1, marks=pytest.mark.skip(reason=alone.args[0]))]


def pytest_generate_tests(metafunc):
    counts = worker_counts(metafunc.definition)
    if counts != [1] or metafunc.definition.path.stem in WITH_SEVERAL:
        metafunc.parametrize("worker_count", counts, indirect=True, scope="module",
                             ids=lambda count: f"workers={count}")


@pytest.fixture(scope="module", autouse=True)
def worker_count(request):
    """Of the proxies of a test, unless it says otherwise."""
    Proxy.worker_count = getattr(request, "param", 1)
    yield Proxy.worker_count
    Proxy.worker_count = 1


@pytest.fixture(scope="module")
def module_proxy(request, worker_count, tmp_path_factory):
    """One proxy for the tests of a file, with its PROXY_OPTIONS; each test asks it about an origin of its
    own."""
    options = getattr(request.module, "PROXY_OPTIONS", ())
    proxy = Proxy(tmp_path_factory.mktemp("proxy"), *options, start=False)
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


@pytest.fixture(scope="session")
def troubled_store(tmp_path_factory):
    """The library of tests/tools/troubled_store.c."""
    if SANITIZED:
        pytest.skip("a library cannot be preloaded before the sanitizer's")
    library = tmp_path_factory.mktemp("library") / "troubled_store.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, ROOT / "tests/tools/troubled_store.c"], check=True)
    return library


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


@pytest.fixture
def start_target():
    """Far ends of tunnels; what each does is up to the test."""
    targets = []

    def start(serve=None):
        targets.append(Target(serve))
        return targets[-1]

    yield start
    for target in targets:
        target.close()
