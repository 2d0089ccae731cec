#!/bin/sh
# Usage: scripts/cover.sh BUILD
#
# Of each source, lines and branches that a build with --coverage ran, the least covered first, then the sums, also in
# BUILD/../cover.txt.  A branch is run when it was taken at least once.
set -eu
build=$1
find "$build"/obj/proxy "$build"/obj/cache "$build"/obj/conf -name '*.gcda' |
	xargs gcov -n -b 2>/dev/null |
	awk '
	function put() {
		if (file !~ /^(proxy|cache|conf)\/.*\.c$/ || !lines_of) return
		printf "%6.1f%% of %4d lines, %5.1f%% of %4d branches  %s\n", lines, lines_of, branches, branches_of, file | "sort -n"
		run += lines * lines_of / 100; all += lines_of
		taken += branches * branches_of / 100; ways += branches_of
	}
	{ split($2, part, /[:%]/) }
	/^(No c|C)alls/ { put(); file = "" } # the last line of a file; a sum of all follows the last one
	/^File / { file = $2; gsub(/\047/, "", file); lines_of = 0; branches = 100; branches_of = 0 }
	/^Lines executed/ { lines = part[2]; lines_of = $4 }
	/^Taken at least once/ { split($4, part, /[:%]/); branches = part[2]; branches_of = $6 }
	END {
		close("sort -n")
		if (!all) exit 1
		printf "cover: lines %.1f %% of %d\ncover: branches %.1f %% of %d\n", 100 * run / all, all, 100 * taken / ways, ways
	}' | tee "$build/../cover.txt"
