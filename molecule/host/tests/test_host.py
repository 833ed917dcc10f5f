"""What the role host achieves, seen from a neighbour (this machine) and from inside."""

from __future__ import annotations

import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

Login = Callable[..., subprocess.CompletedProcess[str]]

ADDRESS = "10.213.0.13"
REGISTRY = ("10.213.0.3", 5000)
CLOSED, FROM_ELSEWHERE, OPEN = 8099, 8098, 80


def knock(port: int) -> str:
    """How the host answers a neighbour: open, refused (let in, nobody listens) or dropped."""
    try:
        socket.create_connection((ADDRESS, port), timeout=1.5).close()
    except TimeoutError:
        return "dropped"
    except ConnectionRefusedError:
        return "refused"
    return "open"


def reachable_inside(host: Host, port: int) -> bool:
    return bool(host.socket(f"tcp://0.0.0.0:{port}").is_listening)


@pytest.fixture(params=[CLOSED, FROM_ELSEWHERE, OPEN])
def listener(request: pytest.FixtureRequest, host: Host) -> Iterator[int]:
    """A port somebody really listens on, at all addresses of the host."""
    unit = f"probe-{request.param}"
    host.check_output("systemd-run --quiet --collect --unit=%s python3 -m http.server %s", unit, str(request.param))
    deadline = time.monotonic() + 10
    while not reachable_inside(host, request.param):
        assert time.monotonic() < deadline, "the listener did not start"
        time.sleep(0.05)
    yield request.param
    host.check_output("systemctl stop %s", unit)


def test_only_what_was_allowed_is_answered(listener: int) -> None:
    assert knock(listener) == {CLOSED: "dropped", FROM_ELSEWHERE: "dropped", OPEN: "open"}[listener]


def test_ports_that_containers_publish_are_opened_by_the_same_list(host: Host) -> None:
    """With an engine it is seen from a neighbour, in tests/lab; here, that an opening keeps its sources."""
    chain = host.check_output("nft list chain inet seisei forward")
    assert "hook forward" in chain
    assert "policy drop" in chain
    sent_on = f"meta l4proto tcp ct status dnat ct original proto-dst {FROM_ELSEWHERE} accept"
    assert [line.strip() for line in chain.splitlines() if str(FROM_ELSEWHERE) in line] == [
        f"ip saddr 192.0.2.0/24 {sent_on}"
    ]


def test_ssh_is_answered_and_https_has_nobody_yet() -> None:
    assert knock(22) == "open"
    assert knock(443) == "refused"


def test_the_firewall_leaves_the_tables_of_others_alone(host: Host) -> None:
    host.check_output("nft add table inet neighbour")
    for verb in ("reload", "restart"):
        host.check_output(f"systemctl {verb} seisei-firewall.service")
        assert "table inet neighbour" in host.check_output("nft list tables")
        assert knock(CLOSED) == "dropped"
    host.check_output("nft delete table inet neighbour")


def test_nothing_can_start_the_unit_that_flushes_all_tables(host: Host) -> None:
    assert host.run("systemctl start nftables.service").rc != 0
    assert "table inet seisei" in host.check_output("nft list tables")


def test_a_password_is_not_even_asked_for(host: Host, ssh: Login) -> None:
    refused = ssh(
        "root", "-o", "PreferredAuthentications=password,keyboard-interactive", "-o", "PubkeyAuthentication=no"
    )
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_an_operator_enters_by_key_and_acts_as_root_under_their_own_name(host: Host, ssh: Login) -> None:
    done = ssh("hanako", command="sudo -n id -u")
    assert done.stdout.strip() == "0", done.stderr
    journal = host.check_output("journalctl --no-pager -t sudo -n 20")
    assert "hanako" in journal
    assert "COMMAND=/usr/bin/id -u" in journal


def test_an_operator_cannot_add_a_key(host: Host, tmp_path: Path, ssh: Login) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    public = shlex.quote(other.with_suffix(".pub").read_text())
    written = ssh("hanako", command=f"mkdir -p -m 700 .ssh && printf %s {public} > .ssh/authorized_keys")
    assert written.returncode == 0, written.stderr
    assert "Permission denied" in ssh("hanako", key=other).stderr


def test_who_left_has_neither_account_nor_keys(host: Host) -> None:
    assert not host.user("taro").exists
    assert "ssh-" not in host.file("/etc/ssh/authorized_keys.d/taro").content_string


def test_the_estates_authority_is_trusted_by_every_program(host: Host) -> None:
    """Python asks the system's certificates, as restic and psql do."""
    script = (
        "import socket, ssl; "
        f"s = socket.create_connection({REGISTRY!r}, 5); "
        f"ssl.create_default_context().wrap_socket(s, server_hostname={REGISTRY[0]!r})"
    )
    assert host.run("python3 -c %s", script).rc == 0
    refused = host.run("SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/nonexistent python3 -c %s", script)
    assert "CERTIFICATE_VERIFY_FAILED" in refused.stderr, "the server's certificate proves nothing"


def test_time_is_tokyos_and_kept(host: Host) -> None:
    assert host.check_output("date +%Z") == "JST"
    shown = host.check_output("systemctl show --property=UnitFileState,ActiveState,ConditionResult systemd-timesyncd")
    told = dict(line.split("=", 1) for line in shown.splitlines())
    assert told["UnitFileState"] == "enabled"
    # On a machine it runs; in a container systemd says that the unit does not apply.
    assert told["ActiveState"] == "active" or told["ConditionResult"] == "no"


def test_the_journal_outlives_a_boot_within_its_limit(host: Host) -> None:
    host.check_output("systemctl restart systemd-journald.service")
    line = host.check_output("journalctl --no-pager --unit=systemd-journald --grep='System Journal' -n 1")
    assert "/var/log/journal/" in line
    assert "max 64M" in line


def test_only_security_updates_install_themselves(host: Host) -> None:
    settings = host.check_output("apt-config dump Unattended-Upgrade::Origins-Pattern")
    origins = [line.split('"')[1] for line in settings.splitlines() if '""' not in line]
    assert origins
    assert all("security" in origin.lower() for origin in origins)
    assert host.check_output("systemctl is-active apt-daily-upgrade.timer") == "active"
    assert '"1"' in host.check_output("apt-config dump APT::Periodic::Unattended-Upgrade")


def test_state_and_secrets_are_for_root_only(host: Host, ssh: Login) -> None:
    for path in ("/var/lib/seisei", "/etc/seisei", "/run/seisei"):
        assert oct(host.file(path).mode) == "0o750", path
    assert host.check_output("findmnt --noheadings --output FSTYPE --target /run/seisei") == "tmpfs"
    assert ssh("hanako", command="ls /run/seisei").returncode != 0


@pytest.mark.parametrize("module", ["docker", "psycopg", "requests"])
def test_a_host_has_what_our_modules_import(host: Host, module: str) -> None:
    assert host.run(f"python3 -c 'import {module}'").rc == 0
