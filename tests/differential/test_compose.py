"""The container that we make of a Compose file is the one that Compose makes, save what we declare and argue."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.module_utils.model.service_keys import SERVICE_KEYS
from plugins.module_utils.model.vocabulary import Key
from plugins.module_utils.plan.differences import differences
from plugins.module_utils.plan.settings import settings_of, settings_wanted

from .declared import Difference, compared, declared
from .oracle import PREFIX, Oracle, Pair, cases

pytestmark = pytest.mark.lab

Made = Mapping[Path, Future[dict[str, Pair]]]
SERVICES = [pytest.param(case.path, name, id=f"{case.path.stem}-{name}") for case in cases() for name in case.services]


def found(pair: Pair, oracle: Oracle) -> list[Difference]:
    """Where the two differ, in the stack file's words and in the engine's."""
    ours, compose = (settings_of(one, pair.image, oracle.daemon) for one in (pair.ours, pair.compose))
    return compared("settings", ours, compose) + compared("inspect", pair.ours, pair.compose)


def test_there_are_enough_files() -> None:
    assert len(cases()) >= 60


def test_every_key_of_a_service_is_in_a_file() -> None:
    services = [service for case in cases() for service in yaml.safe_load(case.path.read_text())["services"].values()]
    for name, key in SERVICE_KEYS.items():
        said = {inner for service in services if name in service for inner in mapping_keys(service[name])}
        assert any(name in service for service in services), f"no file says {name}"
        assert keys_below(key) <= said, f"no file says all of {name}"


def mapping_keys(value: Any) -> set[str]:
    """Every key of every mapping in a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {*(value if isinstance(value, dict) else ()), *(key for one in inner for key in mapping_keys(one))}


def keys_below(key: Key) -> set[str]:
    """Every key that may stand below another."""
    return {name for one in (key.keys or {}).values() for name in (one.name, *keys_below(one))}


@pytest.mark.parametrize(("path", "name"), SERVICES)
def test_every_difference_from_compose_is_declared(path: Path, name: str, made: Made, oracle: Oracle) -> None:
    meant = [place for entry in declared() for place in entry.places]
    unmeant = [one for one in found(made[path].result()[name], oracle) if not any(each.covers(one) for each in meant)]
    if unmeant:
        pytest.fail("not declared:\n" + "\n".join(map(str, unmeant)), pytrace=False)


def test_every_declared_difference_occurs(made: Made, oracle: Oracle) -> None:
    pairs = [pair for case in made.values() if not case.exception() for pair in case.result().values()]
    occurring = [difference for pair in pairs for difference in found(pair, oracle)]
    places = [(entry.name, place) for entry in declared() for place in entry.places]
    assert [(name, place) for name, place in places if not any(map(place.covers, occurring))] == []


@pytest.mark.parametrize(("path", "name"), SERVICES)
def test_both_answer_to_the_same_names(path: Path, name: str, made: Made, oracle: Oracle) -> None:
    """Compose adds the container's own name; and the service's, which on a shared network is nobody's with us."""
    pair = made[path].result()[name]
    ours, compose = (settings_of(one, pair.image)["networks"] for one in (pair.ours, pair.compose))
    assert ours.keys() == compose.keys()
    for network, aliases in compose.items():
        added = {str(pair.compose["Name"]).lstrip("/"), *(() if network.startswith(PREFIX) else (name,))}
        assert set(ours[network]) == set(aliases) - added


@pytest.mark.parametrize(("path", "name"), SERVICES)
def test_what_was_made_is_what_was_wanted(path: Path, name: str, made: Made, oracle: Oracle) -> None:
    pair = made[path].result()[name]
    for daemon in (oracle.daemon, None):  # whether or not the daemon's defaults are known
        wanted = settings_wanted(pair.wanted.payload, pair.image, daemon, pair.wanted.networks)
        assert differences(wanted, settings_of(pair.ours, pair.image, daemon)) == []
