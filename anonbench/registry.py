"""Lazy registries over entry points: a name becomes `module:Attr`, loaded on first use.

A plug-in is described by a `card.toml` beside its code, one table per registered name, so that
it can be listed without being imported. A table may say `extends = "other-name"` to inherit what
it does not set. A plug-in without `card.toml` is imported and its `card` attribute taken.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anonbench.errors import BadConfig, MissingExtra, UnknownName, UserError

if TYPE_CHECKING:
    from anonbench.cards import Card, ConfigValue, DatasetCard, JudgeCard, MethodCard, ProtocolCard

C = TypeVar("C", bound="Card")


class Registry(Generic[C]):
    """The plug-ins of one kind.

    Cards are pydantic models; that library is imported with the first card, not before.

    Args:
        kind: `method`, `protocol`, `judge` or `dataset`; also the entry-point group.
        card_type: Name of its card's class in `anonbench.cards`.
    """

    def __init__(self, kind: str, card_type: str) -> None:
        self.kind, self._card_type = kind, card_type
        self._cards: dict[str, C] = {}

    @cached_property
    def _points(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=f"anonbench.{self.kind}s"):
            found.setdefault(point.name, []).append(point)
        return found

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._points)

    def summary(self, name: str) -> str:
        """One sentence about a plug-in, without validating its card."""
        table = _card_table(self._point(name))
        return str(table.get("summary", "") if table is not None else self.card(name).summary)

    def _point(self, name: str) -> EntryPoint:
        if name not in self._points:
            raise UnknownName(self.kind, name, self._points)
        points = self._points[name]
        values = {point.value for point in points}
        if len(values) > 1:
            raise UserError(
                f"The {self.kind} '{name}' is registered more than once: {', '.join(values)}.",
                mend="Uninstall one of the packages, or ask its author for another name.",
            )
        return points[0]

    def card(self, name: str) -> C:
        """The card of a plug-in, without importing it where it ships a `card.toml`."""
        if name not in self._cards:
            point = self._point(name)
            table = _card_table(point)
            self._cards[name] = (
                self._validate(name, table) if table is not None else self._carried(name)
            )
        return self._cards[name]

    def installed(self, name: str) -> C | None:
        """The card of a plug-in; None where it is not installed, or its card is not in order."""
        try:
            return self.card(name)
        except UserError:
            return None

    def _carried(self, name: str) -> C:
        """The card of a plug-in that has no `card.toml`."""
        card: C | None = getattr(self.load(name), "card", None)
        if card is None:
            raise UserError(
                f"The {self.kind} '{name}' has no card.",
                mend=f"Add a table [{name}] to a card.toml in its package, or a `card` attribute.",
            )
        return card.model_copy(update={"name": name})

    def parse(self, spec: str, suite: str = "") -> C:
        """The card for `NAME` or `NAME:key=value:key=value`, with those config values.

        Args:
            spec: As a user writes it.
            suite: Whose default values hold where the card has some for it.
        """
        name, *changes = spec.split(":")
        card = self.card(name)
        config = card.config | card.suite_config.get(suite, {})
        for change in changes:
            key, equals, text = change.partition("=")
            if not equals or key not in config:
                raise BadConfig(
                    f"'{change}' in '{spec}' is no setting of the {self.kind} '{name}'.",
                    why=f"Its settings are: {', '.join(map(str, config)) or 'none'}.",
                    mend=f"Write {name}:key=value; see: anonbench info {name}",
                )
            config[key] = _convert(text, config[key], f"{name}:{key}")
        return card.configured(config)

    def load(self, name: str) -> Any:
        """Import the plug-in's class.

        Raises:
            UnknownName: Nobody registered the name.
            MissingExtra: One of its dependencies is not installed.
            UserError: Its module cannot be imported for another reason.
        """
        point = self._point(name)
        try:
            return point.load()
        except Exception as error:  # whatever a plug-in's module does, it is that plug-in's fault
            missing = getattr(error, "name", None) or ""
            own = point.module.split(".")[0]
            if isinstance(error, ModuleNotFoundError) and missing.split(".")[0] != own:
                extra = next(iter(reversed(self._extras(point))), "all")
                raise MissingExtra(missing, extra, f"The {self.kind} '{name}'") from error
            raise UserError(
                f"The {self.kind} '{name}' is registered as {point.value}, "
                "which cannot be imported.",
                why=f"{type(error).__name__}: {error}.",
                mend="Reinstall or update the package that registers it.",
            ) from error

    def _extras(self, point: EntryPoint) -> tuple[str, ...]:
        table = _card_table(point)
        return self._validate(point.name, table).extras if table is not None else ()

    def _validate(self, name: str, table: dict[str, Any]) -> C:
        from pydantic import ValidationError

        from anonbench import cards

        card_type: type[C] = getattr(cards, self._card_type)
        try:
            card = card_type.model_validate({"name": name, **table})
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()
            )
            raise UserError(
                f"The card of the {self.kind} '{name}' is not valid: {problems}.",
                mend="Mend its table in the card.toml of the package that registers it.",
            ) from error
        return card.configured(card.config)


def _convert(text: str, default: ConfigValue, where: str) -> ConfigValue:
    """Text from the command line as the type of the default it replaces."""
    if isinstance(default, bool):
        choices = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
        if text.lower() in choices:
            return choices[text.lower()]
        raise BadConfig(f"{where} must be true or false, not '{text}'.")
    kind: Callable[[str], ConfigValue] = type(default)
    try:
        return kind(text)
    except ValueError as error:
        raise BadConfig(f"{where} must be {kind.__name__}, not '{text}'.") from error


def _card_table(point: EntryPoint) -> dict[str, Any] | None:
    """The table of an entry point in the nearest `card.toml` at or above its module."""
    for path in _card_files(point.module):
        tables = _read_toml(path)
        if point.name in tables:
            return _extended(tables, point.name)
    return None


def _extended(
    tables: dict[str, dict[str, Any]], name: str, children: tuple[str, ...] = ()
) -> dict[str, Any]:
    table = dict(tables[name])
    parent = table.pop("extends", None)
    if parent is None:
        return table
    if parent not in tables or parent in (name, *children):
        raise UserError(
            f"The card '{name}' extends '{parent}', which is itself or not in the same file.",
            mend="Mend the card.toml of the package that registers it.",
        )
    base = _extended(tables, parent, (name, *children))
    return {**base, **table, "config": {**base.get("config", {}), **table.get("config", {})}}


def _card_files(module: str) -> Iterator[Path]:
    top, *rest = module.split(".")
    spec = find_spec(top)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location, *rest)
        while True:
            if (folder / "card.toml").is_file():
                yield folder / "card.toml"
            if folder == Path(location):
                break
            folder = folder.parent


@cache
def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}.", mend="Mend that file.") from error


methods: Registry[MethodCard] = Registry("method", "MethodCard")
protocols: Registry[ProtocolCard] = Registry("protocol", "ProtocolCard")
judges: Registry[JudgeCard] = Registry("judge", "JudgeCard")
datasets: Registry[DatasetCard] = Registry("dataset", "DatasetCard")
trainings: Registry[MethodCard] = Registry("training", "MethodCard")
"""How methods are trained, under the methods' names and described by the methods' cards."""
