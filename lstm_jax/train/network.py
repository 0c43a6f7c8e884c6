"""Networks for data of all kinds: inputs, a cell, and a head with a linear readout."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking, varying
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.generators import split_key
from lstm_jax.core.cell import Cell
from lstm_jax.core.numerics import product
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import Params
from lstm_jax.train.heads import Head
from lstm_jax.train.inputs import Inputs, drop, uniform_leaves
from lstm_jax.train.model import Model, can_be_stepped, float_dtype_of, initial_state_of, last_of
from lstm_jax.unrolling import unroll
from lstm_jax.unrolling.methods.preactivations import matrix_gradient

READS = ("last", "every")


@factory
def network(
    cell: Cell,
    inputs: Inputs,
    head: Head,
    *,
    reads: str = "last",
    dropout: float = 0.0,
    tie: bool = False,
    init_scale: float | None = None,
) -> Model:
    """Reads ``inputs`` into vectors, runs ``cell`` over them, and reads out what ``head`` needs.

        inputs = train.inputs.embedding(10_000, 200)
        head = train.heads.classification(10_000)
        model = train.network(lj.lstm(200), inputs, head, reads="every")

    ``model.apply`` gives the head's outputs, such as logits, from which losses and metrics are
    computed; ``model.answer`` gives its answers, such as probabilities. Params ``{"inputs", "cell",
    "readout": {"w" [H, O], "b" [O]}}``; the readout starts with LeCun's normal weights and zero
    biases.

    Args:
        cell: a cell or a layer, such as ``lj.bidirectional``.
        inputs: one of ``train.inputs``.
        head: one of ``train.heads``.
        reads: "last" for outputs ``[B, ...]`` at each row's last step, "every" for ``[T, B, ...]``.
        dropout: the share of units that are set to zero, anew at each step, in embeddings and in
            what the readout reads, if there is a key (Zaremba et al. 2014 have it between layers
            too: ``lj.dropout``).
        tie: whether the readout's weights are the embedding's table (Press & Wolf 2017), for a cell
            of the embedding's size; "readout" then has only the bias.
        init_scale: draw all initial params, biases included, uniform in ``[-init_scale,
            init_scale]``, as Zaremba et al. 2014 do; None for the defaults of each part.
    """
    cell_checks.cell("cell", cell)
    if not isinstance(inputs, Inputs):
        raise WrongType(f"inputs: expected one of train.inputs, got {inputs!r}")
    if not isinstance(head, Head):
        raise WrongType(f"head: expected one of train.heads, got {head!r}")
    checking.choice("reads", reads, READS)
    dropout = checking.rate("dropout", dropout)
    if init_scale is not None and checking.real("init_scale", init_scale) <= 0:
        raise WrongValue(f"init_scale: expected a positive number, got {init_scale}")
    if checking.flag("tie", tie):
        _check_tie(cell, inputs, head)

    def init(key: Any) -> Params:
        key_inputs, key_cell, key_readout = jax.random.split(checking.random_key("key", key), 3)
        of_cell = cell.init(key_cell, inputs.size)
        dtype = float_dtype_of(of_cell)
        readout = {"b": jnp.zeros(head.output_size, dtype)}
        if not tie:
            shape = (cell.size, head.output_size)
            readout["w"] = jax.nn.initializers.lecun_normal()(key_readout, shape, dtype)
        return {
            "inputs": inputs.init(key_inputs, scale=init_scale),
            "cell": uniform_leaves(of_cell, key_cell, init_scale),
            "readout": uniform_leaves(readout, key_readout, init_scale),
        }

    def run(params: Params, state: Any, xs: Any, resets: Any, key: Any) -> tuple[Any, jax.Array]:
        cell_checks.entries("params", params, ("inputs", "cell", "readout"), "network")
        key = None if key is None else checking.random_key("key", key)
        key_in, key_cell, key_out = split_key(key, 3)
        values, lengths = inputs.apply(params["inputs"], xs, dropout=dropout, key=key_in)
        if values.ndim != 3:
            raise WrongValue(f"xs: expected [T, B, ...], got one vector per row, {values.shape}")
        state, ys = unroll(
            cell, params["cell"], values, state, lengths=lengths, resets=resets, key=key_cell
        )
        if reads == "last":
            if ys.shape[0] == 0:
                raise WrongValue(f"xs: expected T of at least 1, got vectors of {values.shape}")
            ys = ys[-1] if lengths is None else last_of(ys, lengths)
        return state, readout(params, drop(ys, dropout, key_out))

    def readout(params: Params, ys: jax.Array) -> jax.Array:
        weights = params["inputs"]["table"].T if tie else params["readout"]["w"]
        outputs = steps_product(ys, weights) + params["readout"]["b"]
        return outputs if head.transform is None else head.transform(outputs)

    def apply(params: Params, xs: Any, *, key: Any = None) -> jax.Array:
        return run(params, None, xs, None, key)[1]

    def answer(params: Params, xs: Any) -> jax.Array:
        return head.answer(apply(params, xs))

    def stream(
        params: Params, state: Any, xs: Any, *, resets: Any = None, key: Any = None
    ) -> tuple[Any, jax.Array]:
        return run(params, state, xs, resets, key)

    start: Callable[..., Any] | None = None
    streams = reads == "every" and inputs.stepwise and can_be_stepped(cell, inputs.size)
    if streams:
        start = initial_state_of(cell)
    return Model(cell.size, init, apply, answer, None, start, stream if streams else None)


def steps_product(ys: jax.Array, w: jax.Array) -> jax.Array:
    """``product(ys, w)`` of ``ys [T, B, H]`` and ``w [H, O]``, with a faster gradient.

    In JAX's own gradient of w, XLA transposes the cotangent ``[T, B, O]``, which at a vocabulary of
    10,000 takes a tenth of a training step.
    """
    if ys.ndim == 2 or ys.dtype != w.dtype:
        return product(ys, w)
    return _steps_product(ys, varying.cast(varying.axes_of(ys), w))


@jax.custom_vjp
def _steps_product(ys: jax.Array, w: jax.Array) -> jax.Array:
    return product(ys, w)


def _forward(ys: jax.Array, w: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return product(ys, w), (ys, w)


def _backward(kept: tuple[jax.Array, jax.Array], d: jax.Array) -> tuple[jax.Array, jax.Array]:
    ys, w = kept
    d_ys = jax.lax.dot_general(d, w, (((d.ndim - 1,), (1,)), ((), ())))
    return d_ys.astype(ys.dtype), matrix_gradient(ys, w, d).astype(w.dtype)


_steps_product.defvjp(_forward, _backward)


def _check_tie(cell: Cell, inputs: Inputs, head: Head) -> None:
    if inputs.vocabulary_size is None:
        raise WrongValue(
            f"tie: expected inputs with an embedding that is trained, got {inputs.name}"
        )
    if (inputs.vocabulary_size, inputs.size) != (head.output_size, cell.size):
        raise WrongValue(
            f"tie: expected a head of {inputs.vocabulary_size} outputs and a cell of size "
            f"{inputs.size}, the shape of the embedding, got {head.name} and {cell.name}"
        )
