#!/bin/sh
# Usage: scripts/check-options.sh
#
# Each row of conf/options.def has an entry in the manual and a line in the sample, and neither has one
# that is no row; each row of conf/rule_options.def has an entry in the manual; each field of the access log has an entry in the manual, and none that is no field.
set -u
failed=0
manual=conf/cache204.conf.5
sample=conf/cache204.conf.example

rows=$(sed -n 's/^OPTION_[A-Z]*(\([a-z0-9_]*\),.*/\1/p' conf/options.def | sort)
[ -n "$rows" ] || { echo "check-options: no rows in conf/options.def"; exit 1; }

# compare FILE, the names in it on standard input
compare() {
	names=$(sort)
	for name in $rows; do
		printf '%s\n' "$names" | grep -qx "$name" || { echo "$1: no $name"; failed=1; }
	done
	for name in $names; do
		printf '%s\n' "$rows" | grep -qx "$name" || { echo "$1: $name is no option"; failed=1; }
	done
	for name in $(printf '%s\n' "$names" | uniq -d); do echo "$1: $name twice"; failed=1; done
}

compare $manual <<END
$(sed -n 's/^\.It Ic \([a-z0-9_]*\).*/\1/p' $manual)
END
ruled=$(sed -n 's/^OPTION_[A-Z]*(\([a-z0-9_]*\),.*/\1/p' conf/rule_options.def | sort)
shown=$(sed -n 's/^\.It Cm \([a-z0-9_]*\).*/\1/p' $manual | sort)
[ "$ruled" = "$shown" ] || { echo "$manual: options of rules: not those of conf/rule_options.def"; failed=1; }
fields=$(sed -n 's/^LOG_[A-Z]*(\([a-z0-9_]*\),.*/\1/p' conf/log_fields.def | sort)
shown=$(sed -n 's/^\.It Li \$\([a-z0-9_]*\).*/\1/p' $manual | sort)
[ "$fields" = "$shown" ] || { echo "$manual: fields of the access log: not those of conf/log_fields.def"; failed=1; }
compare $sample <<END
$(sed -n 's/^\([a-z0-9_]*\) *=.*/\1/p' $sample)
END

[ "$failed" -eq 0 ] && echo "check-options: ok"
exit "$failed"
