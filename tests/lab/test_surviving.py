"""A release outlives its process, its connection and its controller, and is taken back when it does harm."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bench.load import Load, Target, lab_authority

from .procedure_parts import (
    ADDRESSES,
    BETTER,
    ENVIRONMENT,
    GLASS,
    GOOD,
    HOST,
    ROOT,
    Checkout,
    bring,
    deploy,
    ended,
    killing,
    on_host,
    play,
    playing,
    roll_back,
    snapshot,
    standing_still,
    visit,
)

pytestmark = [pytest.mark.lab, pytest.mark.slow]

STACK, NAME = "www", "www.production.lab"
WORDS = ("--limit", ENVIRONMENT, "-e", f"stack={STACK}")
HISTORY = f"tail -n 1 /var/lib/seisei/stacks/{STACK}/history.jsonl"
SETTLED_S = 60.0
TAKEN_BACK_S = 90.0


@pytest.fixture(scope="module", autouse=True)
def _leave_as_found(converged: None) -> Iterator[None]:
    yield
    bring(STACK, GOOD)


@pytest.fixture(autouse=True)
def good() -> None:
    """The good release serves."""
    bring(STACK, GOOD)


def load() -> Load:
    """People who visit the site all the while."""
    return Load(Target(NAME, ADDRESSES[HOST], lab_authority()), 20.0)


def until(what: str, holds: Callable[[], bool], limit_s: float) -> float:
    """Wait until it holds; seconds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < limit_s, f"{what} did not come within {limit_s:g} s"
        time.sleep(0.05)
    return time.monotonic() - began


TOLD = f"/run/seisei/told/{STACK}"


@contextmanager
def deploying(checkout: Path = ROOT) -> Iterator[tuple[subprocess.Popen[str], Callable[[str], None]]]:
    """A deploy under way, and what waits until it is at a step, by what its unit tells."""
    before = set(on_host(f"ls {TOLD}").split())

    def at(step: str) -> None:
        def is_there() -> bool:
            return bool(
                on_host(f"cd {TOLD} && grep -l '\"step\": \"{step}\"' $(ls | grep -vE '{known}') /dev/null || true")
            )

        known = "|".join(before)
        until(f"the step {step}", is_there, SETTLED_S)

    with playing("deploy", *WORDS, *GLASS, "-e", f"release={BETTER}", checkout=checkout) as process:
        yield process, at


def one_release_is_left(release: str) -> None:
    """Exactly one live release, which the edge leads to; nothing of the run that died; no lock."""
    told = snapshot(HOST, STACK)
    state: dict[str, Any] = told["state"][STACK]
    numbers = {one["number"] for one in told["containers"].values()}
    assert numbers <= {state["live"], state["standby"]}
    assert state["live"] in numbers
    assert state["release"] == release
    assert visit(NAME).release == release
    on_host(f"test ! -e /var/lib/seisei/stacks/{STACK}/transaction.json")
    on_host(f"flock --nonblock /run/seisei/{STACK}.lock true")
    assert on_host("ls /run/seisei/requests 2>/dev/null || true") == ""


@pytest.mark.parametrize(
    ("step", "event", "left"),
    [
        ("fetch and verify the digest", "begin", GOOD),
        ("wait for health", "begin", GOOD),
        ("switch the edge", "done", GOOD),
        ("watch the release", "begin", BETTER),
    ],
)
def test_a_killed_release_is_put_right_at_once_and_without_a_controller(step: str, event: str, left: str) -> None:
    with load() as visitors:
        with killing(STACK, step, event):
            run = deploy(STACK, BETTER)
        one_release_is_left(left)
    assert visitors.figures().failed == 0, visitors.figures()
    if left == GOOD:
        assert run.code == 2
        line = run.line("it was undone, and what was live before serves")
        assert "was killed, or its host went down" in line
        assert run.told()["steps"], "what was measured before is told all the same"
    else:
        assert run.code == 0, run.text
        assert "had been cut off; it was finished" in run.text
    assert '"transaction"' in on_host(HISTORY)


@contextmanager
def connections_of_its_own() -> Iterator[Path]:
    """A run within the block shares no SSH connection with another one; the folder has the sockets of its own."""
    folder = tempfile.mkdtemp(prefix="ssh", dir="/tmp")  # short: a socket's path has 107 characters at most
    before = os.environ.get("ANSIBLE_SSH_CONTROL_PATH_DIR")
    os.environ["ANSIBLE_SSH_CONTROL_PATH_DIR"] = folder
    try:
        yield Path(folder)
    finally:
        os.environ.pop("ANSIBLE_SSH_CONTROL_PATH_DIR")
        if before is not None:
            os.environ["ANSIBLE_SSH_CONTROL_PATH_DIR"] = before
        shutil.rmtree(folder, ignore_errors=True)


def test_a_cut_connection_is_made_again_and_the_release_goes_on() -> None:
    with connections_of_its_own() as folder, deploying() as (first, at):
        at("start the candidate")
        (socket,) = folder.iterdir()
        master = subprocess.run(
            ["ssh", "-o", f"ControlPath={socket}", "-O", "check", "host"], capture_output=True, text=True, check=False
        )
        os.kill(int(master.stderr.split("pid=")[1].split(")")[0]), signal.SIGKILL)
        run = ended(first)
    assert run.code == 0, run.text
    assert "switch confirmed in" in run.text
    one_release_is_left(BETTER)


def test_a_killed_controller_is_not_needed_and_anybody_can_look_on() -> None:
    with deploying() as (first, at):
        at("start the candidate")
        first.kill()
    looked_on = play("attach", *WORDS)
    assert looked_on.code == 0, looked_on.text
    assert f"{STACK}: {GOOD} -> {BETTER}" in looked_on.text
    assert "switch confirmed in" in looked_on.text
    assert looked_on.told()["outcome"] == "done"
    one_release_is_left(BETTER)


def test_a_second_person_is_refused_and_the_first_can_be_looked_on_at() -> None:
    with deploying() as (first, _):
        with standing_still(STACK, "wait for health", "begin") as stands:
            stands()
            second = deploy(STACK, BETTER, patience_s=0)
        run = ended(first)
    assert run.code == 0, run.text
    assert second.code == 2
    assert f"stack '{STACK}' is being changed: deploy of {BETTER} by" in second.text


def test_a_rollback_does_not_wait_for_the_drain_of_what_it_goes_back_to(checkout: Checkout) -> None:
    checkout.replace(f"inventories/stacks/{STACK}.yml", "drain_limit: 30s", "drain_limit: 2m")
    with ThreadPoolExecutor(1) as others, deploying(checkout.root) as (first, at):
        slow = others.submit(visit, NAME, "/slow?seconds=40", limit_s=60)
        at("drain the old release")
        back = roll_back(STACK, patience_s=0)
        run = ended(first, checkout.root)
        answer = slow.result(60)
    assert back.code == 0, back.text
    assert (answer.status, answer.release) == (200, GOOD)
    assert run.code == 0, run.text
    assert "warning: tidying up was cut short, since the release is left again" in run.text
    one_release_is_left(GOOD)


def test_a_release_that_does_harm_is_taken_back_by_the_watch(checkout: Checkout) -> None:
    path = f"inventories/stacks/{STACK}.yml"
    checkout.replace(path, "  standby: running", "  standby: running\n  watch: {for: 2m, error_rate: 5%}")
    run = deploy(STACK, BETTER, checkout=checkout.root)
    assert run.code == 0, run.text
    number = snapshot(HOST, STACK)["state"][STACK]["live"]
    for _ in range(60):
        assert visit(NAME, "/fail?status=500").status == 500
    took = until("the rollback", lambda: visit(NAME).release == GOOD, TAKEN_BACK_S)
    until("its end", lambda: '"by": "watch"' in on_host(HISTORY), SETTLED_S)
    assert took < TAKEN_BACK_S
    event = on_host(HISTORY)
    assert "answers within a minute were server errors" in event
    assert snapshot(HOST, STACK)["state"][STACK]["bad"][-1] == number
    one_release_is_left(GOOD)
    alert = on_host("journalctl --no-pager --priority=alert --since=-2min --output=cat")
    assert f"{STACK}: release {number} is taken back" in alert

    status = play("status", *WORDS)
    assert BETTER in status.told()["rows"][0]["bad"]
    again = deploy(STACK, BETTER, checkout=checkout.root)
    assert again.code == 2
    refusal = again.line(f"{BETTER} was taken back here before")
    assert "answers within a minute were server errors" in refusal
    assert "-e again=true" in refusal
    insisted = deploy(STACK, BETTER, "-e", "again=true", checkout=checkout.root)
    assert insisted.code == 0, insisted.text
    assert roll_back(STACK).code == 0
    on_host(f"test ! -e /var/lib/seisei/stacks/{STACK}/watch.json")
