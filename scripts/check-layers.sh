#!/bin/sh
# Usage: scripts/check-layers.sh
#
# Each library is included by its home files only; folders include themselves and those to their right
# in proxy -> cache -> conf; the rules in cache/ neither print nor look at a clock nor open a socket.
set -u
failed=0

# complain WHY LINES
complain() {
	[ -n "$2" ] || return 0
	printf '%s\n' "$2" | sed "s|\$|    <- $1|"
	failed=1
}

# home HEADER FILE...
home() {
	header=$1
	shift
	allowed=$(printf '|%s' "$@" | cut -c 2-)
	complain "its home is: $*" "$(grep -nE "^[ 	]*#[ 	]*include[ 	]*[<\"]$header[>\"]" \
		proxy/*.[ch] cache/*.[ch] conf/*.[ch] | grep -vE "^($allowed):")"
}

# no_include FOLDER PREFIX...
no_include() {
	folder=$1
	shift
	for prefix in "$@"; do
		complain "$folder/ does not know $prefix/" \
			"$(grep -nE "^[ 	]*#[ 	]*include[ 	]*\"$prefix/" "$folder"/*.[ch])"
	done
}

home 'http_parser\.h' proxy/parse_head.c
home 'ev\.h' proxy/deadline.h proxy/conn.c proxy/listener.c proxy/resolver.c proxy/worker.c
home 'ares\.h' proxy/dns_channel.c
home 'jansson\.h' proxy/report.c
home 'openssl/.*' proxy/tls.c
home 'lmdb\.h' cache/store_lmdb.c
home 'xxhash\.h' cache/key.c cache/record.c proxy/budgets.c proxy/credentials.c proxy/parse_memo.c
home 'crypt\.h' proxy/credentials.c
home 'confuse\.h' conf/conf.c
home 'uthash\.h' cache/table.h

no_include conf cache proxy tests bench
no_include cache proxy tests bench
no_include proxy tests bench

# Bytes that are taken back are read by functions that know when (cache/view.h).
complain 'a record is read by the functions of cache/record.h' "$(grep -nE \
	'(record|old|view)(->|\.)(meta|vary|head_304|head_rest|etag|last_modified|bytes)\>' proxy/*.[ch])"

complain 'the rules are pure' "$(ls cache/*.c | grep -vE '^cache/(store_lmdb|shared_map|cache)\.c$' | xargs \
	grep -nwE '(printf|fprintf|puts|perror|syslog|time|clock_gettime|gettimeofday|socket|getenv)\(')"

[ "$failed" -eq 0 ] && echo "check-layers: ok"
exit "$failed"
