"""A PostgreSQL server as a backup and a restore need it: what a database holds, making, renaming and dropping one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..model.backup import DatabaseContent, TableContent
from ..model.errors import OpsError
from ..model.restore import DatabaseTarget, Session, is_leftover

if TYPE_CHECKING:
    from psycopg import Connection

try:
    import psycopg
    from psycopg import sql
except ImportError:  # the host is not provisioned yet: connect() says so
    psycopg = None  # type: ignore[assignment]

_CONNECT_TIMEOUT_S = 10
_MAINTENANCE = "postgres"

# The text of a value must not depend on how the role, the database or the server is set up, since it is hashed.
_FIXED_TEXT = (
    "-c search_path=pg_catalog -c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres -c bytea_output=hex "
    "-c extra_float_digits=1 -c xmloption=content -c row_security=off -c statement_timeout=0 "
    "-c idle_in_transaction_session_timeout=0 -c lock_timeout=30s -c client_encoding=UTF8"
)

_OURS = r"n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_NOT_OF_EXTENSION = (
    "NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '{0}'::regclass AND e.objid = x.oid AND e.deptype = 'e')"
)

_TABLES = f"""
SELECT n.nspname, x.relname FROM pg_class x JOIN pg_namespace n ON n.oid = x.relnamespace
WHERE x.relkind = 'r' AND {_OURS} AND {_NOT_OF_EXTENSION.format("pg_class")} ORDER BY 1, 2
"""  # noqa: S608 - made of constants

_STRUCTURE = f"""
SELECT kind, count(*) FROM (
  SELECT CASE x.relkind WHEN 'i' THEN 'indexes' WHEN 'I' THEN 'indexes' WHEN 'S' THEN 'sequences' WHEN 'v' THEN 'views'
    WHEN 'm' THEN 'materialized views' WHEN 'p' THEN 'partitioned tables' WHEN 'f' THEN 'foreign tables'
    ELSE 'tables' END AS kind
  FROM pg_class x JOIN pg_namespace n ON n.oid = x.relnamespace
  WHERE x.relkind IN ('r', 'i', 'I', 'S', 'v', 'm', 'p', 'f') AND {_OURS} AND {_NOT_OF_EXTENSION.format("pg_class")}
  UNION ALL
  SELECT 'constraints' FROM pg_constraint x JOIN pg_namespace n ON n.oid = x.connamespace
  WHERE x.contype <> 'n' AND {_OURS} AND {_NOT_OF_EXTENSION.format("pg_constraint")}
  UNION ALL
  SELECT 'functions' FROM pg_proc x JOIN pg_namespace n ON n.oid = x.pronamespace
  WHERE {_OURS} AND {_NOT_OF_EXTENSION.format("pg_proc")}
  UNION ALL
  SELECT 'triggers' FROM pg_trigger x JOIN pg_class c ON c.oid = x.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT x.tgisinternal AND {_OURS}
  UNION ALL
  SELECT 'extensions' FROM pg_extension
  UNION ALL
  SELECT 'large objects' FROM pg_largeobject_metadata
) AS counted GROUP BY kind
"""  # noqa: S608 - made of constants

_ROLES = f"""
SELECT DISTINCT r.rolname FROM pg_roles r JOIN (
  SELECT x.relowner AS owner FROM pg_class x JOIN pg_namespace n ON n.oid = x.relnamespace WHERE {_OURS}
  UNION SELECT x.proowner FROM pg_proc x JOIN pg_namespace n ON n.oid = x.pronamespace
    WHERE {_OURS} AND {_NOT_OF_EXTENSION.format("pg_proc")}
  UNION SELECT n.nspowner FROM pg_namespace n WHERE {_OURS} AND n.nspname <> 'public'
  UNION SELECT s.refobjid FROM pg_shdepend s
    WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype IN ('o', 'a') AND s.classid <> 'pg_database'::regclass
      AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS named ON named.owner = r.oid ORDER BY 1
"""  # noqa: S608 - made of constants

_GRANTS = """
SELECT coalesce(r.rolname, ''), a.privilege_type FROM pg_database d
CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE d.datname = current_database() ORDER BY 1, 2
"""

_SETTINGS = """
SELECT unnest(setconfig) FROM pg_db_role_setting
WHERE setrole = 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1
"""

# Where applications write how far their schema is: the table, a column that tells ours from others, and the question.
_SCHEMA_HEADS = (
    ("public.schema_migrations", "name", "SELECT max(name) FROM public.schema_migrations"),
    (
        "public.ir_module_module",
        "latest_version",
        "SELECT latest_version FROM public.ir_module_module WHERE name = 'base'",
    ),
    (
        "drizzle.__drizzle_migrations",
        "hash",
        "SELECT hash FROM drizzle.__drizzle_migrations ORDER BY created_at DESC LIMIT 1",
    ),
)


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server and the role that logs in. ``ca_file`` is a path on this host."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    tls: str = "disable"
    ca_file: str = ""

    @property
    def where(self) -> str:
        """``postgres.staging.lab:5432``"""
        return f"{self.host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """By which libpq's own programs learn where to go; never arguments, since everybody can read those."""
        variables = {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGSSLMODE": self.tls,
            "PGCONNECT_TIMEOUT": str(_CONNECT_TIMEOUT_S),
            "PGAPPNAME": "seisei-ops",
        }
        return variables | ({"PGSSLROOTCERT": self.ca_file} if self.ca_file else {})

    # -- connecting ----------------------------------------------------------------------------------------------------

    @contextmanager
    def connect(self, database: str, *, autocommit: bool = True) -> Iterator[Connection[Any]]:
        """A session in a database.

        :raises OpsError: when it cannot be had, and for whatever the server refuses in it.
        """
        if psycopg is None:
            raise OpsError("psycopg is not installed", where="this host", do="run provision.yml for it")
        where = f"database {database} at {self.where}"
        with _told(where):
            connection = psycopg.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                dbname=database,
                sslmode=self.tls,
                sslrootcert=self.ca_file or None,
                connect_timeout=_CONNECT_TIMEOUT_S,
                application_name="seisei-ops",
                options=_FIXED_TEXT,
                autocommit=autocommit,
            )
            try:
                yield connection
            finally:
                connection.close()

    # -- looking -------------------------------------------------------------------------------------------------------

    def sizes(self, names: Sequence[str]) -> dict[str, int | None]:
        """Bytes of each database, None for one that is not there."""
        with self.connect(_MAINTENANCE) as session:
            rows = session.execute(
                "SELECT datname, pg_database_size(oid) FROM pg_database WHERE datname = ANY(%s)"
                " AND has_database_privilege(oid, 'CONNECT')",
                (list(names),),
            )
            found = dict(rows.fetchall())
        return {name: found.get(name) for name in names}

    def target(self, name: str) -> DatabaseTarget:
        """A database that may be restored into."""
        with self.connect(_MAINTENANCE) as session:
            powers = session.execute(
                "SELECT rolsuper OR rolcreatedb, rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            may_create, superuser = powers or (False, False)
            owner = session.execute(
                "SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = %s", (name,)
            ).fetchone()
            names = [row[0] for row in session.execute("SELECT datname FROM pg_database ORDER BY 1")]
            leftovers = tuple(each for each in names if is_leftover(each, name))
            if owner is None:
                return DatabaseTarget(name, may_create=may_create, leftovers=leftovers)
            rows = session.execute(
                "SELECT coalesce(usename, ''), coalesce(application_name, ''), coalesce(host(client_addr), '')"
                " FROM pg_stat_activity WHERE datname = %s ORDER BY 1, 2, 3",
                (name,),
            )
            sessions = tuple(Session(*row) for row in rows)
        with self.connect(name) as session:
            tables = len(session.execute(_TABLES).fetchall())
        return DatabaseTarget(name, True, tables, sessions, may_create, superuser or owner[0], leftovers)

    def version(self) -> int:
        """The major version."""
        with self.connect(_MAINTENANCE) as session:
            return session.info.server_version // 10000

    def missing_roles(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the roles that are not there, or that we may not act for."""
        with self.connect(_MAINTENANCE) as session:
            rows = session.execute(
                "SELECT wanted FROM unnest(%s::text[]) AS wanted LEFT JOIN pg_roles ON rolname = wanted"
                " WHERE rolname IS NULL OR NOT pg_has_role(rolname, 'MEMBER') ORDER BY 1",
                (list(names),),
            )
            return tuple(row[0] for row in rows)

    # -- changing ------------------------------------------------------------------------------------------------------

    def create_database(self, name: str, like: DatabaseContent, *, keep_owner: bool) -> tuple[str, ...]:
        """An empty database with the encoding, locale, settings and grants of another; returns what was not kept."""
        clauses = [
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
                sql.Identifier(name), sql.Literal(like.encoding), sql.Literal(like.collate), sql.Literal(like.ctype)
            )
        ]
        if keep_owner:
            clauses.append(sql.SQL("OWNER {}").format(sql.Identifier(like.owner)))
        if like.provider == "i":
            clauses.append(sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(like.locale)))
        with self.connect(_MAINTENANCE) as session:
            session.execute(sql.SQL(" ").join(clauses))
            for setting in like.settings:
                key, _, value = setting.partition("=")
                session.execute(
                    sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                        sql.Identifier(name), sql.Identifier(key), sql.Literal(value)
                    )
                )
            return self._grant(session, name, like.grants)

    def _grant(self, session: Connection[Any], name: str, grants: Sequence[str]) -> tuple[str, ...]:
        known = {row[0] for row in session.execute("SELECT rolname FROM pg_roles")} | {""}
        session.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
        lost = []
        for grant in grants:
            role, _, privilege = grant.partition("=")
            if role not in known:
                lost.append(f"role {role} does not exist here, so its {privilege} on the database is not granted")
                continue
            session.execute(
                sql.SQL("GRANT {} ON DATABASE {} TO {}").format(
                    sql.SQL(_PRIVILEGES[privilege]),
                    sql.Identifier(name),
                    sql.Identifier(role) if role else sql.SQL("PUBLIC"),
                )
            )
        return tuple(lost)

    def rename(self, names: Mapping[str, str]) -> None:
        """Rename databases, all or none of them, in the order given."""
        with self.connect(_MAINTENANCE, autocommit=False) as session, session.transaction():
            for before, after in names.items():
                session.execute(
                    sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(before), sql.Identifier(after))
                )

    def analyse(self, name: str) -> None:
        """Count what the planner needs to know, so that a restored database is quick from its first query."""
        with self.connect(name) as session:
            session.execute("ANALYZE")

    def drop(self, name: str) -> None:
        """Drop a database if it is there."""
        with self.connect(_MAINTENANCE) as session:
            session.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


_PRIVILEGES = {"CREATE": "CREATE", "CONNECT": "CONNECT", "TEMPORARY": "TEMPORARY"}


@contextmanager
def frozen(server: Server, database: str) -> Iterator[tuple[Connection[Any], str]]:
    """A session that sees one moment of a database, and the name under which pg_dump sees the same moment."""
    with server.connect(database, autocommit=False) as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = session.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        yield session, str(row[0])


def measure_content(session: Connection[Any]) -> DatabaseContent:
    """What the database of this session holds: rows and hashes of every table, counts of everything else.

    The hash of a table is the sum of the hashes of its rows, so it needs no order and no memory.
    """
    with _told(f"database {session.info.dbname}"):
        tables = {
            f"{schema}.{name}": _table(session, schema, name) for schema, name in session.execute(_TABLES).fetchall()
        }
        structure = {str(kind): int(count) for kind, count in session.execute(_STRUCTURE)}
        row = session.execute(
            "SELECT to_jsonb(d), pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding),"
            " current_setting('server_version') FROM pg_database d WHERE datname = current_database()"
        ).fetchone()
        assert row is not None
        entry, owner, encoding, version = row
        return DatabaseContent(
            tables=tables,
            structure=structure,
            owner=owner,
            encoding=encoding,
            collate=entry["datcollate"],
            ctype=entry["datctype"],
            provider=entry.get("datlocprovider") or "c",
            # Called daticulocale before version 17.
            locale=entry.get("datlocale") or entry.get("daticulocale") or "",
            server_version=version,
            schema_head=_schema_head(session),
            roles=tuple(name for (name,) in session.execute(_ROLES)),
            settings=tuple(setting for (setting,) in session.execute(_SETTINGS)),
            grants=tuple(f"{role}={privilege}" for role, privilege in session.execute(_GRANTS)),
        )


def _table(session: Connection[Any], schema: str, name: str) -> TableContent:
    row = session.execute(
        sql.SQL(
            "SELECT count(*), coalesce(sum(hashtextextended((ops_row.*)::text, 0)), 0)::text FROM ONLY {} AS ops_row"
        ).format(sql.Identifier(schema, name))
    ).fetchone()
    assert row is not None
    return TableContent(*row)


def _schema_head(session: Connection[Any]) -> str:
    for table, column, question in _SCHEMA_HEADS:
        schema, name = table.split(".")
        known = session.execute(
            "SELECT FROM information_schema.columns WHERE table_schema = %s AND table_name = %s AND column_name = %s",
            (schema, name, column),
        ).fetchone()
        if known is not None:
            row = session.execute(question).fetchone()
            return str(row[0] or "") if row else ""
    return ""


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Turn what psycopg raises into one sentence, without the rows that a DETAIL may quote."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise OpsError(
            f"the role lacks a privilege: {_first_line(error)}",
            where=where,
            do="let an administrator grant it, or name the owner as x-ops.database.user",
        ) from error
    except psycopg.errors.ObjectInUse as error:
        raise OpsError(
            f"somebody connected meanwhile: {_first_line(error)}",
            where=where,
            do="stop what uses it, then run this again",
        ) from error
    except psycopg.OperationalError as error:
        if error.sqlstate and error.sqlstate[:2] not in ("08", "57"):
            raise OpsError(f"the database refused: {_first_line(error)}", where=where, do="see its log") from error
        raise OpsError(
            f"the database cannot be reached: {_first_line(error)}",
            where=where,
            do="run diagnose_database.yml for this stack",
        ) from error
    except psycopg.Error as error:
        raise OpsError(
            f"the database refused: {_first_line(error)}", where=where, do="see the database's log"
        ) from error


def _first_line(error: Exception) -> str:
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return str(primary or str(error).strip().splitlines()[0] or type(error).__name__)
