#!/usr/bin/python3
"""Plants bugs on a copy of the sources, one at a time, and looks whether a seed of the simulation shows each.

Usage: planted.py SEEDS [NAME...]; the copy is build/planted.  What a bug replaces must be there once: when
the code has changed, so must the row.
"""
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TREE = os.path.join(ROOT, "build", "planted")
SIMULATE = "build/tests/sim/simulate"

# name, file, what stands there, what stands there instead
BUGS = [
    ("invalidation forgets Location", "cache/removal.c",
     "\tadd_reference(cache, req, res, FIELD_LOCATION, ret_invalidated);\n", ""),
    ("invalidation forgets groups", "cache/removal.c",
     "ret_invalidated->count = ret_invalidated->uris + (unsigned)group_count;",
     "ret_invalidated->count = ret_invalidated->uris;"),
    ("answer that was overtaken is stored", "cache/writes.c",
     "\tif (is_put_overtaken(rewrite, op, &view))\n\t\treturn;\n", ""),
    ("view kept for too long", "cache/store/store.c",
     "\ttables_view_end(&store->tables);\n}\n\nconst uint64_t *store_generation",
     "\tif (store->tables.generation % 8 == 0)\n\t\ttables_view_end(&store->tables);\n}\n\n"
     "const uint64_t *store_generation"),
    ("removal counts as done though its commit failed", "cache/writes_tidy.c",
     "\t\ttidy_walked(&writes->tidy);\n\t\tfor (size_t i = 0; i < tidying.done_count; i++)\n"
     "\t\t\ttidy_add(&writes->tidy, tidying.done[i].place);\n\t\treturn false;\n", ""),
    ("age of the origin is not counted", "cache/policy/reuse.c",
     "return (int64_t)meta->initial_age_s + (resident_ms", "return (resident_ms"),
    ("stale for longer than the leave", "cache/policy/reuse.c",
     "return window > 0 && staleness <= window;", "return window > 0 && staleness <= 2 * (int64_t)window;"),
    ("records of a copy are trusted", "cache/policy/reuse.c",
     "return now->restored_ms != 0 && meta->response_steady_ms <= now->restored_ms;",
     "return now->restored_ms < 0 && meta->response_steady_ms < 0;"),
    ("answer under Authorization is shared", "cache/policy/may_store.c",
     "if (http_has_field(&candidate->req->fields, FIELD_AUTHORIZATION) &&",
     "if (candidate->req == NULL &&"),
    ("private answer is shared", "cache/policy/may_store.c",
     "\tif (holds_whole(candidate, CC_PRIVATE, &directives->private))\n\t\treturn REASON_PRIVATE;\n", ""),
    ("Vary is not compared", "cache/record/entry_select.c",
     "(ret_view->vary.n == 0 || vary_is_as_sent(ret_view->vary, req)) &&", "req != NULL &&"),
    ("clock follows the wall back", "cache/store/steady_clock.c",
     "\t\tSTORE(state->lead_ms, latest_ms - wall_ms);\n\t\tsteady_ms = latest_ms;\n",
     "\t\tSTORE(state->latest_ms, steady_ms);\n\t\tlatest_ms = steady_ms;\n"),
    ("lease of a dead worker never lapses", "proxy/exchange/leases.c",
     "return (int64_t)(word & ((UINT64_C(1) << DEADLINE_BITS) - 1)) > now_ms;",
     "return word != 0 && now_ms >= 0;"),
    ("purge of a group spares what is being stored", "cache/overtaken.c",
     "return purge_concerns_groups(purge, groups, group_count) ||\n\t       purge_concerns_uri",
     "(void)groups;\n\t(void)group_count;\n\treturn purge_concerns_uri"),
    ("purge of a prefix is not looked at by readers", "cache/overtaken.c",
     "if (!purge_concerns_uri(purge, &cutoff->entry, cutoff->uri))",
     "if (purge->kind == PURGE_PREFIX || !purge_concerns_uri(purge, &cutoff->entry, cutoff->uri))"),
    ("waiter is let go and not woken", "proxy/exchange/fetch_state.c",
     "\tturn_soon(fetches->use.turn, &fetches->release);\n",
     "\tif (failure == FAILURE_NONE)\n\t\tturn_soon(fetches->use.turn, &fetches->release);\n"),
    ("end of a chunked body is lost", "proxy/exchange/exchange.c",
     'buf_append(exchange_out(x), SLICE("0\\r\\n\\r\\n"))',
     '(x->bytes_out > 70000 || buf_append(exchange_out(x), SLICE("0\\r\\n\\r\\n")))'),
    ("failure has no outcome", "proxy/exchange/exchange.c",
     "\tSTATS_ADD(answers.at[row][x->outcome], 1);\n",
     "\tif (x->failure != FAILURE_ORIGIN_REFUSED)\n\t\tSTATS_ADD(answers.at[row][x->outcome], 1);\n"),
    ("reload loses a request behind another", "proxy/client/client.c",
     "if (client->exchange != NULL && !client->exchange->keep_alive)", "if (client->exchange != NULL)"),
    ("connection is kept with what came unasked", "proxy/origin/origin.c",
     "||\n\t       conn_is_quiet(origin->conn);", "||\n\t       origin->conn != NULL;"),
    ("connection is kept although the request is not sent", "proxy/origin/origin_answer.c",
     "if (origin->keep && origin->request_done && buf_length(&origin->out) == 0 &&", "if (origin->keep &&"),
]


def sources():
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.split("\n")
    return [name for name in names if name and os.path.isfile(os.path.join(ROOT, name))]


def make():
    return subprocess.run(["make", "-s", "-j2", SIMULATE], cwd=TREE, capture_output=True, text=True)


def put(name, text):
    with open(os.path.join(TREE, name), "w", encoding="utf-8") as file:
        file.write(text)


def try_bug(name, path, old, new, seeds):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    if text.count(old) != 1:
        return f"what it replaces in {path} is there {text.count(old)} times"
    put(path, text.replace(old, new))
    try:
        made = make()
        if made.returncode != 0:
            return "does not build:\n" + made.stderr[-2000:]
        ran = subprocess.run([SIMULATE, "-1", seeds], cwd=TREE, capture_output=True, text=True)
    finally:
        put(path, text)
    print(f"== {name} ({path})\n{ran.stdout}", flush=True)
    return None if ran.returncode != 0 else "no seed shows it"


def main():
    seeds, wanted = sys.argv[1], sys.argv[2:]
    for name in sources():
        to = os.path.join(TREE, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, name), to)
    if make().returncode != 0:
        sys.exit("the sources do not build")
    bad = 0
    for name, path, old, new in BUGS:
        if wanted and name not in wanted:
            continue
        fault = try_bug(name, path, old, new, seeds)
        if fault is not None:
            print(f"== {name} ({path}): {fault}", flush=True)
            bad += 1
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
