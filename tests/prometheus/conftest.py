"""Tests of /metrics with Prometheus and its promtool: they are skipped where these are not at hand."""

import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.origin import Origin  # noqa: E402
from support.proxy import Proxy  # noqa: E402


def pytest_collection_modifyitems(items):
    missing = [name for name in ("prometheus", "promtool") if not shutil.which(name)]
    if missing:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"{' and '.join(missing)} not at hand"))


@pytest.fixture
def origin():
    origin = Origin()
    yield origin
    origin.close()


@pytest.fixture
def start_proxy(tmp_path):
    started = []

    def start(*options):
        started.append(Proxy(tmp_path / f"proxy{len(started)}", *options))
        return started[-1]

    yield start
    for proxy in started:
        proxy.stop()
        proxy.remove()
