"""``Streams``: long sequences that are read window by window, with the state carried along."""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.train.data import columns

STEPS_OF_DIGEST = 100_000


class Window(NamedTuple):
    """The same steps of all streams: ``DataBatch``, and where the state starts anew.

    xs: ``[window, B, ...]``. targets, counts: ``[window, B, ...]``.
    resets: ``[window, B]``; None if there are none.
    first: whether it is the first window, before which is the initial state.
    """

    xs: Any
    targets: Any
    counts: Any
    resets: Any
    first: Any


class Streams:
    """A long sequence, such as a text, cut into parallel streams that are read window by window.

    The state at the end of a window is the first state of the next, so that nothing is forgotten
    between windows; gradients stay within a window (truncated backpropagation). Training and
    evaluation begin at the initial state.

        data = train.Streams(token_ids, window=35)           # learns to predict the next token
        held_out = train.Streams(other_ids, window=200, streams=1)

    Args:
        inputs: integers ``[N]`` or floats ``[N, D]``, or a list of such sequences, which are put
            end to end, with a reset at the beginning of each.
        targets: one for each step, ``[N]`` or ``[N, K]``, or a list of these; -1 is a class that is
            missing. None for the next of the inputs, which must be integers.
        window: steps per batch.
        streams: into how many equal pieces the sequence is cut, which are read side by side. None
            for the ``batch_size`` of ``fit``; 1 in ``evaluate`` and for validation, so that the
            whole is scored with the state carried from its beginning to its end. The last stream
            may be shorter than the others.
        resets: booleans ``[N]``: the state starts anew before these steps.

    Raises:
        ValueError or TypeError: naming the argument and the place.
    """

    per = "step"
    in_time_order = True
    static_columns: frozenset[str] = frozenset()

    def __init__(
        self,
        inputs: Any,
        targets: Any = None,
        *,
        window: int,
        streams: int | None = None,
        resets: Any = None,
    ) -> None:
        self.window = checking.positive_int("window", window)
        self.streams = None if streams is None else checking.positive_int("streams", streams)
        pieces = _pieces("inputs", inputs)
        ends = np.cumsum([len(piece) for piece in pieces])
        self._ends = ends - 1  # the last step of each sequence
        self._inputs = _join(pieces)
        self._targets: np.ndarray | None = None
        if targets is None:
            if pieces[0].ndim != 1:
                raise WrongValue(
                    "targets: expected targets beside inputs of floats, got None, which means the "
                    "next of the inputs"
                )
        else:
            answers = _pieces("targets", targets, floats_of_one_axis=True)
            if [len(piece) for piece in answers] != [len(piece) for piece in pieces]:
                raise WrongValue(
                    f"targets: expected one for each step, {[len(piece) for piece in pieces]}, got "
                    f"{[len(piece) for piece in answers]}"
                )
            self._targets = _join(answers)
        given = [values for values in (self._inputs, self._targets) if values is not None]
        self.far = any(columns.is_on_disk(values) for values in given)
        for argument, values in zip(("inputs", "targets"), given, strict=False):
            if not columns.is_on_disk(values):
                check_values(argument, values)
        self._resets = self._starts(resets)

    def __len__(self) -> int:
        """The number of steps N."""
        return len(self._inputs)

    @property
    def targets(self) -> np.ndarray:
        """The targets ``[N, ...]``."""
        return self.targets_between(0, len(self))

    def inputs_between(self, first: int, last: int) -> np.ndarray:
        """The inputs of some steps, as a model is shown them."""
        found = self._inputs[first:last]
        if found.dtype.kind in "iub" and found.ndim > 1:
            return found.astype(np.float32)
        if found.dtype.kind == "b":
            return found.astype(np.int32)
        return found.astype(jax.dtypes.canonicalize_dtype(found.dtype), copy=False)

    def targets_between(self, first: int, last: int) -> np.ndarray:
        """The targets of some steps; -1 for a class that is missing."""
        if self._targets is not None:
            found = self._targets[first:last]
            return found.astype(jax.dtypes.canonicalize_dtype(found.dtype), copy=False)
        following = self._inputs[first + 1 : last + 1].astype(np.int32)
        found = np.full(last - first, -1, np.int32)
        found[: len(following)] = following
        ends = self._ends[np.searchsorted(self._ends, first) : np.searchsorted(self._ends, last)]
        found[ends - first] = -1
        return found

    def resets_between(self, first: int, last: int) -> np.ndarray | None:
        """Before which steps the state starts anew; None if there are no resets at all."""
        return None if self._resets is None else self._resets[first:last]

    def classes(self) -> np.ndarray | None:
        """The classes that occur, and -1 if some are missing; None for targets that are numbers,
        or on the disk."""
        values = self._inputs if self._targets is None else self._targets
        if columns.is_float(values.dtype) or self.far:
            return None
        return np.unique(self.targets)

    def arrange(self, streams: int) -> "ArrangedStreams":
        """The streams side by side."""
        return ArrangedStreams(self, streams)

    def fingerprint(self) -> dict[str, Any]:
        """Of all steps; of those on the disk, of some."""
        step = max(1, len(self) // STEPS_OF_DIGEST) if self.far else 1
        digest = zlib.crc32(self._ends.astype(np.int64).tobytes())
        for values in (self._inputs, self._targets, self._resets):
            if values is not None:
                digest = zlib.crc32(np.ascontiguousarray(values[::step]).tobytes(), digest)
        return {
            "steps": len(self),
            "window": self.window,
            "streams": self.streams,
            "checksum": digest,
        }

    def kinds(self) -> dict[str, str]:
        """As of a ``Dataset``."""
        targets = self._inputs if self._targets is None else self._targets
        return {
            name: ("floats" if columns.is_float(values.dtype) else "integers")
            + f" {list(values.shape[1:])}"
            for name, values in (("inputs", self._inputs), ("targets", targets))
        }

    def _starts(self, resets: Any) -> np.ndarray | None:
        starts = np.zeros(len(self), bool)
        starts[self._ends[:-1] + 1] = True
        if resets is not None:
            given = np.asarray(resets)
            if given.dtype != bool or given.shape != starts.shape:
                raise WrongValue(
                    f"resets: expected booleans of shape {starts.shape}, got {given.dtype} of "
                    f"shape {given.shape}"
                )
            starts |= given
        return starts if starts[1:].any() else None


class ArrangedStreams:
    """``Streams`` cut into B pieces, which are read side by side in windows."""

    def __init__(self, data: Streams, streams: int):
        if streams > len(data):
            raise WrongValue(f"streams: expected at most the {len(data)} steps, got {streams}")
        self.data, self.streams = data, streams
        self.steps = -(-len(data) // streams)

    def __len__(self) -> int:
        """The number of windows."""
        return -(-self.steps // self.data.window)

    def read(self, number: int) -> Window:
        """The window of this number; the last is filled up with steps that do not count."""
        xs = self._side_by_side(number, self.data.inputs_between)
        targets = self._side_by_side(number, self.data.targets_between)
        if self.data.far:
            check_values("inputs", xs)
            check_values("targets", targets)
        exists = self._side_by_side(number, lambda first, last: np.ones(last - first, bool))
        counts = np.broadcast_to(
            exists.reshape(exists.shape + (1,) * (targets.ndim - 2)), targets.shape
        )
        if targets.dtype.kind == "i":
            counts = counts & (targets >= 0)
            targets = np.maximum(targets, 0)
        resets = None
        if self.data.resets_between(0, 0) is not None:
            resets = self._side_by_side(number, self.data.resets_between)
        return Window(xs, targets, counts, resets, np.bool_(number == 0))

    def join(self, windows: list[np.ndarray]) -> np.ndarray:
        """Answers ``[window, B, ...]`` of all windows as those of the sequence ``[N, ...]``."""
        whole = np.concatenate(windows)[: self.steps].swapaxes(0, 1)
        return whole.reshape(-1, *whole.shape[2:])[: len(self.data)]

    def _side_by_side(self, number: int, between: Callable[[int, int], Any]) -> np.ndarray:
        """The steps of a window of all streams ``[window, B, ...]``, with zeros where none are."""
        first = number * self.data.window
        last = min(first + self.data.window, self.steps)
        like = between(0, 0)
        result = np.zeros((self.data.window, self.streams, *like.shape[1:]), like.dtype)
        for stream in range(self.streams):
            at = stream * self.steps
            start, end = (min(at + step, len(self.data)) for step in (first, last))
            if start < end:
                result[: end - start, stream] = between(start, end)
        return result


def check_values(argument: str, values: np.ndarray) -> None:
    """Raises ValueError for numbers that are not finite and for classes below -1."""
    if columns.is_float(values.dtype):
        bad, expected = ~np.isfinite(values), "finite numbers"
    elif argument == "targets" and values.dtype.kind == "i":
        bad, expected = values < -1, "classes from 0, or -1 for one that is missing"
    else:
        return
    if bad.any():
        at = tuple(int(n) for n in np.argwhere(bad)[0])
        place = f"step {at[0]}" + (f", column {at[1]}" if len(at) > 1 else "")
        raise WrongValue(f"{argument}: expected {expected}, got {values[at]} in {place}")


def _pieces(argument: str, value: Any, floats_of_one_axis: bool = False) -> list[np.ndarray]:
    if columns.is_list(value) and len(value) > 0 and np.ndim(value[0]) > 0:
        pieces = [columns.as_numbers(f"{argument}, sequence {i}", of) for i, of in enumerate(value)]
    else:
        pieces = [columns.as_numbers(argument, value)]
    for i, piece in enumerate(pieces):
        floats = columns.is_float(piece.dtype)
        rank_1 = piece.ndim == 1 and (not floats or floats_of_one_axis)
        if not (rank_1 or piece.ndim == 2) or piece.dtype.kind != pieces[0].dtype.kind:
            raise WrongValue(
                f"{argument}: expected integers [N] or floats [N, D], got {piece.dtype.name} of "
                f"shape {piece.shape}" + (f" in sequence {i}" if len(pieces) > 1 else "")
            )
        if len(piece) == 0:
            raise WrongValue(
                f"{argument}: expected at least one step, got none"
                + (f" in sequence {i}" if len(pieces) > 1 else "")
            )
        if piece.shape[1:] != pieces[0].shape[1:]:
            raise WrongValue(
                f"{argument}: expected sequences that differ in length alone, got shape "
                f"{pieces[0].shape} in sequence 0 and {piece.shape} in sequence {i}"
            )
    return pieces


def _join(pieces: list[np.ndarray]) -> np.ndarray:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
