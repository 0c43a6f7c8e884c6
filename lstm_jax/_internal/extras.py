"""Packages that lstm_jax itself does not need, imported where they are used."""

import importlib
from types import ModuleType


class MissingExtra(ImportError):
    """A package is not installed that a function needs."""


def require_extra(module: str, extra: str, user: str) -> ModuleType:
    """Imports ``module``.

    Args:
        module: The module.
        extra: The extra of lstm_jax that installs it.
        user: The function that needs it, for the error.

    Raises:
        ImportError: If it is not installed; the error says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise MissingExtra(
            f"{user} needs the package {package}, which cannot be imported ({error}); "
            f"pip install 'lstm_jax[{extra}]' installs it"
        ) from error
