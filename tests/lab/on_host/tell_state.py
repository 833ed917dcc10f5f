"""Runs on a host of the lab: prints, as JSON, all that the estate left there of some stacks (arguments; none: all)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path("/var/lib/seisei")
SECRETS = Path("/run/seisei/secrets")


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout


def containers(stacks: list[str]) -> dict[str, Any]:
    names = docker("ps", "-aq", "--no-trunc").split()
    found = json.loads(docker("inspect", *names)) if names else []
    told = {}
    for one in found:
        labels = one["Config"]["Labels"] or {}
        if labels.get("ops.seisei.stack", "") not in stacks:
            continue
        told[one["Name"].lstrip("/")] = {
            "id": one["Id"],
            "stack": labels["ops.seisei.stack"],
            "service": labels.get("ops.seisei.service", ""),
            "number": int(labels.get("ops.seisei.number", 0)),
            "image": one["Config"]["Image"],
            "running": one["State"]["Running"],
            "started": one["State"]["StartedAt"],
            "networks": sorted(one["NetworkSettings"]["Networks"]),
        }
    return told


def files(stacks: list[str]) -> dict[str, str]:
    places = [ROOT / "edge" / "incoming"]
    for stack in stacks:
        places += [ROOT / "stacks" / stack, ROOT / "configs" / stack, SECRETS / stack]
    found = [path for place in places for path in place.rglob("*") if path.is_file()]
    found += [path for stack in stacks if (path := ROOT / "edge" / "dynamic" / f"{stack}.yml").exists()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(found)}


def state(stack: str) -> dict[str, Any]:
    path = ROOT / "stacks" / stack / "state.json"
    told: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    record = ROOT / "stacks" / stack / "records" / f"{told.get('live', 0)}.json"
    live = json.loads(record.read_text()) if record.exists() else {}
    return {**told, "release": live.get("release", ""), "digests": live.get("digests", {})}


def journal(stack: str) -> list[dict[str, Any]]:
    path = ROOT / "stacks" / stack / "journal.jsonl"
    lines = path.read_text().splitlines()[-60:] if path.exists() else []
    return [json.loads(line) for line in lines]


def main() -> None:
    known = sorted(path.name for path in (ROOT / "stacks").iterdir())
    stacks = sys.argv[1:] or [*known, "edge"]
    names = ("network", "volume")
    told = {
        "containers": containers(stacks),
        "files": files(stacks),
        "state": {stack: state(stack) for stack in stacks},
        "journal": {stack: journal(stack) for stack in stacks},
        "names": {name: sorted(docker(name, "ls", "--format", "{{.Name}}").split()) for name in names},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
