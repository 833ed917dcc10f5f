"""The edge on this host: the files Traefik watches, and the API that says what it really runs."""

from __future__ import annotations

import http.client
import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ..model.errors import OpsError

Config = dict[str, Any]

_STACK = re.compile(r"[a-z0-9][a-z0-9-]*")
_WATCHED_ENDINGS = (".yml", ".yaml", ".toml")
_POLL_SECONDS = 0.01
TRAEFIK_USER = 65532
"""The numeric user the edge's container runs as (``user`` in the edge's stack file)."""

_API_TIMEOUT_SECONDS = 2.0


class EdgeFiles:
    """The directory of the edge's dynamic configuration: one file for each stack, one writer, replaced as a whole.

    A new text is written in ``incoming/``, which Traefik does not watch, under a name it would not read, flushed to
    disk and renamed into ``dynamic/``: at no moment is there a file that is cut or empty. The content is JSON, which
    every YAML parser reads. Callers hold the lock of the stack they write for.
    """

    def __init__(self, root: Path | str = "/var/lib/seisei/edge", owner: int = TRAEFIK_USER) -> None:
        self.root = Path(root)
        self.dynamic = self.root / "dynamic"
        self.incoming = self.root / "incoming"
        self.acme = self.root / "acme"
        self.owner = owner

    def prepare(self) -> bool:
        """Make the directories; whether anything was missing or other than it has to be.

        ``dynamic/`` is readable by Traefik's user (``owner``, a numeric id), ``acme/`` (certificates and their keys)
        belongs to that user and is closed to everybody else. Raises OpsError when the disk refuses.
        """
        wanted = (
            (self.dynamic, 0o755, os.geteuid()),
            (self.incoming, 0o700, os.geteuid()),
            (self.acme, 0o700, self.owner),
        )
        try:
            made = [_made(path, mode, owner) for path, mode, owner in wanted]
        except OSError as error:
            raise _file_error("cannot make the edge's directories", self.root, error) from error
        return any(made)

    def place(self, stack: str, config: Config) -> None:
        """Put a stack's configuration in place at once, and durably, whatever stands there now.

        Raises OpsError when the disk or the directories refuse; the file in place is then still the old one.
        """
        self._replace(self._target(stack), render(config))

    def keep_for_return(self, stack: str) -> None:
        """Keep what is in place under a second name: it can be put back without a byte of space on the disk."""
        kept = self._kept(stack)
        try:
            kept.unlink(missing_ok=True)
            if (target := self._target(stack)).exists():
                kept.hardlink_to(target)
        except OSError as error:
            raise _file_error("cannot keep the edge's file", kept, error) from error

    def put_back(self, stack: str, config: Config) -> None:
        """As :meth:`place`, by the file that was kept when it says the same; on a full disk nothing else would go."""
        kept, target = self._kept(stack), self._target(stack)
        if not kept.exists() or kept.read_text(encoding="utf-8") != render(config):
            self.place(stack, config)
            return
        try:
            kept.rename(target)
            _sync_directory(self.dynamic)
        except OSError as error:
            raise _file_error("cannot put the edge's file back", target, error) from error

    def kept(self, stack: str) -> Config:
        """What was kept to be put back; an empty configuration when nothing was."""
        return _read(self._kept(stack))[0] if self._kept(stack).exists() else {}

    def forget_kept(self, stack: str) -> None:
        """Nothing has to be put back any more."""
        try:
            self._kept(stack).unlink(missing_ok=True)
        except OSError as error:
            raise _file_error("cannot remove what was kept", self._kept(stack), error) from error

    def _kept(self, stack: str) -> Path:
        return self.incoming / f"{self._target(stack).stem}.kept"

    def remove(self, stack: str) -> bool:
        """Take a stack's file away; whether there was one."""
        target = self._target(stack)
        try:
            target.unlink(missing_ok=False)
            _sync_directory(self.dynamic)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _file_error("cannot remove the edge's file", target, error) from error
        return True

    def all(self) -> dict[str, Config]:
        """Every stack's configuration that is in place and can be read; :meth:`broken` tells of the others."""
        configs: dict[str, Config] = {}
        for path in self._watched():
            config, fault = _read(path)
            if not fault and self._is_ours(path):
                configs[path.stem] = config
        return configs

    def _is_ours(self, path: Path) -> bool:
        return path.parent == self.dynamic and path.suffix == ".yml" and _STACK.fullmatch(path.stem) is not None

    def broken(self) -> list[OpsError]:
        """The files in the watched directory that stop Traefik from taking any change, or that are not ours."""
        return [
            OpsError(fault, where=str(path), do="move the file out of the directory, then converge the host")
            for path in self._watched()
            if (fault := _read(path)[1])
        ]

    def _watched(self) -> list[Path]:
        # Traefik reads sub-directories too, so a file there can block every reload just as well.
        found = (path for path in self.dynamic.rglob("*") if path.suffix in _WATCHED_ENDINGS and not path.is_dir())
        return sorted(found)

    def _target(self, stack: str) -> Path:
        if not _STACK.fullmatch(stack):
            raise OpsError(f"'{stack}' cannot be the name of a stack", where="edge", do="name it as its stack file is")
        return self.dynamic / f"{stack}.yml"

    def _replace(self, target: Path, text: str) -> None:
        draft = self.incoming / f"{target.stem}.{os.getpid()}.draft"
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            draft.rename(target)
            _sync_directory(self.dynamic)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise _file_error("cannot place the edge's file", target, error) from error


def render(config: Config) -> str:
    """The text of a configuration as it stands on disk; equal configurations give equal texts."""
    return json.dumps(config, indent=1, sort_keys=True) + "\n"


class EdgeApi:
    """Traefik's own account of what it runs, from its API on the edge's network.

    ``base_url`` is such as ``http://172.20.0.2:8082``. ``explain`` is asked, when a wait fails, why Traefik might not
    have taken the configuration (:meth:`EdgeFiles.broken`, :func:`config_errors` of its log).
    """

    def __init__(self, base_url: str, explain: Callable[[], Iterable[OpsError | str]] | None = None) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "http" or not parts.hostname:
            raise OpsError(f"'{base_url}' is not an address of the edge's API", do="give it as http://address:port")
        self.base_url = base_url
        self._host = parts.hostname
        self._port = parts.port or 80
        self._explain = explain

    def service_urls(self, name: str) -> tuple[str, ...]:
        """The servers a service of the file provider leads to now; empty when there is no such service."""
        service = self._get(f"/api/http/services/{quote(name)}@file")
        servers = ((service or {}).get("loadBalancer") or {}).get("servers") or []
        return tuple(str(server.get("url", "")) for server in servers)

    def version(self) -> str:
        """Traefik's version, such as "3.7.15". Raises OpsError when the API does not answer."""
        return str((self._get("/api/version") or {}).get("Version", ""))

    def differences(self, config: Config) -> list[str]:
        """What is not yet as this configuration wants it, one sentence each; empty when all of it is live."""
        http_part: Mapping[str, Any] = config.get("http", {})
        found: list[str] = []
        for name, service in http_part.get("services", {}).items():
            if "failover" in service:
                found += self._failover_differences(name, service["failover"])
                continue
            wanted = tuple(server["url"] for server in service["loadBalancer"]["servers"])
            live = self.service_urls(name)
            if live != wanted:
                found.append(f"service {name} leads to {_listed(live)}, wanted {_listed(wanted)}")
        for name, router in http_part.get("routers", {}).items():
            found += self._router_differences(name, router)
        return found or self._left_over(http_part.get("routers", {}))

    def _left_over(self, names: Collection[str]) -> list[str]:
        """Routers of these routes that the configuration does not have any more: those of old assets have a dot."""
        if not names:
            return []
        listed = json.loads(self._fetch("/api/http/routers?per_page=10000") or b"[]")
        live = [str(router.get("name", "")).removesuffix("@file") for router in listed]
        return [
            f"router {name} is still live" for name in live if name not in names and name.partition(".")[0] in names
        ]

    def _failover_differences(self, name: str, wanted: Mapping[str, Any]) -> list[str]:
        live = (self._get(f"/api/http/services/{quote(name)}@file") or {}).get("failover") or {}
        statuses = (live.get("errors") or {}).get("status") or []
        told = {"service": live.get("service"), "fallback": live.get("fallback"), "errors": {"status": statuses}}
        return [] if told == wanted else [f"service {name} fails over as {told}, wanted {dict(wanted)}"]

    def wait_live(self, config: Config, deadline_s: float = 10.0) -> float:
        """Wait until Traefik runs exactly this; milliseconds waited.

        Raises OpsError when it does not within ``deadline_s`` seconds, naming what is live instead and, where it can be
        had, the reason.
        """
        return self._wait(lambda: self.differences(config), deadline_s, "the edge did not take its new configuration")

    def wait_absent(self, config: Config, deadline_s: float = 10.0) -> float:
        """Wait until none of a removed configuration's routers is live; milliseconds waited. Raises as wait_live."""
        names = list(config.get("http", {}).get("routers", {}))

        def left() -> list[str]:
            return [f"router {name} is still live" for name in names if self._router(name) is not None]

        return self._wait(left, deadline_s, "the edge still serves what was removed")

    def _wait(self, look: Callable[[], list[str]], deadline_s: float, what: str) -> float:
        start = time.monotonic()
        while True:
            try:
                differences = look()
            except _Unreachable as error:
                differences = [str(error)]
            waited = time.monotonic() - start
            if not differences:
                return waited * 1000
            if waited >= deadline_s:
                raise self._not_live(f"{what} within {deadline_s:g} s", differences)
            time.sleep(_POLL_SECONDS)

    def _not_live(self, what: str, differences: list[str]) -> OpsError:
        causes = list(self._explain()) if self._explain else []
        said = "; ".join([*differences[:3], *(["…"] if len(differences) > 3 else [])])
        why = "; ".join(f"{cause.where}: {cause.what}" if isinstance(cause, OpsError) else cause for cause in causes)
        do = next((cause.do for cause in causes if isinstance(cause, OpsError)), "read the log of the edge's container")
        return OpsError(
            f"{what}: {said}{'. Cause: ' if why else ''}{why}",
            where=f"edge {self.base_url}",
            do=f"{do}; until then the old routes serve",
        )

    def metrics(self) -> str:
        """What it counted, in Prometheus' text format. Raises OpsError when it does not answer."""
        return (self._fetch("/metrics") or b"").decode(errors="replace")

    def _router(self, name: str) -> dict[str, Any] | None:
        return self._get(f"/api/http/routers/{quote(name)}@file")

    def _router_differences(self, name: str, wanted: Mapping[str, Any]) -> list[str]:
        live = self._router(name)
        if live is None:
            return [f"router {name} is not there"]
        if live.get("status") != "enabled":
            return [f"router {name} is {live.get('status')}: {'; '.join(live.get('error') or ['no reason given'])}"]
        return [
            f"router {name} has {key} {live.get(key)!r}, wanted {wanted[key]!r}"
            for key in ("rule", "service", "entryPoints", "priority")
            if key in wanted and live.get(key) != wanted[key]
        ]

    def _get(self, path: str) -> dict[str, Any] | None:
        body = self._fetch(path)
        return None if body is None else _json_object(body, self.base_url)

    def _fetch(self, path: str) -> bytes | None:
        """The body of an answer, None when nothing is there."""
        # The address is an IP on a bridge of this host: a new connection costs well under a millisecond.
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_API_TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise _Unreachable(self.base_url, str(error) or type(error).__name__) from error
        finally:
            connection.close()
        if answer.status == http.client.NOT_FOUND:
            return None
        if answer.status != http.client.OK:
            raise _Unreachable(self.base_url, f"{path} answered {answer.status}")
        return body


class _Unreachable(OpsError):
    """The API does not answer as an API (yet): a wait goes on, everything else fails."""

    def __init__(self, base_url: str, why: str) -> None:
        super().__init__(
            f"the API of the edge does not answer: {why}",
            where=f"edge {base_url}",
            do="see whether the edge's container runs, and converge the host if it does not",
        )


def config_errors(log: str) -> list[OpsError]:
    """The last refusal of a configuration in Traefik's log (JSON lines); an empty list when there is none.

    Pass the log since the configuration was placed: an older refusal may have been cured since.
    """
    for line in reversed(log.splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a line of the runtime, not of the logger
        if isinstance(entry, dict) and entry.get("level") == "error" and entry.get("providerName") == "file":
            what = str(entry.get("error") or entry.get("message"))
            return [OpsError(what, where="log of the edge", do="correct the file it names, then converge the host")]
    return []


def _json_object(body: bytes, base_url: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise _Unreachable(base_url, "the answer is not JSON") from error
    return document if isinstance(document, dict) else {}


def _read(path: Path) -> tuple[Config, str]:
    """A watched file's configuration and what is wrong with it (empty when it is one of ours)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return {}, f"the file cannot be read ({error})"
    if not text.strip():
        return {}, "the file is empty, which the edge reads as no routes at all"
    try:
        document = json.loads(text)
    except ValueError as error:
        return {}, f"the file is not one of ours: not JSON ({error})"
    return (document, "") if isinstance(document, dict) else ({}, "the file is not one of ours: not a JSON object")


def _made(path: Path, mode: int, owner: int) -> bool:
    changed = not path.is_dir()
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    status = path.stat()
    if status.st_mode & 0o777 != mode:
        path.chmod(mode)
        changed = True
    if status.st_uid != owner:
        os.chown(path, owner, owner)
        changed = True
    return changed


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _file_error(what: str, path: Path, error: OSError | UnicodeDecodeError) -> OpsError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return OpsError(f"{what}: {reason}", where=str(path), do="free or repair the disk, then converge the host")


def _listed(urls: tuple[str, ...]) -> str:
    return ", ".join(urls) or "nothing"
