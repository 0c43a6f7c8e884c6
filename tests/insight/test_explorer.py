"""What the explorer's page is given. test_explorer_browser.py has what the page does with it."""

import base64
import html
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.insight import explorer
from lstm_jax.insight.explorer_data import pack
from tests.insight.traces import fake


def data_of(page):
    """The data in a page, as a browser reads them."""
    (text,) = re.findall(
        r'<script id="data" type="application/json">(.*?)</script>', page.html, re.DOTALL
    )
    return json.loads(text)


def decode(packed, rows):
    codes = np.frombuffer(base64.b64decode(packed["data"]), "<u2").reshape(rows, -1)
    values = packed["low"] + codes * (packed["high"] - packed["low"]) / 65532
    special = {65533: np.nan, 65534: -np.inf, 65535: np.inf}
    for code, value in special.items():
        values[codes == code] = value
    return values


def maps_of(page, part=0):
    """The heat maps of a part by key, each ``[T, units]``."""
    return {m["key"]: decode(m, m["units"]).T for m in data_of(page)["parts"][part]["maps"]}


def close_in_range(got, expected):
    """Whether two maps agree to half a code of 16 bits, with a little for the arithmetic."""
    expected = np.asarray(expected)
    span = np.ptp(expected[np.isfinite(expected)])
    np.testing.assert_allclose(got, expected, rtol=0, atol=0.5001 * span / 65532)


def test_numbers_survive():
    trace = fake(seed=3)
    maps = maps_of(explorer(trace))
    expected = {f"gate:{name}": values for name, values in trace.gates.items()}
    expected |= {"state:h": trace.states.h, "state:c": trace.states.c, "output": trace.outputs}
    assert set(maps) == set(expected)
    for key, values in expected.items():
        close_in_range(maps[key], values)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_numbers_of_any_size_survive(scale):
    def edit(states):
        states.c[:] *= scale

    trace = fake(edit=edit)
    close_in_range(
        maps_of(explorer(trace))["state:c"] / scale, np.asarray(trace.states.c, np.float64) / scale
    )


def test_the_largest_numbers_survive():
    given = np.array([[-1.7e308, 1.7e308, 0.0, 1e307]])
    packed = pack(given)
    codes = np.frombuffer(base64.b64decode(packed["data"]), "<u2")
    assert codes.tolist() == [0, 65532, 32766, round(32766 * (1 + 1 / 17))]


def test_what_is_not_finite_survives():
    def edit(states):
        states.c[3, :3] = np.nan, np.inf, -np.inf
        states.h[:] = np.nan

    trace = fake(edit=edit)
    maps = maps_of(explorer(trace))
    close_in_range(maps["state:c"], trace.states.c)
    assert np.isnan(maps["state:h"]).all()


def test_a_constant_survives():
    trace = fake(edit=lambda states: states.c.fill(-7.25))
    assert (maps_of(explorer(trace))["state:c"] == -7.25).all()


CELLS = {
    "lstm": lambda: lj.lstm(6),
    "projected": lambda: lj.lstm(6, projection=4),
    "gru": lambda: lj.gru(6),
    "lru": lambda: lj.lru(6),
    "attention": lambda: lj.attention(6, window=4, heads=2),
    "fast weights": lambda: lj.linear_attention(6, heads=2),
    "zoneout": lambda: lj.zoneout(lj.lstm(6), 0.1),
    "chain": lambda: lj.chain(lj.gru(5), lj.bidirectional(lj.lstm(6), lj.lstm(6))),
    "both": lambda: lj.residual(lj.bidirectional(lj.lstm(2), lj.lstm(1))),
}


def leaves(trace, path=()):
    if not trace.parts:
        return {"/".join(path): trace}
    return {
        k: v for name, part in trace.parts.items() for k, v in leaves(part, (*path, name)).items()
    }


def _order(name):
    return name.replace("forward", "a").replace("backward", "b")


QUICK = ("lstm", "chain", "attention")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CELLS]
)
def test_traces_of_cells(name):
    cell = CELLS[name]()
    xs = jax.random.normal(jax.random.key(0), (9, 2, 3))
    params = cell.init(jax.random.key(1), 3)
    trace = lj.trace(cell, params, xs, lengths=np.array([9, 7]))
    page = data_of(explorer(trace, list("abcdefg"), row=1))
    row = trace.row(1)
    parts = leaves(row)
    assert [part["name"] for part in page["parts"]] == [
        *sorted(parts, key=_order),
        *([""] if row.parts else []),
    ]
    for part in page["parts"]:
        source = parts.get(part["name"], row)
        maps = {m["key"]: decode(m, m["units"]).T[:7] for m in part["maps"]}
        assert not part["left_out"] and part["units"] > 0
        close_in_range(maps["output"], source.outputs[:7])
        if part["name"] == "" and row.parts:
            assert set(maps) == {"output"}
            continue
        for gate, values in source.gates.items():
            close_in_range(maps[f"gate:{gate}"], values[:7].reshape(7, -1))
        states = [
            half
            for leaf in jax.tree.leaves(source.states)
            for half in ([leaf.real, leaf.imag] if jnp.iscomplexobj(leaf) else [leaf])
        ]
        shown = [maps[key] for key in maps if key.startswith("state:")]
        assert len(states) == len(shown)
        for values, leaf in zip(shown, states, strict=True):
            close_in_range(values, leaf[:7].reshape(7, -1))
        weights = [maps[key] for key in maps if key.startswith("attention:")]
        assert (weights == []) == (source.attention is None)
        if weights:
            stacked = np.stack(weights, 1).reshape(source.attention[:7].shape)
            close_in_range(stacked, source.attention[:7])


@pytest.mark.parametrize("name", ["lstm", "attention", "chain"])
def test_all_that_a_diagram_names_has_numbers(name):
    cell = CELLS[name]()
    params = cell.init(jax.random.key(1), 3)
    page = data_of(explorer(lj.trace(cell, params, jnp.ones((2, 3))), cell=cell))
    keys = {m["key"] for part in page["parts"] for m in part["maps"]}
    drawn = set(re.findall(r'data-value="([^"]*)"', page["diagram"])) - {"input"}
    assert "output" in drawn
    assert {value.replace("previous:", "state:") for value in drawn} <= keys


def test_what_was_not_kept_is_not_shown():
    cell = lj.lstm(3)
    params = cell.init(jax.random.key(1), 2)
    trace = lj.trace(cell, params, jnp.ones((4, 2)), keep=("forget", "c"))
    assert set(maps_of(explorer(trace))) == {"gate:forget", "state:c", "output"}


@pytest.mark.parametrize("reverse", [False, True])
def test_the_states_that_each_step_read(reverse):
    resets = np.zeros((12, 2), bool)
    resets[[4, 9], 1] = True
    trace = fake(batch=(2,), lengths=[12, 10], resets=resets, reverse=reverse)
    part = data_of(explorer(trace, row=1))["parts"][0]
    for m in part["maps"]:
        if m["group"] != "states":
            continue
        previous = m["previous"]
        first = 9 if reverse else 0  # reset too, in reverse
        assert set(previous["steps"]) == {4, 9, first}
        stored = dict(zip(previous["steps"], decode(previous, len(previous["steps"])), strict=True))
        after = decode(m, m["units"]).T
        for t in range(10):
            read = stored[t] if t in stored else after[t + (1 if reverse else -1)]
            name = m["key"].removeprefix("state:")
            np.testing.assert_allclose(read, getattr(trace.previous, name)[t, 1], atol=1e-4)


def test_size_at_500_steps_of_128_units():
    tokens = [f"token{t}" for t in range(500)]
    page = explorer(fake(500, 128), tokens, np.ones((500, 20)))
    assert len(page.html.encode()) < 5e6
    assert len(page._repr_html_().encode()) < 5e6


def test_a_row_of_a_batch():
    trace = fake(batch=(2, 3), seed=1)
    close_in_range(maps_of(explorer(trace, row=(1, -1)))["state:c"], trace.states.c[:, 1, 2])
    trace = fake(batch=(3,), lengths=[12, 7, 0])
    page = data_of(explorer(trace, row=1))
    assert page["valid"] == "1" * 7 + "0" * 5
    assert "1" not in data_of(explorer(trace, row=2))["valid"]


NASTY = [
    "</script><script>alert(1)</script>",
    "<!--",
    "\u2028",
    "&lt;",
    '"',
    "{{script}}",
    "\ud800",
]


def test_tokens_and_titles_are_text():
    page = explorer(fake(7), NASTY, title="<b>&{{data}}</b>")
    assert data_of(page)["tokens"] == NASTY
    assert page.html.count("<script") == 2 and page.html.count("</script") == 2
    assert "\u2028" not in page.html and "<!--" not in page.html
    assert "<title>&lt;b&gt;&amp;{{data}}&lt;/b&gt;</title>" in page.html


def test_the_page_loads_nothing():
    page = explorer(fake()).html
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|src=|@import|url\(|fetch\(", page)


def test_save_and_show_in_a_notebook(tmp_path):
    page = explorer(fake(7), [*NASTY[:-1], "é"], height=500)
    path = page.save(tmp_path / "trace.html")
    assert path.read_text("utf-8") == page.html
    frame = page._repr_html_()
    (source,) = re.findall(r'srcdoc="([^"]*)"', frame)
    assert html.unescape(source) == page.html
    assert 'sandbox="allow-scripts"' in frame and "height: 500px" in frame
    assert len(repr(page)) < 100


def test_tokens_may_be_a_string_or_numbers():
    assert data_of(explorer(fake(3), "abc"))["tokens"] == ["a", "b", "c"]
    assert data_of(explorer(fake(3), np.array([5, 6, 7])))["tokens"] == ["5", "6", "7"]
    padded = fake(5, batch=(1,), lengths=[3])
    assert data_of(explorer(padded, "abc", row=0))["tokens"] == ["a", "b", "c", "", ""]


def test_attributions():
    rng = np.random.default_rng(0)
    given = rng.normal(size=(12, 3))
    data = data_of(explorer(fake(), attribution=given, names=["x", "y", "z"]))["attribution"]
    assert data["names"] == ["all inputs", "x", "y", "z"]
    expected = np.concatenate([given.sum(1, keepdims=True), given], 1)
    close_in_range(decode(data, 4).T, expected)
    data = data_of(explorer(fake(), attribution=given[:, 0]))["attribution"]
    assert data["names"] == [""]
    close_in_range(decode(data, 1).T, given[:, :1])


def test_states_with_many_values_are_left_out():
    trace = fake(size=8)
    (part,) = data_of(explorer(trace, max_units=7))["parts"]
    assert part["maps"] == [] and len(part["left_out"]) == 7
    assert part["left_out"][0].startswith("input is left out: it has 8 values per step")


WRONG = {
    "trace": (
        lambda: explorer(np.zeros(3)),
        "trace: expected a Trace, from lj.trace, got ndarray",
    ),
    "no steps": (lambda: explorer(fake(0)), "trace: expected one step or more, got none"),
    "no row": (
        lambda: explorer(fake(batch=(2,))),
        r"row: expected an index of a row of the trace, whose batch axes are \(2,\), got \(\)",
    ),
    "no such row": (
        lambda: explorer(fake(batch=(2,)), row=2),
        r"row: expected an index of a row of the trace, whose batch axes are \(2,\), got 2",
    ),
    "one index": (
        lambda: explorer(fake(batch=(2, 3)), row=1),
        r"row: expected a tuple of 2 indices of a row .* are \(2, 3\), got 1",
    ),
    "a row of no batch": (lambda: explorer(fake(), row=0), r"row: expected \(\) .*, got 0"),
    "row's type": (lambda: explorer(fake(), row="0"), "row: expected an index, .*, got '0'"),
    "more tokens": (
        lambda: explorer(fake(), ["a"] * 13),
        "tokens: expected 12 tokens, the steps of the row, got 13",
    ),
    "fewer tokens": (
        lambda: explorer(fake(batch=(1,), lengths=[9]), ["a"] * 8, row=0),
        "tokens: expected 12 tokens, the steps of the row, or 9, those that are not padding, got 8",
    ),
    "tokens' type": (
        lambda: explorer(fake(), 3),
        "tokens: expected a sequence of strings, one per step, got int",
    ),
    "a token's type": (
        lambda: explorer(fake(2), ["a", None]),
        r"tokens\[1\]: expected a string or a number, got None",
    ),
    "attribution's length": (
        lambda: explorer(fake(), attribution=np.ones(7)),
        r"attribution: expected shape \[T\] or \[T, D\], where T is 12 values, .* got shape \(7,\)",
    ),
    "attribution's rank": (
        lambda: explorer(fake(), attribution=np.ones((12, 1, 1))),
        r"attribution: expected shape .* got shape \(12, 1, 1\)",
    ),
    "attribution's type": (
        lambda: explorer(fake(), attribution="a"),
        "attribution: expected an array, got str",
    ),
    "attribution's dtype": (
        lambda: explorer(fake(), attribution=["a"] * 12),
        "attribution: expected real numbers, got dtype str",
    ),
    "names without attribution": (
        lambda: explorer(fake(), names=["a"]),
        r"names: expected None, since there is no attribution of inputs, got \['a'\]",
    ),
    "more names": (
        lambda: explorer(fake(), attribution=np.ones((12, 2)), names=["a"]),
        "names: expected 2 names, one for each input of the attribution, got 1",
    ),
    "names' type": (
        lambda: explorer(fake(), attribution=np.ones((12, 2)), names="ab"),
        "names: expected a sequence of strings, got 'ab'",
    ),
    "cell": (lambda: explorer(fake(), cell="lstm"), "cell: expected a Cell, .*, got 'lstm'"),
    "a cell of another size": (
        lambda: explorer(fake(), cell=lj.lstm(6)),
        "cell: expected the cell of the trace, with outputs of size 5 and the parts none, "
        "got lstm.* of size 6",
    ),
    "a cell of other parts": (
        lambda: explorer(fake(), cell=lj.chain(lj.lstm(5), lj.lstm(5))),
        "cell: expected the cell of the trace, with outputs of size 5 and the parts none, "
        "got chain.* of size 5",
    ),
    "title": (lambda: explorer(fake(), title=3), "title: expected a string, got 3"),
    "height": (lambda: explorer(fake(), height=0), "height: expected a positive integer, got 0"),
    "max_units": (
        lambda: explorer(fake(), max_units=1.5),
        "max_units: expected a positive integer, got 1.5",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(case):
    call, message = WRONG[case]
    with pytest.raises(lj.ArgumentError, match=f"^{message}"):
        call()
