#!/bin/sh
# Usage: scripts/unit.sh LOGS PROGRAM...
#
# Runs unit test programs (cmocka), shows the output of those that fail, and closes with the sum.
# RUN_WITH is a command that runs them, an emulator.  MAY_FAIL has the names of tests whose failure is
# shown and not counted, for who sets it knows why; their programs must run to the end all the same.
set -u
logs=$1
shift
mkdir -p "$logs"
passed=0 failed=0 allowed=0
for program in "$@"; do
	name=${program##*/}
	log=$logs/$name.log
	status=0
	# shellcheck disable=SC2086 # a command and its options
	${RUN_WITH:-} "$program" >"$log" 2>&1 || status=$?
	ok=$(grep -c '^\[       OK \]' "$log")
	names=$(sed -n 's/^\[  FAILED  \] \([^ ]*\)$/\1/p' "$log" | sort -u)
	bad=0
	for failure in $names; do
		case " ${MAY_FAIL:-} " in
		*" $failure "*) echo "$name: $failure failed, as it may"; allowed=$((allowed + 1)) ;;
		*) bad=$((bad + 1)) ;;
		esac
	done
	[ -z "$names" ] || [ "$bad" -ne 0 ] || ! grep -q '^\[==========\].* test(s) run' "$log" || status=0
	if [ "$status" -ne 0 ] || [ "$bad" -ne 0 ] || [ "$ok" -eq 0 ]; then
		cat "$log"
		echo "$name: exit status $status, $ok tests passed"
		[ "$bad" -ne 0 ] || bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
done
echo "unit: $passed passed, $failed failed$([ "$allowed" -eq 0 ] || echo ", $allowed that may fail")"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
