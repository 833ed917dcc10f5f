"""From observations to the verdict, for what the recordings do not hold."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.connection import LAYERS, Connection, Observation
from plugins.module_utils.plan.cause import WARNING
from plugins.module_utils.plan.causes import CAUSES
from plugins.module_utils.plan.diagnosis import Context, diagnose, present, server_code

CONTEXT = Context(
    "odoo18",
    "production",
    "web",
    "odoo18-web-19b9b98-1",
    release="sha-19b9b98",
    secret="ODOO18_DATABASE_PASSWORD",
    secret_id="production/odoo18-database-password",
    limit="-i inventories/production --limit production",
    pool=8,
)
CONNECTION = Connection("db.lab", 5432, "odoo", ("acme",), "hunter2-hunter2", "verify-full")
LIMITS: dict[str, Any] = {"most": 100, "reserved": 3, "used": 10, "role_limit": -1, "database_limit": -1}
STATE: dict[str, Any] = {
    "latency_ms": 0.3, "recovering": False, "read_only": False, "statement_timeout_ms": 0, "written": True,
    "blocked": [],
}  # fmt: skip


def judged(*seen: Observation, proven: str = "", context: Context = CONTEXT) -> tuple[str, str]:
    diagnosis = diagnose(seen, context, CONNECTION, proven=proven)
    return diagnosis.verdict, diagnosis.code


@pytest.mark.parametrize(
    ("sqlstate", "routine", "message", "code"),
    [
        ("28P01", "auth_failed", "", "password_refused"),
        ("28000", "ClientAuthentication", "", "hba"),
        ("28000", "InitializeSessionUserId", 'role "x" does not exist', "role_missing"),
        ("28000", "InitializeSessionUserId", 'role "x" is not permitted to log in', "role_no_login"),
        # A server that speaks another language: the state and the routine are the same.
        ("28000", "InitializeSessionUserId", 'ロール"x"はログインが許可されません', "role_no_login"),
        ("3D000", "InitPostgres", "", "database_missing"),
        ("42501", "CheckMyDatabase", "", "database_privilege"),
        ("42501", "aclcheck_error", "", "server_error"),
        ("55000", "CheckMyDatabase", "", "database_closed"),
        ("53300", "InitProcess", "", "slots_exhausted"),
        ("53300", "InitPostgres", "", "slots_exhausted"),
        ("53300", "InitializeSessionUserId", "", "role_limit"),
        ("53300", "CheckMyDatabase", "", "database_limit"),
        ("57P03", "ProcessStartupPacket", "", "not_ready"),
        ("57P01", "ProcessInterrupts", "", "session_ended"),
        ("57014", "ProcessInterrupts", "", "statement_timeout"),
        ("53100", "mdextend", "", "disk_full"),
        ("53200", "AllocSetAlloc", "", "out_of_memory"),
        ("25006", "PreventCommandIfReadOnly", "", "read_only"),
        ("XX000", "somewhere", "", "server_error"),
    ],
)
def test_a_refusal_has_a_name(sqlstate: str, routine: str, message: str, code: str) -> None:
    assert server_code({"sqlstate": sqlstate, "routine": routine, "message": message}) == code


def test_the_first_broken_layer_is_the_verdict_whatever_the_order() -> None:
    late, early = Observation("tcp", "tcp_refused"), Observation("configuration", "port_malformed")
    assert judged(late, early) == ("configuration", "port_malformed")


def test_an_experiment_turns_a_refusal_into_its_cause() -> None:
    refused = Observation("authentication", "server_error", {"sqlstate": "28P01", "routine": "auth_failed"})
    hba = Observation(
        "authentication", "server_error", {"sqlstate": "28000", "routine": "ClientAuthentication", "encrypted": True}
    )
    assert judged(refused, proven="password_old") == ("authentication", "password_old")
    assert judged(hba, proven="tls_unwanted") == ("tls", "tls_unwanted")
    assert judged(refused, proven="tls_demanded") == ("authentication", "password_refused")


def test_the_address_of_another_environment_is_no_success() -> None:
    named = {"host": "db.lab", "addresses": ["192.0.2.1"], "found": "", "also_address_of": ["db.staging.lab"]}
    assert judged(Observation("dns", facts=named)) == ("dns", "foreign_address")


def test_a_standby_takes_no_writes() -> None:
    assert judged(Observation("query", facts={**STATE, "recovering": True, "read_only": True})) == (
        "query",
        "recovering",
    )


def test_a_short_wait_for_a_lock_is_life() -> None:
    pair = {"waiting": "1", "blocker": "2", "role": "odoo", "state": "active", "waits_s": "4.9"}
    assert judged(Observation("query", facts={**STATE, "blocked": [pair]})) == ("healthy", "ok")
    assert judged(Observation("query", facts={**STATE, "blocked": [{**pair, "waits_s": "5.0"}]})) == (
        "query",
        "blocked",
    )


@pytest.mark.parametrize(("used", "warnings"), [(78, 0), (79, 1), (89, 1), (90, 2)])
def test_more_than_four_fifths_in_use_is_a_warning(used: int, warnings: int) -> None:
    diagnosis = diagnose([Observation("session", facts={**LIMITS, "used": used})], CONTEXT, CONNECTION)
    assert diagnosis.healthy
    assert len(diagnosis.warnings) == warnings


def test_a_database_of_the_stack_that_does_not_run_is_named() -> None:
    context = Context("ocr", "staging", "web", "x", accessory="ocr-db", accessory_state="exited, exit code 1")
    diagnosis = diagnose([Observation("dns", "nxdomain", {"host": "db", "server": "x"})], context, CONNECTION)
    assert (diagnosis.verdict, diagnosis.code) == ("dns", "accessory_down")
    assert "ocr-db does not run (exited, exit code 1)" in diagnosis.cause
    assert "docker logs ocr-db" in diagnosis.next


def test_a_difference_that_explains_the_fault_is_told_with_it() -> None:
    differs = Observation("configuration", "port_differs", {"told": 5433, "declared": 5432})
    diagnosis = diagnose(
        [differs, Observation("tcp", "tcp_refused", {"address": "x", "port": 5433})], CONTEXT, CONNECTION
    )
    assert diagnosis.cause.endswith("was told port 5433, the stack file says 5432")
    beside = diagnose([differs, Observation("dns", "nxdomain", {"host": "x", "server": "y"})], CONTEXT, CONNECTION)
    assert "5433" not in beside.cause


def test_commands_name_inventory_environment_stack_and_release() -> None:
    diagnosis = diagnose([Observation("configuration", "ca_malformed", {"path": "p", "why": "w"})], CONTEXT, None)
    command = "ansible-playbook playbooks/deploy.yml -i inventories/production --limit production"
    assert diagnosis.next.endswith(f"{command} -e stack=odoo18 -e release=sha-19b9b98")


def test_what_is_printed_has_a_line_a_layer() -> None:
    diagnosis = diagnose(
        [Observation("tcp", "tcp_timeout", {"address": "192.0.2.1", "port": 5432})], CONTEXT, CONNECTION
    )
    lines = present(diagnosis, CONTEXT, 3.001)
    assert lines[0] == "odoo18 on production: the database connection is broken at tcp, in 3.00 s"
    assert [line.split()[-1] for line in lines if "not reached" in line] == list(LAYERS[3:])
    assert lines[-2].startswith("Cause: nothing comes back from 192.0.2.1:5432")


WORDS = {
    *CONTEXT.words(CONNECTION), "database", "variable", "other_variable", "value", "other_value", "what", "why", "path",
    "detail", "told", "declared", "whose", "length", "state", "exit_code", "seen_from", "server", "addresses",
    "also_address_of", "address", "waited_s", "message", "mode", "not_after", "not_before", "certificate_names",
    "issuer", "accepted", "waiting", "waits_s", "blocker", "role", "sqlstate", "used", "usable", "percent", "free",
    "valid_days",
    "statement_timeout_ms", "latency_ms",
}  # fmt: skip


@pytest.mark.parametrize("code", CAUSES)
def test_a_cause_uses_known_words_and_ends_without_a_full_stop(code: str) -> None:
    cause = CAUSES[code]
    for text in (cause.cause, cause.next):
        assert text
        assert not text.endswith((".", " "))
        assert {name for _, name, _, _ in string.Formatter().parse(text) if name} <= WORDS


@given(st.lists(st.tuples(st.sampled_from(LAYERS[1:4]), st.sampled_from(sorted(CAUSES))), max_size=6))
def test_any_mixture_has_one_verdict(seen: list[tuple[str, str]]) -> None:
    diagnosis = diagnose([Observation(layer, code) for layer, code in seen], CONTEXT, CONNECTION)
    states = [layer.state for layer in diagnosis.layers]
    assert [layer.name for layer in diagnosis.layers] == list(LAYERS)
    assert diagnosis.healthy == ("broken" not in states)
    assert all(CAUSES[code].grade == WARNING for _, code in seen) == diagnosis.healthy
    if not diagnosis.healthy:
        assert states.index("broken") == LAYERS.index(diagnosis.verdict)
