"""Tests every registered cell and every wrapper against every law.

``make laws`` runs them all. So as to end in minutes, ``make test`` takes one cell of each form
through all laws, but for those that compile longest, which have a few of these cells each; one of
each further kind that padding or time meets in another way through the chief ones; and the others
through one or two. (test_references.py holds the values of all registered cells to NumPy and to
peers.)
"""

import pytest

import lstm_jax as lj
from tests.cases import CASES
from tests.conformance import LAWS

FORMS = ("lstm", "min_gru", "mlstm", "attention", "chain")  # one of each
KINDS = ("gru", "mgu", "bidirectional", "conv_lstm")  # a state in two products, no form, both ways
CHIEF = ("causality", "built_alike_is_equal")
NOISY = "dropout_output"  # a cell whose noise differs from step to step
FEW = {  # what compiles longest, over these of FORMS
    "gradients_are_derivatives": ("lstm", "min_gru", "attention"),
    "gradient_of_gradient": ("lstm", "min_gru"),
    "batch_over_devices": ("lstm",),
    "bfloat16_compute": ("lstm",),
    "strict_promotion": ("lstm", "attention"),
    "methods_agree": ("lstm", "min_gru", "attention"),
    "wrappers_fit_or_refuse": ("lstm",),
    "a_trace_shows_the_unroll": ("lstm", "attention", "chain"),
    "any_generator": (),  # see NOISY
}


def _quick(name):
    """The laws that ``make test`` checks for the case."""
    if name in FORMS:
        return {law for law in LAWS if name in FEW.get(law, FORMS)}
    if name in KINDS:
        return {*CHIEF}
    if name == NOISY:
        return {"any_generator", "built_alike_is_equal"}
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
