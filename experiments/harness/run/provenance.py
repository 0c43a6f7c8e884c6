"""The sources of a run's numbers besides its configuration: code, loaded files and data.

    made_from.json   in the run folder: the version and the revision of lstm_jax, and SHA-256 sums
                     of its code, of the files of --load with what they import from their folders,
                     and of each task's data

A run is continued, or its table shown again, only if these are the same; otherwise its numbers
would be a mixture, or those of different code. The content decides: a commit that does not change
the code is accepted, an edit is refused even before it is committed. Files that only display
results (``DISPLAY_ONLY``, ``FIGURES``) may change, and a finished run is then displayed by the new
ones. The versions of JAX and other packages are noted in environment.json at every start, and never
refused.
"""

import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax
from experiments.harness.run import versions
from lstm_jax._internal.errors import WrongType

if TYPE_CHECKING:  # not at run time, since benchmarks.gpu may run where only JAX is installed
    from experiments.harness.run.jobs import Job
    from experiments.harness.run.study import Study

# Files and folders that no stored number depends on.
DISPLAY_ONLY = (
    "harness/generate.py",
    "harness/report/",
    "harness/run/event_files.py",
    "harness/run/language_model.py",
    "harness/run/progress.py",
    "harness/run/trial_progress.py",
    "harness/run/user_errors.py",
)
FIGURES = "_figures.py"  # the end of the names of files that only draw


def collect(
    jobs: Iterable["Job"] = (),
    *,
    studies: Iterable["Study"] = (),
    program: str = "experiments",
) -> dict[str, Any]:
    """The content of made_from.json.

    Args:
        jobs: The jobs, for the data of their tasks.
        studies: The studies, for their data.
        program: The folder of the code that measures, beside lstm_jax.
    """
    tasks = {job.setting.task.name: job.setting.task for job in jobs}
    data = {name: data_digest(task) for name, task in tasks.items()}
    for study in studies:
        for name, value in study.data.items():
            data[f"{study.name}, {name}"] = digest(value)
    return {
        "version": lstm_jax.__version__,
        "revision": versions.git_revision(),
        "code": file_digests(program),
        "loaded": loaded_file_digests(),
        "data": data,
    }


def describe_difference(before: dict[str, Any] | None, now: dict[str, Any]) -> str | None:
    """Says in words what differs between two sets of sources; None if they are the same.

    Args:
        before: The content of made_from.json; None for a run of an older version, without it.
        now: From ``collect``.
    """
    if before is None:
        return f"an lstm_jax that did not note its code, and this is {describe_version(now)}"
    changed = [*describe_changes(before, now, "loaded"), *describe_changes(before, now, "data")]
    if before.get("version") != now["version"] or before.get("code") != now["code"]:
        files = describe_changes(before, now, "code")
        more = f" and {len(files) - 1} more files" if len(files) > 1 else ""
        of = f", of which {files[0]}{more}" if files else ""
        changed.append(f"{describe_version(before)}, and this is {describe_version(now)}{of}")
    return "; ".join(changed) or None


def describe_changes(before: dict[str, Any], now: dict[str, Any], part: str) -> list[str]:
    """Says in words what differs in one part: "code", "loaded" or "data"."""
    old, new = before.get(part, {}), now[part]
    template = {"loaded": "the loaded file {}, which", "data": "data of {}, which"}.get(part, "{}")
    changes = []
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) != new.get(name):
            how = "is new" if name not in old else "is gone" if name not in new else "changed"
            sums = f" (SHA-256 {old.get(name, '-')[:8]}, now {new.get(name, '-')[:8]})"
            changes.append(f"{template.format(name)} {how}{'' if part == 'code' else sums}")
    return changes


def describe_version(made: dict[str, Any]) -> str:
    """Version and revision; outside git, or if there are uncommitted changes, also a digest of the
    code."""
    revision = made.get("revision")
    name = f"lstm_jax {made.get('version')}"
    if revision is not None:
        name += f" at revision {revision.removesuffix('-dirty')[:12]}"
    if revision is None or revision.endswith("-dirty"):
        name += f" with the code {code_digest(made)}"
    return name


def code_digest(made: dict[str, Any]) -> str:
    lines = [f"{file} {digest}" for file, digest in sorted(made.get("code", {}).items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def file_digests(program: str) -> dict[str, str]:
    """SHA-256 sums of the files that the numbers depend on, by their paths from the root."""
    folders = {
        "lstm_jax": Path(lstm_jax.__file__).resolve().parent,
        program: versions.ROOT / program,
    }
    return {
        f"{folder}/{file.relative_to(path).as_posix()}": file_digest(file)
        for folder, path in folders.items()
        for file in sorted(path.rglob("*.py"))
        if folder == "lstm_jax" or not is_display(file.relative_to(path).as_posix())
    }


def is_display(name: str) -> bool:
    """Whether no stored number depends on the file, by its path in the program's folder."""
    return name.startswith(DISPLAY_ONLY) or name.endswith(FIGURES)


def loaded_file_digests() -> dict[str, str]:
    """SHA-256 sums of the files of --load and what they import, by name and not by path, since a
    file that was moved is the same."""
    from experiments.harness.run import loading  # not at the top, for the same reason as Job

    sums: dict[str, str] = {}
    for file in loading.loaded_files():
        name = file.name if file.name not in sums else str(file)
        sums[name] = file_digest(file)
    return sums


def file_digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def data_digest(task: Any) -> str:
    """A SHA-256 sum of the held-out data and of the arrays that training batches are drawn from, so
    that a change in the files they were read from changes it."""
    traced = jax.make_jaxpr(lambda key: task.sample(key, 1))(jax.random.key(0))
    return digest_of_leaves([*jax.tree.leaves((task.validation, task.test)), *traced.consts])


def digest(value: Any) -> str:
    """A SHA-256 sum: of a file's content, or of the leaves of a pytree of arrays, numbers and text,
    of which some may stand in dataclasses, such as vocabularies.

    Raises TypeError for anything else.
    """
    return (
        file_digest(value) if isinstance(value, Path) else digest_of_leaves(jax.tree.leaves(value))
    )


def digest_of_leaves(leaves: Iterable[Any]) -> str:
    total = hashlib.sha256()
    for leaf in leaves:
        if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
            fields = [getattr(leaf, field.name) for field in dataclasses.fields(leaf)]
            total.update(digest(fields).encode())
            continue
        if isinstance(leaf, str | bytes):
            content = leaf.encode() if isinstance(leaf, str) else leaf
            total.update(f"{type(leaf).__name__} {len(content)}".encode())
            total.update(content)
            continue
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.ascontiguousarray(leaf)
        if array.dtype.hasobject:
            raise WrongType(
                "data: expected files (Path), arrays, numbers and text, got "
                f"{type(leaf).__name__} of {array.dtype}"
            )
        total.update(f"{array.dtype} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()
