"""Calls go wrong while the proxy starts, is reloaded, exchanged for another program, loses a worker, and ends."""

import pytest

from bench import Bench
from cases import CASE, ROUNDS, SEED, again, every, sample, text_of, told
from lives import FROM_NOTHING, LIVES
from page import Fault, shim_is_built

COUNT = 5      # cases of each life and number of workers
MEMORY = 400    # of so many calls for memory one is tried: most are those of libraries at their start

pytestmark = [pytest.mark.long, pytest.mark.skipif(not shim_is_built(), reason="build/faults_shim.so is not built")]


def cases_of(counts):
    """Those of each call, and of memory some."""
    few = {kind: count if kind != "memory" else min(count, MEMORY) for kind, count in counts.items()}
    step = max(1, counts.get("memory", 0) // MEMORY)
    return [case if case.kind != "memory" else Fault("memory", 1 + case.nth * step, case.what, case.all)
            for case in every(few)]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("life", LIVES)
def test_lives(tmp_path, life, workers):
    if CASE and not CASE.startswith(f"{life}/{workers}/"):
        pytest.skip("another case is asked for")
    run = LIVES[life]
    bench, number, failures = None, 0, []

    def ready():
        new = Bench(tmp_path / str(number), workers).start()
        if life in FROM_NOTHING:
            new.proxy.stop()
        return new

    def close(which):
        try:
            which.proxy.kill()
            which.close()
        except Exception as error:
            failures.append(f"at the end of it: {error!r}"[:2000])

    bench = ready()
    run(bench, None)
    cases = cases_of(bench.page.counts())
    if CASE:
        cases = [Fault.parse(CASE.split("/", 2)[2])]
    elif ROUNDS != "all":
        cases = sample(cases, SEED, int(ROUNDS or COUNT))
    for fault in cases:
        number += 1
        try:
            bench = bench or ready()
            run(bench, fault)
        except Exception as error:
            where = bench.page.where() if bench and bench.happened else "it did not happen"
            failures.append(told(f"{again(workers, fault, life)}\n    {text_of(error)}\n    in {where}"))
            if bench:
                close(bench)
            bench = None
        if len(failures) > 8:
            break
    if bench:
        close(bench)
    print(f"{life}, {workers} workers: {number} cases")
    assert not failures, "\n\n".join(failures)
