# shellcheck shell=bash
# Starting and ending what bench/run.sh measures: sourced by it, from the root of the repository.

CACHE204=${CACHE204:-build/cache204}
OPTIONS=${OPTIONS:-}
tools=build/bench
work=$(mktemp -d "${TMPDIR:-/tmp}/cache204-bench.XXXXXX")
declare -A port admin_port pid
origin_port=

# The first core that we may use is for the load and the origin, the last for the server.
cores=$(taskset -cp $$ 2>/dev/null | sed 's/.*: //')
on_load_core="taskset -c ${cores%%[,-]*}"
on_server_core="taskset -c ${cores##*[,-]}"
under=${UNDER:-}

fail() {
	echo "bench: $*" >&2
	exit 1
}

note() {
	echo "bench: $*" >&2
}

stop_server() { # name
	kill "${pid[$1]}" 2>/dev/null && wait "${pid[$1]}" 2>/dev/null
	unset "pid[$1]"
}

finish() {
	local name
	for name in "${!pid[@]}"; do
		stop_server "$name"
	done
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# By the Makefile: their first lines say what they link.
build_tools() {
	make -s $tools/limit $tools/origin $tools/ask $tools/paced $tools/fill >&2 || fail "cannot build the tools"
}

is_open() { # port
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A port that nobody listens on.  Below those that the kernel gives to connections.
free_port() {
	local try
	for try in {1..50}; do
		try=$((20000 + RANDOM % 10000))
		is_open $try || break
	done
	echo $try
}

wait_for() { # seconds command...
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

is_alive_and() { # pid command...
	kill -0 "$1" 2>/dev/null || return 0
	"${@:2}"
}

start_origin() {
	$on_load_core $tools/origin 0 >"$work/origin.port" &
	pid[origin]=$!
	wait_for 5 test -s "$work/origin.port" || fail "the origin did not start"
	origin_port=$(cat "$work/origin.port")
}

# How many requests the origin has had, this one not counted.
origin_asked() {
	local line
	exec 3<>"/dev/tcp/127.0.0.1/$origin_port"
	printf 'GET /asked HTTP/1.1\r\n\r\n' >&3
	while IFS= read -r line <&3 && [ "$line" != $'\r' ]; do :; done
	read -r line <&3
	exec 3>&-
	echo "$line"
}

is_installed() { # name
	[ "$1" != cache204 ] || [ -x "$CACHE204" ] || { note "skipping cache204: build it with make"; return 1; }
}

# The command that stays in the foreground, in the array `command`.
# shellcheck disable=SC2206
server_command() { # name
	case $1 in
	limit) command=("$tools/limit" "$listen") ;;
	cache204 | cache204-*)
		admin_port[$1]=$(free_port)
		command=("$CACHE204" -o "listen=127.0.0.1:$listen" -o "admin=127.0.0.1:${admin_port[$1]}"
			-o "store=${store_directory:-$work/store.$listen}"
			-o "store_size=${store_size:-256MiB}" -o access_log= -o 'connect_ports=*'
			-o clients_max=20000 -o clients_per_address=20000 $OPTIONS)
		;;
	esac
}

# A server that may not be open yet.
launch_server() { # name
	local listen command
	listen=$(free_port)
	server_command "$1"
	# shellcheck disable=SC2086
	$on_server_core $under "${command[@]}" >"$work/$1.out" 2>&1 &
	pid[$1]=$!
	port[$1]=$listen
}

start_server() { # name
	launch_server "$1"
	wait_for 20 is_alive_and "${pid[$1]}" is_open "${port[$1]}"
	if ! kill -0 "${pid[$1]}" 2>/dev/null || ! is_open "${port[$1]}"; then
		note "$1 did not start: $(tail -5 "$work/$1.out")"
		return 1
	fi
}

# A number of cache204's own statistics.
metric() { # name metric
	curl -s -m 5 "http://127.0.0.1:${admin_port[$1]}/metrics" |
		awk -v name="cache204_$2" '$1 == name { print $2; found = 1 } END { exit !found }' ||
		fail "$1 does not tell $2"
}

describe_machine() {
	local model
	model=$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)
	echo "${model:-$(uname -m)}, $(nproc) cores, Linux $(uname -r)," \
		"commit $(git rev-parse --short HEAD 2>/dev/null || echo none), $(date -u +%F)."
}
