"""What a stack can be returned to on this host, and what its schema says to that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from .gateway.schema_notes import note_schema, noted_schemas
from .hands import Host
from .model.errors import OpsError
from .model.ops import GoingBack
from .model.release import Release
from .model.stack import parse_tree
from .plan.pruning import images_of
from .plan.rollback_targets import Schema, Target, hindrance, of_same_images, read_schema, rollback_targets
from .plan.table import Column, compose
from .report import Result, failed

_STATUS_LIMIT_S = 20.0
_COLUMNS = (
    Column("steps", "Back", "number"),
    Column("release", "Release"),
    Column("number", "Number", "number"),
    Column("since", "Served from", "time"),
    Column("until", "Until", "time"),
    Column("state", "Is"),
    Column("seconds", "Takes about", "seconds"),
    Column("schema", "Schema"),
)


def targets_of(host: Host, name: str) -> list[Target]:
    """Every release that a stack can be returned to. Changes nothing."""
    state, records = host.state.state(name), host.state.records(name)
    found = host.engine.containers(stack=name).values()
    live = host.state.record(name, state.live) if state.live else None
    migrate = parse_tree(live.tree, f"record {live.number}").ops.migrate if live else None
    schemas = {number: Schema(*note) for number, note in noted_schemas(host.state, name).items()}
    if live and (now := _schema_now(host, live)):
        schemas[live.number] = now
    return rollback_targets(
        records,
        state,
        host.state.history(name),
        containers={one.number: one.status for one in found if one.number},
        images=images_of(records),
        held=host.runtime.images()[0],
        schemas=schemas,
        rules=migrate.going_back if migrate else GoingBack(),
    )


def warned_of_schema(host: Host, live: Release, target: Release) -> list[str]:
    """A warning where a migration since is said to stand in the way back, as the last deploy noted the schema.

    Nobody is asked: what hangs would keep a rollback waiting. Nothing that cannot be read keeps it from going on.
    """
    with suppress(OpsError):
        images = images_of(host.state.records(live.stack))
        schemas = {number: Schema(*note) for number, note in noted_schemas(host.state, live.stack).items()}
        migrate = parse_tree(live.tree, f"record {live.number}").ops.migrate
        known = of_same_images(schemas, images).get(frozenset(images.get(target.number, ())))
        if migrate and (words := hindrance(known, schemas.get(live.number), migrate.going_back)):
            return [f"  warning: the schema went on since {target.release} ({words}); it may not work with it"]
    return []


def table_of(targets: list[Target]) -> list[str]:
    """The targets for a person; a dash under *Back* where only the release's name leads there."""
    rows = [{**one.as_dict(), "steps": one.steps or None} for one in targets]
    return compose(_COLUMNS, rows, form="table", title="What it can be returned to:")


def with_targets(host: Host, name: str, rehearse: Callable[[], Result]) -> Result:
    """What a rehearsed rollback says, and everything that the stack can be returned to.

    Who asked for a release that it cannot be returned to wants to see the others: a failure is told with them.
    """
    try:
        result = rehearse()
    except OpsError as error:
        result = failed(error)
    targets = targets_of(host, name)
    rows = [target.as_dict() for target in targets]
    return {**result, "display": [*result["display"], *table_of(targets)], "targets": rows}


def note_where_schema_stands(host: Host, release: Release) -> None:
    """Ask a release that runs for its migrations, and keep the answer for whoever wants to go back to it, or from it.

    Raises OpsError when its status command fails.
    """
    found = _ask(host, release)
    if found:
        note_schema(host.state, release.stack, release.number, found.known, found.applied)


def _schema_now(host: Host, live: Release) -> Schema | None:
    try:
        return _ask(host, live)
    except OpsError:  # the note of its deploy is the next best
        return None


def _ask(host: Host, release: Release) -> Schema | None:
    migrate = parse_tree(release.tree, f"record {release.number}").ops.migrate
    if migrate is None or not migrate.status:
        return None
    return read_schema(host.runtime.run_within(release, migrate.service, migrate.status, _STATUS_LIMIT_S))
