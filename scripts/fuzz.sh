#!/bin/sh
# Usage: scripts/fuzz.sh TARGET SECONDS
#
# Runs one libFuzzer target and prints what came of it, a line that is added to build/fuzz.txt.  New inputs stay in
# build/fuzz/corpus/TARGET; one that fails is written to build/fuzz/TARGET-crash-... and belongs into
# tests/fuzz/corpus/TARGET with the fix.
set -eu
target=$1
seconds=$2
found=build/fuzz/corpus/$target
log=build/fuzz/$target.log
dictionary=tests/fuzz/$target.dict
mkdir -p "$found"
result="nothing found"
began=$(date +%s)
build/fuzz/fuzz_"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	-artifact_prefix=build/fuzz/"$target"- $([ ! -f "$dictionary" ] || echo "-dict=$dictionary") \
	"$found" tests/fuzz/corpus/"$target" >"$log" 2>&1 || result="a finding"
# "cov:" counts the branches (edges) of the code that was compiled to be fuzzed and is linked into this target.
awk -v target="$target" -v result="$result" -v seconds="$(($(date +%s) - began))" '
	/^INFO: Loaded .* PC tables/ { gsub(/[()]/, ""); edges = $6 }
	/^#[0-9]/ { for (i = 1; i < NF; i++) if ($i == "cov:") covered = $(i + 1) }
	/^stat::number_of_executed_units/ { runs = $2 }
	END { printf "%s: %s s, %s runs, %s of %s edges, %s\n", target, seconds, runs, covered, edges, result }' "$log" |
	tee -a build/fuzz.txt
[ "$result" = "nothing found" ] || {
	tail -40 "$log"
	echo "fuzz_$target: failed, see $log" >&2
	exit 1
}
