"""What the explorer's page is given: one row of a trace, its tokens and its attribution."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.insight.traces import Trace

# Dicts that went through JAX are sorted by name; gates and directions are shown in this order.
USUAL_ORDER = (
    "query", "key", "value", "input", "forget", "cell", "output", "reset", "update", "candidate",
    "forward", "backward",
)  # fmt: skip
STEPS_OF_RANGE = 65532  # codes of 16 bits; three more stand for NaN and the infinities


def one_row(trace: Any, row: Any) -> Trace:
    """The trace of one row, checked."""
    if not isinstance(trace, Trace):
        raise WrongType(f"trace: expected a Trace, from lj.trace, got {type(trace).__name__}")
    if len(trace.mask) == 0:
        raise WrongValue("trace: expected one step or more, got none")
    batch = trace.mask.shape[1:]
    given = row if isinstance(row, tuple) else (row,)
    if not all(_is_whole(index) for index in given):
        raise WrongType(f"row: expected an index, or a tuple of indices, got {row!r}")
    in_range = len(given) == len(batch) and all(
        -size <= index < size for index, size in zip(given, batch, strict=True)
    )
    if not in_range:
        what = {0: "()", 1: "an index"}.get(len(batch), f"a tuple of {len(batch)} indices")
        raise WrongValue(
            f"row: expected {what} of a row of the trace, whose batch axes are {batch}, got {row!r}"
        )
    return trace.row(tuple(int(index) for index in given))


def _is_whole(index: Any) -> bool:
    return isinstance(index, int | np.integer) and not isinstance(index, bool)


def segment_starts(trace: Trace) -> list[int]:
    if trace.resets is None:
        return []
    starts = np.asarray(trace.resets) & np.asarray(trace.mask)
    return [int(step) for step in np.flatnonzero(starts)]


def read_tokens(tokens: Any, mask: np.ndarray) -> list[str] | None:
    """One string per step; those of the padding are empty if they are not given."""
    if tokens is None:
        return None
    if isinstance(tokens, np.ndarray | jax.Array) and tokens.ndim == 1:
        tokens = np.asarray(tokens).tolist()
    if not isinstance(tokens, Sequence) or isinstance(tokens, bytes):
        raise WrongType(
            f"tokens: expected a sequence of strings, one per step, got {type(tokens).__name__}"
        )
    for i, token in enumerate(tokens):
        if not isinstance(token, str | int | float | np.generic):
            raise WrongType(f"tokens[{i}]: expected a string or a number, got {token!r}")
    if len(tokens) not in _row_lengths(mask):
        raise WrongValue(f"tokens: expected {_in_words(mask, 'tokens')}, got {len(tokens)}")
    return [str(token) for token in tokens] + [""] * (len(mask) - len(tokens))


def _row_lengths(mask: np.ndarray) -> tuple[int, int]:
    return len(mask), int(mask.sum())


def _in_words(mask: np.ndarray, what: str) -> str:
    steps, valid = _row_lengths(mask)
    shorter = f", or {valid}, those that are not padding" if valid < steps else ""
    return f"{steps} {what}, the steps of the row{shorter}"


def read_attribution(attribution: Any, names: Any, mask: np.ndarray) -> dict[str, Any] | None:
    """A map of the sum over the inputs and, if there are several, of each input."""
    if attribution is None:
        if names is not None:
            raise WrongValue(
                f"names: expected None, since there is no attribution of inputs, got {names!r}"
            )
        return None
    if not isinstance(attribution, np.ndarray | jax.Array | list | tuple):
        raise WrongType(f"attribution: expected an array, got {type(attribution).__name__}")
    values = np.asarray(attribution)
    if values.dtype.kind in "OSUc" or values.dtype == bool:
        raise WrongType(f"attribution: expected real numbers, got dtype {values.dtype.name}")
    if values.ndim not in (1, 2) or len(values) not in _row_lengths(mask):
        raise WrongValue(
            f"attribution: expected shape [T] or [T, D], where T is {_in_words(mask, 'values')}, "
            f"got shape {values.shape}"
        )
    values = values.astype(np.float64).reshape(len(values), -1)
    labels = _read_names(names, values.shape[1])
    with np.errstate(invalid="ignore"):
        total = values.sum(1, keepdims=True)
    if values.shape[1] > 1:
        values, labels = np.concatenate([total, values], 1), ["all inputs", *labels]
    padded = np.zeros((len(mask), values.shape[1]))
    padded[: len(values)] = values
    several = len(labels) > 1
    rows = as_map(
        "attribution", "attribution of each input", "attribution", padded, mask, of="input"
    )
    return rows | {"names": labels if several else [""]}


def _read_names(names: Any, size: int) -> list[str]:
    if names is None:
        return [f"input {i}" for i in range(size)]
    is_list = isinstance(names, Sequence) and not isinstance(names, str | bytes)
    if not is_list or not all(isinstance(name, str) for name in names):
        raise WrongType(f"names: expected a sequence of strings, got {names!r}")
    if len(names) != size:
        raise WrongValue(
            f"names: expected {size} names, one for each input of the attribution, got {len(names)}"
        )
    return list(names)


def parts_of(trace: Trace, max_units: int) -> list[dict[str, Any]]:
    """The parts of a trace that have no parts themselves, and the outputs of the whole."""
    if not trace.parts:
        return [_part(trace, "", "cell", max_units)]
    parts = [
        _part(part, "/".join(path), _label(path, part.reverse), max_units)
        for path, part in _leaves(trace, ())
    ]
    outputs = [("output", "output", "output", trace.outputs)]
    return [*parts, _with_maps(trace, "", "the whole: outputs", outputs, max_units)]


def _leaves(trace: Trace, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Trace]]:
    for name in _in_usual_order(trace.parts):
        part = trace.parts[name]
        if part.parts:
            yield from _leaves(part, (*path, name))
        else:
            yield (*path, name), part


def _label(path: tuple[str, ...], reverse: bool) -> str:
    words = [f"layer {name}" if name.isdigit() else name for name in path]
    return ", ".join(words) + (" (from right to left)" if reverse else "")


Quantity = tuple[str, str, str, Any]  # its key, its name, its group and its values [T, ...]


def _part(trace: Trace, name: str, label: str, max_units: int) -> dict[str, Any]:
    after, before = named_leaves(trace.states), named_leaves(trace.previous)
    quantities: list[Quantity] = [
        (f"gate:{gate}", gate, "gates", trace.gates[gate]) for gate in _in_usual_order(trace.gates)
    ]
    quantities += [(f"state:{leaf}", leaf, "states", values) for leaf, values in after.items()]
    quantities += [("output", "output", "output", trace.outputs)]
    if trace.attention is not None:
        weights = np.asarray(trace.attention)
        heads = weights.reshape(len(weights), -1, weights.shape[-1]).swapaxes(0, 1)
        for i, head in enumerate(heads):
            which = f", head {i}" if len(heads) > 1 else ""
            quantities.append((f"attention:{i}", f"attention{which}", "attention", head))
    part = _with_maps(trace, name, label, quantities, max_units)
    for one in part["maps"]:
        leaf = one["key"].removeprefix("state:")
        if one["group"] == "states" and leaf in before:
            one["previous"] = _previous(
                _flat(after[leaf]), _flat(before[leaf]), np.asarray(trace.mask), trace.reverse
            )
    return part


def _in_usual_order(names: Iterable[str]) -> list[str]:
    def place(name: str) -> int:
        if name.isdigit():
            return int(name)
        return USUAL_ORDER.index(name) if name in USUAL_ORDER else len(USUAL_ORDER)

    return sorted(names, key=place)


def _with_maps(
    trace: Trace, name: str, label: str, quantities: Sequence[Quantity], max_units: int
) -> dict[str, Any]:
    maps, left_out = [], []
    for key, what, group, values in quantities:
        if jax.dtypes.issubdtype(values.dtype, jax.dtypes.prng_key):
            continue
        flat, mask = _flat(values), np.asarray(trace.mask)
        if not 0 < flat.shape[1] <= max_units:
            left_out.append(
                f"{what} is left out: it has {flat.shape[1]} values per step "
                f"(max_units is {max_units})."
            )
        elif np.iscomplexobj(flat):
            for half, numbers in (("real", flat.real), ("imaginary", flat.imag)):
                maps.append(as_map(f"{key}.{half}", f"{what}, {half}", group, numbers, mask))
        else:
            of = "slot" if group == "attention" else "unit"
            maps.append(as_map(key, what, group, flat, mask, of=of))
    first = [one["units"] for one in maps if one["group"] in ("gates", "output")]
    units = max(first, default=max((one["units"] for one in maps), default=0))
    for one in maps:
        one["linked"] = one["units"] == units and one["group"] != "attention"
    return {
        "name": name,
        "label": label,
        "reverse": trace.reverse,
        "units": units,
        "maps": maps,
        "left_out": left_out,
    }


def _flat(values: Any) -> np.ndarray:
    return np.asarray(values).reshape(len(values), -1)


def named_leaves(states: Any) -> dict[str, Any]:
    """The leaves of a state by the names of their fields, as long as these differ."""
    paths = jax.tree_util.tree_flatten_with_path(states)[0]
    full = [[_key(step) for step in path] or ["state"] for path, _ in paths]
    last = [names[-1] for names in full]
    keys = [name if last.count(name) == 1 else ".".join(names) for names, name in
            zip(full, last, strict=True)]  # fmt: skip
    return {key: leaf for key, (_, leaf) in zip(keys, paths, strict=True)}


def _key(step: Any) -> str:
    return str(getattr(step, "name", getattr(step, "key", getattr(step, "idx", step))))


def as_map(
    key: str, label: str, group: str, values: np.ndarray, mask: np.ndarray, *, of: str = "unit"
) -> dict[str, Any]:
    """A quantity ``[T, units]`` as a heat map; the padding has no say in its colours."""
    valid = np.asarray(values, np.float64)[mask]
    valid = valid[np.isfinite(valid)]
    low, high = (float(valid.min()), float(valid.max())) if valid.size else (0.0, 1.0)
    if group == "gates" and low >= 0 and high <= 1:
        scale = [0.0, 1.0]
    elif low < 0:
        scale = [-max(-low, high), max(-low, high)]
    else:
        scale = [0.0, high or 1.0]
    kept = np.where(mask[:, None], np.asarray(values, np.float64), low)
    return {
        "key": key,
        "label": label,
        "group": group,
        "units": values.shape[1],
        "rows": of,
        "scale": scale,
        "linked": False,
        **pack(kept.T),
    }


def _previous(
    after: np.ndarray, before: np.ndarray, mask: np.ndarray, reverse: bool
) -> dict[str, Any]:
    """The states that steps read, where they are not those that the neighbouring step left."""
    shifted = np.roll(after, -1 if reverse else 1, axis=0)
    differs = ~np.all((shifted == before) | ((shifted != shifted) & (before != before)), axis=1)
    differs |= ~np.roll(mask, -1 if reverse else 1)  # the page has no values of the padding
    differs[-1 if reverse else 0] = True
    steps = np.flatnonzero(differs & mask)
    return {"steps": steps.tolist(), **pack(np.asarray(before[steps], np.float64))}


def pack(values: np.ndarray) -> dict[str, Any]:
    """Numbers as codes of 16 bits: ``low + code (high - low) / 65532``, and three more for NaN and
    the infinities."""
    finite = np.isfinite(values)
    some = values[finite]
    low, high = (float(some.min()), float(some.max())) if some.size else (0.0, 0.0)
    quantum = (high / STEPS_OF_RANGE) - (low / STEPS_OF_RANGE)
    scaled = np.where(finite, values, low) / (quantum or 1.0) - low / (quantum or 1.0)
    codes = np.clip(np.rint(scaled), 0, STEPS_OF_RANGE)
    codes = np.where(finite, codes, STEPS_OF_RANGE + 1.0)
    codes = np.where(np.isneginf(values), STEPS_OF_RANGE + 2.0, codes)
    codes = np.where(np.isposinf(values), STEPS_OF_RANGE + 3.0, codes)
    text = base64.b64encode(codes.astype("<u2").tobytes()).decode("ascii")
    return {"low": low, "high": high, "data": text}
