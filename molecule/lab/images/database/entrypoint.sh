#!/bin/bash
# Brings the key where the server may read it, makes roles and databases that are missing, then becomes the server.
set -euo pipefail
install -d -o postgres -g postgres -m 0700 /run/database
install -o postgres -g postgres -m 0600 /lab/tls.pem /lab/tls.key /lab/pg_hba.conf /lab/roles.sql /run/database/
chown postgres:postgres "$(dirname "$PGDATA")"

as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups --no-new-privs "$@"; }

if [[ ! -s $PGDATA/PG_VERSION ]]; then
  rm -rf "$PGDATA.partial"
  as_postgres initdb --pgdata="$PGDATA.partial" --username=postgres --encoding=UTF8 --locale=C.UTF-8 --auth-local=peer --auth-host=reject
  mv "$PGDATA.partial" "$PGDATA"
fi
as_postgres pg_ctl --pgdata="$PGDATA" --wait --silent start \
  -o "-c listen_addresses='' -c unix_socket_directories=/tmp -c hba_file=/run/database/pg_hba.conf"
as_postgres psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username=postgres --file=/run/database/roles.sql postgres
as_postgres pg_ctl --pgdata="$PGDATA" --wait --silent --mode=fast stop
exec setpriv --reuid=postgres --regid=postgres --clear-groups --no-new-privs postgres \
  -c listen_addresses='*' -c unix_socket_directories=/tmp -c hba_file=/run/database/pg_hba.conf \
  -c ssl=on -c ssl_cert_file=/run/database/tls.pem -c ssl_key_file=/run/database/tls.key \
  -c password_encryption=scram-sha-256 -c max_connections=100 -c jit=off -c log_connections=on -c log_line_prefix='%m %u@%d %h ' "$@"
