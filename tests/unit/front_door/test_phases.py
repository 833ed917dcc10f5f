"""Counting of bin/test.py: what is green, what is not, and that nothing is never green."""

from __future__ import annotations

from pathlib import Path

import pytest

from bin import bench, check
from bin import test as phases
from bin.test import Phase, Tally

PASSES = "def test_a(): pass\n"
FAILS = "def test_b(): assert False\n"
BREAKS = "import pytest\n@pytest.fixture\ndef broken(): raise OSError\ndef test_c(broken): pass\n"
SKIPS = "import pytest\n@pytest.mark.skip\ndef test_d(): pass\n"


@pytest.fixture(autouse=True)
def own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "RESULTS", tmp_path)


def count(folder: Path, *texts: str) -> Tally:
    for number, text in enumerate(texts):
        (folder / f"test_{number}.py").write_text(text)
    return phases.pytest("case", "-q", "--rootdir", str(folder), "-p", "no:cacheprovider", str(folder))


def test_a_run_is_counted_from_its_own_record(tmp_path: Path) -> None:
    tally = count(tmp_path, PASSES, FAILS, BREAKS, SKIPS)
    assert tally == Tally(passed=1, failed=1, errors=1, skipped=1)
    assert not tally.ok
    assert str(tally) == "1 failed, 1 passed, 1 skipped, 1 error"


def test_all_passed_is_green(tmp_path: Path) -> None:
    assert count(tmp_path, PASSES, SKIPS) == Tally(passed=1, skipped=1)


def test_no_tests_is_an_error(tmp_path: Path) -> None:
    assert count(tmp_path, "") == Tally(errors=1)


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert phases.pytest("case", str(tmp_path / "nowhere")).errors == 1


def test_a_phase_without_tests_is_an_error() -> None:
    ended = phases.run_phase(Phase("empty", Tally), lab_is_up=True)
    assert ended.tally == Tally(errors=1)
    assert ended.trouble == ["it has no tests"]


def test_a_phase_that_only_skips_is_an_error() -> None:
    assert not phases.run_phase(Phase("idle", lambda: Tally(skipped=3)), lab_is_up=True).tally.ok


def test_what_needs_the_lab_is_an_error_without_it() -> None:
    ended = phases.run_phase(Phase("far", lambda: Tally(passed=1), needs_lab=True), lab_is_up=False)
    assert ended.tally == Tally(errors=1)
    assert phases.run_phase(Phase("near", lambda: Tally(passed=1)), lab_is_up=False).tally.ok


def test_the_run_ends_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = Phase("good", lambda: Tally(passed=2)), Phase("bad", lambda: Tally(passed=1, failed=1))
    monkeypatch.setattr(phases, "phases", lambda: [good, bad])
    assert phases.main([]) == 1
    assert " 1 failed, 3 passed in " in capsys.readouterr().out.splitlines()[-1]
    assert phases.main(["good"]) == 0
    assert phases.main(["unknown"]) == 2


def test_a_lab_that_fails_stops_what_needs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never() -> Tally:
        raise AssertionError("it ran without a lab")

    after = Phase("after", never, needs_lab=True)
    monkeypatch.setattr(phases, "phases", lambda: [Phase("lab", lambda: Tally(failed=1)), after])
    assert phases.main([]) == 1
    assert "the lab is not up" in capsys.readouterr().out


def test_real_phases_cover_all_folders_of_tests(root: Path) -> None:
    text = (root / "bin" / "test.py").read_text()
    folders = {path.parent.relative_to(root / "tests").parts[0] for path in (root / "tests").rglob("test_*.py")}
    assert {folder for folder in folders if f'"tests/{folder}"' not in text} == set()


def test_an_unknown_check_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["rufff"]) == 2
    assert "Next: take one of" in capsys.readouterr().err


def test_an_unknown_measurement_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["speed-of-light"]) == 2
    assert "there is no measurement 'speed-of-light'" in capsys.readouterr().err
