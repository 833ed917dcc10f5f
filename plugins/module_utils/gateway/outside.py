"""Who is asked outside the hosts: the secrets store and the registry. Each thing is asked once, and kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from ..model.environment import Aws, Registry

_Key = TypeVar("_Key")
_One = TypeVar("_One")


class Outside:
    """The stores and registries that somebody asked for. May be asked from several threads.

    Both SDKs are imported when the first is asked: most tasks of a run ask for neither.
    """

    def __init__(self) -> None:
        self._stores: dict[Aws, Store] = {}
        self._registries: dict[tuple[Registry, str], Images] = {}
        self._turn = Lock()

    def values(self, aws: Aws, ids: Iterable[str]) -> dict[str, str]:
        """Secrets by id. Raises OpsError for what is missing, as :class:`SecretStore` does."""
        return self._kept(self._stores, aws, lambda: Store(aws)).values(ids)

    def digests(self, registry: Registry, password: str, images: Iterable[str]) -> dict[str, str]:
        """Digests by image, asked in parallel. Raises OpsError as :class:`ImageRegistry` does."""
        return self._kept(self._registries, (registry, password), lambda: Images(registry, password)).digests(images)

    def _kept(self, places: dict[_Key, _One], key: _Key, make: Callable[[], _One]) -> _One:
        with self._turn:
            if key not in places:
                places[key] = make()
            return places[key]


class Store:
    """One secrets store; a second thread waits for what the first asks, and finds it known."""

    def __init__(self, aws: Aws) -> None:
        from .secret_store import SecretStore  # noqa: PLC0415 - see Outside

        self._store = SecretStore(aws)
        self._turn = Lock()

    def values(self, ids: Iterable[str]) -> dict[str, str]:
        wanted = set(ids)
        with self._turn:
            known = self._store.values(wanted)
        return {name: known[name] for name in wanted}


class Images:
    """One registry with one login."""

    def __init__(self, registry: Registry, password: str) -> None:
        from .registry import ImageRegistry  # noqa: PLC0415 - see Outside

        self._registry = ImageRegistry(registry.server, registry.username, password, registry.ca_file)
        self._known: dict[str, str] = {}
        self._turn = Lock()

    def digests(self, images: Iterable[str]) -> dict[str, str]:
        wanted = set(images)
        with self._turn:
            missing = sorted(wanted - self._known.keys())
            with ThreadPoolExecutor(max_workers=8) as pool:
                self._known |= zip(missing, pool.map(self._registry.digest, missing), strict=True)
        return {image: self._known[image] for image in wanted}
