"""A database with everything in it, an inventory of one's own, and a comparison that shares no code with ours."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import yaml
from psycopg import sql

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "build" / "lab"
SERVER = "10.213.0.6"
HOST = "10.213.0.11"

RICH = Path(__file__).with_name("rich_database.sql")

_CATALOGUE = {
    "columns": "SELECT table_schema, table_name, column_name, data_type, udt_name, column_default, is_nullable,"
    " generation_expression, collation_name FROM information_schema.columns"
    " WHERE table_schema !~ '^(pg_|information_schema)' ORDER BY 1, 2, ordinal_position",
    "indexes": "SELECT schemaname, indexdef FROM pg_indexes WHERE schemaname !~ '^(pg_|information_schema)'"
    " ORDER BY 1, 2",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " ORDER BY 1, 2",
    "sequences": "SELECT schemaname, sequencename, data_type::text, start_value, increment_by, last_value"
    " FROM pg_sequences ORDER BY 1, 2",
    "extensions": "SELECT extname, extversion FROM pg_extension ORDER BY 1",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1",
    "materialised": "SELECT matviewname, definition FROM pg_matviews ORDER BY 1",
    "functions": "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'touch'",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    "types": "SELECT enumlabel FROM pg_enum ORDER BY enumsortorder",
    "comments": "SELECT description FROM pg_description WHERE classoid = 'pg_class'::regclass"
    " AND objoid >= 16384 ORDER BY 1",
    "owners": "SELECT relname, pg_get_userbyid(relowner) FROM pg_class WHERE oid >= 16384 AND relkind <> 't'"
    " AND relname !~ '^pg_toast' ORDER BY 1",
    "blobs": "SELECT md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1",
    "database": "SELECT encoding, datcollate, datctype, pg_get_userbyid(datdba),"
    " (SELECT array_agg(entry::text ORDER BY entry::text) FROM unnest(datacl) AS entry)"
    " FROM pg_database WHERE datname = current_database()",
    "settings": "SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase"
    " WHERE datname = current_database()",
}


_MAKE: tuple[LiteralString, ...] = (
    "CREATE DATABASE {} TEMPLATE template0 LC_COLLATE 'C'",
    "ALTER DATABASE {} SET timezone = 'Asia/Tokyo'",
    "REVOKE CONNECT ON DATABASE {} FROM PUBLIC",
)


@contextmanager
def session(database: str, user: str = "odoo") -> Iterator[psycopg.Connection[Any]]:
    """A session on staging's server, straight from this machine."""
    secret = {"odoo": "staging/odoo18-database-password", "ops_admin": "staging/postgres-admin-password"}[user]
    password = json.loads((LAB / "secrets.json").read_text())[secret]
    with psycopg.connect(
        host=SERVER,
        user=user,
        password=password,
        dbname=database,
        sslmode="verify-full",
        sslrootcert=str(LAB / "ca" / "ca.pem"),
        application_name="test_backup",
        autocommit=True,
    ) as connection:
        yield connection


def make_rich_database(name: str) -> None:
    """A database with a bit of everything, owned by the stack's role, with settings and grants of its own."""
    with session("postgres") as maintenance:
        for statement in _MAKE:
            maintenance.execute(sql.SQL(statement).format(sql.Identifier(name)))
    with session(name) as filling:
        filling.execute(RICH.read_bytes())


def drop_databases(prefix: str) -> None:
    """Drop the databases of a test, with whatever restores left of them."""
    with session("postgres", "ops_admin") as maintenance:
        for name in database_names(prefix):
            maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def database_names(prefix: str) -> list[str]:
    """Databases of a test."""
    with session("postgres") as maintenance:
        rows = maintenance.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (prefix,))
        return sorted(name for (name,) in rows)


def fingerprint(database: str) -> dict[str, Any]:
    """All that can be seen of a database: the catalogue as text, and a hash over the ordered rows of every table."""
    with session(database) as looking:
        found: dict[str, Any] = {name: looking.execute(question).fetchall() for name, question in _CATALOGUE.items()}
        tables = looking.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)' ORDER BY 1, 2"
        ).fetchall()
        tables.append(("public", "totals"))
        found["rows"] = {f"{schema}.{name}": _rows(looking, schema, name) for schema, name in tables}
    return found


def _rows(looking: psycopg.Connection[Any], schema: str, name: str) -> tuple[int, str]:
    question = sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(schema, name))
    rows = sorted(row for (row,) in looking.execute(question))
    return len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()


# -- the host ----------------------------------------------------------------------------------------------------------


def on_host(command: str, text: str = "") -> str:
    """Run a command on the host."""
    keys = LAB / "ssh"
    argv = ["ssh", "-F", "none", "-i", str(keys / "id_ed25519"), "-o", f"UserKnownHostsFile={keys / 'known_hosts'}"]
    argv += ["-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", f"root@{HOST}", command]
    return subprocess.run(argv, input=text, check=True, capture_output=True, text=True, timeout=60).stdout


# -- playbooks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """How a playbook ended, and what it printed."""

    code: int
    text: str
    report: dict[str, Any]


class Estate:
    """The lab's staging with settings of its own: other databases, another place in the bucket, or a fault."""

    def __init__(self, folder: Path, tenants: str, prefix: str) -> None:
        self._folder = folder
        self._tenants = tenants
        self._prefix = prefix
        self._count = 0

    def play(
        self,
        playbook: str,
        *words: str,
        storage: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Told:
        """Run a playbook; ``storage`` and ``variables`` change ops_environment for this one run."""
        inventory = self._inventory(storage or {}, variables or {})
        reports = set((ROOT / "build" / "reports").glob(f"*-{playbook}.json"))
        argv = [str(Path(sys.executable).with_name("ansible-playbook")), f"playbooks/{playbook}.yml"]
        argv += ["-i", "inventories/lab", "-i", str(inventory), "--limit", "staging", "-e", "stack=odoo18", *words]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
        text = done.stdout + done.stderr
        path = next(Path(line.split()[-1]) for line in reversed(text.splitlines()) if line.startswith("report: "))
        assert ROOT / path not in reports
        return Told(done.returncode, text, _report(json.loads((ROOT / path).read_text())))

    def _inventory(self, storage: Mapping[str, str], variables: Mapping[str, str]) -> Path:
        self._count += 1
        folder = self._folder / str(self._count)
        settings = yaml.safe_load((ROOT / "inventories/lab/group_vars/staging/environment.yml").read_text())
        environment = settings["ops_environment"]
        environment["object_storage"] |= {"prefix": self._prefix, **storage}
        environment["variables"] |= {"ODOO18_TENANTS": self._tenants, **variables}
        place = folder / "group_vars" / "staging"
        place.mkdir(parents=True)
        (place / "environment.yml").write_text(yaml.safe_dump(settings, allow_unicode=True))
        hosts = {"all": {"children": {"staging": {"hosts": {"staging-1": None}}}}}
        (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
        return folder / "hosts.yml"


def _report(whole: Mapping[str, Any]) -> dict[str, Any]:
    """What the last task told of the host."""
    hosts = whole["tasks"][-1]["hosts"]
    return dict(hosts.get("staging-1", {}).get("report", {}))
