"""The page as one HTML file that loads nothing: its policy names its own style and script."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from anonbench.report.page.cards import anchor
from anonbench.report.page.view import Page


def html(page: Page) -> str:
    """The page, every text in it escaped; the same page gives the same file."""
    style, script = _asset("page.css"), _asset("page.js")
    templates = Environment(
        loader=PackageLoader("anonbench.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["anchor"] = anchor
    return templates.get_template("page.html.j2").render(
        page=page,
        style=Markup(style),  # noqa: S704  # ours, and as it is: its hash stands in the policy
        script=Markup(script),  # noqa: S704
        policy=policy(style, script),
    )


def policy(style: str, script: str) -> str:
    """What the page may do: run this script, use this style, show images that are in it."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
