"""Read and change files and systemd units of the host this runs on."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..model.errors import OpsError
from ..model.host_setup import (
    Directory,
    File,
    FollowUp,
    HostState,
    Link,
    ObservedHost,
    ObservedPath,
    ObservedUnit,
    Unit,
)

# On tmpfs: after a boot every service has read its files anew, and nothing is owed any more.
PENDING = Path("/run/seisei.pending")
_PROPERTIES = "Id,LoadState,UnitFileState,ActiveState,ConditionResult,ConditionTimestampMonotonic"
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
_COMMAND_LIMIT = 120  # seconds


def read(wanted: HostState) -> ObservedHost:
    """Everything on this host that a plan for ``wanted`` has to know."""
    pending = _read_pending()
    follow_ups = [file.follow_up.unit for file in wanted.files if file.follow_up and file.follow_up.unit]
    names = {*follow_ups, *(unit.name for unit in wanted.units), *(owed.unit for owed in pending if owed.unit)}
    probes = {unit.name: unit.probe for unit in wanted.units if unit.probe}
    paths = {path: read_path(Path(path)) for path in wanted.paths}
    return ObservedHost(
        paths={path: seen for path, seen in paths.items() if seen},
        units=_read_units(sorted(names), probes) if names else {},
        pending=pending,
    )


def read_path(path: Path) -> ObservedPath | None:
    """What stands at ``path``, or None. A link is not followed: it is not what was wanted."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
    content = path.read_bytes().decode(errors="replace") if kind == "file" else None
    content = str(path.readlink()) if kind == "link" else content
    return ObservedPath(kind, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid) == (0, 0), content)


def _read_units(names: Sequence[str], probes: dict[str, tuple[str, ...]]) -> dict[str, ObservedUnit]:
    blocks = _run(("systemctl", "show", f"--property={_PROPERTIES}", "--", *names)).strip().split("\n\n")
    units = {}
    # One block for each name in the order asked; Id may differ where a name is an alias.
    for name, block in zip(names, blocks, strict=True):
        told = dict(line.split("=", 1) for line in block.splitlines())
        active = told["ActiveState"] in ("active", "reloading")
        units[name] = ObservedUnit(
            load_state=told["LoadState"],
            file_state=told["UnitFileState"],
            active=active,
            skipped=told["ConditionResult"] == "no" and told["ConditionTimestampMonotonic"] != "0",
            probed=_succeeds(probes[name]) if active and name in probes else True,
        )
    return units


def make(directory: Directory) -> None:
    """Create the directory with its parents, or correct its mode and owner."""
    path = Path(directory.path)
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, 0, 0)
    path.chmod(directory.mode)


def link(wanted: Link) -> None:
    """Put the link in its place.

    :raises OpsError: when nothing is where it leads to.
    """
    if not Path(wanted.target).exists():
        raise OpsError(
            f"it should lead to {wanted.target}, which this host does not have",
            where=wanted.path,
            do="correct the value of the inventory that names it; no file was changed",
        )
    staged = Path(f"{wanted.path}.seisei-new")
    staged.unlink(missing_ok=True)
    staged.symlink_to(wanted.target)
    staged.replace(wanted.path)


def stage(file: File) -> Path:
    """Write the new file beside its place and validate it. Returns its temporary path.

    :raises OpsError: with the words of the validating command, when that refuses it; nothing is left behind.
    """
    target = Path(file.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # No directory of drop-ins reads a name that starts with a dot and has no ending of its own.
    staged = target.with_name(f".{target.name}.seisei-new")
    with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(file.content)
        stream.flush()
        os.fsync(stream.fileno())
    os.chown(staged, 0, 0)
    staged.chmod(file.mode)
    if file.validate:
        try:
            _run(tuple(word.replace("%s", str(staged)) for word in file.validate))
        except OpsError as error:
            staged.unlink()
            raise OpsError(
                f"the new file is not valid: {error.what.replace(str(staged), file.path)}",
                where=file.path,
                do="correct the value of the inventory that this part of the file comes from; no file was changed",
            ) from error
    return staged


def put_back(path: str, before: ObservedPath | None) -> None:
    """Restore what stood at ``path`` before a step."""
    if before is None or before.content is None:
        Path(path).unlink(missing_ok=True)
        return
    if before.kind == "link":
        link(Link(path, before.content))
        return
    stage(File(path, before.content, before.mode)).replace(path)


def follow_up(wanted: FollowUp) -> None:
    """:raises OpsError: with what the command said."""
    _run(wanted.argv)


def forgive(unit: str) -> None:
    """Let a unit start again at once, however often it failed just now: systemd counts its starts and stops trying."""
    _run(("systemctl", "reset-failed", unit))


def change_unit(action: str, unit: Unit) -> None:
    """``action``: mask, enable, start or reload.

    :raises OpsError: with what systemd said.
    """
    _run(("systemctl", action, *(("--now",) if action == "mask" else ()), unit.name))


def remember(owed: Iterable[FollowUp]) -> None:
    """Note follow-ups that have to happen even if this run does not live to see them."""
    text = json.dumps([[follow_up.kind, *follow_up.words] for follow_up in owed])
    if text == "[]":
        PENDING.unlink(missing_ok=True)
        return
    staged = PENDING.with_suffix(".new")
    staged.write_text(text)
    staged.replace(PENDING)


def _read_pending() -> tuple[FollowUp, ...]:
    try:
        return tuple(FollowUp(kind, tuple(words)) for kind, *words in json.loads(PENDING.read_text()))
    except FileNotFoundError:
        return ()


def _succeeds(argv: tuple[str, ...]) -> bool:
    return _execute(argv).returncode == 0


def _run(argv: tuple[str, ...]) -> str:
    done = _execute(argv)
    if done.returncode != 0:
        said = " / ".join((done.stderr or done.stdout).strip().splitlines()) or f"exit status {done.returncode}"
        raise OpsError(f"'{' '.join(argv)}' failed: {said}")
    return done.stdout


def _execute(argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=_COMMAND_LIMIT, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise OpsError(f"there is no program '{argv[0]}' on this host", do="install its package") from error
    except subprocess.TimeoutExpired as error:
        raise OpsError(f"'{' '.join(argv)}' did not end within {_COMMAND_LIMIT} seconds") from error
