import pytest

import lstm_jax as lj
from lstm_jax import calls, tasks

NAMES = ("lstm", "gru", "my-cell", "odd(")


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("lstm", "lstm", {}),
        ("lstm()", "lstm", {}),
        ("lstm(peephole=True, forget_bias=-1.5)", "lstm", {"peephole": True, "forget_bias": -1.5}),
        (" gru ( norm = 'layer', n=(1, 2), none=None ) ", "gru",
         {"norm": "layer", "n": (1, 2), "none": None}),
        ("my-cell(a=[1, {'b': 2}], s='x(y=1)')", "my-cell", {"a": [1, {"b": 2}], "s": "x(y=1)"}),
        ("odd(", "odd(", {}),
    ],
)  # fmt: skip
def test_a_text_is_a_name_and_its_options(text, name, options):
    assert calls.parse("name", text, NAMES) == (name, options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lsmt", r"cell: got 'lsmt' \(did you mean 'lstm'\?\); takes one of lstm, gru"),
        ("lsmt(a=1)", r"cell: got 'lsmt' \(did you mean 'lstm'\?\)"),
        ("lstm(a=1", "which is no call"),
        ("lstm(a=1, a=2)", "with a twice"),
        ("lstm(a=1)(b=2)", "which is more than a call"),
        ("lstm(a=1).b", "which is more than a call"),
        ("lstm(a=1) + 2", "which is more than a call"),
        ("lstm(3)", "with 3, a value without a name; takes a name with keyword options"),
        ("lstm(**{'a': 1})", r"with \*\*{'a': 1}"),
        ("lstm(a=b)", "with a=b, which is no literal"),
        ("lstm(a=print(1))", r"with a=print\(1\), which is no literal"),
        ("lstm(a=[1, 2, open('f')])", "which is no literal"),
        ("lstm(a={[]: 1})", "which is no literal"),
        ("lstm(a=" + "(" * 500 + ")" * 500 + ")", "which is no call"),
        ("lstm(a='\0')", "which is no call"),
        ("", "cell: got ''; takes one of"),
        (3, "cell: got 3; takes one of"),
    ],
)
def test_what_is_no_such_text_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        calls.parse("cell", text, NAMES)


def test_a_cell_is_made_of_a_text():
    assert lj.cells.parse("lstm(peephole=True)") == ("lstm", {"peephole": True})
    assert lj.cells.make("lstm(projection=3)", 8).size == 3
    assert lj.cells.make("lstm(projection=3)", 8, peephole=True).size == 3
    assert "coupled" in lj.cells.make("lstm(coupled=True)", 8).name
    with pytest.raises(ValueError, match=r"name: got 'grru' \(did you mean 'gru'\?\)"):
        lj.cells.make("grru(norm='layer')", 8)
    with pytest.raises(TypeError, match=r"options: lstm takes no such option: .*pepole"):
        lj.cells.make("lstm(pepole=True)", 8)
    with pytest.raises(TypeError, match="options: got projection twice"):
        lj.cells.make("lstm(projection=3)", 8, projection=3)


def test_a_task_is_made_of_a_text():
    assert tasks.parse("adding(length=7)") == ("adding", {"length": 7})
    assert tasks.make("adding(length=7)").name == tasks.make("adding", length=7).name
    with pytest.raises(ValueError, match=r"name: got 'ading' \(did you mean 'adding'\?\)"):
        tasks.make("ading(length=7)")
    with pytest.raises(TypeError, match=r"options: adding takes no such options: .*lenth"):
        tasks.make("adding(length=7, lenth=7)")
    with pytest.raises(TypeError, match="options: got length twice"):
        tasks.make("adding(length=7)", length=7)
