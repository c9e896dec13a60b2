"""What a check says, and how a list of checks is run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from anonbench.errors import UserError


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: What was checked, e.g. `anonymize: range`.
        passed: Whether it holds; False for a skipped check, about which nothing is known.
        detail: What was found, and after a failure how to mend it.
        skipped: Why it was not tried; empty where it was.
    """

    name: str
    passed: bool
    detail: str = ""
    skipped: str = ""

    @property
    def status(self) -> Literal["passed", "failed", "skipped"]:
        """One word for tables."""
        if self.skipped:
            return "skipped"
        return "passed" if self.passed else "failed"


class NotConformingError(Exception):
    """Raised by a check that does not hold: what was found, and how to mend it."""


class NotApplicableError(Exception):
    """Raised by a check that says nothing about this method: the reason."""


@dataclass(frozen=True)
class Rule:
    """A check to run.

    Attributes:
        name: What it checks.
        check: Returns a detail, or raises NotConformingError or NotApplicableError.
        after: Rules that must have passed, because their failure would make this one fail too.
    """

    name: str
    check: Callable[[], str]
    after: tuple[str, ...] = ()


def run_rules(rules: Sequence[Rule]) -> list[Check]:
    """Run rules in their order; those that build on one that did not pass are skipped.

    Raises:
        UserError: A check met something that the user has to mend first, e.g. missing weights.
    """
    done: dict[str, Check] = {}
    for rule in rules:
        blocked = [name for name in rule.after if not done[name].passed]
        if blocked:
            reason = f"'{blocked[0]}' did not pass"
            done[rule.name] = Check(rule.name, False, skipped=reason)
        else:
            done[rule.name] = _run(rule)
    return list(done.values())


def _run(rule: Rule) -> Check:
    try:
        return Check(rule.name, True, rule.check())
    except NotApplicableError as reason:
        return Check(rule.name, False, skipped=str(reason))
    except NotConformingError as failure:
        return Check(rule.name, False, str(failure))
    except UserError:
        raise
    except Exception as error:  # a plug-in may raise anything: that is what the suite is to find
        return Check(rule.name, False, f"It raised {type(error).__name__}: {error}")
