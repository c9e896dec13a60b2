"""Errors a user can mend: what is wrong, why, and the command that helps.

The command line prints a `UserError` as one message without a traceback and exits with its
`exit_code`. Anything else that escapes is a bug of ours and keeps its traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class UserError(Exception):
    """Something the user can mend.

    Attributes:
        what: One sentence: what is wrong, and where (file, line, option, name).
        why: Optional second sentence: the cause.
        mend: Optional: how to mend it, if possible the exact command.
        exit_code: Exit status of the command line for this kind of error.
    """

    exit_code = 2

    def __init__(self, what: str, *, why: str = "", mend: str = "") -> None:
        self.what, self.why, self.mend = what, why, mend
        super().__init__(" ".join(part for part in (what, why, mend) if part))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as it is, whatever a subclass is built from; other processes raise such too."""
        return Exception.__new__, (type(self), *self.args), self.__dict__


class UnknownName(UserError):
    """A method, protocol, judge, dataset or weight that nobody registered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], mend: str = "") -> None:
        names = sorted(known)
        close = get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}?" if close else ""
        super().__init__(
            f"There is no {kind} named '{name}'.",
            why=hint,
            mend=mend or f"See: anonbench list {kind}s",
        )


class MissingExtra(UserError):
    """An optional dependency is not installed."""

    def __init__(self, module: str, extra: str, needed_by: str) -> None:
        super().__init__(
            f"{needed_by} needs the Python package '{module}', which is not installed.",
            mend=f"Install it with: pip install 'anonbench[{extra}]'",
        )


class MissingArtefact(UserError):
    """Weights or data that are not on this machine."""


class WrongHash(UserError):
    """A file whose content is not what the catalogue or an earlier import says."""


class Offline(UserError):
    """A download would be needed, but --offline was given."""


class BadConfig(UserError):
    """An option or config value that is not allowed."""


class BadData(UserError):
    """A dataset (folder, pairs file, split list) that cannot be used as it is."""


class BadImage(UserError):
    """One image that cannot be used; runs count these and go on."""


class UnreachableFar(UserError):
    """A false accept rate that the impostor pairs at hand cannot resolve."""


class TypesettingFailed(UserError):
    """LaTeX is not installed, or did not accept a document."""


class StoreError(UserError):
    """The artefact store or the output folder cannot be written or read."""

    exit_code = 3


class Diverged(UserError):
    """A training whose losses or weights are no longer finite numbers."""

    exit_code = 4
