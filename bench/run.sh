#!/bin/bash
# What the store and its writes do to hits, beside `make bench` (bench.py), which has all other loads:
#
#   bench/run.sh writes           latency of hits beside misses and stores at a fixed rate (writes.sh)
#   bench/run.sh scale            hits, start-up and purge by number of records (scale.sh)
#
# Environment, with defaults:
#   ROUNDS       3, of which medians are told
#   SECONDS_EACH 5
#   CONNECTIONS  64
#   CACHE204     build/cache204
#   OPTIONS      more options for it, as "-o store_interval=1ms"
#   UNDER        a command that the servers run under, as "chrt -f 1" where others need the machine, too
#
# The server has one core and the load another.  CPU time is that of all processes of the server, user and
# system, from /proc/PID/stat: it hardly varies with what else the machine does; requests/s do.
set -u
cd "$(dirname "$0")/.." || exit 1
. bench/servers.sh

ROUNDS=${ROUNDS:-3}
CONNECTIONS=${CONNECTIONS:-64}
DEPTH=16
results=$work/results

# --- Load

# wrk with the script and arguments of a load.
run_wrk() { # server load seconds
	local origin=127.0.0.1:$origin_port script arguments
	case $2 in
	random) script=random arguments="$origin ${1#cache204-} 1" ;;
	random_pipelined) script=random arguments="$origin ${1#cache204-} $DEPTH" ;;
	*) fail "no load $2" ;;
	esac
	# shellcheck disable=SC2086
	$on_load_core wrk -t1 -c"$CONNECTIONS" -d"$3" --latency -s bench/load/$script.lua \
		"http://127.0.0.1:${port[$1]}" -- $arguments
}

# Medians by load and server, for the awk programs below.
medians='
	function median(key, column,   i, j, n, t, v) {
		n = count[key]
		for (i = 1; i <= n; i++) v[i] = value[key, i, column]
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
	}
	function largest(key, column,   i, most) {
		for (i = 1; i <= count[key]; i++) if (value[key, i, column] > most) most = value[key, i, column]
		return most
	}
	function ratio(key, other) {
		if (!(other in count) || median(other, 3) == 0) return "–"
		return sprintf("%.2f", median(key, 3) / median(other, 3))
	}
	{
		key = $1 " " $2
		if (!count[key]++) order[++keys] = key
		for (i = 3; i <= NF; i++) value[key, count[key], i] = $i
	}'

# --- Main

. bench/writes.sh
. bench/scale.sh

build_tools
start_origin
case ${1:-} in
writes) run_writes ;;
scale) run_scale ;;
*) fail "usage: bench/run.sh writes | scale" ;;
esac
