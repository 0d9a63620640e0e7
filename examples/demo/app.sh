#!/bin/sh
# The app of the demo: it cannot work before the migration is done, and it runs until it is stopped.
trap exit TERM # asked to stop while psql works: wait for psql, so that no process is left behind

orders=$(psql "$DATABASE_URL" -Xqt -A -c 'SELECT count(*) FROM orders') || exit 1
echo "serving $orders orders"
exec sleep 3600
