#!/bin/sh
# Run under the lock, after a migration that succeeded; if it fails, a warning says so and the app starts.
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 "$DATABASE_URL" <<-SQL
	REFRESH MATERIALIZED VIEW bestsellers;
	ANALYZE;
SQL
