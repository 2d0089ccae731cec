#!/bin/sh
# Usage: scripts/fuzz.sh TARGET SECONDS
#
# Runs one libFuzzer target.  New inputs stay in build/fuzz/corpus/TARGET; one that fails is written to
# build/fuzz/TARGET-crash-... and belongs into tests/fuzz/corpus/TARGET with the fix.
set -eu
target=$1
seconds=$2
found=build/fuzz/corpus/$target
log=build/fuzz/$target.log
dictionary=tests/fuzz/$target.dict
mkdir -p "$found"
if ! build/fuzz/fuzz_"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
	-artifact_prefix=build/fuzz/"$target"- $([ ! -f "$dictionary" ] || echo "-dict=$dictionary") \
	"$found" tests/fuzz/corpus/"$target" >"$log" 2>&1; then
	tail -40 "$log"
	echo "fuzz_$target: failed, see $log" >&2
	exit 1
fi
echo "fuzz_$target: $(grep -o 'Done [0-9]* runs in [0-9]* second' "$log")s"
