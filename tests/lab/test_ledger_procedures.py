"""The ledger as people meet it: hosts' statements come in, history tells of them, and tampering is named."""

from __future__ import annotations

import csv
import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.module_utils.model.statement import ACCEPTED, APPROVED, VERIFIED, Signed
from tests.lab.ledger_parts import DEPLOY, OwnCheckout, host_says, own_checkout, own_state, person_says
from tests.lab.procedure_parts import ADDRESSES, Checkout

pytestmark = pytest.mark.lab


@pytest.fixture
def here(checkout: Checkout) -> Iterator[OwnCheckout]:
    with own_state() as state:
        here = own_checkout(checkout, state)
        yield here
        here.own.erase()


def ids(*statements: Signed) -> list[str]:
    return [one.statement.id for one in statements]


def test_what_waits_on_hosts_comes_into_the_ledger_once_and_they_keep_its_head(here: OwnCheckout) -> None:
    said = [host_says(host, details=DEPLOY) for host in (*ADDRESSES, *ADDRESSES)]
    for one in said:
        here.spool(one.statement.by, one)
    rehearsal = here.play("tell_ledger", "--check")
    assert (rehearsal.code, here.written()) == (0, []), rehearsal.text
    run = here.play("tell_ledger")
    assert (run.code, run.changed) == (0, 2), run.text
    assert sorted(here.written()) == sorted(ids(*said))
    assert [here.waiting(host) for host in ADDRESSES] == [[], []]
    assert max(here.head(host)["number"] for host in ADDRESSES) == len(said)
    again = here.play("tell_ledger")
    assert (again.code, again.changed) == (0, 0), again.text
    assert {here.head(host)["hash"] for host in ADDRESSES} == {here.own.ledger().head().hash}
    proof = here.play("verify_ledger")
    assert proof.code == 0, proof.text
    assert "signatures looked at: 4" in proof.text


def test_a_storage_that_is_away_costs_nothing_but_patience(here: OwnCheckout) -> None:
    said = host_says("production-1", details=DEPLOY, why="rolled back in the dark")
    here.spool("production-1", said)
    here.away()
    run = here.play("tell_ledger")
    assert run.code != 0
    assert "the ledger's storage does not answer as it should" in run.text
    assert here.waiting("production-1") == ids(said)
    assert here.play("verify_ledger").code != 0
    past = here.play("history", "-e", "stack=ocr")
    assert past.code == 0, past.text
    assert "The ledger cannot be read, so hosts speak for themselves" in past.text
    assert "rolled back in the dark" in past.text
    here.away(ended=True)
    assert here.play("tell_ledger").code == 0
    assert here.written() == ids(said)
    assert here.waiting("production-1") == []


def test_a_controller_killed_before_it_could_acknowledge_leaves_no_second_entry(here: OwnCheckout) -> None:
    said = [host_says("production-1", details=DEPLOY) for _ in range(2)]
    for one in said:
        here.spool("production-1", one)
    line = '        _spool(action, {**dropped, "head"'
    dies = "        import os; [os.kill(one, 9) for one in (os.getppid(), os.getpid())]\n"
    here.checkout.replace("plugins/plugin_utils/ledger_errand.py", line, dies + line)
    ansible = str(Path(sys.executable).with_name("ansible-playbook"))
    killed = subprocess.run(
        [ansible, "playbooks/tell_ledger.yml", "--limit", "production"],
        cwd=here.root, capture_output=True, check=False, timeout=60, start_new_session=True,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert here.written() == ids(*said), "written"
    assert here.waiting("production-1") == sorted(ids(*said)), "and not acknowledged"
    here.checkout.replace("plugins/plugin_utils/ledger_errand.py", dies, "")
    run = here.play("tell_ledger")
    assert run.code == 0, run.text
    assert here.written() == ids(*said)
    assert here.waiting("production-1") == []
    assert here.head("production-1")["number"] == 2


def test_what_is_not_well_signed_stays_where_it_is(here: OwnCheckout) -> None:
    good = host_says("production-1", details=DEPLOY)
    verified = host_says("production-1", VERIFIED)  # production's host may not
    forged = Signed(good.text.replace(good.statement.id, "e" * 32), good.signature)
    for one in (good, verified, forged):
        here.spool("production-1", one)
    run = here.play("tell_ledger", "--limit", "production")
    assert run.code == 0, run.text
    assert here.written() == ids(good)
    assert here.waiting("production-1") == sorted(ids(verified, forged))
    run.line("production-1 may not sign 'verified'")
    run.line("it is forged or damaged")


def test_history_says_who_when_what_why_and_who_allowed_it(here: OwnCheckout) -> None:
    ledger = here.own.ledger()
    story = [
        host_says("staging-1", VERIFIED, environment="staging", details={"smoke": "4/4"}),
        person_says(ACCEPTED, "second", environment="staging"),
        person_says(APPROVED, "approver"),
    ]
    relied_on = [one.statement.id for one in story]
    deploy = {**DEPLOY, "relied_on": relied_on}
    story.append(host_says("production-1", details=deploy, why='=HYPERLINK("http://x")'))
    ledger.merge(story)
    waits = host_says("production-1", details={**DEPLOY, "action": "roll_back"}, why="it was slow")
    here.spool("production-1", waits)
    run = here.play("history", "-e", "stack=ocr", "-e", "format=csv", "-e", f"since={story[0].statement.at}")
    assert run.code == 0, run.text
    lines = run.text.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("environment,stack,at,"))
    rows = csv.DictReader(io.StringIO("\n".join(lines[first:])))
    back, deployed, approved, accepted, verified = (row for row in rows if row["kept"] in ("ledger", "waiting"))
    assert (back["action"], back["kept"], back["entry"], back["approvals"]) == ("roll_back", "waiting", "", "")
    assert (deployed["action"], deployed["by"], deployed["outcome"]) == ("deploy", "kenji@laptop", "done")
    assert (deployed["approvals"], deployed["entry"]) == ("approver", "4")
    assert deployed["verification"] == "smoke 4/4 by staging-1 (staging), accepted by second (staging)"
    assert deployed["why"] == '\'=HYPERLINK("http://x")'
    assert deployed["digest"] == "sha256:" + "a" * 64
    assert [row["action"] for row in (approved, accepted, verified)] == ["approved", "accepted", "verified"]
    period = ["-e", f"since={story[0].statement.at}", "-e", f"until={waits.statement.at}"]
    only = here.play("history", "-e", "stack=ocr", *period, "-e", "format=json", "--limit", "staging")
    told = [row["action"] for row in only.told("staging-1")["rows"] if row["kept"] == "ledger"]
    assert told == ["accepted", "verified"]
