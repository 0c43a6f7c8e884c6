"""Writes text with a trained language model, token by token.

    python -m experiments generate runs/shakespeare --prompt "ROMEO:" --temperature 0.8
    python -m experiments generate runs/ptb --top-p 0.9 --length 100

The text goes to stdout, as it is written; everything else goes to stderr. In the end comes the
longest piece that was copied, token for token, from the training text.

Before the prompt the net reads the last lines of the training text (--context): in training its
state was carried along, so it has hardly ever begun at the initial one.

RUN is a run folder, whose best net writes (by the first column of its table, with its first seed),
or the folder of one trial in it, such as runs/ptb/Penn_Treebank/lstm/seed_1.
"""

import argparse
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

from experiments.harness.run import run_folder, saved_nets, user_errors
from experiments.harness.run.jobs import slug
from experiments.harness.run.language_model import (
    LanguageModel,
    Sampling,
    check_sampling,
    draw_tokens,
)
from experiments.harness.run.study import trial_path
from lstm_jax._internal import checking
from lstm_jax._internal.errors import ArgumentError, WrongValue
from lstm_jax.tasks import text
from lstm_jax.train.checkpoint import CheckpointError

HOOK = "load_language_model"
INTERRUPTED = 130


def main(argv: list[str], load: Callable[[str], ModuleType]) -> int:
    """Runs the command and returns its exit code; a user's mistake is a one-line error.

    Args:
        argv: The arguments after ``generate``.
        load: The module of an experiment by name.
    """
    parser = argparse.ArgumentParser(
        prog="python -m experiments generate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="folder of a run or of a trial")
    parser.add_argument("--prompt", default="", help="the text that is continued")
    parser.add_argument("--length", type=int, default=500, help="tokens to write (default: 500)")
    parser.add_argument("--temperature", type=float, default=1.0, help="default: 1")
    parser.add_argument("--top-k", type=int, help="draw only among the k most probable tokens")
    parser.add_argument("--top-p", type=float, help="draw only in the nucleus of this probability")
    parser.add_argument(
        "--context", type=int, default=200, help="tokens that are read before it (default: 200)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    options = parser.parse_args(argv)
    try:
        length = checking.positive_int("length", options.length)
        seed = checking.seed("seed", options.seed)
        context = checking.seed("context", options.context)
        trial = find_trial(options.run)
        language = load_model(trial, load)
        sampling = Sampling(options.temperature, options.top_k, options.top_p)
        check_sampling(sampling, language.vocabulary)
        prompt = encode_prompt(language, options.prompt)
        prompt = np.concatenate([language.context(context), prompt])
    except (*user_errors.USER_ERRORS, CheckpointError) as error:
        return user_errors.print_error(error)
    print(f"{trial}: {language.unit}, from {options.prompt!r}", file=sys.stderr)
    tokens: list[int] = []
    code = 0
    try:
        write(language, prompt, options.prompt, jax.random.key(seed), sampling, length, tokens)
    except KeyboardInterrupt:
        code = INTERRUPTED
    print(flush=True)
    if tokens:
        print(describe_copied(language, np.array(tokens, np.int32)), file=sys.stderr)
    return code


def write(
    language: LanguageModel, prompt: np.ndarray, before: str, key: jax.Array, sampling: Sampling,
    length: int, tokens: list[int],
) -> None:  # fmt: skip
    """Prints the prompt and what follows it, and appends the tokens that follow to ``tokens``."""
    print(before, end="", flush=True)

    def draw() -> Any:
        for token in itertools.islice(draw_tokens(language, prompt, key, sampling), length):
            tokens.append(token)
            yield token

    for piece in language.write(draw(), after=before):
        print(piece, end="", flush=True)


def find_trial(path: Path) -> Path:
    """The folder of the trial whose net is to write.

    Raises:
        ValueError: for a folder that is neither a run's nor a trial's, or has no net yet.
    """
    if saved_nets.exists(path):
        return path
    if not (path / "config.json").is_file():
        raise WrongValue(f"run: expected the folder of a run, got {path}, which has no config.json")
    trials: dict[tuple[str, str], Path] = {}
    for study, entries in run_folder.read_config(path).items():
        for entry, fields in entries.items() if isinstance(entries, dict) else ():
            for seed in fields.get("trials", ()):
                trials.setdefault((study, entry), path / slug(study) / trial_path(entry, seed))
    nets = {key: folder for key, folder in trials.items() if saved_nets.exists(folder)}
    if not nets:
        raise WrongValue(f"run: expected a run with a trained net, got {path}, which has none")
    best = best_net(path, list(nets))
    return nets[best]


def best_net(path: Path, nets: list[tuple[str, str]]) -> tuple[str, str]:
    """The net with the best score in the first column of its study, as results.json has it; the
    first one if the run is not finished."""
    if not (path / "results.json").is_file():
        return nets[0]
    for summary in run_folder.read_json(path / "results.json").get("studies", []):
        column = summary["columns"][0]
        centers = {
            (summary["study"], row["entry"]): row["scores"][column["name"]]["center"]
            for row in summary["entries"]
            if column["name"] in row["scores"] and (summary["study"], row["entry"]) in nets
        }
        finite = {key: center for key, center in centers.items() if center is not None}
        if finite:
            choose = max if column["higher_is_better"] else min
            return choose(finite, key=finite.__getitem__)
    return nets[0]


def load_model(trial: Path, load: Callable[[str], ModuleType]) -> LanguageModel:
    """The language model of a trial, by the module of its experiment."""
    run = trial.resolve().parents[2]
    name = run_folder.read_config(run).get("experiment")
    try:
        module = load(str(name))
    except KeyError:
        raise WrongValue(f"run: expected one of an experiment, got {run} of {name!r}") from None
    if not hasattr(module, HOOK):
        raise WrongValue(f"run: expected one of a language model, got {run} of {name}")
    return getattr(module, HOOK)(trial)


def encode_prompt(language: LanguageModel, prompt: str) -> np.ndarray:
    """The ids of the prompt; what is not in the vocabulary is named."""
    unknown = language.unknown(prompt)
    try:
        ids = language.encode(prompt)
    except ArgumentError:
        names = ", ".join(map(repr, unknown))
        raise WrongValue(
            f"prompt: expected {language.unit} of the vocabulary, got {names}"
        ) from None
    if unknown:
        names = ", ".join(unknown)
        print(f"not in the vocabulary, and read as unknown: {names}", file=sys.stderr)
    return ids


def describe_copied(language: LanguageModel, tokens: np.ndarray) -> str:
    """Says what is the longest piece of ``tokens`` that stands in the training text."""
    copied = text.longest_copied(tokens, language.training)
    ids = tokens[copied.start : copied.start + copied.length]
    return (
        f"{len(tokens)} {language.unit}; the longest piece that stands in the training text has "
        f"{copied.length}: {''.join(language.write(ids.tolist()))!r}"
    )
