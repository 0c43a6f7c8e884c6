"""The run folder: what a run leaves behind, and what it needs to go on after being killed.

    config.json        all that was asked for; another configuration is refused
    made_from.json     the code, loaded files and data that it was made from; others are refused
    environment.json   versions, git revision and machine of every start
    SETTING/CONTENDER/ metrics.jsonl (one line a measurement), checkpoints, result.json when done
                       with --tensorboard event files too
    results.json, report.md, curves.png and further figures

Files are written whole: to a name aside, then renamed.
"""

import contextlib
import datetime
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from experiments.harness.run import provenance, removal, versions
from lstm_jax._internal import storage
from lstm_jax._internal.errors import WrongValue

try:
    import fcntl
except ImportError:  # not on Windows, where nothing guards a folder against a second run
    fcntl = None  # type: ignore[assignment]

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "lstm_jax")
MADE_FROM = "made_from.json"
# What a start that was killed at once may leave.
BEFORE_THE_CONFIG = {"lock", MADE_FROM, "config.json.tmp"}


class Refused(ValueError):
    """The command and the run folder do not fit together; the message says what to do."""


def write(path: Path, text: str) -> None:
    """The whole text or none of it, whenever the process is killed."""
    with storage.replacing(path, "w") as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    write(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@contextlib.contextmanager
def opened(
    path: Path,
    config: dict[str, Any],
    made_from: dict[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> Iterator[Path]:
    """The folder for this configuration, new or to go on in, for this process alone.

    made_from: as ``provenance.made_from`` gives it; None for the code without any task. Raises
    Refused where the folder was made with another configuration or from anything else, is no run
    folder, is in use, or cannot be written to.
    """
    made_from = provenance.made_from() if made_from is None else made_from
    start = environment(made_from)  # nothing is written before all of it is known
    if path.exists() and not path.is_dir():
        raise Refused(f"{path} is a file; give another --out")
    if path.is_dir() and not is_free_or_run({entry.name for entry in path.iterdir()}):
        raise Refused(f"{path} holds files but no run; give another --out")
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / "lock").touch()
    except OSError as error:
        raise Refused(
            f"{path} cannot be written to ({error.strerror}); give another --out"
        ) from None
    with (path / "lock").open("w") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # falls with the process
            except OSError:
                raise Refused(f"{path} is in use by another process") from None
        if overwrite:
            removal.remove_run(path)
        if not overwrite and (path / "config.json").exists():
            require_same(path, saved_config(path), config)
            require_made_from(path, made_from)
        else:
            write_json(path / MADE_FROM, made_from)
            write_json(path / "config.json", config)
        record_environment(path / "environment.json", start)
        yield path


def is_free_or_run(names: set[str]) -> bool:
    """Whether a folder with these entries is a run's, or has nothing that could be lost. Many a
    program writes a config.json: what makes a run of it stands beside it."""
    if "config.json" in names:
        return bool(names & {"lock", "environment.json"})
    return all(
        name in BEFORE_THE_CONFIG
        or any(storage.is_part(Path(name), whole) for whole in ("config.json", MADE_FROM))
        for name in names
    )


def require_free_or_own(path: Path, file: str, head: str) -> None:
    """Raises Refused where the folder holds files, and not a ``file`` with the text ``head``, by
    which a program that writes without a configuration knows its own."""
    if path.is_dir() and any(path.iterdir()):
        own = path / file
        if not own.is_file() or head not in own.read_text(encoding="utf-8", errors="replace"):
            raise Refused(f"{path} holds other files; give another folder")


def saved_config(path: Path) -> dict[str, Any]:
    """The configuration that the folder was made with. Raises Refused where it cannot be read."""
    try:
        config = read_json(path / "config.json")
        if not isinstance(config, dict):
            raise WrongValue(f"it holds {config!r}")
    except ValueError as error:
        raise Refused(f"{path / 'config.json'} cannot be read ({error}); give another --out, or "
                      "--overwrite to lose the run in it") from None  # fmt: skip
    return config


def require_same(path: Path, saved: dict[str, Any], config: dict[str, Any]) -> None:
    before, now = flat(saved), flat(json.loads(json.dumps(config)))
    for field in [*now, *before]:
        if before.get(field) != now.get(field):
            raise Refused(
                f"{path} was made with {field} = {before.get(field)}, and this command has "
                f"{now.get(field)}; give another --out, or --overwrite to lose the run in it"
            )


def require_made_from(path: Path, now: dict[str, Any]) -> None:
    """Raises Refused, saying what changed, where the run was made from anything else."""
    before = None
    if (path / MADE_FROM).exists():
        with contextlib.suppress(ValueError):
            before = read_json(path / MADE_FROM)
    changed = provenance.difference(before if isinstance(before, dict) else None, now)
    if changed is not None:
        raise Refused(
            f"{path} was made from {changed}; give another --out, or --overwrite to lose the run "
            "in it"
        )


def flat(tree: Any, name: str = "") -> dict[str, Any]:
    """Nested dicts as one, under names such as "adding(100).lstm.steps"."""
    if not isinstance(tree, dict):
        return {name: tree}
    return {
        inner: leaf
        for key, value in tree.items()
        for inner, leaf in flat(value, f"{name}.{key}" if name else key).items()
    }


def environment(made_from: dict[str, Any]) -> dict[str, Any]:
    """What is noted of a start: bits are promised within the same versions on the same machine
    only."""
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **{name: versions.version_of(name) for name in PACKAGES},
        "git": made_from.get("revision"),
        "code": provenance.sum_of_code(made_from),
        "loaded": [f"{name} {digest[:12]}" for name, digest in made_from["loaded"].items()],
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "devices": [str(device) for device in jax.devices()],
    }


def record_environment(path: Path, start: dict[str, Any]) -> None:
    starts = read_json(path) if path.exists() else []
    write_json(path, [*starts, start])


class Metrics:
    """JSON lines, one a measurement, never twice for one step."""

    def __init__(self, path: Path, upto: int):
        """Keeps the lines up to step ``upto``, where the checkpoint is; those after it were
        written by a process that was killed, and will be written again."""
        self.path = path
        self.lines = [line for line in read_lines(path) if line["step"] <= upto]
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, "".join(json.dumps(line) + "\n" for line in self.lines))

    def append(self, line: dict[str, Any]) -> None:
        """On disk before it returns, so that no checkpoint is ever ahead of its metrics."""
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; one that was cut off in writing ends it."""
    lines: list[dict[str, Any]] = []
    if not path.exists():
        return lines
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines
