"""Every cell by name: what command lines and the conformance tests run over.

A cell from outside joins with one line: ``lj.cells.registry["mine"] = my_factory``, where
``my_factory(size, **options)`` gives a ``Cell``.
"""

from collections.abc import Callable
from typing import Any

from lstm_jax._internal import calls, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.cells import attention as _attention
from lstm_jax.cells import gru as _gru
from lstm_jax.cells import linear_attention as _linear_attention
from lstm_jax.cells import lru as _lru
from lstm_jax.cells import lstm as _lstm
from lstm_jax.cells import lstm_1997 as _lstm_1997
from lstm_jax.cells import lstmn as _lstmn
from lstm_jax.cells import minimal as _minimal
from lstm_jax.cells import rnn as _rnn
from lstm_jax.cells import xlstm as _xlstm
from lstm_jax.core.cell import Cell

__all__ = ["make", "parse", "registry"]


@calls.with_options_of(_lstm_1997.lstm_1997, without=("blocks",))
def _lstm_1997_of_size(size: int, *, block_size: int = 1, **options: Any) -> Cell:
    """``lj.lstm_1997`` by its number of cells: ``size / block_size`` blocks."""
    size = checking.positive_int("size", size)
    block_size = checking.positive_int("block_size", block_size)
    if size % block_size:
        raise WrongValue(f"size: expected a multiple of block_size, {block_size}, got {size}")
    return _lstm_1997.lstm_1997(size // block_size, block_size, **options)


@calls.with_options_of(_lstm.lstm)
def _lstm_projected(size: int, *, projection: int | None = None, **options: Any) -> Cell:
    """``lj.lstm`` with a projection, to half its size where none is given."""
    size = checking.positive_int("size", size)
    projection = (size + 1) // 2 if projection is None else projection
    return _lstm.lstm(size, projection=projection, **options)


def _preset(factory: Callable[..., Cell], **fixed: Any) -> Callable[..., Cell]:
    """``factory`` with some options set, which a caller cannot set again unnoticed."""

    @calls.with_options_of(factory)
    def make_preset(size: int, **options: Any) -> Cell:
        again = sorted(options.keys() & fixed.keys())
        if again:
            raise WrongType(f"options: got {', '.join(again)}, which this variant sets itself")
        return factory(size, **fixed, **options)

    return make_preset


registry: dict[str, Callable[..., Cell]] = {
    "rnn": _rnn.rnn,
    "irnn": _rnn.irnn,
    "lstm": _lstm.lstm,
    "lstm_norm": _preset(_lstm.lstm, norm="layer"),
    "lstm_projected": _lstm_projected,
    "lstm_1997": _lstm_1997_of_size,
    "gru": _gru.gru,
    "gru_reset_before": _preset(_gru.gru, reset_after=False),
    "gru_norm": _preset(_gru.gru, norm="layer"),
    "mgu": _gru.mgu,
    "min_lstm": _minimal.min_lstm,
    "min_gru": _minimal.min_gru,
    "lru": _lru.lru,
    "linear_attention": _linear_attention.linear_attention,
    "linear_attention_gated": _preset(_linear_attention.linear_attention, gated=True),
    "delta_net": _preset(_linear_attention.linear_attention, rule="delta"),
    "delta_net_gated": _preset(_linear_attention.linear_attention, rule="delta", gated=True),
    "slstm": _xlstm.slstm,
    "mlstm": _xlstm.mlstm,
    "attention": _attention.attention,
    "lstmn": _lstmn.lstmn,
}
for _variant, _options in _lstm.GREFF_VARIANTS.items():
    registry[f"lstm_{_variant}"] = _preset(_lstm.lstm, **_options)


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the options in ``text``, such as ``"lstm(peephole=True, forget_bias=0.0)"``.

    Options are by keyword, values Python's literals. Raises ValueError for a name that is not
    registered and for what is no such text; whether the cell has the options, ``make`` says.
    """
    return calls.parse("name", text, registry)


def make(name: str, size: int, **options: Any) -> Cell:
    """The registered cell ``name`` with hidden size ``size``; options go to its factory.

    name: a name, or one with options as ``parse`` takes it. Raises ValueError for an unknown name,
    TypeError for an option that the cell has not, or that is given in both ways.
    """
    name, written = parse(name)
    options = calls.merge_options(name, written, options)
    return calls.call(name, registry[name], size, **options)
