"""Where Debian packages come from: what this machine's own apt is configured to use."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass

from labkit.settings import SUITE
from plugins.module_utils.model.errors import OpsError

# Settings of the machine's apt without which its mirror may not answer from inside a container either.
_CARRIED = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date")
_OVERRIDE = "LAB_DEBIAN_MIRROR"
_FORMAT = "$(SITE)|$(RELEASE)|$(ORIGIN)|$(COMPONENT)|$(CREATED_BY)"
_RELEASES = "bullseye|bookworm|trixie|forky|sid|oldoldstable|oldstable|stable|testing|unstable"
_DEBIAN_SUITE = re.compile(rf"(?:{_RELEASES})(-updates|-security)?")


@dataclass(frozen=True)
class Source:
    """One apt source: address of the archive and the suite in it."""

    uri: str
    suite: str

    def line(self) -> str:
        """The source as a line of sources.list."""
        return f"deb {self.uri} {self.suite} main"


def read_sources() -> tuple[Source, ...]:
    """The sources of Debian 13 as this machine reaches them; empty lets mmdebstrap take its own default.

    The environment variable LAB_DEBIAN_MIRROR names a mirror where the machine's configuration offers none.
    Raises OpsError where there is no apt.
    """
    override = os.environ.get(_OVERRIDE)
    if override:
        return (Source(override, SUITE),)
    return translate(_run("apt-get", "indextargets", "--format", _FORMAT))


def translate(targets: str) -> tuple[Source, ...]:
    """Turn the machine's index targets (``site|release|origin|component|kind`` lines) into sources of our suite.

    A Debian machine of any release reaches ours at the same addresses with the release replaced. Other sources
    (Ubuntu's, third parties') do not carry Debian 13 and are left out. Before the machine's first ``apt-get update``
    apt does not know the origin and leaves its place-holder standing.
    """
    found: list[Source] = []
    for line in targets.splitlines():
        site, release, origin, component, kind = line.split("|")
        suite = _DEBIAN_SUITE.fullmatch(release)
        if suite and kind == "Packages" and component == "main" and origin in ("Debian", "$(ORIGIN)"):
            source = Source(site, SUITE + (suite[1] or ""))
            if source not in found:
                found.append(source)
    return tuple(found)


def read_options() -> tuple[str, ...]:
    """The machine's apt settings that containers need as well, as lines of apt.conf."""
    lines = _run("apt-config", "dump").splitlines()
    return tuple(line for line in lines if line.split(" ", 1)[0] in _CARRIED and not line.endswith('"";'))


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError as error:
        raise OpsError(
            "the lab builds its images from Debian packages and finds no apt here",
            where=command[0],
            do="run the lab on Debian 12, Debian 13 or Ubuntu",
        ) from error
    except subprocess.CalledProcessError as error:
        raise OpsError(f"apt cannot tell its configuration ({error.stderr.strip()})", where=command[0]) from error
