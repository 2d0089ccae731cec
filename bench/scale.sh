# shellcheck shell=bash disable=SC2154 # variables of run.sh and servers.sh
# bench/run.sh scale: what a store's size does to hits, to starting, and to purging it.  Sourced by
# run.sh, after writes.sh.
#
#   RECORDS      "1000 5000000", the sizes of the stores, ascending
#   HIT_RATE     5000 hits a second while the largest is purged
#   PURGE_WAIT   600 seconds at most for that
#
# The stores are filled by fill.c.  Start-up is from exec to the first answered hit, after a stop in
# good order and after a kill -9; the files are in the page cache then.  User and system time are as
# the kernel tells them apart, by looking at each tick, so they take some seconds to be true.

RECORDS=${RECORDS:-"1000 5000000"}
PURGE_WAIT=${PURGE_WAIT:-600}
starts=$work/starts
PURGE_HOT=10 # so few that their own misses, when they are purged, are less than one in a thousand

store_size_of() { # records
	echo $(((64 << 20) + $1 * 1000))
}

has_hit() { # server
	"$tools/ask" "${port[$1]}" "http://127.0.0.1:$origin_port/hit/0" 1 2>/dev/null | grep -q '; hit'
}

start_on_records() { # records command...
	store_directory=$work/store-$1 store_size=$(store_size_of "$1") "${@:2}"
}

# One line: records after ms
time_start() { # records after
	local name=cache204-$1 began end=$((SECONDS + 60))
	began=$(date +%s%N)
	start_on_records "$1" launch_server "$name"
	until has_hit "$name"; do
		if [ $SECONDS -ge $end ] || ! kill -0 "${pid[$name]}" 2>/dev/null; then
			fail "$name did not answer: $(tail -5 "$work/$name.out")"
		fi
		sleep 0.002
	done
	echo "$1 $2 $((($(date +%s%N) - began) / 1000))" >>"$starts"
}

kill_server() { # name
	kill -KILL "${pid[$1]}"
	wait "${pid[$1]}" 2>/dev/null
	unset "pid[$1]"
}

time_starts() { # records
	local round
	for ((round = 1; round <= ROUNDS; round++)); do
		time_start "$1" stop
		kill_server "cache204-$1"
		time_start "$1" kill
		stop_server "cache204-$1"
	done
}

user_system() { # server
	sed 's/.*) //' "/proc/${pid[$1]}/stat" | awk '{ print $12, $13 }'
}

# One line: load records user_us system_us requests_per_s origin_requests_per_request
measure_size() { # server load
	local asked before
	asked=$(origin_asked) before=$(user_system "$1")
	run_wrk "$1" "$2" "${SECONDS_EACH}s" >"$work/wrk.out" 2>&1 || fail "wrk: $(cat "$work/wrk.out")"
	asked=$(($(origin_asked) - asked - 1))
	awk -v key="$2 ${1#cache204-}" -v before="$before" -v after="$(user_system "$1")" -v asked=$asked \
		-v hz="$(getconf CLK_TCK)" '
		$2 == "requests" && $3 == "in" { n = $1 }
		$1 == "Requests/sec:" { rate = $2 }
		END {
			if (!n) exit 1
			split(before, b, " "); split(after, a, " ")
			print key, (a[1] - b[1]) * 1e6 / hz / n, (a[2] - b[2]) * 1e6 / hz / n, rate, asked / n
		}' "$work/wrk.out" >>"$results" || fail "$1 answered nothing: $(cat "$work/wrk.out")"
}

# All sizes in turn; the first round, in which pages are mapped, does not count.
measure_sizes() {
	local round records load
	for ((round = 0; round <= ROUNDS; round++)); do
		for load in random random_pipelined; do
			for records in $RECORDS; do
				measure_size "cache204-$records" $load
			done
		done
		[ $round -gt 0 ] || rm "$results"
	done
}

# One line: purge when p99.9_us p50_us p99_us max_us undisturbed p99.9_of_all_us hits
measure_paced() { # server when
	paced "$1" "$SECONDS_EACH" "$HIT_RATE" "$CONNECTIONS" $PURGE_HOT "http://127.0.0.1:$origin_port/hit/" \
		>"$work/paced.out" || fail "$1 $2 the purge: $(cat "$work/paced.out")"
	awk -v key="purge $2" '{ print key, $10, $8, $9, $11, $7 / $1, $5, $2 / $1 }' "$work/paced.out" >>"$latencies"
}

measure_purge() { # server
	local round end status began
	for ((round = 1; round <= ROUNDS; round++)); do
		measure_paced "$1" before
	done
	status=$(curl -s -m 10 -o /dev/null -w '%{http_code}' -X POST "http://127.0.0.1:${admin_port[$1]}/purge")
	[ "$status" = 202 ] || { note "no purge: POST /purge is answered $status"; return; }
	began=$SECONDS end=$((SECONDS + PURGE_WAIT))
	until [ "$(metric "$1" store_entries)" -le $PURGE_HOT ]; do
		[ $SECONDS -lt $end ] || break
		measure_paced "$1" during
	done
	note "$(metric "$1" store_entries) records are left $((SECONDS - began)) s after the purge began"
}

print_sizes() {
	echo
	echo "Hits on URIs at random; $CONNECTIONS connections, pipelined $DEPTH deep, medians of $ROUNDS rounds of" \
		"$SECONDS_EACH s."
	echo
	echo "| Load | Records | user µs/hit | × ${RECORDS%% *} | system µs/hit | requests/s | origin requests per request |"
	echo "|---|---:|---:|---:|---:|---:|---:|"
	awk -v least="${RECORDS%% *}" "$medians"'
		END {
			for (k = 1; k <= keys; k++) {
				key = order[k]; split(key, part, " ")
				printf "| %s | %s | %.2f | %s | %.2f | %.0f | %.4f |\n", part[1], part[2], median(key, 3),
					ratio(key, part[1] " " least), median(key, 4), median(key, 5), median(key, 6)
			}
		}' "$results"
}

print_starts() {
	echo
	echo "From exec to the first answered hit, medians of $ROUNDS."
	echo
	echo "| Records | After a | ms |"
	echo "|---:|---|---:|"
	awk "$medians"'
		END {
			for (k = 1; k <= keys; k++) {
				split(order[k], part, " ")
				printf "| %s | %s | %.0f |\n", part[1], part[2], median(order[k], 3) / 1000
			}
		}' "$starts"
}

print_purge() { # records
	echo
	echo "$HIT_RATE hits a second of $PURGE_HOT URIs, while $1 records are purged: medians of runs of" \
		"$SECONDS_EACH s, max of all runs; latencies of undisturbed hits."
	echo
	echo "| Purge | runs | p50 µs | p99 µs | p99.9 µs | × before | max µs | undisturbed % | p99.9 µs of all | hits % |"
	echo "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
	awk "$medians"'
		END {
			for (k = 1; k <= keys; k++) {
				key = order[k]; split(key, part, " ")
				printf "| %s | %d | %.0f | %.0f | %.0f | %s | %.0f | %.1f | %.0f | %.2f |\n", part[2],
					count[key], median(key, 4), median(key, 5), median(key, 3),
					ratio(key, "purge before"), largest(key, 6), 100 * median(key, 7), median(key, 8),
					100 * median(key, 9)
			}
		}' "$latencies"
}

run_scale() {
	local records
	command -v wrk >/dev/null || fail "install the package wrk"
	is_installed cache204 || exit 1
	SECONDS_EACH=${SECONDS_EACH:-5}
	for records in $RECORDS; do
		fill_store "$work/store-$records" "$(store_size_of "$records")" "$records" /hit/
		sync "$work/store-$records"/* # not while something is measured
		time_starts "$records"
	done
	for records in $RECORDS; do
		start_on_records "$records" start_server "cache204-$records" || exit 1
	done
	measure_sizes
	measure_purge "cache204-${RECORDS##* }"
	describe_machine
	print_sizes
	print_starts
	print_purge "${RECORDS##* }"
}
