#!/bin/sh
# Usage: scripts/check-tables.sh
#
# No two rows of a table (*.def) begin with the same name; where a row's text is what others see it by
# (a field, a directive, a reason), no two rows have the same text.
set -u
failed=0

# unique TABLE PATTERN
unique() {
	[ -f "$1" ] || return 0
	twice=$(sed -n "$2" "$1" | sort | uniq -d)
	[ -z "$twice" ] || { echo "$1: twice:" $twice; failed=1; }
}

for table in $(find proxy cache conf -name "*.def"); do
	unique "$table" 's/^[A-Z][A-Z_]*(\([A-Za-z0-9_]*\)[,)].*/\1/p'
done
for table in cache/http/fields.def cache/policy/directives.def cache/policy/reasons.def; do
	unique "$table" 's/^[A-Z][A-Z_]*([^"]*"\([^"]*\)".*/\1/p'
done

[ "$failed" -eq 0 ] && echo "check-tables: ok"
exit "$failed"
