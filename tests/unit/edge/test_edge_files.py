"""Placing the edge's files: whole, durable, reversible, and what is found that is not ours."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from plugins.module_utils.gateway.edge import EdgeApi, EdgeFiles, config_errors, render
from plugins.module_utils.model.errors import OpsError


@pytest.fixture
def files(tmp_path: Path) -> EdgeFiles:
    edge = EdgeFiles(tmp_path / "edge", owner=tmp_path.stat().st_uid)
    edge.prepare()
    return edge


def test_prepare_says_whether_it_did_something(tmp_path: Path) -> None:
    edge = EdgeFiles(tmp_path / "edge", owner=tmp_path.stat().st_uid)
    assert edge.prepare() is True
    assert edge.prepare() is False
    assert edge.acme.stat().st_mode & 0o777 == 0o700
    edge.acme.chmod(0o755)
    assert edge.prepare() is True
    assert edge.acme.stat().st_mode & 0o777 == 0o700


def test_place_replaces_whatever_stands_there(files: EdgeFiles) -> None:
    files.place("shop", {"http": {"a": 1}})
    (files.dynamic / "shop.yml").write_bytes(b"\xff broken by hand")
    files.place("shop", {"http": {"a": 2}})
    assert (files.dynamic / "shop.yml").read_text() == render({"http": {"a": 2}})
    files.remove("shop")
    assert not (files.dynamic / "shop.yml").exists()
    assert list(files.incoming.iterdir()) == []


def test_edge_can_read_what_is_placed(files: EdgeFiles) -> None:
    files.place("shop", {})
    assert (files.dynamic / "shop.yml").stat().st_mode & 0o777 == 0o644


def test_reader_never_sees_a_cut_or_missing_file(files: EdgeFiles) -> None:
    configs = [{"http": {"filler": "x" * size}} for size in (10, 50_000)]
    files.place("shop", configs[0])
    wrong: list[str] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            try:
                seen = json.loads((files.dynamic / "shop.yml").read_text())
            except (OSError, ValueError) as error:
                wrong.append(repr(error))
            else:
                wrong.extend([] if seen in configs else ["another text"])

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(200):
        files.place("shop", configs[number % 2])
    stop.set()
    reader.join()
    assert wrong == []


def test_remove_says_whether_there_was_one(files: EdgeFiles) -> None:
    files.place("shop", {})
    assert files.remove("shop") is True
    assert files.remove("shop") is False


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden"])
def test_only_stack_names_become_files(files: EdgeFiles, name: str) -> None:
    with pytest.raises(OpsError, match="cannot be the name of a stack"):
        files.place(name, {})


def test_place_without_directories_says_where(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="cannot place the edge's file: No such file") as caught:
        EdgeFiles(tmp_path / "nothing").place("shop", {})
    assert caught.value.where.endswith("nothing/dynamic/shop.yml")


def test_what_is_not_ours_is_told(files: EdgeFiles) -> None:
    files.place("shop", {"http": {}})
    (files.dynamic / "empty.yml").write_text("")
    (files.dynamic / "hand.yaml").write_text("http: {}\n")
    (files.dynamic / "list.yml").write_text("[]")
    (files.dynamic / "notes.txt").write_text("not read by the edge")
    (files.dynamic / "below").mkdir()
    (files.dynamic / "below" / "deep.toml").write_text("[http]")
    told = {Path(error.where).name: error.what for error in files.broken()}
    assert set(told) == {"empty.yml", "hand.yaml", "list.yml", "deep.toml"}
    assert "empty" in told["empty.yml"]
    assert "not one of ours" in told["hand.yaml"]
    assert files.all() == {"shop": {"http": {}}}


def test_link_that_leads_nowhere_is_told(files: EdgeFiles) -> None:
    (files.dynamic / "gone.yml").symlink_to("/nonexistent/target")
    assert "cannot be read" in files.broken()[0].what


LOG = """\
{"level":"info","message":"Traefik version 3.7.15 built on 2026-10-15T14:33:48Z"}
{"level":"error","providerName":"file","error":"collecting file configs: /d/a.yml: yaml: line 1","message":"Error"}
not of the logger
{"level":"error","providerName":"acme","error":"unable to obtain ACME certificate"}
"""


def test_last_refusal_is_found_in_the_log() -> None:
    assert [error.what for error in config_errors(LOG)] == ["collecting file configs: /d/a.yml: yaml: line 1"]
    assert config_errors("") == []


def test_api_that_does_not_answer_is_told_after_the_deadline() -> None:
    config = {"http": {"services": {"a": {"loadBalancer": {"servers": [{"url": "http://a:1"}]}}}}}
    with pytest.raises(OpsError, match=r"within 0\.05 s: .*does not answer"):
        EdgeApi("http://127.0.0.1:1").wait_live(config, 0.05)


def test_api_needs_an_address() -> None:
    with pytest.raises(OpsError, match="is not an address"):
        EdgeApi("unix:///var/run/x.sock")
