"""What --overwrite removes: what runs write, and nothing that somebody else put into the folder."""

import contextlib
import json
import re
from pathlib import Path

from lstm_jax._internal import storage

# By their paths in the folder; figures besides these are found in what the run says of them.
WRITTEN = re.compile(
    r"(environment|made_from|results|sweep)\.json|report\.md"
    r"|(curves|lags|overview|growth|stream|ratios_\w+)(\.tmp)?\.png"
    r"|measured/\w[^/]*\.json"
    r"|[^/]+/[^/]+/(metrics\.jsonl|result\.json|steps\.json|model/model\.json)"
    r"|[^/]+/[^/]+/tensorboard/events\.out\.tfevents\.[^/]+"
    r"|[^/]+/[^/]+/(checkpoints|model/weights|not_finite/\d+)/\d+/.+"
)
FIGURES = re.compile(r'"([^"/]+\.png)"')


def remove_run(path: Path) -> None:
    """Removes the files of a run, and the folders that are then empty; links, files of other names
    and config.json stay, of which the new run's takes the place. A killed removal can be repeated.
    """
    figures = figures_of(path)
    folders = []
    for entry in sorted(path.rglob("*"), reverse=True):  # what is in a folder before it
        name = entry.relative_to(path).as_posix()
        if entry.is_symlink() or any(parent.is_symlink() for parent in parents(entry, path)):
            continue
        if entry.is_dir():
            folders.append(entry)
        elif name in figures or WRITTEN.fullmatch(whole_name(name)):
            entry.unlink()
    for folder in folders:
        with contextlib.suppress(OSError):  # it holds what somebody else put there
            folder.rmdir()


def figures_of(path: Path) -> set[str]:
    """The figures that results.json and the contenders' results name, by their paths."""
    found = set()
    for file in [path / "results.json", *path.glob("*/*/result.json")]:
        if file.is_file():
            folder = file.parent.relative_to(path)
            names = FIGURES.findall(file.read_text(encoding="utf-8", errors="replace"))
            found |= {(folder / json.loads(f'"{name}"')).as_posix() for name in names}
    return found


def whole_name(name: str) -> str:
    """The name of the file that a killed process has begun; any other as it is."""
    begun = re.sub(r"\.[0-9a-f]{8}" + re.escape(storage.PART) + r"(?=/|$)", "", name)
    return begun.removesuffix(".tmp")


def parents(entry: Path, path: Path) -> list[Path]:
    return [parent for parent in entry.parents if path in parent.parents]
