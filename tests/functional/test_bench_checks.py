"""`make bench`: a measurement that cannot be true is no result, and its row says why."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from harness import callgrind, checks, compare, figures, loads, publish, report, servers  # noqa: E402 (their home is set above)

GOOD = {"connections": 64, "rate": 64000.0, "mean_us": 1000.0, "p99_us": 2000.0, "in_flight": 63.8,
        "seconds": 1.0, "elapsed_s": 1.1, "answers": 64064, "asked": 0, "errors": 0, "unexpected": 0,
        "unanswered": 0, "fewest": 900, "most": 1100, "server_cpu_s": 0.6, "server_cores": 1, "load_busy": 0.7,
        "server_busy": 0.6}


def faults(expected="none", **changed):
    return checks.faults({**GOOD, **changed}, expected)


def test_a_good_row_has_no_fault():
    assert faults() == []


def test_a_queue_in_front_of_the_server_is_seen():
    """17,000 a second with a p99 of 0.09 ms: of 64 connections one and a half were served at a time."""
    row = {"connections": 64, "rate": 17000.0, "p99_us": 90.0, "seconds": 1.0, "answers": 17000}
    found = checks.faults(row)
    assert len(found) == 1 and "Little's law" in found[0] and "1.5 requests under way, on 64" in found[0]


@pytest.mark.parametrize("changed, words", [
    ({"in_flight": 50.0}, "Little's law"),
    ({"in_flight": 80.0}, "Little's law"),
    ({"fewest": 0}, "a connection had 0 answers"),
    ({"asked": 1}, "the origin was asked 1 times in 64064 hits"),
    ({"errors": 3}, "3 connections failed"),
    ({"unexpected": 2, "first_unexpected": "HTTP/1.1 503 Busy"}, "HTTP/1.1 503 Busy"),
    ({"unanswered": 1}, "1 requests were not answered"),
    ({"answers": 0}, "nothing was answered"),
    ({"wrong_answer": "HTTP/1.1 200 OK, where 204 is right"}, "where 204 is right"),
    ({"server_cpu_s": 0.0}, "its processes were not found"),
    ({"server_cpu_s": 1.9}, "1.90 s of CPU in 1.10 s"),
    ({"strayed": ["[ET_NET 0]"]}, "threads left the server's cores: [ET_NET 0]"),
    ({"wanted_rate": 64000.0, "load_busy": 0.9}, "the load generator is saturated (90% of its core)"),
    ({"wanted_rate": 80000.0}, "64000 requests/s where 80000 were due"),
    ({"wanted_rate": 64000.0, "undisturbed": 0.4}, "others had its core for 60% of the requests"),
])
def test_each_impossible_row_is_named(changed, words):
    found = faults(**changed)
    assert found and words in " ".join(found)


@pytest.mark.parametrize("asked, right", [(64064, True), (64100, True), (64063, False), (64200, False), (0, False)])
def test_misses_reach_the_origin_once_each(asked, right):
    assert (faults("each", asked=asked) == []) is right


def test_a_short_run_may_end_with_requests_under_way():
    """A fifth at most is not answered yet, whatever the latency."""
    assert faults(mean_us=50000.0, in_flight=56.0) == []
    assert faults(mean_us=500000.0, in_flight=48.0) != []


def test_nothing_is_cheaper_than_the_floor():
    assert checks.below_floor(7.0, 6.5) is None
    assert "not all of its processes were counted" in checks.below_floor(3.0, 6.5)


def test_the_rate_says_what_it_was_bound_by():
    assert checks.bound({"server_busy": 0.99, "load_busy": 0.99}) == "server"
    assert checks.bound({"server_busy": 0.5, "load_busy": 0.99}) == "load"
    assert checks.bound({"server_busy": 0.5, "load_busy": 0.5}) == "neither core"


# ---- figures ------------------------------------------------------------------------------------

def test_intervals_are_order_statistics():
    assert figures.interval([5, 1, 4, 2, 3]) == (1, 5, 0.9375)
    low, high, sure = figures.interval(range(1, 16))
    assert (low, high) == (4, 12) and 0.96 < sure < 0.97
    assert figures.interval([7]) == (7, 7, 0.0)


def test_ratios_are_of_rounds_that_both_have():
    found = figures.paired_ratio({0: 2.0, 1: 4.0, 2: 9.0}, {0: 1.0, 1: 2.0, 3: 1.0})
    assert found["median"] == 2.0 and found["rounds"] == 2


# ---- configurations, loads ----------------------------------------------------------------------

def test_configurations_have_a_line_only_where_it_helps(tmp_path):
    values = dict.fromkeys(("USER", "WORKERS", "DIRECTORY", "ORIGIN", "PORT", "CERTIFICATE", "KEY", "AUTHORITY"), "1")
    for use, has_lock in (("miss", False), ("herd", True)):
        servers.configure(servers.PEERS / "nginx.conf", values, servers.Profile(use).words(), tmp_path / use)
        assert ("proxy_cache_lock on;" in (tmp_path / use).read_text()) is has_lock


def test_a_value_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(servers.Failed, match="no value for @"):
        servers.configure(servers.PEERS / "nginx.conf", {}, servers.Profile().words(), tmp_path / "x")


def test_an_unknown_load_is_an_error():
    with pytest.raises(ValueError, match="no load hits; there are hit, "):
        loads.chosen(["hits"], quick=False)


# ---- the report ---------------------------------------------------------------------------------

def run_with(cpu_per, reasons=None):
    """A result with one row, as bench.py writes it."""
    rounds = {str(n): {**GOOD, "cpu_per": value, "bound": "server"} for n, value in enumerate(cpu_per)}
    names = [name for name, value in rounds["0"].items() if isinstance(value, (int, float))]
    row = {"base": "cache204", "bad_rounds": 0, "rounds": rounds, "bound": "server",
           "figures": {name: figures.summary([one[name] for one in rounds.values()]) for name in names}}
    load = {"name": "hit", "title": "hit", "unit": "request", "kind": "closed", "why": "", "floor": "limit",
            "results": {"cache204": row}, "reasons": reasons or {}}
    machine = {"processor": "p", "cores": 2, "memory_gib": 1, "system": "s", "kernel": "k", "load_average": 0,
               "commit": "c", "date": "d"}
    return {"machine": machine, "pinned": {"load": [0], "server": [1]}, "rounds": 3, "seconds": 1, "paced_seconds": 2,
            "connections": 64, "real_time_for_latency": False, "versions": {}, "titles": {}, "left_out": {},
            "command": "make bench", "loads": [load]}


def test_a_row_without_a_result_is_named_with_its_reason():
    run = run_with([7.0, 7.1, 7.2], {"nginx": "Little's law: <1.5>"})
    assert "No row: nginx (Little's law: <1.5>)." in report.tables(run)
    page = report.page(run)
    assert "Little&#x27;s law: &lt;1.5&gt;" in page and "<svg" in page and "http://" not in page.replace(
        'xmlns="http://www.w3.org/2000/svg"', "").partition("Configurations")[0]


def test_figures_are_published_between_marks():
    run = run_with([7.0, 7.1, 7.2])
    text = "by hand\n<!-- tables: by make bench-results -->\n\n### hit\n\nold\n\n### start\n\nkept\n\n<!-- end of tables -->\nby hand\n"
    new = publish.between(text, "tables", lambda old: publish.tables(old, run))
    assert new.startswith("by hand\n<!-- tables") and new.endswith("<!-- end of tables -->\nby hand\n")
    assert "| cache204 | 7.1 |" in new and "old" not in new and "### start\n\nkept\n" in new
    assert "By `make bench`, commit c, d." in new  # a run of some loads
    assert publish.between(new, "tables", lambda old: publish.tables(old, run)) == new
    with pytest.raises(servers.Failed, match="no marks for run"):
        publish.between(text, "run", str)


def test_readme_has_the_figures_of_the_results():
    root = pathlib.Path(publish.ROOT)
    readme, results = ((root / name).read_text(encoding="utf-8") for name in ("README.md", "bench/RESULTS.md"))
    for name, title in publish.ROWS.items():
        row = next(line for line in readme.splitlines() if line.startswith(f"| {title} |"))
        table = results.partition(f"\n### {next(load.title for load in loads.LOADS if load.name == name)}\n")[2]
        table = table.partition("\n### ")[0]
        for label, figure in zip(publish.COLUMNS, row.split(" | ")[1:]):
            if label != "floor" and figure.strip("| "):
                assert f"| {label} | {figure.strip('| ')} |" in table, (title, label)


def test_compare_tells_changes_beyond_the_spread(tmp_path):
    old, new = run_with([7.0, 7.1, 7.2]), run_with([7.3, 7.4, 7.5])
    (tmp_path / "old.json").write_text(json.dumps(old))
    read = compare.read(tmp_path / "old.json")
    assert [change[-1] for change in compare.changes(read, new)] == ["more"]
    assert [change[-1] for change in compare.changes(read, old)] == ["within the spread"]
    with pytest.raises(servers.Failed, match="not a result of this bench"):
        compare.read(tmp_path / "none.json")


# ---- instructions by function -------------------------------------------------------------------

DUMP = """\
events: Ir
ob=(1) /home/me/build/cache204
fl=(1) proxy/client/client.c
fn=(1) client_advance
10 7
+2 3
cob=(2) /usr/lib/x86_64-linux-gnu/liblmdb.so.0.0.0
cfn=(2) mdb_get
calls=1 0
11 500

ob=(2)
fl=(2) ???
fn=(2)
0 100
fn=(3) 0x00000000000035e0
0 200
* 5
"""


def test_functions_without_a_name_have_that_of_their_library():
    """What a callee cost is its own, not the caller's."""
    costs = callgrind.by_label(callgrind.functions_of(DUMP.splitlines()), "cache204")
    assert costs == {"proxy/client/client.c: client_advance": 10, "liblmdb: mdb_get": 100,
                     "liblmdb: static function at 0x35e0": 205}
    assert callgrind.by_owner(costs) == {"proxy/client": 10, "liblmdb": 305}
