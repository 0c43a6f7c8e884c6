"""The explorer's page in a real browser, opened from a file."""

import os
import shutil

import jax
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.insight import Explorer, explorer
from tests.insight.test_explorer import NASTY
from tests.insight.traces import composite, fake

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CODE = 8 / 65532  # no value in these tests has a range above 8


def give_up(reason):
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; with CI set the page must be tested")
    pytest.skip(f"{reason}: the explorer's page was not tested in a browser")


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        give_up("Playwright is not installed (pip install playwright)")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        give_up("there is no Chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page from a file; nothing may be written to the console, and nothing be loaded."""
    complaints = []
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)

    def opened(page):
        path = page.save(tmp_path / "page.html") if isinstance(page, Explorer) else page
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", lambda dialog: complaints.append(dialog.message))
        tab.on("request", lambda request: complaints.append(request.url))
        tab.goto(path.as_uri())
        first, *others = complaints
        assert first == path.as_uri() and not others, complaints
        complaints.clear()
        return tab

    yield opened
    context.close()
    assert not complaints


def values(tab):
    """The numbers in the table of the unit, by key."""
    rows = tab.eval_on_selector_all(
        "#values tbody tr", "rows => rows.map(r => [r.dataset.key, r.cells[2].textContent])"
    )
    return {key: text if text == "padding" else float(text) for key, text in rows}


def expect_values(tab, trace, unit, step):
    got = values(tab)
    expected = {f"gate:{name}": gate for name, gate in trace.gates.items()}
    expected |= {f"state:{name}": leaf for name, leaf in trace.states._asdict().items()}
    expected["output"] = trace.outputs
    assert set(got) == set(expected)
    for key, leaf in expected.items():
        assert got[key] == pytest.approx(np.asarray(leaf)[step, unit], abs=CODE), key


def step_of(tab):
    return int(tab.input_value("#step"))


def set_slider(tab, step):
    tab.evaluate(
        """step => {
          const slider = document.getElementById("step");
          slider.value = step;
          slider.dispatchEvent(new Event("input"));
        }""",
        step,
    )


def enter(tab, field, value):
    tab.fill(field, str(value))
    tab.press(field, "Enter")


def mark(tab, first, last):
    enter(tab, "#range-from", first)
    enter(tab, "#range-to", last)


@pytest.mark.slow
def test_slider_and_keys_move_in_time(show):
    trace = fake(steps=40)
    tab = show(explorer(trace))
    expect_values(tab, trace, 0, 0)
    set_slider(tab, 17)
    expect_values(tab, trace, 0, 17)
    keys = {
        "ArrowRight": 18, "ArrowLeft": 17, "PageDown": 27, "PageUp": 17, "End": 39,
        "Home": 0, "ArrowLeft ": 0,
    }  # fmt: skip
    for key, step in keys.items():
        tab.keyboard.press(key.strip())
        assert step_of(tab) == step, key
        expect_values(tab, trace, 0, step)
    tab.focus("#step")  # where the browser has its own arrow keys
    tab.keyboard.press("ArrowRight")
    assert step_of(tab) == 1
    tab.click("#on")
    tab.click("#on")
    tab.click("#back")
    expect_values(tab, trace, 0, 2)
    assert "step 2 of 40" in tab.text_content("#where")


@pytest.mark.slow
def test_units_are_chosen_by_keys_and_by_click(show):
    trace = fake(steps=40)
    tab = show(explorer(trace))
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowUp")
    expect_values(tab, trace, 1, 0)
    tab.fill("#unit", "3")
    expect_values(tab, trace, 3, 0)
    canvas = tab.locator(".map[data-key='state:h'] canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    at = {"x": box["width"] * 7.5 / 40, "y": box["height"] * 2.5 / 5}
    canvas.hover(position=at)
    tip = tab.text_content("#tip")
    assert tip.startswith("h, unit 2, step 7: ")
    assert float(tip.rpartition(" ")[2]) == pytest.approx(trace.states.h[7, 2], abs=CODE)
    canvas.click(position=at)
    expect_values(tab, trace, 2, 7)
    assert tab.input_value("#unit") == "2"


def test_the_heat_map_has_the_values(show):
    def edit(states):
        states.c[2, 0, 1] = np.nan

    trace = fake(steps=9, size=4, batch=(1,), lengths=[7], edit=edit)
    tab = show(explorer(trace, row=0))
    pixels = tab.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".map")].map(row => {
          const canvas = row.querySelector("canvas");
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return [row.dataset.key, [...pixels.data]];
        }))"""
    )
    image = {key: np.reshape(rgba, (4, 9, 4))[..., :3] for key, rgba in pixels.items()}
    for pixel in image.values():
        assert (pixel[:, 7:] == pixel[0, 7]).all()  # the padding
        assert not (pixel[:, :7] == pixel[0, 7]).all(-1).any()
    forget = np.asarray(trace.gates["forget"])[:7, 0].T
    brightness = image["gate:forget"][:, :7].sum(-1)
    order = np.argsort(forget, axis=None)
    assert (np.diff(brightness.ravel()[order]) <= 0).all()  # from white to dark blue
    c, red, blue = (
        np.asarray(trace.states.c)[:7, 0].T,
        *np.moveaxis(image["state:c"][:, :7], -1, 0)[[0, 2]],
    )
    known = np.isfinite(c)
    assert (np.sign(red - blue) == np.sign(c))[known & (abs(c) > 0.1)].all()
    assert image["state:c"][1, 2].tolist() == [208, 0, 208]


@pytest.mark.slow
def test_padding_has_no_values(show):
    trace = fake(steps=9, batch=(2,), lengths=[9, 7])
    tab = show(explorer(trace, "abcdefg", row=1))
    set_slider(tab, 8)
    assert set(values(tab).values()) == {"padding"}
    assert "padding" in tab.text_content("#where")
    assert tab.locator("#steps .padding").count() == 2
    tab.hover(".map[data-key='output'] canvas", position={"x": 8.5 * 40, "y": 5})
    assert tab.text_content("#tip").endswith("step 8: padding")


def test_tokens_are_text(show):
    tokens = [token for token in NASTY if token != "\ud800"]
    tab = show(explorer(fake(len(tokens)), tokens, title="<img src=x onerror=alert(1)>"))
    for box in ("#text", "#steps"):
        spans = tab.eval_on_selector_all(
            f"{box} > span", "spans => spans.map(s => [s.textContent, s.childElementCount])"
        )
        assert spans == [[token, 0] for token in tokens]
    assert tab.text_content("h1") == tab.title() == "<img src=x onerror=alert(1)>"
    assert tab.locator("img").count() == 0 and tab.locator("script").count() == 2


@pytest.mark.slow
def test_attributions_of_tokens(show):
    given = np.array([[0.5, 1.5], [-1.0, -2.0], [0.0, 0.0], [1.0, -0.5]])
    tab = show(explorer(fake(4), "abcd", given, names=["<i>", "y"]))
    for column, expected in enumerate([given.sum(1), *given.T]):
        tab.select_option("#column", str(column))
        styles = tab.eval_on_selector_all(
            "#text > span", "spans => spans.map(s => [s.style.background, s.title])"
        )
        for t, (colour, title) in enumerate(styles):
            red, _, blue = map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))
            assert abs(expected[t]) < 0.1 or np.sign(red - blue) == np.sign(expected[t])
            assert float(title.rpartition(" ")[2]) == pytest.approx(expected[t], abs=CODE)
        set_slider(tab, 3)
        shown = tab.text_content("#where").rpartition("attribution ")[2]
        assert float(shown) == pytest.approx(expected[3], abs=CODE)
    assert tab.locator("#column option").all_text_contents() == ["all inputs", "<i>", "y"]


def search_by_numpy(values, mask, starts, first, last, how, outside, share):
    """The units and moments that the page should list, from the definition.

    ``starts[t]``: a segment begins between t - 1 and t.
    """
    active = how(values) & mask[:, None]
    units = active[first : last + 1].all(0)
    if outside:
        if first > 0 and not starts[first]:
            units &= ~active[first - 1]
        if last + 1 < len(values) and mask[last + 1] and not starts[last + 1]:
            units &= ~active[last + 1]
    counts = active[:, units].sum(1)
    full = counts >= max(1, np.ceil(share * units.sum() - 1e-9))
    full[first : last + 1] = False
    moments, t = [], 0
    while t < len(values):
        end = t
        while full[t] and end + 1 < len(values) and full[end + 1] and not starts[end + 1]:
            end += 1
        if full[t]:
            moments.append((t, end, counts[t : end + 1].max(), counts[t : end + 1].mean()))
        t = end + 1
    moments.sort(key=lambda m: (-m[3], m[0] - m[1], m[0]))
    return np.flatnonzero(units).tolist(), [list(m[:3]) for m in moments] if units.any() else []


def found(tab):
    units = tab.eval_on_selector_all(
        "#units-found button", "buttons => buttons.map(b => Number(b.dataset.unit))"
    )
    moments = tab.eval_on_selector_all(
        "#moments button",
        "bs => bs.map(b => [b.dataset.from, b.dataset.to, b.dataset.most].map(Number))",
    )
    return units, moments


HOW = {
    "above": lambda threshold: lambda x: x >= threshold,
    "below": lambda threshold: lambda x: x <= threshold,
    "size": lambda threshold: lambda x: abs(x) >= threshold,
}


@pytest.mark.parametrize("reverse", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_search(show, reverse):
    resets = np.zeros((90, 1), bool)
    resets[[20, 50]] = True
    trace = fake(90, 100, (1,), lengths=[80], resets=resets, reverse=reverse, seed=5)
    page = explorer(trace, row=0)
    tab = show(page)
    quantities = {
        "output": trace.outputs, "c": trace.states.c, "forget gate": trace.gates["forget"],
    }  # fmt: skip
    quantities = {name: np.asarray(values)[:, 0] for name, values in quantities.items()}
    mask = np.asarray(trace.mask)[:, 0]
    starts = np.roll(resets[:, 0], 1) if reverse else resets[:, 0]
    some = 0
    for quantity, sense, threshold, (first, last), outside, share in [
        ("output", "above", 0.05, (30, 32), False, 0.6),
        ("output", "above", 0.05, (30, 32), True, 0.5),
        ("c", "below", -0.1, (18, 19), True, 0.6),
        ("c", "below", -0.1, (20, 21), True, 0.6),
        ("c", "size", 0.4, (48, 49), True, 0.3),
        ("forget gate", "above", 0.7, (0, 1), True, 0.6),
        ("forget gate", "above", 0.7, (78, 79), True, 1.0),
        ("c", "above", 0.2, (78, 81), False, 0.5),
        ("c", "above", 1e9, (3, 3), False, 0.5),
    ]:
        tab.select_option("#quantity", label=quantity)
        tab.select_option("#sense", sense)
        tab.fill("#threshold", str(threshold))
        tab.set_checked("#outside", outside)
        tab.fill("#share", str(round(100 * share)))
        mark(tab, first, last)
        how = HOW[sense](threshold)
        expected = search_by_numpy(
            quantities[quantity], mask, starts, first, last, how, outside, share
        )
        assert found(tab) == expected, (quantity, first)
        some += len(expected[0]) > 0 and len(expected[1]) > 1
    assert some >= 5  # the cases are worth something


@pytest.mark.slow
def test_what_the_search_lists_can_be_clicked(show):
    trace = fake(90, 40, seed=5)
    tab = show(explorer(trace))
    tab.fill("#threshold", "0.2")
    tab.fill("#share", "60")
    mark(tab, 30, 31)
    units, moments = found(tab)
    tab.click(f"#units-found button[data-unit='{units[1]}']")
    expect_values(tab, trace, units[1], 0)
    tab.click(f"#moments button[data-from='{moments[1][0]}']")
    expect_values(tab, trace, units[1], moments[1][0])
    tab.click("#clear")
    assert found(tab) == ([], []) and tab.input_value("#range-from") == ""


@pytest.mark.slow
def test_steps_are_marked_by_dragging_and_by_keys(show):
    tab = show(explorer(fake(30), [f"t{t}" for t in range(30)]))

    def marked():
        return tab.input_value("#range-from"), tab.input_value("#range-to")

    for box, first, last in (("#steps", 3, 7), ("#text", 9, 5)):
        for step, action in ((first, tab.mouse.down), (last, tab.mouse.up)):
            at = tab.locator(f"{box} > span >> nth={step}").bounding_box()
            tab.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
            action()
        assert marked() == (str(min(first, last)), str(max(first, last)))
    assert step_of(tab) == 9
    tab.keyboard.press("Escape")
    assert marked() == ("", "")
    for _ in range(3):
        tab.keyboard.press("Shift+ArrowLeft")
    assert marked() == ("6", "9") and step_of(tab) == 6


def chain():
    """Two layers, the second bidirectional and of another size."""
    first, forward, backward = (
        fake(steps=20),
        fake(20, 7, seed=1),
        fake(20, 7, seed=2, reverse=True),
    )
    both = np.concatenate([forward.outputs, backward.outputs], -1)
    second = composite({"forward": forward, "backward": backward}, both)
    return composite({"0": first, "1": second}, both)


@pytest.mark.slow
def test_parts(show):
    trace = chain()
    tab = show(explorer(trace))
    labels = [text.strip() for text in tab.locator("#part option").all_text_contents()]
    assert labels == [
        "layer 0", "layer 1, forward", "layer 1, backward (from right to left)",
        "the whole: outputs",
    ]  # fmt: skip
    set_slider(tab, 11)
    tab.fill("#unit", "4")
    leaves = [trace.parts["0"], *trace.parts["1"].parts.values()]
    for i in (1, 0, 2):
        tab.select_option("#part", str(i))
        expect_values(tab, leaves[i], 4, 11)
    tab.fill("#unit", "6")
    tab.select_option("#part", "3")
    tab.fill("#unit", "13")
    assert values(tab) == {"output": pytest.approx(trace.outputs[11, 13], abs=CODE)}
    tab.select_option("#part", "0")
    expect_values(tab, leaves[0], 4, 11)  # the last of its units


def diagram(tab, part=""):
    """The numbers in the diagram, by the names of its elements."""
    return dict(
        tab.eval_on_selector_all(
            f"[data-part='{part}'] [data-value]",
            "all => all.map(g => [g.dataset.value, g.querySelector('.number')?.textContent])",
        )
    )


def expect_diagram(tab, trace, unit, step, part=""):
    got = diagram(tab, part)
    expected = {f"gate:{gate}": values for gate, values in trace.gates.items()}
    for when, states in (("state", trace.states), ("previous", trace.previous)):
        expected |= {f"{when}:{name}": leaf for name, leaf in states._asdict().items()}
    expected["output"] = trace.outputs
    assert set(got) - {"input"} == set(expected)
    for key, values in expected.items():
        values = np.asarray(values)[step].ravel()
        if len(values) == trace.outputs.shape[-1]:
            expected = values[unit]
        else:
            expected = np.linalg.norm(values)
        assert float(got[key]) == pytest.approx(expected, abs=1e-3), key


@pytest.mark.slow
def test_the_diagram_has_the_numbers_of_the_unit_and_the_step(show):
    cell = lj.lstm(5)
    params = cell.init(jax.random.key(0), 2)
    resets = np.zeros((12, 1), bool)
    resets[6] = True
    xs = jax.random.normal(jax.random.key(1), (12, 1, 2))
    trace = lj.trace(cell, params, xs, lengths=np.array([10]), resets=resets)
    tab = show(explorer(trace, row=0, cell=cell))
    row = trace.row(0)
    expect_diagram(tab, row, 0, 0)
    for step in (5, 6, 9):
        set_slider(tab, step)
        expect_diagram(tab, row, 0, step)
    tab.fill("#unit", "4")
    expect_diagram(tab, row, 4, 9)
    fills = tab.eval_on_selector_all(
        "[data-value='state:c'] rect, [data-value='state:c'] circle",
        "shapes => shapes.map(s => getComputedStyle(s).fill)",
    )
    rgb = [int(c) for c in fills[0].removeprefix("rgb(").removesuffix(")").split(",")]
    assert np.sign(rgb[0] - rgb[2]) == np.sign(row.states.c[9, 4])
    set_slider(tab, 11)
    assert set(diagram(tab).values()) - {"", None} == {"\u2013"}


@pytest.mark.slow
def test_the_diagram_of_each_part(show):
    cell = lj.chain(lj.gru(4), lj.bidirectional(lj.lstm(3), lj.lstm(3)))
    params = cell.init(jax.random.key(0), 2)
    trace = lj.trace(cell, params, jax.random.normal(jax.random.key(1), (12, 2)))
    tab = show(explorer(trace, cell=cell))
    set_slider(tab, 7)
    second = trace.parts["1"].parts
    parts = {"0": trace.parts["0"], "1/forward": second["forward"],
             "1/backward": second["backward"]}  # fmt: skip
    for i, (name, part) in enumerate(parts.items()):
        tab.select_option("#part", str(i))
        expect_diagram(tab, part, 0, 7, name)
        shown = [other for other in parts if tab.is_visible(f"[data-part='{other}']")]
        assert shown == [name]
    tab.select_option("#part", "3")
    assert not tab.is_visible("#diagram-panel")


@pytest.mark.slow
def test_the_diagram_of_attention(show):
    cell = lj.attention(4, heads=2, window=3)
    params = cell.init(jax.random.key(0), 2)
    trace = lj.trace(cell, params, jax.random.normal(jax.random.key(1), (12, 2)))
    tab = show(explorer(trace, cell=cell))
    set_slider(tab, 7)
    tab.fill("#unit", "2")
    expect_diagram(tab, trace, 2, 7)


@pytest.mark.slow
def test_a_page_of_one_step(show):
    trace = fake(1, 1)
    tab = show(explorer(trace, "a", [1.0]))
    expect_values(tab, trace, 0, 0)
    mark(tab, 0, 0)


@pytest.mark.slow
def test_a_notebook_shows_it(show, tmp_path):
    trace = fake(30)
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!DOCTYPE html>{explorer(trace)._repr_html_()}", "utf-8")
    tab = show(notebook)
    frame = tab.frames[1]
    frame.wait_for_selector("#values td")
    set_slider(frame, 5)
    expect_values(frame, trace, 0, 5)
