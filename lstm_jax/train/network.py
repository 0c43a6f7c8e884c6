"""Networks for data of all kinds: inputs, a cell, and a head with a linear readout."""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.generators import split_key
from lstm_jax.core.cell import Cell
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import Params
from lstm_jax.train.heads import Head
from lstm_jax.train.inputs.composed import require_inputs
from lstm_jax.train.inputs.contract import Inputs, drop, uniform_leaves
from lstm_jax.train.model import Model, can_be_stepped, float_dtype_of, initial_state_of
from lstm_jax.train.reading import READS, init_pool, read, steps_product
from lstm_jax.unrolling import unroll


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
        reads: "every" for outputs ``[T, B, ...]`` at every step; otherwise one ``[B, ...]`` for
            each row, from the cell's output at its last step ("last"), or from the outputs at all
            its steps: their "mean", their "max" unit by unit, or their mean weighted by
            "attention", ``softmax(v . tanh(y w + b))`` over time (Yang et al. 2016, eq. 5 to 7),
            with the params "pool": ``{"w" [H, H], "b" [H], "v" [H]}``. A row of length 0 has
            zeros. The last output of ``lj.bidirectional`` has seen the whole row in one direction
            and only the last step in the other: pool its outputs instead.
        dropout: the share of units that are set to zero, anew at each step, in embeddings and in
            what the readout reads, if there is a key (Zaremba et al. 2014 have it between layers
            too: ``lj.dropout``).
        tie: whether the readout's weights are the embedding's table (Press & Wolf 2017), for a cell
            of the embedding's size; "readout" then has only the bias.
        init_scale: draw all initial params, biases included, uniform in ``[-init_scale,
            init_scale]``, as Zaremba et al. 2014 do; None for the defaults of each part.
    """
    cell_checks.cell("cell", cell)
    cell_checks.vectors_only("cell", cell)
    inputs = require_inputs("inputs", inputs)
    if not isinstance(head, Head):
        raise WrongType(f"head: expected one of train.heads, got {head!r}")
    checking.choice("reads", reads, READS)
    dropout = checking.rate("dropout", dropout)
    if init_scale is not None and checking.real("init_scale", init_scale) <= 0:
        raise WrongValue(f"init_scale: expected a positive number, got {init_scale}")
    if checking.flag("tie", tie):
        _check_tie(cell, inputs, head)

    names = ("inputs", "cell", "readout", *(["pool"] if reads == "attention" else []))

    def init(key: Any) -> Params:
        key_inputs, key_cell, key_readout = jax.random.split(checking.random_key("key", key), 3)
        of_cell = cell.init(key_cell, inputs.size)
        dtype = float_dtype_of(of_cell)
        # Not split off, so that a network has the same initial readout whatever it reads.
        key_pool = jax.random.fold_in(key_readout, 2**31 - 2)
        pool = {"pool": init_pool(key_pool, cell.size, dtype)} if reads == "attention" else {}
        readout = {"b": jnp.zeros(head.output_size, dtype)}
        if not tie:
            shape = (cell.size, head.output_size)
            readout["w"] = jax.nn.initializers.lecun_normal()(key_readout, shape, dtype)
        return {
            "inputs": inputs.init(key_inputs, scale=init_scale),
            "cell": uniform_leaves(of_cell, key_cell, init_scale),
            "readout": uniform_leaves(readout, key_readout, init_scale),
            **uniform_leaves(pool, key_pool, init_scale),
        }

    def run(params: Params, state: Any, xs: Any, resets: Any, key: Any) -> tuple[Any, jax.Array]:
        cell_checks.entries("params", params, names, "network")
        key = None if key is None else checking.random_key("key", key)
        key_in, key_cell, key_out = split_key(key, 3)
        values, lengths = inputs.apply(params["inputs"], xs, dropout=dropout, key=key_in)
        if values.ndim != 3:
            raise WrongValue(f"xs: expected [T, B, ...], got one vector per row, {values.shape}")
        state, ys = unroll(
            cell, params["cell"], values, state, lengths=lengths, resets=resets, key=key_cell
        )
        ys = read(reads, params.get("pool"), ys, lengths)
        return state, read_out(params, drop(ys, dropout, key_out))

    def read_out(params: Params, ys: jax.Array) -> jax.Array:
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

    streams = reads == "every" and inputs.stepwise and can_be_stepped(cell, inputs.size)
    if not streams:
        return Model(cell.size, init, apply, answer)
    start = initial_state_of(cell)
    return Model(cell.size, init, apply, answer, None, start, stream, head.answer)


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
