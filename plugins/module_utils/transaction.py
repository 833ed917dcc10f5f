"""Bring a release to traffic, or return to one: the same steps, journaled, undone by themselves when one fails.

Before the switch a failure removes the candidate and nobody saw anything. After it, the edge goes back first. What is
about to be done is written down first, and taken away when its end was told: what a killed process or a lost host
leaves behind is finished or undone by whoever comes next (tend.py).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

from .connection_budget import ROLL_BACK
from .edge_config import edge_config
from .ending import end_for_another, is_told, tell_end
from .gateway.dialling import Target
from .gateway.host_state import now, seconds_since
from .gateway.http_probe import ask, probe_until
from .hands import LIVE_LIMIT_S, READY_LIMIT_S, Host
from .hurry import Hurried, may_be_cut_short
from .model.begun import Begun
from .model.errors import InvalidInput, OpsError
from .model.receipt import DONE, STUCK, UNDONE, Receipt, Undone
from .model.release import Release, StackState
from .model.smoke import SmokeResult, SmokeTest
from .model.stack import parse_tree
from .old_release import OldRelease
from .plan.edge import BASE, lint_all
from .plan.edge_assets import without_old_assets
from .plan.smoke import tally
from .preparing import migration_of, must_be_done, run_migration, see_disk, see_way_back
from .probes import Probes
from .rollback import note_where_schema_stands
from .smoke import run_smoke
from .watching import Watching

IN_A_ROW = 3
SWITCH = "switch the edge"


@dataclass(frozen=True)
class Step:
    """One step: its name in journal and receipt, what it does, and whether this transaction needs it.

    Once the release is live, a step that ``may_be_cut_short`` is, by somebody who wants to go back. When a step that
    ``blames`` fails, the release is to blame, and is marked as bad: not when the disk, the edge or the host failed it.
    """

    name: str
    take: Callable[[], None]
    needed: bool = True
    may_be_cut_short: bool = False
    blames: bool = False


class Transaction:
    """One change of what is live in one stack. Use under the stack's lock.

    The host's ``told`` hears of each step as it comes. With ``migrates`` the release's own migrations are run before it
    starts. ``begun`` is what was written down, of one that died.
    """

    def __init__(
        self,
        host: Host,
        release: Release,
        *,
        action: str = "",
        by: str = "",
        why: str = "",
        condemns: tuple[int, ...] = (),
        allowed: Mapping[str, Any] | None = None,
        migrates: bool = False,
        begun: Begun | None = None,
    ) -> None:
        self.host = host
        self.release = release
        self.migrates = migrates
        self.stack = parse_tree(release.tree, f"release {release.number}")
        self.begun = begun or Begun(
            id=host.transaction or uuid.uuid4().hex[:12],
            stack=release.stack,
            number=release.number,
            action=action,
            before=host.state.state(release.stack),
            was_present=release.number in host.runtime.present(release.stack),
            began=now(),
            by=by,
            why=why,
            environment=host.environment,
            condemns=condemns,
            library=host.library,
            allowed=allowed or {},
        )
        self.before = self.begun.before
        self.receipt = Receipt(
            self.begun.action, release.stack, release.release, release.number, self.before.live,
            transaction=self.begun.id,
        )  # fmt: skip
        self.probes = Probes(host, release, self.stack)
        self.old = OldRelease(host, release, self.before, self.receipt, self.probes.traffic, self._step)
        self._blamed = False  # whether the step that is being taken blames the release
        self._decided = 0.0  # when traffic was told to move, by the monotonic clock

    def run(self) -> Receipt:
        """Take all steps.

        Raises Undone when one failed before the release was live for good, after having undone what was done. What
        fails later, in draining and tidying up, is told in the receipt: it is no reason to take a good release back.
        """
        began = time.monotonic()
        if said := end_for_another(self.host, self.begun):
            self.receipt.warnings.append(said)
        self.host.state.begin(self.begun)
        moved = False
        try:
            self._take(self._before_the_switch())
            moved = True
            self._take(self._switch())
            self._record_live()
            self.receipt.outcome = DONE
            self._take_what_goes(self._afterwards())
        except BaseException as error:
            self.receipt.error = str(error) or type(error).__name__
            if self.receipt.outcome != DONE:  # once it is live for good, the old one may be stopped already
                self._undo_or_tell(error, moved=moved, bad=self._blamed and isinstance(error, OpsError))
            if isinstance(error, OpsError):
                raise Undone(error, self.receipt) from error
            raise
        finally:
            self.old.count_traffic()
            self._end(seconds_since(began))
        return self.receipt

    def _end(self, seconds: float) -> None:
        """Tell how it ended. What cannot be written down now stays begun, so that it is told when it can be."""
        self.receipt.seconds = seconds
        try:
            if self.receipt.outcome != STUCK or not is_told(self.host, self.begun, (STUCK,)):
                self._journal("end", self.receipt.outcome or "died")
            tell_end(self.host, self.release, self.begun, self.receipt)
            if self.receipt.outcome != STUCK:
                self.host.files.forget_kept(self.release.stack)
                self.host.state.ended(self.release.stack)
        except OpsError as error:
            self.receipt.warnings.append(f"{error}; its end is told later")

    def smoke_again(self) -> str:
        """Run the smoke tests of the release that is live, through the edge; their tally.

        Raises OpsError when one fails. Nothing is changed, whatever they say.
        """
        self._smoke(self.probes.as_visitor)
        return self.receipt.smoke

    # -- the steps, in their order -------------------------------------------------------------------------------------

    def _before_the_switch(self) -> list[Step]:
        """What nobody sees: a failure removes the candidate."""
        runtime, release = self.host.runtime, self.release
        return [
            Step("see whether there is room, and a way back", self._prepare, needed=not self._goes_back),
            Step("fetch and verify the digest", lambda: runtime.fetch(release)),
            Step("migrate the schema", self._migrate, needed=self.migrates),
            Step("see whether the database has room", self.old.make_room, needed=self._needs_room()),
            Step("start the candidate", lambda: runtime.start(release)),
            Step("wait for health", self._wait_ready),
            Step("smoke off the edge", lambda: self._smoke(self.probes.directly)),
        ]

    def _switch(self) -> list[Step]:
        """What moves traffic: a failure returns the edge first."""
        return [
            Step("check the edge's configuration", self._check_the_config),
            Step(SWITCH, self._switch_the_edge),
            Step("confirm through the edge", self._confirm, blames=True),
            Step("smoke through the edge", lambda: self._smoke(self.probes.as_visitor), blames=True),
        ]

    def _afterwards(self) -> list[Step]:
        """What is done once the release is live for good: a failure is told, and the rest is done all the same."""
        old = self.old
        watching = Watching(self.host, self.stack, self.begun, previous=old.number)
        return [
            Step("watch the release", watching.begin, needed=watching.is_needed),
            Step("give the old release notice", old.give_notice, needed=old.gets_notice),
            Step("drain the old release", old.drain, needed=old.is_there, may_be_cut_short=True),
            Step("keep the old release on standby", old.put_on_standby, needed=old.is_there and old.stays),
            Step("remove releases beyond the standby", old.remove_the_older),
            Step("let go of images beyond the rollback targets", old.prune),
            Step("note where the schema stands", self._note_schema, needed=self._tells_its_schema()),
        ]

    def _take(self, steps: list[Step]) -> None:
        for step in steps:
            if step.needed:
                with self._step(step.name):
                    self._blamed = step.blames
                    step.take()
                    self._blamed = False

    def _take_what_goes(self, steps: list[Step]) -> None:
        for step in steps:
            try:
                with may_be_cut_short() if step.may_be_cut_short else nullcontext():
                    self._take([step])
            except OpsError as error:
                self.receipt.warnings.append(str(error))
                if isinstance(error, Hurried):
                    return

    @property
    def _goes_back(self) -> bool:
        return self.begun.action == ROLL_BACK

    def _prepare(self) -> None:
        see_disk(self.host)
        if self.old.is_there:
            old = self.host.state.record(self.release.stack, self.old.number)
            see_way_back(self.host, old, self.receipt.warnings.append)

    def _migrate(self) -> None:
        must_be_done(run_migration(self.host, self.release, migration_of(self.stack)), self.release)

    def _needs_room(self) -> bool:
        return self.stack.ops.database is not None and not self.begun.was_present

    def _tells_its_schema(self) -> bool:
        return self.stack.ops.migrate is not None and bool(self.stack.ops.migrate.status)

    def _note_schema(self) -> None:
        note_where_schema_stands(self.host, self.release)

    def _wait_ready(self) -> None:
        self.host.runtime.wait_ready(self.release, READY_LIMIT_S)

    def _check_the_config(self) -> None:
        placed = {name: other for name, other in self.host.files.all().items() if name != BASE}
        if faults := lint_all({**placed, self.release.stack: self.old.config()}):
            raise InvalidInput(faults)
        self.old.watch_traffic()

    def _switch_the_edge(self) -> None:
        config = self.old.config()
        self.host.files.keep_for_return(self.release.stack)
        self._decided = time.monotonic()
        self.host.files.place(self.release.stack, config)
        self.host.edge_api().wait_live(config, LIVE_LIMIT_S)

    def _confirm(self) -> None:
        for route in self.probes.first_routes():
            target = self.probes.through_edge(route, route.hosts[0])
            probe_until(
                lambda target=target, route=route: ask(target, self.probes.path(route)),  # type: ignore[misc]
                self.release.release,
                header=self.stack.ops.release_header,
                in_a_row=IN_A_ROW,
            )
        self.receipt.flip_ms = round((time.monotonic() - self._decided) * 1000, 1)
        self.old.tell_downtime()

    def _record_live(self) -> None:
        bad = tuple(dict.fromkeys((*self.before.bad, *self.begun.condemns)))
        self._set_state(replace(self._now(), live=self.release.number, standby=self.old.stands_by, bad=bad))

    # -- undoing -------------------------------------------------------------------------------------------------------

    def _undo_or_tell(self, cause: BaseException, *, moved: bool, bad: bool) -> None:
        self.receipt.outcome = UNDONE
        try:
            self._undo(moved=moved, bad=bad)
        except OpsError as error:
            self.receipt.outcome = STUCK
            self.receipt.error = f"{cause}; undoing it failed as well: {error}"
            stuck = OpsError(
                self.receipt.error,
                where=self.release.stack,
                do="it is tried again every minute; to have it tried now, run converge.yml: it mends the edge",
            )
            raise Undone(stuck, self.receipt) from error

    def _undo(self, *, moved: bool, bad: bool) -> None:
        """Traffic first, then the candidate; words last, since a full disk must not stand in the way of either.

        Only where the candidate is recorded as live, that is taken back before its containers are. A candidate that
        cannot be removed is told: nobody is led to it, and whoever converges the host next removes it.
        """
        if not moved:  # what it takes of the database may be what the old one waits for
            self._remove_the_candidate(moved=False)
        self.old.start_again()
        if moved:
            began = time.monotonic()
            self._return_the_edge()
            self.receipt.steps["return the edge"] = seconds_since(began)
            self._journal_undone("return the edge")
        if self._now().live != self.before.live:
            self._set_state(replace(self._now(), live=self.before.live, standby=self.before.standby))
        if moved:
            self._remove_the_candidate(moved=True)
        # A rollback says nothing against what it led to: that was good when it was left, and may be all there is.
        if bad and not self._goes_back:
            self._set_state(replace(self._now(), bad=tuple(dict.fromkeys((*self.before.bad, self.release.number)))))

    def _remove_the_candidate(self, *, moved: bool) -> None:
        if self.release.number in (self.before.live, self.before.standby) or self.begun.was_present:
            return
        began = time.monotonic()
        try:
            if moved:
                with suppress(OpsError):  # those whom it serves still are a reason to wait, not to keep it
                    self.host.runtime.drain(self.release, self.stack.ops.drain_limit)
            words = self.host.runtime.last_words(self.release)
            self.host.runtime.discard(self.release)
        except OpsError as error:
            left = f"release {self.release.number} could not be removed, and nobody is led to it: {error}"
            self.receipt.warnings.append(f"{left}; converge.yml removes it")
        else:
            self.receipt.steps["remove the candidate"] = seconds_since(began)
            self._journal_undone("remove the candidate", output=words)

    def _return_the_edge(self) -> None:
        if self.before.live:
            config = self._config_before()
            self.host.files.put_back(self.release.stack, config)
            self.host.edge_api().wait_live(config, LIVE_LIMIT_S)
        else:
            self.host.files.remove(self.release.stack)
            self.host.edge_api().wait_absent(self.old.config(), LIVE_LIMIT_S)

    def _journal_undone(self, step: str, **more: str) -> None:
        try:
            self._journal(step, "done", seconds=self.receipt.steps[step], **more)
        except OpsError as error:
            self.receipt.warnings.append(str(error))

    # -- small parts ---------------------------------------------------------------------------------------------------

    def _now(self) -> StackState:
        return self.host.state.state(self.release.stack)

    def _set_state(self, state: StackState) -> None:
        self.host.state.set_state(self.release.stack, state)

    def _record(self, number: int) -> Release:
        return self.host.state.record(self.release.stack, number)

    def _config_before(self) -> dict[str, Any]:
        """What the edge ran before: to the release that was live, with what still answered for old assets then."""
        plain = edge_config(self.host, self._record(self.before.live))
        kept = self.host.files.kept(self.release.stack)
        return kept if without_old_assets(kept) == plain else plain

    def _smoke(self, target_of: Callable[[SmokeTest], Target]) -> None:
        secrets = self.host.secrets.values(self.release.stack, self.release.secrets)
        results = run_smoke(self.stack.ops.smoke, target_of, secrets)
        self.receipt.smoke = tally(results)
        failed = [result for result in results if not result.passed]
        if failed:
            said = f"smoke tests {tally(results)}: {'; '.join(_told(result) for result in failed)}"
            if self._goes_back:  # no reason to stay with what is left because it does more harm
                self.receipt.warnings.append(said)
                return
            raise OpsError(
                said,
                where=f"{self.release.stack} {self.release.release}",
                do="nothing is lost: the old release serves; mend the release and deploy again",
            )

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self._journal(name, "begin")
        try:
            yield
        except OpsError as error:
            self.receipt.steps[name] = seconds_since(began)
            self._journal(name, "failed", error=str(error), seconds=self.receipt.steps[name])
            raise
        self.receipt.steps[name] = seconds_since(began)
        measured = {"smoke": self.receipt.smoke, "flip_ms": self.receipt.flip_ms}
        self._journal(name, "done", seconds=self.receipt.steps[name], **measured)

    def _journal(self, step: str, event: str, **more: Any) -> None:
        entry = {"transaction": self.begun.id, "number": self.release.number, "step": step, "event": event, **more}
        self.host.told(entry)
        self.host.state.journal(self.release.stack, entry)


def _told(result: SmokeResult) -> str:
    return f"{result.name}: {result.reason}"
