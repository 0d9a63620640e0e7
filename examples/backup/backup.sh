#!/bin/sh
# Run under the lock, before anything is migrated; if it fails, nothing is.
set -eu
file=/backups/$(date -u +%Y%m%dT%H%M%SZ)-before-run-$LOCKSTEP_TOKEN.dump
pg_dump --format=custom --file="$file.part" "$DATABASE_URL"
mv "$file.part" "$file"
echo "saved $file"
