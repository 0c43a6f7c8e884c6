"""Every registered cell and every wrapper through every law."""

import pytest

from tests.cases import CASES
from tests.conformance import LAWS


def _grouped(name: str):
    # One worker a case: its laws share compiled programs.
    return pytest.param(CASES[name], id=name, marks=pytest.mark.xdist_group(name))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("case", [_grouped(name) for name in CASES])
def test_law(case, law):
    LAWS[law](case)
