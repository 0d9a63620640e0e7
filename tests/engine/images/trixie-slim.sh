#!/bin/sh
# tests/engine/images/trixie-slim.sh WORK - Debian trixie as WORK/root.tar, from the sources in WORK/debian.sources.
set -eu

root=$1/root
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=$(sed -n 's/^URIs: //p;T;q' "$1/debian.sources")

debootstrap --variant=minbase --keyring="$keyring" trixie "$root" "$mirror" >"$1/log" 2>&1 || {
	tail -n 5 "$1/log" >&2
	exit 1
}

rm "$root/etc/apt/sources.list"
cp "$1/debian.sources" "$root/etc/apt/sources.list.d/debian.sources"

# As in the official image: no documents, no package lists, no downloaded packages, no services started at installation.
cat >"$root/etc/dpkg/dpkg.cfg.d/docker" <<-'END'
	force-unsafe-io
	path-exclude /usr/share/doc/*
	path-include /usr/share/doc/*/copyright
	path-exclude /usr/share/man/*
	path-exclude /usr/share/info/*
	path-exclude /usr/share/locale/*
END
cat >"$root/etc/apt/apt.conf.d/docker" <<-'END'
	APT::Keep-Downloaded-Packages "false";
	Acquire::Languages "none";
	Dir::Cache::pkgcache "";
	Dir::Cache::srcpkgcache "";
END
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
find "$root/usr/share/doc" -mindepth 2 ! -name copyright -delete
rm -rf "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/* \
	"$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root/etc/resolv.conf" "$root/etc/hostname"

tar --create --file "$1/root.tar" --directory "$root" --one-file-system .
