#!/bin/sh
# Usage: scripts/check-rulers.sh FILE...
#
# The rulers between the sections of a file, /* ---- what ---- */, are all of one width.
awk '
	/^\/\* --/ {
		count++
		if (length($0) != 99) {
			print FILENAME ":" FNR ": a ruler of " length($0) " columns, not 99"
			failed = 1
		}
	}
	END {
		if (!failed) print "check-rulers: ok, " count " of one width"
		exit failed || !count
	}' "$@"
