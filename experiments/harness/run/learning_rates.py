"""The learning rates of contenders: chosen by an earlier sweep, or tried.

A rate that a sweep chose for a contender on a task is also used nearby: for the same task at
another length, and for the same cell with other options. If there is no such rate, three are tried
and the best on validation data is reported. The report says where each rate comes from.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

TRIED_RATES = (1e-3, 3e-3, 1e-2)


class ChosenRate(NamedTuple):
    """A learning rate, and where it comes from, such as "chosen for lstm"; the source is "" if the
    rate was chosen for exactly this contender and task."""

    rate: float
    source: str = ""


class Rates(NamedTuple):
    """The rates of a contender, one of which is chosen on validation data; source: as in
    ``ChosenRate``."""

    values: tuple[float, ...]
    source: str = ""


def nearest_rates(
    by_length: Mapping[int, Mapping[str, float]], length: int
) -> dict[str, ChosenRate]:
    """For each contender, the rate chosen at the length nearest to ``length``; of two equally near
    ones, the shorter."""
    nearest: dict[str, ChosenRate] = {}
    for at in sorted(by_length, key=lambda at: (abs(at - length), at)):
        source = "" if at == length else f"chosen at length {at}, the nearest to {length}"
        for contender, rate in by_length[at].items():
            nearest.setdefault(contender, ChosenRate(rate, source))
    return nearest


def rates_from_defaults(
    rates: Mapping[str, float], config: Any, *options: str
) -> dict[str, ChosenRate]:
    """``rates`` that were chosen at the defaults of ``config``; the source names the default of
    each of ``options`` that is different now."""
    defaults = {name: getattr(type(config), name) for name in options}
    others = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in defaults.items()
        if getattr(config, name) != value
    ]
    source = f"chosen at {' and '.join(others)}" if others else ""
    return {contender: ChosenRate(rate, source) for contender, rate in rates.items()}


def rates_for(contender: str, chosen: Mapping[str, float | ChosenRate], config: Any) -> Rates:
    """The rates of ``contender``.

    In this order: those of the command line, the rate chosen for the contender, the rate chosen for
    the same cell without options, and ``TRIED_RATES``, which are also tried for an optimizer other
    than the experiment's own.
    """
    if config.learning_rate:
        return Rates(tuple(config.learning_rate))
    base = base_name(contender)
    found = chosen.get(contender, chosen.get(base))
    optimizer = type(config).optimizer
    if found is None or base_name(config.optimizer) != base_name(optimizer):
        reason = "" if found is None else f" with {config.optimizer}"
        values = join_names(f"{rate:g}" for rate in TRIED_RATES)
        return Rates(
            TRIED_RATES,
            f"of {values}, the best on validation data, since no sweep has chosen one{reason}",
        )
    rate, source = found if isinstance(found, ChosenRate) else ChosenRate(found)
    if contender not in chosen:
        source = f"chosen for {base}{source.removeprefix('chosen')}"
    return Rates((rate,), source)


def base_name(text: str) -> str:
    """The name without options: "lstm" for "lstm(peephole=True)"."""
    return text.partition("(")[0].strip()


def describe_sources(task: str, sources: Mapping[str, str]) -> str:
    """A sentence on where rates come from that were not chosen for their contender on this task; ""
    if all were.

    Args:
        task: The task's name.
        sources: By contender, as in ``ChosenRate``.
    """
    by_source: dict[str, list[str]] = {}
    for contender, source in sources.items():
        if source:
            by_source.setdefault(source, []).append(contender)
    parts = [f"{join_names(names)}: {source}" for source, names in by_source.items()]
    return f"Learning rates on {task}: {'; '.join(parts)}." if parts else ""


def join_names(names: Iterable[str]) -> str:
    """The names as text: "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
