#!/bin/sh
# Usage: scripts/cover.sh BUILD
#
# Lines of each source that a build with --coverage ran, the least covered first, then the sum.
set -eu
build=$1
find "$build"/obj/proxy "$build"/obj/cache "$build"/obj/conf -name '*.gcda' |
	xargs gcov -n 2>/dev/null |
	awk '
	/^File / { file = $2; gsub(/\047/, "", file) }
	/^Lines executed/ && file ~ /^(proxy|cache|conf)\/.*\.c$/ {
		split($2, part, /[:%]/)
		printf "%6.1f%% of %4d  %s\n", part[2], $4, file | "sort -n"
		run += part[2] * $4 / 100; all += $4; file = ""
	}
	END { close("sort -n"); if (!all) exit 1; printf "cover: %.1f%% of %d lines\n", 100 * run / all, all }'
