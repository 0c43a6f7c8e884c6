"""Parts of a data set: a share that is held out."""

from typing import Any, TypeVar, cast

import jax
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.train.data.dataset import Dataset
from lstm_jax.train.data.source import Source

Rows = TypeVar("Rows", bound=Dataset | Source)


def require_rows(argument: str, data: Any) -> None:
    """Raises TypeError for what is no data set of rows."""
    if not isinstance(data, Dataset | Source):
        raise WrongType(
            f"{argument}: expected a train.Dataset or Source, got {type(data).__name__}"
        )


def hold_out(data: Rows, share: float, *, key: Any = None) -> tuple[Rows, Rows]:
    """Splits data into a part to train on, and a part for validation or for a test.

        training, validation = train.hold_out(data, 0.1, key=jax.random.key(0))

    Rows of one group stay together. Of data in order of time the last rows are held out, and of
    others random ones. Both parts keep the order of the rows.

    Args:
        data: a ``Dataset`` or a ``Source``.
        share: of the rows, between 0 and 1. Of groups, as many as are nearest to it.
        key: draws the rows or groups; not used for data in order of time.

    Returns:
        ``(training, held_out)``, each with at least one row.

    Raises:
        ValueError or TypeError: naming the argument.
    """
    require_rows("data", data)
    if not 0 < checking.real("share", share) < 1:
        raise WrongValue(f"share: expected a number between 0 and 1, got {share!r}")
    group = np.arange(len(data))
    if data.groups is not None:
        group = np.unique(data.groups, return_inverse=True)[1]
    count = len(np.unique(group))
    if count < 2:
        what = "rows" if data.groups is None else "groups"
        raise WrongValue(f"data: expected at least 2 {what} to split, got {count}")
    if data.in_time_order:
        last_row = np.zeros(count, int)
        np.maximum.at(last_row, group, np.arange(len(data)))
        order = np.argsort(-last_row)
    else:
        if key is None:
            raise WrongValue("key: expected a key, for data that are not in order of time")
        words = np.ravel(jax.random.key_data(checking.random_key("key", key)))
        # The numbers of RandomState are the same in all versions of NumPy.
        seed = np.random.SeedSequence([int(word) for word in words]).generate_state(8)
        order = np.random.RandomState(seed).permutation(count)
    rows_so_far = np.cumsum(np.bincount(group)[order])[:-1]  # one group is left to train on
    chosen = 1 + int(np.argmin(np.abs(rows_so_far - share * len(data))))
    is_held_out = np.isin(group, order[:chosen])
    return cast(tuple[Rows, Rows], (data.take(~is_held_out), data.take(is_held_out)))
