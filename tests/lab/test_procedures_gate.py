"""The gate as people meet it: from staging's word to production, with the playbooks they would run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.lab.gate_parts import play_as, without_a_ledger
from tests.lab.procedure_parts import BETTER, GLASS, GOOD, REASON, Checkout, Run, on_host, play

pytestmark = pytest.mark.lab
STACK = "ocr"
ASKED = ("-e", f"stack={STACK}", "-e", f"release={BETTER}")
PRODUCTION, STAGING = ("--limit", "production"), ("--limit", "staging")


@pytest.fixture
def estate(tmp_path_factory: pytest.TempPathFactory, converged: None) -> Iterator[Checkout]:
    """A checkout with a ledger of its own, on hosts that know of no other."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    checkout.replace(
        "inventories/lab/group_vars/all/lab.yml",
        "  bucket: seisei-ledger\n",
        f"  bucket: seisei-ledger\n  prefix: test/{secrets.token_hex(8)}\n",
    )
    with ExitStack() as stack:
        for host in ("staging-1", "production-1"):
            stack.enter_context(without_a_ledger(host))
        yield checkout


def run(estate: Checkout, playbook: str, *words: str, by: str = "developer") -> Run:
    return play_as(by, playbook, *words, checkout=estate.root)


def well(found: Run) -> Run:
    assert found.code == 0, found.text
    return found


def live(host: str) -> str:
    """The release that a host has on record as live."""
    state = json.loads(on_host(f"cat /var/lib/seisei/stacks/{STACK}/state.json", host))
    return str(json.loads(on_host(f"cat /var/lib/seisei/stacks/{STACK}/records/{state['live']}.json", host))["release"])


def begin_with(estate: Checkout, release: str) -> None:
    """Production at this release; going back asks for nothing, and going forward breaks the glass."""
    if live("production-1") != release:
        words = (*PRODUCTION, "-e", f"stack={STACK}", "-e", f"release={release}", "-e", "again=true", *GLASS)
        well(run(estate, "deploy", *words))


def test_a_release_goes_the_whole_way_and_each_step_that_is_missing_is_named(estate: Checkout) -> None:
    begin_with(estate, GOOD)
    refused = run(estate, "deploy", *PRODUCTION, *ASKED)
    assert refused.code != 0
    refused.line(f"no host of staging has verified this very release (by: staging-1). Next: ansible-playbook"
                 f" playbooks/deploy.yml --limit staging -e stack={STACK} -e release={BETTER}")  # fmt: skip
    refused.line(f"ansible-playbook playbooks/accept.yml --limit staging -e stack={STACK}")
    refused.line(f"ansible-playbook playbooks/approve.yml --limit production -e stack={STACK} -e release={BETTER}")
    assert live("production-1") == GOOD

    proposed = well(run(estate, "deploy", *STAGING, *ASKED, "-e", "auto_promote=true"))
    proposed.line("proposed for production by developer")
    assert "has verified" not in run(estate, "deploy", *PRODUCTION, *ASKED).text

    well(run(estate, "accept", *STAGING, "-e", f"stack={STACK}"))
    well(run(estate, "accept", *STAGING, "-e", f"stack={STACK}")).line("has said so already")
    well(run(estate, "approve", *PRODUCTION, *ASKED))
    own = run(estate, "deploy", *PRODUCTION, *ASKED)
    own.line("developer asks for the release, and somebody else has to approve it")
    assert own.code != 0

    well(run(estate, "approve", *PRODUCTION, *ASKED, by="approver"))
    rehearsal = well(run(estate, "deploy", *PRODUCTION, *ASKED, "--check"))
    rehearsal.line("gate: approved by approver")
    assert live("production-1") == GOOD
    done = well(run(estate, "deploy", *PRODUCTION, *ASKED))
    for kind, by in {"requested": "developer", "verified": "staging-1", "accepted": "developer"}.items():
        done.line(f"gate: {kind} by {by}")
    assert live("production-1") == BETTER


def test_what_was_taken_back_counts_no_more(estate: Checkout) -> None:
    begin_with(estate, GOOD)
    well(run(estate, "deploy", *STAGING, *ASKED))
    well(run(estate, "accept", *STAGING, "-e", f"stack={STACK}"))
    approved = well(run(estate, "approve", *PRODUCTION, *ASKED, "-e", "valid_for=2h", by="approver"))
    number = approved.told()["id"]
    reason = json.dumps({"reason": "the totals on invoices are wrong"})
    well(run(estate, "withdraw", *PRODUCTION, "-e", f"id={number[:10]}", "-e", reason, by="approver"))
    refused = run(estate, "deploy", *PRODUCTION, *ASKED, "-e", "again=true")
    assert f"approved {number[:8]} by approver does not count: approver took it back" in refused.text
    unknown = run(estate, "withdraw", *PRODUCTION, "-e", "id=ffffffff", "-e", reason)
    unknown.line("0 statements have an id that begins with 'ffffffff'")


def test_broken_glass_stays_open_until_somebody_else_closes_it(estate: Checkout) -> None:
    begin_with(estate, GOOD)
    short = run(estate, "deploy", *PRODUCTION, *ASKED, "-e", "break_glass=true", "-e", "reason=urgent")
    short.line("its reason says too little")
    assert live("production-1") == GOOD
    done = well(run(estate, "deploy", *PRODUCTION, *ASKED, "-e", "again=true", *GLASS))
    done.line(f"gate: the glass is broken by developer: {REASON}")
    assert live("production-1") == BETTER
    number = done.line("gate: break_glass by developer").rsplit("(", 1)[1].rstrip(")")
    announced = on_host("journalctl --identifier=seisei-gate --priority=alert --lines=1 --output=cat", "production-1")
    assert announced.startswith(f"{number}: developer broke the glass for {STACK} {BETTER} in production")
    status = well(play("status", *PRODUCTION, checkout=estate.root))
    status.line(f"{number}: developer broke the glass for {STACK} {BETTER} in production")
    found = json.dumps({"reason": "read the change and its logs with the developer; no harm was done"})
    closing = (*PRODUCTION, "-e", f"id={number}", "-e", found)
    own = run(estate, "close_break_glass", *closing)
    own.line("developer broke this glass, and somebody else has to look at it")
    well(run(estate, "close_break_glass", *closing, by="approver"))
    assert f"{number}: developer broke the glass" not in well(play("status", *PRODUCTION, checkout=estate.root)).text


def test_a_host_is_not_talked_round_by_an_edited_checkout(estate: Checkout, checkout: Checkout) -> None:
    begin_with(estate, GOOD)
    checkout.settings("    required: true\n", "    required: false\n")
    lab = "inventories/lab/group_vars/all/lab.yml"
    (checkout.root / lab).write_text((estate.root / lab).read_text())
    refused = run(checkout, "deploy", *PRODUCTION, *ASKED, "-e", "again=true")
    assert refused.code != 0
    refused.line("gate of this host: whoever runs this has not asked for it with a signature")
    assert live("production-1") == GOOD


def test_with_the_storage_away_glass_is_broken_all_the_same_and_nothing_of_it_is_lost(
    estate: Checkout, checkout: Checkout
) -> None:
    begin_with(estate, GOOD)
    lab = "inventories/lab/group_vars/all/lab.yml"
    text = (estate.root / lab).read_text()
    away = text.replace("  endpoint: https://10.213.0.4:5000\n", "  endpoint: https://10.213.0.4:9\n")
    assert away.count("10.213.0.4:9\n") == 1
    (checkout.root / lab).write_text(away)
    ordinary = run(checkout, "deploy", *PRODUCTION, *ASKED, "-e", "again=true")
    assert ordinary.code != 0
    ordinary.line("an ordinary release waits for the ledger")
    assert live("production-1") == GOOD
    well(run(checkout, "deploy", *PRODUCTION, *ASKED, "-e", "again=true", *GLASS)).line(
        "the host keeps what was signed"
    )
    assert live("production-1") == BETTER
    well(run(checkout, "roll_back", *PRODUCTION, "-e", f"stack={STACK}"))
    assert len(on_host("ls /var/lib/seisei/spool", "production-1").split()) == 3
    # With the storage back, the next run brings all of it.
    well(run(estate, "tell_ledger", *PRODUCTION))
    assert on_host("ls /var/lib/seisei/spool", "production-1").split() == []
    status = well(play("status", *PRODUCTION, checkout=estate.root))
    status.line(f"developer broke the glass for {STACK} {BETTER} in production")


def test_a_stranger_and_who_names_no_key_are_refused(estate: Checkout) -> None:
    nobody = play_as("nobody", "deploy", *PRODUCTION, *ASKED, checkout=estate.root)
    nobody.line("there is no SSH key")
    second = play_as("second", "approve", *PRODUCTION, *ASKED, checkout=estate.root)
    second.line("second may not sign 'approved' in production; who may: approver, developer")


def test_going_back_asks_for_nothing(estate: Checkout) -> None:
    begin_with(estate, BETTER)
    well(play_as("nobody", "roll_back", *PRODUCTION, "-e", f"stack={STACK}", checkout=estate.root))
    assert live("production-1") != BETTER
