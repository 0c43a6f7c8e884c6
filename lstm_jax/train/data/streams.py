"""``Streams``: long sequences that are read window by window, with the state carried along."""

import zlib
from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.train.data import columns


class Window(NamedTuple):
    """The same steps of all streams: ``DataBatch``, and where the state starts anew.

    xs: ``[window, B, ...]``. targets, counts: ``[window, B, ...]``.
    resets: ``[window, B]``; None if there are none.
    """

    xs: Any
    targets: Any
    counts: Any
    resets: Any


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

    far = False
    per = "step"
    in_time_order = True

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
        starts = np.zeros(sum(map(len, pieces)), bool)
        starts[np.cumsum([0, *map(len, pieces)])[:-1]] = True
        if targets is None:
            if np.issubdtype(pieces[0].dtype, np.floating):
                raise WrongValue(
                    "targets: expected targets beside inputs of floats, got None, which means the "
                    "next of the inputs"
                )
            answers = [np.append(piece[1:], -1) for piece in pieces]
        else:
            answers = _pieces("targets", targets, floats_of_one_axis=True)
            if [len(piece) for piece in answers] != [len(piece) for piece in pieces]:
                raise WrongValue(
                    f"targets: expected one for each step, {[len(piece) for piece in pieces]}, got "
                    f"{[len(piece) for piece in answers]}"
                )
        self._inputs, self._targets = map(_join, (pieces, answers))
        for argument, values in (("inputs", self._inputs), ("targets", self._targets)):
            if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
                at = tuple(int(n) for n in np.argwhere(~np.isfinite(values))[0])
                place = f"step {at[0]}" + (f", column {at[1]}" if len(at) > 1 else "")
                raise WrongValue(
                    f"{argument}: expected finite numbers, got {values[at]} in {place}"
                )
        if resets is not None:
            given = np.asarray(resets)
            if given.dtype != bool or given.shape != starts.shape:
                raise WrongValue(
                    f"resets: expected booleans of shape {starts.shape}, got {given.dtype} of "
                    f"shape {given.shape}"
                )
            starts = starts | given
        self._resets = starts if starts[1:].any() else None

    def __len__(self) -> int:
        """The number of steps N."""
        return len(self._inputs)

    @property
    def targets(self) -> np.ndarray:
        return self._targets

    def arrange(self, streams: int) -> "ArrangedStreams":
        """The streams side by side."""
        return ArrangedStreams(self, streams)

    def fingerprint(self) -> dict[str, Any]:
        digest = 0
        for values in (self._inputs, self._targets, self._resets):
            if values is not None:
                digest = zlib.crc32(np.ascontiguousarray(values).tobytes(), digest)
        return {"steps": len(self), "window": self.window, "checksum": digest}

    def kinds(self) -> dict[str, str]:
        return {
            name: ("floats" if np.issubdtype(values.dtype, np.floating) else "integers")
            + f" {list(values.shape[1:])}"
            for name, values in (("inputs", self._inputs), ("targets", self._targets))
        }


class ArrangedStreams:
    """``Streams`` cut into B pieces: ``[steps, B, ...]``, read in windows."""

    def __init__(self, data: Streams, streams: int):
        if streams > len(data):
            raise WrongValue(f"streams: expected at most the {len(data)} steps, got {streams}")
        self.data, self.streams = data, streams
        self.steps = -(-len(data) // streams)
        self._inputs, self._targets, self._exists = (
            self._side_by_side(values)
            for values in (data._inputs, data._targets, np.ones(len(data), bool))
        )
        self._resets = None if data._resets is None else self._side_by_side(data._resets)

    def __len__(self) -> int:
        """The number of windows."""
        return -(-self.steps // self.data.window)

    def read(self, number: int) -> Window:
        """The window of this number; the last is filled up with steps that do not count."""
        cut = slice(number * self.data.window, (number + 1) * self.data.window)
        xs, targets, exists = map(self._cut, (self._inputs, self._targets, self._exists), [cut] * 3)
        counts = np.broadcast_to(
            exists.reshape(exists.shape + (1,) * (targets.ndim - 2)), targets.shape
        )
        if not np.issubdtype(targets.dtype, np.floating):
            counts = counts & (targets >= 0)
            targets = np.maximum(targets, 0)
        resets = None if self._resets is None else self._cut(self._resets, cut)
        return Window(xs, targets, counts, resets)

    def join(self, windows: list[np.ndarray]) -> np.ndarray:
        """Answers ``[window, B, ...]`` of all windows as those of the sequence ``[N, ...]``."""
        whole = np.concatenate(windows)[: self.steps].swapaxes(0, 1)
        return whole.reshape(-1, *whole.shape[2:])[: len(self.data)]

    def _side_by_side(self, values: np.ndarray) -> np.ndarray:
        values = values.astype(jax.dtypes.canonicalize_dtype(values.dtype))
        short = self.steps * self.streams - len(values)
        filled = np.concatenate([values, np.zeros((short, *values.shape[1:]), values.dtype)])
        return filled.reshape(self.streams, self.steps, *values.shape[1:]).swapaxes(0, 1)

    def _cut(self, values: np.ndarray, cut: slice) -> np.ndarray:
        part = values[cut]
        short = self.data.window - len(part)
        if short:
            part = np.concatenate([part, np.zeros((short, *part.shape[1:]), part.dtype)])
        return np.ascontiguousarray(part)


def _pieces(argument: str, value: Any, floats_of_one_axis: bool = False) -> list[np.ndarray]:
    if isinstance(value, list | tuple) and value and np.ndim(value[0]) > 0:
        pieces = [columns.as_numbers(f"{argument}, sequence {i}", of) for i, of in enumerate(value)]
    else:
        pieces = [columns.as_numbers(argument, value)]
    for i, piece in enumerate(pieces):
        floats = np.issubdtype(piece.dtype, np.floating)
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
