#!/bin/sh
# Usage: scripts/deps.sh GROUP...           groups: run, try, test, check, analyze, fuzz, bench, peers, deb, deb-try, arm64
#        scripts/deps.sh --list GROUP...
#        scripts/deps.sh --optional GROUP...
#
# Installs, with apt, the packages of the groups that are missing here, and nothing else.  Silent when
# nothing is missing.  Where that cannot be done it prints the list and fails.  --list prints names only.
# --optional installs each that can be, names the others, and starts no service of what it installs.
set -eu

packages() {
	case $1 in
	run) cat <<-'END'
		gcc                  compiler
		libc6-dev            C library headers
		libev-dev            event loop
		libhttp-parser-dev   HTTP/1 parser
		liblmdb-dev          the store
		libc-ares-dev        DNS without blocking
		libconfuse-dev       configuration file
		libjansson-dev       statistics as JSON
		libxxhash-dev        hash of keys
		uthash-dev           hash tables in memory
		libssl-dev           TLS to origins
		libcrypt-dev         password file
		END
		;;
	try) cat <<-'END'
		python3              an origin and a client
		END
		;;
	test) cat <<-'END'
		libcmocka-dev        unit tests
		python3              functional tests
		python3-pytest       their runner
		python3-pytest-xdist many of them at once
		openssl              certificates of the tests
		curl                 a client
		wget                 another client
		haproxy              a load balancer in front
		strace               system calls of a hit
		libfaketime          a wall clock that tests set about
		END
		;;
	check) cat <<-'END'
		clang-format         layout of the sources
		clang-tidy           static analysis
		mandoc               lint of the manual pages
		valgrind             counting instructions
		python3              what has them counted
		END
		;;
	analyze) cat <<-'END'
		gcc                  compiler with an analyzer
		clang-tidy           another analyzer
		cppcheck             another one
		python3              what compares what they find
		END
		;;
	fuzz) cat <<-'END'
		clang                compiler with libFuzzer
		libclang-rt-dev      its run time
		END
		;;
	bench) cat <<-'END'
		wrk                  load
		curl                 downloads
		openssl              certificates of the run
		python3              what has it measured
		END
		;;
	peers) cat <<-'END'
		nginx                a cache
		squid                another
		varnish              another
		trafficserver        another
		apache2              another
		END
		;;
	deb) cat <<-'END'
		build-essential      building packages, which every package's build may count on
		debhelper            what all packages do alike
		lintian              checks of packages
		libcmocka-dev        unit tests, run while it is built
		END
		;;
	deb-try) cat <<-'END'
		debootstrap          a system to install the package in
		python3              an origin
		curl                 a client
		END
		;;
	arm64) cat <<-'END'
		gcc-aarch64-linux-gnu compiler for arm64
		qemu-user            runs its programs here
		END
		;;
	*)
		echo "deps: no group $1; use run, try, test, check, analyze, fuzz, bench, peers, deb, deb-try or arm64" >&2
		exit 2
		;;
	esac
}

stop() {
	if [ -n "$optional" ]; then
		echo "deps: left out:" $missing "($1)" >&2
		exit 0
	fi
	echo "deps: $1" >&2
	echo "deps: these Debian packages, or the like of them, are needed; then 'make all' builds:" >&2
	printf '%s\n' "$wanted" | grep -E "^($(echo $missing | tr ' ' '|')) " | sed 's/^/    /' >&2
	exit 1
}

list= optional=
case ${1:-} in
--list) list=yes && shift ;;
--optional) optional=yes && shift ;;
esac
wanted=$(for group in "$@"; do packages "$group"; done)
missing=$(printf '%s\n' "$wanted" | awk '{ print $1 }')
if [ -n "$list" ]; then
	printf '%s\n' "$missing"
	exit 0
fi
command -v dpkg-query >/dev/null || stop "this is no Debian-like system: cannot tell what is missing"

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $missing 2>/dev/null || true)
missing=$(printf '%s\n' "$installed" |
	awk -v names="$missing" '
		$1 == "installed" { have[$2] = 1 }
		END { n = split(names, name); for (i = 1; i <= n; i++) if (!have[name[i]]) print name[i] }')
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || stop "packages are missing and there is no apt-get here"
as_root=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || stop "packages are missing, and without root or sudo none is installed"
	as_root=sudo
fi

echo "deps: installing" $missing
install() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
		-o DPkg::Lock::Timeout=300 "$@"
}

# The packages of servers start them as soon as they are installed, and at each boot: not these.
policy=/usr/sbin/policy-rc.d
install_idle() {
	install "$1" || { $as_root apt-get update -q && install "$1"; } || return 1
	! command -v systemctl >/dev/null || $as_root systemctl disable "$1" >/dev/null 2>&1 || true
}
if [ -n "$optional" ]; then
	if [ ! -e $policy ]; then
		trap '$as_root rm -f $policy' EXIT
		trap 'exit 1' INT TERM
		printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null && $as_root chmod 755 $policy
	fi
	for package in $missing; do
		install_idle "$package" || echo "deps: left out $package: apt-get could not install it" >&2
	done
	exit 0
fi
# A new machine has no package lists, an old one has lists that have gone stale: update only then.
install $missing || { $as_root apt-get update -q && install $missing; } || stop "apt-get could not install them"
