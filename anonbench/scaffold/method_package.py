"""A package with one method, from templates: it passes the conformance suite as it is written."""

import keyword
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

import anonbench
from anonbench import registry
from anonbench.errors import BadConfig, StoreError

LONGEST_NAME = 30
"""In characters: tables print names, and lines of code that hold one stay short."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_OWN_WORDS = frozenset(
    {"all", "method-card", "part", "pytest", "sequence", "tensor", "tests", "torch"}
)
"""`all` is every method on the command line; the rest would hide what the templates import."""


@dataclass(frozen=True)
class MethodPackage:
    """What the new package and the parts of it are called.

    Attributes:
        name: The method's registered name, also that of the distribution and its folder.
        reversible: Whether the method can `recover`.
    """

    name: str
    reversible: bool

    @property
    def package(self) -> str:
        """Name of the Python package."""
        return self.name.replace("-", "_")

    @property
    def class_name(self) -> str:
        """Name of the method's class."""
        return "".join(word.capitalize() for word in self.name.split("-"))

    @property
    def title(self) -> str:
        """Name in tables."""
        return self.name.replace("-", " ").capitalize()

    def files(self) -> dict[str, str]:
        """Template of each file, by its path below the folder."""
        return {
            "README.md": "README.md.jinja",
            "pyproject.toml": "pyproject.toml.jinja",
            f"{self.package}/__init__.py": "init.py.jinja",
            f"{self.package}/card.toml": "card.toml.jinja",
            f"{self.package}/method.py": f"{'' if self.reversible else 'ir'}reversible.py.jinja",
            f"{self.package}/py.typed": "py.typed.jinja",
            f"tests/test_{self.package}.py": "test.py.jinja",
        }


def write_method(package: MethodPackage, out: Path) -> Path:
    """Write the package's folder, whole or not at all.

    Args:
        package: What to write.
        out: Where; it is made if it is missing.

    Returns:
        The new folder.

    Raises:
        BadConfig: The name is not allowed, it is taken, or the folder exists.
        StoreError: The folder cannot be written.
    """
    folder = out / package.name
    _check_spelling(package)
    _check_free(package)
    _check_place(folder)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out, prefix=f".{package.name}-") as unfinished:
            _render(package, Path(unfinished, package.name))
            Path(unfinished, package.name).rename(folder)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written: {error.strerror or error}.",
            mend="Name another folder with --out DIR",
        ) from error
    return folder


def _render(package: MethodPackage, folder: Path) -> None:
    templates = Environment(
        loader=PackageLoader("anonbench.scaffold", "templates/method"),
        autoescape=select_autoescape(),  # of HTML alone, so of none of these
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    for path, template in package.files().items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(templates.get_template(template).render(new=package), encoding="utf-8")


# ------------------------------------------------------------------------------------- checks
def _check_spelling(package: MethodPackage) -> None:
    name = package.name
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise BadConfig(
            f"'{name}' cannot be the name of a method.",
            why="A name has small letters, digits and single dashes, begins with a letter and is "
            f"at most {LONGEST_NAME} characters long.",
            mend=f"For example: anonbench new-method {_respelt(name)}",
        )
    if any(map(keyword.iskeyword, (package.package, package.class_name))):
        raise _taken(name, "It is a word of Python itself.")
    if name in _OWN_WORDS:
        raise _taken(name, "The suite or the code that would be written uses this word itself.")


def _respelt(name: str) -> str:
    """The nearest allowed name."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower())
    dashed = "-".join(words)[:LONGEST_NAME].strip("-")
    return dashed if _NAME.fullmatch(dashed) else "my-method"


def _check_free(package: MethodPackage) -> None:
    """Nothing that is installed has the name, so installing the package hides nothing."""
    name = package.name
    if name in registry.methods.names():
        raise _taken(name, f"There is a method of this name; see: anonbench info {name}")
    spec = find_spec(package.package)
    # A module without an origin is any folder of that name that Python happens to see.
    if package.package in sys.stdlib_module_names or (spec and spec.origin):
        raise _taken(name, f"There is a Python module '{package.package}', which it would hide.")
    try:
        distribution(name)
    except PackageNotFoundError:
        return
    raise _taken(name, "A Python package of this name is installed, which it would replace.")


def _taken(name: str, why: str) -> BadConfig:
    return BadConfig(
        f"The name '{name}' is taken.",
        why=why,
        mend=f"Choose another name, for example: anonbench new-method my-{name}",
    )


def _check_place(folder: Path) -> None:
    if folder.exists() or folder.is_symlink():
        raise BadConfig(
            f"{folder} exists already, and nothing is ever overwritten.",
            mend="Choose another name, or another folder with --out DIR",
        )
    checkout = Path(anonbench.__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file() and folder.resolve().is_relative_to(checkout):
        raise BadConfig(
            f"{folder} would lie inside the checkout of anonbench, {checkout}.",
            why="A method is a package of its own, which the suite finds wherever it lies.",
            mend=f"Write: anonbench new-method {folder.name} --out {checkout.parent}",
        )
