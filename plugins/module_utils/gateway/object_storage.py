"""Ask an S3 endpoint whether a bucket is there, before restic is let at it.

restic makes a bucket that is missing, so that a slip of the pen would be a new bucket; and it tries an endpoint that
does not answer for a quarter of an hour. One request without credentials tells both: S3 answers 404 for a bucket that
is not there, and 200, 301 or 403 for one that is.
"""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import quote, urlsplit

from ..model.errors import OpsError

_TIMEOUT_S = 10
_MISSING = 404


def check_bucket(endpoint: str, bucket: str, ca_file: str = "") -> None:
    """Return when the bucket is there.

    :raises OpsError: when the storage cannot be reached, is not trusted, or has no such bucket.
    """
    url = urlsplit(endpoint)
    if url.scheme not in ("https", "http") or not url.hostname:
        raise OpsError(
            f"'{endpoint}' is not the address of an object storage",
            where="ops_environment.object_storage.endpoint",
            do="write it like https://s3.ap-northeast-1.amazonaws.com",
        )
    status = _head(url.scheme, url.hostname, url.port, bucket, ca_file, endpoint)
    if status == _MISSING:
        raise OpsError(
            f"there is no bucket '{bucket}'",
            where=f"object storage {endpoint}",
            do="correct ops_environment.object_storage.bucket, or create the bucket with versioning and Object Lock",
        )


def _head(scheme: str, host: str, port: int | None, bucket: str, ca_file: str, endpoint: str) -> int:
    connection: http.client.HTTPConnection
    if scheme == "https":
        context = _trust(ca_file)
        connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("HEAD", f"/{quote(bucket)}")
        return connection.getresponse().status
    except ssl.SSLCertVerificationError as error:
        raise OpsError(
            f"the certificate of the object storage is not trusted: {error.verify_message}",
            where=endpoint,
            do="name the right CA in ops_environment.object_storage.ca_file",
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise OpsError(
            f"the object storage cannot be reached: {error}",
            where=endpoint,
            do="check ops_environment.object_storage.endpoint, and the way to it from this host",
        ) from error
    finally:
        connection.close()


def _trust(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (ssl.SSLError, OSError) as error:
        raise OpsError(
            f"the CA of the object storage is no certificate: {error}",
            where="ops_environment.object_storage.ca_file",
            do="point it to a PEM file",
        ) from error
