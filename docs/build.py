"""Pages of the documentation that follow from README files and cards, written at build time.

mkdocs calls the functions named `on_...`; `mkdocs.yml` names this file as a hook.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anonbench import registry
from anonbench.cards import MethodCard, ProtocolCard

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]
_ITEM = re.compile(r"- |\d+\. |\|")
SOURCES = {"methods": ROOT / "methods", "protocols": ROOT / "protocols"}


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages that stand in no file."""
    from mkdocs.structure.files import File  # pages are tested without mkdocs, too

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page without what tests read behind a language, its lists and tables as on GitHub."""
    return "\n".join(_apart(re.sub(r"^```(\w+) .+$", r"```\1", markdown, flags=re.MULTILINE)))


def _apart(markdown: str) -> Iterator[str]:
    """The lines, with an empty one before a list or table, which mkdocs alone asks for."""
    before, fenced = "", False
    for line in markdown.split("\n"):
        fenced ^= line.startswith("```")
        starts = not fenced and _ITEM.match(line) is not None
        if starts and before and not before.startswith(" ") and not _ITEM.match(before):
            yield ""
        yield line
        before = line


def pages() -> dict[str, str]:
    """Path and text of every page that is not in `docs`."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = {"index.md": readme.replace("](docs/", "](")}
    for kind, folder in SOURCES.items():
        for package in sorted(folder.glob("*/README.md")):
            found[f"packages/{package.parent.name}.md"] = package.read_text(encoding="utf-8")
        known: registry.Registry[Any] = getattr(registry, kind)
        cards = [known.card(name) for name in known.names()]
        found[f"{kind}/index.md"] = _index(kind.title(), cards)
        for card in cards:
            found[f"{kind}/{card.name}.md"] = "\n".join(_page(card, _package(folder, card.name)))
    return found


def _index(title: str, cards: Iterable[MethodCard | ProtocolCard]) -> str:
    rows = [(f"[`{card.name}`]({card.name}.md)", card.summary) for card in cards]
    return "\n".join([f"# {title}", "", *_table(("name", "what"), rows)])


def _package(folder: Path, name: str) -> str:
    """The package whose `card.toml` has a plug-in."""
    heading = f"\n[{name}]\n"
    found = (path for path in folder.glob("*/card.toml") if heading in path.read_text("utf-8"))
    return next((path.parent.name for path in found), "")


def _page(card: MethodCard | ProtocolCard, package: str) -> Iterator[str]:
    yield from (f"# {card.title}", "", f"`{card.name}`: {card.summary}", "")
    facts = _of_method(card) if isinstance(card, MethodCard) else _of_protocol(card)
    yield from _table(("on its card", ""), [(key, value) for key, value in facts.items() if value])
    if card.config:
        yield from ("", "## Settings", "")
        settings = [(f"`{key}`", f"`{value!r}`") for key, value in card.config.items()]
        yield from _table(("setting", "default"), settings)
    if isinstance(card, ProtocolCard):
        yield from ("", "## Metrics", "")
        metrics = [(f"`{m.name}`", m.title, m.unit, m.direction) for m in card.metrics]
        yield from _table(("name", "title", "unit", "better"), metrics)
    if package:
        yield from ("", f"More in the [README of its package](../packages/{package}.md).")


def _of_method(card: MethodCard) -> Mapping[str, str]:
    return {
        "paper": card.paper,
        "licence": card.licence,
        "research only": _yes(card.research_only),
        "alignment": f"`{card.template}`",
        "reversible": _yes(card.reversible),
        "recovers from a stored latent": _yes(card.needs_latent),
        "key": card.key,
        "hidden bits": f"{card.hidden_bits:,}" if card.hidden_bits else "",
        "weights": _names(card.weights),
        "trained against the judges": _names(card.white_box_judges),
        "checkpoints": _names(card.checkpoints),
        "claims": "<br>".join(card.claims),
    }


def _of_protocol(card: ProtocolCard) -> Mapping[str, str]:
    suites = {
        f"suite `{name}`": f"`{suite.dataset}`; {_names(suite.judges) or 'no judge'}"
        for name, suite in card.suites.items()
    }
    return {
        "after": card.citation,
        "version": str(card.version),
        "needs of a method": ", ".join(card.requires),
        "judges": ", ".join(card.judge_kinds),
        **suites,
        "tables of the papers": _names(card.published),
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield "| " + " | ".join("---" for _ in headings) + " |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
