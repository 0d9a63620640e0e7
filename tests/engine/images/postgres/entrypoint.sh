#!/bin/bash
# Makes the cluster at the first start, as the variables say, then becomes the server. While it is being made, the server
# answers on its unix socket at most: nobody meets a database that is not finished.
set -eu

if [ "${1#-}" != "$1" ]; then
	set -- postgres "$@"
fi
if [ "$1" != postgres ]; then
	exec "$@"
fi

# While we are root: a secret's file may be for root only.
for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB; do
	file=${name}_FILE
	if [ -n "${!file:-}" ]; then
		export "$name=$(<"${!file}")"
		unset "$file"
	fi
done

if [ "$(id -u)" = 0 ]; then
	mkdir -p "$PGDATA"
	chown -R postgres "$PGDATA"
	chmod 700 "$PGDATA"
	exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
	user=${POSTGRES_USER:-postgres}
	database=${POSTGRES_DB:-$user}
	method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
	if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
		echo "postgres: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust" >&2
		exit 1
	fi
	# A copy of the image's cluster takes a tenth of the time that initdb does. Unlike there, a role postgres is in it as well.
	cp --recursive --no-preserve=mode,ownership /var/lib/postgresql/template/. "$PGDATA"
	chmod -R u=rwX,go= "$PGDATA"
	printf 'host all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
	quoted() { printf %s "$1" | sed "s/[$2]/&&/g; 1s/^/$2/; \$s/\$/$2/"; }
	role=$(quoted "$user" '"')
	{
		[ "$user" = postgres ] || echo "CREATE ROLE $role SUPERUSER LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS"
		[ -z "${POSTGRES_PASSWORD:-}" ] || echo "ALTER ROLE $role PASSWORD $(quoted "$POSTGRES_PASSWORD" "'")"
		[ "$database" = postgres ] || echo "CREATE DATABASE $(quoted "$database" '"') OWNER $role"
	} | postgres --single -F -D "$PGDATA" postgres >/dev/null

	if [ -n "$(find /docker-entrypoint-initdb.d -mindepth 1 -print -quit)" ]; then
		pg_ctl --wait --silent --options="-c listen_addresses=''" start
		sql() { psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$user" --dbname "$database" "$@"; }
		for script in /docker-entrypoint-initdb.d/*; do
			case $script in
			*.sql) sql --file "$script" ;;
			*.sql.gz) gunzip --stdout "$script" | sql ;;
			*.sh) bash "$script" ;;
			esac
		done
		pg_ctl --wait --silent --mode fast stop
	fi
	echo "postgres: the database is made" >&2
fi
exec "$@" -c listen_addresses='*'
