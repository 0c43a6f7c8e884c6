"""Checks of what is plotted."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_jax._internal.errors import WrongType, WrongValue


def numbers(argument: str, value: Any, ranks: tuple[int, ...]) -> np.ndarray:
    """``value`` as an array of float64 with one of the numbers of axes."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise WrongType(f"{argument}: expected numbers, got {type(value).__name__}") from None
    if array.ndim not in ranks:
        axes = " or ".join(str(rank) for rank in ranks)
        raise WrongValue(f"{argument}: expected an array with {axes} axes, got {array.shape}")
    return array


def series_by_name(argument: str, value: Any) -> dict[str, np.ndarray]:
    """One series, with the name "", or several by name."""
    if isinstance(value, Mapping):
        return {
            str(name): numbers(f"{argument}[{name!r}]", one, (1,)) for name, one in value.items()
        }
    return {"": numbers(argument, value, (1,))}


def token_texts(tokens: Sequence[Any], steps: int) -> list[str]:
    """The tokens as text, with a sign for a line break; blanks can be seen."""
    texts = [str(token) for token in tokens]
    if len(texts) != steps:
        raise WrongValue(f"tokens: expected {steps}, one per step, got {len(texts)}")
    signs = {"\n": "↵", "\t": "⇥", " ": "␣", "": "∅"}
    return [signs.get(text, text.replace("\n", "↵").replace("\t", "⇥")) for text in texts]
