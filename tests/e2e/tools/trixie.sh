#!/bin/bash
# tests/e2e/tools/trixie.sh - Redis 8 and Valkey beside the system's own Redis.
#
# Prints a folder with bin/redis-server, bin/redis-cli, bin/valkey-server and
# bin/valkey-cli of Debian trixie.  They are only unpacked, and run with the
# loader and the libraries of their own suite, so nothing of the machine
# changes.  A folder that is there is answered at once, without network.
# Packages come from apt, which checks signature and hashes.
#
# Environment, optional:
#   LOCKSTEP_CACHE   where the folder lives (default ~/.cache/lockstep)
#   DEBIAN_MIRROR    base URL of a Debian mirror (default: this machine's own)

# shellcheck disable=SC2317 # the exit trap is called by name
set -euo pipefail

suite=trixie
packages='redis-server valkey-server'
programs='redis-server redis-cli valkey-server valkey-cli'
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { echo "lockstep tests: $*" >&2; }
die() { say "error: $*"; exit 1; }

self=$(readlink -f "$0")
cache=${LOCKSTEP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockstep}
case $cache in
/*) ;;
*) cache=$PWD/$cache ;;
esac
folder=$cache/$suite-$(uname -m)-$(sha256sum <"$self" | cut -c1-16)

# The folder appears by one rename, so that it exists says that it is complete.
answer() { printf '%s\n' "$folder"; exit 0; }
[ ! -d "$folder" ] || answer

# Test workers come here side by side.
mkdir -p "$cache"
exec 9>"$cache/$suite.lock"
flock 9
[ ! -d "$folder" ] || answer

work=$cache/$suite.tmp # ours alone while the lock is held
log=$cache/$suite.log
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
mkdir -p "$work"/apt/{lists,archives}/partial "$work"/out/bin
: >"$log"
"${self%/tests/*}/docker/need.sh" debian-archive-keyring

# As in docker/deps.sh: the machine's lists, sources and hooks are neither used
# nor changed.  With no installed packages of its own, this apt also fetches
# every library down to libc.
: >"$work/apt/status"
cat >"$work/apt/apt.conf" <<-EOF
	#clear APT::Update::Pre-Invoke;
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	#clear DPkg::Pre-Install-Pkgs;
	Dir::Etc::SourceList "$work/apt/debian.sources";
	Dir::Etc::SourceParts "/dev/null";
	Dir::State::Lists "$work/apt/lists";
	Dir::State::status "$work/apt/status";
	Dir::Cache "$work/apt";
	Acquire::AllowInsecureRepositories "false";
	Acquire::AllowDowngradeToInsecureRepositories "false";
	Acquire::AllowWeakRepositories "false";
	Acquire::Retries "3";
	APT::Get::AllowUnauthenticated "false";
	APT::Update::Error-Mode "any";
	APT::Sandbox::User "root"; // user _apt cannot look into a home directory
EOF
private() { apt-get -c "$work/apt/apt.conf" "$@" >>"$log" 2>&1 </dev/null; }

mirrors() {
	if [ -n "${DEBIAN_MIRROR:-}" ]; then
		printf '%s\n' "${DEBIAN_MIRROR%/}"
		return
	fi
	apt-get update --print-uris 2>/dev/null |
		sed -nE "s,^'(.*)/dists/(bullseye|bookworm|trixie|forky|duke|sid|unstable|testing|stable|oldstable)/InRelease'.*,\1,p" |
		awk '!seen[$0]++'
}

# A third party's archive may use Debian's suite names as well: a mirror is what
# gives the suite signed by Debian's keys.
use_mirror() {
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$1" "$suite" "$keyring" >"$work/apt/debian.sources"
	private update
}

found=
while read -r mirror; do
	if use_mirror "$mirror"; then
		found=$mirror
		break
	fi
done < <(mirrors)
[ -n "$found" ] || die "apt is configured here for no Debian mirror that has $suite: set DEBIAN_MIRROR to the URL of one (log: $log)"

say "fetching Redis and Valkey of Debian $suite"
# shellcheck disable=SC2086 # a list of names
private install --yes --download-only --no-install-recommends $packages || die "they could not be downloaded; see $log"
for deb in "$work"/apt/archives/*.deb; do
	dpkg-deb -x "$deb" "$work/out/root"
done

loader=$(cd "$work/out" && find root/usr/lib* -name 'ld-linux*.so.*' | sort | head -n 1)
libraries=$(cd "$work/out" && find root/usr/lib -name libc.so.6 -printf '%h\n' | head -n 1)
for program in $programs; do
	cat >"$work/out/bin/$program" <<-EOF
		#!/bin/sh
		here=\${0%/bin/*}
		exec "\$here/$loader" --library-path "\$here/$libraries" "\$here/root/usr/bin/$program" "\$@"
	EOF
	chmod 755 "$work/out/bin/$program"
	"$work/out/bin/$program" --version >>"$log" 2>&1 || die "$program does not start; see $log"
done

mv -T "$work/out" "$folder"
answer
