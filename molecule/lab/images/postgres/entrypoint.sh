#!/bin/bash
# Initialises the data directory on the first start, then becomes the server.
# POSTGRES_USER (postgres), POSTGRES_DB (the user's name) and POSTGRES_PASSWORD_FILE say what to make.
set -euo pipefail

initialise() {
  local user="${POSTGRES_USER:-postgres}" database="${POSTGRES_DB:-${POSTGRES_USER:-postgres}}" partial="${PGDATA}.partial"
  if [[ ! -r ${POSTGRES_PASSWORD_FILE:-} ]]; then
    echo "postgres: POSTGRES_PASSWORD_FILE names no readable file; it must hold the password of ${user}" >&2
    exit 64
  fi
  # Built beside and renamed at the end: a start that was interrupted begins anew.
  rm -rf "$partial"
  initdb --pgdata="$partial" --username="$user" --pwfile="$POSTGRES_PASSWORD_FILE" --encoding=UTF8 --locale=C.UTF-8 \
    --auth-local=trust --auth-host=scram-sha-256
  echo "host all all all scram-sha-256" >> "$partial/pg_hba.conf"
  if [[ $database != postgres ]]; then
    pg_ctl --pgdata="$partial" --wait start -o "-c listen_addresses='' -c unix_socket_directories=/tmp"
    createdb --username="$user" --owner="$user" "$database"
    pg_ctl --pgdata="$partial" --wait --mode=fast stop
  fi
  mv "$partial" "$PGDATA"
}

if [[ ${1:-} == postgres ]]; then
  shift
  [[ -s $PGDATA/PG_VERSION ]] || initialise
  exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp -c jit=off "$@"
fi
exec "$@"
