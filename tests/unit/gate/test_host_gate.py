"""The host's own judgement: by its own files, of what would really run."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.gate import pass_gate
from plugins.module_utils.gateway.signatures import sign
from plugins.module_utils.model.errors import OpsError
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
    gate = {"required": True, "verified_in": "staging", **changed}
    (folder / "gate.json").write_text(json.dumps({"environment": "production", "gate": gate}))


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
    }
    return Statement(kind=kind, **{**common, **changed})


def request(keys: Path, *statements: Statement, **changed: Any) -> dict[str, Any]:
    """What a controller sends, after its way over the wire."""
    tree = load_stack("ocr", VARIABLES).tree
    signed = [sign(one, keys / one.by).as_dict() for one in statements]
    gate = {
        "required": True,
        "source": stack_source("ocr"),
        "variables": VARIABLES,
        "requester": "developer",
        "statements": signed,
    }
    entry = {"name": "ocr", "tree": tree, "digests": {"web": DIGEST}, "stack_file": "claimed"}
    given = {"entry": entry, "environment_name": "production", "gate": gate, **changed}
    return dict(json.loads(json.dumps(given)))


ALL = (VERIFIED, ACCEPTED, APPROVED, REQUESTED)


def test_the_released_service_is_called_as_here() -> None:
    assert load_stack("ocr", VARIABLES).ops.releases == ("web",)


def test_what_was_signed_for_passes(keys: Path, host: Path) -> None:
    pass_gate(request(keys, *map(statement, ALL)), RELEASE, host)
    pass_gate(request(keys, statement(BREAK_GLASS)), RELEASE, host)


def test_it_names_who_asked_and_what_it_relied_on(keys: Path, host: Path) -> None:
    said = [*map(statement, ALL)]
    unneeded = statement(APPROVED, by="developer")  # the requester's own
    found = pass_gate(request(keys, *said, unneeded), RELEASE, host)
    assert found["requester"] == "developer"
    assert sorted(found["relied_on"]) == sorted(one.id for one in said)
    glass = statement(BREAK_GLASS)
    assert pass_gate(request(keys, *said, glass), RELEASE, host)["relied_on"] == [glass.id]
    policy(host, required=False)
    assert pass_gate(request(keys), RELEASE, host) == {}


def test_without_the_controllers_word_nothing_passes(keys: Path, host: Path) -> None:
    given = request(keys, *map(statement, ALL))
    given["gate"] = {"required": False}
    with pytest.raises(OpsError, match="nothing that was signed came with the release"):
        pass_gate(given, RELEASE, host)
    del given["gate"]
    with pytest.raises(OpsError, match="nothing that was signed came with the release"):
        pass_gate(given, RELEASE, host)


@pytest.mark.parametrize("kind", ALL)
def test_one_statement_less_is_named_with_its_command(keys: Path, host: Path, kind: str) -> None:
    with pytest.raises(OpsError, match=r"gate of this host: (no host|nobody|developer).*ansible-playbook playbooks/"):
        pass_gate(request(keys, *(statement(one) for one in ALL if one != kind)), RELEASE, host)


def test_another_release_or_digest_than_was_signed_for_is_refused(keys: Path, host: Path) -> None:
    given = request(keys, *map(statement, ALL))
    with pytest.raises(OpsError, match="it is for sha-724f892, not sha-0000000"):
        pass_gate(given, "sha-0000000", host)
    given["entry"]["digests"]["web"] = "sha256:" + "b" * 64
    with pytest.raises(OpsError, match="it is for web at sha256:aaaa"):
        pass_gate(given, RELEASE, host)


def test_the_definition_is_worked_out_from_what_would_run(keys: Path, host: Path) -> None:
    given = request(keys, *map(statement, ALL))
    given["entry"]["tree"]["services"]["web"]["environment"] = {"EVIL": "1"}
    with pytest.raises(OpsError, match="is not the one in the stack file that came with it"):
        pass_gate(given, RELEASE, host)
    given = request(keys, *map(statement, ALL))
    for tree in (given["entry"]["tree"], given["gate"]["source"]):
        tree["services"]["web"].setdefault("environment", {})["EVIL"] = "1"
    with pytest.raises(OpsError, match="the stack file is another"):
        pass_gate(given, RELEASE, host)


def test_a_host_judges_by_its_own_files(keys: Path, host: Path) -> None:
    given = request(keys, *map(statement, ALL))
    (host / "revoked_keys").write_text((keys / "approver.pub").read_text())
    with pytest.raises(OpsError, match=r"the key of approver is revoked"):
        pass_gate(given, RELEASE, host)
    (host / "revoked_keys").write_text("")
    policy(
        host,
        windows=[
            {"name": "freeze", "time_zone": "UTC", "refused": [{"month_days": list(range(1, 32)), "why": "moving"}]}
        ],
    )
    with pytest.raises(OpsError, match=r"no releases now .freeze: moving.*the policies leave no time"):
        pass_gate(given, RELEASE, host)


def test_a_run_for_another_environment_is_refused(keys: Path, host: Path) -> None:
    given = request(keys, environment_name="staging", gate={"required": False})
    with pytest.raises(OpsError, match="it belongs to production, and this run is for staging"):
        pass_gate(given, RELEASE, host)


def test_a_host_without_a_gate_is_provisioned_first_where_one_is_asked_for(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(OpsError, match=r"provision\.yml --limit production"):
        pass_gate(request(keys, *map(statement, ALL)), RELEASE, tmp_path)
    pass_gate(request(keys, gate={"required": False}), RELEASE, tmp_path)
    pass_gate({**request(keys), "gate": None}, RELEASE, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"environment": "production"}', '{"gate": {}}'])
def test_a_damaged_gate_is_shut(keys: Path, host: Path, text: str) -> None:
    (host / "gate.json").write_text(text)
    with pytest.raises(OpsError, match=r"cannot be read.*provision\.yml"):
        pass_gate(request(keys, *map(statement, ALL)), RELEASE, host)


def test_a_gate_whose_signers_are_gone_is_shut(keys: Path, host: Path) -> None:
    (host / "allowed_signers").unlink()
    with pytest.raises(OpsError, match="cannot be read"):
        pass_gate(request(keys, *map(statement, ALL)), RELEASE, host)
