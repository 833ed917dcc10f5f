"""What an application was told, case by case: a JSON file names environment and files, and what is to be found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.model.connection import Container, FileSeen
from plugins.module_utils.model.database import parse_database
from plugins.module_utils.model.document import Node
from plugins.module_utils.plan.causes import CAUSES
from plugins.module_utils.plan.connection import Declared, Reading, paths_to_read, read_connection
from plugins.module_utils.plan.diagnosis import Context, diagnose
from tests.faults.database_parts import Authority

CASES = sorted((Path(__file__).parent / "settings").glob("*.json"))
SECRETS = ("secret-value", "older-value", "other-value", "sec/ret", "ret@")
CA = Authority("unit authority").pem


def reading(case: dict[str, Any]) -> Reading:
    block = {
        "host": "db.lab", "user": "app", "password": "PASSWORD", "names": "one,two", "tls": "verify-full", "ca": "ca",
        "configured_by": case["configured_by"],
    }  # fmt: skip
    node = Node(block, "case")
    database = parse_database(node)
    node.finish()
    files = case.get("files", {"/run/secrets/PASSWORD": ["ok", "secret-value\n"], "/etc/ca.pem": ["ok", "CA"]})
    seen = {path: FileSeen(state, CA if text == "CA" else text, text) for path, (state, text) in files.items()}
    container = Container("app-web-1", "running", 1, case["environment"], {}, ())
    asked = paths_to_read(database, case["environment"])
    declared = Declared("app", database, "secret-value", CA, {"db.production.lab": "production"})
    return read_connection(declared, container, {path: file for path, file in seen.items() if path in asked})


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_of_settings(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    found = reading(case)
    assert [one.code for one in found.seen if not one.ok] == case["codes"]
    wanted = case["connection"]
    assert (found.connection is None) == (wanted is None)
    if found.connection and wanted:
        told = {key: getattr(found.connection, key) for key in wanted}
        assert {**told, "names": list(told["names"])} == wanted
        assert "secret-value" not in repr(found.connection)
    broken = any(CAUSES[code].grade == "broken" for code in case["codes"])
    assert broken == (wanted is None)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_no_password_is_ever_told(path: Path) -> None:
    found = reading(json.loads(path.read_text(encoding="utf-8")))
    told = diagnose(found.seen, Context("app", "staging", "web", "app-web-1"), found.connection)
    assert not any(secret in json.dumps(told.as_dict()) + repr(found) for secret in SECRETS)


def test_an_ended_authority_is_seen_by_its_date() -> None:
    case = json.loads((Path(__file__).parent / "settings" / "sound.json").read_text(encoding="utf-8"))
    case["files"] = {"/run/secrets/PASSWORD": ["ok", "x"], "/etc/ca.pem": ["ok", Authority("old", days=-1).pem]}
    assert [one.code for one in reading(case).seen if not one.ok] == ["ca_expired", "password_differs"]
