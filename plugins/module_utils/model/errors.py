"""The one kind of error an operator sees: what is wrong, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable


class OpsError(Exception):
    """A failure told in the operator's words.

    ``what`` is one sentence without a full stop, ``where`` names a file and line, a host, a stack or an address,
    ``do`` is the next action, preferably a command. Doorways (modules, actions) turn it into one failure message.
    """

    def __init__(self, what: str, *, where: str = "", do: str = "") -> None:
        self.what = what
        self.where = where
        self.do = do
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. Next: {self.do}" if self.do else text

    def as_dict(self) -> dict[str, str]:
        """The three parts, for JSON reports."""
        return {"what": self.what, "where": self.where, "do": self.do}


class InvalidInput(OpsError):
    """Everything that is wrong with one input, told at once."""

    def __init__(self, errors: Iterable[OpsError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))
