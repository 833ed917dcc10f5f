"""Seeding the stand-in for AWS, which forgets everything when it restarts: every `up` puts back what is missing."""

from __future__ import annotations

import configparser
import io
import json
from typing import Any

import boto3
from botocore.config import Config

from labkit.files import write_private
from labkit.settings import AWS, BUCKETS, LEDGER_BUCKET, Lab

REGION = "ap-northeast-1"
PROFILE = "lab"


def write_credentials(lab: Lab, secrets: dict[str, str]) -> None:
    """Write the AWS profile ``lab``, with the key that the secrets name for backups."""
    keys = json.loads(secrets["staging/backup-storage"])
    profile = configparser.ConfigParser()
    profile[PROFILE] = {
        "aws_access_key_id": keys["access_key"],
        "aws_secret_access_key": keys["secret_key"],
        "region": REGION,
    }
    buffer = io.StringIO()
    profile.write(buffer)
    write_private(lab.build / "aws" / "credentials", buffer.getvalue())


def seed(lab: Lab, secrets: dict[str, str]) -> list[str]:
    """Make the buckets and secrets that are missing. Return what was done."""
    done = []
    store = client(lab, "s3", secrets)
    held = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
    for bucket in (*BUCKETS, LEDGER_BUCKET):
        if bucket not in held:
            make_bucket(store, bucket, locked=bucket == LEDGER_BUCKET)
            done.append(f"bucket {bucket}")
    manager = client(lab, "secretsmanager", secrets)
    names = {entry["Name"] for page in manager.get_paginator("list_secrets").paginate() for entry in page["SecretList"]}
    for name in sorted(secrets.keys() - names):
        manager.create_secret(Name=name, SecretString=secrets[name])
        done.append(f"secret {name}")
    return done


def make_bucket(store: Any, name: str, *, locked: bool) -> None:
    """Make a bucket; a locked one keeps every version of an object, and lets none be deleted while it is retained."""
    place = {"LocationConstraint": REGION}
    store.create_bucket(Bucket=name, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=locked)


def client(lab: Lab, service: str, secrets: dict[str, str]) -> Any:
    """A client of ``service`` at the lab's stand-in for AWS."""
    keys = json.loads(secrets["staging/backup-storage"])
    make: Any = boto3.client
    return make(
        service,
        region_name=REGION,
        endpoint_url=f"https://{lab.address(AWS.last)}:{AWS.port}",
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret_key"],
        verify=str(lab.build / "ca" / "ca.pem"),
        config=Config(connect_timeout=5, read_timeout=30, s3={"addressing_style": "path"}),
    )
