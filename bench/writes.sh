# shellcheck shell=bash disable=SC2154 # variables of run.sh and servers.sh
# bench/run.sh writes: how long hits take while others miss, or are stored.  Sourced by it.
#
#   HIT_RATE     5000 hits a second, of 1000 URIs
#   WRITE_RATE   5000 misses, or stores, a second beside them, all of different URIs
#   FULL_MIB     64, the size of the store that is full
#
# The rates are fixed, and latency counts from when a request was due (paced.c).  Hits are left out
# while a core was somebody else's; when most are left out, what is told is a choice, and the machine
# is too busy for this.  Beside nothing is the measure; beside misses that are not stored tells what
# the misses are to blame for, and the origin on the load's core; beside stores, what the store is.
# There are two stores: one with room, and one that is full, so that each write evicts.  What the
# machine and the load are to blame for shows with the limit, which has none.

HIT_RATE=${HIT_RATE:-5000}
WRITE_RATE=${WRITE_RATE:-5000}
FULL_MIB=${FULL_MIB:-64}
HOT=1000
latencies=$work/latencies

# The load's process ought to run when its time has come, whatever the origin does on its core.
real_time=$(chrt -f 1 true 2>/dev/null && echo chrt -f 1)

paced() { # server seconds stream...
	# shellcheck disable=SC2086
	$on_load_core $real_time $tools/paced "${port[$1]}" "${pid[$1]}" "${@:2}"
}

fill_store() { # directory size count path
	$tools/fill "$3" "http://127.0.0.1:$origin_port$4" "store=$1" "store_size=$2" >>"$work/fill.out" ||
		fail "cannot fill the store"
}

start_on_store() { # server directory size
	store_directory=$2 store_size=$3 start_server "$1" || exit 1
}

# Records put into the store and evicted so far.
stored_evicted() { # server
	[ "$1" = limit ] && echo 0 0 && return
	local stored evicted
	stored=$(metric "$1" store_stored_total) && evicted=$(metric "$1" store_evictions_total) || exit 1
	echo "$stored $evicted"
}

# One line: store beside p99.9_us p50_us p99_us max_us undisturbed p99.9_of_all_us hits stores_per_s evictions_per_s
measure_beside() { # server beside round
	local url=http://127.0.0.1:$origin_port before after stream=()
	case $2 in
	nothing) ;;
	misses) stream=("$WRITE_RATE" "$CONNECTIONS" 0 "$url/miss/") ;;
	stores) stream=("$WRITE_RATE" "$CONNECTIONS" 0 "$url/hit/$1/$3/") ;;
	esac
	before=$(stored_evicted "$1") || exit 1
	paced "$1" "$SECONDS_EACH" "$HIT_RATE" "$CONNECTIONS" $HOT "$url/hit/hot/" "${stream[@]}" >"$work/paced.out" ||
		fail "$1 beside $2: $(cat "$work/paced.out")"
	after=$(stored_evicted "$1") || exit 1
	awk -v key="${1#cache204-} $2" -v before="$before" -v after="$after" -v seconds="$SECONDS_EACH" '
		BEGIN { split(before, b, " "); split(after, a, " ") }
		{ print key, $10, $8, $9, $11, $7 / $1, $5, $2 / $1, (a[1] - b[1]) / seconds, (a[2] - b[2]) / seconds }' \
		"$work/paced.out" >>"$latencies"
}

print_writes() {
	describe_machine
	echo
	echo "$HIT_RATE hits a second of $HOT URIs, and beside them $WRITE_RATE misses or stores a second;" \
		"$CONNECTIONS connections each, the load $([ -n "$real_time" ] && echo with || echo without)" \
		"real-time priority; medians of $ROUNDS rounds of $SECONDS_EACH s, max of all rounds; latencies of undisturbed hits."
	echo
	echo "| Store | Beside the hits | p50 µs | p99 µs | p99.9 µs | × nothing | max µs | undisturbed % | p99.9 µs of all | hits % | stores/s | evictions/s |"
	echo "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
	awk "$medians"'
		END {
			for (k = 1; k <= keys; k++) {
				key = order[k]; split(key, part, " ")
				printf "| %s | %s | %.0f | %.0f | %.0f | %s | %.0f | %.1f | %.0f | %.2f | %.0f | %.0f |\n",
					part[1], part[2], median(key, 4), median(key, 5), median(key, 3),
					ratio(key, part[1] " nothing"), largest(key, 6), 100 * median(key, 7),
					median(key, 8), 100 * median(key, 9), median(key, 10), median(key, 11)
			}
		}' "$latencies"
}

run_writes() {
	local round server beside roomy full=$((FULL_MIB << 20))
	command -v curl >/dev/null || fail "install the package curl"
	is_installed cache204 || exit 1
	SECONDS_EACH=${SECONDS_EACH:-5}
	roomy=$(((64 << 20) + ROUNDS * SECONDS_EACH * WRITE_RATE * 1000))
	fill_store "$work/roomy" $roomy $HOT /hit/hot/
	fill_store "$work/full" $full $((full / 300)) /hit/cold/
	fill_store "$work/full" $full $HOT /hit/hot/
	start_on_store cache204-roomy "$work/roomy" $roomy
	start_on_store cache204-full "$work/full" $full
	start_server limit || exit 1
	for ((round = 1; round <= ROUNDS; round++)); do
		measure_beside limit nothing $round
		for server in cache204-roomy cache204-full; do
			for beside in nothing misses stores; do
				measure_beside $server $beside $round
			done
		done
	done
	print_writes
}
