"""Learning rates that were chosen before, and what is done where none was.

A rate that a sweep chose for a contender on a task serves its neighbours too: the same task at
another length, the same cell with other options. Where there is no such rate, three are tried, of
which validation data choose. The report says of each contender which it was.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

TRIED = (1e-3, 3e-3, 1e-2)


class Chosen(NamedTuple):
    """A learning rate, and where it comes from, such as "chosen for lstm"; "" where it was chosen
    for this very contender and task."""

    rate: float
    source: str = ""


class Rates(NamedTuple):
    """The rates of a contender, of which validation data choose one; source: as of ``Chosen``."""

    values: tuple[float, ...]
    source: str = ""


def nearest(by_length: Mapping[int, Mapping[str, float]], length: int) -> dict[str, Chosen]:
    """For each contender, the rate chosen at the length that is nearest to ``length``; of two
    equally near, the shorter."""
    found: dict[str, Chosen] = {}
    for at in sorted(by_length, key=lambda at: (abs(at - length), at)):
        source = "" if at == length else f"chosen at length {at}, the nearest to {length}"
        for contender, rate in by_length[at].items():
            found.setdefault(contender, Chosen(rate, source))
    return found


def elsewhere(rates: Mapping[str, float], config: Any, *options: str) -> dict[str, Chosen]:
    """``rates`` as they were chosen at the defaults of ``config``: the source names those of
    ``options`` that are different now."""
    defaults = {name: getattr(type(config), name) for name in options}
    others = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in defaults.items()
        if getattr(config, name) != value
    ]
    source = f"chosen at {' and '.join(others)}" if others else ""
    return {contender: Chosen(rate, source) for contender, rate in rates.items()}


def rates_for(contender: str, chosen: Mapping[str, float | Chosen], config: Any) -> Rates:
    """The rates of ``contender``: those of the command line; the chosen one; that of the same cell
    without its options; or ``TRIED``, for another optimizer than the experiment's too."""
    if config.learning_rate:
        return Rates(tuple(config.learning_rate))
    base = base_of(contender)
    found = chosen.get(contender, chosen.get(base))
    optimizer = type(config).optimizer
    if found is None or base_of(config.optimizer) != base_of(optimizer):
        reason = "" if found is None else f" with {config.optimizer}"
        values = listing(f"{rate:g}" for rate in TRIED)
        return Rates(
            TRIED,
            f"of {values} the best on validation data, since none was chosen{reason}",
        )
    rate, source = found if isinstance(found, Chosen) else Chosen(found)
    if contender not in chosen:
        source = f"chosen for {base}{source.removeprefix('chosen')}"
    return Rates((rate,), source)


def base_of(text: str) -> str:
    """The name without options: "lstm" of "lstm(peephole=True)"."""
    return text.partition("(")[0].strip()


def describe(task: str, sources: Mapping[str, str]) -> str:
    """A sentence on the contenders' rates, by contender, that were not chosen for themselves on
    this task; "" where all were."""
    by_source: dict[str, list[str]] = {}
    for contender, source in sources.items():
        if source:
            by_source.setdefault(source, []).append(contender)
    parts = [f"{listing(names)}: {source}" for source, names in by_source.items()]
    return f"Learning rates on {task}: {'; '.join(parts)}." if parts else ""


def listing(names: Iterable[str]) -> str:
    """ "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
