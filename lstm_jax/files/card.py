"""Model cards: what a reader should know of a model, as Markdown with the block that hubs read.

The sections follow Mitchell et al. 2019, "Model cards for model reporting"; the block at the top is
that of the Hugging Face Hub, whose YAML is written as JSON, which is a part of it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import storage
from lstm_jax._internal.errors import WrongType, WrongValue

if TYPE_CHECKING:
    from lstm_jax.files.saving import Information

NOT_SAID = "Not said."


class Card(NamedTuple):
    """What ``lj.save`` writes into a model card, beside what it knows itself.

        card = lj.files.Card(task="the adding problem", metrics={"test MSE": 0.0003})

    Attributes:
        task: What the model does, in a few words.
        data: What it was trained and evaluated on.
        metrics: Numbers by name, such as ``{"test accuracy": 0.98}``.
        command: The command that trained it.
        limits: What it is not for, and where it fails.
        license: The licence of the weights, as hubs spell it, such as "apache-2.0".
        tags: Further tags.
    """

    task: str
    data: str = ""
    metrics: Mapping[str, float] = {}
    command: str = ""
    limits: str = ""
    license: str = ""
    tags: Sequence[str] = ()


def require_card(argument: str, value: Any) -> None:
    """Checks that ``value`` is a card whose fields can be written."""
    if not isinstance(value, Card):
        raise WrongType(f"{argument}: expected an lj.files.Card, got {type(value).__name__}")
    for field in ("task", "data", "command", "limits", "license"):
        text = getattr(value, field)
        if not isinstance(text, str):
            raise WrongType(f"{argument}.{field}: expected a text, got {type(text).__name__}")
    tags = value.tags
    if not isinstance(tags, tuple | list) or not all(isinstance(tag, str) for tag in tags):
        raise WrongType(f"{argument}.tags: expected texts, got {tags!r}")
    if not isinstance(value.metrics, Mapping):
        raise WrongType(f"{argument}.metrics: expected a dict, got {value.metrics!r}")
    for name, number in value.metrics.items():
        if not isinstance(name, str) or "\n" in name:
            raise WrongType(f"{argument}.metrics: expected names of one line, got {name!r}")
        dtype = np.asarray(number).dtype
        if np.ndim(number) or not any(jnp.issubdtype(dtype, k) for k in (np.integer, np.floating)):
            raise WrongType(f"{argument}.metrics[{name!r}]: expected a number, got {number!r}")


def card_path(path: Path) -> Path:
    """Where the card of a model's file is."""
    if path.suffix == ".md":
        raise WrongValue(f"path: expected another suffix than that of the card, got {path.name}")
    return path.with_name(_title(path.name) + ".md")


def _title(file: str) -> str:
    return file.removesuffix(".safetensors")


def write(path: Path, card: Card, information: "Information") -> None:
    """Writes the card beside the model's file ``path``."""
    with storage.replacing(card_path(path), "w") as file:
        file.write(render(path.name, card, information))


def render(file: str, card: Card, information: "Information") -> str:
    """The card as Markdown."""
    metrics = {name: float(value) for name, value in card.metrics.items()}
    size = "" if information.input_size is None else f" for inputs of size {information.input_size}"
    return f"""---
{_block(file, card, metrics)}
---

# {_title(file)}

{card.task or NOT_SAID}

`{information.name}`{size}, {information.parameters:,} weights.

## How to use it

```python
import lstm_jax as lj

model, params = lj.load({json.dumps(file)})
```

## Data

{card.data or NOT_SAID}

## Metrics

{_table(metrics) if metrics else NOT_SAID}

## Training

{_fenced(card.command) if card.command else NOT_SAID}

## Versions

lstm_jax {information.lstm_jax}, JAX {information.jax}.

## Limits

{card.limits or NOT_SAID}
"""


def _block(file: str, card: Card, metrics: dict[str, float]) -> str:
    """The lines between the rules at the top."""
    block: dict[str, Any] = {"library_name": "lstm_jax", "tags": ["jax", "lstm_jax", *card.tags]}
    if card.license:
        block["license"] = card.license
    if metrics:
        result = {
            "task": {"type": "other", "name": card.task},
            "dataset": {"type": "other", "name": card.data or NOT_SAID},
            "metrics": [
                # JSON has no NaN, which YAML would write in another way than Python does.
                {"type": name, "name": name, "value": v if np.isfinite(v) else str(v)}
                for name, v in metrics.items()
            ],
        }
        block["model-index"] = [{"name": _title(file), "results": [result]}]
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in block.items())


def _table(metrics: dict[str, float]) -> str:
    rows = [f"| {name.replace('|', '/')} | {value:.6g} |" for name, value in metrics.items()]
    return "\n".join(["| | |", "|---|---:|", *rows])


def _fenced(command: str) -> str:
    fence = "```"
    while fence in command:
        fence += "`"
    return f"{fence}console\n{command}\n{fence}"
