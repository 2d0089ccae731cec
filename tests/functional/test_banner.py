"""What the proxy prints at its start is for pasting into a shell: both spellings of the variable, and a
warning when no_proxy keeps requests for this machine away."""

import os
import subprocess

import pytest

from support.proxy import Proxy

PROXY_VARIABLES = ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY")


def without_variables(**variables):
    kept = {name: value for name, value in os.environ.items() if name not in PROXY_VARIABLES}
    return {**kept, **variables}


@pytest.fixture
def start(tmp_path):
    """A proxy in an environment with these variables of proxies and no others."""
    started = []

    def start(**variables):
        proxy = Proxy(tmp_path / f"proxy{len(started)}", start=False)
        proxy.whole_environment = lambda: without_variables(**variables)
        started.append(proxy)
        return proxy.start()

    yield start
    for proxy in started:
        proxy.stop()
        proxy.remove()


def pasted(proxy, command):
    """What a command prints in a shell that the banner's exports and comments were pasted into."""
    lines = [line for line in proxy.output if line.startswith(("export ", "#"))]
    script = "\n".join([*lines, command])
    return subprocess.run(["bash", "-c", script], env=without_variables(), text=True,
                          capture_output=True, timeout=10, check=True).stdout


def test_both_spellings(start):
    proxy = start()
    assert pasted(proxy, 'echo "$http_proxy $HTTP_PROXY"') == f"{proxy.url} {proxy.url}\n"


def test_curl_needs_the_lower_case(start, origin):
    """Why both are printed, and what the banner says of it."""
    proxy = start()
    for setting, through in (("unset http_proxy", False), ("unset HTTP_PROXY", True)):
        answer = pasted(proxy, f"{setting}; curl -si {origin.url()}")
        assert ("Via: 1.1 cache204" in answer) == through, setting
    assert any("curl ignores HTTP_PROXY" in line for line in proxy.output)


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_no_proxy_for_this_machine_is_warned_of(start, origin, variable):
    proxy = start(**{variable: "example.com,127.0.0.1:80,localhost"})
    warnings = [line for line in proxy.output if line.startswith("# warning: ")]
    assert len(warnings) == 1 and f" {variable} has 127.0.0.1 here" in warnings[0], proxy.output


def test_other_values_are_not(start):
    proxy = start(no_proxy="example.com,.internal", NO_PROXY="10.0.0.0/8")
    assert not any("warning" in line for line in proxy.output), proxy.output
