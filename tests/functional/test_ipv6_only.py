"""A machine with IPv6 alone: no IPv4 address, not even 127.0.0.1, in a network namespace."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from support.proxy import BINARY, ROOT

UNSHARE = ["unshare", "--user", "--map-root-user", "--net"]
NETWORK = "ip link set lo up && ip addr del 127.0.0.1/8 dev lo && ip addr add 2001:db8::1/128 dev lo nodad"


def can_unshare():
    return shutil.which("unshare") and shutil.which("ip") and subprocess.run(
        [*UNSHARE, "sh", "-c", NETWORK], capture_output=True).returncode == 0


pytestmark = [pytest.mark.one_worker("addresses do not depend on it"),
              pytest.mark.skipif(not can_unshare(), reason="no network namespaces with IPv6 here")]


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    script = [sys.executable, str(ROOT / "tests/support/ipv6_only.py"), BINARY, str(tmp_path_factory.mktemp("v6"))]
    result = subprocess.run([*UNSHARE, "sh", "-c", NETWORK + ' && exec "$@"', "sh", *script], text=True, timeout=60,
                            capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT / "tests")})
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("host", ["[::1]", "localhost", "[2001:db8::1]", "six.test", "both.test"])
def test_origins_that_have_an_ipv6_address(seen, host):
    """Also by name, from a name server on IPv6, and when the name has an IPv4 address beside it."""
    first, second = seen["answers"][host]
    assert first[0] == 204 and "stored" in first[1]
    assert second[0] == 204 and "; hit" in second[1]


@pytest.mark.parametrize("host", ["four.test", "127.0.0.1"])
def test_others_are_an_error_at_once(seen, host):
    for status, _, why in seen["answers"][host]:
        assert status == 502 and "destination_ip_unroutable" in why


def test_defaults_say_what_to_do(seen):
    assert "cannot listen on 127.0.0.1:3128" in seen["defaults"] and "[::1]" in seen["defaults"]


def test_it_ends_well(seen):
    assert seen["exit"] == 0
