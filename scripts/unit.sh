#!/bin/sh
# Usage: scripts/unit.sh LOGS PROGRAM...
#
# Runs unit test programs (cmocka), shows the output of those that fail, and closes with the sum.
set -u
logs=$1
shift
mkdir -p "$logs"
passed=0 failed=0
for program in "$@"; do
	name=${program##*/}
	log=$logs/$name.log
	status=0
	"$program" >"$log" 2>&1 || status=$?
	ok=$(grep -c '^\[       OK \]' "$log")
	bad=$(grep '^\[  FAILED  \] [^ ]*$' "$log" | sort -u | wc -l)
	if [ "$status" -ne 0 ] || [ "$bad" -ne 0 ] || [ "$ok" -eq 0 ]; then
		cat "$log"
		echo "$name: exit status $status, $ok tests passed"
		[ "$bad" -ne 0 ] || bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
done
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
