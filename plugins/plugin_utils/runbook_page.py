"""Pages of runbooks: find them, read their front matter, render their generated parts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..module_utils.gateway.stack_file import read_text
from ..module_utils.model.document import nearest
from ..module_utils.model.errors import OpsError
from ..module_utils.model.runbook import Input, Runbook, parse_runbook
from ..module_utils.plan.runbook import command, duration, plain
from .playbook_outline import Stage, read_outline

ROOT = Path(__file__).resolve().parents[2]

_PAGE = re.compile(r"\A---\n(?P<front>.*?\n)---\n(?P<body>.*)\Z", re.DOTALL)
_GENERATED = "Generated from `{}` by `bin/render.py`."


def runbook_names(root: Path = ROOT) -> tuple[str, ...]:
    """The stems of all pages below ``runbooks/``, in order."""
    return tuple(sorted(page.stem for page in (root / "runbooks").glob("*.md") if page.stem != "README"))


def load_runbook(name: str, root: Path = ROOT) -> Runbook:
    """Read the front matter of ``runbooks/<name>.md``.

    :raises OpsError: when there is no such page or it has no front matter.
    :raises InvalidInput: when the front matter is wrong.
    """
    page = root / "runbooks" / f"{name}.md"
    if not page.is_file():
        known = runbook_names(root)
        guess = nearest(name, known)
        hint = f"did you mean '{guess}'?" if guess else f"write the page, or use one of {', '.join(known)}"
        raise OpsError(f"there is no runbook '{name}'", where=f"runbooks/{name}.md", do=hint)
    front, _ = split_page(page.read_text(encoding="utf-8"), f"runbooks/{name}.md")
    return parse_runbook(name, read_text(front, f"runbooks/{name}.md", first_line=2))


def split_page(text: str, source: str) -> tuple[str, str]:
    """Front matter and body of a page.

    :raises OpsError: when it does not begin with front matter.
    """
    match = _PAGE.match(text)
    if not match:
        raise OpsError("the page has no front matter", where=f"{source}:1", do="begin it with YAML between --- lines")
    return match["front"], match["body"]


def render_page(name: str, root: Path = ROOT) -> str:
    """The page ``name`` with its generated parts written anew from the front matter and the playbook.

    :raises OpsError: when the page, its markers or its playbook are missing or wrong.
    """
    page = root / "runbooks" / f"{name}.md"
    runbook = load_runbook(name, root)
    stages = read_outline(root / "playbooks" / f"{name}.yml", root)
    text = page.read_text(encoding="utf-8")
    text = _between(text, "request", request_block(runbook), page.name)
    return _between(text, "steps", steps_block(name, stages), page.name)


def _between(text: str, marker: str, block: str, page: str) -> str:
    opening, closing = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    if text.count(opening) != 1 or text.count(closing) != 1 or text.index(opening) > text.index(closing):
        raise OpsError(
            f"the page needs the lines '{opening}' and '{closing}' once each, in this order",
            where=f"runbooks/{page}",
            do="add them where the generated part belongs",
        )
    before, rest = text.split(opening)
    return f"{before}{opening}\n{block}\n{closing}{rest.split(closing)[1]}"


def request_block(runbook: Runbook) -> str:
    """What to type, what it may be given, and what to expect: Markdown."""
    limit = {"one_environment": runbook.example_on, "one_host": f"{runbook.example_on}-1"}.get(runbook.scope, "")
    lines = ["```", command(runbook, {}, limit=limit), "```", ""]
    if runbook.inputs:
        lines += ["| input | what it is | may be |", "|---|---|---|"]
        lines += [f"| `{one.name}` | {_cell(one.help)} | {_may_be(one)} |" for one in runbook.inputs.values()]
        lines.append("")
    facts = [
        f"- **Changes:** {_stop(runbook.changes)}",
        f"- **Risk:** {runbook.risk}, {_stop(runbook.risk_reason)}",
        f"- **Undo:** {_undo(runbook)}",
        f"- **Takes:** about {duration(runbook.expected)}. Rehearse with `--check`.",
    ]
    return "\n".join([*lines, *facts])


def _may_be(one: Input) -> str:
    form = " \\| ".join(f"`{choice}`" for choice in one.choices) if one.choices else one.type
    state = "required" if one.required else "optional"
    if one.default not in (None, ""):
        state = f"`{plain(one.default)}` if left out"
    example = f", such as `{one.example}`" if one.example else ""
    return f"{form}{_cell(example)}; {state}"


def _undo(runbook: Runbook) -> str:
    name = runbook.undo_runbook
    return f"[{name}]({name}.md)." if name else _stop(runbook.undo)


def _stop(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def steps_block(name: str, stages: Iterable[Stage]) -> str:
    """The numbered steps of a playbook, told by its task names: Markdown."""
    lines = [_GENERATED.format(f"playbooks/{name}.yml")]
    for stage in stages:
        lines += ["", f"**{stage.title}** (`{stage.hosts}`)", ""]
        lines += [f"{number}. {step}" for number, step in enumerate(stage.steps, start=1)]
        if stage.afterwards:
            lines += ["", "When something changed:", "", *(f"- {step}" for step in stage.afterwards)]
    return "\n".join(lines)


def render_index(root: Path = ROOT) -> str:
    """``runbooks/README.md`` with its table of all pages written anew."""
    books = [load_runbook(name, root) for name in runbook_names(root)]
    rows = ["| runbook | reach for it | changes | risk | takes |", "|---|---|---|---|---|"]
    for book in books:
        title = f"[{book.title}]({book.name}.md)" + (f"<br>{book.title_zh}" if book.title_zh else "")
        parts = (title, book.when, book.changes, book.risk, duration(book.expected))
        rows.append(f"| {' | '.join(_cell(part) for part in parts)} |")
    readme = root / "runbooks" / "README.md"
    return _between(readme.read_text(encoding="utf-8"), "index", "\n".join(rows), "README.md")
