"""The GRU as textbooks draw it: the state on a line along the top, the gates below."""

from lstm_jax.insight.drawing.conveyor import TOP, Drawing, bottom, left, right, top
from lstm_jax.insight.drawing.families import Gru
from lstm_jax.insight.drawing.picture import Picture

RESET, UPDATE, PRODUCT = 90.0, 210.0, 320.0


def draw_gru(cell: Gru, *, tall: bool = False) -> Picture:
    """The picture of a cell of the GRU family.

    Two lines run below the gates: what comes from the state, and under it what comes from x.
    """
    draw = Drawing(tall)
    before, after = cell.recurrent
    opposite_y, reset_y, pill_y = TOP + 52.0, TOP + 104.0, TOP + 154.0
    gate_y, sum_y = pill_y + 52.0, pill_y + 104.0
    h_y, x_y = sum_y + 46.0, sum_y + 84.0
    middle = PRODUCT + 76.0  # where what the reset gate has multiplied goes down
    widest = max((4.0, *(draw.function(node, 0.0, 0.0).width for node in after)))
    draw.picture.boxes.clear()
    candidate_x = middle + widest / 2 + 60.0
    end_x = candidate_x + 74.0
    xs = {"reset": RESET, "update": UPDATE, "candidate": candidate_x}

    # The inputs.
    from_h, from_x = draw.row(cell.from_h, 20.0, h_y), draw.row(cell.from_x, 20.0, x_y)
    trunk = min(left(boxes[0])[0] for boxes in (from_h, from_x)) - 34.0
    h = draw.add("end", "h_{t−1}", trunk - 62.0, TOP, "previous:h")
    x = draw.add("end", "x_{t}", trunk - 62.0, x_y, "input")
    draw.dot(trunk, TOP)
    draw.line((trunk, TOP), (trunk, h_y), left(from_h[0]))
    draw.connect(*from_h)
    draw.connect(x, *from_x)

    # The gates. Each adds what comes from the state and from x.
    pills = {}
    for name, gate_x in xs.items():
        pills[name] = pill = draw.add("value", name, gate_x, pill_y, f"gate:{name}")
        box = draw.function(cell.gates[name], gate_x, gate_y)
        total = draw.circle("+", gate_x, sum_y)
        draw.line(top(box), bottom(pill))
        draw.line(top(total), bottom(box))
        if name == "candidate":
            draw.line(right(from_x[-1]), (gate_x, x_y), bottom(total))
            continue
        side = gate_x + 32.0
        draw.dot(side, x_y)
        draw.line((side, x_y), (side, sum_y), right(total))
        if name == "reset" or cell.reset_after:
            draw.dot(gate_x, h_y)
            draw.line((gate_x, h_y), bottom(total))
        else:
            draw.line(right(from_h[-1]), (gate_x, h_y), bottom(total))
    candidate_sum = total

    # The reset gate and the recurrent part of the candidate.
    if cell.reset_after:
        product = draw.circle("×", PRODUCT, gate_y)
        draw.line(top(pills["reset"]), (RESET, reset_y), (PRODUCT, reset_y), top(product))
        place = (PRODUCT, h_y)
        for i, node in enumerate(before):
            box = draw.function(node, PRODUCT, sum_y - 4.0 - 40.0 * (len(before) - 1 - i))
            start = right(from_h[-1]) if i == 0 else place
            draw.line(*((start, place) if i == 0 else (start,)), bottom(box))
            place = top(box)
        if not before:
            draw.line(right(from_h[-1]), place, bottom(product))
        else:
            draw.line(place, bottom(product))
        draw.line(right(product), (middle, gate_y), (middle, sum_y), left(candidate_sum))
    else:
        product = draw.circle("×", PRODUCT, reset_y)
        draw.dot(trunk, reset_y)
        draw.line((trunk, reset_y), left(product))
        low = reset_y + 26.0
        draw.line(top(pills["reset"]), (RESET, low), (PRODUCT, low), bottom(product))
        place, turn = right(product), True
        for i, node in enumerate(after):
            box = draw.function(node, middle, reset_y + 56.0 + 48.0 * i)
            draw.line(place, *([(middle, reset_y)] if turn else []), top(box))
            place, turn = bottom(box), False
        draw.line(place, (middle, sum_y), left(candidate_sum))

    # The line of the state.
    keep, add = draw.circle("×", UPDATE, TOP), draw.circle("+", candidate_x, TOP)
    new = draw.circle("×", candidate_x, opposite_y)
    opposite = draw.function("1 −", (UPDATE + candidate_x) / 2, opposite_y)
    draw.line(top(pills["update"]), bottom(keep))
    draw.dot(UPDATE, opposite_y)
    draw.line((UPDATE, opposite_y), left(opposite))
    draw.line(right(opposite), left(new))
    draw.line(top(pills["candidate"]), bottom(new))
    draw.line(top(new), bottom(add))
    y = draw.add("end", "y_{t}", end_x, TOP - 70.0, "output")
    out = draw.add("end", "h_{t}", end_x + 70.0, TOP, "state:h")
    draw.connect(h, keep, add, out)
    draw.dot(end_x, TOP)
    draw.line((end_x, TOP), bottom(y))
    draw.draw_frame(end_x + 22.0, TOP - 36.0)
    return draw.picture
