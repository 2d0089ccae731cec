#!/bin/sh
# Usage: scripts/arm64-packages.sh FOLDER
#
# Unpacks what `make test-arm64` builds against into FOLDER/root: the libraries of this system's
# release, for arm64.  Installed they would push out those of this machine's own kind, so apt gets a
# state, a cache and a package database of its own in FOLDER, and nothing is written elsewhere.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
wanted="$("$here/deps.sh" --list run | grep -vx gcc) libcmocka-dev"
[ "$(cat "$folder/root/.packages" 2>/dev/null)" != "$wanted" ] || exit 0

rm -rf "$folder/apt" "$folder/root"
mkdir -p "$folder/apt/state/lists/partial" "$folder/apt/cache/archives/partial"
: >"$folder/apt/status"
apt() {
	apt-get -q -y -o APT::Architecture=arm64 -o APT::Architectures::=arm64 \
		-o Dir::State="$folder/apt/state" -o Dir::State::status="$folder/apt/status" \
		-o Dir::Cache="$folder/apt/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=root "$@"
}

echo "arm64: fetching packages"
# Lists of other sources may lack this architecture; what is really needed fails in the next step.
apt update >"$folder/apt/log" 2>&1 || true
# shellcheck disable=SC2086 # one word a package
apt install --download-only --no-install-recommends $wanted >>"$folder/apt/log" 2>&1 || {
	tail "$folder/apt/log" >&2
	echo "arm64: the packages could not be fetched" >&2
	exit 1
}
mkdir -p "$folder/root/usr/lib" "$folder/root/usr/bin" "$folder/root/usr/sbin"
ln -s usr/lib usr/bin usr/sbin "$folder/root/"
for package in "$folder"/apt/cache/archives/*.deb; do
	dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$folder/root"
done
printf '%s\n' "$wanted" >"$folder/root/.packages"
