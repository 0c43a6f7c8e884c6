"""``lj.insight.diagram``: what is in the picture, its layout, and the numbers of a trace."""

import xml.etree.ElementTree as ET
from typing import NamedTuple

import jax
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.insight.drawing.svg import colour
from tests.cases import CASES
from tests.selection import mostly_slow

SVG = "{http://www.w3.org/2000/svg}"
QUICK = ("lstm", "lstm_cifg", "lstm_np", "lstm_projected", "lstm_1997", "gru", "gru_reset_before",
         "mgu", "slstm", "mlstm", "attention", "lru", "min_lstm", "chain", "zoneout")  # fmt: skip
CONVEYOR = [name for name in CASES if name.startswith("lstm") and not name.startswith("lstmn")]
CONVEYOR += ["gru", "gru_reset_before", "learned_state", "initialize", "drop_connect"]


class Node(NamedTuple):
    """A node of a picture: its outline, its texts and its value."""

    left: float
    top: float
    right: float
    bottom: float
    label: str
    number: str
    value: str | None
    part: str
    fill: str


def read_nodes(svg: str) -> list[Node]:
    """The nodes of an SVG document, with their places in the whole picture."""
    nodes = []

    def walk(element, x, y, part):
        move = element.get("transform", "")
        if move:
            assert move.startswith("translate(")
            dx, dy = map(float, move.removeprefix("translate(").rstrip(")").split())
            x, y = x + dx, y + dy
        part = element.get("data-part", part)
        if element.get("class") == "node":
            outline = element[0]
            get = lambda name: float(outline.get(name))  # noqa: E731
            if outline.tag == f"{SVG}circle":
                cx, cy, r = get("cx"), get("cy"), get("r")
                box = cx - r, cy - r, cx + r, cy + r
            else:
                box = get("x"), get("y"), get("x") + get("width"), get("y") + get("height")
            texts = ["".join(text.itertext()) for text in element.findall(f"{SVG}text")]
            value = element.get("data-value")
            number = texts[1] if len(texts) == 2 else ""
            assert len(texts) == 1 or value is not None
            nodes.append(
                Node(box[0] + x, box[1] + y, box[2] + x, box[3] + y,
                     texts[0], number, value, part, outline.get("fill"))
            )  # fmt: skip
        else:
            for child in element:
                walk(child, x, y, part)

    walk(ET.fromstring(svg), 0.0, 0.0, "")
    return nodes


def values_of(nodes: list[Node]) -> list[str]:
    return [node.value for node in nodes if node.value is not None]


def labels_of(diagram: lj.insight.Diagram) -> list[str]:
    return [node.label for node in read_nodes(diagram.svg) if node.value is None]


def draw(name: str, **options) -> lj.insight.Diagram:
    return lj.insight.diagram(CASES[name].cell, input_size=CASES[name].input_size, **options)


@pytest.mark.parametrize(
    "name", mostly_slow(lj.cells.registry, lj.cells.registry.keys() & set(QUICK))
)
def test_every_gate_and_state_has_one_element(name):
    cell = CASES[name].cell
    drawn = draw(name)
    values = values_of(read_nodes(drawn.svg))
    assert values == list(drawn.values)
    assert len(set(values)) == len(values)
    fields = cell.initial_state(cell.init(jax.random.key(0), 2))._fields
    assert {v for v in values if v.startswith("state:")} == {f"state:{n}" for n in fields}
    assert {v for v in values if v.startswith("gate:")} == {f"gate:{n}" for n in cell.gates}
    assert {"input", "output"} <= set(values)


@pytest.mark.parametrize(
    ("name", "layout"),
    mostly_slow(
        [(n, "auto") for n in CASES] + [(n, "layers") for n in CONVEYOR],
        [(n, "auto") for n in QUICK] + [("lstm", "layers"), ("gru", "layers")],
    ),
)
def test_nodes_stand_apart_and_inside(name, layout):
    drawn = draw(name, layout=layout)
    root = ET.fromstring(drawn.svg)
    _, _, width, height = map(float, root.get("viewBox").split())
    nodes = read_nodes(drawn.svg)
    assert nodes
    for i, a in enumerate(nodes):
        assert 0 <= a.left < a.right <= width and 0 <= a.top < a.bottom <= height
        for b in nodes[:i]:
            apart = a.right < b.left or b.right < a.left or a.bottom < b.top or b.bottom < a.top
            assert apart, (a, b)


@pytest.mark.parametrize("name", mostly_slow(CONVEYOR, QUICK))
def test_families_are_drawn_as_in_textbooks(name):
    assert 'class="frame"' in draw(name, layout="conveyor").svg
    assert 'class="frame"' in draw(name).svg
    assert 'class="frame"' not in draw(name, layout="layers").svg


@pytest.mark.parametrize("name", ["slstm", "mgu", "rnn", "attention", "residual", "zoneout"])
def test_other_cells_are_drawn_in_layers(name):
    assert 'class="frame"' not in draw(name).svg
    with pytest.raises(ValueError, match=r"^layout: expected 'auto' or 'layers'"):
        draw(name, layout="conveyor")


def test_a_cell_from_outside_is_recognised_by_its_equations():
    axis = lj.core.equal_gates(("input", "forget", "cell", "output"), 3)

    def pointwise(vectors, state, z, r):
        pre = axis.split(z + r)
        gates = {n: jax.nn.sigmoid(pre[n]) for n in ("input", "forget", "output")}
        gates["cell"] = jax.numpy.tanh(pre["cell"])
        c = gates["input"] * gates["cell"] + gates["forget"] * state.c
        h = jax.numpy.sin(c) * gates["output"]
        return lj.LSTMState(h, c), h, gates

    cell = lj.core.gated_cell(
        "mine", 3, axis, pointwise=pointwise,
        init=lambda key, size, dtype: lj.initializers.packed(key, size, axis, dtype),
        state=lambda zeros: lj.LSTMState(zeros(3), zeros(3)),
    )  # fmt: skip
    drawn = lj.insight.diagram(cell, layout="conveyor")
    assert labels_of(drawn).count("σ") == 3
    assert labels_of(drawn).count("sin") == 1 and labels_of(drawn).count("tanh") == 1


@pytest.mark.parametrize(
    ("options", "absent", "products"),
    [
        ({}, [], 3),
        ({"output_gate": False}, ["output"], 2),
        ({"input_gate": False}, ["input"], 2),
        ({"forget_gate": False}, ["forget"], 2),
        ({"coupled": True}, ["forget"], 3),
        ({"input_gate": False, "forget_gate": False, "output_gate": False},
         ["input", "forget", "output"], 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("layout", ["conveyor", "layers"])
def test_what_an_lstm_lacks_is_not_drawn(options, absent, products, layout):
    drawn = lj.insight.diagram(lj.lstm(3, **options), layout=layout)
    gates = {v.removeprefix("gate:") for v in drawn.values if v.startswith("gate:")}
    assert gates == {"input", "forget", "cell", "output"} - set(absent)
    labels = labels_of(drawn)
    assert labels.count("×") == products
    assert labels.count("σ") == 3 - len(absent)
    assert labels.count("1 −") == bool(options.get("coupled"))


def test_options_are_drawn():
    plain, peephole = lj.insight.diagram(lj.lstm(3)).svg, draw("lstm_v").svg
    assert "stroke-dasharray" not in plain
    assert peephole.count("stroke-dasharray") == 3 and peephole.count("× p<") == 3
    # In layers, the three peepholes are three products with different parameters.
    assert labels_of(draw("lstm_v", layout="layers")).count("× p") == 3
    assert "Wp ·" in labels_of(draw("lstm_projected"))
    assert "norm × scale_c + bias_c" in labels_of(draw("lstm_norm"))
    assert "concat" in labels_of(draw("lstm_fgr"))
    assert {"previous:gates", "state:gates"} <= set(draw("lstm_fgr").values)
    relu = lj.lstm(3, cell_activation="relu", output_activation="identity")
    assert labels_of(lj.insight.diagram(relu)).count("relu") == 1
    assert "tanh" not in labels_of(lj.insight.diagram(relu))
    assert "+ bh" in labels_of(draw("gru")) and "U ·" in labels_of(draw("gru_reset_before"))


def test_groups_of_operations_are_one_node():
    labels = labels_of(draw("attention"))
    assert labels.count("softmax") == 1 and labels.count("rotate") == 2
    assert "exp" not in labels and "where" not in labels
    assert labels_of(draw("delta_net")).count("unit length") == 2
    assert labels_of(draw("lstm_norm", layout="layers")).count("norm × scale_h") == 1


def test_parts_are_drawn_below_each_other():
    nodes = read_nodes(draw("chain").svg)
    assert {node.part for node in nodes} == {"0", "1", "2"}
    bottoms = [max(n.bottom for n in nodes if n.part == part) for part in "012"]
    tops = [min(n.top for n in nodes if n.part == part) for part in "012"]
    assert bottoms[0] < tops[1] and bottoms[1] < tops[2]
    assert "1/gate:forget" in draw("chain").values
    assert {n.part for n in read_nodes(draw("bidirectional").svg)} == {"forward", "backward"}
    inner = {n.part for n in read_nodes(draw("deep_noisy").svg)}
    assert inner == {"0", "1/forward", "1/backward"}
    assert {"0/state:h", "0/state:cell.t", "0/state:t"} <= set(draw("deep_noisy").values)


def run(name, steps=4, batch=2):
    cell, size, seed = CASES[name]
    params = cell.init(jax.random.key(0), size)
    xs = jax.random.normal(jax.random.key(1), (steps, batch, size))
    key = None if seed is None else jax.random.key(seed)
    return cell, params, lj.trace(cell, params, xs, key=key)


@pytest.mark.parametrize("name", ["lstm", "lstm_fgr", "gru", "slstm", "min_gru", "residual"])
def test_values_are_those_of_the_trace(name):
    cell, params, trace = run(name)
    drawn = lj.insight.diagram(cell, params, trace=trace, step=2, row=(1,), unit=1)
    nodes = {node.value: node for node in read_nodes(drawn.svg) if node.value}
    expected = {f"gate:{n}": gate for n, gate in trace.gates.items()}
    expected |= {f"state:{n}": leaf for n, leaf in trace.states._asdict().items()}
    expected |= {f"previous:{n}": leaf for n, leaf in trace.previous._asdict().items()}
    expected |= {"output": trace.outputs}
    assert set(nodes) - {"input"} <= set(expected)
    exact = {
        element.get("data-value"): float(element.get("data-number"))
        for element in ET.fromstring(drawn.svg).iter()
        if element.get("data-number")
    }
    for value, node in nodes.items():
        if value == "input":
            assert node.number == ""
            continue
        array = np.asarray(expected[value][2, 1])
        if value in ("state:gates", "previous:gates"):  # of another size than the gates
            assert node.number == f"‖{np.linalg.norm(array):.3g}‖"
            continue
        assert node.number == f"{array[1]:.2f}".replace("-", "−")
        assert node.fill == colour(float(array[1]))
        assert exact[value] == pytest.approx(float(array[1]), rel=1e-5)
    assert "step 2, row 1, unit 1" in drawn.svg


def test_there_can_be_room_for_numbers_of_a_script():
    assert 'data-role="value"' not in draw("gru").svg
    drawn = draw("gru", numbers=True)
    roles = [e for e in ET.fromstring(drawn.svg).iter() if e.get("data-role") == "value"]
    assert len(roles) == len(drawn.values) - 1  # not of the input
    with pytest.raises(TypeError, match="numbers: expected True or False"):
        draw("gru", numbers=1)


def test_without_a_unit_the_mean_is_shown():
    cell, params, trace = run("lstm")
    drawn = lj.insight.diagram(cell, params, trace=trace, step=0, row=0)
    forget = next(n for n in read_nodes(drawn.svg) if n.value == "gate:forget")
    assert forget.number == f"{np.mean(trace.gates['forget'][0, 0]):.2f}"
    assert "mean over the units" in drawn.svg


def test_matrix_memories_are_shown_by_their_norm_and_heads_by_their_gate():
    cell, params, trace = run("mlstm_heads")
    drawn = lj.insight.diagram(cell, params, trace=trace, step=3, row=0, unit=3)
    nodes = {node.value: node for node in read_nodes(drawn.svg)}
    assert nodes["state:c"].number == f"‖{np.linalg.norm(trace.states.c[3, 0]):.3g}‖"
    gate = trace.gates["forget"][3, 0]
    assert gate.shape == (2,) and nodes["gate:forget"].number == f"{gate[1]:.2f}"


def test_the_parts_of_a_trace_and_the_trace_of_a_single_row():
    cell, params, trace = run("chain")
    drawn = lj.insight.diagram(cell, params, trace=trace, step=1, row=(0,), unit=0)
    nodes = {(node.part, node.value): node for node in read_nodes(drawn.svg)}
    gate = trace.parts["1"].gates["forget"][1, 0, 0]
    assert nodes["1", "gate:forget"].number == f"{gate:.2f}"
    alone = lj.insight.diagram(cell, params, trace=trace.row(0), step=1, unit=0)
    assert read_nodes(alone.svg) == read_nodes(drawn.svg)


def test_a_field_that_was_not_kept_has_no_number():
    cell, params, _ = run("lstm")
    trace = lj.trace(cell, params, np.ones((2, 2), np.float32), keep=("forget", "h"))
    drawn = lj.insight.diagram(cell, params, trace=trace, step=0, unit=0)
    numbers = {node.value: node.number for node in read_nodes(drawn.svg) if node.value}
    assert numbers["state:c"] == numbers["gate:input"] == ""
    assert numbers["state:h"] and numbers["gate:forget"]


def test_text_is_escaped():
    cell = lj.lstm(2)._replace(name="<script>alert(1)</script> & more")
    drawn = lj.insight.diagram(cell)
    assert "<script" not in drawn.svg
    assert "<script>alert(1)</script> & more" in ET.fromstring(drawn.svg).find(f"{SVG}title").text


def test_saving_and_showing(tmp_path):
    drawn = lj.insight.diagram(lj.gru(2))
    drawn.save(tmp_path / "gru.svg")
    assert (tmp_path / "gru.svg").read_text(encoding="utf-8") == drawn._repr_svg_() == drawn.svg


def test_params_give_the_input_size():
    cell = lj.residual(lj.gru(3))
    params = cell.init(jax.random.key(0), 3)
    assert lj.insight.diagram(cell, params).svg == lj.insight.diagram(cell).svg
    with pytest.raises(ValueError, match=r"^params: expected params of gru"):
        lj.insight.diagram(lj.gru(3), {"w": np.ones(3, np.float32)})
    with pytest.raises(ValueError, match=r"^input_size: expected input size 3"):
        lj.insight.diagram(lj.gru(3), params, input_size=4)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"layout": "pretty"}, ValueError, "layout: expected one of auto, conveyor, layers"),
        ({"input_size": 0}, ValueError, "input_size: expected a positive integer"),
        ({"trace": 3}, TypeError, "trace: expected a trace, as lj.trace gives it"),
        ({"step": 4}, ValueError, "step: expected a whole number from 0 to 3, got 4"),
        ({"step": None}, ValueError, "step: expected a whole number from 0 to 3, got None"),
        ({"row": ()}, ValueError, "row: expected one index for each of the 1 batch axes"),
        ({"row": (2,)}, ValueError, "row: expected a whole number from 0 to 1, got 2"),
        ({"unit": 3}, ValueError, "unit: expected a whole number from 0 to 2, got 3"),
    ],
)
def test_wrong_arguments(options, error, text):
    cell, params, trace = run("lstm")
    given = {"trace": trace, "step": 0, "row": (0,)} | options
    with pytest.raises(error, match=text):
        lj.insight.diagram(cell, params, **given)


def test_the_trace_of_another_cell():
    _, _, trace = run("lstm")
    with pytest.raises(ValueError, match="trace: expected the trace of chain"):
        lj.insight.diagram(CASES["chain"].cell, trace=trace, step=0, row=0)
    with pytest.raises(TypeError, match="cell: expected a Cell"):
        lj.insight.diagram(lj.lstm)


def test_colours():
    assert colour(0.0) == "#f7f7f7" and colour(1.0) == colour(7.0) == "#b2182b"
    assert colour(-1.0) == "#2166ac" and colour(float("nan")) == "#ffffff"
