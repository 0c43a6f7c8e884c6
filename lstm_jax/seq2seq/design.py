"""The design of an encoder-decoder model: its arguments, their checks, and its params."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax import attend
from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import ArgumentError, WrongValue
from lstm_jax.attend.attentive import attentive
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params
from lstm_jax.decode.stepping import integer, token
from lstm_jax.seq2seq import bridges, outputs


class Design(NamedTuple):
    """The arguments of ``encoder_decoder``."""

    encoder: Cell
    decoder: Cell
    source_size: int
    target_size: int | None
    embedding_size: int
    start: int | None
    end: int | None
    attention: str | attend.Attention | None
    style: str
    input_feeding: bool
    vector_size: int | None
    bridge: str
    feed_summary: bool
    output: str
    extra: int
    unknown: int | None
    shared_embedding: bool
    dropout: float

    @property
    def attends(self) -> bool:
        return self.attention is not None

    @property
    def size(self) -> int:
        """The number of tokens in the target's table."""
        return self.source_size if self.target_size is None else self.target_size

    @property
    def out_size(self) -> int:
        """The size of the attentional vector, or of the decoder's output in its place."""
        return self.vector_size or self.decoder.size

    def cell(self, memory: jax.Array, mask: jax.Array | None) -> Cell:
        """The decoder, with its attention to the memory if it has one, whose weights follow its
        output."""
        if self.attention is None:
            return self.decoder
        return attentive(
            self.decoder,
            memory,
            mask=mask,
            attention=self.attention,
            style=self.style,
            input_feeding=self.input_feeding,
            size=self.vector_size,
            returns="both",
        )


def check(design: Design) -> Design:
    """``design``; an error if its parts do not fit together."""
    cell_checks.cell("encoder", design.encoder)
    cell_checks.cell("decoder", design.decoder)
    cell_checks.vectors_only("encoder", design.encoder)
    cell_checks.vectors_only("decoder", design.decoder)
    checking.positive_int("source_size", design.source_size)
    checking.positive_int("embedding_size", design.embedding_size)
    checking.rate("dropout", design.dropout)
    for name in ("input_feeding", "feed_summary", "shared_embedding"):
        checking.flag(name, getattr(design, name))
    checking.choice("bridge", design.bridge, bridges.BRIDGES)
    checking.choice("output", design.output, outputs.OUTPUTS)
    _check_tokens(design)
    if design.attends:
        probe = design.cell(jnp.zeros((2, design.encoder.size), jnp.float32), None)
        if probe.size != design.out_size + 2 and design.output != "vocabulary":
            raise WrongValue(
                f"attention: expected one head for output={design.output!r}, got "
                f"{design.attention!r}, which has several"
            )
        if design.output == "pointer" and design.style != "luong":
            raise WrongValue(f"style: expected 'luong' for output='pointer', got {design.style!r}")
    else:
        if design.output != "vocabulary":
            raise WrongValue(f"attention: expected one for output={design.output!r}, got None")
        if design.vector_size is not None:
            raise WrongValue(
                f"vector_size: expected None without attention, got {design.vector_size}"
            )
        if design.bridge == "none" and not design.feed_summary:
            raise WrongValue(
                "bridge: expected 'dense' or 'last' without attention or feed_summary (the decoder "
                "would know nothing of the source), got 'none'"
            )
    _check_cells(design)
    return design


def _check_tokens(design: Design) -> None:
    pointing, copying = design.output == "pointer", design.output == "copy"
    if pointing:
        if design.target_size is not None or design.start is not None:
            name = "start" if design.target_size is None else "target_size"
            got = getattr(design, name)
            raise WrongValue(f"{name}: expected None for output='pointer', got {got}")
        if design.end is not None:
            integer("end", design.end)
    else:
        checking.positive_int("target_size", design.target_size)
        token("start", design.start, design.size)
        if design.end is not None:
            token("end", design.end, design.size)
    if (copying or design.shared_embedding) and design.size != design.source_size:
        raise WrongValue(
            f"target_size: expected source_size, {design.source_size}, since both sides share one "
            f"list of tokens, got {design.size}"
        )
    if integer("extra", design.extra) != 0:
        if not copying or design.extra < 0:
            expected = "0 or more" if copying else f"0 for output={design.output!r}"
            raise WrongValue(f"extra: expected {expected}, got {design.extra}")
        token("unknown", design.unknown, design.size)


def _check_cells(design: Design) -> None:
    """Tries a first state and one step of the decoder, in shapes only."""

    def first_step(key: jax.Array) -> Any:
        params = init_params(design, key, jnp.float32)
        state = first_state(design, params, design.encoder.initial_state(params["encoder"], (1,)))
        width = design.embedding_size + summary_size(design, params["encoder"])
        inputs = jnp.zeros((1, width), jnp.float32)
        cell, params = design.decoder, params["decoder"]
        if not design.attends:
            return cell.step(params, state, inputs)
        memory = jnp.zeros((1, 1, design.encoder.size), jnp.float32)
        attending = design.cell(memory, None)
        return attending.step(
            params, attending.initial_state(params, (1,))._replace(cell=state), inputs
        )

    def initial_state(key: jax.Array) -> Any:
        return design.encoder.initial_state(design.encoder.init(key, design.embedding_size), ())

    try:
        jax.eval_shape(initial_state, jax.random.key(0))
    except ArgumentError as error:
        raise WrongValue(f"encoder: {error}") from error
    try:
        jax.eval_shape(first_step, jax.random.key(0))
    except ArgumentError as error:
        if str(error).startswith(("bridge", "attention")):
            raise
        raise WrongValue(f"decoder: {error}") from error


def summary_size(design: Design, encoder: Params) -> int:
    """The width of what ``feed_summary`` adds to the decoder's input."""
    return encoder_width(design, encoder) if design.feed_summary else 0


def encoder_width(design: Design, encoder: Params) -> int:
    """The number of floats in the state of the encoder with these params."""
    state = jax.eval_shape(lambda params: design.encoder.initial_state(params, ()), encoder)
    return bridges.state_width(state)


def init_params(design: Design, key: jax.Array, dtype: Any) -> Params:
    """All params; see ``encoder_decoder``."""
    names = ("encoder", "decoder", "source", "target", "bridge", "readout", "gate")
    keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
    e = design.embedding_size
    encoder = design.encoder.init(keys["encoder"], e, dtype)
    summary = summary_size(design, encoder)

    def table(name: str, rows: int) -> jax.Array:
        return jax.random.normal(keys[name], (rows, e), dtype) * e**-0.5

    cell = design.cell(jnp.zeros((1, design.encoder.size), dtype), None)
    params = {
        "encoder": encoder,
        "decoder": cell.init(keys["decoder"], e + summary, dtype),
    }
    if design.shared_embedding:
        params["embedding"] = table("source", design.source_size)
    else:
        params["source_embedding"] = table("source", design.source_size)
    if design.output == "pointer":
        params["start"] = jnp.zeros(e, dtype)
    else:
        if not design.shared_embedding:
            params["target_embedding"] = table("target", design.size)
        params["readout"] = outputs.init_linear(
            keys["readout"], design.out_size + summary, design.size, dtype
        )
    if design.output == "copy":
        rows = design.encoder.size + design.out_size + e + summary
        params["gate"] = outputs.init_linear(keys["gate"], rows, 1, dtype)
    if design.bridge == "dense":
        inner = params["decoder"]["cell"] if design.attends else params["decoder"]
        width = bridges.start_width(design.decoder.initial_state(inner, ()))
        if width:
            widths = encoder_width(design, encoder), width
            params["bridge"] = bridges.init_dense(keys["bridge"], *widths, dtype)
        elif not design.attends and not design.feed_summary:
            raise WrongValue(
                f"bridge: expected 'last' for {design.decoder.name}, whose state only its steps "
                "can fill (it would know nothing of the source), got 'dense'"
            )
    return params


def check_params(design: Design, params: Params) -> None:
    """Refuses params of another model, whose tables would be read silently."""
    cell_checks.same_shapes("params", params, _expected_params(design), "the model's init")


@functools.lru_cache(maxsize=256)
def _expected_params(design: Design) -> Params:
    return jax.eval_shape(lambda key: init_params(design, key, jnp.float32), jax.random.key(0))


def first_state(design: Design, params: Params, state: Any) -> Any:
    """The first state of the decoder's cell, from the encoder's last state."""
    batch = jax.tree.leaves(state)[0].shape[0]
    inner = params["decoder"]["cell"] if design.attends else params["decoder"]
    zero = design.decoder.initial_state(inner, (batch,))
    if design.bridge == "dense" and "bridge" in params:
        return bridges.dense(params["bridge"], bridges.summary_of(state), zero)
    if design.bridge == "last":
        return bridges.last(state, zero)
    return zero
