#!/bin/sh
# Usage: scripts/probe-flags.sh "CC" FLAG...
#
# Prints those of the flags that the compiler and its linker take here, one a line.  Some hardening is
# of one kind of processor (-fcf-protection, -mbranch-protection), some of newer compilers.
set -eu
compiler=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo 'int main(void) { return 0; }' >"$folder/probe.c"

# takes FLAG...: a warning is a refusal, too (clang only warns of a flag that it does not know)
takes() {
	# shellcheck disable=SC2086 # the compiler may be two words: ccache gcc
	$compiler -O2 -Werror "$@" -o "$folder/probe" "$folder/probe.c" 2>"$folder/errors"
}

if ! takes; then # nothing would be hardened, and nobody would see why
	cat "$folder/errors" >&2
	echo "probe-flags: $compiler does not build an empty program" >&2
	exit 1
fi
taken=
for flag; do
	# shellcheck disable=SC2086
	if takes $taken "$flag"; then
		taken="$taken $flag"
		echo "$flag"
	fi
done
