"""What keeps a machine from running the lab is said before anything is started."""

from __future__ import annotations

from dataclasses import replace

from labkit.checks import Machine, judge
from labkit.settings import GIB, Lab

FIT = Machine(
    disk_free=40 * GIB,
    memory_available=8 * GIB,
    api=(1, 41),
    subnets={"bridge": ("172.17.0.0/16",), "host": ()},
    missing_tools=(),
)


def complaints(machine: Machine, *, built: bool = False) -> list[str]:
    return [str(error) for error in judge(machine, Lab(), built=built)]


def test_a_fit_machine_gets_no_complaint() -> None:
    assert complaints(FIT) == []


def test_too_little_disk_is_told_with_both_figures() -> None:
    (complaint,) = complaints(replace(FIT, disk_free=3 * GIB))
    assert "3.0 GiB of disk are free where the lab needs 12.0 GiB" in complaint
    assert "Next: " in complaint


def test_too_little_memory_is_told() -> None:
    (complaint,) = complaints(replace(FIT, memory_available=GIB))
    assert "1.0 GiB of memory are available" in complaint


def test_a_lab_that_runs_already_needs_no_room() -> None:
    assert complaints(replace(FIT, memory_available=GIB, disk_free=GIB), built=True) == []


def test_an_engine_that_is_too_old_is_told() -> None:
    (complaint,) = complaints(replace(FIT, api=(1, 39)))
    assert "speaks API 1.39" in complaint


def test_a_subnet_that_another_network_overlaps_is_told_with_its_name() -> None:
    (complaint,) = complaints(replace(FIT, subnets={"theirs": ("10.208.0.0/12",)}))
    assert "taken by Docker network theirs (10.208.0.0/12)" in complaint


def test_the_labs_own_network_is_no_obstacle() -> None:
    assert complaints(replace(FIT, subnets={"seisei-lab": ("10.213.0.0/24",)})) == []


def test_missing_tools_are_told_as_packages() -> None:
    (complaint,) = complaints(replace(FIT, missing_tools=("mmdebstrap", "openssh-client")))
    assert "mmdebstrap openssh-client" in complaint


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert len(complaints(replace(FIT, disk_free=0, memory_available=0, api=(1, 40)))) == 3
