"""The cells that are tested against the laws: every registered one, and wrappers around a few.

A new cell in ``lj.cells.registry`` is included automatically.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

import lstm_jax as lj


class Case(NamedTuple):
    """A cell under test; ``seed`` is for its noise, and None if it has none."""

    cell: lj.Cell
    input_size: int = 2
    seed: int | None = None

    @property
    def key(self) -> Any:
        return None if self.seed is None else jax.random.key(self.seed)


def _wrapped() -> dict[str, Case]:
    """Wrappers, and registered cells with other options."""
    lstm, gru = lj.lstm(3), lj.gru(3)
    noisy = {
        "zoneout": lj.zoneout(lj.lstm(3, peephole=True), {"h": 0.2, "c": 0.4}),
        "zoneout_plain": lj.zoneout(lj.mgu(3), 0.3),
        "zoneout_projected": lj.zoneout(lj.lstm(3, projection=2), 0.3),
        "dropout_input": lj.dropout(lstm, 0.4),
        "dropout_output": lj.dropout(gru, 0.4, on="output"),
        "dropout_variational": lj.dropout(lstm, 0.4, variational=True),
        "zoneout_slstm": lj.zoneout(lj.slstm(4, 2), 0.3),
        "dropout_recurrent": lj.dropout(gru, 0.4, on="recurrent", variational=True),
        "zoneout_linear": lj.zoneout(lj.min_lstm(3), 0.3),
        "drop_connect": lj.drop_connect(lstm, 0.4),
        "zoneout_clockwork": lj.zoneout(lj.clockwork(3), 0.3),
        "mogrifier_noisy": lj.zoneout(lj.mogrifier(lj.drop_connect(lstm, 0.3)), 0.2),
        "zoneout_conv": lj.zoneout(lj.conv_lstm(2, (3, 2)), {"h": 0.2, "c": 0.4}),
        "dropout_conv": lj.dropout(lj.conv_gru(2, (3, 2), stride=2), 0.4),
        "dropout_recurrent_conv": lj.dropout(
            lj.conv_lstm(2, (3, 2)), 0.4, on="recurrent", variational=True
        ),
    }
    quiet = {
        "chain": Case(lj.chain(lstm, lj.mgu(2), lj.rnn(3))),
        "residual": Case(lj.residual(lj.gru(3)), input_size=3),
        "learned_state": Case(lj.learned_state(lstm)),
        "learned_state_chain": Case(lj.learned_state(lj.chain(gru, lj.zoneout(lstm, 0.2)))),
        "bidirectional": Case(lj.bidirectional(lstm, lj.gru(2))),
        "bidirectional_sum": Case(lj.bidirectional(lstm, lj.mgu(3), merge="sum")),
        "initialize": Case(lj.initialize(lstm, b=lj.initializers.chrono(20.0))),
        "lstm_1997_blocks": Case(lj.lstm_1997(2, 2, biases="gates")),
        "lstm_1997_exact": Case(lj.lstm_1997(3, truncate=False)),
        "slstm_heads": Case(lj.slstm(4, 2, forget_activation="exp")),
        "mlstm_heads": Case(lj.mlstm(4, 2)),
        "delta_net_heads": Case(lj.linear_attention(4, 2, rule="delta", gated=True)),
        "learned_state_matrix": Case(
            lj.chain(lj.learned_state(lj.mlstm(2)), lj.learned_state(lj.linear_attention(2)))
        ),
        "learned_state_linear": Case(lj.learned_state(lj.min_gru(3))),
        "complex_gru_free": Case(
            lj.complex_gru(2, state_size=3, recurrence="free", activation="hirose")
        ),
        "complex_gru_fft": Case(lj.complex_gru(3, recurrence="fft")),
        "complex_lstm_unitary": Case(lj.complex_lstm(2, recurrence="cayley", activation="modrelu")),
        "urnn_cayley": Case(lj.urnn(2, state_size=3, recurrence="cayley")),
        "bidirectional_linear": Case(lj.bidirectional(lj.min_gru(2), lj.lru(3))),
        "chain_linear": Case(lj.chain(lj.min_lstm(3), lj.lru(2, state_size=3))),
        "indrnn_chain": Case(lj.chain(lj.indrnn(3), lj.indrnn(2, activation="tanh"))),
        "clockwork_periods": Case(lj.clockwork(5, periods=(1, 3))),
        "mogrifier": Case(lj.mogrifier(lstm)),
        "mogrifier_low_rank": Case(lj.mogrifier(lj.gru(3), 2, rank=1)),
        "ntm_heads": Case(lj.ntm(3, slots=4, width=2, read_heads=2, write_heads=2)),
        "attention_short": Case(lj.attention(4, 2, 2)),
        "attention_learned": Case(lj.attention(4, 2, 3, positions="learned")),
        "attention_none": Case(lj.attention(3, 1, 9, positions="none")),
        "conv_lstm_line": Case(lj.conv_lstm(3, 5, peephole=True, stride=2)),
        "conv_lstm_norm": Case(lj.conv_lstm(4, (3, 2), norm="layer")),
        "conv_lstm_volume": Case(lj.conv_lstm(2, (2, 3, 2))),
        "conv_gru_valid": Case(
            lj.conv_gru(2, (4, 5), (2, 3), recurrent_kernel=3, dilation=(1, 2), padding="valid")
        ),
        "conv_gru_reset_before": Case(lj.conv_gru(2, (3, 2), reset_after=False)),
        "conv_gru_norm": Case(lj.conv_gru(3, (3, 2), norm="layer")),
        "chain_conv": Case(
            lj.chain(lj.conv_lstm(2, (3, 4), stride=2), lj.learned_state(lj.conv_gru(3, (2, 2))))
        ),
        "bidirectional_rows": Case(
            lj.bidirectional(
                lj.multidimensional(2, 3),
                lj.multidimensional(2, 3, peephole=True, reverse_rows=True),
            )
        ),
        "lstmn_short": Case(lj.lstmn(3, 2, attention_size=2)),
        "chain_attention": Case(lj.learned_state(lj.chain(lj.attention(4, 2, 3), lstm))),
        "bidirectional_attention": Case(lj.bidirectional(lj.attention(2, 1, 3), lj.gru(2))),
        "deep_noisy": Case(
            lj.chain(
                lj.dropout(lj.zoneout(lstm, 0.2), 0.3),
                lj.residual(lj.bidirectional(lj.lstm(2), lj.rnn(1))),
            ),
            seed=3,
        ),
    }
    return (
        quiet
        | _attentive()
        | {name: Case(cell, seed=1) for name, cell in noisy.items()}
        | {"zoneout_in_evaluation": Case(noisy["zoneout"])}
    )


def _attentive() -> dict[str, Case]:
    """Cells that attend to a memory shared by all rows; the last of its four places is masked."""
    memory = 0.5 * np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)
    memory[-1] = np.nan
    mask = np.array([True, True, True, False])
    gru, coverage = lj.gru(3), lj.attend.additive(2, coverage=True)
    cells = {
        "attentive": lj.attentive(lj.lstm(3), memory, mask=mask),
        "attentive_dot": lj.attentive(
            gru, memory, mask=mask, attention="dot", input_feeding=False, size=2
        ),
        "attentive_location": lj.attentive(
            gru, memory, mask=mask, attention=lj.attend.location(2, filters=2, width=3)
        ),
        "attentive_coverage": lj.attentive(
            lj.lstm(3), memory, mask=mask, attention=coverage, input_feeding=False
        ),
        "attentive_bahdanau": lj.attentive(
            gru, memory, mask=mask, attention=lj.attend.multi_head(4, 2), style="bahdanau"
        ),
        "attentive_local": lj.attentive(
            gru, memory, mask=mask, attention=lj.attend.local(lj.attend.general(), 2)
        ),
    }
    return {name: Case(cell) for name, cell in cells.items()}


CASES: dict[str, Case] = {
    name: Case(lj.cells.make(name, 3)) for name in lj.cells.registry
} | _wrapped()
