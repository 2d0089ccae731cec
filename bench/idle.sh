# shellcheck shell=bash disable=SC2154 # variables of run.sh and servers.sh
# bench/run.sh idle: what a connection costs that has asked once and is kept.  Sourced by run.sh.
#
#   IDLE   10000 connections
#
# Told is the memory of the server's processes, without what they share with each other counted
# twice, from before the connections to when all are idle; the kernel's buffers are not in it.

IDLE=${IDLE:-10000}

# Proportional set size of a process and its children.
memory_kib() { # pid
	local process sum=0
	for process in "$1" $(pgrep -P "$1"); do
		sum=$((sum + $(awk '$1 == "Pss:" { print $2 }' "/proc/$process/smaps_rollup")))
	done
	echo $sum
}

idle_row() { # server
	local before after
	wait_for 5 is_warm "$1"
	before=$(memory_kib "${pid[$1]}")
	"$tools/idle" "${port[$1]}" "http://127.0.0.1:$origin_port/hit" "$IDLE" >"$work/idle" 2>"$work/idle.error" &
	pid[idle]=$!
	if ! wait_for 60 is_alive_and "${pid[idle]}" test -s "$work/idle" || [ ! -s "$work/idle" ]; then
		note "$1 does not take $IDLE connections: $(cat "$work/idle.error")"
	else
		after=$(memory_kib "${pid[$1]}")
		echo "| $1 | $IDLE | $before | $after | $(((after - before) * 1024 / IDLE)) |"
	fi
	stop_server idle
}

run_idle() {
	local server
	describe_machine
	echo
	echo "| Server | Connections | KiB before | KiB with all idle | bytes each |"
	echo "|---|---:|---:|---:|---:|"
	for server in ${SERVERS:-cache204 trafficserver}; do
		is_installed "$server" || continue
		start_server "$server" || continue
		idle_row "$server"
		stop_server "$server"
	done
}
