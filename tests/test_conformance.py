"""Every registered cell and every wrapper through every law.

``make laws`` runs them all. ``make test`` takes cells that are variants of others through the
chief laws alone, so as to end in minutes.
"""

import pytest

from tests.cases import CASES
from tests.conformance import LAWS

CHIEF = ("methods_agree", "padding_is_inert", "the_contract")
VARIANTS = ("irnn", "gru_norm", "lstm_", "dropout_", "zoneout_", "learned_state_", "bidirectional_",
            "chain_", "attentive_", "attention_", "initialize", "drop_connect", "slstm_heads",
            "lstmn_", "linear_attention_", "delta_net_")  # fmt: skip
KEPT = ("lstm_v", "lstm_norm", "lstm_projected", "lstm_1997", "dropout_input")


def _tests():
    for name in CASES:
        variant = name.startswith(VARIANTS) and name not in KEPT
        for law in LAWS:
            # One worker a case: its laws share compiled programs.
            marks = [pytest.mark.xdist_group(name)]
            if variant and law not in CHIEF:
                marks.append(pytest.mark.slow)
            yield pytest.param(name, law, id=f"{name}-{law}", marks=marks)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("case, law", list(_tests()))
def test_law(case, law):
    LAWS[law](CASES[case])
