"""The encoder-decoder model: any encoder, any cell as decoder, one of three output layers.

Sources: Sutskever, Vinyals & Le 2014 (a fixed vector between two networks); Cho et al. 2014 (the
vector fed at each step); Bahdanau, Cho & Bengio 2015 and Luong, Pham & Manning 2015 (attention);
Bengio et al. 2015 (scheduled sampling); Vinyals, Fortunato & Jaitly 2015 (pointers); See, Liu &
Manning 2017 (copying). S source length, T target length, B batch, V vocabulary, E embedding size.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from lstm_jax import attend
from lstm_jax import decode as decoders
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.numerics import wide
from lstm_jax.core.recipes import FactoryMade, factory
from lstm_jax.core.typing import AnyArray, Params
from lstm_jax.seq2seq import running
from lstm_jax.seq2seq.design import Design, check, init_params
from lstm_jax.seq2seq.losses import cross_entropy
from lstm_jax.seq2seq.running import Encoded


class _Fields(NamedTuple):
    init: Callable[..., Params]
    encode: Callable[..., Encoded]
    log_probabilities: Callable[..., jax.Array]
    loss: Callable[..., jax.Array]
    stepper: Callable[..., tuple[decoders.Step, Any]]
    decode: Callable[..., Any]


class Seq2Seq(FactoryMade, _Fields):
    """Pure functions from a source ``[S, B]`` and a target ``[T, B]`` of integer tokens.

    A target holds the end token and not the start token. Values past a row's length may be
    anything, and change nothing.

    init: ``(key, dtype=float32) -> params``.
    encode: ``(params, source, *, source_lengths=None, key=None) -> Encoded``.
    log_probabilities: ``(params, source, targets, *, source_lengths=None, target_lengths=None,
        own=None, key=None) -> [T, B, V]``, of each token after the target's tokens before it;
        past a row's length any number but NaN. With ``own`` the decoder reads, with that
        probability at each step, its own most probable last token and not the target's
        (scheduled sampling: Bengio et al. 2015; see ``linear_decay``). The key draws this and
        all noise; without it there is no noise, and ``own`` is an error.
    loss: the same arguments and ``label_smoothing=0.0``: ``cross_entropy`` in nats per token.
    stepper: ``(params, source, *, source_lengths=None) -> (step, state)``, for ``lj.decode``;
        ``seen`` are the attention's weights ``[B, S]``, or () without attention.
    decode: ``(params, source, *, max_steps, method="greedy", source_lengths=None, key=None,
        **options)``: "greedy" or "sample" give ``lj.decode.Decoded``, "beam" gives ``Beams``;
        options are those of the decoder, and the coverage penalty knows the source's lengths.
        Outside ``jax.jit`` a call compiles once for a model, its shapes and its options.
    """


@factory
def encoder_decoder(
    encoder: Cell,
    decoder: Cell,
    source_size: int,
    target_size: int | None = None,
    *,
    embedding_size: int,
    start: int | None = None,
    end: int | None = None,
    attention: str | attend.Attention | None = "additive",
    style: str = "luong",
    input_feeding: bool = True,
    vector_size: int | None = None,
    bridge: str = "dense",
    feed_summary: bool = False,
    output: str = "vocabulary",
    extra: int = 0,
    unknown: int | None = None,
    shared_embedding: bool = False,
    dropout: float = 0.0,
) -> Seq2Seq:
    """A model that reads a source with ``encoder`` and writes a target with ``decoder``.

    Params ``{"encoder", "decoder", "source_embedding" [source_size, E], "target_embedding" [V,
    E]}`` (or one ``"embedding"``), ``"bridge"`` and ``"readout"`` (each ``{"w", "b"}``), with
    "copy" ``"gate"``, with "pointer" ``"start" [E]`` and no target embedding or readout.
    Ids outside their table are read as its nearest. Lengths outside [0, S] or [0, T] are an error
    if they are known, and clipped if they are traced.

    Args:
        encoder: any cell or layer (``lj.bidirectional``, ``lj.chain``).
        decoder: any cell.
        source_size, target_size: the numbers of tokens; the second is None for pointers only.
        embedding_size: E.
        start, end: tokens of the target. Pointers start from a learned vector, and end, if at all,
            at the place ``end``: put a mark there in every source.
        attention: of ``lj.attend``, or its name; None if the decoder is to get only the encoder's
            last state.
        style, input_feeding, vector_size: as in ``lj.attentive``, whose ``size`` is
            ``vector_size``.
        bridge: the decoder's first state. "dense": a learned tanh of the encoder's last state,
            except for what only its steps can fill (a window, the memory of an sLSTM), which starts
            empty. "last": that state itself, if the shapes agree. "none": its own initial state.
        feed_summary: make the encoder's last state part of the decoder's input at each step, and
            of what the output layer reads (Cho et al. 2014, section 2.2).
        output: "vocabulary": a softmax over the target's tokens. "pointer": the weights over the
            source's places, which are then the target's tokens; the decoder reads the embedding of
            the place it pointed at. "copy": a mixture of the vocabulary with the weights on the
            source's tokens, with the share ``p = sigmoid(w [context; y; x] + b)`` of the vocabulary
            (See et al. 2017, eq. 8 and 9, with the attentional vector y in place of the decoder's
            state); both sides then share one list of tokens.
        extra: with "copy", the number of ids beyond the vocabulary that a source may give to tokens
            of its own: they can only be copied, and are read as the token ``unknown``.
        unknown: that token.
        shared_embedding: one table for source and target.
        dropout: the share of zeros in embeddings and in what the output layer reads; wrap the cells
            for noise inside.

    Raises:
        ValueError or TypeError: naming the argument.
    """
    design = check(Design(**locals()))

    def init(key: PRNGKeyArray, dtype: Any = jnp.float32) -> Params:
        key = checking.random_key("key", key)
        return init_params(design, key, checking.float_dtype("dtype", dtype))

    def encode(
        params: Params,
        source: Integer[AnyArray, "S B"],
        *,
        source_lengths: Integer[AnyArray, "B"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Encoded:
        key = None if key is None else checking.random_key("key", key)
        return running.encode(design, params, source, source_lengths, key)

    def log_probabilities(
        params: Params,
        source: Integer[AnyArray, "S B"],
        targets: Integer[AnyArray, "T B"],
        *,
        source_lengths: Integer[AnyArray, "B"] | None = None,
        target_lengths: Integer[AnyArray, "B"] | None = None,
        own: Any = None,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "T B V"]:
        key = None if key is None else checking.random_key("key", key)
        if own is not None:
            if key is None:
                raise WrongValue("key: expected a key with own, got None")
            if isinstance(own, jax.Array):
                if checking.float_array("own", own, "[]", 0).ndim:
                    raise WrongValue(f"own: expected one probability, got shape {own.shape}")
            elif not 0 <= checking.real("own", own) <= 1:
                raise WrongValue(f"own: expected a probability, got {own}")
        key_source, key_target = (None, None) if key is None else jax.random.split(key)
        encoded = running.encode(design, params, source, source_lengths, key_source)
        return running.teacher_force(
            design, params, encoded, targets, target_lengths, own, key_target
        )

    def loss(
        params: Params,
        source: Integer[AnyArray, "S B"],
        targets: Integer[AnyArray, "T B"],
        *,
        target_lengths: Integer[AnyArray, "B"] | None = None,
        label_smoothing: float = 0.0,
        **options: Any,
    ) -> Float[Array, ""]:
        logs = log_probabilities(params, source, targets, target_lengths=target_lengths, **options)
        return cross_entropy(logs, targets, lengths=target_lengths, label_smoothing=label_smoothing)

    def stepper(
        params: Params,
        source: Integer[AnyArray, "S B"],
        *,
        source_lengths: Integer[AnyArray, "B"] | None = None,
    ) -> tuple[decoders.Step, Any]:
        encoded = running.encode(design, params, source, source_lengths, None)
        return running.stepper(design, params, encoded)

    def search(
        params: Params, source: Any, lengths: Any, key: Any, method: str, fixed: tuple[Any, ...]
    ) -> decoders.Decoded | decoders.Beams:
        encoded = running.encode(design, params, source, lengths, None)
        step, state = running.stepper(design, params, encoded)
        options = dict(fixed) | {"start": running.first_tokens(design, encoded), "end": end}
        if method == "greedy":
            return decoders.greedy(step, state, **options)
        if method == "sample":
            return decoders.sample(step, state, key, **options)
        if design.attends:  # the coverage of several heads is that of their mean
            options |= {"weights": _mean_of_heads, "memory_mask": encoded.mask}
        return decoders.beam(step, state, **options)

    # As in lj.unroll: compiled by itself if the caller does not compile.
    compiled = jax.jit(search, inline=True, static_argnums=(4, 5))

    def decode(
        params: Params,
        source: Integer[AnyArray, "S B"],
        *,
        max_steps: int,
        method: str = "greedy",
        source_lengths: Integer[AnyArray, "B"] | None = None,
        key: PRNGKeyArray | None = None,
        **options: Any,
    ) -> decoders.Decoded | decoders.Beams:
        checking.choice("method", method, ("greedy", "sample", "beam"))
        for given in ("start", "end", "weights", "memory_mask"):
            if given in options:
                raise WrongType(f"{given}: expected none, since the model sets it, got one")
        source, source_lengths = running.check_source(design, params, source, source_lengths)
        key = None if key is None else checking.random_key("key", key)
        fixed = tuple(sorted({"max_steps": max_steps, **options}.items()))
        run = compiled if _hashable(fixed) else search  # which says what is wrong
        return run(params, source, source_lengths, key, method, fixed)

    return Seq2Seq(init, encode, log_probabilities, loss, stepper, decode)


def _mean_of_heads(weights: jax.Array) -> jax.Array:
    return wide(weights).mean(axis=1) if weights.ndim == 3 else weights


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
