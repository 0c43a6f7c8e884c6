"""Single cells by the table: a framework's arrays to a part of ours, and back."""

from collections.abc import Callable, Mapping
from typing import Any

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.interop import layout as layouts
from lstm_jax.interop.arrays import as_arrays, to_jax
from lstm_jax.interop.layout import Layout
from lstm_jax.interop.network import KINDS, Part, default_options
from lstm_jax.interop.table import TABLE


def layout_of(part: Part, framework: str) -> tuple[str, Layout]:
    """The framework's cell for a part of ours: its name and its row of the table.

    Raises:
        ValueError: If there is none, or if it lacks an option; the error names the option.
    """
    rows = TABLE[framework]
    for name, layout in rows.items():
        if layout.kind == part.kind:
            owner = owner_of(framework, name)
            _check_options(part, layout, owner)
            return name, layout
    kinds = [layout.kind for layout in rows.values()]
    if part.kind in ("gru", "gru_reset_before") and ("gru" in kinds or "gru_reset_before" in kinds):
        got = part.kind == "gru"
        raise WrongValue(
            f"reset_after: expected {not got}, since {framework}'s GRU resets "
            f"{'before' if got else 'after'} the product and has no other, got {got}"
        )
    have = " or ".join(dict.fromkeys(KINDS[kind].text for kind in kinds))
    raise WrongValue(f"cell: expected {have} for {framework}, got {KINDS[part.kind].text}")


def owner_of(framework: str, name: str) -> str:
    """What errors call a cell of a framework."""
    return f"{framework}'s {name}"


def _check_options(part: Part, layout: Layout, owner: str) -> None:
    defaults = default_options(part.kind)
    for option, default in defaults.items():
        if option in layout.options:
            continue
        expected = layout.fixed.get(option, default)
        got = part.options.get(option, default)
        if got != expected:
            raise WrongValue(
                f"{option}: expected {expected!r}, all that {owner} has, got {got!r}; train and "
                f"convert a cell with {option}={expected!r}"
            )


def read_part(
    framework: str,
    name: str,
    arrays: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
    *,
    argument: str,
    suffix: str = "",
) -> Part:
    """A part of ours with the weights of a framework's cell.

    Args:
        framework: A key of ``TABLE``.
        name: A row of its table.
        arrays: Its arrays by name. All biases may be missing, and a projection.
        options: The options of our cell.
        argument: What errors call the arrays.
        suffix: What the framework adds to their names.
    """
    layout = TABLE[framework][name]

    def entry(name: str) -> str:
        return f"{argument}[{name + suffix!r}]"

    biased = any(block.is_bias and block.name in arrays for block in layout.blocks)
    needed = {b.name for b in layout.blocks if b.holds != ("p",) and (biased or not b.is_bias)}
    missing = sorted(needed - {*arrays, *(b.name for b in layout.blocks if b.optional)})
    unknown = sorted(set(arrays) - set(layout.names))
    if missing or unknown:
        whole = " with all biases or none" if biased else ""
        what = f"an entry {missing[0] + suffix!r}" if missing else "no other entries than those"
        got = (f"{n + suffix!r}" for n in unknown or sorted(arrays))
        raise WrongValue(
            f"{argument}: expected {what} of {owner_of(framework, name)}{whole}, "
            f"got {', '.join(got) or 'none'}"
        )
    arrays = as_arrays(argument, arrays, entry)
    _check_shapes(layout, arrays, entry)
    kind = KINDS[layout.kind]
    gates = kind.factory(1).gates
    params = layouts.read(layout, arrays, gates=gates, bias_apart=kind.bias_apart)
    size = params["w_h"].shape[1] // len(gates)
    options = {**layout.fixed, **(options or {})}
    if "w_p" in params:
        options["projection"] = params["w_p"].shape[1]
    defaults = default_options(layout.kind)
    options = {name: value for name, value in options.items() if value != defaults[name]}
    inputs = entry(next(block.name for block in layout.blocks if "x" in block.holds))
    return Part(layout.kind, size, options, to_jax(params), entry=inputs)


def _check_shapes(layout: Layout, arrays: Mapping[str, Any], entry: Callable[[str], str]) -> None:
    """Checks that the shapes of all arrays fit each other."""
    shapes = {}
    for block in layout.blocks:
        if block.name in arrays:
            shape = tuple(arrays[block.name].shape)
            if len(shape) != block.rank:
                raise WrongValue(
                    f"{entry(block.name)}: expected {block.rank} axes, got shape {shape}"
                )
            shapes[block.name] = shape[::-1] if block.transposed else shape

    recurrent = next(block for block in layout.blocks if "h" in block.holds)
    size = shapes[recurrent.name][-1] // len(recurrent.gates)
    projection = next((shapes[b.name] for b in layout.blocks if b.holds == ("p",)
                       and b.name in shapes), (size, size))  # fmt: skip
    source = projection[-1]
    of_x = next(block for block in layout.blocks if "x" in block.holds)
    inputs = shapes[of_x.name][0] - (source if "h" in of_x.holds else 0)
    if inputs < 1:
        raise WrongValue(
            f"{entry(of_x.name)}: expected weights for one input or more and {size} hidden units, "
            f"got shape {tuple(arrays[of_x.name].shape)}"
        )
    rows = {"x": inputs, "h": source, "b_x": 1, "b_h": 1, "p": size}
    for block in layout.blocks:
        if block.name in shapes:
            width = source if block.holds == ("p",) else len(block.gates) * size
            expected = (sum(rows[held] for held in block.holds), width)[-block.rank :]
            if shapes[block.name] != expected or min(expected) < 1:
                order = -1 if block.transposed else 1
                raise WrongValue(
                    f"{entry(block.name)}: expected shape {expected[::order]}, which fits "
                    f"{size} hidden units, got {shapes[block.name][::order]}"
                )


def write_part(framework: str, part: Part, *, bias: bool = True) -> tuple[str, dict[str, Any]]:
    """The name of the framework's cell for a part of ours, and its arrays.

    Raises:
        ValueError: For an option or a bias that the framework does not have.
    """
    name, layout = layout_of(part, framework)
    checking.flag("bias", bias)
    owner = owner_of(framework, name)
    kind = KINDS[part.kind]
    arrays = layouts.write(
        layout,
        as_arrays("params", part.params),
        gates=kind.factory(1).gates,
        bias_apart=kind.bias_apart,
        bias=bias,
        owner=owner if bias else f"{owner} without biases",
    )
    return name, arrays
