"""How an encoder-decoder model runs: it reads a source, and writes a target."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lstm_jax._internal import checking, varying
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.generators import split_key
from lstm_jax.attend import length_mask
from lstm_jax.attend.contract import contraction
from lstm_jax.core.cell import Cell, with_memory
from lstm_jax.core.typing import Params
from lstm_jax.decode.stepping import Step
from lstm_jax.seq2seq import bridges, outputs
from lstm_jax.seq2seq.design import Design, check_params, first_state
from lstm_jax.unrolling import unroll


class Encoded(NamedTuple):
    """A source as the decoder sees it.

    memory: the encoder's outputs.
    mask: the places within the rows' lengths; None for all.
    state: the first state of the decoder's cell.
    summary: the encoder's last state, flat.
    embedded, source: what the encoder read.
    """

    memory: Float[Array, "S B M"]
    mask: Bool[Array, "S B"] | None
    state: Any
    summary: Float[Array, "B N"]
    embedded: Float[Array, "S B E"]
    source: Int[Array, "S B"]


def encode(design: Design, params: Params, source: Any, lengths: Any, key: Any) -> Encoded:
    """The source's memory, and the decoder's first state."""
    source, lengths = check_source(design, params, source, lengths)
    key_drop, key_cell = split_key(key, 2)
    table = params["embedding" if design.shared_embedding else "source_embedding"]
    embedded = _dropout(design, _embed(design, table, source), key_drop)
    last, memory = unroll(
        design.encoder, params["encoder"], embedded, lengths=lengths, key=key_cell
    )
    mask = None if lengths is None else length_mask(lengths, source.shape[0])
    state = first_state(design, params, last)
    return Encoded(memory, mask, state, bridges.summary_of(last), embedded, source)


def check_source(
    design: Design, params: Params, source: Any, lengths: Any
) -> tuple[jax.Array, Any]:
    """The source and its lengths as integers; an error that names what is wrong with them."""
    check_params(design, params)
    source = _tokens("source", source, "[S, B]")
    if lengths is not None:
        lengths = checking.lengths(
            lengths, source.shape[0], source.shape[1:], "source_lengths", "source"
        )
    return source, lengths


def teacher_force(
    design: Design,
    params: Params,
    encoded: Encoded,
    targets: Any,
    lengths: Any,
    own: Any,
    key: Any,
) -> jax.Array:
    """Log-probabilities ``[T, B, V]`` of each token after the targets before it; with the
    probability ``own``, after the model's own last prediction."""
    targets = _tokens("targets", targets, "[T, B]")
    if targets.shape[1] != encoded.source.shape[1]:
        raise WrongValue(
            f"targets: expected the source's batch, {encoded.source.shape[1]}, got "
            f"shape {targets.shape}"
        )
    if lengths is not None:
        lengths = checking.lengths(
            lengths, targets.shape[0], targets.shape[1:], "target_lengths", "targets"
        )
    key_in, key_cell, key_out, key_own = split_key(key, 4)
    first = first_tokens(design, encoded)
    cell, state = _start(design, params, encoded)
    if own is None:
        before = jnp.concatenate([first[None], targets[:-1]])
        xs = _inputs(design, params, encoded, before, key_in)
        _, ys = unroll(cell, params["decoder"], xs, state, lengths=lengths, key=key_cell)
        return _distribution(design, params, encoded, xs, ys, key_out)

    prepared = cell.prepare(with_memory(cell, params["decoder"]), first.shape, key_cell)

    def step(carry: tuple[Any, ...], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        state, last = carry
        t, target = inputs
        keys = (jax.random.fold_in(key, t) for key in (key_in, key_out, key_own))
        noise_in, noise_out, noise_own = keys
        x = _inputs(design, params, encoded, last, noise_in)
        state, y = cell.advance(prepared, state, x)
        logs = _distribution(design, params, encoded, x, y, noise_out)
        predicted = jnp.argmax(logs, axis=-1).astype(target.dtype)
        chosen = jax.random.bernoulli(noise_own, jnp.asarray(own, jnp.float32), target.shape)
        return (state, jnp.where(chosen, predicted, target)), logs

    axes = varying.axes_of(params, encoded, targets, key, own)
    begin = varying.cast(axes, (state, first))
    logs: jax.Array
    _, logs = jax.lax.scan(step, begin, (jnp.arange(targets.shape[0]), targets))
    return logs


def stepper(design: Design, params: Params, encoded: Encoded) -> tuple[Step, Any]:
    """The decoder as a step of ``lj.decode``, and its first state."""
    cell, state = _start(design, params, encoded)
    # Once for all steps: what the attention computes from the memory.
    prepared = cell.prepare(with_memory(cell, params["decoder"]), encoded.source.shape[1:], None)

    def step(state: Any, tokens: jax.Array) -> tuple[Any, jax.Array, Any]:
        x = _inputs(design, params, encoded, tokens, None)
        state, y = cell.advance(prepared, state, x)
        logs = _distribution(design, params, encoded, x, y, None)
        return state, logs, state.weights if design.attends else ()

    return step, state


def first_tokens(design: Design, encoded: Encoded) -> jax.Array:
    """The start token of each row; for pointers -1, for which the start vector is read."""
    start = -1 if design.start is None else design.start
    return jnp.full(encoded.source.shape[1:], start, jnp.int32)


def _start(design: Design, params: Params, encoded: Encoded) -> tuple[Cell, Any]:
    cell = design.cell(encoded.memory, encoded.mask)
    if not design.attends:
        return cell, encoded.state
    zero = cell.initial_state(params["decoder"], encoded.source.shape[1:])
    return cell, zero._replace(cell=encoded.state)


def _inputs(
    design: Design, params: Params, encoded: Encoded, tokens: jax.Array, key: Any
) -> jax.Array:
    """What the decoder reads after ``tokens [*lead, B]``."""
    if design.output == "pointer":
        at = jnp.clip(tokens, 0, encoded.source.shape[0] - 1)
        x = encoded.embedded[at, jnp.arange(tokens.shape[-1])]
        x = jnp.where(tokens[..., None] < 0, params["start"], x)
    else:
        table = params["embedding" if design.shared_embedding else "target_embedding"]
        x = _embed(design, table, tokens)
    return _with_summary(design, encoded, _dropout(design, x, key))


def _distribution(
    design: Design, params: Params, encoded: Encoded, x: jax.Array, ys: jax.Array, key: Any
) -> jax.Array:
    """Log-probabilities of the decoder's outputs ``ys [*lead, B, ...]`` and inputs ``x``."""
    y, weights = ys[..., : design.out_size], ys[..., design.out_size :]
    if design.output == "pointer":
        return outputs.pointer(weights, encoded.mask)
    y = _with_summary(design, encoded, _dropout(design, y, key))
    logs = outputs.vocabulary(params["readout"], y)
    if design.output == "vocabulary":
        return logs
    context = contraction("...bs,sbm->...bm", weights, _masked_memory(encoded))
    e = design.embedding_size
    gate = outputs.linear(params["gate"], jnp.concatenate([context, y, x[..., :e]], axis=-1))[
        ..., 0
    ]
    return outputs.copying(logs, gate, weights, encoded.source, encoded.mask, design.extra)


def _masked_memory(encoded: Encoded) -> jax.Array:
    """The memory, zero in the padding."""
    if encoded.mask is None:
        return encoded.memory
    return jnp.where(encoded.mask[..., None], encoded.memory, 0)


def _with_summary(design: Design, encoded: Encoded, values: jax.Array) -> jax.Array:
    if not design.feed_summary:
        return values
    summary = jnp.broadcast_to(
        encoded.summary.astype(values.dtype), (*values.shape[:-1], encoded.summary.shape[-1])
    )
    return jnp.concatenate([values, summary], axis=-1)


def _embed(design: Design, table: jax.Array, tokens: jax.Array) -> jax.Array:
    """The table's rows of ``tokens``; tokens beyond the vocabulary have that of the unknown one."""
    if design.unknown is not None and design.extra:
        tokens = jnp.where(tokens >= design.size, design.unknown, tokens)
    return jnp.take(table, tokens, axis=0, mode="clip")


def _dropout(design: Design, values: jax.Array, key: Any) -> jax.Array:
    if key is None or not design.dropout:
        return values
    kept = jax.random.bernoulli(key, jnp.float32(1.0 - design.dropout), values.shape)
    return jnp.where(kept, values / (1.0 - design.dropout), 0).astype(values.dtype)


def _tokens(argument: str, value: Any, axes: str) -> jax.Array:
    value = checking.array(argument, value)
    if not jnp.issubdtype(value.dtype, jnp.integer):
        raise WrongValue(f"{argument}: expected integers, got dtype {value.dtype.name}")
    if value.ndim != 2 or value.shape[0] == 0:
        raise WrongValue(f"{argument}: expected {axes}, one step or more, got shape {value.shape}")
    return value.astype(jnp.int32)
