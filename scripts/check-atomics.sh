#!/bin/sh
# Usage: scripts/check-atomics.sh
#
# Memory that processes share is _Atomic by its type, and each access says its order: arm64 keeps
# none by itself.  A file whose accesses are all of the strictest order says that once, in the words
# below.  Counters of a worker are added to by the macros of proxy/stats/number.h, which do not lock.
set -u
failed=0
strict='All atomic accesses here are sequentially consistent'

# complain WHY LINES
complain() {
	[ -n "$2" ] || return 0
	printf '%s\n' "$2" | sed "s|\$|    <- $1|"
	failed=1
}

complain 'use <stdatomic.h>' "$(grep -nE '\b__(atomic|sync)_[a-z]' -r --include=*.[ch] proxy cache conf tests bench)"
complain 'which order?' "$(grep -LFr --include=*.[ch] "$strict" proxy cache conf | xargs \
	grep -nE '\batomic_(load|store|exchange|fetch_[a-z]+|compare_exchange_(weak|strong)|flag_[a-z_]+) *\(')"
complain 'use STATS_ADD or STATS_SET' "$(grep -nE '(\bstats->|(\+\+|--)stats->)[a-z_]+(\[.*\])? *(\+\+|--|[-+*|&^]?=[^=])|(\+\+|--)stats->' \
	-r --include=*.[ch] proxy)"

[ "$failed" -eq 0 ] && echo "check-atomics: ok"
exit "$failed"
