"""Errands of a run: asked once for all its workers, told as it was, and over with the run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.gateway import registry, secret_store
from plugins.module_utils.gateway.outside import Outside
from plugins.module_utils.model.environment import Aws, Registry

ROOT = Path(__file__).resolve().parents[3]

# A run in small: forks the process beside it, then a worker for each question, as Ansible does.
RUN = """
import json, os, signal, socket, sys, time
from pathlib import Path
from plugins.module_utils.gateway import errands
from plugins.module_utils.model.environment import Aws
from plugins.module_utils.model.errors import OpsError

class Outside:
    asked = 0
    def values(self, aws, ids):
        if "absent" in ids:
            raise OpsError("it is not there", where="store", do="create it")
        self.asked += 1
        return {"by": str(os.getpid()), "asked": str(self.asked)}

errands.Outside = Outside
errands._warm = lambda: None

def worker(ids):
    inward, outward = os.pipe()
    if os.fork() == 0:
        try:
            told = errands.outside().values(Aws(), ids)
        except OpsError as error:
            told = error.as_dict()
        os.write(outward, json.dumps(told).encode())
        os._exit(0)
    os.close(outward)
    os.wait()
    return json.loads(os.read(inward, 9999))

folder = Path(sys.argv[1])
errands.start(folder)
errands.start(folder)
limit = time.monotonic() + 10
with socket.socket(socket.AF_UNIX) as line:  # there before it listens: a worker that came between would ask for itself
    while line.connect_ex(str(folder / "errands")) and time.monotonic() < limit:
        time.sleep(0.01)
told = {"run": os.getpid(), "first": worker(["a"]), "second": worker(["b"]), "refused": worker(["absent"])}
if len(sys.argv) > 2:
    os.kill(int(told["first"]["by"]), signal.SIGKILL)
    os.wait()
    told["alone"] = worker(["a"])
print(json.dumps(told))
"""


def a_run(folder: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return dict(json.loads(done.stdout))


def test_all_workers_are_answered_by_one_process_that_is_not_the_run(tmp_path: Path) -> None:
    told = a_run(tmp_path)
    assert told["first"]["by"] == told["second"]["by"] != str(told["run"])
    assert [told["first"]["asked"], told["second"]["asked"]] == ["1", "2"]


def test_a_refusal_arrives_as_it_was_told(tmp_path: Path) -> None:
    assert a_run(tmp_path)["refused"] == {"what": "it is not there", "where": "store", "do": "create it"}


def test_the_process_ends_with_the_run(tmp_path: Path) -> None:
    process = Path("/proc") / a_run(tmp_path)["first"]["by"] / "cmdline"
    end = time.monotonic() + 10
    while process.exists() and process.read_bytes() and time.monotonic() < end:
        time.sleep(0.01)
    assert not process.exists() or not process.read_bytes()


def test_without_the_process_workers_ask_for_themselves(tmp_path: Path) -> None:
    told = a_run(tmp_path, "kill it")
    assert told["alone"]["by"] not in (told["first"]["by"], str(told["run"]))


def test_a_secret_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def ask(_store: object, ids: list[str]) -> dict[str, Any]:
        asked.append(ids)
        return {"SecretValues": [{"Name": name, "ARN": f"arn:{name}", "SecretString": name.upper()} for name in ids]}

    monkeypatch.setattr(secret_store.SecretStore, "_ask", ask)
    outside = Outside()
    assert outside.values(Aws(), ["a", "b"]) == {"a": "A", "b": "B"}
    assert outside.values(Aws(), ["b", "c"]) == {"b": "B", "c": "C"}
    assert outside.values(Aws(region="elsewhere"), ["a"]) == {"a": "A"}
    assert asked == [["a", "b"], ["c"], ["a"]]


def test_a_digest_is_asked_for_once_and_by_login(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def digest(_registry: object, image: str) -> str:
        asked.append(image)
        return f"sha256:{image}"

    monkeypatch.setattr(registry.ImageRegistry, "digest", digest)
    outside, here = Outside(), Registry(server="r")
    assert outside.digests(here, "password", ["r/a:1", "r/a:1"]) == {"r/a:1": "sha256:r/a:1"}
    assert outside.digests(here, "password", ["r/a:1", "r/b:1"])["r/b:1"] == "sha256:r/b:1"
    outside.digests(here, "another", ["r/a:1"])
    assert asked == ["r/a:1", "r/b:1", "r/a:1"]
