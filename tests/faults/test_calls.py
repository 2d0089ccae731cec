"""Each call of the system, of memory and of LMDB goes wrong in turn, while clients of all kinds are served."""

import os

import pytest

from bench import Bench
from cases import CASE, ROUNDS, SEED, Sweep, every, sample
from page import Fault, shim_is_built

COUNT = 400

pytestmark = [pytest.mark.long, pytest.mark.skipif(not shim_is_built(), reason="build/faults_shim.so is not built")]


@pytest.mark.parametrize("workers", [1, 3])
def test_calls_that_go_wrong(tmp_path, workers):
    if CASE and not CASE.startswith(f"traffic/{workers}/"):
        pytest.skip("another case is asked for")
    number = iter(range(1000))

    def start():
        return Bench(tmp_path / str(next(number)), workers).start()
    sweep = Sweep(start, workers)
    failures = sweep.run([Fault.parse(CASE.split("/", 2)[2])] if CASE else cases_of(start()))
    print(f"{workers} workers: {sweep.done} cases, {sweep.happened} met the call they were for")
    assert not failures, "\n\n".join(failures)


def cases_of(bench):
    bench.run_case(None)
    counts = bench.page.counts()
    bench.close()
    only = os.environ.get("KINDS", "").split()
    cases = [case for case in every(counts) if not only or case.kind in only]
    return cases if ROUNDS == "all" else sample(cases, SEED, int(ROUNDS or COUNT))
