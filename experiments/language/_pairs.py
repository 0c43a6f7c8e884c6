"""Shared by the sequence-to-sequence experiments: encoder-decoders with attention, and one whose
decoder gets a fixed vector, as models for the runner; their losses, scores and pictures."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import lstm_jax as lj
from experiments.harness.report import curves
from experiments.harness.run.setting import Training, rename_argument
from lstm_jax import seq2seq, train
from lstm_jax._internal import calls, checking
from lstm_jax.tasks import PairBatch, Pairs, PairTask, Score, Vocabulary
from lstm_jax.tasks.pairs import data
from lstm_jax.tasks.rows import sample_rows
from lstm_jax.tasks.vocabulary import END, PAD, START

FIXED = "fixed"


@dataclasses.dataclass(frozen=True)
class PairTraining(Training):
    """The options of comparisons between encoder-decoders at equal parameter counts."""

    models: tuple[str, ...] = ("additive", FIXED)
    """The models, by the attention with which the decoder reads the encoder's outputs, a name in
    lj.attend.registry; with "fixed", it only gets the encoder's last state, at every step."""
    cell: str = "lstm"
    """Cell of the encoder, in both directions, and of the decoder, by its name in
    lj.cells.registry, with options in brackets."""
    parameters: int = 60_000
    """Parameters of each model; the hidden size that comes nearest is used."""
    embedding_size: int = 32
    """Size of the embeddings of source and target tokens."""
    dropout: float = 0.0
    """Dropout rate of the embeddings and of the output layer's inputs."""
    label_smoothing: float = 0.0
    """Share of the target's probability that the loss spreads evenly over all tokens."""

    @property
    def contenders(self) -> tuple[str, ...]:
        return self.models

    @property
    def options(self) -> dict[str, Any]:
        others = {field.name for field in dataclasses.fields(Training)} | {"models", "parameters"}
        return {name: of for name, of in dataclasses.asdict(self).items() if name not in others}


def encoder_decoder(
    budget: PairTraining, name: str, sizes: tuple[int, int], size: int
) -> seq2seq.Seq2Seq:
    """Makes the contender ``name``.

    Args:
        budget: The options.
        name: The attention, or "fixed".
        sizes: The sizes of the source's and the target's vocabulary.
        size: The units of the decoder; each direction of the encoder has half as many.
    """
    make = functools.partial(lj.cells.make, budget.cell)
    half = (size + 1) // 2
    fixed = name == FIXED
    return seq2seq.encoder_decoder(
        lj.bidirectional(make(half), make(half)),
        make(size),
        *sizes,
        embedding_size=budget.embedding_size,
        start=START,
        end=END,
        attention=None if fixed else name,
        feed_summary=fixed,
        dropout=budget.dropout,
    )


def pair_model(
    answer: Callable[..., Any], task: PairTask, budget: PairTraining, name: str
) -> train.Model:
    """The contender ``name`` as a model for the runner.

    Its outputs are the log-probabilities ``[T, B, V]`` of the target's tokens. Its score is
    computed from ``answer(model, params, batch)``.
    """
    checking.choice("models", name, (*lj.attend.registry, FIXED))
    calls.parse("cell", budget.cell, lj.cells.registry)

    def of_size(size: int) -> train.Model:
        sizes = (task.source_size, task.target_size)
        model = encoder_decoder(budget, name, sizes, size)

        def apply(params: Any, batch: PairBatch, *, key: Any = None) -> jax.Array:
            return model.log_probabilities(
                params, batch.source, batch.target, key=key,
                source_lengths=batch.source_lengths, target_lengths=batch.target_lengths,
            )  # fmt: skip

        return train.Model(size, model.init, apply, functools.partial(answer, model))

    with rename_argument("budget", f"parameters of {name} on {task.name}"):
        return of_size(train.size_near(of_size, budget.parameters))


def decode_greedily(model: seq2seq.Seq2Seq, params: Any, batch: PairBatch) -> jax.Array:
    """The tokens ``[T, B]`` of greedy decoding, over as many steps as the target has."""
    steps = batch.target.shape[0]
    return model.decode(
        params, batch.source, max_steps=steps, source_lengths=batch.source_lengths
    ).tokens


def cross_entropy(smoothing: float) -> Callable[[jax.Array, PairBatch], jax.Array]:
    """The loss, in nats per token, with label smoothing."""
    smoothing = checking.rate("label_smoothing", smoothing)

    def loss(outputs: Float[Array, "T B V"], batch: PairBatch) -> jax.Array:
        return seq2seq.cross_entropy(
            outputs, batch.target, lengths=batch.target_lengths, label_smoothing=smoothing
        )

    return loss


def find_right(tokens: jax.Array, batch: PairBatch) -> jax.Array:
    """Which rows ``[B]`` are right in every token, including the end."""
    counts = jnp.arange(batch.target.shape[0])[:, None] < batch.target_lengths
    return jnp.all(jnp.where(counts, tokens == batch.target, True), axis=0)


def exact_match(chance: float) -> Score:
    """The score: the share of rows that are right in every token."""
    return Score(
        "exact match",
        lambda tokens, batch: jnp.mean(find_right(tokens, batch)),
        higher_is_better=True,
        chance=chance,
    )


def to_device(batch: PairBatch) -> PairBatch:
    return PairBatch(*map(jnp.asarray, batch))


def sample_pairs(pairs: Pairs, width: data.Width) -> Callable[[Any, int], PairBatch]:
    """A function ``sample`` of a task, which draws pairs with replacement, on the device, padded to
    one width."""
    padded = to_device(pad_all(pairs, width))

    def take(rows: jax.Array) -> PairBatch:
        return PairBatch(*(leaf[..., rows] for leaf in padded))

    return sample_rows(len(pairs.sources), take)


def pad_all(rows: Pairs, width: data.Width) -> PairBatch:
    """All rows as one batch."""
    return data.pad(rows, np.arange(len(rows.sources)), width)


def max_width(rows: Pairs) -> data.Width:
    """The largest lengths of source and target."""
    source, target = rows.lengths()
    return int(source.max()), int(target.max())


def params_of_run(params: Any, run: int) -> Any:
    """The params of one run, on one device."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[run]), params)


def join_batches(batches: Sequence[PairBatch]) -> PairBatch:
    """Joins batches into one, padded to the longest."""

    def pad(name: str) -> jax.Array:
        leaves = [getattr(batch, name) for batch in batches]
        steps = max(leaf.shape[0] for leaf in leaves)
        return jnp.concatenate(
            [jnp.pad(a, ((0, steps - len(a)), (0, 0)), constant_values=PAD) for a in leaves], axis=1
        )

    lengths = {
        name: jnp.concatenate([getattr(batch, name) for batch in batches])
        for name in ("source_lengths", "target_lengths")
    }
    return PairBatch(source=pad("source"), target=pad("target"), **lengths)


def draw_alignment(
    model: seq2seq.Seq2Seq,
    params: Any,
    batch: PairBatch,
    vocabularies: tuple[Vocabulary, Vocabulary],
    title: str,
    path: Path,
) -> None:
    """Draws the alignment of the first row of ``batch`` in greedy decoding; with several heads,
    their mean."""
    one = PairBatch(*(a[..., :1] for a in batch))
    decoded = model.decode(
        params, one.source, max_steps=one.target.shape[0], source_lengths=one.source_lengths
    )
    length = int(decoded.lengths[0])
    read = [vocabularies[0].tokens[i] for i in np.asarray(one.source[: one.source_lengths[0], 0])]
    tokens = [vocabularies[1].tokens[i] for i in np.asarray(decoded.tokens[:length, 0])]
    weights = np.asarray(decoded.seen)[:length, 0]
    weights = weights.reshape(length, -1, weights.shape[-1]).mean(axis=1)[:, : len(read)]
    curves.draw_alignment(weights, read, tokens, title, path)
