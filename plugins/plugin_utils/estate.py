"""The controller's side of every doorway: read the estate, resolve what a host cannot, run the module there.

An action derives from :class:`EstateAction` and implements :meth:`EstateAction.act`; failures become one sentence here.
"""

from __future__ import annotations

import getpass
import json
import platform
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.gateway.errands import Errands, outside
from ..module_utils.gateway.outside import Outside
from ..module_utils.gateway.stack_file import read_document
from ..module_utils.model.document import Node, nearest
from ..module_utils.model.environment import Environment, parse_environment
from ..module_utils.model.errors import InvalidInput, OpsError
from ..module_utils.model.interpolation import interpolate
from ..module_utils.model.stack import RELEASE_MARK, Stack, parse_stack
from ..module_utils.model.statement import definition_of
from ..module_utils.plan.smoke import unplaced
from . import payloads

ROOT = Path(__file__).resolve().parents[2]
STACKS = ROOT / "inventories" / "stacks"

# A shell's exit code for a child that a signal ended is this plus the signal's number.
_KILLED = 128
_LAB = "lab"


def stack_names() -> list[str]:
    """Names of all declared stacks."""
    return sorted(path.stem for path in STACKS.glob("*.yml"))


def load_stack(name: str, variables: Mapping[str, str], *, folder: Path = STACKS) -> Stack:
    """Read, resolve and check one stack file; ``${RELEASE}`` stays.

    Raises OpsError for an unknown stack, InvalidInput with everything that is wrong in its file.
    """
    path = folder / f"{name}.yml"
    if not path.exists():
        names = sorted(found.stem for found in folder.glob("*.yml"))
        guess = nearest(name, names)
        raise OpsError(
            f"there is no stack '{name}'",
            where=f"inventories/stacks/{name}.yml",
            do=f"did you mean '{guess}'?" if guess else f"known stacks: {', '.join(names)}",
        )
    document = read_document(path, f"inventories/stacks/{path.name}")
    tree = interpolate(document, variables)
    document.finish()
    stack = parse_stack(Node(tree, document.source, (), document.lines))
    if stack.name != name:
        raise OpsError(
            f"says name: {stack.name}", where=document.source, do=f"name the file or the stack alike: {name}"
        )
    if errors := unplaced(stack.ops.smoke, stack.ops.routes):
        raise InvalidInput(errors)
    return stack


def stack_source(name: str, *, folder: Path = STACKS) -> dict[str, Any]:
    """A stack file's tree as it stands in the repository, its names not resolved.

    Raises OpsError when it cannot be read.
    """
    return dict(read_document(folder / f"{name}.yml", f"inventories/stacks/{name}.yml").value)


def stack_definition(name: str, *, folder: Path = STACKS) -> str:
    """The fingerprint by which statements know a stack's definition; see :func:`stack_source`."""
    return definition_of(stack_source(name, folder=folder))


class CutOff(OpsError):
    """A module was killed before it could answer."""


class EstateAction(ActionBase):  # type: ignore[misc]
    """Base of our actions. ``self.environment`` is the environment of the host at hand."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run :meth:`act` and tell its failure in one sentence."""
        result: dict[str, Any] = super().run(tmp, task_vars) or {}
        self.task_vars = task_vars or {}
        try:
            result.update(self.act())
        except OpsError as error:
            result.update(failed=True, msg=str(error), error=error.as_dict())
        return result

    def act(self) -> dict[str, Any]:
        """Do it; returns the task's result."""
        raise NotImplementedError

    @property
    def arguments(self) -> dict[str, Any]:
        """The task's arguments."""
        return dict(self._task.args)

    @property
    def rehearsal(self) -> bool:
        """Whether this run only rehearses (``--check``)."""
        return bool(self._task.check_mode)

    @cached_property
    def environment(self) -> Environment:
        """The environment that the host belongs to."""
        found = self.task_vars.get("ops_environment")
        host = self.task_vars.get("inventory_hostname", "?")
        if found is None:
            raise OpsError(
                "the variable ops_environment is missing",
                where=f"host {host}",
                do="put the host into a group with group_vars/<environment>/environment.yml",
            )
        return parse_environment(Node(self._templar.template(found), "ops_environment"))

    def stack(self, name: str) -> Stack:
        """A stack as this environment resolves it."""
        return load_stack(name, self.variables)

    def variable(self, name: str) -> Any:
        """A variable of the host at hand, resolved; None when it is not set."""
        return self._templar.template(self.task_vars.get(name))

    @property
    def variables(self) -> Mapping[str, str]:
        """What stack files know as ${NAME} in this environment."""
        return {
            "REGISTRY": self.environment.registry.server,
            "ENVIRONMENT": self.environment.name,
            **self.environment.variables,
        }

    def stack_tree(self, name: str) -> dict[str, Any]:
        """The resolved tree of a stack, as a host gets it."""
        return dict(self.stack(name).tree)

    def secrets_for(self, names: Iterable[str]) -> dict[str, str]:
        """Values of the environment's secrets, by the names that stack files use."""
        wanted = {name: self._secret_id(name) for name in names}
        values = self.values(wanted.values()) if wanted else {}
        return {name: values[key] for name, key in wanted.items()}

    def _secret_id(self, name: str) -> str:
        known = self.environment.secrets
        if name not in known:
            guess = nearest(name, known)
            raise OpsError(
                f"secret '{name}' is not declared in environment '{self.environment.name}'",
                where="ops_environment.secrets",
                do=f"did you mean '{guess}'?" if guess else f"add {name}: <its id in the secrets store>",
            )
        return known[name]

    def values(self, ids: Iterable[str]) -> dict[str, str]:
        """Secrets by their id in the store."""
        return self._outside.values(self.environment.aws, ids)

    @cached_property
    def _outside(self) -> Errands | Outside:
        return outside()

    @cached_property
    def _registry_password(self) -> str:
        secret = self.environment.registry.password_secret
        return self.values([secret])[secret] if secret else ""

    def registry_auth(self) -> str:
        """The registry login as the engine takes it, as JSON; empty without a login.

        One text, because a module hides every value of an argument that is a secret, wherever it stands in its answer:
        a user called ``ops`` would take the ``ops`` out of every line.
        """
        registry = self.environment.registry
        login = {"username": registry.username, "password": self._registry_password}
        return json.dumps(login) if registry.username else ""

    def digests(self, images: Iterable[str]) -> dict[str, str]:
        """The digest of every image, asked of the registry in parallel."""
        return self._outside.digests(self.environment.registry, self._registry_password, images)

    def release_digests(self, stack: Stack, release: str) -> dict[str, str]:
        """Digest per released service at a release."""
        images = {service.name: service.image.replace(RELEASE_MARK, release) for service in stack.released}
        found = self.digests(images.values())
        return {name: found[image] for name, image in images.items()}

    def release_arguments(self, name: str, release: str) -> dict[str, Any]:
        """What a module needs to bring a stack to a release that this host may not know yet, save the secrets.

        Raises OpsError when the release's tag is not at the registry.
        """
        stack = self.stack(name)
        digests = self.digests(service.image for service in stack.accessories) | self.release_digests(stack, release)
        arguments = self.recorded_arguments(name)
        arguments["entry"]["digests"] = digests
        return arguments

    def secret_arguments(self, name: str) -> dict[str, Any]:
        """The secrets that go with :meth:`release_arguments`. Raises OpsError when one is missing in the store."""
        return {"secrets": self.secrets_for(self.stack(name).secrets), "registry_auth": self.registry_auth()}

    def recorded_arguments(self, name: str) -> dict[str, Any]:
        """What a module needs to act on what the host has on record; neither registry nor secrets store is asked."""
        return {
            "entry": {
                "name": name,
                "tree": self.stack_tree(name),
                "digests": {},
                "stack_file": stack_definition(name),
            },
            "environment_name": self.environment.name,
            "requested_by": f"{getpass.getuser()}@{platform.node()}",
        }

    def run_module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Run one of our modules on the host.

        Raises OpsError when it was killed there before it could answer.
        """
        with payloads.kept(name, ROOT):
            result: dict[str, Any] = self._execute_module(
                module_name=f"seisei.ops.{name}", module_args=dict(arguments), task_vars=self.task_vars
            )
        result.pop("invocation", None)  # it would repeat the whole estate in every report
        if result.get("failed") and int(result.get("rc") or 0) > _KILLED:
            raise CutOff(
                f"the run on the host was cut off before it could answer ({_last_line(result)})",
                where=str(self.task_vars.get("inventory_hostname", "?")),
                do="run the same again: it finds what was begun, and finishes or undoes it",
            )
        return result


def is_lab(action: EstateAction) -> bool:
    """Whether this run is on the lab's inventory, which ansible.cfg takes when a command line names none."""
    return Path(str(action.task_vars.get("inventory_dir", _LAB))).name == _LAB


def _last_line(result: Mapping[str, Any]) -> str:
    said = str(result.get("module_stderr") or "").strip().splitlines()
    return said[-1].strip() if said else f"exit code {result['rc']}"
