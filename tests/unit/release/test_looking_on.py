"""The controller looks on at what a host carries through: over several answers, and over connections that break."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from plugins.module_utils.model.errors import OpsError
from plugins.plugin_utils import looking_on
from plugins.plugin_utils.estate import CutOff
from plugins.plugin_utils.looking_on import LookingOn

END = {"changed": True, "display": ["in all"], "report": {"outcome": "done"}}
BROKEN = AnsibleConnectionFailure("Connection reset by peer")


class Display:
    """Keeps what was shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, line: str) -> None:
        self.shown.append(line)


class Action(LookingOn):
    """Its host gives these answers, one after the other."""

    def __init__(self, *answers: Mapping[str, Any] | Exception, hosts: int = 1) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.task_vars = {"inventory_hostname": "prod-1", "ansible_play_hosts_all": ["prod-1", "prod-2"][:hosts]}
        self._display = Display()

    def run_module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((name, dict(arguments)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking_on, "_TRY_EVERY_S", 0)


def going_on(heard: int, *lines: str, runs: bool = True) -> dict[str, Any]:
    return {"transaction": "t", "heard": heard, "runs": runs, "changed": True, "display": list(lines)}


def test_what_ends_at_once_is_told_by_its_result_alone() -> None:
    action = Action(END)
    assert action.carried_through("release", {"stack": "shop"}) == END
    assert action._display.shown == []
    name, asked = action.asked[0]
    assert (name, asked["stack"], len(asked["transaction"])) == ("release", "shop", 12)


def test_steps_are_shown_as_they_come_with_how_to_look_on_again() -> None:
    action = Action(going_on(2, "one", "two"), going_on(3, "three"), END)
    assert action.carried_through("migration", {"stack": "shop", "secrets": {"KEY": "geheim"}}) == END
    attach = "  ansible-playbook playbooks/attach.yml --limit prod-1 -e stack=shop"
    shown = action._display.shown
    assert [*shown[:2], *shown[3:]] == ["one", "two", attach, "three"]
    assert action.asked[1:] == [
        ("release", {"stack": "shop", "state": "attached", "transaction": "t", "heard": heard}) for heard in (2, 3)
    ]


@pytest.mark.parametrize("inventory", ["production", "lab"])
def test_how_to_look_on_again_names_the_inventory_unless_it_is_the_default(inventory: str) -> None:
    action = Action(going_on(1), *[BROKEN] * 10)
    action.task_vars["inventory_dir"] = f"/x/inventories/{inventory}"
    action.__dict__["environment"] = SimpleNamespace(name="production")
    option = " -i inventories/production" if inventory == "production" else ""
    command = f"ansible-playbook playbooks/attach.yml{option} --limit prod-1 -e stack=shop"
    with pytest.raises(OpsError, match=re.escape(command)):
        action.carried_through("release", {"stack": "shop"})
    assert f"  {command}" in action._display.shown


@pytest.mark.parametrize("fault", [BROKEN, CutOff("the run on the host was cut off")])
def test_a_connection_that_breaks_is_made_again(fault: Exception) -> None:
    action = Action(fault, going_on(1, "one"), fault, fault, END)
    assert action.carried_through("release", {"stack": "shop"}) == END
    begun = action.asked[0][1]["transaction"]
    assert action.asked[1][1] == {"stack": "shop", "state": "attached", "transaction": begun, "heard": 0}
    assert any("looking whether it was begun" in line for line in action._display.shown)


def test_a_host_that_stays_away_is_told_with_how_to_attach() -> None:
    action = Action(going_on(1), *[BROKEN] * 10)
    with pytest.raises(OpsError, match=r"any more \(Connection reset by peer\); .* goes on, or is undone.*attach\.yml"):
        action.carried_through("release", {"stack": "shop"})


def test_what_nobody_puts_right_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking_on, "_UNSETTLED_S", -1.0)
    action = Action(going_on(1), going_on(1, runs=False))
    with pytest.raises(OpsError, match="what it left is not put right yet"):
        action.attached("shop")


def test_lines_of_several_hosts_name_theirs() -> None:
    action = Action(going_on(1, "one"), END, hosts=2)
    action.attached("shop")
    assert action._display.shown[0] == "prod-1 one"


def test_a_host_that_was_never_reached_is_not_asked_whether_it_began() -> None:
    never = AnsibleConnectionFailure("ssh: connect to host 10.213.0.99 port 22: No route to host")
    action = Action(never)
    with pytest.raises(AnsibleConnectionFailure):
        action.carried_through("release", {"stack": "shop"})
    assert len(action.asked) == 1
