"""The story's record and its reading of reports."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bin.story.acts import ACTS, SITES, sites_of
from bin.story.procedures import Run, command, environment
from bin.story.telling import FIGURES, Story
from bin.story.visits import wait_until
from plugins.module_utils.model.errors import OpsError


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def story(tmp_path: Path, said: io.StringIO) -> Story:
    return Story(tmp_path / "build" / "demo.json", ACTS, Console(file=said, soft_wrap=True, highlight=False))


def record(tmp_path: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((tmp_path / "build" / "demo.json").read_text())
    return kept


def test_a_story_names_every_figure_from_its_first_act_on(story: Story, tmp_path: Path) -> None:
    with story.act("lab", "Bring up a lab"):
        assert not (tmp_path / "build" / "demo.json").exists()
    kept = record(tmp_path)
    assert set(FIGURES) <= kept.keys()
    assert kept["provision_s"] is None
    assert kept["total_s"] >= 0
    assert kept["outcome"] == "unfinished"


def test_an_act_tells_what_was_measured(story: Story, tmp_path: Path, said: io.StringIO) -> None:
    with story.act("provision", "Make hosts ready") as act:
        act.measured("ready after 31.0 s", provision_s=31.0)
        story.measured(provision_s=31.0)
    story.end("told")
    lines = said.getvalue().splitlines()
    assert lines == ["", "━━ Act 1 of 9 · Make hosts ready", "   → ready after 31.0 s"]
    kept = record(tmp_path)
    assert kept["provision_s"] == 31.0
    assert kept["outcome"] == "told"
    assert kept["acts"][0]["provision_s"] == 31.0
    assert kept["acts"][0]["outcome"] == "done"


def test_an_act_that_fails_keeps_what_was_measured_so_far(story: Story, tmp_path: Path) -> None:
    with story.act("lab", "Bring up a lab"):
        pass
    with pytest.raises(OpsError):
        _deploy_in_vain(story)
    assert story.now == "act 2, production"
    story.end("failed", "why")
    kept = record(tmp_path)
    assert kept["acts"][1]["outcome"] == "unfinished"
    assert kept["acts"][1]["migrate_s"] == 9.0
    assert (kept["outcome"], kept["error"]) == ("failed", "why")


def _deploy_in_vain(story: Story) -> None:
    with story.act("production", "Deploy") as act:
        act.measured("migrated in 9.0 s", migrate_s=9.0)
        raise OpsError("the release is broken")


def test_a_plain_output_has_no_colours(story: Story, said: io.StringIO) -> None:
    story.say("here", "bold red")
    assert said.getvalue() == "here\n"


def test_every_environment_has_the_same_sites() -> None:
    staging, production = sites_of("staging"), sites_of("production")
    assert len(staging) == len(production) == len(SITES) + 1
    assert "acme.erp.production.lab" in production
    assert "demo.nagashiro.lab" in production


def test_the_command_is_what_an_operator_types() -> None:
    assert command("deploy", "staging", {"stack": "www", "release": "sha-19b9b98"}) == [
        "ansible-playbook", "-i", "inventories/lab", "playbooks/deploy.yml", "--limit", "staging",
        "-e", "stack=www", "-e", "release=sha-19b9b98",
    ]  # fmt: skip


def test_settings_around_us_do_not_lead_a_playbook_elsewhere(root: Path) -> None:
    given = environment(
        {"ANSIBLE_INVENTORY": "inventories/production", "ANSIBLE_CONFIG": "/x", "PATH": "/bin", "A": "b"}
    )
    assert given["ANSIBLE_CONFIG"] == str(root / "ansible.cfg")
    assert given["A"] == "b"
    assert given["PATH"].endswith(":/bin")
    assert "ANSIBLE_INVENTORY" not in given


def _run(status: int, outcomes: Sequence[dict[str, Any]], changed: int = 0) -> Run:
    tasks = [{"action": f"action-{place}", "hosts": {"a": outcome}} for place, outcome in enumerate(outcomes)]
    return Run("deploy", status, 1.0, {"tasks": tasks, "hosts": {"a": {"changed": changed}}})


def test_a_run_tells_what_an_action_reported() -> None:
    run = _run(0, [{"status": "ok"}, {"status": "changed", "report": {"seconds": 3}}], changed=1)
    assert run.told_by("action-1") == {"seconds": 3}
    assert run.changed
    assert run.complaint == ""
    assert not run.refused
    with pytest.raises(OpsError, match="action-0 reported nothing"):
        run.told_by("action-0")


@pytest.mark.parametrize(("status", "refused"), [(2, True), (4, False), (1, False), (0, False)])
def test_only_a_failed_step_is_a_refusal(status: int, refused: bool) -> None:
    assert _run(status, []).refused is refused


def test_a_run_complains_in_the_words_of_its_first_failure() -> None:
    run = _run(2, [{"status": "ok"}, {"status": "failed", "msg": "unhealthy"}, {"status": "failed", "msg": "later"}])
    assert run.complaint == "unhealthy"
    assert _run(4, [{"status": "unreachable"}]).complaint == "it gave no reason"


def test_waiting_ends_with_the_last_complaint() -> None:
    answers = iter(["no", "not yet", ""])
    assert wait_until(lambda: next(answers), 5, "here", "look") >= 0.4
    with pytest.raises(OpsError, match=r"here: never, still after 0 s\. Next: look"):
        wait_until(lambda: "never", 0.1, "here", "look")
