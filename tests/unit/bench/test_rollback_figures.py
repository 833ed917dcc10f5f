"""How long a return took, told from a journal and from what visitors saw."""

from __future__ import annotations

import pytest

from tests.bench.load_figures import Sample
from tests.bench.rollback_figures import AIMS, MEANINGS, aims, first_met, last_met, moment, summary, table


def met(release: str, at: float, late: float = 0.0) -> Sample:
    return Sample("page", at, late, 0.01, release)


SAMPLES = [met("old", 1.0), met("new", 2.0), met("old", 2.1), met("new", 3.0), met("new", 3.9, 0.05), met("old", 4.0)]


def test_the_last_request_that_left_for_a_release_counts_with_its_lateness() -> None:
    assert last_met(SAMPLES, "new", 3.5) == pytest.approx(3.95)
    assert last_met(SAMPLES, "new", 3.96) == 3.96, "nobody met it afterwards: it was over when it was decided"


def test_the_first_one_that_met_a_release() -> None:
    assert first_met(SAMPLES, "new", 0.0) == 2.0
    with pytest.raises(LookupError, match="nobody met sha-x"):
        first_met(SAMPLES, "sha-x", 0.0)


def test_a_moment_is_the_journal_s() -> None:
    journal: list[dict[str, object]] = [
        {"step": "a", "event": "begin", "at": 1.0},
        {"step": "a", "event": "done", "at": 2.0},
        {"say": "x"},
    ]
    assert moment(journal, "a", "done") == 2.0
    with pytest.raises(LookupError, match="'a' failed"):
        moment(journal, "a", "failed")


def test_aims_are_held_against_medians() -> None:
    rows = {name: [1.0, 3.0, 2.0] for name in MEANINGS}
    figures = {**summary(rows), "requests": 10, "failed": 0}
    assert figures["manual_s"] == 2.0
    assert all(aim["holds"] for aim in aims(figures))
    for name, limit in AIMS.items():
        missed = [aim["aim"] for aim in aims({**figures, name: limit + 0.1}) if not aim["holds"]]
        assert missed == [f"{name} <= {limit:g}"]
    assert [aim["aim"] for aim in aims({**figures, "failed": 1}) if not aim["holds"]] == ["failed = 0"]
    text = "\n".join(table({**figures, "aims": aims(figures)}, rows))
    assert "manual_s" in text
    assert "10 requests meanwhile, 0 failed" in text
