"""Controller side of seisei.ops.stacks: the estate as this host's environment resolves it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..module_utils.model.errors import OpsError
from ..module_utils.model.stack import RELEASE_MARK, Stack
from ..module_utils.model.statement import definition_of
from ..plugin_utils.estate import ROOT, EstateAction, stack_names, stack_source
from ..plugin_utils.saved_plans import plan_file, read_plan, save_plan


class ActionModule(EstateAction):
    """Reads every stack, asks the registry for digests and the store for secrets, once, then runs the module.

    For a report of drift it asks nobody, and for a saved plan it takes stacks and digests as they were then.
    """

    def act(self) -> dict[str, Any]:
        """Returns the module's result."""
        asked = self.arguments
        self._refuse_what_does_not_fit(asked)
        names = asked.get("only") or stack_names()
        shared = {"only": names, "environment_name": self.environment.name}
        if asked.get("mode") == "drift":
            return self.run_module("stacks", {**shared, "mode": "drift"})
        if name := asked.get("apply_plan"):
            return self._apply(name, shared)
        given = {**shared, **self._declared(names)}
        result = self.run_module("stacks", given)
        seen = result.pop("seen", {})
        if (name := asked.get("save_plan")) and not result.get("failed"):
            result["display"] = [*result.get("display", ()), self._save(name, given, seen, result)]
        return result

    def _refuse_what_does_not_fit(self, asked: dict[str, Any]) -> None:
        """Before anything happens: a plan that was to be read first must not be carried out instead."""
        said = [name for name in ("save_plan", "apply_plan") if asked.get(name)]
        for name in said:
            plan_file(ROOT, asked[name], self._host)
        said += ["only"] if asked.get("apply_plan") and asked.get("only") else []
        said += ["mode=drift"] if asked.get("mode") == "drift" else []
        if len(said) > 1:
            raise OpsError(f"{' and '.join(said)} do not go together", where=f"-e {said[0]}", do="say one of them")
        if asked.get("save_plan") and not self._task.check_mode:
            raise OpsError("a plan is saved by a rehearsal", where="-e save_plan", do="add --check --diff")

    def _declared(self, names: list[str]) -> dict[str, Any]:
        with ThreadPoolExecutor() as pool:
            pool.submit(self.registry_auth)  # needed for the digests, and asked for while the files are read
            stacks = [self.stack(name) for name in names]
            asked = pool.submit(self.secrets_for, {name for stack in stacks for name in stack.secrets})
            digests = self.digests(image for stack in stacks for image in self._images(stack))
            secrets = asked.result()
        return {
            "stacks": [self._entry(stack, digests) for stack in stacks],
            "declared": None if self.arguments.get("only") else stack_names(),
            "secrets": {stack.name: {name: secrets[name] for name in stack.secrets} for stack in stacks},
            "registry_auth": self.registry_auth(),
        }

    def _save(self, name: str, given: dict[str, Any], seen: dict[str, Any], result: dict[str, Any]) -> str:
        """Keep the plan; the line that says where. What was sent comes from here, what was seen from the host."""
        path = plan_file(ROOT, name, self._host)
        kept = {"stacks": given["stacks"], "declared": given["declared"], "lines": result["plan"], **seen}
        save_plan(path, self._host, self.environment.name, kept)
        return f"plan saved: {path.relative_to(ROOT)}; apply it with converge.yml -e apply_plan={name}"

    def _apply(self, name: str, shared: dict[str, Any]) -> dict[str, Any]:
        plan = read_plan(plan_file(ROOT, name, self._host), self._host, self.environment.name)
        named = {entry["name"]: list(entry["tree"].get("secrets") or ()) for entry in plan["stacks"]}
        secrets = self.secrets_for({secret for names in named.values() for secret in names})
        given = {
            "only": [entry["name"] for entry in plan["stacks"]],
            "stacks": plan["stacks"],
            "declared": plan["declared"],
            "secrets": {stack: {secret: secrets[secret] for secret in names} for stack, names in named.items()},
            "registry_auth": self.registry_auth(),
            "saved_plan": {key: plan[key] for key in ("secret_marks", "things", "steps")},
        }
        result = self.run_module("stacks", {**shared, **given})
        result.pop("seen", None)
        return result

    @property
    def _host(self) -> str:
        return str(self.task_vars["inventory_hostname"])

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
        entry = {"name": stack.name, "tree": stack.tree, "digests": known, "baseline": baseline}
        source = stack_source(stack.name)
        # Of a first release the host works out for itself which stack file it is of.
        file = {"file": {"source": source, "variables": dict(self.variables)}} if baseline else {}
        return {**entry, "stack_file": definition_of(source), **file}
