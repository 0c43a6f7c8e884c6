"""Benchmark tasks by name, one per file: what the experiments train on.

``tasks.make("adding", length=100)`` gives a ``Task``. The factories themselves stay in their
modules, such as ``lstm_jax.tasks.memory.adding.adding``.

A task from outside joins with one line, ``tasks.registry["mine"] = my_task``, its factory. The
parts to make one of are here: ``drawn_task`` for sequences that are drawn, or ``Task`` itself, with
``held_out_key``; ``classes`` for answers that are classes, ``regression`` for numbers, ``logistic``
for logistic outputs; ``ranges`` for lengths that differ; ``files`` for published data. ``check``
finds out whether a task keeps the contract.

There are two kinds of task, and ``AnyTask`` says what they share. A ``Task`` is for a cell with a
readout. A ``PairTask`` is for an encoder-decoder; its data are batches of pairs, and not in the
registry: ``reversal.reversal``, ``sorting.sorting``, ``dates.written_dates`` and
``multi30k.multi30k``, built on ``pairs`` and ``symbols``.

Real data that are no task, but a finite set to train on, are read by functions of the themes:
``tasks.text.ptb()``, ``tasks.text.shakespeare()``, ``tasks.text.movie_reviews()``,
``tasks.text.sentiment_treebank()``, ``tasks.images.mnist()``, and the time series of
``tasks.series``.
"""

from collections.abc import Callable
from typing import Any

from lstm_jax._internal import calls
from lstm_jax.tasks import (
    classes,
    contract,
    files,
    images,
    logistic,
    pairs,
    ranges,
    regression,
    series,
    text,
)
from lstm_jax.tasks.contract import check
from lstm_jax.tasks.formal import counting as _counting
from lstm_jax.tasks.formal import dyck as _dyck
from lstm_jax.tasks.formal import listops as _listops
from lstm_jax.tasks.formal import modular_arithmetic as _modular_arithmetic
from lstm_jax.tasks.formal import parity as _parity
from lstm_jax.tasks.formal import reber
from lstm_jax.tasks.formal import word_problem as _word_problem
from lstm_jax.tasks.images import digits as _digits
from lstm_jax.tasks.images import sequential_mnist as _sequential_mnist
from lstm_jax.tasks.memory import adding as _adding
from lstm_jax.tasks.memory import adding_1997 as _adding_1997
from lstm_jax.tasks.memory import copy_memory as _copy_memory
from lstm_jax.tasks.memory import delayed_recall as _delayed_recall
from lstm_jax.tasks.memory import flip_flop as _flip_flop
from lstm_jax.tasks.memory import long_lags
from lstm_jax.tasks.memory import n_bit_flip_flop as _n_bit_flip_flop
from lstm_jax.tasks.memory import selective_copy as _selective_copy
from lstm_jax.tasks.memory import temporal_order as _temporal_order
from lstm_jax.tasks.memory import two_sequence as _two_sequence
from lstm_jax.tasks.pairs import dates, multi30k, reversal, sorting, symbols
from lstm_jax.tasks.pairs.data import PairBatch, Pairs
from lstm_jax.tasks.pairs.symbols import SymbolTask, symbol_task
from lstm_jax.tasks.pairs.task import PairTask
from lstm_jax.tasks.recall import associative_recall as _associative_recall
from lstm_jax.tasks.recall import induction_heads as _induction_heads
from lstm_jax.tasks.settings import default_settings, under_default_settings
from lstm_jax.tasks.task import (
    HELD_OUT,
    AnyBatch,
    AnyTask,
    Batch,
    Score,
    Sequences,
    Success,
    Task,
    drawn_task,
    held_out_key,
)
from lstm_jax.tasks.vocabulary import Vocabulary

__all__ = [
    "HELD_OUT",
    "AnyBatch",
    "AnyTask",
    "Batch",
    "PairBatch",
    "PairTask",
    "Pairs",
    "Score",
    "Sequences",
    "Success",
    "SymbolTask",
    "Task",
    "Vocabulary",
    "check",
    "classes",
    "contract",
    "dates",
    "default_settings",
    "drawn_task",
    "files",
    "held_out_key",
    "images",
    "logistic",
    "long_lags",
    "make",
    "multi30k",
    "pairs",
    "parse",
    "ranges",
    "reber",
    "registry",
    "regression",
    "reversal",
    "series",
    "sorting",
    "symbol_task",
    "symbols",
    "text",
    "under_default_settings",
]

registry: dict[str, Callable[..., Task]] = {
    "adding": _adding.adding,
    "adding_1997": _adding_1997.adding_1997,
    "associative_recall": _associative_recall.associative_recall,
    "copy_memory": _copy_memory.copy_memory,
    "counting": _counting.counting,
    "delayed_recall": _delayed_recall.delayed_recall,
    "digits": _digits.digits,
    "dyck": _dyck.dyck,
    "embedded_reber": reber.embedded_reber,
    "even_pairs": _parity.even_pairs,
    "flip_flop": _flip_flop.flip_flop,
    "induction_heads": _induction_heads.induction_heads,
    "lags_2a": long_lags.lags_2a,
    "lags_2b": long_lags.lags_2b,
    "lags_2c": long_lags.lags_2c,
    "listops": _listops.listops,
    "modular_arithmetic": _modular_arithmetic.modular_arithmetic,
    "n_bit_flip_flop": _n_bit_flip_flop.n_bit_flip_flop,
    "parity": _parity.parity,
    "selective_copy": _selective_copy.selective_copy,
    "sequential_mnist": _sequential_mnist.sequential_mnist,
    "temporal_order": _temporal_order.temporal_order,
    "two_sequence": _two_sequence.two_sequence,
    "word_problem": _word_problem.word_problem,
}


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the options in ``text``, such as ``"adding(length=100)"``, as in
    ``lj.cells.parse``."""
    return calls.parse("name", text, registry)


def make(name: str, **options: Any) -> Task:
    """The registered task ``name``; options go to its factory.

    name: a name, or one with options such as ``"adding(length=100)"``. Raises ValueError for an
    unknown name, TypeError for an option that the task has not, or that is given in both ways.
    """
    name, written = parse(name)
    options = calls.merge_options(name, written, options)
    return calls.call(name, registry[name], **options)
