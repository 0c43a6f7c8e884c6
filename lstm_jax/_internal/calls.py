"""Names with options as text, such as ``"lstm(peephole=True, forget_bias=0.0)"``: what command
lines, configurations and saved models call a cell or a task; and calls of factories by name."""

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue


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
            f"{argument}: expected a name with keyword options, such as "
            f"'{name}(option=1)', got {text!r}, {got}"
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


def merge_options(name: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The options of both, those in the text and those beside it; TypeError for one given twice."""
    twice = sorted(first.keys() & second.keys())
    if twice:
        raise WrongType(f"options: got {', '.join(twice)} twice: in {name}(...) and beside it")
    return {**first, **second}


def call(name: str, factory: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """``factory(*arguments, **options)``, of the factory registered as ``name``.

    Raises TypeError for options that the factory has not, and for those that it needs and are not
    given; they are compared with its signature before it is called. What it raises itself, a
    TypeError of its own too, passes as it is.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # of some callables written in C
        return factory(*arguments, **options)
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        raise WrongType(
            f"options: {_describe_mismatch(name, signature, arguments, options, error)}"
        ) from None
    return factory(*arguments, **options)


def _describe_mismatch(
    name: str,
    signature: inspect.Signature,
    arguments: tuple[Any, ...],
    options: Mapping[str, Any],
    error: TypeError,
) -> str:
    """What is wrong with the options, in words."""
    names = [p.name for p in signature.parameters.values()
             if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]  # fmt: skip
    positional = names[: len(arguments)]
    takes = names[len(arguments) :]
    twice = [option for option in options if option in positional]
    unknown = [option for option in options if option not in names]
    expected = f"expected {name}({', '.join(takes)})"
    if twice:
        return f"{expected}, got {', '.join(twice)}, which is given apart from them"
    if unknown:
        close = difflib.get_close_matches(unknown[0], takes, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        return f"{expected}, got {', '.join(map(repr, unknown))}{hint}"
    return f"{expected}, got {name}({', '.join(options)}): {error}"


def with_options_of(
    factory: Callable[..., Any], without: Iterable[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a function that passes its ``**options`` on to ``factory`` the signature that it has:
    its own parameters, and those of ``factory`` but for ``without``."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(function).parameters
        named = {n: p for n, p in own.items() if p.kind is not p.VAR_KEYWORD}
        passed_on = inspect.signature(factory).parameters
        skip = {*named, *without}
        more = [p.replace(kind=p.KEYWORD_ONLY) for n, p in passed_on.items() if n not in skip]
        signature = inspect.Signature([*named.values(), *more])
        function.__signature__ = signature  # type: ignore[attr-defined]
        return function

    return decorate
