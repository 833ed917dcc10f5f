"""What a release's migrations are, and what a database still needs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standin.migrations import (
    ROOT,
    ChangedMigration,
    Migration,
    load_migrations,
    plan_migrations,
    shared_head,
)
from standin.profiles import PROFILES

ONE = Migration("0001_one", "SELECT 1")
TWO = Migration("0002_two", "SELECT 2")
THREE = Migration("0003_three", "SELECT 3")
STORED = {migration.name: migration.checksum for migration in (ONE, TWO, THREE)}
WITH_DATABASE = [name for name, profile in PROFILES.items() if profile.has_database]


def stored(*migrations: Migration) -> dict[str, str]:
    return {migration.name: migration.checksum for migration in migrations}


def names(migrations: tuple[Migration, ...]) -> list[str]:
    return [migration.name for migration in migrations]


def test_an_empty_database_needs_everything_in_order() -> None:
    plan = plan_migrations((ONE, TWO), {})
    assert names(plan.pending) == ["0001_one", "0002_two"]
    assert plan.head is None


def test_a_database_at_the_head_needs_nothing() -> None:
    plan = plan_migrations((ONE, TWO), stored(ONE, TWO))
    assert plan.pending == ()
    assert plan.head == "0002_two"


def test_a_gap_is_filled() -> None:
    assert names(plan_migrations((ONE, TWO, THREE), stored(ONE, THREE)).pending) == ["0002_two"]


def test_what_a_newer_release_applied_is_left_alone() -> None:
    plan = plan_migrations((ONE, TWO), stored(ONE, TWO, THREE))
    assert plan.pending == ()
    assert plan.unknown == ("0003_three",)
    assert plan.head == "0003_three"


def test_a_changed_text_is_refused_by_name() -> None:
    with pytest.raises(ChangedMigration, match="0001_one"):
        plan_migrations((Migration("0001_one", "DROP TABLE orders"),), stored(ONE))


@given(st.sets(st.sampled_from([ONE, TWO, THREE])), st.sets(st.sampled_from([ONE, TWO, THREE])))
def test_applying_the_plan_leaves_nothing_pending(wanted: set[Migration], observed: set[Migration]) -> None:
    ordered = tuple(sorted(wanted, key=lambda migration: migration.name))
    plan = plan_migrations(ordered, stored(*observed))
    after = plan_migrations(ordered, stored(*observed, *plan.pending))
    assert after.pending == ()
    assert set(plan.applied) | set(names(plan.pending)) == set(names(ordered))


@pytest.mark.parametrize(
    ("heads", "expected"),
    [([], None), ([None, None], None), (["a", "a"], "a"), (["a", "b"], "mixed"), (["a", None], "mixed")],
)
def test_the_head_databases_share(heads: list[str | None], expected: str | None) -> None:
    assert shared_head(heads) == expected


@pytest.mark.parametrize("profile", WITH_DATABASE)
def test_releases_of_an_application(profile: str) -> None:
    good = names(load_migrations(profile, better=False, broken=False))
    better = names(load_migrations(profile, better=True, broken=False))
    broken = names(load_migrations(profile, better=False, broken=True))
    assert good[0] == "0001_base"
    assert better[:-1] == good
    assert broken[:-1] == good
    assert "broken_on_purpose" in broken[-1]
    assert better[-1] < broken[-1]


@pytest.mark.parametrize("profile", WITH_DATABASE)
def test_numbers_are_unique(profile: str) -> None:
    files = [file.name for file in (ROOT / profile).rglob("*.sql")]
    assert all(re.fullmatch(r"[0-9]{4}_[a-z_]+\.sql", name) for name in files)
    numbers = [name[:4] for name in files]
    assert sorted(numbers) == sorted(set(numbers))


def test_migrations_are_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x" / "better").mkdir(parents=True)
    (tmp_path / "x" / "0001_b.sql").write_text("SELECT 'é'", "utf-8")
    (tmp_path / "x" / "better" / "0000_a.sql").write_text("SELECT 0", "utf-8")
    (tmp_path / "x" / "notes.txt").write_text("no migration", "utf-8")
    loaded = load_migrations("x", better=True, broken=False, root=tmp_path)
    assert loaded == (Migration("0000_a", "SELECT 0"), Migration("0001_b", "SELECT 'é'"))


def test_build_list_names_three_releases_of_each_application() -> None:
    images = json.loads((ROOT.parents[1] / "build.json").read_text("utf-8"))
    assert {(image["name"], image["tag"]) for image in images} == {
        (name, tag) for name in PROFILES for tag in ("sha-19b9b98", "sha-724f892", "sha-0badbad")
    }
    assert all(image["args"]["PROFILE"] == image["profile"] == image["name"] for image in images)
    assert all(image["args"]["RELEASE"] == image["release"] == image["tag"] for image in images)
    assert {image["tag"] for image in images if image["args"]["BROKEN"] == "1"} == {"sha-0badbad"}
    assert {image["tag"] for image in images if image["args"]["EDITION"] == "better"} == {"sha-724f892"}
