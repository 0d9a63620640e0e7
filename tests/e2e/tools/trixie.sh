#!/bin/sh
# Redis 8 and Valkey beside the system's own Redis: prints a folder with bin/redis-server, bin/valkey-server and their tools.
exec "${0%/*}/../../../docker/trixie.sh" redis-server redis-tools valkey-server valkey-tools
