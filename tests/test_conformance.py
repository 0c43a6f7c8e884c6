"""Every registered cell and every wrapper through every law.

``make laws`` runs them all. So as to end in minutes, ``make test`` takes one cell of each kind
through all laws, further cells through the chief ones, and variants of others through one.
"""

import pytest

from tests.cases import CASES
from tests.conformance import LAWS

ONE = ("the_contract", "built_alike_is_equal")
CHIEF = ("gradients_are_derivatives", "methods_agree", "padding_is_inert", "causality",
         "an_outlier_stays_in_its_sequence", *ONE[1:])  # fmt: skip
KINDS = ("rnn", "lstm", "gru", "mgu", "min_gru", "attention", "mlstm", "chain", "bidirectional",
         "zoneout", "attentive")  # fmt: skip
VARIANTS = ("irnn", "gru_norm", "lstm_", "dropout_", "zoneout_", "learned_state_", "bidirectional_",
            "chain_", "attentive_", "attention_", "initialize", "drop_connect", "slstm_heads",
            "mlstm_", "lstmn_", "linear_attention_", "delta_net_")  # fmt: skip
KEPT = ("lstm_v", "lstm_norm", "lstm_projected", "lstm_1997", "dropout_input")


# It compiles for each wrapper: only cells whose states are of kinds of their own.
WRAPPED = ("lstm", "slstm", "attention", "lstmn")


def _quick(name):
    """The laws that ``make test`` takes the case through."""
    wrapped = {"wrappers_fit_or_refuse"} if name in WRAPPED else set()
    if name in KINDS:
        return (LAWS.keys() - {"wrappers_fit_or_refuse"}) | wrapped
    return {*_chosen(name), *wrapped}


def _chosen(name):
    return ONE if name.startswith(VARIANTS) and name not in KEPT else CHIEF


def _tests():
    for name in CASES:
        for law in LAWS:
            # One worker a case: its laws share compiled programs.
            marks = [pytest.mark.xdist_group(name)]
            if law not in _quick(name):
                marks.append(pytest.mark.slow)
            if law == "batch_over_devices":
                marks.append(pytest.mark.devices(2))
            yield pytest.param(name, law, id=f"{name}-{law}", marks=marks)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("case, law", list(_tests()))
def test_law(case, law):
    LAWS[law](CASES[case])
