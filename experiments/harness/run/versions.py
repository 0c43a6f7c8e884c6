"""The versions that run: of packages, and the revision of this code."""

import importlib.metadata
import subprocess
from pathlib import Path

import lstm_jax

ROOT = Path(__file__).resolve().parents[3]


def version_of(package: str) -> str | None:
    """The version of a package; None where it is not installed. Of lstm_jax that of the code that
    runs, which may be a checkout that is not installed."""
    if package == "lstm_jax":
        return lstm_jax.__version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_revision() -> str | None:
    """The revision of the code, "-dirty" where files differ from it; None outside git, and where
    another project's git surrounds the code."""
    try:
        _git("ls-files", "--error-unmatch", str(Path(__file__).resolve()))
        return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*command: str) -> str:
    done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
