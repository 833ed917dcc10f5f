"""Causes the server itself names: log-in, database, limits of sessions, and what a first query meets."""

from __future__ import annotations

from .cause import Cause, broken, warning

SERVER: dict[str, Cause] = {
    "password_refused": broken(
        "authentication",
        "the server refuses the password of '{user}': it is wrong, has ended, or there is no such role (the server "
        "does not tell which)",
        "compare {secret_id} in the secrets store with the role: {admin} -c '\\password {user}' sets it anew, put the "
        "same into the store, then {converge}",
    ),
    "password_old": broken(
        "authentication",
        "{container} uses an old password of '{user}'; the present value of secret {secret} is accepted",
        "hand the present secret over: {converge}",
    ),
    "hba": broken(
        "authentication",
        "the server's pg_hba.conf does not let '{user}' into '{database}' from this address: {message}",
        "add a hostssl line for this role, database and network to pg_hba.conf (in RDS: the security group and "
        "rds.force_ssl), and reload the server; then {again}",
    ),
    "role_missing": broken(
        "authentication",
        "there is no role '{user}' on the server",
        "create it: {admin} -c 'create role \"{user}\" login', set its password to {secret_id}, then {again}",
    ),
    "role_no_login": broken(
        "authentication",
        "role '{user}' may not log in",
        "allow it: {admin} -c 'alter role \"{user}\" login'; then {again}",
    ),
    "method_unsupported": broken(
        "authentication",
        "the server does not ask for a password: {message}",
        "have pg_hba.conf ask '{user}' for scram-sha-256 and reload the server; then {again}",
    ),
    "clear_password": broken(
        "authentication",
        "the server asks for the password in the clear without TLS",
        "have pg_hba.conf ask for scram-sha-256, and turn TLS on; then {again}",
    ),
    "server_unproven": broken(
        "authentication",
        "the server could not prove that it knows the password: {message}",
        "stop the application: something else may answer at the database's address; find out what does",
    ),
    "database_missing": broken(
        "database",
        "there is no database '{database}' on the server",
        "correct the name, or bring it back: ansible-playbook playbooks/restore.yml {limit} -e stack={stack} "
        "-e database={database}",
    ),
    "database_privilege": broken(
        "database",
        "'{user}' may not connect to '{database}' (no CONNECT privilege)",
        'grant it: {admin} -c \'grant connect on database "{database}" to "{user}"\'; then {again}',
    ),
    "database_closed": broken(
        "database",
        "'{database}' does not take connections now",
        "open it when the work on it is done: {admin} -c 'alter database \"{database}\" allow_connections true'; "
        "then {again}",
    ),
    "slots_exhausted": broken(
        "session",
        "all connections of the server are in use: {message}",
        "see who holds them: {admin} -c 'select usename, datname, state, count(*) from pg_stat_activity group by 1, 2, "
        "3 order by 4 desc'; end idle ones with pg_terminate_backend, lower the pools or raise max_connections",
    ),
    "role_limit": broken(
        "session",
        "role '{user}' has used up its own limit of connections",
        "see who holds them, then raise it: {admin} -c 'alter role \"{user}\" connection limit N'; then {again}",
    ),
    "database_limit": broken(
        "session",
        "database '{database}' has used up its own limit of connections",
        "see who holds them, then raise it: {admin} -c 'alter database \"{database}\" connection limit N'; "
        "then {again}",
    ),
    "not_ready": broken(
        "session",
        "the server does not take sessions now: {message}",
        "wait for its start or recovery to end, and read its log if it does not; then {again}",
    ),
    "session_ended": broken(
        "session",
        "the server ended the session: {message}",
        "somebody stops or restarts it: read its log; then {again}",
    ),
    "out_of_time": broken(
        "session",
        "looking at the databases took too long; '{database}' and those after it were not reached",
        "look at the server's load; then {again}",
    ),
    "read_only": broken(
        "query",
        "'{database}' takes no writes: transactions are read-only by default",
        "see who set it: {admin} -c 'show default_transaction_read_only'; alter database or role, then {again}",
    ),
    "recovering": broken(
        "query",
        "the server is a standby in recovery and takes no writes",
        "point the application at the primary, or promote this one if the primary is lost; then {again}",
    ),
    "statement_timeout": broken(
        "query",
        "a plain query was cancelled by the server: {message}",
        "see the limit of the role: {admin} -c 'select rolconfig from pg_roles where rolname = $${user}$$'; "
        "then {again}",
    ),
    "blocked": broken(
        "query",
        "in '{database}' process {waiting} has waited {waits_s} s for a lock that process {blocker} ('{role}', "
        "{state}) holds",
        "end the holder if it is not needed: {admin} -c 'select pg_terminate_backend({blocker})'; then {again}",
    ),
    "disk_full": broken(
        "query",
        "the server cannot write: its disk is full ({message})",
        "free or add disk space at the database server (in RDS: allocated storage); then {again}",
    ),
    "out_of_memory": broken(
        "query",
        "the server has no memory left: {message}",
        "look at the server's memory and at work_mem times connections; then {again}",
    ),
    "server_error": broken(
        "",
        "the server refused with SQLSTATE {sqlstate}: {message}",
        "read the server's log of this minute; then {again}",
    ),
    "use_high": warning(
        "session",
        "{used} of {usable} connections are in use ({percent} %)",
        "find idle ones in pg_stat_activity, lower the pools or raise max_connections",
    ),
    "budget_short": warning(
        "session",
        "{free} connections are free: a second release with a pool of {pool} does not fit beside this one",
        "lower x-ops.database.pool or raise max_connections before the next deploy",
    ),
    "password_ends": warning(
        "authentication",
        "the password of '{user}' ends in {valid_days} days",
        "set a later end: {admin} -c 'alter role \"{user}\" valid until ...'",
    ),
    "timeout_short": warning(
        "query",
        "statements of '{user}' are cancelled after {statement_timeout_ms} ms",
        'see whether that is meant: alter role "{user}" reset statement_timeout',
    ),
    "slow": warning(
        "query",
        "a query without work took {latency_ms} ms",
        "look at the server's load and at the way to it",
    ),
}
