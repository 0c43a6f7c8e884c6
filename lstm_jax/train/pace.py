"""When ``fit`` looks at its losses, and when it saves."""

import time
from typing import TYPE_CHECKING

import jax

from lstm_jax._internal import hosts
from lstm_jax.train import progress

if TYPE_CHECKING:
    from lstm_jax.train.progress import Progress
    from lstm_jax.train.resume import Store

PENDING = 50  # steps whose losses are looked at together


class Pace:
    """Decides after each step and each epoch. Of several processes the first one decides, by its
    clock, and the others learn of it at the same step: all of them take part in saving, and an
    error is raised in all of them together."""

    def __init__(self, bar: "Progress", store: "Store | None"):
        self._bar, self._store = bar, store
        self._several = jax.process_count() > 1
        self._steps = 1  # until the processes agree again
        self._last = time.monotonic()

    def after_step(self, pending: int) -> tuple[bool, bool]:
        """Whether to look at the losses of the ``pending`` last steps, and whether to save."""
        if not self._several:
            save = self._is_save_due()
            return pending >= PENDING or self._bar.is_due() or save, save
        if pending < self._steps:
            return False, False
        # The first process waits here for the devices, so that this measures their time.
        seconds = (time.monotonic() - self._last) / pending
        steps = progress.SECONDS_BETWEEN / max(seconds, 1e-9)
        steps = int(min(max(steps, 1), PENDING, 2 * self._steps))
        due, self._steps = hosts.from_first(int(self._is_save_due()), steps)
        self._last = time.monotonic()
        return True, bool(due)

    def after_epoch(self) -> bool:
        """Whether to save."""
        (save,) = hosts.from_first(int(self._is_save_due()))
        self._last = time.monotonic()
        return bool(save)

    def _is_save_due(self) -> bool:
        return self._store is not None and self._store.is_due()
