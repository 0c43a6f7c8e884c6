"""Tests every registered cell and every wrapper against every law.

``make laws`` runs them all. So as to end in minutes, ``make test`` takes one cell of each form
through all laws, one of each further kind through the chief ones, and the others through one or
two. (test_references.py holds the values of all registered cells to NumPy and to peers.)
"""

import pytest

import lstm_jax as lj
from tests.cases import CASES
from tests.conformance import LAWS

# One of each form; wrappers_fit_or_refuse compiles for each wrapper.
FORMS = ("lstm", "min_gru", "mlstm", "attention", "chain")
KINDS = ("rnn", "gru", "mgu", "lru", "slstm", "delta_net", "lstmn", "bidirectional", "attentive")
NOISY = ("zoneout", "deep_noisy")  # whose laws compile longest
CHIEF = ("padding_is_inert", "causality", "built_alike_is_equal")
AGREE = ("gru", "slstm")  # by all methods
WRAPPED = ("lstm", "attention")


def _quick(name):
    """The laws that ``make test`` checks for the case."""
    if name in FORMS:
        return LAWS.keys() - ({"wrappers_fit_or_refuse"} if name not in WRAPPED else set())
    if name in KINDS:
        return {*CHIEF, *(("methods_agree",) if name in AGREE else ())}
    if name in NOISY:
        return {"built_alike_is_equal"}
    if name in lj.cells.registry:
        return {"the_contract", "built_alike_is_equal"}
    return {"built_alike_is_equal"}


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
