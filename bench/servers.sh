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
	make -s $tools/limit $tools/origin $tools/ask $tools/paced $tools/fill $tools/idle >&2 || fail "cannot build the tools"
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

# Clock ticks that a process and its descendants have used, user and system.
cpu_ticks() { # pid
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" '
		{
			pid = $1
			sub(/^.*\) /, "") # the name of the program, which may hold anything
			parent[pid] = $2
			ticks[pid] = $12 + $13
		}
		END {
			for (pid in parent) {
				for (p = pid; p != root && p in parent; p = parent[p]) ;
				if (p == root) sum += ticks[pid]
			}
			print sum + 0
		}'
}

# Peers that refuse to be root are run as nobody; their directory is theirs.
as_nobody=
[ "$(id -u)" -ne 0 ] || as_nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"

# A directory for a peer, with its configuration: the template with the run's values in it.
configure() { # name template
	local directory=$work/$1
	mkdir -p "$directory"
	sed -e "s|@PORT@|$listen|g; s|@ORIGIN@|$origin_port|g; s|@DIRECTORY@|$directory|g; s|@USER@|$(id -un)|g" \
		"bench/peers/$2" >"$directory/${2##*/}"
	[ -z "$as_nobody" ] || { chmod 755 "$work" && chown -R 65534:65534 "$directory"; }
}

is_installed() { # name
	case $1 in
	limit) return 0 ;;
	cache204) [ -x "$CACHE204" ] || { note "skipping cache204: build it with make"; return 1; } ;;
	nginx) has_program nginx nginx-light ;;
	squid) has_program squid squid ;;
	varnish) has_program varnishd varnish ;;
	trafficserver) has_program traffic_server trafficserver ;;
	*) fail "no server $1" ;;
	esac
}

has_program() { # program package
	PATH=$PATH:/usr/sbin command -v "$1" >/dev/null && return
	note "skipping $2: install the package $2"
	return 1
}

# The command that stays in the foreground, in the array `command`.
# shellcheck disable=SC2206
server_command() { # name
	local file
	case $1 in
	limit) command=("$tools/limit" "$listen") ;;
	cache204 | cache204-*)
		admin_port[$1]=$(free_port)
		command=("$CACHE204" -o "listen=127.0.0.1:$listen" -o "admin=127.0.0.1:${admin_port[$1]}"
			-o "store=${store_directory:-$work/store.$listen}"
			-o "store_size=${store_size:-256MiB}" -o access_log= -o 'connect_ports=*'
			-o clients_max=20000 -o clients_per_address=20000 $OPTIONS)
		;;
	nginx)
		configure nginx nginx.conf
		command=(nginx -p "$work/nginx" -e "$work/nginx/error.log" -c "$work/nginx/nginx.conf")
		;;
	squid)
		configure squid squid.conf
		command=($as_nobody squid -N -n "bench$$" -f "$work/squid/squid.conf")
		;;
	varnish)
		configure varnish varnish.vcl
		command=(varnishd -F -j none -n "$work/varnish/run" -a "127.0.0.1:$listen"
			-s "malloc,64m" -f "$work/varnish/varnish.vcl")
		;;
	trafficserver)
		for file in records.config storage.config ip_allow.yaml runroot.yaml; do
			configure trafficserver trafficserver/$file
		done
		command=($as_nobody traffic_server "--run-root=$work/trafficserver/runroot.yaml")
		;;
	esac
}

# A server that may not be open yet.
launch_server() { # name
	local listen command
	listen=$(free_port)
	PATH=$PATH:/usr/sbin
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

# Ask until the answers come from the store.
is_warm() { # name
	local before
	before=$(origin_asked)
	$tools/ask "${port[$1]}" "http://127.0.0.1:$origin_port/hit" 100 >/dev/null
	[ $(($(origin_asked) - before)) -eq 1 ]
}

warm() { # name
	[ "$1" = limit ] && return
	wait_for 5 is_warm "$1" || note "$1 does not store the 204: what is told as its hits are misses"
}

describe_machine() {
	local model
	model=$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)
	echo "${model:-$(uname -m)}, $(nproc) cores, Linux $(uname -r)," \
		"commit $(git rev-parse --short HEAD 2>/dev/null || echo none), $(date -u +%F)."
}
