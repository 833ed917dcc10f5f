"""One case tried for real: a release under way, a fault at one of its steps, and how long until all is at rest."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from tests.bench.load import Load
from tests.bench.one_host import STACK, Failed, Journal, OneHost, deploy_words, site
from tests.crash.faults import CONTROLLERS, FAULTS, Fault
from tests.crash.host import Stopper, forget_image, inside, look, seen, wait_for
from tests.crash.invariants import wrong
from tests.crash.matrix import DEPLOY, HARMLESS, ROLL_BACK, SPARING, Cell, Point, points_of
from tests.lab.procedure_parts import BETTER, GOOD

RATE = 40.0
RECOVERY_LIMIT_S = 150.0
_ENDS_WITHIN_S = 20.0
NO_TARGET = "there is no good release"
# A watch that judges what faults did would act in a later case: here only the release itself is tried.
_WATCH = "  drain_limit: 30s\n"
_NO_JUDGEMENT = "  drain_limit: 30s\n  watch: {least_requests: 1000000, unhealthy_for: 1h}\n"


class Estate(OneHost):
    """The estate under test."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        if (folder / "plugins" / "module_utils" / "model" / "watch.py").exists():
            self.replace(f"inventories/stacks/{STACK}.yml", _WATCH, _NO_JUDGEMENT)

    def words(self, action: str) -> list[str]:
        """The command that brings about the other release."""
        if action == ROLL_BACK:
            return self.command("roll_back", "-e", f"stack={STACK}")
        return self.command("deploy", *deploy_words(self.other()), *self.again)

    def other(self) -> str:
        """The release that is not live."""
        told = look()
        live = told.get("records", {}).get(str(told.get("state", {}).get("live")), {}).get("release", "")
        return GOOD if live == BETTER else BETTER

    def at_rest(self) -> list[str]:
        """What does not hold now."""
        return wrong(look(), seen())

    def come_to_rest(self) -> None:
        """Have everything right before a case, whatever the one before left. Raises Failed."""
        if not self.at_rest():
            return
        for playbook in ("provision", "converge"):
            self.play(playbook)
        for _ in range(2):
            if not self.at_rest():
                return
            self.deploy(self.other())
        if left := self.at_rest():
            raise Failed(f"the host does not come to rest: {'; '.join(left)}")

    def points(self) -> dict[str, list[Point]]:
        """The steps of a deploy and of a rollback, as their journals tell them. Raises Failed."""
        found = {}
        for action in (DEPLOY, ROLL_BACK):
            journal = Journal(0.0)
            done = subprocess.run(self.words(action), cwd=self.root, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Failed(f"{action} without a fault: {done.stdout[-2000:]}")
            found[action] = points_of(journal.entries())
        return found


def tried(estate: Estate, cell: Cell) -> dict[str, Any]:
    """Try one case; its row."""
    estate.come_to_rest()
    if cell.fault == "registry" and cell.action == DEPLOY:
        forget_image(estate.other())
    row = _try(estate, cell)
    if NO_TARGET in row["controller"] and cell.action == ROLL_BACK:
        estate.deploy(estate.other())
        row = _try(estate, cell)
    return row


def _try(estate: Estate, cell: Cell) -> dict[str, Any]:
    fault = FAULTS[cell.fault]
    before = look()["state"]
    began = time.monotonic()
    with Load(site(), RATE) as load, tempfile.TemporaryFile("w+") as said, Stopper(cell.step, cell.event) as stopper:
        if not wait_for(lambda: any(one.release for one in load.samples), 10):
            raise Failed("nobody answers visitors before the case began")
        controller = _start(estate, cell.action, said)
        try:
            if not stopper.hit():
                faults = ["the step was not reached"]
                recovery = None
            else:
                struck = load.seconds()
                fault.strike(stopper, controller.pid)
                stopper.release(fault.word)
                recovery, faults = _recover(estate, fault)
        finally:
            with suppress(Failed):
                fault.heal()
            _end(controller)
        said.seek(0)
        text = said.read()
    faults = [*faults, *_ledger_faults(estate)]
    samples = list(load.samples)
    bad = [one for one in samples if one.problem]
    if bad and cell.fault in SPARING:
        faults = [*faults, f"requests failed ({', '.join(sorted({one.kind for one in bad}))})"]
    told = look()
    after = told.get("state", {})
    marked_bad = sorted(set(after.get("bad", ())) - set(before.get("bad", ())))
    if marked_bad:
        faults = [*faults, "a release is marked bad for what was done to its host"]
    if recovery is not None and cell.fault in HARMLESS and after.get("live") == before.get("live"):
        faults = [*faults, "the release was not carried through, though nothing was wrong with its host"]
    return {
        "fault": cell.fault, "action": cell.action, "step": cell.step, "event": cell.event,
        "wrong": faults,
        "recovery_s": recovery,
        "live": {True: "the new one", False: "the old one"}[after.get("live") != before.get("live")],
        "marked_bad": marked_bad,
        "drafts": len(told.get("drafts", ())),
        "requests": len(samples), "failed": len(bad),
        "failures": [f"{one.at - struck:+.2f} s {one.kind}: {one.problem}" for one in bad[:10]] if bad else [],
        "exit": controller.returncode,
        "controller": _last_words(text),
        "seconds": round(time.monotonic() - began, 1),
        "at": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }  # fmt: skip


def _start(estate: Estate, action: str, said: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        estate.words(action), cwd=estate.root, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        text=True, start_new_session=True, group=CONTROLLERS,
    )  # fmt: skip


def _recover(estate: Estate, fault: Fault) -> tuple[float | None, list[str]]:
    """Seconds until all was at rest, from the strike, or from the healing where it was not before; and what was still
    wrong when patience ended."""
    struck = since = time.monotonic()
    healed = fault.after_s is None
    left = ["nothing was looked at"]
    while time.monotonic() - struck < RECOVERY_LIMIT_S:
        if not healed and time.monotonic() - struck >= (fault.after_s or 0.0):
            fault.heal()
            healed, since = True, time.monotonic()
        left = estate.at_rest()
        if not left:
            return round(time.monotonic() - since, 2), []
        time.sleep(0.1)
    return None, left


def _ledger_faults(estate: Estate) -> list[str]:
    """What is wrong with the ledger once all is at rest: what the host said has to be in it, and it has to verify."""
    if not estate.has_ledger:
        return []
    said = spooled()
    run = estate.play("tell_ledger", "playbooks/verify_ledger.yml") if said else estate.play("verify_ledger")
    if run.code:
        return [f"the ledger does not verify, or does not take what the host says: {_last_words(run.text)}"]
    left = spooled()
    return [f"{len(left)} of {len(said)} statements stay on the host"] if left else []


def spooled() -> list[str]:
    """Names of the statements that wait on the host."""
    return inside("ls /var/lib/seisei/spool 2>/dev/null || true").split()


def _end(controller: subprocess.Popen[str]) -> None:
    """Let the controller end by itself, for a while."""
    with suppress(subprocess.TimeoutExpired):
        controller.wait(timeout=_ENDS_WITHIN_S)
    with suppress(ProcessLookupError):
        os.killpg(controller.pid, signal.SIGKILL)
    controller.wait(timeout=10)


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("report: ")]
    errors = [line for line in lines if "Next:" in line or NO_TARGET in line]
    return (errors or lines or [""])[-1][:400]


def tidy() -> None:
    """Take away whatever a case that was interrupted may have left on the host."""
    for fault in FAULTS.values():
        with suppress(Failed):
            fault.heal()
    with suppress(Failed):
        FAULTS["disk"].after()
    with suppress(Failed):
        inside("docker version >/dev/null")
