"""Files that bring cells and tasks of their own: what ``--load`` runs.

Each runs as a module. Its folder comes first on ``sys.path``, so that it can import what lies
beside it, later in a function too.
"""

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import lstm_jax as lj
from lstm_jax import tasks
from lstm_jax._internal.errors import WrongValue

_folders: list[Path] = []  # of the files of this command, on sys.path
_files: dict[str, Path] = {}  # the files of this command, by the names of their modules
_brought: set[tuple[str, str]] = set()  # kind and name of all that files have registered


def load_files(files: Sequence[Path]) -> None:
    """Runs the files of one command, which put cells or tasks into their registries; what the
    files of an earlier command in this process imported is imported anew.

    Raises OSError for a file that is not there, ValueError for one that registers a name that is in
    use, and RuntimeError for one that ends the program. What a file raises passes, with a note.
    """
    for name in _modules():
        del sys.modules[name]
    for folder in _folders:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
    _folders.clear()
    _files.clear()
    owners: dict[tuple[str, str], Path] = {}
    for file in files:
        if not file.is_file():
            names = "" if file.suffix else "; names of tasks stand before the options"
            raise FileNotFoundError(f"load: expected a Python file{names}, got {file}")
        before = _registered()
        _run(file)
        for entry, factory in _registered().items():
            if factory is before.get(entry):
                continue
            if entry in owners or (entry in before and entry not in _brought):
                kind, name = entry
                by = f"as {owners[entry]} has it" if entry in owners else "as lstm_jax has it"
                raise WrongValue(
                    f"load: {file}: expected a {kind} of a new name, got {name!r}, {by}"
                )
            owners[entry] = file
            _brought.add(entry)


def loaded_files() -> list[Path]:
    """The files of this command, and all that they imported from beside them: what else than
    lstm_jax the numbers depend on."""
    imported = (_file_of(module) for module in _modules().values())
    return sorted({file for file in (*_files.values(), *imported) if file is not None})


def _registered() -> dict[tuple[str, str], Any]:
    registries: dict[str, Mapping[str, Any]] = {"cell": lj.cells.registry, "task": tasks.registry}
    return {
        (kind, name): of for kind, entries in registries.items() for name, of in entries.items()
    }


def _modules() -> dict[str, ModuleType]:
    """The modules of the files, and those that lie beside them."""
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name in _files or _is_neighbour(name, module)
    }


def _is_neighbour(name: str, module: Any) -> bool:
    """Whether a module was found in the folder of a file, and not by chance on another path: what
    lstm_jax itself runs on stays as it is, wherever a file lies."""
    if name.partition(".")[0] in ("lstm_jax", "experiments", "__main__", "tests"):
        return False
    file = _file_of(module)
    return file is not None and any(_top(name, folder) in (file, *file.parents)
                                    for folder in _folders)  # fmt: skip


def _top(name: str, folder: Path) -> Path:
    """Where in ``folder`` the module ``name``, or the package that it is in, would be."""
    top = name.partition(".")[0]
    return folder / top if (folder / top).is_dir() else folder / f"{top}.py"


def _file_of(module: Any) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def _run(file: Path) -> None:
    path = file.resolve()
    importlib.invalidate_caches()  # the file may be new
    name = _module_name(path)
    if _file_of(sys.modules.get(name)) == path:
        _files[name] = path
        return  # a file before this one has imported it
    _put_aside(path.parent)
    _folders.append(path.parent)
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    module = ModuleType(name) if spec is None else importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[name], _files[name] = module, path
    try:
        with _no_bytecode():
            # Not by the loader, which may take yesterday's bytecode for today's file.
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except SystemExit as error:
        raise RuntimeError(f"load: {file} ends the program, by sys.exit({error.code!r})") from error
    except Exception as error:
        error.add_note(f"(raised by {file}, which --load runs)")
        raise


def _module_name(path: Path) -> str:
    """The file's own name, by which others beside it import it, and another where a module
    elsewhere has that."""
    name = path.stem
    if name.isidentifier():
        if name in sys.modules:
            if _file_of(sys.modules[name]) == path:
                return name
        else:
            found = importlib.util.find_spec(name)
            if found is None or found.origin is None or Path(found.origin).resolve() == path:
                return name
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = re.sub(r"\W", "_", name)
    return f"{name}_{digest}"


def _put_aside(folder: Path) -> None:
    """Modules from beside other files, where ``folder`` has others of the same names."""
    for name, module in _modules().items():
        file, top = _file_of(module), _top(name, folder)
        here = file is not None and top in (file, *file.parents)
        if name not in _files and top.exists() and not here:
            del sys.modules[name]


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Nothing is written beside the files."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
