"""Convergence over time: plans that wait, stacks that are taken away, secrets that are rotated, runs that die."""

from __future__ import annotations

import configparser
import json
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest

from .procedure_parts import (
    ENVIRONMENT,
    HOST,
    LAB,
    Checkout,
    converge,
    killing,
    on_host,
    play,
    snapshot,
    visit,
)

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.usefixtures("converged", "good")]

# -- saved plans -------------------------------------------------------------------------------------------------------


def test_a_plan_is_read_now_and_applied_later(checkout: Checkout) -> None:
    checkout.replace("inventories/stacks/odoo18.yml", "mem_limit: 128m", "mem_limit: 160m")
    limit = ("--limit", ENVIRONMENT)
    saved = converge(*limit, "--check", "--diff", "-e", "save_plan=test", checkout=checkout.root)
    file = checkout.root / "build" / "plans" / "test" / f"{HOST}.json"
    assert saved.line("plan saved:").startswith("plan saved: build/plans/test/production-1.json")
    assert file.stat().st_mode & 0o777 == 0o600
    passwords = json.loads((LAB / "secrets.json").read_text()).values()
    assert not [value for value in passwords if value in file.read_text()]

    on_host("docker stop ocr-db")
    refused = play("converge", *limit, "-e", "apply_plan=test", checkout=checkout.root)
    assert refused.code != 0
    assert "this host is not as it was when the plan was saved: container ocr-db changed" in refused.text
    assert refused.line("plan was saved").endswith("nothing was done; make and read a new plan")
    on_host("docker start ocr-db")

    # Even when the checkout says something else by now, what was read is what is applied.
    checkout.replace("inventories/stacks/odoo18.yml", "mem_limit: 160m", "mem_limit: 192m")
    applied = converge(*limit, "-e", "apply_plan=test", checkout=checkout.root)
    assert applied.steps() == saved.steps()
    assert on_host("docker inspect -f '{{.HostConfig.Memory}}' odoo18-redis").strip() == str(160 * 1024**2)

    nothing = play("converge", *limit, "-e", "apply_plan=never", checkout=checkout.root)
    assert "there is no plan 'never' for production-1; there are: test" in nothing.text
    for_real = play("converge", *limit, "-e", "save_plan=test", checkout=checkout.root)
    assert "a plan is saved by a rehearsal. Next: add --check --diff" in for_real.text
    both = play("converge", *limit, "-e", "apply_plan=test", "-e", "mode=drift", checkout=checkout.root)
    assert "apply_plan and mode=drift do not go together" in both.text
    assert on_host("docker inspect -f '{{.HostConfig.Memory}}' odoo18-redis").strip() == str(160 * 1024**2)


# -- stacks that are not declared any more -----------------------------------------------------------------------------


def test_a_stack_that_is_taken_away_rests_until_it_is_removed_by_name(checkout: Checkout) -> None:
    file = checkout.root / "inventories" / "stacks" / "extra.yml"
    file.write_text(EXTRA, encoding="utf-8")
    limit = ("--limit", ENVIRONMENT)
    converge(*limit, checkout=checkout.root)
    on_host("docker exec extra-cache redis-cli set key precious; docker exec extra-cache redis-cli save")
    declared = play("remove_stack", *limit, "-e", "name=extra", checkout=checkout.root)
    assert "stack 'extra' is declared. Next: take its file away" in declared.text

    file.unlink()
    taken = converge(*limit, checkout=checkout.root)
    assert taken.steps() == ["extra/cache: stop container extra-cache (its stack is not declared)"]
    assert "note: extra is not declared any more" in taken.text
    assert "extra_data" in snapshot(HOST, "extra")["names"]["volume"]
    assert converge(*limit, checkout=checkout.root).changed == 0

    file.write_text(EXTRA, encoding="utf-8")
    back = converge(*limit, checkout=checkout.root)
    assert [step for step in back.steps() if "await" not in step] == [
        "extra/cache: start container extra-cache (not running)"
    ]
    assert on_host("docker exec extra-cache redis-cli get key").strip() == "precious"

    file.unlink()
    converge(*limit, checkout=checkout.root)
    rehearsal = play("remove_stack", *limit, "-e", "name=extra", "--check", "--diff", checkout=checkout.root)
    assert "extra_data" in snapshot(HOST, "extra")["names"]["volume"]
    gone = play("remove_stack", *limit, "-e", "name=extra", checkout=checkout.root)
    assert gone.code == 0, gone.text
    assert gone.steps() == rehearsal.steps()
    told = snapshot(HOST, "extra")
    assert told["containers"] == {}
    assert not [name for names in told["names"].values() for name in names if name.startswith("extra")]
    again = play("remove_stack", *limit, "-e", "name=extra", checkout=checkout.root)
    assert "this host has nothing of a stack 'extra'" in again.text


EXTRA = """
name: extra
services:
  cache:
    image: ${REGISTRY}/redis:7
    volumes: ["data:/data"]
    healthcheck: {test: [CMD, redis-cli, ping], interval: 1s, start_period: 5s, start_interval: 200ms}
    mem_limit: 64m
volumes:
  data: {}
"""


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_a_rotated_secret_changes_the_plan_and_nobody_elses() -> None:
    with rotated("production/ocr-database-password", "rotated-in-a-test"):
        rehearsal = converge("--limit", ENVIRONMENT, "--check", "--diff")
        assert [step for step in rehearsal.steps() if "await" not in step] == [
            "ocr/db: replace container ocr-db (secret OCR_DATABASE_PASSWORD changed)",
            "ocr: place secret ocr/OCR_DATABASE_PASSWORD (its value changed)",
        ]
        assert "note: ocr: secret OCR_DATABASE_PASSWORD changed since release" in rehearsal.text
        assert "rotated-in-a-test" not in rehearsal.text + json.dumps(rehearsal.report)
    assert converge("--limit", ENVIRONMENT).changed == 0


@contextmanager
def rotated(name: str, value: str) -> Iterator[None]:
    """Another value in the lab's secrets store, for so long."""
    credentials = configparser.ConfigParser()
    credentials.read(LAB / "aws" / "credentials")
    store = boto3.client(
        "secretsmanager",
        region_name="ap-northeast-1",
        endpoint_url="https://10.213.0.4:5000",
        verify=str(LAB / "ca" / "ca.pem"),
        aws_access_key_id=credentials["lab"]["aws_access_key_id"],
        aws_secret_access_key=credentials["lab"]["aws_secret_access_key"],
    )
    before = store.get_secret_value(SecretId=name)["SecretString"]
    store.put_secret_value(SecretId=name, SecretString=value)
    try:
        yield
    finally:
        store.put_secret_value(SecretId=name, SecretString=before)


# -- a run that dies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["rename", "start", "stop"])
def test_a_convergence_that_is_killed_is_finished_by_the_next(checkout: Checkout, moment: str) -> None:
    """The process on the host is killed at an event of the engine, in the middle of a replacement."""
    checkout.replace("inventories/stacks/biznexus.yml", "mem_limit: 384m", "mem_limit: 320m")
    converge("--limit", ENVIRONMENT, checkout=checkout.root)
    rows = "docker exec biznexus-db psql -U biznexus -tAc 'select count(*) from pg_tables' biznexus"
    before = on_host(rows)
    with killing("biznexus", "engine", moment):
        died = play("converge", "--limit", ENVIRONMENT)
    assert died.code != 0
    assert "the run on the host was cut off" in died.text
    converge("--limit", ENVIRONMENT)
    assert converge("--limit", ENVIRONMENT).changed == 0
    assert on_host(rows) == before
    assert on_host("docker ps -a --format '{{.Names}}' | grep -c '^biznexus-db'").strip() == "1"
    assert visit("biznexus.production.lab").status == 200
