"""Every fault is injected for real; the diagnosis must name the layer, the cause and the next action."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from plugins.module_utils.diagnose_database import Answer
from tests.faults.database_parts import HOST, PASSWORD, Authority, Settings, until
from tests.faults.database_rig import Rig

pytestmark = pytest.mark.lab

SOUND = Settings()
QUICK_S = 2.0
LONGEST_S = 10.0


def expect(answer: Answer, layer: str, code: str, cause: str, following: str, *, within_s: float = QUICK_S) -> None:
    """The verdict, and the words an operator acts on."""
    diagnosis = answer.diagnosis
    told = "\n".join(answer.lines)
    assert (diagnosis.verdict, diagnosis.code) == (layer, code), told
    assert cause in diagnosis.cause, told
    assert following in diagnosis.next, told
    assert PASSWORD not in told
    assert answer.seconds < within_s
    states = {one.name: one.state for one in diagnosis.layers}
    before = list(states)[: list(states).index(layer)]
    assert all(states[name] in ("ok", "warning") for name in before), told
    assert states[layer] == "broken"
    print(f"diagnose_s={answer.seconds:.3f} {code}")


def warned(answer: Answer, text: str) -> bool:
    """Whether a warning says so."""
    return any(text in warning for warning in answer.diagnosis.warnings)


# -- all is well -------------------------------------------------------------------------------------------------------


def test_a_sound_connection_is_healthy_and_quick(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, names="acme,globex"), name="healthy", names="acme,globex")
    assert answer.diagnosis.healthy, "\n".join(answer.lines)
    assert not answer.diagnosis.warnings
    assert answer.diagnosis.databases == {"acme": "ok", "globex": "ok"}
    assert answer.seconds < QUICK_S
    print(f"diagnose_s={answer.seconds:.3f} healthy")


# -- configuration -----------------------------------------------------------------------------------------------------


def test_a_host_that_was_not_told(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, host=""), name="not_set")
    expect(answer, "configuration", "not_set", "DB_HOST is not set", "set DB_HOST in services.web.environment")


def test_a_port_that_is_a_word(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, port="fivefour"), name="port_malformed")
    expect(answer, "configuration", "port_malformed", "'fivefour' in DB_PORT", "deploy.yml")


def test_a_missing_password_file(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, password=None), name="password_file_missing")
    expect(answer, "configuration", "password_file_missing", "/etc/faults/password", "converge.yml --limit faults")


def test_an_empty_password_file(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, password="\n"), name="password_file_empty")
    expect(answer, "configuration", "password_file_empty", "is empty", "faults/odoo18-database-password")


def test_a_password_file_the_application_may_not_read(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, password_mode=0o400), name="password_file_unreadable")
    expect(answer, "configuration", "password_file_unreadable", "permission denied", "services.web.user")


def test_a_certificate_authority_that_has_ended(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, ca=Authority("old authority", days=-1).pem), name="ca_expired")
    expect(answer, "configuration", "ca_expired", "ended on", "present CA bundle")


def test_a_certificate_authority_that_is_none(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, ca="not a certificate"), name="ca_malformed")
    expect(answer, "configuration", "ca_malformed", "/etc/faults/ca.pem", "CA bundle")


def test_the_database_of_another_environment(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, host="db.production.lab"), name="wrong_server")
    expect(answer, "configuration", "wrong_server", "it is the database of production", "deploy.yml --limit faults")


# -- names -------------------------------------------------------------------------------------------------------------


def at(rig: Rig, host: str, name: str) -> Answer:
    """Application and stack file agree on a host."""
    return rig.diagnose(replace(SOUND, host=host), name=name, host=host)


def test_a_name_that_does_not_exist(rig: Rig) -> None:
    expect(at(rig, "nobody.faults.lab", "nxdomain"), "dns", "nxdomain", "no name 'nobody.faults.lab'", "correct")


def test_a_name_without_an_address(rig: Rig) -> None:
    expect(at(rig, "text.faults.lab", "no_address"), "dns", "no_address", "has no address", "A record")


def test_a_name_that_leads_to_the_container_itself(rig: Rig) -> None:
    expect(at(rig, "loop.faults.lab", "loopback"), "dns", "loopback", "127.0.0.1", "record of 'loop.faults.lab'")


def test_a_name_server_that_is_dead(rig: Rig) -> None:
    with rig.frozen(rig.names):
        answer = at(rig, HOST, "dns_timeout")
    expect(answer, "dns", "dns_timeout", f"did not answer about '{HOST}'", "UDP port 53", within_s=LONGEST_S)


# -- network -----------------------------------------------------------------------------------------------------------


def test_a_server_that_is_stopped(rig: Rig) -> None:
    rig.stop()
    try:
        answer = rig.diagnose(name="tcp_refused")
    finally:
        rig.start()
    expect(answer, "tcp", "tcp_refused", "nothing listens on port 5432", "start the database server")


def test_a_wrong_port_that_the_stack_file_does_not_know_of(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, port="5433"), name="tcp_refused_port")
    expect(answer, "tcp", "tcp_refused", "the stack file says 5432", "correct the port")


def test_packets_that_are_dropped(rig: Rig) -> None:
    with rig.dropped("-p", "tcp", "--dport", "5432", "-j", "DROP"):
        answer = rig.diagnose(name="tcp_timeout")
    expect(answer, "tcp", "tcp_timeout", "packets are dropped", "security group or firewall", within_s=LONGEST_S)


def test_a_host_that_cannot_be_reached(rig: Rig) -> None:
    with rig.dropped("-p", "tcp", "--dport", "5432", "-j", "REJECT", "--reject-with", "icmp-host-unreachable"):
        answer = rig.diagnose(name="tcp_unreachable")
    expect(answer, "tcp", "tcp_unreachable", "no way to", "ip route get")


def test_a_server_that_hangs(rig: Rig) -> None:
    with rig.frozen(rig.server):
        answer = rig.diagnose(name="no_answer")
    expect(answer, "tls", "no_answer", "said nothing", "load and disk", within_s=LONGEST_S)


# -- TLS ---------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def certificate(rig: Rig, pem: str, key: str) -> Iterator[None]:
    """Another certificate at the server for a while."""
    rig.certify(pem, key)
    try:
        yield
    finally:
        rig.certify(*rig.authority.issue(HOST))


def test_tls_turned_off_at_the_server(rig: Rig) -> None:
    with rig.rules("host all all all scram-sha-256"), rig.setting("ssl", "off"):
        answer = rig.diagnose(name="tls_off")
    expect(answer, "tls", "tls_off", "does not speak TLS", "turn TLS on at the server")


def test_a_certificate_of_an_unknown_authority(rig: Rig) -> None:
    with certificate(rig, *Authority("somebody else").issue(HOST)):
        answer = rig.diagnose(name="certificate_untrusted")
    expect(answer, "tls", "certificate_untrusted", "issued by 'somebody else'", "CA of the database")


def test_a_certificate_for_another_name(rig: Rig) -> None:
    with certificate(rig, *rig.authority.issue("elsewhere.faults.lab")):
        answer = rig.diagnose(name="certificate_name")
    expect(answer, "tls", "certificate_name", f"is for elsewhere.faults.lab, not for '{HOST}'", "renew it with")


def test_a_certificate_that_has_ended(rig: Rig) -> None:
    with certificate(rig, *rig.authority.issue(HOST, from_day=-30, to_day=-1)):
        answer = rig.diagnose(name="certificate_expired")
    expect(answer, "tls", "certificate_expired", "certificate ended on", "renew the certificate")


def test_a_certificate_that_has_not_begun(rig: Rig) -> None:
    with certificate(rig, *rig.authority.issue(HOST, from_day=2)):
        answer = rig.diagnose(name="certificate_early")
    expect(answer, "tls", "certificate_early", "begins only on", "compare the clocks")


def test_a_server_that_demands_tls(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, tls="disable"), name="tls_demanded")
    expect(answer, "tls", "tls_demanded", "with TLS only", "verify-full")


# -- authentication ----------------------------------------------------------------------------------------------------


def test_a_password_that_was_changed_at_the_server(rig: Rig) -> None:
    with rig.undone("alter role odoo password 'changed'", f"alter role odoo password '{PASSWORD}'"):
        answer = rig.diagnose(name="password_refused")
    expect(answer, "authentication", "password_refused", "refuses the password of 'odoo'", "\\password odoo")


def test_a_password_that_was_changed_in_the_store(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, password="the one before"), name="password_old")
    expect(answer, "authentication", "password_old", "old password of 'odoo'", "converge.yml")
    assert warned(answer, "another password than secret ODOO18_DATABASE_PASSWORD")
    assert "the one before" not in "\n".join(answer.lines)


def test_a_role_that_is_missing(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, user="odo"), name="role_missing_scram")
    expect(answer, "authentication", "password_refused", "no such role", "compare")
    assert "logs in as 'odo', the stack file says 'odoo'" in answer.diagnosis.cause


def test_a_role_that_may_not_log_in(rig: Rig) -> None:
    with rig.undone("alter role odoo nologin", "alter role odoo login"):
        answer = rig.diagnose(name="role_no_login")
    expect(answer, "authentication", "role_no_login", "may not log in", 'alter role "odoo" login')


def test_no_rule_for_the_application(rig: Rig) -> None:
    with rig.rules("hostssl all other all scram-sha-256"):
        answer = rig.diagnose(name="hba")
    expect(answer, "authentication", "hba", "pg_hba.conf does not let 'odoo'", "hostssl line")


# -- database ----------------------------------------------------------------------------------------------------------


def test_a_database_that_is_missing_beside_one_that_is_there(rig: Rig) -> None:
    answer = rig.diagnose(replace(SOUND, names="gone,acme"), name="database_missing", names="gone,acme")
    expect(answer, "database", "database_missing", "no database 'gone'", "restore.yml --limit faults -e stack=odoo18")
    assert answer.diagnosis.databases == {"gone": "database_missing", "acme": "ok"}


def test_a_privilege_that_was_revoked(rig: Rig) -> None:
    with (
        rig.undone("alter database acme owner to admin", "alter database acme owner to odoo"),
        rig.undone("revoke connect on database acme from public", "grant connect on database acme to public"),
    ):
        answer = rig.diagnose(name="database_privilege")
    expect(answer, "database", "database_privilege", "no CONNECT privilege", 'grant connect on database "acme"')


def test_a_database_that_is_closed(rig: Rig) -> None:
    with rig.undone("alter database acme allow_connections false", "alter database acme allow_connections true"):
        answer = rig.diagnose(name="database_closed")
    expect(answer, "database", "database_closed", "does not take connections", "allow_connections true")


# -- sessions ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def sessions(rig: Rig, most: int) -> Iterator[int]:
    """As many sessions of the application as the server gives, up to ``most``."""
    held: list[psycopg.Connection[object]] = []
    try:
        with contextlib.suppress(psycopg.OperationalError):
            for _ in range(most):
                held.append(rig.connect("odoo", PASSWORD))
        yield len(held)
    finally:
        for one in held:
            one.close()
        until(lambda: rig.local("select count(*) from pg_stat_activity where usename = 'odoo'") == "0", 5, "leaving")


def test_all_connections_taken(rig: Rig) -> None:
    with sessions(rig, 50) as held:
        answer = rig.diagnose(name="slots_exhausted")
    assert held == 9
    expect(answer, "session", "slots_exhausted", "all connections of the server", "pg_stat_activity")


def test_the_limit_of_the_role(rig: Rig) -> None:
    with rig.undone("alter role odoo connection limit 1", "alter role odoo connection limit -1"), sessions(rig, 1):
        answer = rig.diagnose(name="role_limit")
    expect(answer, "session", "role_limit", "role 'odoo' has used up", "connection limit N")


def test_the_limit_of_the_database(rig: Rig) -> None:
    with (
        rig.undone("alter database acme connection limit 1", "alter database acme connection limit -1"),
        sessions(rig, 1),
    ):
        answer = rig.diagnose(name="database_limit")
    expect(answer, "session", "database_limit", "database 'acme' has used up", "alter database")


def test_nearly_all_connections_taken_is_a_warning(rig: Rig) -> None:
    with sessions(rig, 8):
        answer = rig.diagnose(name="use_high")
    assert answer.diagnosis.healthy
    assert warned(answer, "8 of 9 connections are in use (89 %)")
    assert warned(answer, "a second release with a pool of 2 does not fit")


# -- queries -----------------------------------------------------------------------------------------------------------


def test_a_lock_that_others_wait_for(rig: Rig) -> None:
    waits = "select extract(epoch from now() - min(waitstart)) >= 0.3 from pg_locks where not granted"
    # Closed, not left as contexts: a commit at the end would wait for the lock.
    with (
        contextlib.closing(rig.connect("odoo", PASSWORD)) as holder,
        contextlib.closing(rig.connect("odoo", PASSWORD)) as waiter,
    ):
        holder.execute("create table if not exists orders (id int)")
        holder.execute("begin")
        holder.execute("lock table orders")
        waiter.pgconn.send_query(b"select * from orders")
        until(lambda: rig.local(waits) == "t", 5, "waiting")
        answer = rig.diagnose(name="blocked", blocked_limit_s=0.3)
        pid = holder.info.backend_pid
    cause = f"process {pid} ('odoo', idle in transaction)"
    expect(answer, "query", "blocked", cause, f"pg_terminate_backend({pid})")


def test_a_database_that_takes_no_writes(rig: Rig) -> None:
    on, off = "set default_transaction_read_only = on", "reset default_transaction_read_only"
    with rig.undone(f"alter database acme {on}", f"alter database acme {off}"):
        answer = rig.diagnose(name="read_only")
    expect(answer, "query", "read_only", "takes no writes", "show default_transaction_read_only")


def test_a_disk_that_is_full(rig: Rig) -> None:
    rig.execute("bash", "-c", "cat /dev/zero > /data/ballast || true")
    try:
        answer = rig.diagnose(name="disk_full")
    finally:
        rig.execute("rm", "/data/ballast")
    expect(answer, "query", "disk_full", "its disk is full", "disk space")


# -- when the application is gone --------------------------------------------------------------------------------------


def test_an_application_that_does_not_run(rig: Rig) -> None:
    """Its settings are read as it left them; without a neighbour the host itself looks, and says so."""
    answer = rig.diagnose(replace(SOUND, running=False, password=None, host=rig.address), host=rig.address)
    assert warned(answer, "does not run (state created")
    assert warned(answer, "seen from the host itself")
    assert answer.diagnosis.code == "password_file_missing"


def test_a_neighbour_lends_its_network(rig: Rig) -> None:
    """The name is known to that network's name server only: the host would not find it."""
    with rig.neighbour("faults-gone") as name:
        answer = rig.diagnose(environment="faults-gone")
    assert answer.diagnosis.healthy, "\n".join(answer.lines)
    assert warned(answer, f"seen from container {name}, which shares a network with it")
    assert warned(answer, "there is no container of service web")
