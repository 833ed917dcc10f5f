"""A full disk keeps nobody from going back: a file system of some megabytes that is really full, where one can be had.

Mounting one takes rights that a test has only in a namespace of its own, so a child process does it there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from plugins.module_utils.gateway import reserve
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.model.begun import Begun
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.release import StackState

REPOSITORY = Path(__file__).parents[3]
BEGUN = Begun("0123456789ab", "shop", 2, "roll_back", StackState(live=1), was_present=False, began="now")
ON_A_FULL_DISK = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.unit.release.test_reserve import BEGUN
from tests.unit.release.test_library import payload
from plugins.module_utils.gateway import library, reserve
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.model.errors import OpsError

root, step = Path(sys.argv[1]), sys.argv[3]
state = HostState(root)
if step != "nothing":
    reserve.renew(root)
    assert (root / "reserve").stat().st_blocks * 512 == reserve.SIZE
archive = payload(Path("/tmp"), "full") if step == "library" else None
with (root / "rows").open("wb", buffering=0) as handle:
    try:
        while handle.write(bytes(4096)): pass
    except OSError: pass
try:
    library.keep(archive, root / "lib") if step == "library" else state.begin(BEGUN)
except OpsError as error:
    print(error, sorted(path.name for path in root.rglob("*.part")))
    raise SystemExit(7)
state.begin(BEGUN)
for number in range(40):
    state.journal("shop", {"step": "switch the edge"})
assert not (root / "reserve").exists()
reserve.renew(root)
assert not list(root.glob("reserve*")), "a full disk has nothing to keep back"
(root / "rows").unlink()
state.ended("shop")
assert (root / "reserve").exists()
"""


def on_a_full_disk(folder: Path, step: str) -> subprocess.CompletedProcess[str]:
    mount = f'mount -t tmpfs -o size=16m none "{folder}" && exec "$0" -c "$1" "{folder}" "{REPOSITORY}" {step}'
    argv = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, sys.executable, ON_A_FULL_DISK]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    can = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True, check=False)
    if can.returncode:
        pytest.skip("no namespace of its own to be had here")
    return tmp_path


@pytest.mark.parametrize("step", ["begin", "library"])
def test_what_begins_on_a_full_disk_is_written_in_what_was_kept_back(folder: Path, step: str) -> None:
    done = on_a_full_disk(folder, step)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_anything_kept_back_it_is_said_how_to_free_the_disk_and_how_not(folder: Path) -> None:
    done = on_a_full_disk(folder, "nothing")
    assert done.returncode == 7, done.stdout + done.stderr
    assert "No space left on device" in done.stdout
    assert "journalctl --vacuum-size=100M" in done.stdout
    assert "never with 'docker system prune'" in done.stdout
    assert done.stdout.rstrip().endswith("[]"), "half a file takes nothing away"


def test_another_fault_of_the_disk_leaves_what_is_kept_back(tmp_path: Path) -> None:
    reserve.renew(tmp_path)
    (tmp_path / "stacks").write_text("in the way")
    with pytest.raises(OpsError, match="repair the disk"):
        HostState(tmp_path).begin(BEGUN)
    assert (tmp_path / "reserve").exists()
