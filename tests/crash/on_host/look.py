"""Runs on a host of the lab: prints, as JSON, all that tells whether a stack is at rest. Argument: stack."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

ROOT, RUN = Path("/var/lib/seisei"), Path("/run/seisei")


def command(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=15).stdout


def containers(stack: str) -> list[dict[str, Any]]:
    names = command("docker", "ps", "-aq", "--no-trunc", "--filter", f"label=ops.seisei.stack={stack}").split()
    found = json.loads(command("docker", "inspect", *names)) if names else []
    return [
        {
            "name": one["Name"].lstrip("/"),
            "number": int(one["Config"]["Labels"].get("ops.seisei.number", 0)),
            "running": one["State"]["Running"],
            "health": (one["State"].get("Health") or {}).get("Status", ""),
        }
        for one in found
    ]


def urls_of(services: dict[str, Any]) -> list[str]:
    return sorted(
        server["url"] for service in services.values() for server in service.get("loadBalancer", {}).get("servers", [])
    )


def placed(stack: str) -> list[str]:
    path = ROOT / "edge" / "dynamic" / f"{stack}.yml"
    return urls_of(json.loads(path.read_text())["http"]["services"]) if path.exists() else []


def served(stack: str) -> list[str]:
    address = command(
        "docker", "inspect", "edge-traefik", "--format", '{{(index .NetworkSettings.Networks "edge").IPAddress}}'
    ).strip()
    with urllib.request.urlopen(f"http://{address}:8082/api/http/services", timeout=5) as answer:
        every = json.load(answer)
    return urls_of({one["name"]: one for one in every if one["name"].startswith(f"{stack}-")})


def locked(stack: str) -> bool:
    path = RUN / f"{stack}.lock"
    if not path.exists():
        return False
    with path.open("r") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def units(stack: str) -> list[str]:
    states = "--state=active,activating,deactivating,reloading"
    text = command("systemctl", "list-units", f"seisei-release-{stack}*", states, "--plain", "--no-legend")
    return [line.split()[0] for line in text.splitlines() if line.strip()]


def main() -> None:
    stack = sys.argv[1]
    folder = ROOT / "stacks" / stack
    try:
        told = {
            "state": json.loads((folder / "state.json").read_text()),
            "records": {
                path.stem: {"release": json.loads(path.read_text())["release"]}
                for path in (folder / "records").glob("[0-9]*.json")
            },
            "containers": containers(stack),
            "placed": placed(stack),
            "served": served(stack),
            "locked": locked(stack),
            "begun": (folder / "transaction.json").exists(),
            "units": units(stack),
            "drafts": sorted(str(path) for path in [*folder.rglob(".*.part"), *(ROOT / "edge" / "incoming").glob("*")
                                                     ] if path.suffix in (".part", ".draft")),
        }  # fmt: skip
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        told = {"error": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
