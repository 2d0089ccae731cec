#!/bin/sh
# Usage: scripts/check-messages.sh [FOLDER...]
#
# The voice of what the proxy says to an operator: lines of the log, errors of a start, causes.  Plain
# English, a lower case start (names of signals, protocols and options as they are), no full stop.
# Sentences of proxy/failures.def, which clients read, begin with a capital and end with a full stop.
set -u
failed=0
[ $# -gt 0 ] || set -- proxy cache conf

# The literals that begin what is written by these functions, one a line as FILE: "TEXT"
messages() {
	for file in $(find "$@" -name '*.c' | sort); do
		tr '\n\t' '  ' <"$file" | sed 's/\\"/'"'"'/g; s/"  *"//g' |
			grep -oE '(log_(error|info|debug)|cause_set|diagnostic_(set|add)|snprintf)\(([a-z&>.-]+, )? *"[^"]*"' |
			sed -E 's/^[a-z_]+\(([^"]*)//' | sed "s|^|$file: |"
	done
}

# complain WHY, with the offending lines on stdin
complain() {
	while read -r line; do
		printf '%s    <- %s\n' "$line" "$1"
		touch "$marks"
	done
}

marks=$(mktemp -u)
all=$(messages "$@")
sentences=$(sed -n 's/^FAILURE(.*"\([^"]*\)")$/failures: "\1"/p' $(find "$@" -name failures.def))
printf '%s\n' "$all" "$sentences" |
	grep -E '\b([Nn]obody|is none|told|makes an end)\b' | complain "say it plainly"
printf '%s\n' "$all" | grep -E ': "[A-Z]' | grep -vE ': "(TLS|PROXY|SIG|DNS|HTTP|CONNECT)\b' | complain "begins with a capital"
printf '%s\n' "$all" | grep -E '[^.]\."$' | complain "ends with a full stop"
printf '%s\n' "$sentences" | grep -vE ': "[A-Z].*\."$' | grep . | complain "a sentence begins with a capital and ends with a full stop"
count=$(printf '%s\n' "$all" "$sentences" | grep -c .)
if [ -e "$marks" ]; then
	rm -f "$marks"
	failed=1
elif [ "$count" -lt 100 ]; then
	echo "check-messages: finds only $count messages: it no longer knows how they are written"
	failed=1
else
	echo "check-messages: ok ($count messages)"
fi
exit $failed
