"""How each framework stores a cell's weights: one table of named gates and biases.

A row says what a framework's arrays hold, in the names of this library: which weights, of which
gates, in which order. All converters are derived from it, in both directions.
"""

from collections.abc import Mapping

from lstm_jax.interop.layout import BIASES, Block, Layout

# The gates in the orders in which frameworks pack them.
IFCO = ("input", "forget", "cell", "output")
ICFO = ("input", "cell", "forget", "output")
RUC = ("reset", "update", "candidate")
URC = ("update", "reset", "candidate")
CELL = ("cell",)
PROJECTED = ("h",)


def _torch(gates: tuple[str, ...], *, projection: bool = False) -> tuple[Block, ...]:
    projected = (Block("weight_hr", ("p",), PROJECTED, transposed=True),) if projection else ()
    return (
        Block("weight_ih", ("x",), gates, transposed=True),
        Block("weight_hh", ("h",), gates, transposed=True),
        Block("bias_ih", ("b_x",), gates),
        Block("bias_hh", ("b_h",), gates),
        *projected,
    )


def _keras(gates: tuple[str, ...], bias: tuple[str, ...] = ("b_x",)) -> tuple[Block, ...]:
    return (
        Block("kernel", ("x",), gates),
        Block("recurrent_kernel", ("h",), gates),
        Block("bias", bias, gates),
    )


def _dense(gates: tuple[str, ...], biased: str) -> tuple[Block, ...]:
    """Flax NNX: a dense layer for each product, and a bias in one of them."""
    return (
        Block("dense_i/kernel", ("x",), gates),
        Block("dense_h/kernel", ("h",), gates),
        Block(f"dense_{biased}/bias", ("b_x",) if biased == "i" else ("b_h",), gates),
    )


def _by_gate(
    letters: Mapping[str, str],
    *,
    biases_of_x: tuple[str, ...] = (),
    biases_of_h: tuple[str, ...] = (),
) -> tuple[Block, ...]:
    """Flax: a dense layer for each product and gate."""
    blocks = []
    for gate, letter in letters.items():
        blocks += [
            Block(f"i{letter}/kernel", ("x",), (gate,)),
            Block(f"h{letter}/kernel", ("h",), (gate,)),
        ]
        if gate in biases_of_x:
            blocks.append(Block(f"i{letter}/bias", ("b_x",), (gate,)))
        if gate in biases_of_h:
            blocks.append(Block(f"h{letter}/bias", ("b_h",), (gate,)))
    return tuple(blocks)


_ACTIVATIONS = ("gate_activation", "cell_activation", "output_activation")
_GRU_ACTIVATIONS = ("gate_activation", "activation")
_LINEN_LSTM = Layout(
    "lstm",
    _by_gate({"input": "i", "forget": "f", "cell": "g", "output": "o"}, biases_of_h=IFCO),
    _ACTIVATIONS,
)

# The first row of a kind is the one that is written.
TABLE: dict[str, dict[str, Layout]] = {
    "PyTorch": {
        "nn.LSTM": Layout("lstm", _torch(IFCO, projection=True), ("projection",)),
        "nn.GRU": Layout("gru", _torch(RUC)),
        "nn.RNN": Layout("rnn", _torch(CELL), ("activation",)),
    },
    "Keras": {
        "LSTM": Layout("lstm", _keras(IFCO), _ACTIVATIONS),
        "GRU": Layout("gru", _keras(URC, BIASES), _GRU_ACTIVATIONS),
        "GRU(reset_after=False)": Layout("gru_reset_before", _keras(URC), _GRU_ACTIVATIONS),
        "SimpleRNN": Layout("rnn", _keras(CELL), ("activation",)),
    },
    "Flax NNX": {
        "OptimizedLSTMCell": Layout("lstm", _dense(IFCO, "h"), _ACTIVATIONS),
        "LSTMCell": Layout(
            "lstm",
            _by_gate({"input": "i", "forget": "f", "cell": "g", "output": "o"}, biases_of_h=IFCO),
            _ACTIVATIONS,
        ),
        "GRUCell": Layout("gru", _dense(RUC, "i"), _GRU_ACTIVATIONS),
        "SimpleCell": Layout("rnn", _dense(CELL, "i"), ("activation",)),
    },
    "Flax Linen": {
        "OptimizedLSTMCell": _LINEN_LSTM,
        "LSTMCell": _LINEN_LSTM,
        "GRUCell": Layout(
            "gru",
            _by_gate(
                {"reset": "r", "update": "z", "candidate": "n"},
                biases_of_x=RUC,
                biases_of_h=("candidate",),
            ),
            _GRU_ACTIVATIONS,
        ),
        "SimpleCell": Layout("rnn", _by_gate({"cell": ""}, biases_of_x=CELL), ("activation",)),
    },
    "Equinox": {
        "nn.LSTMCell": Layout(
            "lstm",
            (
                Block("weight_ih", ("x",), IFCO, transposed=True),
                Block("weight_hh", ("h",), IFCO, transposed=True),
                Block("bias", ("b_x",), IFCO),
            ),
        ),
        "nn.GRUCell": Layout(
            "gru",
            (
                Block("weight_ih", ("x",), RUC, transposed=True),
                Block("weight_hh", ("h",), RUC, transposed=True),
                Block("bias", ("b_x",), RUC),
                Block("bias_n", ("b_h",), ("candidate",)),
            ),
        ),
    },
    "Haiku": {
        "LSTM": Layout(
            "lstm",
            (Block("linear/w", ("x", "h"), ICFO), Block("linear/b", ("b_x",), ICFO)),
            added={"forget": 1.0},
        ),
        "GRU": Layout(
            "gru_reset_before",
            (Block("w_i", ("x",), URC), Block("w_h", ("h",), URC), Block("b", ("b_x",), URC)),
            negated=("update",),
        ),
        "VanillaRNN": Layout(
            "rnn",
            (
                Block("linear/w", ("x",), CELL),
                Block("linear/b", ("b_x",), CELL),
                Block("linear_1/w", ("h",), CELL),
                Block("linear_1/b", ("b_h",), CELL, optional=True),  # double_bias=False
            ),
            fixed={"activation": "relu"},
        ),
    },
}
