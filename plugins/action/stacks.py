"""Controller side of seisei.ops.stacks: the estate as this host's environment resolves it."""

from __future__ import annotations

from typing import Any

from ..module_utils.model.stack import RELEASE_MARK, Stack
from ..plugin_utils.estate import EstateAction, stack_names


class ActionModule(EstateAction):
    """Reads every stack, asks the registry for digests and the store for secrets, once, then runs the module."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result."""
        names = self.arguments.get("only") or stack_names()
        stacks = [self.stack(name) for name in names]
        digests = self.digests(image for stack in stacks for image in self._images(stack))
        secrets = self.secrets_for({name for stack in stacks for name in stack.secrets})
        return self.run_module(
            "stacks",
            {
                "only": names,
                "stacks": [self._entry(stack, digests) for stack in stacks],
                "secrets": {stack.name: {name: secrets[name] for name in stack.secrets} for stack in stacks},
                "registry_auth": self.registry_auth(),
                "environment_name": self.environment.name,
            },
        )

    def _images(self, stack: Stack) -> list[str]:
        baseline = self.environment.baseline.get(stack.name)
        released = [service.image.replace(RELEASE_MARK, baseline) for service in stack.released] if baseline else []
        return [*(service.image for service in stack.accessories), *released]

    def _entry(self, stack: Stack, digests: dict[str, str]) -> dict[str, Any]:
        baseline = self.environment.baseline.get(stack.name, "")
        known = {service.image: digests[service.image] for service in stack.accessories}
        if baseline:
            known |= {
                service.name: digests[service.image.replace(RELEASE_MARK, baseline)] for service in stack.released
            }
        return {"name": stack.name, "tree": stack.tree, "digests": known, "baseline": baseline}
