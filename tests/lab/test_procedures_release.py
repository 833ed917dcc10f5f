"""Releases and rollbacks of a small stack, as visitors, operators and the host see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.bench.load import Load, Target, lab_authority

from .procedure_parts import (
    ADDRESSES,
    BETTER,
    BROKEN,
    ENVIRONMENT,
    GLASS,
    GOOD,
    HOST,
    Checkout,
    bring,
    deploy,
    ended,
    on_host,
    play,
    playing,
    registry_digest,
    roll_back,
    serving,
    snapshot,
    unchanged,
    visit,
)

pytestmark = [pytest.mark.lab, pytest.mark.slow]

STACK, NAME = "www", "www.production.lab"
RATE = 20.0
WARM_LIMIT_S = 5.0


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
    return Load(Target(NAME, ADDRESSES[HOST], lab_authority()), RATE)


def containers(told: dict[str, Any]) -> dict[int, bool]:
    """Number of each release that has a container, and whether it runs."""
    return {one["number"]: one["running"] for one in told["containers"].values()}


def state(told: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = told["state"][STACK]
    return found


def test_a_release_goes_live_unnoticed_and_is_told_of(record_property: Any) -> None:
    before = snapshot(HOST, STACK)
    rehearsal = deploy(STACK, BETTER, "--check")
    assert rehearsal.code == 0, rehearsal.text
    assert f"{STACK}: {GOOD} -> {BETTER}" in rehearsal.text
    unchanged(before, snapshot(HOST, STACK))
    assert visit(NAME).release == GOOD

    with load() as visitors:
        run = deploy(STACK, BETTER, "-e", '{"reason": "a better page, which this test shows to its visitors"}')
    assert run.code == 0, run.text
    figures = visitors.figures()
    assert figures.requests > RATE * 2
    assert figures.failed == 0, figures
    assert visitors.samples[0].release == GOOD
    assert visitors.samples[-1].release == BETTER

    answer = visit(NAME)
    assert (answer.status, answer.release) == (200, BETTER)
    after = snapshot(HOST, STACK)
    live, standby = state(after)["live"], state(after)["standby"]
    assert standby == state(before)["live"]
    assert containers(after) == {live: True, standby: True}
    digest = registry_digest(STACK, BETTER)
    image = next(one["image"] for one in after["containers"].values() if one["number"] == live)
    assert image.endswith(f"@{digest}")
    record_property("flip_ms", run.told()["flip_ms"])
    told_of(run.told(), digest)

    again = deploy(STACK, BETTER)
    assert (again.code, again.changed) == (0, 0), again.text
    assert "is at sha-724f892 already" in again.text
    unchanged(after, snapshot(HOST, STACK))


def told_of(receipt: dict[str, Any], digest: str) -> None:
    """Status and history say what happened, to whom, by whom and why."""
    status = play("status", "--limit", ENVIRONMENT, "-e", f"stack={STACK}")
    (row,) = status.told()["rows"]
    assert (row["host"], row["release"], row["standby"], row["digest"]) == (HOST, BETTER, GOOD, digest)
    assert row["health"] == "healthy"
    history = play("history", "--limit", ENVIRONMENT, "-e", f"stack={STACK}", "-e", "last=1")
    (event,) = history.told()["rows"]
    assert (event["action"], event["release"], event["outcome"]) == ("deploy", BETTER, "done")
    assert event["by"] == "developer"  # whose key asked for it, not who was logged in
    assert event["why"] == "a better page, which this test shows to its visitors"
    assert event["flip_ms"] == receipt["flip_ms"] > 0
    assert event["digests"] == {"web": digest}


def test_rollbacks_go_to_what_was_recorded(record_property: Any) -> None:
    first = state(snapshot(HOST, STACK))["live"]
    assert deploy(STACK, BETTER).code == 0
    second = state(snapshot(HOST, STACK))["live"]

    # Previous, although somebody removed its container by hand.
    on_host(f"docker rm -f {STACK}-web-{GOOD.removeprefix('sha-')}-{first}")
    run = roll_back(STACK)
    assert run.code == 0, run.text
    assert "to be started" in run.text
    told = snapshot(HOST, STACK)
    assert (state(told)["live"], state(told)["standby"]) == (first, second)
    assert containers(told) == {first: True, second: True}
    assert visit(NAME).release == GOOD

    # By sha, to the one that stands by.
    run = roll_back(STACK, "-e", f"release={BETTER}", "-e", "reason=again")
    assert run.code == 0, run.text
    assert "warm" in run.text
    assert run.told()["seconds"] < WARM_LIMIT_S
    record_property("warm_rollback_s", run.told()["seconds"])
    assert state(snapshot(HOST, STACK))["live"] == second
    assert visit(NAME).release == BETTER

    # Two steps: past the better release to the first good one, whose container is long gone.
    assert deploy(STACK, GOOD).code == 0
    third = state(snapshot(HOST, STACK))["live"]
    assert third > second
    on_host(f"docker rm -f {STACK}-web-{GOOD.removeprefix('sha-')}-{first} || true")
    run = roll_back(STACK, "-e", "steps=2")
    assert run.code == 0, run.text
    told = snapshot(HOST, STACK)
    assert (state(told)["live"], state(told)["standby"]) == (first, third)
    assert containers(told) == {first: True, third: True}
    assert visit(NAME).release == GOOD


def test_a_rollback_without_a_target_names_those_there_are() -> None:
    assert deploy(STACK, BETTER).code == 0
    before = snapshot(HOST, STACK)
    for words, asked in ((("-e", "steps=500"), "500 steps back"), (("-e", "release=sha-0000000"), "at sha-0000000")):
        run = roll_back(STACK, *words)
        assert run.code == 2
        line = run.line(f"there is no good release {asked}; there are: ")
        assert GOOD in line
        assert "Next: choose one of them, or deploy a release" in line
    unchanged(before, snapshot(HOST, STACK))


def test_a_release_that_is_not_healthy_never_gets_traffic_and_a_second_deploy_waits_for_nobody() -> None:
    before = snapshot(HOST, STACK)
    words = ("--limit", ENVIRONMENT, "-e", f"stack={STACK}", "-e", f"release={BROKEN}", *GLASS)
    with load() as visitors, playing("deploy", *words) as first:
        holder = wait_for_holder()
        second = deploy(STACK, BETTER, patience_s=0)
        assert first.poll() is None, "the first run was over before the second could meet it"
        run = ended(first)
    assert second.code == 2
    refusal = second.line(f"stack '{STACK}' is being changed: deploy of {BROKEN} by ")
    assert holder in refusal
    assert "since 20" in refusal
    assert "Next: wait for it to end, then run this again" in refusal
    assert max(task["seconds"] for task in second.report["tasks"]) < 20

    assert run.code == 2
    line = run.line("the container is unhealthy")
    assert "broken on purpose" in line
    assert "Next: nobody saw it; mend the release" in line
    figures = visitors.figures()
    assert figures.failed == 0, figures
    assert {sample.release for sample in visitors.samples} == {GOOD}
    after = snapshot(HOST, STACK)
    unchanged(serving(before, STACK), serving(after, STACK))
    journal = [(entry["step"], entry["event"]) for entry in after["journal"][STACK]]
    assert journal[-3:] == [("wait for health", "failed"), ("remove the candidate", "done"), ("end", "undone")]
    assert run.told()["steps"]["wait for health"] > 0, "what was measured is told of a failed release as well"


def wait_for_holder() -> str:
    """Who holds the stack's lock, as soon as somebody does."""
    script = f"for i in $(seq 600); do test -s /run/seisei/{STACK}.lock && break; sleep 0.1; done"
    told = on_host(f"{script}; cat /run/seisei/{STACK}.lock")
    assert "pid " in told
    return told.split("pid ")[1].split()[0]


def test_a_release_that_fails_only_through_the_edge_is_taken_back(checkout: Checkout) -> None:
    # The edge takes the header Server away, so this test passes at the container and cannot pass behind the edge.
    checkout.replace(
        f"inventories/stacks/{STACK}.yml",
        "path: /healthz, json: {status: pass}",
        "path: /healthz, json: {status: pass}, headers: {Server: standin}",
    )
    before = snapshot(HOST, STACK)
    with load() as visitors:
        run = deploy(STACK, BETTER, "-e", "again=true", checkout=checkout.root)
    assert run.code == 2
    line = run.line("smoke tests 2/3: health: header Server is missing, wanted 'standin'")
    assert "Next: nothing is lost: the old release serves" in line
    assert visitors.figures().failed == 0
    assert visit(NAME).release == GOOD
    after = snapshot(HOST, STACK)
    unchanged(serving(before, STACK), serving(after, STACK))
    number = state(after)["last"]
    assert number in state(after)["bad"]
    entries = [entry for entry in after["journal"][STACK] if entry["number"] == number]
    steps = [(entry["step"], entry["event"]) for entry in entries]
    assert ("switch the edge", "done") in steps
    assert steps[-4:] == [
        ("smoke through the edge", "failed"),
        ("return the edge", "done"),
        ("remove the candidate", "done"),
        ("end", "undone"),
    ]
