"""The module host_setup on a real host: nothing half done, and nothing forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from testinfra.host import Host

Call = Callable[..., dict[str, Any]]

DIRECTORY = "/etc/seisei/probe"
SCRIPT = f"{DIRECTORY}/refuse_bad.sh"


def setting(text: str, **more: Any) -> dict[str, Any]:
    return {"path": f"{DIRECTORY}/setting", "content": text, **more}


@pytest.fixture
def call(run_module: Call) -> Call:
    return partial(run_module, "seisei.ops.host_setup")


@pytest.fixture(autouse=True)
def clean(host: Host) -> Iterator[None]:
    """A follow-up that, like a service, refuses a bad setting: and a note of what it saw."""
    host.check_output("mkdir -p %s", DIRECTORY)
    text = f"#!/bin/sh\ncat {DIRECTORY}/setting >> {DIRECTORY}/seen\n! grep -q bad {DIRECTORY}/setting\n"
    host.check_output("printf %s > %s", text, SCRIPT)
    host.check_output("chmod 700 %s", SCRIPT)
    yield
    host.check_output("rm -rf %s /run/seisei.pending", DIRECTORY)


def content(host: Host, name: str) -> str:
    text: str = host.file(f"{DIRECTORY}/{name}").content_string
    return text


def test_a_rehearsal_tells_and_changes_nothing(host: Host, call: Call) -> None:
    told = call(check=True, files=[setting("good\n", command=[SCRIPT])])
    assert told["changed"] is True
    assert told["steps"] == [f"place {DIRECTORY}/setting: it is not there", f"{SCRIPT}: {DIRECTORY}/setting changed"]
    assert told["diff"][0]["after"] == "good\n"
    assert not host.file(f"{DIRECTORY}/setting").exists


def test_a_file_is_placed_once_and_its_follow_up_runs_once(host: Host, call: Call) -> None:
    other = {"path": f"{DIRECTORY}/b", "content": "", "command": [SCRIPT]}
    wanted = [setting("good\n", mode="0640", command=[SCRIPT]), other]
    assert call(files=wanted)["changed"] is True
    assert call(files=wanted)["changed"] is False
    assert content(host, "seen") == "good\n"
    assert oct(host.file(f"{DIRECTORY}/setting").mode) == "0o640"


def test_a_file_that_is_not_valid_stops_all_of_them(host: Host, call: Call) -> None:
    other = {"path": f"{DIRECTORY}/b", "content": "b"}
    refused = call(files=[other, setting("bad\n", validate=["/bin/grep", "-q", "good", "%s"])])
    assert refused["failed"] is True
    assert refused["error"]["where"] == f"{DIRECTORY}/setting"
    assert "no file was changed" in refused["error"]["do"]
    assert host.check_output("ls -A %s", DIRECTORY) == "refuse_bad.sh"


def test_a_service_that_refuses_its_file_gets_the_old_one_back(host: Host, call: Call) -> None:
    call(files=[setting("good\n", mode="0600", command=[SCRIPT])])
    refused = call(files=[setting("bad\n", command=[SCRIPT])])
    assert "the previous files are back and in force" in refused["msg"]
    assert content(host, "setting") == "good\n"
    assert oct(host.file(f"{DIRECTORY}/setting").mode) == "0o600"
    assert content(host, "seen") == "good\nbad\ngood\n"
    assert call(files=[setting("good\n", mode="0600", command=[SCRIPT])])["changed"] is False


def test_a_file_that_was_not_there_is_not_there_again(host: Host, call: Call) -> None:
    host.check_output("printf '#!/bin/sh\n! test -e %s/setting\n' > %s", DIRECTORY, SCRIPT)
    assert "the previous files are back and in force" in call(files=[setting("x", command=[SCRIPT])])["msg"]
    assert not host.file(f"{DIRECTORY}/setting").exists


def test_what_an_interrupted_run_owed_is_done_by_the_next(host: Host, call: Call) -> None:
    """The first follow-up takes its own run down with it, as a lost host would."""
    host.check_output("printf '#!/bin/sh\nkill -KILL $PPID\n' > %s/cut && chmod 700 %s/cut", DIRECTORY, DIRECTORY)
    cut = {"path": f"{DIRECTORY}/a", "content": "", "command": [f"{DIRECTORY}/cut"]}
    assert call(files=[cut, setting("good\n", command=[SCRIPT])])["failed"] is True
    assert content(host, "setting") == "good\n"
    assert not host.file(f"{DIRECTORY}/seen").exists
    host.check_output("printf '#!/bin/sh\n' > %s/cut", DIRECTORY)
    again = call(files=[setting("good\n", command=[SCRIPT])])
    assert again["steps"] == [
        f"{DIRECTORY}/cut: an earlier run was interrupted before it",
        f"{SCRIPT}: an earlier run was interrupted before it",
    ]
    assert content(host, "seen") == "good\n"
    assert call(files=[setting("good\n", command=[SCRIPT])])["changed"] is False


def test_a_firewall_that_someone_removed_comes_back(host: Host, call: Call) -> None:
    unit = {"name": "seisei-firewall.service", "probe": ["/usr/sbin/nft", "list", "table", "inet", "seisei"]}
    assert call(units=[unit])["changed"] is False
    host.check_output("nft delete table inet seisei")
    assert "its effect is gone" in call(units=[unit])["steps"][0]
    assert "table inet seisei" in host.check_output("nft list tables")


def test_a_link_to_nowhere_is_refused_before_any_file(host: Host, call: Call) -> None:
    nowhere = {"path": f"{DIRECTORY}/zone", "target": "/usr/share/zoneinfo/Asia/Tokio"}
    refused = call(links=[nowhere], files=[setting("good\n")])
    assert "which this host does not have" in refused["msg"]
    assert host.check_output("ls -A %s", DIRECTORY) == "refuse_bad.sh"


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(host: Host, call: Call) -> None:
    host.check_output("printf keep > %s/elsewhere && ln -s elsewhere %s/setting", DIRECTORY, DIRECTORY)
    assert call(files=[setting("good\n")])["changed"] is True
    assert content(host, "elsewhere") == "keep"
    assert not host.file(f"{DIRECTORY}/setting").is_symlink
