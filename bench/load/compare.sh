#!/bin/sh
# Load tests side by side: bench/load/compare.sh NAME [wrk's arguments]
# runs wrk between the marks NAME and NAME-end of a running proxy, and shows all such runs, the proxy's view
# of each: what clients and origins got, how fast. Run it as A, change something, run it as B. ADMIN is the
# proxy's admin address, ADDRESS:PORT; without arguments wrk asks PROXY for what ORIGIN stores (hit.lua).
set -eu
here=$(dirname "$0")
admin=${ADMIN:-127.0.0.1:3129} proxy=${PROXY:-127.0.0.1:3128} origin=${ORIGIN:-127.0.0.1:8080}
admin=${admin#http://}
[ $# -ge 1 ] || { sed -n 2,5p "$0" | cut -c3-; exit 2; }
name=$1
shift
[ $# -gt 0 ] || set -- -t1 -c64 -d10s -s "$here/hit.lua" "http://$proxy" -- "$origin"

ask() { curl -sS --fail-with-body --noproxy '*' "$@"; }
note=$(printf '%s ' "$@" | cut -c1-80)
ask -o /dev/null -X POST "http://$admin/marks/$name?note=$(printf %s "$note" | sed 's/%/%25/g; s/&/%26/g; s/+/%2b/g; s/#/%23/g; s/ /+/g')"
wrk "$@" >/dev/null
ask -o /dev/null -X POST "http://$admin/marks/$name-end"

printf '%-16s %9s %9s %7s %8s %8s %8s %9s %7s\n' run requests per-s share p50-us p99-us miss-p99 origins errors
ask "http://$admin/marks" | sed -n 's/.*"name": "\([^"]*\)-end".*/\1/p' | while read -r run; do
	ask "http://$admin/stats?since=$run&until=$run-end" 2>/dev/null | python3 -c '
import json, sys
try:
    run = json.load(sys.stdin)
except ValueError:
    sys.exit()  # its first mark has gone
share = "-" if run["share"] is None else "%.2f" % (100 * run["share"])
print("%-16s %9d %9.0f %7s %8d %8d %8d %9d %7d" % (run["since"], run["requests"], run["rate"], share,
      run["latency_us"]["p50"], run["latency_us"]["p99"], run["miss_us"]["p99"], run["origin"], run["errors"]))'
done
