"""The packed gate axis: the order of a cell's gates in its weights, and the role of each."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax._internal.errors import WrongValue


class GateAxis(NamedTuple):
    """The packed last axis of a cell's weights: the order, widths and roles of its gates.

    Attributes:
        names: The gates, in their order.
        widths: The number of units of each.
        keeps: ``(name, sign)`` of the gate that decides how much of the old memory stays. The sign
            is +1 if an open gate keeps it (LSTM's forget gate), and -1 if an open gate overwrites
            it (the input gate of a coupled LSTM). Initialisers for time scales, such as ``chrono``,
            read it.
        writes: The gates that let new content in beside it, for the same initialisers.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]
    keeps: tuple[tuple[str, int], ...] = ()
    writes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The number of all units."""
        return sum(self.widths)

    def split(self, packed: jax.Array) -> dict[str, jax.Array]:
        """The columns of ``packed [..., width]`` by gate."""
        ends = [sum(self.widths[: i + 1]) for i in range(len(self.widths) - 1)]
        return dict(zip(self.names, jnp.split(packed, ends, axis=-1), strict=True))

    def leading(self, width: int) -> "GateAxis":
        """The axis of the first gates, which have ``width`` units together.

        It describes weights that only some gates have, such as the biases of a cell of 1997.
        """
        count = next((i for i in range(len(self.names) + 1) if sum(self.widths[:i]) == width), None)
        if count is None:
            raise WrongValue(
                f"width: expected the width of the first gates of {self.names}, got {width}"
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
    """A gate axis in which every gate has ``size`` units.

    Args:
        names: The gates, in their order.
        size: The units of each.
        keeps: The gate that keeps the memory, with its sign; see ``GateAxis``.
        writes: The gate that writes, which is left out if it is not among ``names``.
    """
    writing = (writes,) if writes in names else ()
    return GateAxis(names, (size,) * len(names), tuple((keeps or {}).items()), writing)


NO_GATES = GateAxis((), ())  # for composite cells
