#!/bin/sh
# Usage: scripts/check-length.sh LINES FILE...
#
# Lists functions longer than LINES, a warning and no error, and tells the longest and the median.
limit=$1
shift
awk -v limit="$limit" '
	/^[A-Za-z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
	/^{/ { start = FNR }
	/^}$/ && start {
		length_of = FNR - start - 1
		print length_of, FILENAME ":" start - 1, name
		start = 0
	}' "$@" | sort -n | awk -v limit="$limit" '
	{ length_of[NR] = $1; line[NR] = $2 " " $3 " " $1 " lines" }
	END {
		for (i = NR; i > 0 && length_of[i] > limit; i--) print "long: " line[i]
		if (NR) print "check-length: " NR " functions, median " length_of[int((NR + 1) / 2)] \
			", longest " line[NR]
	}'
