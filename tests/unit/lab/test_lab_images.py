"""The lists of images."""

from __future__ import annotations

from pathlib import Path

import pytest
from labkit import images
from labkit.settings import RECIPES

from plugins.module_utils.model.errors import OpsError

STACKS = {"odoo18", "biznexus", "ocr", "langbot", "www"}


def test_every_stack_has_a_good_a_better_and_a_broken_release() -> None:
    tags = {image.name for image in images.standin_images()}
    assert tags == {f"{stack}:sha-{sha}" for stack in STACKS for sha in ("19b9b98", "724f892", "0badbad")}


@pytest.mark.parametrize("content", [None, "[", '[{"name": "odoo18"}]', '{"name": 1}'])
def test_a_list_that_cannot_be_read_is_told_with_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.setattr(images, "STANDINS", tmp_path)
    if content is not None:
        (tmp_path / "build.json").write_text(content)
    with pytest.raises(OpsError) as failure:
        images.standin_images()
    assert failure.value.where == str(tmp_path / "build.json")


def test_every_recipe_has_its_image_and_every_image_its_recipe() -> None:
    named = {*images.PART_IMAGES, *images.STACK_IMAGES, "aws", "database", "traefik"}
    assert {path.parent.name for path in RECIPES.glob("*/Dockerfile")} == named


def test_the_traefik_binary_is_there_and_executable() -> None:
    assert images.traefik_binary().stat().st_mode & 0o100
