"""Finish or undo what a process that died had begun: without a controller, a registry or a secrets store.

Done at once by the unit whose process was killed, by a timer, after a boot, and by every run that changes the stack.
"""

from __future__ import annotations

from .edge_config import edge_config
from .gateway.host_state import now, utc
from .hands import LIVE_LIMIT_S, Host
from .model.errors import OpsError
from .model.receipt import DONE, Receipt
from .old_release import STOP_OLD
from .plan.edge_assets import without_old_assets
from .transaction import SWITCH, Transaction


def tend(host: Host, stack: str, cause: str = "") -> Receipt | None:
    """Bring a stack to rest, under its lock; what it came to, or None when nothing was left behind.

    ``cause`` is what is known of why it did not end by itself. Raises Undone when it could not be undone: it is to be
    tried again.
    """
    begun = host.state.begun(stack)
    if begun is None:
        return None
    return Settlement(host, host.state.record(stack, begun.number), begun=begun).settle(cause)


def tend_to_go_back(host: Host, stack: str) -> list[str]:
    """The same for who wants to go back; what was done, in words.

    What could not be put right is told and no more, where state and edge agree on what is live: one can go back from
    that. Raises Undone where they do not.
    """
    try:
        return told(tend(host, stack))
    except OpsError as error:
        begun = host.state.begun(stack)
        if begun is None or not _serves_as_recorded(host, stack):
            raise
        return [f"{stack}: not all that the {begun.action} before left could be put right, and it goes on: {error}"]


def _serves_as_recorded(host: Host, stack: str) -> bool:
    try:
        live, placed = host.state.state(stack).live, host.files.all().get(stack, {})
        if not live or without_old_assets(placed) != edge_config(host, host.state.record(stack, live)):
            return False
        host.edge_api().wait_live(placed, LIVE_LIMIT_S)
    except OpsError:
        return False
    return True


def told(receipt: Receipt | None) -> list[str]:
    """What was left behind and what became of it, for the person whose run came upon it."""
    if receipt is None:
        return []
    became = "finished" if receipt.outcome == DONE else "undone"
    return [f"{receipt.stack}: the {receipt.action} of {receipt.release} had been cut off; it was {became}"]


class Settlement(Transaction):
    """A transaction whose process died."""

    _told_to_switch = False  # whether the edge may lead to the candidate, whatever its file says by now

    def settle(self, known: str = "") -> Receipt:
        """Finish what a process that died had begun, when its release is recorded as live already; else undo it.

        Needs neither registry nor secrets store. Raises Undone when it could not be undone: it is to be tried again.
        """
        failed = self._recall()
        try:
            if self._now().live == self.release.number:
                self.receipt.outcome = DONE
                self._hold_the_edge()
                self._take_what_goes(self._afterwards())
            else:
                cause = failed or known or "the process that did it was killed, or its host went down"
                self.receipt.error = cause
                # That it was killed says nothing against the release.
                self._undo_or_tell(OpsError(cause), moved=self._has_moved(), bad=bool(failed))
        finally:
            self._end(round((utc(now()) - utc(self.begun.began)).total_seconds(), 3))
        return self.receipt

    def _recall(self) -> str:
        """Take the receipt up from the journal; the failure of a step that blames the release, if there was one."""
        blaming = {step.name for step in self._switch() if step.blames}
        failed = ""
        for entry in self.host.state.journaled(self.release.stack, self.begun.id):
            step, event = entry.get("step", ""), entry.get("event", "")
            self._told_to_switch |= step == SWITCH
            self.old.was_stopped |= step == STOP_OLD
            if event == "done" and "seconds" in entry:
                self.receipt.steps[step] = entry["seconds"]
                self.receipt.smoke = entry.get("smoke", self.receipt.smoke)
                self.receipt.flip_ms = entry.get("flip_ms", self.receipt.flip_ms)
            if event == "failed" and step in blaming:
                failed = str(entry.get("error", "a step failed"))
        return failed

    def _has_moved(self) -> bool:
        """Whether the edge may lead to the candidate: it was told to, or its file is not that of who was live before.

        An undoing that put the file back and did not see the edge follow has not returned the edge.
        """
        if self._told_to_switch:
            return True
        placed = self.host.files.all().get(self.release.stack)
        if placed is None or not self.before.live:
            return placed is not None or bool(self.before.live)
        return without_old_assets(placed) != edge_config(self.host, self._record(self.before.live))

    def _hold_the_edge(self) -> None:
        config = self.old.config()
        if self.host.files.all().get(self.release.stack) != config:
            self.host.files.place(self.release.stack, config)
            self.host.edge_api().wait_live(config, LIVE_LIMIT_S)
