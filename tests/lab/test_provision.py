"""The whole playbook on a host that is right: nothing to do, told as a rehearsal and done as a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab.provision_parts import INVENTORY, ROOT, make_ready, on_host, provision

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module", autouse=True)
def ready() -> None:
    make_ready()


def report(output: str) -> dict[str, Any]:
    path = next(line for line in output.splitlines() if line.startswith("report: ")).removeprefix("report: ")
    found: dict[str, Any] = json.loads((ROOT / Path(path)).read_text())
    return found


def changed_steps(output: str) -> list[str]:
    return [line for line in output.splitlines() if " changed " in line and " ok " not in line]


@pytest.mark.parametrize("options", [(), ("--check", "--diff")], ids=["run", "rehearsal"])
def test_a_host_that_is_right_stays_as_it_is(options: tuple[str, ...]) -> None:
    done = provision(*INVENTORY, *options)
    assert done.returncode == 0, done.stdout
    assert changed_steps(done.stdout) == []
    print(f"provision_again_s {report(done.stdout)['seconds']}")


def test_what_someone_changed_by_hand_is_told_by_a_rehearsal_and_mended_by_a_run() -> None:
    on_host("nft delete table inet seisei; echo 'X11Forwarding yes' >> /etc/ssh/sshd_config.d/00-seisei.conf")
    rehearsal = provision(*INVENTORY, "--check", "--diff")
    assert "-X11Forwarding yes" in rehearsal.stdout
    assert "place /etc/ssh/sshd_config.d/00-seisei.conf: content" in rehearsal.stdout
    assert "its effect is gone" in rehearsal.stdout
    assert "table inet seisei" not in on_host("nft list tables"), "a rehearsal changed something"
    assert provision(*INVENTORY).returncode == 0
    assert "table inet seisei" in on_host("nft list tables")
    assert "x11forwarding no" in on_host("sshd -T")
