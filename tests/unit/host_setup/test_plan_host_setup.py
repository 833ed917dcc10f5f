"""From what is wanted of a host and what is there to steps with reasons."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.host_setup import (
    Directory,
    File,
    FollowUp,
    HostState,
    Link,
    ObservedHost,
    ObservedPath,
    ObservedUnit,
    Unit,
    parse_host,
)
from plugins.module_utils.plan.host_setup import plan_host

RELOAD = FollowUp("reload", ("ssh.service",))
COMMAND = FollowUp("command", ("update-ca-certificates",))
RUNNING = ObservedUnit("loaded", "enabled", active=True)


def ssh_file(content: str = "wanted", mode: int = 0o600) -> File:
    return File("/etc/ssh/x", content, mode, follow_up=RELOAD)


def seen(content: str | None = "wanted", mode: int = 0o600, *, kind: str = "file", root: bool = True) -> ObservedPath:
    return ObservedPath(kind, mode, root, content)


def steps(wanted: HostState, observed: ObservedHost) -> list[str]:
    return [str(step) for step in plan_host(wanted, observed).steps]


def test_nothing_to_do_is_an_empty_plan() -> None:
    wanted = HostState(
        directories=(Directory("/d", 0o750),), files=(ssh_file(),), units=(Unit("ssh.service", "running"),)
    )
    there = {"/d": seen(None, 0o750, kind="directory"), "/etc/ssh/x": seen()}
    plan = plan_host(wanted, ObservedHost(there, {"ssh.service": RUNNING}))
    assert plan.steps == ()
    assert plan.before == {}


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        (None, "it is not there"),
        (seen("other"), "content"),
        (seen(mode=0o644), "mode 0644 to 0600"),
        (seen(root=False), "owner"),
        (seen("other", 0o644), "content, mode 0644 to 0600"),
        (seen(None, kind="other"), "it is not a file"),
    ],
)
def test_a_file_that_differs_is_placed_and_brought_into_force(observed: ObservedPath | None, reason: str) -> None:
    there = {"/etc/ssh/x": observed} if observed else {}
    found = steps(HostState(files=(ssh_file(),)), ObservedHost(there, {"ssh.service": RUNNING}))
    assert found == [f"place /etc/ssh/x: {reason}", "reload ssh.service: /etc/ssh/x changed"]


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (None, ["link /etc/localtime: it is not there"]),
        (seen("/zone/UTC", kind="link"), ["link /etc/localtime: it leads to /zone/UTC"]),
        (seen("text"), ["link /etc/localtime: it is not a link"]),
        (seen("/zone/Tokyo", kind="link"), []),
    ],
)
def test_links(observed: ObservedPath | None, expected: list[str]) -> None:
    there = {"/etc/localtime": observed} if observed else {}
    assert steps(HostState(links=(Link("/etc/localtime", "/zone/Tokyo"),)), ObservedHost(there)) == expected


def test_a_unit_that_does_not_run_is_owed_nothing() -> None:
    assert steps(HostState(files=(ssh_file(),)), ObservedHost()) == ["place /etc/ssh/x: it is not there"]


def test_one_follow_up_for_many_files_comes_after_all_of_them() -> None:
    files = tuple(File(f"/ca/{name}", name, 0o644, follow_up=COMMAND) for name in ("a", "b"))
    assert steps(HostState(files=files), ObservedHost()) == [
        "place /ca/a: it is not there",
        "place /ca/b: it is not there",
        "update-ca-certificates: /ca/a changed, /ca/b changed",
    ]


def test_what_was_owed_when_a_run_was_interrupted_is_done_first() -> None:
    observed = ObservedHost({"/etc/ssh/x": seen()}, {"ssh.service": RUNNING}, pending=(COMMAND, RELOAD))
    assert steps(HostState(files=(ssh_file(),)), observed) == [
        "update-ca-certificates: an earlier run was interrupted before it",
        "reload ssh.service: an earlier run was interrupted before it",
    ]


@pytest.mark.parametrize(
    ("unit", "observed", "expected"),
    [
        ("running", ObservedUnit(), ["enable x.service: it is not-found", "start x.service: it does not run"]),
        ("running", ObservedUnit("loaded", "disabled", active=True), ["enable x.service: it is disabled"]),
        ("running", ObservedUnit("loaded", "enabled"), ["start x.service: it does not run"]),
        ("running", ObservedUnit("loaded", "enabled", skipped=True), []),
        ("running", ObservedUnit("loaded", "static", active=True), []),
        (
            "running",
            ObservedUnit("loaded", "enabled", active=True, probed=False),
            ["reload x.service: its effect is gone or altered (nft list failed)"],
        ),
        ("at_boot", ObservedUnit("loaded", "disabled"), ["enable x.service: it is disabled"]),
        ("at_boot", ObservedUnit("loaded", "enabled"), []),
        ("masked", ObservedUnit("masked", "masked"), []),
        ("masked", ObservedUnit("loaded", "enabled", active=True), ["mask x.service: it is enabled"]),
        ("masked", ObservedUnit(), ["mask x.service: it is not-found"]),
    ],
)
def test_units(unit: str, observed: ObservedUnit, expected: list[str]) -> None:
    wanted = HostState(units=(Unit("x.service", unit, ("nft", "list")),))
    assert steps(wanted, ObservedHost(units={"x.service": observed})) == expected


def arguments(**changes: Any) -> dict[str, Any]:
    empty = {"validate": None, "restart": None, "reload": None, "command": None}
    file = {"path": "/f", "content": "x", "mode": "0644", **empty, **changes}
    return {"directories": [], "links": [], "files": [file], "units": []}


def test_arguments_become_a_wanted_state() -> None:
    wanted = parse_host(arguments(mode="0440", restart="a.service", validate=["visudo", "%s"]))
    assert wanted.files == (File("/f", "x", 0o440, ("visudo", "%s"), FollowUp("restart", ("a.service",))),)


def test_a_mode_that_is_not_octal_is_refused() -> None:
    with pytest.raises(OpsError, match=r"/f: '0999' is not a mode\. Next: write octal digits"):
        parse_host(arguments(mode="0999"))


def test_a_path_wanted_twice_is_refused() -> None:
    twice = arguments()
    twice["directories"] = [{"path": "/f", "mode": "0755"}]
    with pytest.raises(OpsError, match="/f: this path is wanted twice"):
        parse_host(twice)
