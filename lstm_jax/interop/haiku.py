"""Weights from and to Haiku."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.interop.arrays import flat, named
from lstm_jax.interop.network import Level, Part, build, levels, no_dropout
from lstm_jax.interop.parts import read_part, write_part
from lstm_jax.interop.table import TABLE

HAIKU = "Haiku"


def from_haiku(params: Mapping[str, Any], names: str | Sequence[str] | None = None) -> Any:
    """A cell with the weights of a Haiku core.

        cell, params = lj.interop.from_haiku(haiku_params)
        cell, params = lj.interop.from_haiku(haiku_params, ["lstm", "lstm_1"])

    ``hk.LSTM`` adds 1 to its forget gate at run time; here it is in the bias. ``hk.GRU`` becomes
    ``lj.gru(reset_after=False)``; its update gate is one minus ours, so its weights change their
    sign. ``hk.VanillaRNN`` becomes ``lj.rnn(activation="relu")``. Haiku need not be installed.

    Args:
        params: What ``init`` of a transformed function gives. Which core it is, is read from its
            names and shapes.
        names: The name of the core's module, such as "lstm" or "model/lstm"; several, in their
            order, become ``lj.chain``. It can be left out if the params are those of one core.

    Returns:
        ``(cell, params)``, in the dtype of the weights.

    Raises:
        ValueError, TypeError: For entries that are no core's.
    """
    modules = named("params", params)
    tree = {name: flat(f"params[{name!r}]", entries) for name, entries in modules.items()}
    if names is None:
        found = {name.removesuffix("/linear").removesuffix("/linear_1") for name in tree}
        if len(found) != 1:
            raise WrongValue(
                "names: expected the names of the cores in their order for params of several "
                f"modules, got None beside {', '.join(map(repr, tree)) or 'no module'}"
            )
        names = found.pop()
    return build([Level((_part(tree, name),)) for name in _check_names(names)], "names")


def _check_names(names: Any) -> list[str]:
    """The names of modules as a list of different ones."""
    given = [names] if isinstance(names, str) else names
    if not isinstance(given, list | tuple) or not all(isinstance(n, str) for n in given):
        raise WrongType(f"names: expected a name or a list of names, got {names!r}")
    for name in given:
        if given.count(name) > 1:
            raise WrongValue(f"names: expected different names, got {name!r} twice")
    return list(given)


def _part(tree: Mapping[str, Mapping[str, Any]], name: str) -> Part:
    arrays: dict[str, Any] = {}
    for module, entries in tree.items():
        if module == name or module.startswith(f"{name}/"):
            inside = module[len(name) + 1 :]
            arrays |= {f"{inside}/{e}" if inside else e: leaf for e, leaf in entries.items()}
    for kind, layout in TABLE[HAIKU].items():
        optional = {block.name for block in layout.blocks if block.optional}
        if set(layout.names) - optional <= set(arrays) <= set(layout.names):
            return read_part(HAIKU, kind, arrays, argument=f"params[{name!r}]")
    raise WrongValue(
        f"params: expected a module {name!r} with the entries of hk.LSTM, hk.GRU or "
        f"hk.VanillaRNN, got {', '.join(sorted(arrays)) or f'modules {sorted(tree)}'}"
    )


def to_haiku(
    cell: Cell, params: Any, *, names: str | Sequence[str] | None = None
) -> tuple[Callable[[], Any], dict[str, Any]]:
    """A Haiku core and params with the weights of a cell.

        make_core, haiku_params = lj.interop.to_haiku(cell, params)

        def run(xs):
            core = make_core()
            return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

        ys = hk.without_apply_rng(hk.transform(run)).apply(haiku_params, xs)

    Args:
        cell: ``lj.lstm``, ``lj.gru(reset_after=False)`` or ``lj.rnn(activation="relu")``, alone or
            in ``lj.chain``.
        params: Its params.
        names: The name of each core's module; by default Haiku's own: "lstm", "lstm_1", ...

    Returns:
        ``(make_core, params)``: a function that makes the core inside a transformed function (for a
        chain, an ``hk.DeepRNN``), and the params for ``apply``. The bias of the forget gate is one
        less than ours, since Haiku adds 1 to it.

    Raises:
        ValueError, TypeError: For a cell that Haiku does not have; the error names the option.
    """
    found = levels(cell, params, HAIKU)
    no_dropout(found, HAIKU, "use hk.dropout on the inputs")
    made: list[tuple[str, str, int]] = []
    trees: dict[str, Any] = {}
    given = None if names is None else _check_names(names)
    if given is not None and len(given) != len(found):
        raise WrongValue(f"names: expected {len(found)}, one for each layer, got {names!r}")
    for i, level in enumerate(found):
        if len(level.parts) > 1:
            raise WrongValue(
                "bidirectional: expected cells of one direction, since Haiku has no bidirectional "
                "core, got lj.bidirectional; convert its two cells one by one"
            )
        (part,) = level.parts
        kind, arrays = write_part(HAIKU, part)
        before = sum(other == kind for _, other, _ in made)
        default = SNAKE[kind] + (f"_{before}" if before else "")
        name = default if given is None else given[i]
        made.append((name, kind, part.size))
        for path, array in arrays.items():
            inside, _, entry = path.rpartition("/")
            module = f"{name}/{inside}" if inside else name
            trees.setdefault(module, {})[entry] = jnp.asarray(array)

    def make_core() -> Any:
        import haiku

        cores = [getattr(haiku, kind)(size, name=name) for name, kind, size in made]
        return cores[0] if len(cores) == 1 else haiku.DeepRNN(cores)

    return make_core, trees


SNAKE = {"LSTM": "lstm", "GRU": "gru", "VanillaRNN": "vanilla_rnn"}
