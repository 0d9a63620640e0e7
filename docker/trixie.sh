#!/bin/bash
# docker/trixie.sh PACKAGE... - programs of Debian trixie beside the system's own.
# docker/trixie.sh sources    - apt sources (deb822) of trixie on this machine's mirror.
#
# The first prints a folder with bin/PROGRAM for each program of the named
# packages.  They are only unpacked, and run with the loader and the libraries
# of their own suite, so nothing of the machine changes.  A folder that is there
# is answered at once, without network.  Packages come from apt, which checks
# signature and hashes.
#
# Environment, optional:
#   LOCKSTEP_CACHE           where folders live (default ~/.cache/lockstep)
#   DEBIAN_MIRROR            base URL of a Debian mirror (default: this machine's own)
#   DEBIAN_SECURITY_MIRROR   the same for the security archive (default with
#                            DEBIAN_MIRROR: "$DEBIAN_MIRROR-security")

# shellcheck disable=SC2317 # the exit trap is called by name
set -euo pipefail

suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { echo "lockstep tests: $*" >&2; }
die() { say "error: $*"; exit 1; }

[ $# -gt 0 ] || die "usage: docker/trixie.sh PACKAGE... | sources"
self=$(readlink -f "$0")
cache=${LOCKSTEP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockstep}
case $cache in
/*) ;;
*) cache=$PWD/$cache ;;
esac
folder=$cache/$suite-$(uname -m)-$({ cat "$self"; echo "$*"; } | sha256sum | cut -c1-16)

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
"${self%/*}/need.sh" debian-archive-keyring

# ---- the archive -------------------------------------------------------------
# As in docker/deps.sh: the machine's lists, sources and hooks are neither used
# nor changed.  With no installed packages of its own, this apt also fetches
# every library down to libc.
: >"$work/apt/status"
cat >"$work/apt/apt.conf" <<END
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
END
private() { apt-get -c "$work/apt/apt.conf" "$@" >>"$log" 2>&1 </dev/null; }

configured() { # lines "URI SUITE" of the archives that apt has here
	apt-get update --print-uris 2>/dev/null |
		sed -nE "s|^'(.*)/dists/([^/]+)/InRelease'.*|\1 \2|p"
}

stanza() { # URI SUITES
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$1" "$2" "$keyring"
}

# A third party's archive may use Debian's suite names as well: a mirror is what
# gives the suite signed by Debian's keys.
use_mirror() { # MAIN SECURITY
	stanza "$1" "$suite" >"$work/apt/debian.sources"
	private update || return 1
	{
		stanza "$1" "$suite $suite-updates"
		stanza "$2" "$suite-security"
	} >"$work/apt/debian.sources"
	private update && return
	say "warning: going on without $suite-updates and $suite-security, which this mirror does not give"
	stanza "$1" "$suite" >"$work/apt/debian.sources"
	private update
}

find_mirror() {
	local all main security
	if [ -n "${DEBIAN_MIRROR:-}" ]; then
		main=${DEBIAN_MIRROR%/}
		use_mirror "$main" "${DEBIAN_SECURITY_MIRROR:-$main-security}" ||
			die "DEBIAN_MIRROR ($main) gave no $suite signed by Debian; see $log"
		return
	fi
	all=$(configured) || :
	security=${DEBIAN_SECURITY_MIRROR:-$(sed -nE '/-security$/{s/ .*//p;q}' <<<"$all")}
	while read -r main; do
		[ -n "$main" ] || continue
		! use_mirror "$main" "${security:-$main-security}" || return 0
	done < <(sed -nE 's/ (bullseye|bookworm|trixie|forky|duke|sid|unstable|testing|stable|oldstable)$//p' \
		<<<"$all" | awk '!seen[$0]++')
	die "apt is configured here for no Debian mirror that has $suite: set DEBIAN_MIRROR to the URL of one (log: $log)"
}

find_mirror
if [ "$*" = sources ]; then
	cat "$work/apt/debian.sources"
	exit 0
fi

# ---- the programs ------------------------------------------------------------

say "fetching $* of Debian $suite"
private install --yes --download-only --no-install-recommends "$@" || die "they could not be downloaded; see $log"
for deb in "$work"/apt/archives/*.deb; do
	dpkg-deb -x "$deb" "$work/out/root"
done

cd "$work/out"
loader=$(find root/usr/lib* -name 'ld-linux*.so.*' | sort | head -n 1)
libraries=$(find root/usr/lib -name libc.so.6 -printf '%h\n' | head -n 1)

programs() { # paths of the ELF programs in the named packages
	local package file
	for package in "$@"; do
		dpkg-deb --fsys-tarfile "$work/apt/archives/${package}_"*.deb | tar -t |
			sed -nE 's,^\./(usr/(s?bin|libexec/docker/cli-plugins)/[^/]+)$,\1,p' |
			while read -r file; do
				[ "$(head -c 4 "root/$file")" != $'\177ELF' ] || echo "$file"
			done
	done
}

for program in $(programs "$@"); do
	cat >"bin/${program##*/}" <<END
#!/bin/sh
here=\${0%/bin/*}
exec "\$here/$loader" --library-path "\$here/$libraries" "\$here/root/$program" "\$@"
END
	chmod 755 "bin/${program##*/}"
done

mv -T "$work/out" "$folder"
answer
