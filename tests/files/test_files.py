"""A saved model comes back as it was, and a damaged or foreign file is refused by name."""

import functools
import json
import random
import struct
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.files import contents
from tests.cases import CASES, Case
from tests.files.make_stored import XS

pytest.importorskip("safetensors")

HERE = Path(__file__).parent
QUICK = ("lstm_cifg", "lstm_1997", "gru_norm", "zoneout", "initialize", "attentive_coverage",
         "deep_noisy")  # fmt: skip
OPTIONS = {
    "mixed_precision": lj.mixed_precision(lj.min_gru(3), "float16"),
    "per_gate": lj.initialize(
        lj.lstm(2),
        b=lj.initializers.per_gate(0.5, output=[1, -2], forget=lj.initializers.uniform(1)),
    ),
    "nested": lj.learned_state(lj.chain(lj.residual(lj.mlstm(2)), lj.slstm(2))),
}


@functools.lru_cache
def _saved(folder: Path) -> tuple[Path, bytes]:
    path = folder / "model.safetensors"
    cell = lj.chain(lj.lstm(4, peephole=True), lj.dropout(lj.gru(3), 0.5))
    lj.save(path, (cell, cell.init(jax.random.key(0), 2)), notes={"tokens": ["a", "b"]})
    return path, path.read_bytes()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return _saved(tmp_path_factory.mktemp("saved"))


def _same(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in CASES] + list(OPTIONS),
)
def test_every_cell_comes_back(name, tmp_path):
    case = CASES.get(name) or Case(OPTIONS[name])
    cell, path = case.cell, tmp_path / "cell.safetensors"
    params = cell.init(jax.random.key(1), case.input_size)
    lj.save(path, (cell, params))
    loaded, weights = lj.load(path)
    assert loaded.recipe == cell.recipe and loaded._replace(memory=None) == cell._replace(
        memory=None
    )
    _same(weights, params)
    if cell.memory is not None:
        _same(loaded.memory.arrays, cell.memory.arrays)


def _models():
    inputs = train.inputs.mixed({
        "word.id": train.inputs.embedding(5, 2, vectors=np.eye(5, 2, dtype="f"), frozen=True),
        "x": train.inputs.convolution(train.inputs.numbers(2), 3, 2),
    })  # fmt: skip
    head = train.heads.quantiles([0.1, 0.5, 0.9])
    return {
        "recurrent": train.recurrent(lj.lstm(3), 2, 1, reads="every"),
        "network": train.network(lj.bidirectional(lj.gru(2), lj.lstm(2)), inputs, head,
                                 reads="attention"),
        "tied": train.network(lj.gru(4), train.inputs.embedding(6, 4),
                              train.heads.classification(6), reads="every", tie=True),
        "pairs": lj.seq2seq.encoder_decoder(lj.gru(3), lj.lstm(3), 5, 6, embedding_size=2, start=0,
                                            end=1),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["recurrent", "network", "tied", "pairs"])
def test_every_model_comes_back(name, tmp_path):
    model = _models()[name]
    params = model.init(jax.random.key(0))
    lj.save(tmp_path / "model.safetensors", (model, params))
    loaded, weights = lj.load(tmp_path / "model.safetensors")
    assert loaded == model
    _same(weights, params)


def test_a_module_is_saved_as_its_cell_and_params(tmp_path):
    from flax import nnx

    module = lj.nnx.Recurrent(lj.lstm(3), 2, rngs=nnx.Rngs(0))
    lj.save(tmp_path / "model.safetensors", module)
    cell, params = lj.load(tmp_path / "model.safetensors")
    assert cell.recipe == lj.lstm(3).recipe
    xs = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 1, 2)
    np.testing.assert_array_equal(
        lj.unroll(cell, params, xs)[1], lj.unroll(module.cell, lj.nnx.get_params(module), xs)[1]
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_dtype_of_weights_is_kept(dtype, tmp_path):
    cell = lj.lstm(3)
    params = cell.init(jax.random.key(0), 2, dtype)
    lj.save(tmp_path / "x.safetensors", (cell, params))
    _same(lj.load(tmp_path / "x.safetensors")[1], params)


def test_weights_of_64_bits_need_64_bits(tmp_path):
    path = tmp_path / "x.safetensors"
    with jax.enable_x64(True):
        params = lj.gru(2).init(jax.random.key(0), 1, jnp.float64)
        lj.save(path, (lj.gru(2), params))
        _same(lj.load(path)[1], params)
    with pytest.raises(lj.files.FileError, match=r"x\.safetensors: .*jax_enable_x64"):
        lj.load(path)


def test_a_file_of_each_format_is_read():
    stored = sorted(HERE.glob("format_*.safetensors"))
    assert [path.stem for path in stored] == [f"format_{n + 1}" for n in range(contents.FORMAT)]
    for path in stored:
        cell, params = lj.load(path)
        assert cell == lj.chain(
            lj.initialize(lj.lstm(3, peephole=True), b=lj.initializers.chrono(20.0)),
            lj.dropout(lj.gru(2), 0.25),
        )
        expected = lj.files.read_information(path).notes["ys"]
        np.testing.assert_allclose(lj.unroll(cell, params, XS)[1], expected, atol=1e-6)


def test_a_file_says_what_it_holds(saved):
    path, _ = saved
    information = lj.files.read_information(path)
    assert information.name == "chain(lstm(4, peephole=True), dropout(gru(3), 0.5))"
    assert information.input_size == 2 and information.notes == {"tokens": ["a", "b"]}
    assert information.lstm_jax == lj.__version__
    part = information.description["options"]["cells"][0]
    assert part["make"] == "lstm" and part["options"]["forget_bias"] == 1.0


# Damage


def _is_whole_or_refused(path, data, whole):
    path.write_bytes(data)
    try:
        cell, params = lj.load(path)
    except lj.files.FileError as error:
        assert str(path) in str(error)
        return False
    expected_cell, expected = whole
    assert cell == expected_cell
    _same(params, expected)
    return True


def test_damage_at_random_places_is_never_silent(saved, tmp_path):
    path, data = saved
    whole = lj.load(path)
    draw = random.Random(0)
    size = 8 + struct.unpack("<Q", data[:8])[0]
    # Over the whole file, in the header alone, and in its first bytes.
    places = [draw.randrange(len(data)) for _ in range(60)]
    places += [draw.randrange(size) for _ in range(60)] + list(range(12))
    survived = 0
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= draw.randrange(1, 256)
        survived += _is_whole_or_refused(tmp_path / "damaged.safetensors", bytes(damaged), whole)
    # Only the spaces that pad the header may differ.
    assert survived <= 8


def test_a_file_cut_off_or_extended_is_refused(saved, tmp_path):
    _, data = saved
    draw = random.Random(1)
    path = tmp_path / "cut.safetensors"
    for end in [0, 1, 7, 8, 9, *(draw.randrange(len(data)) for _ in range(50)), len(data) - 1]:
        path.write_bytes(data[:end])
        with pytest.raises(lj.files.FileError, match=r"cut\.safetensors"):
            lj.load(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(lj.files.FileError, match=r"cut\.safetensors"):
        lj.load(path)


def _rewritten(data, change):
    """The file with other texts, without a new checksum."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def test_swapped_weights_and_other_options_are_refused(saved, tmp_path):
    _, data = saved
    path = tmp_path / "x.safetensors"

    def swap(header):
        header["0.b"], header["0.w_h"] = header["0.w_h"], header["0.b"]

    def loosen(header):
        texts = header["__metadata__"]
        texts["model"] = texts["model"].replace('"peephole": true', '"peephole": true ')

    def rename(header):
        header["1.bh"] = header.pop("1.b_h")

    for change in (swap, loosen, rename):
        path.write_bytes(_rewritten(data, change))
        with pytest.raises(lj.files.FileError, match=r"x\.safetensors: damaged"):
            lj.load(path)
    path.write_bytes(_rewritten(data, lambda header: None))  # the same contents in other bytes
    lj.load(path)


def test_foreign_files_are_refused(saved, tmp_path):
    import safetensors.numpy

    _, data = saved
    path = tmp_path / "foreign.safetensors"

    def refused(match):
        with pytest.raises(lj.files.FileError, match=rf"foreign\.safetensors: {match}"):
            lj.load(path)

    refused("not read")
    for content in (b"", b"PK\3\4", b"\x80\x04K\x01.", b"{}" * 100):
        path.write_bytes(content)
        refused("expected a safetensors file")
    safetensors.numpy.save_file({"w": np.zeros(2, "f")}, path)
    refused("expected a file written by lj.save, got safetensors without metadata")
    safetensors.numpy.save_file({"w": np.zeros(2, "f")}, path, metadata={"format": "pt"})
    refused("expected a file written by lj.save")
    path.write_bytes(_rewritten(data, lambda h: h["__metadata__"].update(format_version="2")))
    refused("expected format 1 or an earlier one, got 2")


def test_a_valid_file_of_another_model_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    lj.save(path, (lj.gru(2), lj.gru(2).init(jax.random.key(0), 1)))
    arrays, texts = contents.read(path)
    for change in ({"model": "[]"}, {"model": "{}"}, {"model": "3"}, {"input_size": "-1"},
                   {"model": texts["model"].replace('"size": 2', '"size": 3')},
                   {"model": texts["model"].replace("reset_after", "reset_before")},
                   {"model": '{"make": "gru", "options": {"size": {"array": "x"}}}'}):  # fmt: skip
        contents.write(path, contents.Contents(arrays, texts | change))
        with pytest.raises(lj.files.FileError, match=r"x\.safetensors"):
            lj.load(path)


# What cannot be saved


@lj.core.factory
def user_cell(size: int, *, gain: float = 1.0) -> lj.Cell:
    return lj.gru(size)


@lj.core.factory
def cell_of(function) -> lj.Cell:
    return lj.gru(2)


def test_a_users_cell_is_saved_by_its_registered_name(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    cell = lj.residual(user_cell(2, gain=3))
    params = cell.init(jax.random.key(0), 2)
    with pytest.raises(ValueError, match=r"lj\.cells\.registry\['user_cell'\] = user_cell"):
        lj.save(path, (cell, params))
    monkeypatch.setitem(lj.cells.registry, "user_cell", user_cell)
    lj.save(path, (cell, params))
    assert lj.load(path)[0] == cell
    monkeypatch.delitem(lj.cells.registry, "user_cell")
    with pytest.raises(ValueError, match=r"x\.safetensors: .*lj\.cells\.registry\['user_cell'\]"):
        lj.load(path)


def test_what_cannot_be_described_says_what_to_do(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    monkeypatch.setitem(lj.cells.registry, "cell_of", cell_of)
    gru = lj.gru(2)
    params = gru.init(jax.random.key(0), 1)
    own = lj.initialize(gru, b=lj.initializers.each_gate(jax.nn.initializers.ones))
    for model, error, match in (
        ((own, params), TypeError, r"each_gate.*draw: .*the function ones.*lj\.core\.factory"),
        ((cell_of(lambda x: x), params), TypeError, r"function: .*the function <lambda>"),
        ((gru._replace(name="mine"), params), ValueError, r"mine, put together by hand.*factory"),
        (gru, TypeError, r"model: expected \(cell, params\).*without its params"),
        (("gru", params), TypeError, r"model: expected \(cell, params\)"),
        ((lj.attend.dot(), params), (TypeError, ValueError), "."),
        ((lj.gru(3), params), ValueError, "params"),
        ((gru, params | {"b": jnp.zeros(6, jnp.int32)}), ValueError, r"params\['b'\]"),
    ):
        with pytest.raises(error, match=match):
            lj.save(path, model)
    for notes in ({"a": object()}, {"a": (1,)}, {1: 2}, {"a": float("nan")}, [1]):
        with pytest.raises(TypeError, match=r"^notes: expected"):
            lj.save(path, (gru, params), notes=notes)
    assert not path.exists()


def test_a_failed_write_keeps_the_previous_file(saved, tmp_path):
    pair = (lj.gru(2), lj.gru(2).init(jax.random.key(0), 1))
    with pytest.raises(lj.files.FileError, match=r"not written: No such file or directory$"):
        lj.save(tmp_path / "no" / "folder.safetensors", pair)
    with pytest.raises(lj.files.FileError, match="not written: expected the path of a file"):
        lj.save(tmp_path, pair)
    for call in (lambda: lj.save(3, pair), lambda: lj.load(None)):
        with pytest.raises(TypeError, match="path: expected a path, got"):
            call()
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), pair[1])
    with pytest.raises(ValueError, match=r"params\['b'\]: expected .* got float64"):
        lj.save(tmp_path / "wide.safetensors", (pair[0], wide))
    with pytest.raises(TypeError, match=r"params\['b'\]: expected .* got a tracer"):
        jax.jit(lambda params: lj.save(tmp_path / "x.safetensors", (pair[0], params)))(pair[1])


def test_a_description_nested_without_end_is_refused(saved, tmp_path):
    path, _ = saved
    held = contents.read(path)
    deep = held._replace(texts=held.texts | {"model": "[" * 10**5 + "]" * 10**5})
    contents.write(tmp_path / "deep.safetensors", deep)
    for read in (lj.load, lj.files.read_information):
        with pytest.raises(lj.files.FileError, match="no description"):
            read(tmp_path / "deep.safetensors")


def test_importing_lstm_jax_needs_no_extra():
    program = (
        "import sys\n"
        "for name in ('safetensors', 'onnx', 'onnxruntime'): sys.modules[name] = None\n"
        "import lstm_jax as lj\n"
        "try: lj.load('x')\n"
        "except ImportError as error: print(error)\n"
        "print('lstm_jax.train' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    first, trained = done.stdout.strip().splitlines()
    assert "pip install 'lstm_jax[safetensors]'" in first and first.startswith("lj.load needs")
    assert trained == "False"


# Cards


def test_a_card_is_written_beside_the_model(tmp_path):
    yaml = pytest.importorskip("yaml")
    cell = lj.lstm(3)
    card = lj.files.Card(
        task='the "adding" problem: T = 100', data="drawn, 10 % held out", license="apache-2.0",
        metrics={"test MSE": np.float32(0.25), "worst": float("nan")}, tags=["adding"],
        command="python -m experiments adding", limits="Two numbers only.",
    )  # fmt: skip
    lj.save(tmp_path / "a.safetensors", (cell, cell.init(jax.random.key(0), 2)), card=card)
    text = (tmp_path / "a.md").read_text()
    _, block, body = text.split("---\n", 2)
    told = yaml.safe_load(block)
    assert told["library_name"] == "lstm_jax" and told["license"] == "apache-2.0"
    assert told["tags"] == ["jax", "lstm_jax", "adding"]
    (result,) = told["model-index"][0]["results"]
    assert result["task"]["name"] == card.task
    assert [m["value"] for m in result["metrics"]] == [0.25, "nan"]
    for part in (card.task, card.data, card.command, card.limits, "lstm(3)", lj.__version__,
                 jax.__version__, "72 weights", "for inputs of size 2"):  # fmt: skip
        assert part in body, part


def test_wrong_cards_are_refused(tmp_path):
    pair = (lj.gru(2), lj.gru(2).init(jax.random.key(0), 1))
    for card, match in (
        ("text", "card: expected"),
        (lj.files.Card(3), r"card\.task"),
        (lj.files.Card("t", tags="abc"), r"card\.tags"),
        (lj.files.Card("t", tags=None), r"card\.tags"),
        (lj.files.Card("t", metrics=3), r"card\.metrics"),
        *[
            (lj.files.Card("t", metrics={"a": value}), r"card\.metrics\['a'\]: expected a number")
            for value in ("b", None, True, 1j, [1.0])
        ],
        (lj.files.Card("t", metrics={"a\nb": 1.0}), r"card\.metrics: expected names of one line"),
    ):
        with pytest.raises(TypeError, match=match):
            lj.save(tmp_path / "x.safetensors", pair, card=card)
    with pytest.raises(ValueError, match="path: expected another suffix"):
        lj.save(tmp_path / "x.md", pair, card=lj.files.Card("t"))
    assert list(tmp_path.iterdir()) == []


def test_each_model_has_a_card_of_its_own(tmp_path):
    pair = (lj.gru(2), lj.gru(2).init(jax.random.key(0), 1))
    for name in ("model.v1", "model.v2", "model.v3.safetensors"):
        lj.save(tmp_path / name, pair, card=lj.files.Card(name, command="```\nrun"))
        assert (
            f"# {name.removesuffix('.safetensors')}\n"
            in (tmp_path / f"{name.removesuffix('.safetensors')}.md").read_text()
        )
    assert "````console\n```\nrun\n````" in (tmp_path / "model.v1.md").read_text()
