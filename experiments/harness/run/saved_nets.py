"""Trained nets in the folder of a trial, with a description from which an experiment rebuilds them.

net/net.json       the description, and which weights belong to it
net/weights/N/     the params
"""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from experiments.harness.run import run_folder
from lstm_jax import train
from lstm_jax._internal.errors import WrongType
from lstm_jax.train.checkpoint import CheckpointError

FOLDER, FILE, WEIGHTS = "net", "net.json", "weights"


def save(trial: Path, params: Any, description: dict[str, Any]) -> None:
    """Writes the net, in place of one that is there.

    Killed at any moment, it leaves the previous net or the new one.

    Args:
        trial: The folder of the trial.
        params: A pytree of arrays.
        description: What rebuilds the model, as JSON: sizes, the tokens of a vocabulary.
    """
    try:
        json.dumps(description)
    except (TypeError, ValueError) as error:
        raise WrongType(
            f"description: expected values that JSON can hold ({error}), got {description}"
        ) from None
    folder = trial / FOLDER
    newest = train.checkpoint.latest_step(folder / WEIGHTS)
    step = 0 if newest is None else newest + 1
    path = train.checkpoint.write(folder / WEIGHTS, step, jax.device_get(params))
    run_folder.write_json(folder / FILE, {"description": description, WEIGHTS: step})
    train.checkpoint.remove_others(path)


def exists(trial: Path) -> bool:
    """Whether the trial has saved a net."""
    return (trial / FOLDER / FILE).is_file()


def read_description(trial: Path) -> dict[str, Any]:
    """The description. Raises CheckpointError if there is none."""
    return _read(trial)["description"]


def load_params(trial: Path, like: Any) -> Any:
    """The params of the net.

    Args:
        trial: The folder of the trial.
        like: A tree of the same structure, shapes and dtypes, such as
            ``jax.eval_shape(model.init, jax.random.key(0))``.

    Raises:
        CheckpointError: if there is no net, or it is another one.
    """
    saved = train.checkpoint.restore(trial / FOLDER / WEIGHTS, like, _read(trial)[WEIGHTS])
    return jax.tree.map(jnp.asarray, saved)


def _read(trial: Path) -> dict[str, Any]:
    file = trial / FOLDER / FILE
    try:
        line = run_folder.read_json(file)
        return {"description": line["description"], WEIGHTS: line[WEIGHTS]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file}: no description of a net: {error!r}") from None
