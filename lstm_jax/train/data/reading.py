"""Reading batches: at once if they are in RAM, and ahead of the computation if they are not."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

AHEAD = 8  # batches that wait to be computed
THREADS = 4


def read_ahead(plan: list[T], read: Callable[[T], Any], *, far: bool) -> Iterator[Any]:
    """``read(item)`` for each item of ``plan``, in order.

    Args:
        far: whether to read the next batches in threads (by Grain) while the last one is used.

    Raises:
        ImportError: if ``far`` and Grain is missing.
    """
    if not far:
        yield from map(read, plan)
        return
    try:
        import grain
    except ImportError:
        raise ImportError(
            "data: reading from the disk while computing needs grain; "
            "pip install 'lstm_jax[experiments]'"
        ) from None
    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)
    yield from grain.MapDataset.source(plan).map(read).to_iter_dataset(options)
