"""Everything is pinned, once: the environment is what requirements.txt says, and requirements.yml what it carries."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path

import ansible_collections
import pytest
import yaml

NOT_PINNED = {"pip", "setuptools", "wheel"}
PLACES = ("playbooks/*.yml", "roles/**/*.yml", "molecule/*/*.yml")
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[\w.!+-]+)$")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """The packages of a requirements file; a line that is not a plain pin is an error."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = PIN.match(line)
        assert match, f"not a pin: {line}"
        assert _normal(match["name"]) not in found, f"pinned twice: {line}"
        found[_normal(match["name"])] = match["version"]
    return found


def _carried() -> dict[str, str]:
    """The collections of the installed bundle, with their versions."""
    found = {}
    for base in ansible_collections.__path__:
        for manifest in Path(base).glob("*/*/MANIFEST.json"):
            about = json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]
            found[f"{about['namespace']}.{about['name']}"] = about["version"]
    return found


def _used(root: Path, known: set[str]) -> set[str]:
    """The collections that tasks name in full."""
    names = re.compile(r"^\s*(?:- )?\"?(" + "|".join(re.escape(name) for name in sorted(known)) + r")\.\w+\"?:", re.M)
    texts = (file.read_text(encoding="utf-8") for place in PLACES for file in root.glob(place))
    return {match for text in texts for match in names.findall(text)}


def test_the_environment_is_what_the_file_says(root: Path) -> None:
    wanted = pins((root / "requirements.txt").read_text())
    observed = {_normal(each.name): each.version for each in metadata.distributions()}
    assert observed.keys() - wanted.keys() <= NOT_PINNED, "installed and not pinned"
    assert {name: observed.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    "line", ["rich", "rich>=15", "rich==15.0.0 --hash=sha256:00", "-i http://x/simple", "rich @ x"]
)
def test_a_line_that_is_no_pin_is_seen(line: str) -> None:
    with pytest.raises(AssertionError, match="not a pin"):
        pins(f"# fine\nansible==14.5.0\n{line}\n")


def test_collections_are_those_of_the_bundle(root: Path) -> None:
    asked = yaml.safe_load((root / "requirements.yml").read_text())["collections"]
    carried = _carried()
    assert len(carried) > 10, "the bundle is not installed"
    assert {each["name"]: each["version"] for each in asked} == {
        each["name"]: carried.get(each["name"]) for each in asked
    }
    assert all(each.keys() == {"name", "version"} for each in asked), "no source: they come with the bundle"


def test_collections_asked_for_are_those_used(root: Path) -> None:
    asked = {each["name"] for each in yaml.safe_load((root / "requirements.yml").read_text())["collections"]}
    assert asked == _used(root, set(_carried()))


def test_a_used_collection_is_seen(tmp_path: Path) -> None:
    role = tmp_path / "roles" / "a" / "tasks"
    role.mkdir(parents=True)
    (role / "main.yml").write_text("- name: A\n  ansible.posix.sysctl:\n    name: community.docker.x\n")
    assert _used(tmp_path, {"ansible.posix", "community.docker"}) == {"ansible.posix"}
