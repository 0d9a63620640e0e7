#!/bin/sh
# docker/need.sh PACKAGE... - install those of the named Debian packages that
# are missing.  Quiet and fast (one dpkg-query) when nothing is.  All messages
# go to stderr, so that a caller's stdout stays clean.
set -eu

die() {
	echo "lockstep build: $*" >&2
	exit 1
}

[ $# -gt 0 ] || die "usage: docker/need.sh PACKAGE..."
command -v dpkg-query >/dev/null 2>&1 ||
	die "not a Debian system (no dpkg-query); install by hand what these packages hold: $*"

# dpkg-query exits 1 when it does not know one of the names: that is no error
# here.  Both name forms are listed, so "musl-dev:arm64" can be asked for too.
have=" $(dpkg-query -W -f='${db:Status-Status}=${Package} ${db:Status-Status}=${Package}:${Architecture} ' \
	-- "$@" 2>/dev/null || :) "
missing=
for p in "$@"; do
	case $have in
	*" installed=$p "*) ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null 2>&1 ||
		die "packages are missing and neither root nor sudo is at hand; run as root: apt-get install --no-install-recommends$missing"
	as_root=sudo
fi
echo "lockstep build: installing from apt:$missing" >&2

# The lock timeout lets two builds that start together wait for each other.
# dpkg's chatter on stdout is dropped; what goes wrong is said on stderr.
apt() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" </dev/null >/dev/null
}
install() {
	# shellcheck disable=SC2086 # a list of package names, meant to be split
	apt install --no-install-recommends $missing
}

# A package of another architecture ("musl-dev:arm64") needs that apt knows it.
for p in $missing; do
	case $p in
	*:*)
		known=" $(dpkg --print-architecture) $(dpkg --print-foreign-architectures | tr '\n' ' ')"
		case $known in
		*" ${p##*:} "*) ;;
		*) $as_root dpkg --add-architecture "${p##*:}" ;;
		esac
		;;
	esac
done

# Lists are fetched only when they are missing or name files that the mirror
# no longer has: a fresh machine knows no package, an old one gets a 404.
# shellcheck disable=SC2086
if apt-get -qq -s install --no-install-recommends $missing >/dev/null 2>&1 && install; then
	exit 0
fi
if ! { apt update && install; }; then
	die "apt could not install:$missing"
fi
