"""Cells with a matrix memory and the sLSTM, as plain loops in float64 written from the papers.

One row at a time, one head at a time, gates by plain exponentials: nothing is stabilised, so
pre-activations must be moderate. ``params`` and ``xs [T, B, D]`` are those of the cells.
"""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def _f64(values):
    """``values`` in NumPy's float64: a dict, or a state as one."""
    values = values._asdict() if hasattr(values, "_asdict") else values
    return {name: np.array(leaf, np.float64) for name, leaf in values.items()}


def _columns(params, x, names, widths):
    """The pre-activations of one row by name."""
    pre = x @ params["w_x"] + params["b"]
    return dict(zip(names, np.split(pre, np.cumsum(widths)[:-1]), strict=True))


def _loop(xs, rows):
    """Runs each row by itself: ``rows(b) -> (one(x) -> y, final_state() -> dict)``."""
    xs, ys, finals = np.asarray(xs, np.float64), [], []
    for b in range(xs.shape[1]):
        one, final_state = rows(b)
        ys.append([one(x) for x in xs[:, b]])
        finals.append(final_state())
    state = {name: np.stack([final[name] for final in finals]) for name in finals[0]}
    return state, np.swapaxes(np.asarray(ys), 0, 1)


def slstm(params, xs, state, heads=1, forget="sigmoid"):
    """sLSTM (Beck et al. 2024, arXiv 2405.04517, section 2.2, equations 8 to 13).

    c_t = f c_{t-1} + i z, n_t = f n_{t-1} + i, h_t = o c_t / n_t, i = exp, f = sigmoid or exp;
    each pre-activation sees the last h of its own head. The final state is given unstabilised:
    c and n without a common factor.
    """
    params, state = _f64(params), _f64(state)
    w_h = params["w_h"]
    size = w_h.shape[1] // 4
    d = size // heads
    f_of = {"sigmoid": sigmoid, "exp": np.exp}[forget]

    def rows(b):
        scale = np.exp(state["m"][b])
        now = {"h": state["h"][b], "c": scale * state["c"][b], "n": scale * state["n"][b]}

        def one(x):
            pre = np.split(x @ params["w_x"] + params["b"], 4)
            for gate in range(4):
                for unit in range(size):
                    first = unit // d * d
                    column = w_h[:, gate * size + unit]
                    pre[gate][unit] += now["h"][first : first + d] @ column
            i, f, z, o = np.exp(pre[0]), f_of(pre[1]), np.tanh(pre[2]), sigmoid(pre[3])
            now["c"] = f * now["c"] + i * z
            now["n"] = f * now["n"] + i
            now["h"] = o * now["c"] / now["n"]
            return now["h"]

        return one, lambda: now

    return _loop(xs, rows)


def mlstm(params, xs, state, heads=1, forget="sigmoid"):
    """mLSTM (the same paper, section 2.3, equations 19 to 27); the final state unstabilised.

    C_t = f C_{t-1} + i v k^T, n_t = f n_{t-1} + i k, h~ = C q / max(|n^T q|, 1), h = o h~,
    k = (W_k x + b_k) / sqrt(d); C is kept transposed here, as in the cell.
    """
    params, state = _f64(params), _f64(state)
    size = (params["w_x"].shape[1] - 2 * heads) // 4
    d = size // heads
    names, widths = ("q", "k", "v", "i", "f", "o"), (size, size, size, heads, heads, size)
    f_of = {"sigmoid": sigmoid, "exp": np.exp}[forget]

    def rows(b):
        scale = np.exp(state["m"][b])
        now = {"c": scale[:, None, None] * state["c"][b], "n": scale[:, None] * state["n"][b]}

        def one(x):
            pre = _columns(params, x, names, widths)
            i, f, o = np.exp(pre["i"]), f_of(pre["f"]), sigmoid(pre["o"])
            h = np.zeros(size)
            for j in range(heads):
                part = slice(j * d, (j + 1) * d)
                q, k, v = pre["q"][part], pre["k"][part] / np.sqrt(d), pre["v"][part]
                now["c"][j] = f[j] * now["c"][j] + i[j] * np.outer(k, v)
                now["n"][j] = f[j] * now["n"][j] + i[j] * k
                h[part] = now["c"][j].T @ q / max(abs(now["n"][j] @ q), 1.0)
            return o * h

        return one, lambda: now

    return _loop(xs, rows)


def _elu(x):
    return np.where(x > 0, x + 1.0, np.exp(np.minimum(x, 0.0)))  # elu(x) + 1


def _softmax(x):
    return np.exp(x) / np.sum(np.exp(x))


MAPS = {
    "elu": _elu,
    "relu": lambda x: np.maximum(x, 0.0),
    "softmax": _softmax,
    "silu": lambda x: x * sigmoid(x),
    "identity": lambda x: x,
}


def linear_attention(params, xs, heads=1, feature_map="elu", gated=False, normalize=True):
    """Linear attention as attention (Katharopoulos et al. 2020, arXiv 2006.16236, equation 9, and
    causal, equation 11): no memory at all, but for each step a weighted mean of all values so
    far, with weights phi(q_t) . phi(k_s) times the gates between s and t. Starts from nothing.
    """
    params = _f64(params)
    extra = heads if gated else 0
    size = (params["w_x"].shape[1] - extra) // 3
    d, phi = size // heads, MAPS[feature_map]
    xs = np.asarray(xs, np.float64)
    ys = np.zeros((*xs.shape[:2], size))
    for b in range(xs.shape[1]):
        pre = xs[:, b] @ params["w_x"] + params["b"]
        for j in range(heads):
            q, k, v = (pre[:, p * size + j * d : p * size + (j + 1) * d] for p in range(3))
            f = sigmoid(pre[:, 3 * size + j]) if gated else np.ones(len(xs))
            for t in range(len(xs)):
                weights = [
                    np.prod(f[s + 1 : t + 1]) * (phi(q[t]) @ phi(k[s])) for s in range(t + 1)
                ]
                mean = np.sum([w * v[s] for s, w in enumerate(weights)], axis=0)
                ys[t, b, j * d : (j + 1) * d] = mean / (np.sum(weights) if normalize else 1.0)
    return ys @ params["w_y"]


def delta_net(params, xs, memory, heads=1, feature_map="silu", gated=False):
    """Gated DeltaNet (Yang et al. 2025, arXiv 2412.06464, equation 10) and, without a gate,
    DeltaNet (Yang et al. 2024, arXiv 2406.06484, section 2): S_t = a S_{t-1} (I - b k k^T)
    + b v k^T, o_t = S_t q_t, with k and q of length 1, here with 1e-6 under the root. S is the
    transpose of the cell's memory; the products with I - b k k^T are taken as they stand.
    """
    params = _f64(params)
    size = (params["w_x"].shape[1] - heads * (2 if gated else 1)) // 3
    d, phi = size // heads, MAPS[feature_map]
    names = ("q", "k", "v", "b", "a")[: 5 if gated else 4]
    widths = (size, size, size, heads, heads)[: len(names)]

    def unit(x):
        return x / np.sqrt(np.sum(x * x) + 1e-6)

    def rows(row):
        s = np.swapaxes(np.asarray(memory[row], np.float64), -1, -2).copy()

        def one(x):
            pre = _columns(params, x, names, widths)
            b, a = sigmoid(pre["b"]), sigmoid(pre["a"]) if gated else np.ones(heads)
            o = np.zeros(size)
            for j in range(heads):
                part = slice(j * d, (j + 1) * d)
                q, k = unit(phi(pre["q"][part])), unit(phi(pre["k"][part]))
                v = pre["v"][part]
                s[j] = a[j] * s[j] @ (np.eye(d) - b[j] * np.outer(k, k)) + b[j] * np.outer(v, k)
                o[part] = s[j] @ q
            return o @ params["w_y"]

        return one, lambda: {"memory": np.swapaxes(s, -1, -2)}

    return _loop(xs, rows)
