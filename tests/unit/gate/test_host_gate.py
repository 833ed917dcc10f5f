"""The host's own judgement: by its own files, of what would really run."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils import gate
from plugins.module_utils.gate import pass_gate
from plugins.module_utils.gateway.host_gate import use
from plugins.module_utils.gateway.host_spool import HostSpool
from plugins.module_utils.gateway.signatures import sign
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.ledger import Head, hash_of
from plugins.module_utils.model.statement import (
    ACCEPTED,
    APPROVED,
    BREAK_GLASS,
    REQUESTED,
    VERIFIED,
    Statement,
    definition_of,
    namespace_of,
)
from plugins.module_utils.plan.gate import MIGRATE
from plugins.module_utils.plan.ledger import missed_in, tail_of
from plugins.plugin_utils.estate import load_stack, stack_source

DIGEST = "sha256:" + "a" * 64
RELEASE = "sha-724f892"
REASON = "customers cannot upload invoices since noon and the fix is this one"
KINDS = {"developer": (REQUESTED, ACCEPTED, APPROVED, BREAK_GLASS), "approver": (APPROVED,), "staging-1": (VERIFIED,)}
VARIABLES = {
    "REGISTRY": "registry.lab:5000",
    "ENVIRONMENT": "production",
    "OCR_POSTGRES": "17",
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in KINDS:
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)]
        subprocess.run(argv, check=True)
    return folder


@pytest.fixture
def host(keys: Path, tmp_path: Path) -> Path:
    """What provisioning placed."""
    lines = [
        f'{name} namespaces="{",".join(map(namespace_of, kinds))}" {(keys / f"{name}.pub").read_text().strip()}\n'
        for name, kinds in KINDS.items()
    ]
    (tmp_path / "allowed_signers").write_text("".join(lines))
    (tmp_path / "revoked_keys").write_text("")
    policy(tmp_path)
    return tmp_path


def policy(folder: Path, **changed: Any) -> None:
    settings = {"required": True, "verified_in": "staging", **changed}
    (folder / "gate.json").write_text(json.dumps({"environment": "production", "gate": settings}))


def statement(kind: str, **changed: Any) -> Statement:
    by = {VERIFIED: "staging-1", APPROVED: "approver"}.get(kind, "developer")
    common: dict[str, Any] = {
        "stack": "ocr",
        "release": RELEASE,
        "digests": {"web": DIGEST},
        "definition": definition_of(stack_source("ocr")),
        "environment": "staging" if kind in (VERIFIED, ACCEPTED) else "production",
        "by": by,
        "at": (datetime.now(UTC) - timedelta(seconds=5)).isoformat(),
        "why": REASON,
        "details": {"action": "deploy"} if kind in (REQUESTED, BREAK_GLASS) else {},
    }
    return Statement(kind=kind, **{**common, **changed})


def request(keys: Path, *statements: Statement, **changed: Any) -> dict[str, Any]:
    """What a controller sends, after its way over the wire."""
    tree = load_stack("ocr", VARIABLES).tree
    signed = [sign(one, keys / one.by).as_dict() for one in statements]
    sent = {
        "required": True,
        "source": stack_source("ocr"),
        "variables": VARIABLES,
        "requester": "developer",
        "statements": signed,
    }
    entry = {"name": "ocr", "tree": tree, "digests": {"web": DIGEST}, "stack_file": definition_of(stack_source("ocr"))}
    given = {"entry": entry, "environment_name": "production", "gate": sent, **changed}
    return dict(json.loads(json.dumps(given)))


ALL = (VERIFIED, ACCEPTED, APPROVED, REQUESTED)


def test_the_released_service_is_called_as_here() -> None:
    assert load_stack("ocr", VARIABLES).ops.releases == ("web",)


def test_what_was_signed_for_passes(keys: Path, host: Path) -> None:
    pass_gate(request(keys, *map(statement, ALL)), RELEASE, host, host)
    pass_gate(request(keys, statement(BREAK_GLASS)), RELEASE, host, host)


def test_it_names_who_asked_and_what_it_relied_on(keys: Path, host: Path) -> None:
    said = [*map(statement, ALL)]
    unneeded = statement(APPROVED, by="developer")  # the requester's own
    found = pass_gate(request(keys, *said, unneeded), RELEASE, host, host).allowed
    assert found["requester"] == "developer"
    assert sorted(found["relied_on"]) == sorted(one.id for one in said)
    glass = statement(BREAK_GLASS)
    assert pass_gate(request(keys, *said, glass), RELEASE, host, host).allowed["relied_on"] == [glass.id]
    policy(host, required=False)
    assert pass_gate(request(keys), RELEASE, host, host).allowed == {}


def test_broken_glass_is_announced_with_the_ledgers_head(
    keys: Path, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced: list[str] = []
    monkeypatch.setattr(gate, "announce", announced.append)
    HostSpool(tmp_path).acknowledge([], Head(12, "ab" * 32))
    pass_gate(request(keys, statement(BREAK_GLASS)), RELEASE, host, tmp_path)
    *_, said = announced  # before it: that the run did not know the ledger as the host does
    assert "developer broke the glass for ocr" in said
    assert said.endswith("(ledger head 12:abababababab)")


def test_without_the_controllers_word_nothing_passes(keys: Path, host: Path) -> None:
    given = request(keys, *map(statement, ALL))
    given["gate"] = {"required": False}
    with pytest.raises(OpsError, match="nothing that was signed came with the release"):
        pass_gate(given, RELEASE, host, host)
    del given["gate"]
    with pytest.raises(OpsError, match="nothing that was signed came with the release"):
        pass_gate(given, RELEASE, host, host)


@pytest.mark.parametrize("kind", ALL)
def test_one_statement_less_is_named_with_its_command(keys: Path, host: Path, kind: str) -> None:
    with pytest.raises(OpsError, match=r"gate of this host: (no host|nobody|developer).*ansible-playbook playbooks/"):
        pass_gate(request(keys, *(statement(one) for one in ALL if one != kind)), RELEASE, host, host)


def test_another_release_or_digest_than_was_signed_for_is_refused(keys: Path, host: Path) -> None:
    given = request(keys, *map(statement, ALL))
    with pytest.raises(OpsError, match="it is for sha-724f892, not sha-0000000"):
        pass_gate(given, "sha-0000000", host, host)
    given["entry"]["digests"]["web"] = "sha256:" + "b" * 64
    with pytest.raises(OpsError, match="it is for web at sha256:aaaa"):
        pass_gate(given, RELEASE, host, host)


def test_the_definition_is_worked_out_from_what_would_run(keys: Path, host: Path) -> None:
    given = request(keys, *map(statement, ALL))
    given["entry"]["tree"]["services"]["web"]["environment"] = {"EVIL": "1"}
    with pytest.raises(OpsError, match="is not the one in the stack file that came with it"):
        pass_gate(given, RELEASE, host, host)
    given = request(keys, *map(statement, ALL))
    for tree in (given["entry"]["tree"], given["gate"]["source"]):
        tree["services"]["web"].setdefault("environment", {})["EVIL"] = "1"
    with pytest.raises(OpsError, match="it says that it is of stack file"):
        pass_gate(given, RELEASE, host, host)
    given["entry"]["stack_file"] = definition_of(given["gate"]["source"])
    with pytest.raises(OpsError, match="the stack file is another"):
        pass_gate(given, RELEASE, host, host)


def test_a_host_judges_by_its_own_files(keys: Path, host: Path) -> None:
    given = request(keys, *map(statement, ALL))
    (host / "revoked_keys").write_text((keys / "approver.pub").read_text())
    with pytest.raises(OpsError, match=r"the key of approver is revoked"):
        pass_gate(given, RELEASE, host, host)
    (host / "revoked_keys").write_text("")
    policy(
        host,
        windows=[
            {"name": "freeze", "time_zone": "UTC", "refused": [{"month_days": list(range(1, 32)), "why": "moving"}]}
        ],
    )
    with pytest.raises(OpsError, match=r"no releases now .freeze: moving.*the policies leave no time"):
        pass_gate(given, RELEASE, host, host)


def test_a_run_for_another_environment_is_refused(keys: Path, host: Path) -> None:
    given = request(keys, environment_name="staging", gate={"required": False})
    with pytest.raises(OpsError, match="it belongs to production, and this run is for staging"):
        pass_gate(given, RELEASE, host, host)


def test_a_host_without_a_gate_is_provisioned_first_where_one_is_asked_for(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(OpsError, match=r"provision\.yml --limit production"):
        pass_gate(request(keys, *map(statement, ALL)), RELEASE, tmp_path, tmp_path)
    pass_gate(request(keys, gate={"required": False}), RELEASE, tmp_path, tmp_path)
    pass_gate({**request(keys), "gate": None}, RELEASE, tmp_path, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"environment": "production"}', '{"gate": {}}'])
def test_a_damaged_gate_is_shut(keys: Path, host: Path, text: str) -> None:
    (host / "gate.json").write_text(text)
    with pytest.raises(OpsError, match=r"cannot be read.*provision\.yml"):
        pass_gate(request(keys, *map(statement, ALL)), RELEASE, host, host)


def test_a_gate_whose_signers_are_gone_is_shut(keys: Path, host: Path) -> None:
    (host / "allowed_signers").unlink()
    with pytest.raises(OpsError, match="cannot be read"):
        pass_gate(request(keys, *map(statement, ALL)), RELEASE, host, host)


@pytest.mark.parametrize("kinds", [ALL, (BREAK_GLASS,)])
def test_a_host_keeps_who_asked_for_the_ledger_whatever_the_controller_wants(
    keys: Path, host: Path, kinds: tuple[str, ...]
) -> None:
    given = request(keys, *map(statement, kinds))
    forged = {**given["gate"]["statements"][-1], "signature": "junk"}
    given["gate"]["statements"] = [forged, *given["gate"]["statements"], forged]
    given["gate"]["to_keep"] = [sign(statement(APPROVED), keys / "approver").as_dict()]
    pass_gate(given, RELEASE, host, host)
    (kept,) = HostSpool(host).waiting().statements
    assert kept.as_dict() == given["gate"]["statements"][-2]


def test_a_request_does_not_take_the_place_of_what_waits(keys: Path, host: Path) -> None:
    asked = statement(REQUESTED)
    waits = sign(statement(VERIFIED, id=asked.id), keys / "staging-1")
    HostSpool(host).add(waits)
    with pytest.raises(OpsError, match="another statement with this id waits"):
        pass_gate(request(keys, *map(statement, ALL[:-1]), asked), RELEASE, host, host)
    assert HostSpool(host).waiting().statements == (waits,)


def test_nothing_that_was_refused_is_kept(keys: Path, host: Path) -> None:
    with pytest.raises(OpsError):
        pass_gate(request(keys, statement(REQUESTED)), RELEASE, host, host)
    assert HostSpool(host).waiting().statements == ()


@pytest.mark.parametrize("kinds", [ALL, (BREAK_GLASS,)])
def test_a_request_lets_one_thing_begin_and_only_what_it_asks_for(
    keys: Path, host: Path, kinds: tuple[str, ...]
) -> None:
    given = request(keys, *map(statement, kinds), transaction="0123456789ab")
    with pytest.raises(OpsError, match="it asks to deploy, not to migrate"):
        pass_gate(given, RELEASE, host, host, what=MIGRATE)
    pass_gate(given, RELEASE, host, host)
    pass_gate(given, RELEASE, host, host)  # asked again over another connection
    for other in ("ba9876543210", "", None):
        with pytest.raises(OpsError, match="this request was used before"):
            pass_gate({**given, "transaction": other}, RELEASE, host, host)
    migrate = statement(kinds[-1], details={"action": "migrate"})
    pass_gate(request(keys, *map(statement, kinds[:-1]), migrate), RELEASE, host, host, what=MIGRATE)


def test_used_requests_are_forgotten_once_they_hold_no_more(keys: Path, host: Path) -> None:
    use("a" * 32, "x", host)
    os.utime(host / "requests" / ("a" * 32), (0, 0))
    use("b" * 32, "x", host)
    assert [path.name for path in (host / "requests").iterdir()] == ["b" * 32]
    for odd in ("../../etc/passwd", "", "A" * 32):
        with pytest.raises(OpsError, match="cannot be the id"):
            use(odd, "x", host)


HASHES = {number: hash_of(f"entry {number}") for number in range(1, 6)}
CUT = {number: HASHES[number] for number in (1, 2, 3)}
LEDGERS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "what the ledger says did not come along"),
    "cut off": (tail_of(CUT), "ended with entry 3 where it was judged, and this host knows entry 4"),
    "cut off and written on": (tail_of({**HASHES, 4: hash_of("eve")}), "entry 4 of the ledger was another"),
    "marks of nothing": ({"first": 4, "hashes": ["", ""]}, "entry 4 of the ledger was another"),
    "too long ago": ({"first": 5, "hashes": ["0" * 32]}, "of none of the 1000 newest"),
    "words": ({"first": "1", "hashes": "0"}, "did not come along"),
}


@pytest.mark.parametrize("case", LEDGERS)
def test_a_release_that_was_judged_by_less_than_this_host_knows_is_refused(keys: Path, host: Path, case: str) -> None:
    HostSpool(host).acknowledge([], Head(4, HASHES[4]))
    given = request(keys, *map(statement, ALL))
    ledger, says = LEDGERS[case]
    given["gate"]["ledger"] = ledger
    with pytest.raises(OpsError, match=rf"{says}.*verify_ledger\.yml"):
        pass_gate(given, RELEASE, host, host)
    assert HostSpool(host).waiting().statements == ()
    given["gate"]["ledger"] = tail_of(HASHES)
    assert pass_gate(given, RELEASE, host, host).warnings == ()


@pytest.mark.parametrize("case", LEDGERS)
def test_broken_glass_passes_all_the_same_and_says_so(keys: Path, host: Path, case: str) -> None:
    HostSpool(host).acknowledge([], Head(4, HASHES[4]))
    given = request(keys, statement(BREAK_GLASS))
    ledger, says = LEDGERS[case]
    given["gate"]["ledger"] = ledger
    (warning,) = pass_gate(given, RELEASE, host, host).warnings
    assert says in warning


def test_a_head_that_cannot_be_read_stops_all_but_broken_glass(keys: Path, host: Path) -> None:
    (host / "ledger_head.json").write_text("{")
    with pytest.raises(OpsError, match="the ledger's head cannot be read"):
        pass_gate(request(keys, *map(statement, ALL)), RELEASE, host, host)
    assert pass_gate(request(keys, statement(BREAK_GLASS)), RELEASE, host, host).warnings


def test_a_tail_is_short_however_long_the_ledger_is() -> None:
    hashes = {number: hash_of(str(number)) for number in range(1, 3_001)}
    tail = tail_of(hashes)
    assert (tail["first"], len(tail["hashes"])) == (2_001, 1_000)
    assert [missed_in(tail, Head(number, hashes[number])) == "" for number in (2_000, 2_001, 3_000)] == [
        False, True, True,
    ]  # fmt: skip
    assert missed_in(tail_of({}), Head(0, "")) == ""
    assert "ended with entry 0" in missed_in(tail_of({}), Head(1, hashes[1]))
