"""Names with options as text, such as ``"lstm(peephole=True, forget_bias=0.0)"``: what command
lines, configurations and saved models call a cell or a task."""

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from lstm_jax import checking
from lstm_jax.errors import WrongType, WrongValue


def parse(argument: str, text: Any, names: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """``text`` as ``(name, options)``: one of ``names``, alone or with keyword options behind it.

    Values are Python's literals (numbers, strings, True, False, None, tuples, lists, dicts);
    nothing is evaluated. Raises ValueError, naming ``argument``, for an unknown name and for
    what is no such call.
    """
    names = list(names)
    head, bracket, _ = text.partition("(") if isinstance(text, str) else ("", "", "")
    if not bracket or text in names:
        return checking.choice(argument, text, names), {}
    name = checking.choice(argument, head.strip(), names)

    def refused(got: str) -> WrongValue:
        return WrongValue(
            f"{argument}: got {text!r}, {got}; takes a name with keyword options, "
            f"such as '{name}(option=1)'"
        )

    try:
        call = ast.parse(f"name{text[len(head) :].rstrip()}", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise refused(f"which is no call ({getattr(error, 'msg', error)})") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise refused("which is more than a call")
    if call.args:
        raise refused(f"with {ast.unparse(call.args[0])}, a value without a name")
    options: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise refused(f"with **{ast.unparse(keyword.value)}")
        if keyword.arg in options:  # which Python's parser leaves to its compiler
            raise refused(f"with {keyword.arg} twice")
        try:
            options[keyword.arg] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, MemoryError, RecursionError):
            value = ast.unparse(keyword.value)
            raise refused(f"with {keyword.arg}={value}, which is no literal") from None
    return name, options


def merged(name: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The options of both, those in the text and those beside it; TypeError for one given twice."""
    twice = sorted(first.keys() & second.keys())
    if twice:
        raise WrongType(f"options: got {', '.join(twice)} twice: in {name}(...) and beside it")
    return {**first, **second}
