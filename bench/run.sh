#!/bin/bash
# What the store and its writes do to hits, beside `make bench` (bench.py), which has all other loads:
#
#   bench/run.sh instructions     user instructions per request, counted by callgrind
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

# --- Instructions

# User instructions of a fresh server that answered COUNT requests, and what callgrind wrote.
count_instructions() { # server count depth path [field]
	local server=$1 count=$2 depth=$3 path=$4 url=http://127.0.0.1:$origin_port$4 asked
	local out=$work/callgrind
	shift 4
	rm -f "$out".*
	under="valgrind -q --tool=callgrind --trace-children=yes --callgrind-out-file=$out.%p" \
		start_server "$server" || fail "$server does not start under valgrind"
	"$tools/ask" "${port[$server]}" "$url" 1 >/dev/null || fail "$server: no answer"
	# Once stored it is a hit; the number of requests must not depend on when, so no asking for it.
	sleep 0.5
	"$tools/ask" "${port[$server]}" "$url" 15 >/dev/null
	asked=$(origin_asked)
	DEPTH=$depth "$tools/ask" "${port[$server]}" "$url" "$count" "$@" >/dev/null
	asked=$(($(origin_asked) - asked - 1))
	[ "$path" != /hit ] || [ $asked -eq 0 ] || fail "$asked of $count hits asked the origin"
	stop_server "$server"
	cat "$out".* | awk '/^totals:/ { total += $2 } END { printf "%.0f\n", total }'
}

# Self cost by function, "instructions function", of the last count.
costs_by_function() {
	local file
	for file in "$work"/callgrind.*; do
		callgrind_annotate --auto=no --threshold=100 "$file" 2>/dev/null
	done | awk '
		$1 ~ /^[0-9,]+$/ && $2 ~ /^\(/ && /:/ && !/PROGRAM TOTALS/ {
			n = $1; gsub(/,/, "", n)
			sub(/^[^)]*\) */, ""); sub(/ \[[^]]*\]$/, ""); sub(/^.*\//, "")
			cost[$0] += n
		}
		END { for (f in cost) printf "%.0f\t%s\n", cost[f], f }'
}

# One row of the table; of the proxy's plain hits the costs by function are kept.
instructions_row() { # server load depth path [field]
	local server=$1 load=$2 count=2000 once twice
	shift 2
	once=$(count_instructions "$server" $count "$@") || exit 1
	[ "$server $load" = "cache204 hit" ] && costs_by_function >"$work/once"
	twice=$(count_instructions "$server" $((2 * count)) "$@") || exit 1
	[ "$server $load" = "cache204 hit" ] && costs_by_function >"$work/twice"
	echo "| $load | $server | $(((twice - once) / count)) |"
}

print_functions() {
	echo
	echo "Where the instructions of a hit on cache204 go, by function:"
	echo
	echo "| Function | instructions/request |"
	echo "|---|---:|"
	awk -F'\t' '
		NR == FNR { once[$2] = $1; next }
		{ n = ($1 - once[$2]) / 2000; if (n >= 10) printf "%.0f\t%s\n", n, $2 }' \
		"$work/once" "$work/twice" | sort -rn | head -25 |
		awk -F'\t' '{ printf "| `%s` | %d |\n", $2, $1 }'
}

run_instructions() {
	command -v valgrind >/dev/null || fail "install the package valgrind"
	local server
	describe_machine
	echo "User instructions per request: difference of 4000 and 2000 requests of one connection."
	echo
	echo "| Load | Server | instructions/request |"
	echo "|---|---|---:|"
	for server in limit cache204; do
		is_installed $server || continue
		instructions_row $server hit 1 /hit
		instructions_row $server pipelined $DEPTH /hit
		[ $server = limit ] && continue
		instructions_row $server hit_304 1 /hit 'If-None-Match: "bench"'
		instructions_row $server miss 1 /miss
	done
	[ ! -e "$work/twice" ] || print_functions
}

# --- Main

. bench/writes.sh
. bench/scale.sh

build_tools
start_origin
case ${1:-} in
instructions)
	on_server_core="" run_instructions
	;;
writes) run_writes ;;
scale) run_scale ;;
*) fail "usage: bench/run.sh instructions | writes | scale" ;;
esac
