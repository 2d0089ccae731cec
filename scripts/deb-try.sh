#!/bin/bash
# Usage: scripts/deb-try.sh FOLDER [SUITE]
#
# Tries the package in FOLDER in a bare system of SUITE (bookworm, or what this machine is): it is installed,
# started as its unit says but without systemd, upgraded, removed, purged and installed anew, and each time it is
# looked at what is there and what is not.  Needs root and debootstrap.  The bare system is made once, below
# build/deb-try, or taken from the folder that DEB_TRY_BASE names; what is done is done to a copy of it.
# Processes and mounts are in name spaces of their own, and end with the script.
set -euo pipefail

folder=$1
suite=${2:-$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")}
base=${DEB_TRY_BASE:-build/deb-try/$suite}
root=build/deb-try/root.$suite

fail() {
	echo "deb-try: $*" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || fail "needs root"
if [ -z "${DEB_TRY_INSIDE:-}" ]; then
	if [ ! -e "$base/etc/debian_version" ]; then
		mkdir -p build/deb-try
		rm -rf "$base.part"
		echo "deb-try: making a bare $suite, its log is $base.log"
		debootstrap --variant=minbase "$suite" "$base.part" >"$base.log" 2>&1 || fail "debootstrap failed, see $base.log"
		mv "$base.part" "$base"
	fi
	DEB_TRY_INSIDE=yes exec unshare --mount --pid --fork --kill-child "$0" "$@"
fi

umask 022
mkdir -p build/deb-try
trap 'rm -rf "${work:-}"' EXIT
rm -rf --one-file-system "$root"
cp -a "$base" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
[ ! -d /etc/apt/apt.conf.d ] || cp -n /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
work=$(mktemp -d)
log=$root.log
: >"$log"

inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
quiet() { inside "$@" >>"$log" 2>&1 || { tail -30 "$log"; fail "failed: $*"; }; }
has() { [ -e "$root$1" ] || fail "is missing after $step: $1"; }
has_not() { [ ! -e "$root$1" ] || fail "is there after $step: $1"; }
version() { inside dpkg-query -W -f '${Version}' cache204; }
step() { step=$1; echo "deb-try: $step"; }

# An origin of this machine: each GET is a 204 that is fresh for an hour.
cat >"$work/origin.py" <<'END'
import http.server
class Origin(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.send_header("Cache-Control", "max-age=3600")
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Origin)
print(server.server_port, flush=True)
server.serve_forever()
END
mkfifo "$work/port" "$work/banner"
python3 "$work/origin.py" >"$work/port" &
read -r origin <"$work/port"

# As systemd would: the user and the command of the unit, its directory for the store.  Ports are free ones.
start() {
	local unit=$root/usr/lib/systemd/system/cache204.service user command line
	[ -e "$unit" ] || unit=$root/lib/systemd/system/cache204.service
	user=$(sed -n 's/^User=//p' "$unit")
	command=$(sed -n 's/^ExecStart=//p' "$unit")
	inside install -d -m 700 -o "$user" -g "$user" /var/cache/cache204
	chroot "$root" setpriv --reuid="$user" --regid="$user" --init-groups --inh-caps=-all \
		--bounding-set=-all $command -o listen=127.0.0.1:0 -o admin=127.0.0.1:0 >"$work/banner" 2>>"$log" &
	pid=$!
	while read -r line; do
		case $line in
		"export http_proxy="*) proxy=${line#*=}; proxy=${proxy%% *} ;;
		"stats: http://"*) admin=${line#*//}; admin=${admin%%/*} ;;
		esac
		[ -z "${proxy:-}" ] || [ -z "${admin:-}" ] || break
	done <"$work/banner"
	[ -n "${proxy:-}" ] || { tail -5 "$log"; fail "does not start"; }
}

stop() {
	kill -TERM "$pid"
	wait "$pid" || fail "ends with status $?"
	proxy= admin=
}

# status_of PATH: what the cache did with a request for it
status_of() { curl -sS --noproxy '' -x "$proxy" -o /dev/null -D - "http://127.0.0.1:$origin$1" | tr -d '\r' | sed -n 's/^Cache-Status: //Ip'; }
is_hit() { [[ $(status_of "$1") == *"; hit"* ]] || fail "no hit for $1 after $step"; }

package=$(ls "$folder"/cache204_*.deb)
cp "$package" "$root/root/first.deb"
dpkg-deb -R "$package" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
dpkg-deb --root-owner-group -b "$work/next" "$root/root/next.deb" >>"$log"

step "install"
quiet apt-get update -q
quiet apt-get install -y -q --no-install-recommends /root/first.deb
first=$(version)
for file in /usr/sbin/cache204 /etc/cache204.conf /usr/share/man/man8/cache204.8.gz \
	/usr/share/doc/cache204/cache204.conf.example; do
	has "$file"
done
inside getent passwd cache204 >>"$log" || fail "no user after $step"
inside dpkg --verify cache204 | grep . && fail "files are not as they were packed"
inside cache204 -V | grep -q "${first%%-*}" || fail "another version than $first"

step "start"
start
status_of /a >>"$log"
is_hit /a

step "upgrade"
echo "workers = 2" >>"$root/etc/cache204.conf"
quiet apt-get install -y -q --no-install-recommends /root/next.deb
[ "$(version)" = "$first+next" ] || fail "is not upgraded"
tail -1 "$root/etc/cache204.conf" | grep -q "^workers = 2$" || fail "the configuration was changed by the upgrade"
is_hit /a # by the program before, whose file is gone

step "takeover"
readlink "$root/proc/$pid/exe" | grep -q deleted || fail "the program before is not replaced"
inside cache204 upgrade -o admin="$admin" >>"$log" 2>&1 || { tail -5 "$log"; fail "the new program cannot take over"; }
readlink "$root/proc/$pid/exe" | grep -q deleted && fail "the program before goes on"
is_hit /a # what was stored before
stop
start
is_hit /a
stop

step "remove"
quiet apt-get remove -y -q cache204
has_not /usr/sbin/cache204
has /etc/cache204.conf
has /var/cache/cache204

step "purge"
quiet apt-get purge -y -q cache204
left=$(inside find / -xdev \( -path /proc -o -path /dev -o -path /root \) -prune -o -name '*cache204*' -print)
[ -z "$left" ] || fail "is there after $step: $left"
inside dpkg-query -W cache204 >>"$log" 2>&1 && fail "dpkg still knows the package"

step "install again"
quiet apt-get install -y -q --no-install-recommends /root/first.deb
start
status_of /b >>"$log"
is_hit /b
stop
quiet apt-get purge -y -q cache204
echo "deb-try: ok ($suite, $(basename "$package"))"
