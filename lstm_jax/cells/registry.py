"""All cells by name, for command lines and the conformance tests.

A cell from outside is added in one line: ``lj.cells.registry["mine"] = my_factory``, where
``my_factory(size, **options)`` returns a ``Cell``.
"""

from collections.abc import Callable
from typing import Any

from lstm_jax._internal import calls, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.cells import associative_lstm as _associative_lstm
from lstm_jax.cells import attention as _attention
from lstm_jax.cells import complex_gru as _complex_gru
from lstm_jax.cells import complex_lstm as _complex_lstm
from lstm_jax.cells import convolutional as _convolutional
from lstm_jax.cells import gru as _gru
from lstm_jax.cells import linear_attention as _linear_attention
from lstm_jax.cells import lru as _lru
from lstm_jax.cells import lstm as _lstm
from lstm_jax.cells import lstm_1997 as _lstm_1997
from lstm_jax.cells import lstmn as _lstmn
from lstm_jax.cells import minimal as _minimal
from lstm_jax.cells import multidimensional as _multidimensional
from lstm_jax.cells import ntm as _ntm
from lstm_jax.cells import rnn as _rnn
from lstm_jax.cells import scornn as _scornn
from lstm_jax.cells import urnn as _urnn
from lstm_jax.cells import xlstm as _xlstm
from lstm_jax.core.cell import Cell

__all__ = ["make", "parse", "registry"]


@calls.with_options_of(_lstm_1997.lstm_1997, without=("blocks",))
def _lstm_1997_of_size(size: int, *, block_size: int = 1, **options: Any) -> Cell:
    """``lj.lstm_1997`` with ``size`` cells, in ``size / block_size`` blocks."""
    size = checking.positive_int("size", size)
    block_size = checking.positive_int("block_size", block_size)
    if size % block_size:
        raise WrongValue(f"size: expected a multiple of block_size, {block_size}, got {size}")
    return _lstm_1997.lstm_1997(size // block_size, block_size, **options)


@calls.with_options_of(_lstm.lstm)
def _lstm_projected(size: int, *, projection: int | None = None, **options: Any) -> Cell:
    """``lj.lstm`` with a projection, by default to half its size."""
    size = checking.positive_int("size", size)
    projection = (size + 1) // 2 if projection is None else projection
    return _lstm.lstm(size, projection=projection, **options)


@calls.with_options_of(_convolutional.conv_lstm)
def _conv_lstm_of_size(size: int, *, shape: Any = (4, 4), **options: Any) -> Cell:
    """``lj.conv_lstm`` for images of ``shape``."""
    return _convolutional.conv_lstm(size, shape, **options)


@calls.with_options_of(_convolutional.conv_gru)
def _conv_gru_of_size(size: int, *, shape: Any = (4, 4), **options: Any) -> Cell:
    """``lj.conv_gru`` for images of ``shape``."""
    return _convolutional.conv_gru(size, shape, **options)


@calls.with_options_of(_multidimensional.multidimensional)
def _multidimensional_of_size(size: int, *, width: int = 4, **options: Any) -> Cell:
    """``lj.multidimensional`` for rows of ``width`` places."""
    return _multidimensional.multidimensional(size, width, **options)


def _preset(factory: Callable[..., Cell], **fixed: Any) -> Callable[..., Cell]:
    """``factory`` with some options fixed; it is an error to give them again."""

    @calls.with_options_of(factory)
    def make_preset(size: int, **options: Any) -> Cell:
        again = sorted(options.keys() & fixed.keys())
        if again:
            raise WrongType(
                f"options: expected none that this variant sets itself, got {', '.join(again)}"
            )
        return factory(size, **fixed, **options)

    return make_preset


registry: dict[str, Callable[..., Cell]] = {
    "rnn": _rnn.rnn,
    "irnn": _rnn.irnn,
    "indrnn": _rnn.indrnn,
    "clockwork": _rnn.clockwork,
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
    "complex_gru": _complex_gru.complex_gru,
    "complex_lstm": _complex_lstm.complex_lstm,
    "urnn": _urnn.urnn,
    "eurnn": _preset(_urnn.urnn, recurrence="rotations"),
    "scornn": _scornn.scornn,
    "associative_lstm": _associative_lstm.associative_lstm,
    "ntm": _ntm.ntm,
    "conv_lstm": _conv_lstm_of_size,
    "conv_gru": _conv_gru_of_size,
    "multidimensional": _multidimensional_of_size,
}
for _variant, _options in _lstm.GREFF_VARIANTS.items():
    registry[f"lstm_{_variant}"] = _preset(_lstm.lstm, **_options)


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Parses a text such as ``"lstm(peephole=True, forget_bias=0.0)"``.

    Args:
        text: A registered name, alone or with keyword options whose values are Python literals.

    Returns:
        ``(name, options)``. ``make`` checks whether the cell has these options.

    Raises:
        ValueError: For a name that is not registered, and for text of another form.
    """
    return calls.parse("name", text, registry)


def make(name: str, size: int, **options: Any) -> Cell:
    """Builds a registered cell.

        cell = lj.cells.make("lstm(peephole=True)", 128, forget_bias=0.0)

    Args:
        name: A registered name, alone or with options in brackets; see ``parse``.
        size: The hidden size.
        **options: Further options for the factory.

    Raises:
        ValueError: For an unknown name.
        TypeError: For an option that the cell does not have, or that is given in both ways.
    """
    name, text_options = parse(name)
    options = calls.merge_options(name, text_options, options)
    return calls.call(name, registry[name], size, **options)
