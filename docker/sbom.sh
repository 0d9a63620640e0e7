#!/bin/sh
# docker/sbom.sh BINARY VERSION EPOCH PREFIX FILE... - what is linked into the
# static BINARY of lockstep VERSION, as SPDX 2.3 JSON on stdout: the libraries
# of PREFIX (its VERSIONS, see deps.sh), and the Debian packages that own the
# system's FILEs, such as musl's libc.a.  Libraries go by their source package,
# which is what Debian's security tracker speaks of.
set -eu

[ $# -ge 4 ] || {
	echo "usage: docker/sbom.sh BINARY VERSION EPOCH PREFIX FILE..." >&2
	exit 64
}
binary=$1 version=$2 epoch=$3 prefix=$4
shift 4

digest=$(sha256sum <"$binary" | cut -c1-64)
# The namespace has to differ from document to document, and be the same for
# the same bytes: a UUID of version 8 (RFC 9562), made of the digest.
uuid=$(printf '%s' "$digest" | sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/\1-\2-8\3-8\4-\5/')

# Lines "SOURCE VERSION".
source_of() {
	owner=$(dpkg-query -S "$1") || exit
	dpkg-query -W -f '${source:Package} ${source:Version}\n' "${owner%: *}"
}
libraries=$(
	awk '{ print $1, $2 }' "$prefix/VERSIONS"
	for file in "$@"; do
		source_of "$file"
	done
)

cat <<END
{
  "spdxVersion": "SPDX-2.3",
  "dataLicense": "CC0-1.0",
  "SPDXID": "SPDXRef-DOCUMENT",
  "name": "${binary##*/}",
  "documentNamespace": "urn:uuid:$uuid",
  "creationInfo": {
    "created": "$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)",
    "creators": ["Tool: lockstep-sbom-$version"]
  },
  "packages": [
END
echo "$libraries" | while read -r name at; do
	cat <<-END
	    {
	      "SPDXID": "SPDXRef-$name",
	      "name": "$name",
	      "versionInfo": "$at",
	      "supplier": "Organization: Debian",
	      "primaryPackagePurpose": "LIBRARY",
	      "downloadLocation": "NOASSERTION",
	      "filesAnalyzed": false,
	      "externalRefs": [{
	        "referenceCategory": "PACKAGE-MANAGER",
	        "referenceType": "purl",
	        "referenceLocator": "pkg:deb/debian/$name@$(printf '%s' "$at" | sed 's/+/%2B/g')?arch=source"
	      }]
	    },
	END
done
cat <<END
    {
      "SPDXID": "SPDXRef-lockstep",
      "name": "lockstep",
      "versionInfo": "$version",
      "packageFileName": "${binary##*/}",
      "primaryPackagePurpose": "APPLICATION",
      "downloadLocation": "NOASSERTION",
      "filesAnalyzed": false,
      "checksums": [{"algorithm": "SHA256", "checksumValue": "$digest"}]
    }
  ],
  "relationships": [
$(echo "$libraries" | sed -E 's/(.*) .*/    {"spdxElementId": "SPDXRef-lockstep", "relationshipType": "STATIC_LINK", "relatedSpdxElement": "SPDXRef-\1"},/')
    {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-lockstep"}
  ]
}
END
