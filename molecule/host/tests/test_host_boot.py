"""What has to be there again after a boot, before anyone provisions."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from testinfra.host import Host

Login = Callable[..., subprocess.CompletedProcess[str]]
BOOT_SECONDS = 60


def test_firewall_and_directory_for_secrets_are_there_after_a_boot(host: Host, ssh: Login) -> None:
    host.check_output("nft delete table inet seisei && touch /run/seisei/secret")
    subprocess.run(["docker", "restart", "lab-role-1"], check=True, capture_output=True)
    deadline = time.monotonic() + BOOT_SECONDS
    while ssh("root", command="systemctl is-system-running").stdout.strip() not in ("running", "degraded"):
        assert time.monotonic() < deadline, "the host did not come back"
        time.sleep(0.2)
    assert "policy drop" in ssh("root", command="nft list table inet seisei").stdout
    assert ssh("root", command="stat --format=%a /run/seisei && ls /run/seisei").stdout.split() == ["750"]
    assert ssh("root", command="systemctl --failed --plain --no-legend").stdout == ""
