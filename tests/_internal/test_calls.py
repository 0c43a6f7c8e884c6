import traceback

import pytest

import lstm_jax as lj
from lstm_jax import tasks
from lstm_jax._internal import calls

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
        ("lsmt", r"cell: expected one of lstm, gru, .*, got 'lsmt' \(did you mean 'lstm'\?\)"),
        ("lsmt(a=1)", r"cell: expected one of lstm, .*, got 'lsmt' \(did you mean 'lstm'\?\)"),
        ("lstm(a=1", "which is not a call"),
        ("lstm(a=1, a=2)", "with a twice"),
        ("lstm(a=1)(b=2)", "which is not a single call"),
        ("lstm(a=1).b", "which is not a single call"),
        ("lstm(a=1) + 2", "which is not a single call"),
        ("lstm(3)", "with the positional value 3"),
        ("lstm(**{'a': 1})", r"with \*\*{'a': 1}"),
        ("lstm(a=b)", "with a=b, which is not a literal"),
        ("lstm(a=print(1))", r"with a=print\(1\), which is not a literal"),
        ("lstm(a=[1, 2, open('f')])", "which is not a literal"),
        ("lstm(a={[]: 1})", "which is not a literal"),
        ("lstm(a=" + "(" * 500 + ")" * 500 + ")", "which is not a call"),
        ("lstm(a='\0')", "which is not a call"),
        ("", "cell: expected one of .*, got ''"),
        (3, "cell: expected one of .*, got 3"),
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
    with pytest.raises(ValueError, match=r"name: expected .*, got 'grru' \(did you mean 'gru'\?\)"):
        lj.cells.make("grru(norm='layer')", 8)
    with pytest.raises(
        TypeError, match=r"options: expected lstm\(.*, got 'pepole' \(did you mean 'peep"
    ):
        lj.cells.make("lstm(pepole=True)", 8)
    with pytest.raises(TypeError, match="options: expected each once, got projection twice"):
        lj.cells.make("lstm(projection=3)", 8, projection=3)


def test_a_task_is_made_of_a_text():
    assert tasks.parse("adding(length=7)") == ("adding", {"length": 7})
    assert tasks.make("adding(length=7)").name == tasks.make("adding", length=7).name
    with pytest.raises(
        ValueError, match=r"name: expected .*, got 'ading' \(did you mean 'adding'\?\)"
    ):
        tasks.make("ading(length=7)")
    with pytest.raises(TypeError, match=r"options: expected adding\(length, .*, got 'lenth' \(did"):
        tasks.make("adding(length=7, lenth=7)")
    with pytest.raises(TypeError, match="options: expected each once, got length twice"):
        tasks.make("adding(length=7)", length=7)


def needing(size=3, *, width, **others):
    def inner(argument):
        return argument

    return inner()


REGISTRIES = [
    (lj.cells.registry, lambda **options: lj.cells.make("needing", 4, **options)),
    (lj.attend.registry, lambda **options: lj.attend.make("needing", 4, **options)),
    (tasks.registry, lambda **options: tasks.make("needing", **options)),
]


@pytest.mark.parametrize(("registry", "make"), REGISTRIES, ids=["cells", "attend", "tasks"])
def test_wrong_options_are_told_and_a_fault_of_the_factory_passes(registry, make, monkeypatch):
    monkeypatch.setitem(registry, "needing", needing)
    with pytest.raises(lj.WrongType, match=r"options: expected needing\(.*missing.*'width'"):
        make()
    with pytest.raises(TypeError, match="missing 1 required positional argument") as caught:
        make(width=0, more=1)
    assert not isinstance(caught.value, lj.ArgumentError)
    assert "return inner()" in "".join(traceback.format_exception(caught.value))


def test_a_variant_says_what_it_sets_itself_and_what_it_has():
    with pytest.raises(
        lj.WrongType, match=r"options: expected none that this .* sets itself, got norm"
    ):
        lj.cells.make("lstm_norm(norm='layer')", 4)
    with pytest.raises(lj.WrongType, match=r"expected lstm_norm\(.*, got 'nrm'"):
        lj.cells.make("lstm_norm(nrm='layer')", 4)
    with pytest.raises(
        lj.WrongType, match=r"expected lstm_projected\(projection, .*, got 'projektion'"
    ):
        lj.cells.make("lstm_projected(projektion=2)", 4)
    with pytest.raises(lj.WrongType, match=r"expected lstm_1997\(block_size, .*, got 'blocks'"):
        lj.cells.make("lstm_1997(blocks=2)", 4)
    with pytest.raises(
        lj.WrongType, match=r"options: expected lstm\(.*, got size, which is already given"
    ):
        lj.cells.make("lstm(size=3)", 4)
