"""How people write the operations of a jaxpr."""

# Operations that change the form of an array and not its values.
SAME_VALUES = frozenset(
    (
        "convert_element_type",
        "broadcast_in_dim",
        "reshape",
        "squeeze",
        "stop_gradient",
        "copy",
        "copy_p",
        "transpose",
        "expand_dims",
        "sharding_constraint",
        "reshard",
        "reduce_precision",
        "optimization_barrier",
        "pvary",
    )
)
PART = frozenset(("slice", "dynamic_slice", "gather", "dynamic_index_in_dim"))

# Operations that multiply by a matrix of parameters, or by the matrices of a kernel.
PRODUCTS = ("dot_general", "conv_general_dilated")

SYMBOLS = {
    "add": "+", "add_any": "+", "sub": "−", "mul": "×", "div": "÷", "max": "max", "min": "min",
    "neg": "−(·)", "exp": "exp", "log": "log", "log1p": "log(1 + ·)", "expm1": "exp − 1",
    "tanh": "tanh", "logistic": "σ", "sqrt": "√", "rsqrt": "1/√", "square": "(·)²", "abs": "|·|",
    "sin": "sin", "cos": "cos", "erf": "erf", "complex": "re + i·im", "real": "Re", "imag": "Im",
    "reduce_sum": "Σ", "reduce_max": "max", "reduce_min": "min", "dot_general": "matmul",
    "conv_general_dilated": "convolution", "select_n": "where", "cumsum": "cumulative Σ",
    "and": "and", "or": "or", "not": "not", "sign": "sign", "floor": "floor",
}  # fmt: skip
COMPARISONS = {"eq": "=", "ne": "≠", "lt": "<", "le": "≤", "gt": ">", "ge": "≥"}

# Functions that are one node, although they are several operations.
FUNCTIONS = {
    "sigmoid": "σ", "log_sigmoid": "log σ", "softplus": "softplus", "relu": "relu",
    "relu6": "relu6", "hard_sigmoid": "hard σ", "hard_tanh": "hard tanh", "silu": "silu",
    "swish": "silu", "elu": "elu", "selu": "selu", "celu": "celu", "gelu": "gelu",
    "leaky_relu": "leaky relu", "soft_sign": "softsign", "softmax": "softmax",
    "log_softmax": "log softmax", "logsumexp": "logsumexp", "clip": "clip", "mish": "mish",
}  # fmt: skip

ACTIVATIONS = frozenset((*FUNCTIONS.values(), "tanh", "positive", "exp")) - {"clip", "logsumexp"}

# Operations that are drawn as a small circle.
CIRCLES = frozenset(("+", "−", "×", "÷", "⊗", "Σ", "√"))


def with_constant(primitive: str, constant: str, number: float | None, first: bool) -> str | None:
    """The label of a binary operation with a constant.

    Args:
        primitive: The operation.
        constant: The constant as text.
        number: Its value, or None if it is a parameter.
        first: Whether the constant is the first operand.

    Returns:
        The label, or "" if the operation changes nothing, or None if it has no such label.
    """
    if (primitive, number) in {
        ("add", 0.0), ("mul", 1.0), ("max", float("-inf")), ("min", float("inf")),
    } or (not first and (primitive, number) in {("sub", 0.0), ("div", 1.0)}):  # fmt: skip
        return ""
    if primitive in COMPARISONS:
        return f"{COMPARISONS[primitive]} {constant}"
    if primitive in ("max", "min"):
        return f"{primitive}(·, {constant})"
    if primitive in ("add", "mul", "sub", "div"):
        symbol = SYMBOLS[primitive]
        if first and primitive in ("sub", "div"):
            return f"{constant} {symbol}"
        return f"{symbol} {constant}"
    return None


def parameter_name(name: str) -> str:
    """A parameter's name as it is written in equations: ``w_y`` is ``W_{y}``."""
    known = {"w_x": "W", "w_h": "U"}
    if name in known:
        return known[name]
    head, _, tail = name.partition("_")
    if len(head) != 1 or not tail:
        return name
    return f"{'W' if head == 'w' else head}_{{{tail}}}"


def number_text(value: float) -> str:
    """A constant as short text."""
    return f"{value:.3g}".replace("-", "−").replace("inf", "∞")
