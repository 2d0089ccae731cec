#!/bin/sh
# Usage: scripts/unit.sh LOGS PROGRAM...
#
# Runs unit test programs (cmocka), shows the output of those that fail, and closes with the sum.  One that
# cannot run says so, "skipped: why", and exits with 0.
# RUN_WITH is a command that runs them, an emulator.  MAY_FAIL has the names of tests whose failure is
# shown and not counted, for who sets it knows why; their programs must run to the end all the same.
# As many run at once as there are processors, each into its own log, with its exit status beside that.
# In continuous checks ($CI) a program that fails is run once more, as scripts/functional.sh does.
set -u
logs=$1
shift

if [ "$logs" = --one ]; then # LOGS PROGRAM: by ourselves
	log=$1/${2##*/} status=0
	# shellcheck disable=SC2086 # a command and its options
	${RUN_WITH:-} "$2" >"$log.log" 2>&1 || status=$?
	echo "$status" >"$log.status"
	exit 0
fi
mkdir -p "$logs"
rm -f "$logs"/*.status
passed=0 failed=0 allowed=0 again=0

# Looks at one program; sets ok to how many of its tests passed, bad to how many failed, may to those that may.
look() { # program
	name=${1##*/} bad=0 may=0
	log=$logs/$name.log
	status=$(cat "$logs/$name.status" || echo 255)
	ok=$(grep -c '^\[       OK \]' "$log")
	names=$(sed -n 's/^\[  FAILED  \] \([^ ]*\)$/\1/p' "$log" | sort -u)
	for failure in $names; do
		case " ${MAY_FAIL:-} " in
		*" $failure "*) echo "$name: $failure failed, as it may"; may=$((may + 1)) ;;
		*) bad=$((bad + 1)) ;;
		esac
	done
	if [ "$status" -eq 0 ] && grep -q '^skipped: ' "$log"; then
		sed -n "s/^skipped: /$name: skipped: /p" "$log"
		return 0
	fi
	[ -z "$names" ] || [ "$bad" -ne 0 ] || ! grep -q '^\[==========\].* test(s) run' "$log" || status=0
	[ "$status" -ne 0 ] || [ "$bad" -ne 0 ] || [ "$ok" -eq 0 ] || return 0
	cat "$log"
	echo "$name: exit status $status, $ok tests passed"
	[ "$bad" -ne 0 ] || bad=1
	return 1
}

printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 "$0" --one "$logs"
for program in "$@"; do
	if ! look "$program" && [ -n "${CI:-}" ] && [ "$again" -lt 3 ]; then
		again=$((again + 1))
		"$0" --one "$logs" "$program"
		look "$program" && echo "unit: unsteady, failed and then passed: $name"
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	allowed=$((allowed + may))
done
echo "unit: $passed passed, $failed failed$([ "$allowed" -eq 0 ] || echo ", $allowed that may fail")"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
