"""Where this machine gets its packages from, asked of its own tools, so that no such name has to be written here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

_HOST = re.compile(r"(?:https?|ftp)://(?:[^@/\s]*@)?([a-z0-9.-]+\.[a-z]{2,})", re.IGNORECASE)
_LOCAL = ("localhost", "example.com")


@cache
def package_hosts() -> frozenset[str]:
    """Host names of the indexes and mirrors of pip, npm, apt and Galaxy, as configured and by default."""
    texts = (_pip(), _npm(), _apt(), _galaxy())
    found = {host.lower() for text in texts for host in _HOST.findall(text)} | _pip_defaults()
    return frozenset(host for host in found if host not in _LOCAL)


def _pip() -> str:
    return _said_by(sys.executable, "-m", "pip", "config", "list")


def _pip_defaults() -> set[str]:
    from pip._internal.models.index import PyPI  # noqa: PLC0415 - the only place that knows pip's own default

    return {PyPI.netloc, PyPI.file_storage_domain}


def _npm() -> str:
    return _said_by("npm", "config", "get", "registry")


def _apt() -> str:
    lists = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in lists if file.is_file())


def _galaxy() -> str:
    from ansible.constants import config  # noqa: PLC0415 - slow to import, needed once

    return str(config.get_config_value("GALAXY_SERVER"))


def _said_by(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
