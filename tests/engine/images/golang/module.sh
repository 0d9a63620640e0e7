#!/bin/sh
# module.sh SOURCE-PACKAGE MODULE - put what upstream released into /proxy, as the Go module proxy protocol has it.
set -eu

work=$(mktemp -d)
cd "$work"
apt-get source --download-only --only-source "$1"
version=$(basename "$1"_*.orig.tar.* | sed 's/^[^_]*_\(.*\)\.orig\.tar\..*$/v\1/')
tree=$2@$version
mkdir -p "$tree" "/proxy/$2/@v"
tar -xf ./*.orig.tar.* --strip-components=1 -C "$tree"

cp "$tree/go.mod" "/proxy/$2/@v/$version.mod"
printf '{"Version":"%s"}\n' "$version" >"/proxy/$2/@v/$version.info"
# What has a go.mod of its own is another module.
find "$tree" -mindepth 2 -name go.mod -printf '%h\n' | xargs --no-run-if-empty rm -r
zip -qrD "/proxy/$2/@v/$version.zip" "${2%%/*}"
