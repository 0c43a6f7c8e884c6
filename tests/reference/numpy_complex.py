"""Cells with a complex state, and with unitary or orthogonal recurrences, in plain NumPy.

Written from the papers as loops over time and rows, in complex128, with the matrices of the papers
written out and applied from the left to column vectors. The conventions are those of
``numpy_cells.py``; a complex vector is packed into a real one, its real part before its imaginary
part. Functions return ``(final_state, ys)``.
"""

import numpy as np


def _f64_dict(arrays):
    return {name: np.asarray(array, np.float64) for name, array in arrays.items()}


def _complex(packed):
    real, imag = np.split(np.asarray(packed, np.float64), 2, axis=-1)
    return real + 1j * imag


def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def _gates(packed, count):
    """The complex matrices (or biases) of the gates, as columns acting on column vectors."""
    return [_complex(block).T for block in np.split(packed, count, axis=-1)]


# --- activations and unitary matrices ----------------------------------------------------------


def mod_relu(z, b):
    """Arjovsky et al. 2016, eq. 8: (|z| + b) z / |z| if |z| + b >= 0, else 0."""
    out = np.zeros_like(z)
    for i, number in enumerate(z):
        if abs(number) > 0 and abs(number) + b[i] >= 0:
            out[i] = (abs(number) + b[i]) * number / abs(number)
    return out


def hirose(z, m):
    """Wolter & Yao 2018, section 3: tanh(|z| / m^2) exp(i angle(z))."""
    return np.tanh(np.abs(z) / m**2) * np.exp(1j * np.angle(z))


def mod_sigmoid(z, mix):
    """Wolter & Yao 2018, section 4: sigmoid(a Re z + (1 - a) Im z), here with a = sigmoid(mix)."""
    a = _sigmoid(mix)
    return _sigmoid(a * z.real + (1 - a) * z.imag)


def fourier_matrix(p, permutation):
    """Arjovsky et al. 2016, eq. 6: W = D_3 R_2 F^-1 D_2 P R_1 F D_1."""
    n = len(permutation)

    def diagonal(i):
        return np.diag(np.exp(1j * p[f"phase_{i}"]))

    def reflection(i):
        v = _complex(p[f"reflection_{i}"])
        return np.eye(n) - 2 * np.outer(v, v.conj()) / np.vdot(v, v)

    k = np.arange(n)
    f = np.exp(-2j * np.pi * np.outer(k, k) / n)
    swap = np.zeros((n, n))
    swap[k, permutation] = 1
    return (diagonal(3) @ reflection(2) @ np.linalg.inv(f) @ diagonal(2)
            @ swap @ reflection(1) @ f @ diagonal(1))  # fmt: skip


def rotation_matrix(p, capacity):
    """Jing et al. 2017: W = D F_L ... F_1, each F a block diagonal of rotations (eq. 2)."""
    n = len(p["phase"])
    w = np.eye(n, dtype=complex)
    angle = 0
    for layer in range(capacity):
        f = np.eye(n, dtype=complex)
        for i in range(layer % 2, n - 1, 2):
            theta, phi = p["theta"][angle], p["phi"][angle]
            angle += 1
            f[i, i] = np.exp(1j * phi) * np.cos(theta)
            f[i, i + 1] = -np.exp(1j * phi) * np.sin(theta)
            f[i + 1, i] = np.sin(theta)
            f[i + 1, i + 1] = np.cos(theta)
        w = f @ w
    assert angle == len(p["theta"])
    return np.diag(np.exp(1j * p["phase"])) @ w


def cayley_matrix(p):
    """Maduranga et al. 2019: W = (I + A)^-1 (I - A) D, with A skew-Hermitian and D of phases."""
    free = p["skew"]
    n = len(free)
    a = np.zeros((n, n), complex)
    for i in range(n):
        a[i, i] = 1j * free[i, i]
        for j in range(i + 1, n):
            a[i, j] = free[i, j] + 1j * free[j, i]
            a[j, i] = -a[i, j].conjugate()
    one = np.eye(n)
    return np.linalg.inv(one + a) @ (one - a) @ np.diag(np.exp(1j * p["phase"]))


def scaled_cayley_matrix(skew, n, negatives):
    """Helfrich et al. 2018: W = (I + A)^-1 (I - A) D, with A antisymmetric and D of signs."""
    a = np.zeros((n, n))
    numbers = iter(np.asarray(skew, np.float64))
    for i in range(n):
        for j in range(i + 1, n):
            a[i, j] = next(numbers)
            a[j, i] = -a[i, j]
    d = np.diag([1.0] * (n - negatives) + [-1.0] * negatives)
    return np.linalg.inv(np.eye(n) + a) @ (np.eye(n) - a) @ d


def unitary_matrix(p, recurrence, units, capacity=2):
    if recurrence == "fft":
        return fourier_matrix(p, np.random.RandomState(0).permutation(units))
    return rotation_matrix(p, capacity) if recurrence == "rotations" else cayley_matrix(p)


# --- cells ---------------------------------------------------------------------------------------


def _readout(p, h):
    """Arjovsky et al. 2016, eq. 9: a real matrix times the real and the imaginary part."""
    return np.concatenate([h.real, h.imag]) @ p["w_y"] + p["b_y"]


def _over_rows(run_row, xs, start, size):
    """Runs each row by itself; ``start`` is a list of complex arrays ``[B, ...]``."""
    xs = np.asarray(xs, np.float64)
    states = [np.array(part) for part in start]
    ys = np.zeros((*xs.shape[:2], size))
    for row in range(xs.shape[1]):
        state = [part[row] for part in states]
        for t in range(len(xs)):
            state, ys[t, row] = run_row(state, xs[t, row])
        for part, last in zip(states, state, strict=True):
            part[row] = last
    return states, ys


def complex_gru(params, xs, real0, imag0, *, recurrence, activation):
    """The complex gated RNN (Wolter & Yao 2018, section 4)::

        z~ = W (g_r * h) + V x + b,       h = g_z * f_a(z~) + (1 - g_z) * h,
        g_r = f_g(W_r h + V_r x + b_r),   g_z = f_g(W_z h + V_z x + b_z).

    Gates in the order reset, update, candidate.
    """
    p = _f64_dict(params)
    units = real0.shape[-1]
    v_r, v_z, v = _gates(p["w_x"], 3)
    b_r, b_z, b = _gates(p["b"], 3)
    if recurrence == "free":
        w_r, w_z, w = _gates(p["w_h"], 3)
    else:
        (w_r, w_z), w = _gates(p["w_h"], 2), unitary_matrix(p, recurrence, units)

    def step(state, x):
        (h,) = state
        g_r = mod_sigmoid(w_r @ h + v_r @ x + b_r, p["mix"][0])
        g_z = mod_sigmoid(w_z @ h + v_z @ x + b_z, p["mix"][1])
        before = w @ (g_r * h) + v @ x + b
        new = mod_relu(before, p["b_mod"]) if activation == "modrelu" else hirose(before, p["m"])
        h = g_z * new + (1 - g_z) * h
        return [h], _readout(p, h)

    (h,), ys = _over_rows(step, xs, [real0 + 1j * imag0], len(p["b_y"]))
    return {"real": h.real, "imag": h.imag}, ys


def complex_lstm(params, xs, h_real, h_imag, c_real, c_imag, *, recurrence, activation):
    """An LSTM (Hochreiter & Schmidhuber 1997, with forget gates) with the complex numbers, real
    gates and activations of Wolter & Yao 2018. Gates in the order input, forget, output, cell."""
    p = _f64_dict(params)
    units = h_real.shape[-1]
    v, b = _gates(p["w_x"], 4), _gates(p["b"], 4)
    if recurrence == "free":
        w = _gates(p["w_h"], 4)
    else:
        w = [*_gates(p["w_h"], 3), unitary_matrix(p, recurrence, units)]
    act, values = (mod_relu, p["b_mod"]) if activation == "modrelu" else (hirose, p["m"])

    def step(state, x):
        h, c = state
        pre = [w[k] @ h + v[k] @ x + b[k] for k in range(4)]
        i, f, o = (mod_sigmoid(pre[k], p["mix"][k]) for k in range(3))
        c = f * c + i * act(pre[3], values[:units])
        h = o * act(c, values[units:])
        return [h, c], _readout(p, h)

    start = [h_real + 1j * h_imag, c_real + 1j * c_imag]
    (h, c), ys = _over_rows(step, xs, start, len(p["b_y"]))
    return {"h_real": h.real, "h_imag": h.imag, "c_real": c.real, "c_imag": c.imag}, ys


def urnn(params, xs, real0, imag0, *, recurrence, capacity=2):
    """The uRNN (Arjovsky et al. 2016, section 4): h = modReLU(W h + V x)."""
    p = _f64_dict(params)
    (v,) = _gates(p["w_x"], 1)
    w = unitary_matrix(p, recurrence, real0.shape[-1], capacity)

    def step(state, x):
        h = mod_relu(w @ state[0] + v @ x, p["b_mod"])
        return [h], _readout(p, h)

    (h,), ys = _over_rows(step, xs, [real0 + 1j * imag0], len(p["b_y"]))
    return {"real": h.real, "imag": h.imag}, ys


def scornn(params, xs, h0, *, negatives):
    """The scoRNN (Helfrich et al. 2018, section 3): h = modReLU(U x + W h)."""
    p = _f64_dict(params)
    n = h0.shape[-1]
    w = scaled_cayley_matrix(p["skew"], n, negatives)

    def step(state, x):
        z = p["w_x"].T @ x + w @ state[0]
        h = np.sign(z) * np.maximum(np.abs(z) + p["b_mod"], 0.0)
        return [h], h

    (h,), ys = _over_rows(step, xs, [np.asarray(h0, np.float64)], n)
    return {"h": h}, ys


def associative_lstm(params, xs, h_real, h_imag, c_real, c_imag):
    """The Associative LSTM (Danihelka et al. 2016, the section of that name)::

        r_i, r_o, u = bound(W_x x + W_h h + b),    g_f, g_i, g_o = sigmoid(W_x x + W_h h + b),
        c_s = g_f * c_s + (P_s r_i) * (g_i * u),   h = g_o * bound(mean over s of (P_s r_o) * c_s),

    where ``*`` multiplies numbers one by one. Gates in the order input, forget, output (N each),
    input key, output key, u (2N each).
    """
    p = _f64_dict(params)
    copies, n = c_real.shape[-2:]
    random = np.random.RandomState(0)
    permutations = [np.eye(n)[random.permutation(n)] for _ in range(copies)]

    def bound(z):
        return z / np.maximum(1.0, np.abs(z))

    def step(state, x):
        h, c = state
        packed = p["w_x"].T @ x + p["w_h"].T @ np.concatenate([h.real, h.imag]) + p["b"]
        g_i, g_f, g_o = (_sigmoid(packed[k * n : (k + 1) * n]) for k in range(3))
        r_i, r_o, u = (bound(_complex(part)) for part in np.split(packed[3 * n :], 3))
        c = np.array([g_f * c[s] + (permutations[s] @ r_i) * (g_i * u) for s in range(copies)])
        read = sum((permutations[s] @ r_o) * c[s] for s in range(copies)) / copies
        h = g_o * bound(read)
        return [h, c], _readout(p, h)

    start = [h_real + 1j * h_imag, c_real + 1j * c_imag]
    (h, c), ys = _over_rows(step, xs, start, len(p["b_y"]))
    return {"h_real": h.real, "h_imag": h.imag, "c_real": c.real, "c_imag": c.imag}, ys
