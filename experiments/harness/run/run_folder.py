"""The run folder: what a run produces, and what it needs to continue after being killed.

    config.json        the configuration; a start with a different one is refused
    made_from.json     the code, loaded files and data; a start with different ones is refused
    environment.json   versions, git revision and machine of every start
    SETTING/CONTENDER/ metrics.jsonl (one line per measurement), checkpoints, result.json when done,
                       and event files with --tensorboard; for studies, see ``trials``
    results.json, report.md, curves.png and further figures

Files are written to a temporary name and then renamed, so they are always complete.
"""

import contextlib
import datetime
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import jax

from experiments.harness.run import provenance, removal, versions
from lstm_jax._internal import storage
from lstm_jax._internal.errors import WrongValue

try:
    import fcntl
except ImportError:  # Windows has none; there, a folder is not guarded against a second run
    fcntl = None  # type: ignore[assignment]

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scikit-learn",
            "lstm_jax")  # fmt: skip
MADE_FROM = "made_from.json"
# What a start leaves behind if it is killed at once.
FILES_BEFORE_CONFIG = {"lock", "turn.lock", MADE_FROM, "config.json.tmp"}


class RunFolderError(ValueError):
    """The command cannot use the run folder; the message says what to do."""


def write(path: Path, text: str) -> None:
    """Writes the whole text or nothing, even if the process is killed."""
    with storage.replacing(path, "w") as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    write(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@contextlib.contextmanager
def open_folder(
    path: Path,
    config: dict[str, Any],
    made_from: dict[str, Any] | None = None,
    *,
    overwrite: bool = False,
    shared: bool = False,
) -> Iterator[Path]:
    """Opens the run folder of a configuration, new or to be continued, for this process alone.

    Args:
        path: The folder.
        config: The configuration.
        made_from: The sources, from ``provenance.collect``; None for the code without any task.
        overwrite: Whether to delete the run that is in the folder.
        shared: Whether other processes may open the folder too, if they say so as well.

    Raises:
        RunFolderError: if the folder was made with a different configuration or from different
            sources, is not a run folder, is in use, or cannot be written to; if it is to be shared,
            also on a system without locks of files.
    """
    made_from = provenance.collect() if made_from is None else made_from
    if shared and fcntl is None:
        raise RunFolderError("--share needs locks of files, which this system lacks; run it alone")
    start = describe_environment(made_from)  # fully known before anything is written
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"{path} is a file; choose another --out")
    if path.is_dir() and not is_free_or_run({entry.name for entry in path.iterdir()}):
        raise RunFolderError(f"{path} holds files but no run; choose another --out")
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / "lock").touch()
    except OSError as error:
        raise RunFolderError(
            f"{path} cannot be written to ({error.strerror}); choose another --out"
        ) from None
    with (path / "lock").open("w") as lock:
        if not try_lock(lock, shared=shared):
            raise RunFolderError(f"{path} is in use by another process")
        if overwrite:
            removal.remove_run(path)
        with take_turns(path) if shared else contextlib.nullcontext():
            if not overwrite and (path / "config.json").exists():
                require_same_config(path, read_config(path), config)
                require_same_sources(path, made_from)
            else:
                write_json(path / MADE_FROM, made_from)
                write_json(path / "config.json", config)
            record_environment(path / "environment.json", start)
        yield path


def try_lock(file: TextIO, *, shared: bool) -> bool:
    """Locks an open file, alone or beside others; the lock ends with the file or the process.

    Returns:
        False if another process has it.
    """
    if fcntl is not None:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


@contextlib.contextmanager
def take_turns(path: Path) -> Iterator[None]:
    """Waits until no other process is in such a block for this run folder."""
    with (path / "turn.lock").open("w") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_free_or_run(names: set[str]) -> bool:
    """Whether a folder with these entries belongs to a run, or has nothing that could be lost.

    Many programs write a config.json; only the files beside it show that it is a run's.
    """
    if "config.json" in names:
        return bool(names & {"lock", "environment.json"})
    return all(
        name in FILES_BEFORE_CONFIG
        or any(storage.is_part(Path(name), complete) for complete in ("config.json", MADE_FROM))
        for name in names
    )


def require_free_or_own(path: Path, file: str, head: str) -> None:
    """Raises RunFolderError if the folder holds files, but no ``file`` with the text ``head``, by
    which a program that has no configuration recognizes its own folder."""
    if path.is_dir() and any(path.iterdir()):
        own = path / file
        if not own.is_file() or head not in own.read_text(encoding="utf-8", errors="replace"):
            raise RunFolderError(f"{path} holds other files; choose another folder")


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of the folder. Raises RunFolderError if it is unreadable."""
    try:
        config = read_json(path / "config.json")
        if not isinstance(config, dict):
            raise WrongValue(f"it holds {config!r}")
    except ValueError as error:
        raise RunFolderError(
            f"{path / 'config.json'} cannot be read ({error}); choose another --out, or delete the "
            "run in it with --overwrite"
        ) from None
    return config


def require_same_config(path: Path, saved: dict[str, Any], config: dict[str, Any]) -> None:
    before, now = flatten(saved), flatten(json.loads(json.dumps(config)))
    for field in [*now, *before]:
        if before.get(field) != now.get(field):
            raise RunFolderError(
                f"{path} was made with {field} = {before.get(field)}, and this command has "
                f"{now.get(field)}; choose another --out, or delete the run in it with --overwrite"
            )


def require_same_sources(path: Path, now: dict[str, Any]) -> None:
    """Raises RunFolderError, saying what changed, if the run was made from different sources."""
    before = None
    if (path / MADE_FROM).exists():
        with contextlib.suppress(ValueError):
            before = read_json(path / MADE_FROM)
    changed = provenance.describe_difference(before if isinstance(before, dict) else None, now)
    if changed is not None:
        raise RunFolderError(
            f"{path} was made from {changed}; choose another --out, or --overwrite to lose the run "
            "in it"
        )


def flatten(tree: Any, name: str = "") -> dict[str, Any]:
    """Nested dicts as one, with keys such as "adding(100).lstm.steps"."""
    if not isinstance(tree, dict):
        return {name: tree}
    return {
        inner: leaf
        for key, value in tree.items()
        for inner, leaf in flatten(value, f"{name}.{key}" if name else key).items()
    }


def describe_environment(made_from: dict[str, Any]) -> dict[str, Any]:
    """What environment.json notes for each start: results are reproducible to the bit only with the
    same versions on the same machine."""
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **{name: versions.package_version(name) for name in PACKAGES},
        "git": made_from.get("revision"),
        "code": provenance.code_digest(made_from),
        "loaded": [f"{name} {digest[:12]}" for name, digest in made_from["loaded"].items()],
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "devices": [str(device) for device in jax.devices()],
    }


def record_environment(path: Path, start: dict[str, Any]) -> None:
    starts = read_json(path) if path.exists() else []
    write_json(path, [*starts, start])


class Metrics:
    """The lines of metrics.jsonl: one per measurement, and never two for one step."""

    def __init__(self, path: Path, upto: int):
        """Keeps the lines up to the checkpoint at step ``upto``; those after it are from a process
        that was killed, and will be written again."""
        self.path = path
        self.lines = [line for line in read_lines(path) if line["step"] <= upto]
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, "".join(json.dumps(line) + "\n" for line in self.lines))

    def append(self, line: dict[str, Any]) -> None:
        """Writes to disk before it returns, so that no checkpoint is ever ahead of its metrics."""
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file, up to the first one that is incomplete."""
    lines: list[dict[str, Any]] = []
    if not path.exists():
        return lines
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines
