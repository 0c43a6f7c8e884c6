"""Every registered cell and every wrapper through every law.

``make laws`` runs them all. So as to end in minutes, ``make test`` takes cells that are variants
of others through the chief laws alone, and through the costly laws one cell of each kind.
"""

import pytest

from tests.cases import CASES
from tests.conformance import LAWS

CHIEF = ("padding_is_inert", "the_contract")  # the first under every method and direction
COSTLY = ("gradient_of_gradient", "batch_over_devices", "bfloat16_compute")
KINDS = ("rnn", "lstm", "gru", "mgu", "min_gru", "attention", "mlstm", "chain", "bidirectional",
         "zoneout", "attentive", "deep_noisy")  # fmt: skip
VARIANTS = ("irnn", "gru_norm", "lstm_", "dropout_", "zoneout_", "learned_state_", "bidirectional_",
            "chain_", "attentive_", "attention_", "initialize", "drop_connect", "slstm_heads",
            "mlstm_", "lstmn_", "linear_attention_", "delta_net_")  # fmt: skip
KEPT = ("lstm_v", "lstm_norm", "lstm_projected", "lstm_1997", "dropout_input")


def _tests():
    for name in CASES:
        variant = name.startswith(VARIANTS) and name not in KEPT
        for law in LAWS:
            # One worker a case: its laws share compiled programs.
            marks = [pytest.mark.xdist_group(name)]
            if (variant and law not in CHIEF) or (law in COSTLY and name not in KINDS):
                marks.append(pytest.mark.slow)
            yield pytest.param(name, law, id=f"{name}-{law}", marks=marks)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("case, law", list(_tests()))
def test_law(case, law):
    LAWS[law](CASES[case])
