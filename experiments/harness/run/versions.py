"""Versions of packages, and the revision of this code."""

import importlib.metadata
import subprocess
from pathlib import Path

import lstm_jax

ROOT = Path(__file__).resolve().parents[3]


def package_version(package: str) -> str | None:
    """The version of a package; None if it is not installed. For lstm_jax, the version of the
    running code, which may be a checkout that is not installed."""
    if package == "lstm_jax":
        return lstm_jax.__version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_revision() -> str | None:
    """The revision of the code, with "-dirty" if files differ from it; None outside git, or if the
    code is inside another project's repository."""
    try:
        _run_git("ls-files", "--error-unmatch", str(Path(__file__).resolve()))
        return _run_git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def _run_git(*command: str) -> str:
    result = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True)
    return result.stdout.strip()
