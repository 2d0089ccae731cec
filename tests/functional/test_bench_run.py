"""`make bench` itself: a run has a row or a reason for each server, and whatever ends it, nothing of it stays."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ["origin", "limit", "relay", "closed"]
WAIT_S = 120

pytestmark = [pytest.mark.long, pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")]


@pytest.fixture(scope="module")
def environment():
    """That of an ordinary build: the programs of bench/ are made where it looks for them."""
    plain = {name: value for name, value in os.environ.items()
             if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "SANITIZE", "BUILD", "CFLAGS")}
    subprocess.run(["make", "-s", *(f"build/bench/{tool}" for tool in TOOLS)], cwd=ROOT, env=plain, check=True,
                   capture_output=True)
    return {**plain, "CACHE204": os.environ["CACHE204_BIN"], "SERVERS": "limit relay cache204", "LOADS": "hit miss",
            "ROUNDS": "1", "SECONDS_EACH": "0.2"}


def start(environment, tmp_path, **more):
    return subprocess.Popen([sys.executable, "bench/bench.py"], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE,
                            env={**environment, "TMPDIR": str(tmp_path), "OUT": str(tmp_path / "out"), **more})


def processes_of(directory):
    """Command lines that name this directory."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line:
            found.append(line)
    return found


def test_each_server_has_a_row_or_a_reason(environment, tmp_path):
    run = start(environment, tmp_path)
    printed, said = run.communicate(timeout=WAIT_S)
    assert run.returncode == 0, said
    result = json.loads((tmp_path / "out/bench.json").read_text())
    labels = {load["name"]: load["results"].keys() | load["reasons"].keys() for load in result["loads"]}
    assert labels == {"hit": {"limit", "cache204"}, "miss": {"relay", "cache204"}}
    for load in result["loads"]:
        for label, row in load["results"].items():
            asked, answers = row["figures"]["asked"]["median"], row["figures"]["answers"]["median"]
            assert answers > 0 and asked == (answers if load["name"] == "miss" else 0)
        for label, reason in load["reasons"].items():
            assert f"{label} ({reason})" in printed
            assert "did not start" not in reason and "its store" not in reason
    assert "<svg" in (tmp_path / "out/bench.html").read_text() or not any(
        load["results"] for load in result["loads"])
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(environment, tmp_path, number):
    run = start(environment, tmp_path, ROUNDS="1000")
    for line in run.stderr:
        if "hit: limit, round 1" in line:
            break
    assert any("cache204" in line for line in processes_of(tmp_path))
    run.send_signal(number)
    run.send_signal(number)
    _, said = run.communicate(timeout=WAIT_S)
    assert run.returncode != 0 and "interrupted" in said
    assert processes_of(tmp_path) == [] and os.listdir(tmp_path) == []


@pytest.mark.parametrize("name, value, words", [
    ("LOADS", "hits", "no load hits; there are hit, "),
    ("SERVERS", "apache", "no server apache; there are limit, "),
    ("ROUNDS", "many", "ROUNDS=many: not a number"),
    ("COMPARE", "/none", "COMPARE=/none: not a result of this bench"),
    ("CACHE204", "/none", "no /none: build it with make"),
])
def test_what_is_wrong_is_said_before_anything_starts(environment, tmp_path, name, value, words):
    run = start(environment, tmp_path, **{name: value})
    _, said = run.communicate(timeout=WAIT_S)
    assert run.returncode == 1 and said.startswith("bench: ") and words in said
    assert os.listdir(tmp_path) == []
