"""Where entries of the ledger lie: one object each in a bucket, written once by a conditional put.

Facts of S3 (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html): ``If-None-Match: *`` lets
one of several writers win and answers 412 to the others, or 409 while an operation on the key is under way; it looks at
the current version only, so that a key whose newest version is a delete marker can be written again. Object Lock keeps
versions, not keys: a delete marker hides a locked entry and an overwrite shadows it, and both leave the first version
where it was. That is why versions are looked at when the ledger is verified.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.config
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from ..model.environment import Aws, LedgerPlace
from ..model.errors import OpsError
from ..model.ledger import LedgerAway, Listing, Version
from .aws_client import connect

_NAME = re.compile(r"([0-9]{12})\.json")
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict")
_SIDE_BY_SIDE = 16
_PAGE = 1000  # the most that S3 tells at once
_NOT_OFFERED = ("ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed")
_DO = {
    "NoSuchBucket": "correct ops_environment.ledger.bucket, or make the bucket with versioning and Object Lock",
    "AccessDenied": "allow this role to list (versions, too), read and put objects of the ledger's bucket",
    "InvalidAccessKeyId": "renew the credentials of this controller (ops_environment.aws.profile)",
    "SignatureDoesNotMatch": "renew the credentials of this controller (ops_environment.aws.profile)",
    "ExpiredToken": "log in anew; the credentials of this controller have ended",
    "InvalidRequest": "make the bucket with Object Lock, or set ops_environment.ledger.object_lock_days to 0",
}
_REACH = "check ops_environment.ledger.endpoint, the way to it, and the credentials of this controller"


class LedgerStorage:
    """The bucket of the ledger. May be used from several threads.

    Everything raises LedgerAway when the storage does not answer, or refuses.
    """

    def __init__(self, place: LedgerPlace, aws: Aws) -> None:
        self.place = place
        self.aws = aws
        self._client: BaseClient | None = None

    @property
    def where(self) -> str:
        """``ledger seisei-ledger/prefix at https://…``"""
        path = "/".join(part for part in (self.place.bucket, self.place.prefix) if part)
        return f"ledger {path} at {self.place.endpoint or f'AWS, {self.place.region}'}"

    def listing(self) -> Listing:
        """Which entries there are."""
        marks: dict[int, str] = {}
        strays: list[str] = []
        for page in self._pages("list_objects_v2"):
            for found in page.get("Contents", ()):
                if match := self._entry(found["Key"]):
                    marks[int(match[1])] = found["ETag"]
                else:
                    strays.append(found["Key"])
        return Listing(marks, tuple(strays))

    def read(self, numbers: Iterable[int]) -> dict[int, tuple[str, str]]:
        """Text and mark of entries, asked side by side. What is gone meanwhile is left out."""
        wanted = list(numbers)
        with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
            found = zip(wanted, pool.map(self._read, wanted), strict=True)
            return {number: one for number, one in found if one}

    def put(self, number: int, text: str) -> str:
        """Write an entry that is not there yet; its mark, or an empty text when somebody else has the number.

        Before the first entry it is seen that the storage does refuse: one that does not know conditional puts takes
        no notice of them, and lets the last of two writers win.
        """
        mark = self._put(number, text)
        if mark and number == 1 and self._put(number, text):
            raise OpsError(
                "this storage lets an entry be overwritten: it takes no notice of If-None-Match",
                where=self.where,
                do="keep the ledger in a storage that knows conditional puts, such as S3",
            )
        return mark

    def _put(self, number: int, text: str) -> str:
        try:
            with self._asked():
                answer = self._connected().put_object(  # type: ignore[attr-defined]
                    Bucket=self.place.bucket,
                    Key=self._key(number),
                    Body=text.encode(),
                    ContentType="application/json",
                    IfNoneMatch="*",
                    **self._retention(),
                )
        except _TakenError:
            return ""
        return str(answer["ETag"])

    def versions(self) -> dict[int, tuple[Version, ...]]:
        """All versions of every entry, the newest first, delete markers included; nothing where none are kept."""
        found: dict[int, list[Version]] = {}
        if not self._keeps_versions():
            return {}
        for page in self._pages("list_object_versions"):
            for kind, gone in (("Versions", False), ("DeleteMarkers", True)):
                for one in page.get(kind, ()):
                    if match := self._entry(one["Key"]):
                        at = one["LastModified"].astimezone(UTC).isoformat(timespec="seconds")
                        version = Version(one["VersionId"], at, one["IsLatest"], gone)
                        found.setdefault(int(match[1]), []).append(version)
        in_order = {number: sorted(kept, key=lambda one: (one.latest, one.at)) for number, kept in found.items()}
        return {number: tuple(reversed(kept)) for number, kept in in_order.items()}

    def loosened(self) -> list[str]:
        """What the bucket lacks to keep entries from being taken away, a sentence each; what is not told, it lacks."""
        lacks = []
        if not self._keeps_versions():
            lacks.append("the bucket keeps no versions: an entry that is overwritten or deleted is lost")
        lock = self._setting("get_object_lock_configuration").get("ObjectLockConfiguration", {})
        if lock.get("ObjectLockEnabled") != "Enabled":
            lacks.append("the bucket has no Object Lock: whoever may delete objects can take entries away")
        elif not self.place.object_lock_days and not lock.get("Rule"):
            lacks.append("entries are not locked: set ops_environment.ledger.object_lock_days")
        return lacks

    def _keeps_versions(self) -> bool:
        return self._setting("get_bucket_versioning").get("Status") == "Enabled"

    def _setting(self, name: str) -> dict[str, Any]:
        try:
            with self._asked():
                return dict(getattr(self._connected(), name)(Bucket=self.place.bucket))
        except _NotOfferedError:
            return {}

    def _read(self, number: int) -> tuple[str, str] | None:
        try:
            with self._asked():
                answer = self._connected().get_object(  # type: ignore[attr-defined]
                    Bucket=self.place.bucket, Key=self._key(number)
                )
                return answer["Body"].read().decode(errors="replace"), str(answer["ETag"])
        except _GoneError:
            return None

    def _pages(self, operation: str) -> Iterator[dict[str, Any]]:
        with self._asked():
            pages = self._connected().get_paginator(operation)
            size = {"PageSize": _PAGE}
            yield from pages.paginate(Bucket=self.place.bucket, Prefix=self._key_of(""), PaginationConfig=size)

    def _key(self, number: int) -> str:
        return self._key_of(f"{number:012}.json")

    def _key_of(self, name: str) -> str:
        return f"{self.place.prefix}/entries/{name}" if self.place.prefix else f"entries/{name}"

    def _entry(self, key: str) -> re.Match[str] | None:
        return _NAME.fullmatch(key.removeprefix(self._key_of("")))

    def _retention(self) -> dict[str, Any]:
        if not self.place.object_lock_days:
            return {}
        until = datetime.now(UTC) + timedelta(days=self.place.object_lock_days)
        return {"ObjectLockMode": self.place.object_lock.upper(), "ObjectLockRetainUntilDate": until}

    def _connected(self) -> BaseClient:
        if self._client is None:
            config = botocore.config.Config(
                connect_timeout=3,  # a rollback waits for this when the storage is away
                read_timeout=10,
                retries={"total_max_attempts": 2, "mode": "standard"},
                max_pool_connections=_SIDE_BY_SIDE,
            )
            place = self.place
            self._client = connect(
                "s3", self.aws, config, region=place.region, endpoint=place.endpoint, ca_file=place.ca_file
            )
        return self._client

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _TAKEN:
                raise _TakenError from error
            if code == "NoSuchKey":
                raise _GoneError from error
            if code in _NOT_OFFERED:
                raise _NotOfferedError from error
            raise self._away(error) from error
        except (BotoCoreError, OSError) as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> LedgerAway:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        what = "the ledger's storage refuses" if code in _DO else "the ledger's storage does not answer as it should"
        return LedgerAway(f"{what}: {error}", where=self.where, do=_DO.get(code, _REACH))


class _TakenError(Exception):
    """Somebody else wrote under this number."""


class _NotOfferedError(Exception):
    """This storage has no such thing."""


class _GoneError(Exception):
    """There is no such entry any more."""
