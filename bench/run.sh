#!/bin/bash
# The proxy beside its limit and its peers, on loopback, in one run:
#
#   bench/run.sh                  CPU time per request and per MiB, as Markdown tables for bench/RESULTS.md
#   bench/run.sh instructions     user instructions per request, counted by callgrind
#   bench/run.sh writes           latency of hits beside misses and stores at a fixed rate (writes.sh)
#   bench/run.sh scale            hits, start-up and purge by number of records (scale.sh)
#   bench/run.sh idle             memory of connections that are kept (idle.sh)
#
# Environment, with defaults:
#   SERVERS      "limit cache204 nginx squid varnish trafficserver"; those not installed are skipped
#   LOADS        "hit pipelined hit_304 miss body herd large tunnel"
#   ROUNDS       3; a round runs each load on each server once, medians are told
#   SECONDS_EACH 2, or 1 with more than three servers; 5 for writes and scale
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
LOADS=${LOADS:-"hit pipelined hit_304 miss body herd large tunnel"}
DEPTH=16
results=$work/results
volumes=$work/volumes
LARGE_MIB=256
DOWNLOADS=4

# --- Load

# wrk with the script and arguments of a load.
run_wrk() { # server load seconds
	local origin=127.0.0.1:$origin_port script arguments
	case $2 in
	hit) script=hit arguments=$origin ;;
	pipelined) script=hit arguments="$origin $DEPTH" ;;
	hit_304) script=hit_304 arguments=$origin ;;
	miss) script=miss arguments=$origin ;;
	body) script=miss arguments="$origin /body" ;;
	herd) script=herd arguments="$origin $CONNECTIONS" ;;
	random) script=random arguments="$origin ${1#cache204-} 1" ;;
	random_pipelined) script=random arguments="$origin ${1#cache204-} $DEPTH" ;;
	*) fail "no load $2" ;;
	esac
	# shellcheck disable=SC2086
	$on_load_core wrk -t1 -c"$CONNECTIONS" -d"$3" --latency -s bench/load/$script.lua \
		"http://127.0.0.1:${port[$1]}" -- $arguments
}

# One line: load server cpu_us requests_per_s p99_ms origin_requests_per_request
measure() { # server load
	local out=$work/wrk.out ticks asked
	asked=$(origin_asked) ticks=$(cpu_ticks "${pid[$1]}")
	run_wrk "$1" "$2" "${SECONDS_EACH}s" >"$out" 2>&1 || fail "wrk: $(cat "$out")"
	ticks=$(($(cpu_ticks "${pid[$1]}") - ticks))
	asked=$(($(origin_asked) - asked - 1))
	grep -E 'Non-2xx|Socket errors' "$out" | sed "s/^/$1 $2: /" >&2
	awk -v load="$2" -v server="$1" -v ticks="$ticks" -v hz="$(getconf CLK_TCK)" -v asked="$asked" '
		function ms(text) {
			return text ~ /us$/ ? text / 1000 : text ~ /ms$/ ? text + 0 : text * 1000
		}
		$1 == "99%" { p99 = ms($2) }
		$2 == "requests" && $3 == "in" { n = $1 }
		$1 == "Requests/sec:" { rate = $2 }
		END {
			if (!n) exit 1
			print load, server, ticks * 1e6 / hz / n, rate, p99, asked / n
		}' "$out" >>"$results" || fail "$1 answered nothing: $(cat "$out")"
}

# Downloads by curl, one after the other, so many that a tick of CPU time is little: plain, or in tunnels.
# One line: load server cpu_us_per_MiB MiB_per_s
measure_volume() { # server load
	local ticks got began option=
	[ "$2" = tunnel ] && option=--proxytunnel
	ticks=$(cpu_ticks "${pid[$1]}") began=$(date +%s%N)
	# shellcheck disable=SC2086
	got=$($on_load_core curl -s $option -x "http://127.0.0.1:${port[$1]}" -o /dev/null \
		-w '%{size_download}\n' "http://127.0.0.1:$origin_port/large[1-$DOWNLOADS]" |
		grep -cx $((LARGE_MIB << 20)))
	[ "$got" = "$DOWNLOADS" ] || fail "$1 $2: $got of $DOWNLOADS downloads"
	ticks=$(($(cpu_ticks "${pid[$1]}") - ticks))
	awk -v load="$2" -v server="$1" -v ticks="$ticks" -v hz="$(getconf CLK_TCK)" -v mib=$((LARGE_MIB * DOWNLOADS)) \
		-v ns=$(($(date +%s%N) - began)) \
		'BEGIN { print load, server, ticks * 1e6 / hz / mib, mib * 1e9 / ns }' >>"$volumes"
}

# The limit answers anything, so it is a measure for hits only.
is_sensible() { # server load
	case $1:$2 in
	limit:hit | limit:pipelined) return 0 ;;
	limit:* | nginx:tunnel | varnish:tunnel) return 1 ;;
	esac
}

run_loads() {
	local round load server
	for ((round = 1; round <= ROUNDS; round++)); do
		for load in $LOADS; do
			# A herd leaves thousands of cold entries behind: once, and last.
			[ "$load" = herd ] && continue
			for server in $started; do
				is_sensible "$server" "$load" || continue
				case $load in
				large | tunnel) measure_volume "$server" "$load" ;;
				*) measure "$server" "$load" ;;
				esac
			done
		done
	done
	case " $LOADS " in
	*" herd "*)
		for server in $started; do
			is_sensible "$server" herd && measure "$server" herd
		done
		;;
	esac
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

print_requests() {
	echo
	echo "$CONNECTIONS connections, pipelined $DEPTH deep, medians of $ROUNDS rounds of $SECONDS_EACH s."
	echo
	echo "| Load | Server | CPU µs/request | × limit | × cache204 | requests/s | p99 ms | origin requests per request |"
	echo "|---|---|---:|---:|---:|---:|---:|---:|"
	awk "$medians"'
		END {
			for (k = 1; k <= keys; k++) {
				key = order[k]; split(key, part, " ")
				printf "| %s | %s | %.2f | %s | %s | %.0f | %.2f | %.4f |\n", part[1], part[2],
					median(key, 3), ratio(key, part[1] " limit"),
					ratio(key, part[1] " cache204"), median(key, 4), median(key, 5), median(key, 6)
			}
		}' "$results"
}

print_volumes() {
	echo
	echo "$DOWNLOADS downloads of $LARGE_MIB MiB, one at a time, medians of $ROUNDS rounds."
	echo
	echo "| Load | Server | CPU µs/MiB | × cache204 | MiB/s |"
	echo "|---|---|---:|---:|---:|"
	awk "$medians"'
		END {
			for (k = 1; k <= keys; k++) {
				key = order[k]; split(key, part, " ")
				printf "| %s | %s | %.0f | %s | %.0f |\n", part[1], part[2],
					median(key, 3), ratio(key, part[1] " cache204"), median(key, 4)
			}
		}' "$volumes"
}

print_tables() {
	describe_machine
	[ ! -e "$results" ] || print_requests
	[ ! -e "$volumes" ] || print_volumes
}

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
. bench/idle.sh

build_tools
start_origin
case ${1:-} in
instructions)
	on_server_core="" run_instructions
	;;
writes) run_writes ;;
scale) run_scale ;;
idle) run_idle ;;
"")
	command -v wrk >/dev/null || fail "install the package wrk"
	started=
	for server in ${SERVERS:-limit cache204 nginx squid varnish trafficserver}; do
		is_installed "$server" && start_server "$server" && warm "$server" && started="$started $server"
	done
	[ -n "$started" ] || fail "no server"
	# shellcheck disable=SC2086
	set -- $started
	SECONDS_EACH=${SECONDS_EACH:-$(($# > 3 ? 1 : 2))}
	run_loads
	print_tables
	;;
*) fail "usage: bench/run.sh [instructions | writes | scale | idle]" ;;
esac
