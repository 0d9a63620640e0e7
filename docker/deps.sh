#!/bin/bash
# docker/deps.sh [LIBRARY...] - build the static libraries that lockstep links:
# all of them, or only those named, in the order given.
#
# Prints the path of a finished prefix (include/, lib/*.a, VERSIONS) on stdout
# and progress on stderr.  A prefix that exists already is answered at once,
# without network.  Sources are Debian source packages: apt checks the archive
# signature on InRelease, the hash of the Sources index in it, and the hash of
# each file in that; nothing is built that did not pass all three.
#
# Environment, all optional:
#   LOCKSTEP_CACHE           where prefixes live (default ~/.cache/lockstep)
#   DEBIAN_MIRROR            base URL of a Debian mirror (default: this
#                            machine's own, as apt is configured)
#   DEBIAN_SECURITY_MIRROR   the same for the security archive
#                            (default with DEBIAN_MIRROR: "$DEBIAN_MIRROR-security")
#   CC, AR, RANLIB, HOST     to cross build; HOST is a GNU triple such as
#                            aarch64-linux-musl
#   EXTRA_CFLAGS             more compile flags, such as a sanitizer's (not
#                            CFLAGS, which make and users export for their own)
#   JOBS                     parallel compiles (default: all processors)

# shellcheck disable=SC2317 # recipes and the exit trap are called by name
set -euo pipefail

suite=trixie

# Source package, exact version, and the SHA-256 of its .dsc, in build order.  To
# add a library: a line here and a function build_NAME below ("-" in the name
# becomes "_").
pins='
cjson          1.7.18-3.1+deb13u1  57b560dc195f857987986588ba2eb05f5f30d409c8dc715decfb582d5e56ecbf
libuv1         1.50.0-2            5691ae93bdd0c9b147e76290bc8816c805f565b6a52ad23691a31b6092056abc
openssl        3.5.7-1~deb13u2     25904642004d30c5c3da4642a72a7d09f8d9eb6e5ce62dab53c0371114faf8f2
hiredis        1.2.0-6             9e14f474f15d92c7ad1c9cb7c9ad0f1f8cc202492503103973f1fc08361d1cc6
postgresql-17  17.11-0+deb13u1     bf148ae423a982707c3f60672c3a072ef62b701bd9f5df847d9f4b8c9b3e3b18
'

# Just what a bare Debian lacks; dpkg-dev brings perl, patch, make, tar, xz.
packages='musl-tools gcc make dpkg-dev perl bison flex debian-archive-keyring'
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { echo "lockstep deps: $*" >&2; }
die() { say "error: $*"; exit 1; }

# ---- the answer, if there is one already -----------------------------------

self=$(readlink -f "$0")
HOST=${HOST:-$(uname -m)-linux-musl}
CC=${CC:-musl-gcc} AR=${AR:-ar} RANLIB=${RANLIB:-ranlib}
EXTRA_CFLAGS=${EXTRA_CFLAGS:-}
arch=${HOST%%-*}

# A build of named libraries has a slot of its own, so that it can run beside
# the build of all.
slot=deps-$arch
if [ $# -gt 0 ]; then
	named=
	for name in "$@"; do
		pin=$(awk -v name="$name" '$1 == name' <<<"$pins")
		[ -n "$pin" ] || die "no such library here: $name"
		named+=$pin$'\n'
		slot+=-$name
	done
	pins=$named
fi

# The pins are part of this file, so its hash covers versions, flags and
# recipes, and is known offline.
key=$({ cat "$self"; printf '%s\n' "$CC" "$HOST" "$EXTRA_CFLAGS" "$pins"; } | sha256sum | cut -c1-16)
cache=${LOCKSTEP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockstep}
case $cache in
/*) ;;
*) cache=$PWD/$cache ;;
esac
prefix=$cache/$slot-$key

# The prefix appears by one rename when all of it is done, so that it exists
# is the marker; VERSIONS is the last file written into it.
answer() { printf '%s\n' "$prefix"; exit 0; }
[ ! -f "$prefix/VERSIONS" ] || answer

# ---- otherwise build, one builder at a time --------------------------------

mkdir -p "$cache"
exec 9>"$cache/$slot.lock"
flock -n 9 || { say "waiting for another build of the dependencies"; flock 9; }
[ ! -f "$prefix/VERSIONS" ] || answer

work=$cache/$slot.tmp # ours alone while the lock is held
log=$cache/$slot.log
finish() {
	local code=$?
	trap - EXIT
	if [ "$code" -ne 0 ] && [ -n "${step:-}" ]; then
		tail -n 25 "$log" >&2
		say "error: $step failed; the whole log is $log"
	fi
	rm -rf "$work"
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
rm -rf "$work"
mkdir -p "$work/out/include" "$work/out/lib" "$work/src"
: >"$log"

# shellcheck disable=SC2086 # a list of names
"${self%/*}/need.sh" $packages >&2

# ---- sources ---------------------------------------------------------------

# A configuration of our own: the machine's lists, caches and sources are
# neither read nor written.  It is given with -c, which apt reads last, so that
# it also drops hooks that the machine has set (PackageKit, AppStream, ...);
# proxy settings stay in force.
mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
cat >"$work/apt/apt.conf" <<-EOF
	#clear APT::Update::Pre-Invoke;
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	Dir::Etc::SourceList "$work/apt/debian.sources";
	Dir::Etc::SourceParts "/dev/null";
	Dir::State::Lists "$work/apt/lists";
	Dir::Cache "$work/apt/cache";
	Acquire::AllowInsecureRepositories "false";
	Acquire::AllowDowngradeToInsecureRepositories "false";
	Acquire::AllowWeakRepositories "false";
	Acquire::Retries "3";
	APT::Get::AllowUnauthenticated "false";
	APT::Update::Error-Mode "any";
	APT::Sandbox::User "root"; // user _apt cannot look into a home directory
EOF
priv() { "$1" -c "$work/apt/apt.conf" "${@:2}"; }

# Lines "URI SUITE" of the archives that apt is configured for.  apt itself
# reads its one-line and deb822 files here, which works without any downloaded
# list and fetches nothing.
configured() {
	apt-get update --print-uris 2>/dev/null |
		sed -nE "s|^'(.*)/dists/([^/]+)/InRelease'.*|\1 \2|p"
}

stanza() { # URI SUITE
	printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' \
		"$1" "$2" "$keyring"
}

update() { # stanzas on stdin
	cat >"$work/apt/debian.sources"
	priv apt-get update >>"$log" 2>&1
}

# A third party's archive may use Debian's suite names as well, so an archive
# counts as a Debian mirror once it gave us the suite signed by Debian's keys.
use_mirror() { # MAIN SECURITY
	local sources more uri
	sources=$(stanza "$1" "$suite")
	update <<<"$sources" || return 1
	for more in updates security; do
		uri=$1
		[ "$more" = updates ] || uri=$2
		if update <<<"$sources"$'\n\n'"$(stanza "$uri" "$suite-$more")"; then
			sources=$(<"$work/apt/debian.sources")
		else
			say "warning: going on without $suite-$more, which this mirror does not give"
		fi
	done
	update <<<"$sources" # once more, for the last one may have failed
}

find_mirror() {
	local all main security
	if [ -n "${DEBIAN_MIRROR:-}" ]; then
		main=${DEBIAN_MIRROR%/}
		use_mirror "$main" "${DEBIAN_SECURITY_MIRROR:-$main-security}" ||
			die "DEBIAN_MIRROR ($main) gave no $suite source index signed by Debian; see $log"
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

offered() { # versions of source package $1, newest first
	priv apt-cache showsrc --only-source "$1" 2>>"$log" |
		sed -n 's/^Version: //p' | sort -rVu
}

# Downloads file $1 of package $2 from the mirror's pool if its SHA-256 is $3.
from_pool() {
	local uri prefix=${2:0:1}
	case $2 in lib*) prefix=${2:0:4} ;; esac
	uri=$(sed -n '/^URIs: /{s///p;q}' "$work/apt/debian.sources")
	priv /usr/lib/apt/apt-helper download-file "$uri/pool/main/$prefix/$2/$1" "$1" "SHA256:$3" >>"$log" 2>&1
}

# Downloads package $1 as version $2, whose .dsc has the SHA-256 $3: a mirror may
# still have the files of a version that its index names no more, and not yet
# those of the one that it names.
fetch_pinned() {
	local dsc=$1_${2#*:}.dsc hash file
	from_pool "$dsc" "$1" "$3" || return 1
	while read -r hash file; do
		from_pool "$file" "$1" "$hash" || return 1
	done < <(awk '/^Checksums-Sha256:/ {on = 1; next} /^[^ ]/ {on = 0} on {print $1, $3}' "$dsc")
}

# Downloads and unpacks package $1, as version $2 when it is offered, else as the
# newest that can be had (in a static binary a security update beats a pin), else
# as version $2 all the same, by the SHA-256 $3.  Sets $got to the version taken.
fetch() {
	local v versions
	versions=$(offered "$1")
	[ -n "$versions" ] || die "$suite offers no source package $1"
	if ! grep -qxF -- "$2" <<<"$versions"; then
		say "warning: $1 $2 (pinned) is no longer offered by $suite; taking what it offers now"
	elif [ "$2" != "${versions%%$'\n'*}" ]; then
		say "note: $suite offers $1 ${versions%%$'\n'*}, newer than the pinned $2"
	fi
	got=
	mkdir -p "$work/src/$1"
	for v in $(grep -xF -- "$2" <<<"$versions" || :) $(grep -vxF -- "$2" <<<"$versions" || :); do
		if (cd "$work/src/$1" && priv apt-get source -qq --download-only "$1=$v" >>"$log" 2>&1); then
			got=$v
			break
		fi
		say "warning: $1 $v is offered, but cannot be downloaded"
	done
	if [ -z "$got" ] && (cd "$work/src/$1" && fetch_pinned "$1" "$2" "$3"); then
		say "note: taking $1 $2 (pinned) by its checksum"
		got=$2
	fi
	[ -n "$got" ] || die "$1 could not be downloaded; see $log"
	# dpkg-source applies Debian's patches.  It would look for the uploader's
	# key, which a machine need not have: apt has checked the .dsc by its hash.
	step="unpacking $1 $got"
	dpkg-source -x "$work/src/$1/$1_${got#*:}.dsc" "$work/src/$1/tree" >>"$log" 2>&1
	step=
}

# ---- recipes: run in the source tree, with errexit, output in the log --------

out=$work/out
jobs=${JOBS:-$(nproc)}
# PIE objects for a static-pie link; a section for each function and object,
# so that --gc-sections drops what lockstep does not call.
cflags=(-O2 -fPIE -ffunction-sections -fdata-sections -fstack-protector-strong)
read -ra cc <<<"$CC" # CC may hold a word more, such as ccache
read -ra extra <<<"$EXTRA_CFLAGS"
cflags+=("${extra[@]}")

build_cjson() {
	"${cc[@]}" "${cflags[@]}" "-ffile-prefix-map=$PWD=cjson" -c cJSON.c
	"$AR" rcs "$out/lib/libcjson.a" cJSON.o
	install -D -m 644 cJSON.h "$out/include/cjson/cJSON.h"
}

# libuv's release has no configure script and cmake is a large dependency for
# thirty files: compile them as its CMakeLists.txt does for Linux.  The macro
# keeps linux.c from making an io_uring for each loop, as on Android, where one
# may be there but blocked by seccomp; so it is in most containers, and where it
# is not, its making costs more than a start that has nothing to migrate.
build_libuv1() {
	# shellcheck disable=SC2016 # for the inner shell to expand
	printf '%s\n' src/*.c src/unix/{async,core,dl,fs,getaddrinfo,getnameinfo,linux,loop,loop-watcher,pipe,poll,process,procfs-exepath,proctitle,random-devurandom,random-getrandom,random-sysctl-linux,signal,stream,tcp,thread,tty,udp}.c |
		xargs -P "$jobs" -I '{}' sh -c 'o=${1##*/}; shift; exec "$@" -o "${o%.c}.o"' sh '{}' \
			"${cc[@]}" "${cflags[@]}" "-ffile-prefix-map=$PWD=libuv" -std=gnu11 -fno-strict-aliasing \
			-D__ANDROID_API__=35 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_LARGEFILE_SOURCE -Iinclude -Isrc -c '{}'
	"$AR" rcs "$out/lib/libuv.a" ./*.o
	cp -r include/uv.h include/uv "$out/include/"
}

# A TLS client: TLS 1.2 and 1.3, X.509, RSA/EC/EdDSA, SHA, MD5, AES, ChaCha20.
# - /etc/ssl is where most systems keep their CA certificates.
# - no-afalgeng, no-secure-memory, no-ktls: these need kernel headers, which
#   musl's include path has not.  (The secure heap is off unless a program
#   asks for it, and lockstep does not.)
# - no-module, no-dso, no-engine: a static program cannot load plug-ins.
# - 3DES stays: old client keys are encrypted with it.
# No -ffile-prefix-map: file names are relative as it is, and OpenSSL records
# its compile flags in the library, and with them that option's path.
build_openssl() {
	local target=linux-$arch
	case $arch in
	i?86) target=linux-x86 ;;
	arm*) target=linux-armv4 ;;
	riscv64) target=linux64-riscv64 ;;
	ppc64le | powerpc64le) target=linux-ppc64le ;;
	s390x) target=linux64-s390x ;;
	esac
	# AES-GCM and AES-XTS for AVX-512 take 0.7 MB of code, all of which would
	# be linked; without them the AES-NI/AVX versions are used.
	# shellcheck disable=SC2016 # perl's variable
	sed -i -E 's/^if \(\$avx512vaes(>0)?\) \{/if (0) {/' \
		crypto/modes/asm/aes-gcm-avx512.pl crypto/aes/asm/aesni-xts-avx512.pl
	# The build date is recorded too: use the package's.
	SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -S Timestamp)
	export SOURCE_DATE_EPOCH
	CC=$CC AR=$AR RANLIB=$RANLIB CFLAGS=${cflags[*]} perl ./Configure "$target" \
		--prefix=/usr --libdir=lib --openssldir=/etc/ssl threads \
		no-shared no-pic no-apps no-docs no-tests no-demos no-makedepend \
		no-module no-dso no-engine no-afalgeng no-padlockeng no-legacy \
		no-secure-memory no-ktls no-async no-comp no-ui-console no-thread-pool \
		no-ssl3 no-tls1 no-tls1_1 no-dtls no-quic no-srtp no-nextprotoneg \
		no-psk no-srp no-tls-deprecated-ec no-integrity-only-ciphers \
		no-cms no-ts no-ct no-cmp no-ocsp no-http no-rfc3779 \
		no-idea no-rc2 no-rc4 no-seed no-camellia no-bf no-cast no-md4 no-mdc2 \
		no-whirlpool no-rmd160 no-blake2 no-siphash no-siv no-ocb no-scrypt \
		no-argon2 no-sm2 no-sm4 no-aria no-gost no-dsa no-ec2m no-ml-dsa \
		no-slh-dsa no-multiblock
	make -j"$jobs" build_generated
	make -j"$jobs" libcrypto.a libssl.a
	cp libcrypto.a libssl.a "$out/lib/"
	mkdir "$out/include/openssl"
	cp include/openssl/*.h "$out/include/openssl/"
}

# Its Makefile knows no way to leave out -fPIC and the shared libraries.
# sockcompat.c, the one file left out, is for Windows.  The TLS part needs
# OpenSSL's headers: those built above, or when hiredis alone is named, those
# that the compiler finds by itself.
build_hiredis() {
	"${cc[@]}" "${cflags[@]}" "-ffile-prefix-map=$PWD=hiredis" -std=c99 -D_FILE_OFFSET_BITS=64 \
		"-I$out/include" -c {alloc,async,hiredis,net,read,sds,ssl}.c
	"$AR" rcs "$out/lib/libhiredis.a" {alloc,async,hiredis,net,read,sds}.o
	"$AR" rcs "$out/lib/libhiredis_ssl.a" ssl.o
	install -D -m 644 -t "$out/include/hiredis" {alloc,async,hiredis,hiredis_ssl,read,sds}.h
	install -D -m 644 -t "$out/include/hiredis/adapters" adapters/libuv.h
}

# libpq alone.  Configure's link tests must find our OpenSSL; -static lets
# its test programs run on a machine without musl's dynamic loader.
build_postgresql_17() {
	./configure --build="$(uname -m)-linux-gnu" --host="$HOST" \
		CC="$CC" AR="$AR" RANLIB="$RANLIB" \
		CFLAGS="${cflags[*]} -ffile-prefix-map=$PWD=postgresql" \
		CPPFLAGS="-I$out/include" LDFLAGS="-L$out/lib -static" \
		--prefix=/usr --sysconfdir=/etc/postgresql-common --with-ssl=openssl \
		--without-readline --without-zlib --without-icu
	make -C src/backend generated-headers
	make -j"$jobs" -C src/port libpgport_shlib.a
	make -j"$jobs" -C src/common libpgcommon_shlib.a
	make -j"$jobs" -C src/interfaces/libpq all-static-lib
	cp src/port/libpgport_shlib.a src/common/libpgcommon_shlib.a \
		src/interfaces/libpq/libpq.a "$out/lib/"
	mkdir "$out/include/libpq"
	cp src/include/libpq/libpq-fs.h "$out/include/libpq/"
	cp src/interfaces/libpq/libpq-{fe,events}.h src/include/postgres_ext.h \
		src/include/pg_config_ext.h "$out/include/"
}

# ---- do it -----------------------------------------------------------------

say "reading the source index of Debian $suite"
find_mirror

versions=
while read -r name pin hash; do
	[ -n "$name" ] || continue
	say "fetching $name $pin"
	fetch "$name" "$pin" "$hash"
	say "building $name $got"
	step="building $name $got"
	# Not in a condition: there, the shell would ignore errexit.
	(cd "$work/src/$name/tree" && "build_${name//-/_}") >>"$log" 2>&1 </dev/null
	step=
	versions+="$name $got"
	[ "$got" = "$pin" ] || versions+=" (pinned: $pin)"
	versions+=$'\n'
	rm -rf "$work/src/$name"
done <<<"$pins"

printf '%s' "$versions" >"$out/VERSIONS"
mv -T "$out" "$prefix"
say "finished: $prefix"
answer
