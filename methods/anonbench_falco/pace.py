"""Lines about long work: how far it is and how long it still takes, now and then."""

import logging
import time
from collections.abc import Callable

_LOG = logging.getLogger(__name__)


class Pace:
    """Says how work goes on, to the log, which `anonbench run` shows above its bars.

    Args:
        what: What is counted, as in `steps of FALCO's optimisation`.
        total: How many there are.
        done: How many of them are there already.
        every: Seconds between two lines; work that takes less says nothing.
        clock: Gives seconds.
    """

    def __init__(
        self,
        what: str,
        total: int,
        done: int = 0,
        every: float = 30,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._total, self._done, self._every = what, total, done, every
        self._clock = clock
        self._first, self._started = done, clock()
        self._said = self._started

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        self._done += count
        now = self._clock()
        if now - self._said >= self._every:
            self._said = now
            rate = (self._done - self._first) / (now - self._started)
            left = _span((self._total - self._done) / rate)
            _LOG.info("%s: %d of %d, %s left", self._what, self._done, self._total, left)


def _span(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
