"""The LSTM as textbooks draw it: the cell state on a line along the top, the gates below."""

from lstm_jax.insight.drawing.conveyor import TOP, Drawing, bottom, left, right, top
from lstm_jax.insight.drawing.families import Lstm
from lstm_jax.insight.drawing.picture import Picture
from lstm_jax.insight.drawing.svg import Box

COLUMN = 104.0
GATES = ("forget", "input", "cell", "output")


def draw_lstm(cell: Lstm, *, tall: bool = False) -> Picture:
    """The picture of a cell of the LSTM family."""
    draw = Drawing(tall)
    gates = [name for name in GATES if name in cell.gates]
    xs = {name: 90.0 + COLUMN * i for i, name in enumerate(gates)}
    reads = 46.0 * max(0, len(cell.readout) - 1) + (28.0 if cell.gate_state else 0.0)
    mixed_y, pill_y = TOP + 66.0, TOP + 140.0 + reads
    gate_y, bus_y = pill_y + 54.0, pill_y + 120.0
    out_x = (xs["output"] if "output" in xs else xs["cell"]) + COLUMN
    if any("norm" in label for label in cell.readout):
        out_x += 44.0
    end_x = out_x + 60.0 + (44.0 if any("norm" in label for label in cell.readout) else 0.0)

    total = draw.circle("+", -10.0, bus_y)
    old = draw.add("end", "c_{t−1}", _sources(draw, cell, total, bus_y), TOP, "previous:c")
    pills = _gates(draw, cell, xs, total, pill_y, gate_y)
    add = _write(draw, cell, xs, pills, old, mixed_y)
    c = draw.add("end", "c_{t}", end_x + 70.0, TOP, "state:c")
    draw.line(right(add), left(c))

    # The output.
    draw.dot(out_x, TOP)
    place, y = (out_x, TOP), TOP
    for label in cell.readout:
        y += 46.0
        box = draw.function(label, out_x, y)
        draw.line(place, top(box))
        place = bottom(box)
    if "output" in pills:
        gated = draw.circle("×", out_x, max(y + 48.0, mixed_y + 30.0))
        draw.line(place, top(gated))
        draw.line(top(pills["output"]), (xs["output"], gated.y), left(gated))
        place = bottom(gated)
    for i, node in enumerate(cell.projection):
        box = draw.function(node, out_x, gate_y + 46.0 * i)
        draw.line(place, top(box))
        place = bottom(box)
    h = draw.add("end", "h_{t}", c.x, bus_y, "state:h")
    y_end = draw.add("end", "y_{t}", end_x, TOP - 70.0, "output")
    draw.line(place, (out_x, bus_y), left(h))
    draw.dot(end_x, bus_y)
    draw.line((end_x, bus_y), bottom(y_end))

    _peepholes(draw, cell, xs, gate_y, pill_y)
    if cell.gate_state:
        kept = draw.add("end", "gates_{t}", h.x, pill_y + 20.0, "state:gates")
        y, turn = top(pills["cell"])[1] - 20.0, h.x - 44.0
        draw.picture.notes.append((turn - 22.0, y - 6.0, "concat"))
        for name in cell.gate_state:
            draw.dot(xs[name], y)
        start = min(xs[name] for name in cell.gate_state)
        draw.line((start, y), (turn, y), (turn, kept.y), left(kept))
    draw.draw_frame(end_x + 22.0, TOP - 36.0)
    return draw.picture


def _gates(
    draw: Drawing, cell: Lstm, xs: dict[str, float], total: Box, pill_y: float, gate_y: float
) -> dict[str, Box]:
    """The gates, with their lines from the pre-activations; returns the boxes of their values."""
    pills = {}
    last = list(xs)[-1]
    for name, x in xs.items():
        pills[name] = pill = draw.add("value", name, x, pill_y, f"gate:{name}")
        entry = bottom(pill)
        if cell.gates[name]:
            box = draw.function(cell.gates[name], x, gate_y)
            draw.line(top(box), bottom(pill))
            entry = bottom(box)
        if name == last:
            draw.line(right(total), (x, total.y), entry)
        else:
            draw.dot(x, total.y)
            draw.line((x, total.y), entry)
    return pills


def _write(
    draw: Drawing,
    cell: Lstm,
    xs: dict[str, float],
    pills: dict[str, Box],
    old: Box,
    mixed_y: float,
) -> Box:
    """The line of the cell state, up to the sum that is the new one; returns the sum."""
    add = draw.circle("+", xs["cell"], TOP)
    before = old
    if cell.keep:
        keep_x = xs["forget"] if cell.keep == "forget" else xs["input"] - 62.0
        before = draw.circle("×", keep_x, TOP)
        draw.connect(old, before)
    draw.connect(before, add)
    if cell.keep == "forget":
        draw.line(top(pills["forget"]), bottom(before))
    if "input" not in pills:
        draw.line(top(pills["cell"]), bottom(add))
        return add
    mixed = draw.circle("×", xs["cell"], mixed_y)
    draw.line(top(pills["input"]), (xs["input"], mixed_y), left(mixed))
    draw.line(top(pills["cell"]), bottom(mixed))
    draw.line(top(mixed), bottom(add))
    if cell.keep == "coupled":
        opposite = draw.function("1 −", before.x, mixed_y)
        start = xs["input"], mixed_y + 30.0
        draw.dot(*start)
        draw.line(start, (before.x, start[1]), bottom(opposite))
        draw.line(top(opposite), bottom(before))
    return add


def _peepholes(
    draw: Drawing, cell: Lstm, xs: dict[str, float], gate_y: float, pill_y: float
) -> None:
    """Dashed lines from the cell state to the gates that read it."""
    trunk, between = 30.0, (pill_y + gate_y) / 2 + 1.0
    old = [name for name, (_, new) in cell.peepholes.items() if not new]
    if cell.keep == "coupled":
        trunk = min(trunk, xs["input"] - 62.0 - 46.0)
    if old:
        draw.dot(trunk, TOP)
    first = min((xs[name] for name in old), default=0.0)
    for name, (label, new) in cell.peepholes.items():
        x = xs[name] - 15.0 - 1.0
        if new:
            start = xs[name] - COLUMN / 2 + 6.0
            draw.dot(start, TOP)
            draw.line((start, TOP), (start, gate_y), (x, gate_y), dashed=True)
        elif xs[name] == first:
            draw.line((trunk, TOP), (trunk, gate_y), (x, gate_y), dashed=True)
        else:
            turn = x - 26.0
            draw.line((trunk, TOP), (trunk, between), (turn, between), (turn, gate_y),
                      (x, gate_y), dashed=True)  # fmt: skip
        draw.picture.notes.append((x - 16.0, gate_y - 6.0, label))


def _sources(draw: Drawing, cell: Lstm, total: Box, bus_y: float) -> float:
    """The input and the recurrent source, with what leads from them to the sum ``total``.

    Returns:
        The middle of the column of inputs.
    """
    end, low = left(total)[0] - 20.0, bus_y + 50.0
    from_h, from_x = draw.row(cell.from_h, end, bus_y), draw.row(cell.from_x, end, low)
    if len(cell.source) > 1:
        joined = draw.function("concat", 0.0, bus_y)
        joined.x = left(from_h[0])[0] - 26.0 - joined.width / 2
        from_h.insert(0, joined)
    column = min(left(boxes[0])[0] for boxes in (from_h, from_x)) - 66.0
    h = draw.add("end", "h_{t−1}", column, bus_y, "previous:h")
    x = draw.add("end", "x_{t}", column, low, "input")
    draw.connect(h, *from_h, total)
    draw.connect(x, *from_x)
    draw.line(right(from_x[-1]), (total.x, low), bottom(total))
    if len(cell.source) > 1:
        gates = draw.add("end", "gates_{t−1}", column, bus_y - 50.0, "previous:gates")
        draw.line(right(gates), (from_h[0].x, gates.y), top(from_h[0]))
    return column
