"""Whether a restore is safe, in which steps it goes, and whether its result is the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.backup import DatabaseContent, TableContent
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.restore import (
    DatabaseTarget,
    Session,
    VolumeTarget,
    is_leftover,
    loading_name,
    previous_name,
)
from plugins.module_utils.plan.restore import (
    content_differences,
    plan_database_restore,
    plan_volume_restore,
    row_differences,
)

ABSENT = DatabaseTarget("acme")
EMPTY = DatabaseTarget("acme", exists=True)
FULL = DatabaseTarget("acme", exists=True, tables=5)
SESSION = Session("odoo", "odoo18 sha-19b9b98", "10.213.0.11")

LOAD = ["load database acme_ops_load_abc123", "compare database acme_ops_load_abc123"]
SWAP = ["swap database acme", "drop database acme_ops_before_abc123"]


@pytest.mark.parametrize(
    ("target", "replacing", "steps"),
    [
        (ABSENT, "", [*LOAD, "rename database acme"]),
        (EMPTY, "", [*LOAD, *SWAP]),
        (EMPTY, "acme", [*LOAD, *SWAP]),
        (FULL, "acme", ["back up database acme", *LOAD, *SWAP]),
        (
            replace(ABSENT, leftovers=("acme_ops_load_000000",)),
            "",
            ["drop database acme_ops_load_000000", *LOAD, "rename database acme"],
        ),
    ],
)
def test_steps(target: DatabaseTarget, replacing: str, steps: list[str]) -> None:
    plan = plan_database_restore(target, replacing, "run", "abc123")
    assert [f"{step.action} {step.subject}" for step in plan] == steps
    assert all(step.reason for step in plan)


@pytest.mark.parametrize(
    ("target", "replacing", "what", "do"),
    [
        (FULL, "", "there is a database of this name with 5 tables", "-e target=acme_restored"),
        (FULL, "", "there is a database of this name with 5 tables", "-e replace=acme"),
        (FULL, "globex", "'globex' was typed, but 'acme' would be replaced", "-e replace=acme"),
        (FULL, "ACME", "'ACME' was typed, but 'acme' would be replaced", "-e replace=acme"),
        (ABSENT, "globex", "'globex' was typed", "-e replace=acme"),
        (
            replace(FULL, sessions=(SESSION, SESSION)),
            "acme",
            "in use by odoo18 sha-19b9b98 as odoo from 10.213.0.11 (2 sessions)",
            "stop what uses it",
        ),
        (replace(EMPTY, sessions=(SESSION,)), "", "in use by odoo18 sha-19b9b98", "stop what uses it"),
        (replace(ABSENT, may_create=False), "", "may not create databases", "CREATEDB"),
        (replace(FULL, owned=False), "acme", "does not own this database", "-e target="),
    ],
)
def test_what_is_not_safe_is_refused(target: DatabaseTarget, replacing: str, what: str, do: str) -> None:
    with pytest.raises(OpsError) as caught:
        plan_database_restore(target, replacing, "run", "abc123")
    assert what in caught.value.what
    assert do in caught.value.do
    assert caught.value.where


def test_many_sessions_are_told_shortly() -> None:
    sessions = tuple(Session("u", f"app{number}", "") for number in range(9))
    with pytest.raises(OpsError, match=r"app0 as u from the server itself, .* and 6 more"):
        plan_database_restore(replace(FULL, sessions=sessions), "acme", "run", "abc123")


@given(st.text(min_size=1, max_size=63).filter(lambda text: len(text.encode()) <= 63))
def test_made_up_names_fit_into_postgresql_and_are_told_apart(name: str) -> None:
    loading, previous = loading_name(name, "abc123"), previous_name(name, "abc123")
    assert len(loading.encode()) <= 63
    assert len(previous.encode()) <= 63
    assert len({name, loading, previous}) == 3
    assert is_leftover(loading, name)
    # What a swap put aside is somebody's data.
    assert not is_leftover(previous, name)


def test_a_leftover_of_another_target_is_not_ours() -> None:
    assert not is_leftover("acme2_ops_load_abc123", "acme")
    assert not is_leftover("acme", "acme")


def content(**changes: Any) -> DatabaseContent:
    had = DatabaseContent(
        tables={"public.a": TableContent(2, "11"), "public.b": TableContent(0, "0")},
        structure={"indexes": 3, "sequences": 1},
        owner="odoo",
        encoding="UTF8",
        collate="C",
        ctype="C",
        provider="c",
        locale="",
        server_version="17.5",
        schema_head="",
        roles=(),
        settings=(),
        grants=(),
    )
    return replace(had, **changes)


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({}, ()),
        ({"server_version": "16.9", "owner": "postgres"}, ()),
        (
            {"tables": {"public.a": TableContent(1, "11"), "public.b": TableContent(0, "0")}},
            ("table public.a has 1 rows instead of 2",),
        ),
        (
            {"tables": {"public.a": TableContent(2, "12"), "public.b": TableContent(0, "0")}},
            ("table public.a has other content in its 2 rows",),
        ),
        ({"tables": {"public.a": TableContent(2, "11")}}, ("table public.b is missing",)),
        (
            {"tables": {**content().tables, "public.c": TableContent(0, "0")}},
            ("table public.c is surplus",),
        ),
        ({"structure": {"indexes": 2, "sequences": 1}}, ("2 indexes instead of 3",)),
        ({"structure": {"indexes": 3}}, ("0 sequences instead of 1",)),
    ],
)
def test_differences(changes: dict[str, Any], differences: tuple[str, ...]) -> None:
    assert content_differences(content(), content(**changes)) == differences


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ({"public.a": 2, "public.b": 0}, 0),
        ({"public.a": 1, "public.b": 0}, 1),
        ({"public.a": 2}, 1),
        ({"public.a": 2, "public.b": 0, "public.c": 0}, 1),
        ({}, 2),
    ],
)
def test_rows_of_a_dump(rows: dict[str, int], count: int) -> None:
    assert len(row_differences(content(), rows)) == count


VOLUME = VolumeTarget("odoo18_filestore", exists=True, free=10**9)


def test_files_go_into_an_empty_or_a_new_volume() -> None:
    steps = [step.action for step in plan_volume_restore(VOLUME, "filestore", 10**6)]
    assert steps == ["load", "compare", "place"]
    steps = [step.action for step in plan_volume_restore(replace(VOLUME, exists=False), "filestore", 10**6)]
    assert steps == ["create", "load", "compare", "place"]


@pytest.mark.parametrize(
    ("target", "what"),
    [
        (replace(VOLUME, entries=3), "the volume holds 3 entries"),
        (replace(VOLUME, used_by=("odoo18-web",)), "in use by odoo18-web"),
        (replace(VOLUME, free=10**6), "the backup needs 1.0 MB, and 1.0 MB are free"),
    ],
)
def test_a_volume_that_is_not_fit_is_refused(target: VolumeTarget, what: str) -> None:
    with pytest.raises(OpsError, match=what):
        plan_volume_restore(target, "filestore", 10**6)
