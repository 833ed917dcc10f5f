"""Run a plan for a host: all files staged and validated, then placed, then brought into force, or put back."""

from __future__ import annotations

from pathlib import Path

from .gateway import host_system
from .model.errors import OpsError
from .model.host_setup import Directory, File, FollowUp, Link, Unit
from .plan.host_setup import NOT_THERE, HostPlan


def apply_host(plan: HostPlan) -> None:
    """Take all steps of ``plan``.

    :raises OpsError: when a file is not valid (then nothing was placed) or a follow-up fails (then its files were put
        back and the follow-up was run again on them).
    """
    for step in plan.steps:
        if isinstance(step.subject, Directory):
            host_system.make(step.subject)
        elif isinstance(step.subject, Link):
            host_system.link(step.subject)
    _place(plan)
    _follow_up(plan)
    for step in plan.steps:
        if isinstance(step.subject, Unit):
            host_system.change_unit(step.action, step.subject)


def _place(plan: HostPlan) -> None:
    staged: dict[str, Path] = {}
    try:
        for file in plan.files:
            staged[file.path] = host_system.stage(file)
    except OpsError:
        for path in staged.values():
            path.unlink()
        raise
    if plan.follow_ups:
        host_system.remember(plan.follow_ups)
    for target, path in staged.items():
        path.replace(target)


def _follow_up(plan: HostPlan) -> None:
    owed = list(plan.follow_ups)
    while owed:
        try:
            host_system.follow_up(owed[0])
        except OpsError as error:
            raise _undone(plan, owed, error) from error
        owed.pop(0)
        host_system.remember(owed)


def _undone(plan: HostPlan, owed: list[FollowUp], cause: OpsError) -> OpsError:
    """Put the files of the first follow-up back, and say how that went. The others stay owed to the next run."""
    failed, *rest = owed
    files = [file for file in plan.files if file.follow_up == failed]
    for file in files:
        host_system.put_back(file.path, plan.before.get(file.path))
    where = ", ".join(file.path for file in files) or str(failed)
    try:
        if failed.unit:
            host_system.forgive(failed.unit)
        host_system.follow_up(failed)
    except OpsError as error:
        return OpsError(
            f"{cause.what}; with the previous files it fails too: {error.what}",
            where=where,
            do="look at the unit's journal on the host (journalctl -xe), mend it, and provision again",
        )
    host_system.remember(rest)
    return OpsError(
        f"{cause.what}; the previous files are back and in force",
        where=where,
        do="correct the variable that set the new content, and provision again",
    )


def differences(plan: HostPlan) -> list[dict[str, str]]:
    """What ``--diff`` shows: each file before and after."""
    return [_difference(file, plan) for file in plan.files]


def _difference(file: File, plan: HostPlan) -> dict[str, str]:
    seen = plan.before.get(file.path)
    return {
        "before_header": file.path if seen else f"{file.path} ({NOT_THERE})",
        "after_header": file.path,
        "before": (seen.content or "") if seen else "",
        "after": file.content,
    }
