"""Ask an image registry which digest a tag names (OCI distribution specification, manifests)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import requests

from ..model.errors import OpsError

_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.v2",
    )
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class ImageRegistry:
    """One registry with one login. ``ca_file`` empty means the system's trust."""

    def __init__(
        self, server: str, username: str = "", password: str = "", ca_file: str = "", timeout: float = 10
    ) -> None:
        self.server = server
        self._login = (username, password) if username else None
        self._timeout = timeout
        # Said with each request: a session's own setting gives way to REQUESTS_CA_BUNDLE of the operator's shell.
        self._verify: str | bool = ca_file or True
        self._session = requests.Session()
        self._session.headers["Accept"] = _ACCEPT

    def digest(self, image: str) -> str:
        """``sha256:…`` of ``server/name:tag``.

        Raises OpsError when the registry does not answer, refuses the login, or has no such tag.
        """
        repository, tag = self._split(image)
        answer = self._get(f"/v2/{repository}/manifests/{tag}", repository)
        if answer.status_code == 404:
            raise OpsError(
                f"there is no tag '{tag}' of '{repository}'{self._near(repository)}",
                where=f"registry {self.server}",
                do="was the image built and pushed? check the sha, or deploy one that is there",
            )
        digest = answer.headers.get("Docker-Content-Digest", "")
        if answer.status_code != 200 or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise OpsError(
                f"answered {answer.status_code} without a digest for {repository}:{tag}",
                where=f"registry {self.server}",
                do="look at the registry's own log",
            )
        return digest

    def _split(self, image: str) -> tuple[str, str]:
        prefix = f"{self.server}/"
        name, _, tag = image.removeprefix(prefix).rpartition(":")
        if not image.startswith(prefix) or not name:
            raise OpsError(
                f"'{image}' is not an image of this environment's registry",
                where=f"registry {self.server}",
                do="write ${REGISTRY}/<name>:<tag> in the stack file",
            )
        return name, tag

    def _near(self, repository: str) -> str:
        answer = self._get(f"/v2/{repository}/tags/list", repository)
        tags = answer.json().get("tags") or [] if answer.status_code == 200 else []
        return f" (there are: {', '.join(sorted(tags)[-5:])})" if tags else ""

    def _get(self, path: str, repository: str, headers: Mapping[str, str] | None = None) -> requests.Response:
        answer = self._ask(f"https://{self.server}{path}", headers=headers)
        if answer.status_code == 401 and headers is None:
            return self._get(path, repository, {"Authorization": self._authorization(answer, repository)})
        if answer.status_code in (401, 403):
            raise OpsError(
                f"the login of '{self._login[0] if self._login else 'nobody'}' was refused",
                where=f"registry {self.server}",
                do="check registry.username and the secret that registry.password_secret names",
            )
        return answer

    def _authorization(self, answer: requests.Response, repository: str) -> str:
        """Basic, or a bearer token fetched from where the challenge says (as GHCR and Docker Hub do)."""
        challenge = answer.headers.get("WWW-Authenticate", "")
        if challenge.lower().startswith("bearer"):
            fields = dict(_CHALLENGE.findall(challenge))
            if not fields.get("realm", "").startswith("https://"):
                raise OpsError(
                    f"wants the login sent to '{fields.get('realm', '')}', which is not https",
                    where=f"registry {self.server}",
                    do="the login was not sent; mend the registry's token address",
                )
            token = self._ask(
                fields.get("realm", ""),
                params={"service": fields.get("service", ""), "scope": f"repository:{repository}:pull"},
                auth=self._login,
            )
            body = token.json() if token.status_code == 200 else {}
            return f"Bearer {body.get('token') or body.get('access_token', '')}"
        request = requests.Request("GET", "https://x", auth=self._login).prepare()
        return str(request.headers.get("Authorization", ""))

    def _ask(self, url: str, **options: Any) -> requests.Response:
        try:
            return self._session.get(url, timeout=self._timeout, verify=self._verify, **options)
        except requests.exceptions.SSLError as error:
            raise OpsError(
                "its certificate is not trusted",
                where=f"registry {self.server}",
                do="set registry.ca_file to the authority that signed it",
            ) from error
        except requests.exceptions.RequestException as error:
            raise OpsError(
                f"does not answer: {type(error).__name__}",
                where=f"registry {self.server}",
                do="is it up and reachable from here? nothing was changed; run this again when it answers",
            ) from error
