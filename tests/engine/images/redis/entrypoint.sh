#!/bin/sh
# Becomes redis-server as user redis. The official server is compiled to take clients of other hosts without a password.
set -eu

if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
	set -- redis-server "$@"
fi
if [ "$1" != redis-server ]; then
	exec "$@"
fi
case " $* " in
*" --protected-mode "*) ;;
*) set -- "$@" --protected-mode no ;;
esac
if [ "$(id -u)" = 0 ]; then
	chown -R redis /data
	exec setpriv --reuid=redis --regid=redis --init-groups "$@"
fi
exec "$@"
