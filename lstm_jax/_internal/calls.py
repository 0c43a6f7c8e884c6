"""Names with options as text, such as ``"lstm(peephole=True, forget_bias=0.0)"``, by which command
lines, configurations and saved models refer to a cell or a task; and calls of factories by name."""

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue


def parse(argument: str, text: Any, names: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """Parses a name with keyword options.

    Args:
        argument: What errors call ``text``.
        text: One of ``names``, alone or followed by keyword options in brackets, whose values are
            Python literals (numbers, strings, True, False, None, tuples, lists, dicts). Nothing is
            evaluated.
        names: The known names.

    Returns:
        ``(name, options)``.

    Raises:
        ValueError: For an unknown name, and for text that is not such a call.
    """
    names = list(names)
    head, bracket, _ = text.partition("(") if isinstance(text, str) else ("", "", "")
    if not bracket or text in names:
        return checking.choice(argument, text, names), {}
    name = checking.choice(argument, head.strip(), names)

    def error_for(problem: str) -> WrongValue:
        return WrongValue(
            f"{argument}: expected a name with keyword options, such as "
            f"'{name}(option=1)', got {text!r}, {problem}"
        )

    try:
        call = ast.parse(f"name{text[len(head) :].rstrip()}", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise error_for(f"which is not a call ({getattr(error, 'msg', error)})") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise error_for("which is not a single call")
    if call.args:
        raise error_for(f"with the positional value {ast.unparse(call.args[0])}")
    options: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise error_for(f"with **{ast.unparse(keyword.value)}")
        if keyword.arg in options:  # Python's parser leaves this check to its compiler
            raise error_for(f"with {keyword.arg} twice")
        try:
            options[keyword.arg] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, MemoryError, RecursionError):
            value = ast.unparse(keyword.value)
            raise error_for(f"with {keyword.arg}={value}, which is not a literal") from None
    return name, options


def merge_options(name: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The options in the text and the keyword options together; TypeError for one given twice."""
    twice = sorted(first.keys() & second.keys())
    if twice:
        raise WrongType(
            f"options: expected each once, got {', '.join(twice)} twice: in the text "
            f"{name}(...) and as a keyword"
        )
    return {**first, **second}


def call(name: str, factory: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Calls ``factory(*arguments, **options)``, the factory registered as ``name``.

    The arguments are compared with the signature before the call, so that a TypeError from inside
    the factory passes through unchanged.

    Raises:
        TypeError: For options that the factory does not have, and for required ones that are
            missing.
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
    """The rest of the error: "expected name(options), got ..."."""
    names = [p.name for p in signature.parameters.values()
             if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]  # fmt: skip
    positional = names[: len(arguments)]
    open_names = names[len(arguments) :]
    twice = [option for option in options if option in positional]
    unknown = [option for option in options if option not in names]
    expected = f"expected {name}({', '.join(open_names)})"
    if twice:
        return f"{expected}, got {', '.join(twice)}, which is already given by position"
    if unknown:
        close = difflib.get_close_matches(unknown[0], open_names, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        return f"{expected}, got {', '.join(map(repr, unknown))}{hint}"
    return f"{expected}, got {name}({', '.join(options)}): {error}"


def with_options_of(
    factory: Callable[..., Any], without: Iterable[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function that passes its ``**options`` on to ``factory``.

    The function gets an explicit signature: its own named parameters, and those of ``factory``
    except ``without``.
    """

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
