"""The packed gate axis: which gate stands where in a cell's weights, and what it is for."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax._internal.errors import WrongValue


class GateAxis(NamedTuple):
    """The packed last axis of a cell's weights: which gate stands where, and what it is for.

    ``keeps`` names the gate that decides how much of the old memory stays: +1 where it stays
    while the gate is open (LSTM's forget gate), -1 where it is overwritten then (the input gate of
    a coupled LSTM). ``writes`` names a gate that lets new content in beside it. Initialisers that
    think in time scales read them.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]
    keeps: tuple[tuple[str, int], ...] = ()
    writes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        return sum(self.widths)

    def split(self, packed: jax.Array) -> dict[str, jax.Array]:
        """The packed array's columns, gate by gate."""
        ends = [sum(self.widths[: i + 1]) for i in range(len(self.widths) - 1)]
        return dict(zip(self.names, jnp.split(packed, ends, axis=-1), strict=True))

    def leading(self, width: int) -> "GateAxis":
        """The first gates alone, ``width`` units of them (such as those that have a bias)."""
        count = next((i for i in range(len(self.names) + 1) if sum(self.widths[:i]) == width), None)
        if count is None:
            raise WrongValue(
                f"width: expected that of the first gates of {self.names}, got {width}"
            )
        names = self.names[:count]
        keeps = tuple((name, sign) for name, sign in self.keeps if name in names)
        return GateAxis(
            names, self.widths[:count], keeps, tuple(n for n in self.writes if n in names)
        )

    def pack(self, by_name: dict[str, jax.Array]) -> jax.Array:
        """The inverse of ``split``."""
        return jnp.concatenate([by_name[name] for name in self.names], axis=-1)


def equal_gates(
    names: tuple[str, ...], size: int, keeps: dict[str, int] | None = None, writes: str = ""
) -> GateAxis:
    """A gate axis in which every gate has ``size`` units."""
    writing = (writes,) if writes in names else ()
    return GateAxis(names, (size,) * len(names), tuple((keeps or {}).items()), writing)


NO_GATES = GateAxis((), ())  # of cells made of cells
