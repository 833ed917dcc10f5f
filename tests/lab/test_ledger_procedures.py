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
from tests.lab.ledger_parts import (
    DEPLOY,
    LEDGER_SETTINGS,
    head_on,
    host_says,
    ledger_of,
    own_ledger,
    person_says,
    spool_on,
    spooled_on,
    unknowing,
)
from tests.lab.procedure_parts import ADDRESSES, Checkout, Run, play

pytestmark = pytest.mark.lab


@pytest.fixture
def here(checkout: Checkout) -> Iterator[Checkout]:
    """A checkout and hosts that know of no ledger but the test's own."""
    own_ledger(checkout)
    with unknowing():
        yield checkout


def tell(checkout: Checkout, *words: str) -> Run:
    return play("tell_ledger", *words, checkout=checkout.root)


def ids(*statements: Signed) -> list[str]:
    return [one.statement.id for one in statements]


def in_ledger(checkout: Checkout) -> list[str]:
    return ids(*ledger_of(checkout).ledger("reader").signed())


def test_what_waits_on_hosts_comes_into_the_ledger_once_and_they_keep_its_head(here: Checkout) -> None:
    said = [host_says(host, details=DEPLOY) for host in (*ADDRESSES, *ADDRESSES)]
    for one in said:
        spool_on(one.statement.by, one)
    rehearsal = tell(here, "--check")
    assert (rehearsal.code, in_ledger(here)) == (0, []), rehearsal.text
    run = tell(here)
    assert (run.code, run.changed) == (0, 2), run.text
    assert sorted(in_ledger(here)) == sorted(ids(*said))
    assert [spooled_on(host) for host in ADDRESSES] == [[], []]
    assert max(head_on(host)["number"] for host in ADDRESSES) == len(said)
    again = tell(here)
    assert (again.code, again.changed) == (0, 0), again.text
    assert {head_on(host)["hash"] for host in ADDRESSES} == {ledger_of(here).ledger().head().hash}
    proof = play("verify_ledger", checkout=here.root)
    assert proof.code == 0, proof.text
    assert "signatures looked at: 4" in proof.text


def test_a_storage_that_is_away_costs_nothing_but_patience(here: Checkout) -> None:
    said = host_says("production-1", details=DEPLOY, why="rolled back in the dark")
    spool_on("production-1", said)
    good, away = "  bucket: seisei-ledger\n  endpoint: https://10.213.0.4:5000\n", "  bucket: seisei-ledger\n"
    here.replace(LEDGER_SETTINGS, good, f"{away}  endpoint: https://10.213.0.4:1\n")
    run = tell(here)
    assert run.code != 0
    assert "the ledger's storage does not answer as it should" in run.text
    assert spooled_on("production-1") == ids(said)
    assert play("verify_ledger", checkout=here.root).code != 0
    past = play("history", "-e", "stack=ocr", checkout=here.root)
    assert past.code == 0, past.text
    assert "The ledger cannot be read, so hosts speak for themselves" in past.text
    assert "rolled back in the dark" in past.text
    here.replace(LEDGER_SETTINGS, f"{away}  endpoint: https://10.213.0.4:1\n", good)
    assert tell(here).code == 0
    assert in_ledger(here) == ids(said)
    assert spooled_on("production-1") == []


def test_a_controller_killed_before_it_could_acknowledge_leaves_no_second_entry(here: Checkout) -> None:
    said = [host_says("production-1", details=DEPLOY) for _ in range(2)]
    for one in said:
        spool_on("production-1", one)
    line = '        answer = action.run_module("spool"'
    dies = "        import os; [os.kill(one, 9) for one in (os.getppid(), os.getpid())]\n"
    here.replace("plugins/plugin_utils/ledger_errand.py", line, dies + line)
    ansible = str(Path(sys.executable).with_name("ansible-playbook"))
    killed = subprocess.run(
        [ansible, "playbooks/tell_ledger.yml", "--limit", "production"],
        cwd=here.root, capture_output=True, check=False, timeout=60, start_new_session=True,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert in_ledger(here) == ids(*said), "written"
    assert sorted(spooled_on("production-1")) == sorted(ids(*said)), "and not acknowledged"
    here.replace("plugins/plugin_utils/ledger_errand.py", dies, "")
    run = tell(here)
    assert run.code == 0, run.text
    assert in_ledger(here) == ids(*said)
    assert spooled_on("production-1") == []
    assert head_on("production-1")["number"] == 2


def test_what_is_not_well_signed_stays_where_it_is(here: Checkout) -> None:
    good = host_says("production-1", details=DEPLOY)
    verified = host_says("production-1", VERIFIED)  # production's host may not
    forged = Signed(good.text.replace(good.statement.id, "e" * 32), good.signature)
    for one in (good, verified, forged):
        spool_on("production-1", one)
    run = tell(here, "--limit", "production")
    assert run.code == 0, run.text
    assert in_ledger(here) == ids(good)
    assert sorted(spooled_on("production-1")) == sorted(ids(verified, forged))
    run.line("production-1 may not sign 'verified'")
    run.line("it is forged or damaged")


def test_history_says_who_when_what_why_and_who_allowed_it(here: Checkout) -> None:
    ledger = ledger_of(here).ledger()
    story = [
        host_says("staging-1", VERIFIED, environment="staging", details={"smoke": "4/4"}),
        person_says(ACCEPTED, "second", environment="staging"),
        person_says(APPROVED, "approver"),
        host_says("production-1", details=DEPLOY, why='=HYPERLINK("http://x")'),
    ]
    ledger.merge(story)
    waits = host_says("production-1", details={**DEPLOY, "action": "roll_back"}, why="it was slow")
    spool_on("production-1", waits)
    run = play("history", "-e", "stack=ocr", "-e", "format=csv", "-e", f"since={story[0].statement.at}",
               checkout=here.root)  # fmt: skip
    assert run.code == 0, run.text
    lines = run.text.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("environment,stack,at,"))
    rows = list(csv.DictReader(io.StringIO("\n".join(lines[first : first + 6]))))
    back, deployed, approved, accepted, verified = rows
    assert (back["action"], back["kept"], back["entry"], back["approvals"]) == ("roll_back", "waiting", "", "")
    assert (deployed["action"], deployed["by"], deployed["outcome"]) == ("deploy", "kenji@laptop", "done")
    assert (deployed["approvals"], deployed["entry"]) == ("approver", "4")
    assert deployed["verification"] == "smoke 4/4 by staging-1 (staging), accepted by second (staging)"
    assert deployed["why"] == '\'=HYPERLINK("http://x")'
    assert deployed["digest"] == "sha256:" + "a" * 64
    assert [row["action"] for row in (approved, accepted, verified)] == ["approved", "accepted", "verified"]
    period = ["-e", f"since={story[0].statement.at}", "-e", f"until={waits.statement.at}"]
    only = play("history", "-e", "stack=ocr", *period, "-e", "format=json", "--limit", "staging", checkout=here.root)
    assert [row["action"] for row in only.told("staging-1")["rows"]] == ["accepted", "verified"]
