"""A cell that attends to a memory at each step: the decoder of a sequence-to-sequence model.

Sources: Luong, Pham & Manning 2015, "Effective Approaches to Attention-based Neural Machine
Translation" (section 3, equation 5; input feeding: section 3.3); Bahdanau, Cho & Bengio 2015,
"Neural Machine Translation by Jointly Learning to Align and Translate" (section 3.1).

The memory changes with every batch, while the compiled program must not. So the functions of an
attentive cell are made once for a cell, a mechanism and the shape of a memory. The memory itself is
in ``Cell.memory``, and reaches ``prepare`` beside the params.
"""

from typing import Any, Generic, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lstm_jax import attend
from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.dtypes import same_precision
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax._internal.generators import split_key
from lstm_jax.attend.contract import check_memory, matrix
from lstm_jax.core.cell import Bound, Cell, Memory
from lstm_jax.core.forms import Composite, Form, Observed, Plain
from lstm_jax.core.gates import NO_GATES
from lstm_jax.core.numerics import like, product
from lstm_jax.core.recipes import factory
from lstm_jax.core.steps import advance_of, observe
from lstm_jax.core.typing import AnyArray, StateT, StateT_co, generic_tuple


@generic_tuple
class AttentiveState(NamedTuple, Generic[StateT_co]):
    """The state of an attentive cell.

    Attributes:
        cell: The state of the cell inside.
        fed: What the next step reads of this one, ``[*batch, N]``: the attentional vector (input
            feeding), or the cell's output (style "bahdanau"); or ().
        weights: The attention weights of the last step, ``[*batch, S]``, or with heads
            ``[*batch, heads, S]``; zeros before the first step.
        attention: The state of the mechanism.
    """

    cell: StateT_co
    fed: Any
    weights: Float[Array, "*batch S"]
    attention: Any


def attentive(
    cell: Cell[StateT],
    memory: Float[AnyArray, "S *batch M"],
    *,
    mask: Bool[AnyArray, "S *rows"] | None = None,
    attention: str | attend.Attention = "additive",
    style: str = "luong",
    input_feeding: bool = True,
    size: int | None = None,
    returns: str = "outputs",
) -> Cell[AttentiveState[StateT]]:
    """``cell`` with attention to ``memory`` at each step, as in a decoder.

        decoder = lj.attentive(lj.lstm(128), memory, attention="additive")
        state, ys = lj.unroll(decoder, params, xs)

    Params ``{"cell", "attention"}`` and, if there is an attentional vector, ``"w_c" [C+H, size]``,
    with the rows of the context first. State ``AttentiveState(cell, fed, weights, attention)``.
    Wrappers go inside, around ``cell``; ``lj.mixed_precision`` may also go outside, where it casts
    the memory too.

    Args:
        cell: The cell that attends.
        memory: ``[S, *batch, M]``, with the batch axes of the inputs, or ``[S, M]`` if all rows
            share it. Gradients reach it. Make a new cell for the memory of each batch: memories of
            one shape run one compiled program, as long as ``cell`` and ``attention`` are equal.
        mask: The places that count, ``[S, *batch]`` (``lj.attend.length_mask``); by default all.
        attention: A mechanism of ``lj.attend``, or its name there, with a layer of the cell's size.
        style: "luong" queries with the cell's new output h and returns the attentional vector
            ``tanh([context; h] w_c)`` (Luong et al. 2015, eq. 5). "bahdanau" queries with the last
            output, and the cell reads ``[x; context]`` (Bahdanau et al. 2015, section 3.1); it
            returns the cell's output or, if ``size`` is given, ``tanh([context; h] w_c)``.
        input_feeding: Under "luong", whether the cell reads ``[x; last attentional vector]``
            (section 3.3). Without it, the cell first runs over the whole sequence by the method
            that suits it.
        size: The size of the attentional vector; by default that of the cell's output.
        returns: "outputs"; "weights" for a cell with the same params and states whose output are
            the attention weights ``[*batch, S]`` (with heads ``[*batch, heads * S]``), so that an
            unroll gives all alignments ``[T, *batch, S]``; or "both" for the outputs followed by
            the weights.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """
    cell_checks.cell("cell", cell)
    cell_checks.vectors_only("cell", cell)
    memory, mask = check_memory(memory, mask)
    if memory.shape[0] == 0:
        raise WrongValue(f"memory: expected at least one place, got shape {memory.shape}")
    checking.choice("style", style, ("luong", "bahdanau"))
    checking.choice("returns", returns, ("outputs", "weights", "both"))
    if not checking.flag("input_feeding", input_feeding) and style == "bahdanau":
        raise WrongValue("input_feeding: expected True for style 'bahdanau', got False")
    if size is not None:
        size = checking.positive_int("size", size)
    if not isinstance(attention, str | attend.Attention):
        raise WrongType(f"attention: expected one of lj.attend, or its name, got {attention!r}")
    made = _attentive(
        cell, attention, memory.shape[0], memory.shape[-1], style, input_feeding, size, returns
    )
    return made._replace(memory=Memory((memory, mask)))


@factory
def _attentive(
    cell: Cell[StateT],
    attention: str | attend.Attention,
    places: int,
    memory_size: int,
    style: str,
    input_feeding: bool,
    size: int | None,
    returns: str,
) -> Cell[AttentiveState[StateT]]:
    """The attentive cell without its memory ``[places, *batch, memory_size]``."""
    if isinstance(attention, str):
        checking.choice("attention", attention, attend.registry)
        attention = attend.make(attention, cell.size)
    mechanism, luong = attention, style == "luong"
    context_size = mechanism.context_size(memory_size)
    try:
        jax.eval_shape(lambda key: mechanism.init(key, cell.size, memory_size), jax.random.key(0))
    except ArgumentError as error:  # such as a dot product of two different sizes
        raise WrongValue(f"attention: {error}") from None
    vector_size = size or (cell.size if luong else None)
    out_size = vector_size or cell.size
    # The sizes of what the cell reads beside x, and of what is kept for it from step to step.
    read_size = context_size if not luong else out_size if input_feeding else 0
    fed_size = cell.size if not luong else read_size
    weights_shape = (places,) if mechanism.heads is None else (mechanism.heads, places)
    name = f"attentive({cell.name}, {mechanism.name})"

    def init(key, input_size, dtype=jnp.float32):
        key_cell, key_attention, key_c = jax.random.split(checking.random_key("key", key), 3)
        input_size = checking.positive_int("input_size", input_size)
        params = {
            "cell": cell.init(key_cell, input_size + read_size, dtype),
            "attention": mechanism.init(key_attention, cell.size, memory_size, dtype),
        }
        if vector_size is not None:
            params["w_c"] = matrix(key_c, (context_size + cell.size, vector_size), dtype)
        return params

    def initial_state(params, batch_shape=(), dtype=None):
        params = params.params if isinstance(params, Bound) else params
        entries = ("cell", "attention") + (() if vector_size is None else ("w_c",))
        cell_checks.entries("params", params, entries, "attentive")
        shape = checking.batch_shape("batch_shape", batch_shape)
        inner = cell.initial_state(params["cell"], shape, dtype)
        if dtype is None:
            dtype = jnp.result_type(jnp.float32, *(p.dtype for p in jax.tree.leaves(params)))
        return AttentiveState(
            inner,
            jnp.zeros((*shape, fed_size), dtype) if fed_size else (),
            jnp.zeros((*shape, *weights_shape), dtype),
            mechanism.start(shape, places, dtype),
        )

    def prepare(bound, batch_shape, key):
        if not isinstance(bound, Bound):
            raise WrongValue(
                f"cell: expected a cell of lj.attentive, got {name} without its memory"
            )
        params, (memory, mask) = bound
        rows = () if mask is None else mask.shape[1:]
        for argument, axes in {"memory": memory.shape[1:-1], "mask": rows}.items():
            if axes not in ((), tuple(batch_shape)):
                raise WrongValue(
                    f"{argument}: expected batch axes {batch_shape}, those of the input, got {axes}"
                )
        same_precision("memory", memory, params)
        matrices = [leaf.dtype for leaf in jax.tree.leaves(params) if leaf.ndim >= 2]
        memory = memory.astype(jnp.result_type(*matrices)) if matrices else memory
        cell_key, _ = split_key(key, 2)
        return params | {
            "cell": cell.prepare(params["cell"], batch_shape, cell_key),
            "memory": mechanism.prepare(params["attention"], memory, mask),
        }

    def attend_to_memory(params, state, query):
        """``(state, context)`` of one query."""
        own, context, weights = mechanism.attend(
            params["attention"], params["memory"], state.attention, query
        )
        new = state._replace(weights=weights, attention=own)
        return like(state, new), context

    def output(params, state, context, y):
        """``(vector, out)``: the attentional vector, or y if there is none, and the output."""
        vector = y
        if vector_size is not None:
            both = jnp.concatenate([context, y.astype(context.dtype)], -1)
            vector = jnp.tanh(product(both, params["w_c"]))
        out = vector.astype(y.dtype)
        if returns != "outputs":
            rows = state.weights.shape[: state.weights.ndim - len(weights_shape)]
            weights = state.weights.reshape(*rows, weights_size).astype(y.dtype)
            out = weights if returns == "weights" else jnp.concatenate([out, weights], -1)
        return vector, out

    def read_memory(params, state, y):
        state, context = attend_to_memory(params, state, y)
        vector, out = output(params, state, context, y)
        fed = vector.astype(state.fed.dtype) if input_feeding else ()
        return state._replace(fed=fed), out, Observed({}, state.weights)

    def observe_luong(params, state, x):
        read = jnp.concatenate([x, state.fed], -1)
        inner, y, observed = observe(cell)(params["cell"], state.cell, read)
        state, out, _ = read_memory(params, state, y)
        return state._replace(cell=inner), out, observed._replace(attention=state.weights)

    def observe_bahdanau(params, state, x):
        state, context = attend_to_memory(params, state, state.fed)
        read = jnp.concatenate([x, context], -1)
        inner, y, observed = observe(cell)(params["cell"], state.cell, read)
        _, out = output(params, state, context, y)
        observed = observed._replace(attention=state.weights)
        return state._replace(cell=inner, fed=y.astype(state.fed.dtype)), out, observed

    # The part after the cell, as a cell of its own, whose inputs are the outputs of the cell.
    reading = Plain(read_memory)
    reader = Cell(
        f"reader of {name}", out_size, NO_GATES, init, initial_state, advance_of(reading), reading
    )

    def over_time(run, params, xs, state, initial):
        inner, ys = run(cell, params["cell"], xs, state.cell, initial.cell)
        state, initial = state._replace(cell=()), initial._replace(cell=())
        state, out = run(reader, params, ys, state, initial, method="scan")
        return state._replace(cell=inner), out

    weights_size = places * (mechanism.heads or 1)
    form: Form = Plain(observe_luong if luong else observe_bahdanau)
    if luong and not input_feeding:
        form = Composite(over_time)
    sizes = {"outputs": out_size, "weights": weights_size, "both": out_size + weights_size}
    return Cell(
        name,
        sizes[returns],
        NO_GATES,
        init,
        initial_state,
        advance_of(form),
        form,
        prepare,
    )
