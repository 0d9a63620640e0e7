#!/bin/sh
# Clients are let in once everything is made. The official one asks what its options name; one question answers those in use.
exec mariadb --user=root --execute 'SELECT 1' >/dev/null
