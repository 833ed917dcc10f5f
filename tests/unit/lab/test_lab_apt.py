"""Which package sources of the machine lead to Debian 13."""

from __future__ import annotations

import pytest
from labkit import apt
from labkit.apt import Source

MIRROR = "http://mirror.example/debian"


def test_a_debian_machine_of_any_release_reaches_ours_at_the_same_addresses() -> None:
    targets = "\n".join(
        [
            f"{MIRROR}|bookworm|Debian|main|Packages",
            f"{MIRROR}|bookworm|Debian|main|Translations",
            f"{MIRROR}|bookworm-updates|Debian|main|Packages",
            f"{MIRROR}-security|bookworm-security|Debian|main|Packages",
        ]
    )
    assert apt.translate(targets) == (
        Source(MIRROR, "trixie"),
        Source(MIRROR, "trixie-updates"),
        Source(f"{MIRROR}-security", "trixie-security"),
    )


def test_before_the_first_update_the_origin_is_unknown_and_the_release_decides() -> None:
    assert apt.translate(f"{MIRROR}|stable|$(ORIGIN)|main|Packages") == (Source(MIRROR, "trixie"),)


@pytest.mark.parametrize(
    "target",
    [
        "http://mirror.example/ubuntu|noble|Ubuntu|main|Packages",
        "https://vendor.example/apt|nodistro|$(ORIGIN)|main|Packages",
        "https://vendor.example/apt|bookworm-pgdg|apt.vendor.example|main|Packages",
        f"{MIRROR}|bookworm|Debian|non-free-firmware|Packages",
        f"{MIRROR}|bookworm-backports|Debian|main|Packages",
    ],
)
def test_what_does_not_carry_debian_13_is_left_out(target: str) -> None:
    assert apt.translate(target) == ()


def test_the_operator_may_name_a_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_DEBIAN_MIRROR", MIRROR)
    assert [source.line() for source in apt.read_sources()] == [f"deb {MIRROR} trixie main"]
