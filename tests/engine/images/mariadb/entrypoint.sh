#!/bin/bash
# Makes the data directory at the first start, as the variables say, then becomes the server. It is made without the network:
# nobody meets a database that is not finished.
set -eu

if [ "${1#-}" != "$1" ]; then
	set -- mariadbd "$@"
fi
if [ "$1" != mariadbd ]; then
	exec "$@"
fi

# Only root may be able to read the files.
for name in MARIADB_ROOT_PASSWORD MARIADB_DATABASE MARIADB_USER MARIADB_PASSWORD; do
	file=${name}_FILE
	if [ -n "${!file:-}" ]; then
		export "$name=$(<"${!file}")"
		unset "$file"
	fi
done
if [ "$(id -u)" = 0 ]; then
	chown -R mysql /var/lib/mysql
	exec setpriv --reuid=mysql --regid=mysql --init-groups "$0" "$@"
fi

quoted() { # VALUE: as an SQL string
	local value=${1//\\/\\\\}
	printf "'%s'" "${value//\'/\'\'}"
}

if [ ! -d /var/lib/mysql/mysql ]; then
	if [ -n "${MARIADB_RANDOM_ROOT_PASSWORD:-}" ]; then
		MARIADB_ROOT_PASSWORD=$(head -c 24 /dev/urandom | base64)
	fi
	if [ -z "${MARIADB_ROOT_PASSWORD:-}" ]; then
		echo "mariadb: set MARIADB_ROOT_PASSWORD or MARIADB_RANDOM_ROOT_PASSWORD" >&2
		exit 1
	fi
	mariadb-install-db --auth-root-socket-user=root --skip-test-db >/dev/null
	{
		echo "ALTER USER root@localhost IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD($(quoted "$MARIADB_ROOT_PASSWORD"));"
		if [ -n "${MARIADB_DATABASE:-}" ]; then
			echo "CREATE DATABASE \`$MARIADB_DATABASE\`;"
		fi
		if [ -n "${MARIADB_USER:-}" ]; then
			echo "CREATE USER $(quoted "$MARIADB_USER")@'%' IDENTIFIED BY $(quoted "$MARIADB_PASSWORD");"
			echo "GRANT ALL ON \`${MARIADB_DATABASE:-$MARIADB_USER}\`.* TO $(quoted "$MARIADB_USER")@'%';"
		fi
	} >/run/mysqld/first.sql
	set -- "$@" --init-file=/run/mysqld/first.sql
fi
exec "$@" --bind-address=0.0.0.0
