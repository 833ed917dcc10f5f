"""What is asked wrongly, or cannot be had: one sentence with what, where and what next; not 0; and nothing changed."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator

import docker
import pytest

from .procedure_parts import (
    BETTER,
    ENVIRONMENT,
    GOOD,
    HOST,
    REGISTRY,
    Checkout,
    Run,
    ask_registry,
    bring,
    deploy,
    play,
    roll_back,
    serving,
    snapshot,
    ssh_words,
    unchanged,
    visit,
)

pytestmark = [pytest.mark.lab, pytest.mark.slow]

STACK, NAME = "www", "www.production.lab"
FAILED, UNREACHABLE = 2, 4
MOVED = "sha-0d0e0f0"
_STORE = "/var/lib/registry/docker/registry/v2"


@pytest.fixture(scope="module", autouse=True)
def _leave_as_found(converged: None) -> Iterator[None]:
    bring(STACK, GOOD)
    yield
    bring(STACK, GOOD)


@pytest.fixture
def untouched() -> Iterator[None]:
    """To the last file and container, the host is afterwards what it was before."""
    before = snapshot(HOST, STACK, "biznexus")
    yield
    unchanged(before, snapshot(HOST, STACK, "biznexus"))


def refused(run: Run, what: str, where: str, do: str, code: int = FAILED) -> str:
    """One line says all three; returned for more questions."""
    assert run.code == code, run.text
    line = run.line(what)
    assert where in line, line
    assert f"Next: {do}" in line, line
    return line


# -- the request -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("untouched")
def test_unknown_stack() -> None:
    run = deploy("wwww", BETTER)
    refused(run, "stack 'wwww' does not exist", "-e stack: ", "did you mean 'www'? (choose one of biznexus, ")


@pytest.mark.usefixtures("untouched")
def test_malformed_release() -> None:
    refused(deploy(STACK, "latest"), "'latest' is not a release", "-e release: ", "give its tag, such as sha-")


@pytest.mark.usefixtures("untouched")
def test_everything_wrong_with_a_request_is_said_at_once() -> None:
    run = play("deploy", "-e", "stak=www", "-e", "release=v2")
    assert run.code == FAILED
    for words in ("'stak' is not an input of deploy", "-e stack: a value is missing", "'v2'", "--limit: "):
        run.line(words)


@pytest.mark.usefixtures("untouched")
def test_two_environments_at_once() -> None:
    run = play("deploy", "-e", f"stack={STACK}", "-e", f"release={BETTER}")
    line = refused(run, "--limit: ", "deploy works on one environment at a time", "add --limit production or --limit")
    assert "production" in line
    assert "staging" in line


@pytest.mark.usefixtures("untouched")
def test_unknown_release() -> None:
    line = refused(
        deploy(STACK, "sha-1234567"),
        "there is no tag 'sha-1234567' of 'www'",
        f"registry {REGISTRY}",
        "was the image built and pushed?",
    )
    assert f"(there are: sha-0badbad, {GOOD}, {BETTER}" in line


# -- what is needed is away --------------------------------------------------------------------------------------------


def test_unreachable_host(checkout: Checkout) -> None:
    checkout.replace("inventories/lab/hosts.yml", "10.213.0.12", "10.213.0.99")
    run = deploy(STACK, BETTER, "-e", "ansible_ssh_args='-o ControlMaster=no'", checkout=checkout.root)
    refused(
        run, "cannot be reached", "production-1 (10.213.0.99): ", "check that the host is up and takes your key", code=4
    )


@pytest.fixture
def no_registry() -> Iterator[None]:
    """The registry is away for as long as the test lasts."""
    client = docker.from_env()
    registry = client.containers.get("lab-registry")
    registry.stop(timeout=5)
    try:
        yield
    finally:
        registry.start()
        client.close()


def test_without_the_registry_nothing_new_is_deployed_and_a_rollback_works(no_registry: None) -> None:
    before = snapshot(HOST, STACK)
    run = deploy(STACK, BETTER)
    refused(run, "does not answer", f"registry {REGISTRY}", "is it up and reachable from here? nothing was changed")
    unchanged(before, snapshot(HOST, STACK))
    live = before["state"][STACK]["live"]
    run = roll_back(STACK, "-e", f"release={BETTER}")
    assert run.code == 0, run.text
    assert visit(NAME).release == BETTER
    run = roll_back(STACK, "-e", f"release={GOOD}")
    assert run.code == 0, run.text
    assert visit(NAME).release == GOOD
    assert snapshot(HOST, STACK)["state"][STACK]["live"] <= live


@pytest.fixture(scope="module", autouse=True)
def _a_release_to_return_to(_leave_as_found: None) -> None:
    """The better release once took traffic, and stands by."""
    bring(STACK, BETTER)
    bring(STACK, GOOD)


@pytest.mark.usefixtures("untouched")
def test_registry_login_refused(checkout: Checkout) -> None:
    checkout.settings("'production/registry-password'", "'production/ocr-database-password'")
    refused(
        deploy(STACK, BETTER, checkout=checkout.root),
        "the login of 'ops' was refused",
        f"registry {REGISTRY}",
        "check registry.username and the secret that registry.password_secret names",
    )


@pytest.mark.usefixtures("untouched")
def test_secrets_store_away(checkout: Checkout) -> None:
    checkout.replace(
        "inventories/lab/group_vars/all/lab.yml",
        "endpoint_url: https://10.213.0.4:5000",
        "endpoint_url: https://10.213.0.4:5999",
    )
    run = deploy("biznexus", BETTER, checkout=checkout.root)
    refused(run, "does not answer: ", "secrets store https://10.213.0.4:5999", "check the network, the profile and its")


@pytest.mark.usefixtures("untouched")
def test_missing_secret(checkout: Checkout) -> None:
    checkout.settings("production/biznexus-database-password", "production/biznexus-database-passwort")
    run = deploy("biznexus", BETTER, checkout=checkout.root)
    refused(
        run,
        "these secrets cannot be read: production/biznexus-database-passwort",
        "secrets store https://10.213.0.4:5000",
        "create them, or allow this role to read them",
    )


@pytest.mark.usefixtures("untouched")
def test_undeclared_secret(checkout: Checkout) -> None:
    checkout.settings("BIZNEXUS_DATABASE_PASSWORD:", "BIZNEXUS_DATABASE_PASSWORT:")
    refused(
        deploy("biznexus", BETTER, checkout=checkout.root),
        "secret 'BIZNEXUS_DATABASE_PASSWORD' is not declared in environment 'production'",
        "ops_environment.secrets",
        "did you mean 'BIZNEXUS_DATABASE_PASSWORT'?",
    )


# -- what is written wrongly -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("untouched")
def test_missing_variable(checkout: Checkout) -> None:
    checkout.settings("    WWW_HOSTS: www.production.lab\n", "")
    refused(
        deploy(STACK, BETTER, checkout=checkout.root),
        "variable 'WWW_HOSTS' has no value in this environment",
        "inventories/stacks/www.yml:26 x-ops.routes[0].hosts",
        "",
    )


@pytest.mark.usefixtures("untouched")
def test_malformed_stack_file(checkout: Checkout) -> None:
    path = "inventories/stacks/www.yml"
    checkout.replace(path, "mem_limit: 256m", "mem_limit: plenty\n    privilegd: true")
    checkout.replace(path, "path: /healthz", "paht: /healthz")
    checkout.replace(path, "drain_limit: 30s", "drain_limit: soon")
    for run in (
        deploy(STACK, BETTER, checkout=checkout.root),
        play("converge", "--limit", ENVIRONMENT, checkout=checkout.root),
    ):
        assert run.code == FAILED
        for line, what in (
            (17, "'plenty' is not a size. Next: write it like 512m or 1g"),
            (18, "'privilegd' is not accepted here. Next: accepted: "),
            (29, "'paht' is not accepted here. Next: did you mean 'path'?"),
            (32, "'soon' is not a duration. Next: write it like 30s"),
        ):
            assert f"{path}:{line} " in run.line(what), run.text


@pytest.mark.usefixtures("untouched")
def test_stack_file_that_names_what_is_not_there(checkout: Checkout) -> None:
    path = "inventories/stacks/www.yml"
    checkout.replace(path, "service: web, port: 8080", "service: wbe, port: 8080")
    run = deploy(STACK, BETTER, checkout=checkout.root)
    refused(run, "there is no service 'wbe'", f"{path}:25 x-ops.routes", "there are: web")


@pytest.mark.usefixtures("untouched")
def test_stack_file_that_is_not_yaml(checkout: Checkout) -> None:
    path = "inventories/stacks/www.yml"
    checkout.replace(path, "networks: [edge]", "networks: [edge")
    refused(deploy(STACK, BETTER, checkout=checkout.root), "is not YAML", f"{path}:", "mend that line")


# -- the world moved ---------------------------------------------------------------------------------------------------


@pytest.fixture
def moved_content() -> Iterator[str]:
    """A release whose digest the registry answers with other content than what has that digest."""
    good = ask_registry("GET", f"www/manifests/{BETTER}").content
    digest = ask_registry("PUT", f"www/manifests/{MOVED}", good + b"\n").headers["Docker-Content-Digest"]
    client = docker.from_env()
    registry = client.containers.get("lab-registry")
    blob = f"{_STORE}/blobs/sha256/{digest[7:9]}/{digest[7:]}"
    links = f"{_STORE}/repositories/www/_manifests"
    try:
        code, told = registry.exec_run(
            ["sh", "-c", f"head -c -1 {blob}/data > /tmp/moved && cp /tmp/moved {blob}/data"]
        )
        assert code == 0, told
        yield str(digest)
    finally:
        left = (blob, f"{links}/tags/{MOVED}", f"{links}/revisions/sha256/{digest[7:]}")
        registry.exec_run(["rm", "-rf", *left])
        client.close()


def test_content_that_is_not_what_its_digest_says(moved_content: str) -> None:
    before = snapshot(HOST, STACK)
    run = deploy(STACK, MOVED)
    refused(
        run,
        f"the registry's content does not match its digest: manifest verification failed for digest {moved_content}",
        f"www@{moved_content}",
        "do not run it; find out who changed what the registry holds",
    )
    after = snapshot(HOST, STACK)
    unchanged(serving(before, STACK), serving(after, STACK))
    assert visit(NAME).release == GOOD
    assert json.dumps(after["journal"][STACK][-1]["event"]) == '"undone"'


@pytest.mark.usefixtures("untouched")
def test_lock_held() -> None:
    # Held until the pipe to it is closed, whatever becomes of this test.
    inner = f"printf %s 'backup by anna@laptop, pid 1 (root), since now' > /run/seisei/{STACK}.lock; echo held; cat"
    remote = f"flock /run/seisei/{STACK}.lock sh -c {shlex.quote(inner)}"
    with subprocess.Popen([*ssh_words(), remote], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        run = deploy(STACK, BETTER, patience_s=0)
        holder.stdin.close()
    refused(
        run,
        f"stack '{STACK}' is being changed: backup by anna@laptop, pid 1 (root), since now",
        "",
        "wait for it to end, then run this again",
    )
