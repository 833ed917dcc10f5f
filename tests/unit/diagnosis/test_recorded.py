"""What a real server did, recorded by `RECORD_DIAGNOSES=<folder> pytest tests/faults`, is judged as it was then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.model.connection import LAYERS, Connection, Observation
from plugins.module_utils.plan.cause import BROKEN
from plugins.module_utils.plan.causes import CAUSES
from plugins.module_utils.plan.diagnosis import Context, Diagnosis, diagnose

CASES = sorted(Path(__file__).parent.glob("recorded/*/*.json"))
CONTEXT = Context("odoo18", "faults", "web", "odoo18-web-19b9b98-1", secret="PASSWORD", pool=2, blocked_limit_s=0.3)
# Codes that a second try proves; the recording holds the first one only.
PROVEN = ("password_old", "tls_demanded", "tls_unwanted")


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


ON_THE_WIRE = [path for path in CASES if read(path)["verdict"] not in ("configuration", "dns")]


def replay(case: dict[str, Any]) -> Diagnosis:
    names = tuple(case["databases"])
    connection = Connection("db.faults.lab", 5432, "odoo", names, tls="verify-full") if names else None
    proven = case["code"] if case["code"] in PROVEN else ""
    return diagnose((Observation(**one) for one in case["seen"]), CONTEXT, connection, proven=proven)


def test_there_are_recordings() -> None:
    assert len(CASES) >= 35


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_recording_is_judged_as_it_was(path: Path) -> None:
    case = read(path)
    diagnosis = replay(case)
    assert (diagnosis.verdict, diagnosis.code) == (case["verdict"], case["code"])
    assert diagnosis.databases == case["databases"]
    assert len(diagnosis.warnings) == case["warnings"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_no_text_has_a_hole(path: Path) -> None:
    """Every word a cause speaks of is in what was seen."""
    diagnosis = replay(read(path))
    told = [diagnosis.cause, diagnosis.next, *diagnosis.warnings]
    assert all(text and "{" not in text and "unknown" not in text for text in told)


@pytest.mark.parametrize("path", ON_THE_WIRE, ids=lambda path: path.stem)
def test_libpq_agrees_that_it_is_broken(path: Path) -> None:
    """Our own steps through the protocol must not see faults that libpq does not, nor miss those it sees."""
    case = read(path)
    broken_for_libpq = case["verdict"] in LAYERS[: LAYERS.index("query")]
    assert bool(case["libpq"]) == broken_for_libpq
    server_said = [one["facts"]["message"] for one in case["seen"] if one["code"] == "server_error"]
    assert all(said in case["libpq"] for said in server_said[:1] if broken_for_libpq)


def test_every_broken_code_of_a_layer_that_can_be_injected_is_recorded() -> None:
    recorded = {read(path)["code"] for path in CASES}
    # These need a server or a network that the rig cannot make; plan cases in test_diagnosis.py cover their words.
    elsewhere = {
        "accessory_down", "ca_missing", "ca_unreadable", "clear_password", "closed", "contradiction", "dns_failure",
        "dns_refused", "foreign_address", "method_unsupported", "not_postgresql", "not_ready", "out_of_memory",
        "out_of_time", "recovering", "role_missing", "server_error", "server_unproven", "session_ended",
        "statement_timeout", "tcp_reset", "tls_failed", "tls_unknown", "tls_unwanted", "url_malformed",
    }  # fmt: skip
    assert {code for code, cause in CAUSES.items() if cause.grade == BROKEN} - recorded == elsewhere
