"""Medians, ratios, means and tables of synthetic times."""

import pytest

from benchmarks.harness import extra_tables, ratios, tables, timing

SHAPE = "2x3x5x7"


def comparison(ours, *, cell="lstm", shape=SHAPE, layers=1, **others):
    """A record such as ``measure`` writes; from times by contender, with "forward" twice as long as
    "both"."""
    columns = {
        name.replace("_at_", "@"): {
            "forward_ms": [2 * t for t in times],
            "both_ms": times,
            "compile_seconds": 0.25,
            "temporary_bytes": 3_000_000,
        }
        for name, times in {"lstm_jax_at_1": ours, **others}.items()
    }
    return {
        "cell": cell, "shape": shape, "layers": layers, "columns": columns,
        "gflop": {"forward": 1.0, "both": 3.0}, "matrix_gflops": 600.0,
    }  # fmt: skip


def test_ratios_are_of_paired_rounds():
    """A round that is slow for both changes nothing; the ratio of medians would be 3."""
    assert timing.paired_ratio([2, 2, 30], [1, 1, 10]) == 2
    assert timing.paired_ratio([6, 6, 4], [1, 3, 4]) == 2
    with pytest.raises(ValueError, match="rounds"):
        timing.paired_ratio([1, 2], [1])


def test_geometric_mean():
    assert timing.geometric_mean([0.5, 2, 8]) == pytest.approx(2)
    assert timing.geometric_mean([]) is None


def test_everyone_has_a_turn_in_every_round():
    calls = []
    named = {name: (lambda name=name: calls.append(name)) for name in "abc"}
    times = timing.alternate(named, rounds=5, budget=60)
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys("abc", 5)
    rounds = [calls[i : i + 3] for i in range(0, len(calls), 3)]
    assert len(rounds) == 6 and all(sorted(turn) == ["a", "b", "c"] for turn in rounds)


def test_a_spent_budget_ends_the_rounds_after_three():
    times = timing.alternate({"a": lambda: None}, rounds=50, budget=0)
    assert len(times["a"]) == 3


def test_the_fastest_jax_peer_is_not_pytorch():
    result = comparison([1, 1], flax_at_1=[3, 3], equinox_at_1=[2, 2], torch_at_8=[1, 1])
    assert ratios.fastest_jax_peer(result, 1, "both") == ("equinox", 2)
    assert ratios.ratio(result, "torch", 1, "both") == 1
    assert ratios.ratio(result, "keras", 1, "both") is None


def test_several_devices_are_compared_with_as_many_and_pytorch_with_all():
    result = comparison(
        [4, 4], lstm_jax_at_2=[2, 2], flax_at_1=[6, 6], flax_at_2=[5, 5], torch_at_2=[8, 8]
    )
    assert ratios.device_counts([result]) == [1, 2]
    assert [ratios.ratio(result, "flax", n, "both") for n in (1, 2)] == [1.5, 2.5]
    assert [ratios.ratio(result, "torch", n, "both") for n in (1, 2)] == [2, 4]


def test_haiku_s_gru_is_held_against_reset_before():
    pytest.importorskip("haiku")
    result = comparison([1], cell="gru", lstm_jax_before_at_1=[2], haiku_at_1=[5])
    assert ratios.ratio(result, "haiku", 1, "both") == 2.5
    lstm = comparison([1], haiku_at_1=[5])
    assert ratios.ratio(lstm, "haiku", 1, "both") == 5


def test_the_matrix_share():
    """3 GFLOP in 10 ms are 300 GFLOP/s, half of the machine's 600."""
    assert ratios.matrix_share(comparison([10, 10, 99]), "lstm_jax", 1) == pytest.approx(0.5)


def test_the_tables_say_what_the_times_say():
    results = [
        comparison([1.0, 1.0], flax_at_1=[2.0, 2.0], torch_at_4=[0.5, 0.5]),
        comparison([4.0, 3.0], flax_at_1=[32.0, 24.0], torch_at_4=[2.0, 1.5], layers=2),
    ]
    made = {table.title: table for table in tables.speed_tables(results)}
    both = made["LSTM, forward and backward, one device"]
    assert both.header == [
        "B x T x D x H", "lstm_jax", "Flax NNX", "Haiku", "Equinox", "Keras on JAX", "PyTorch",
        "fastest JAX peer",
    ]  # fmt: skip
    assert both.rows == [
        [SHAPE, "1.00 (1.00)", "2.00x 2.00", "", "", "", "0.50x 0.500", "2.00x"],
        [f"{SHAPE}, 2 layers", "3.50 (3.00)", "8.00x 28.0", "", "", "", "0.50x 1.75", "8.00x"],
        ["geometric mean", "", "4.00x", "", "", "", "0.50x", "4.00x"],
    ]
    overview = made["Ratios"]
    assert overview.rows[0] == [
        "LSTM, forward and backward, one device", "4.00x", "4.00x", "", "", "", "0.50x"
    ]  # fmt: skip
    assert "| geometric mean |  | 4.00x |" in "\n".join(tables.to_markdown(both))
    assert made["Compile time"].header == ["", "lstm_jax", "Flax NNX"]
    assert made["Temporary allocation"].rows[0][1] == "3.00"


def test_the_other_sections():
    summary = {
        "latency": [
            {"cell": "gru", "size": 64, "microseconds": {"lstm_jax": 12.5, "flax": 20.0},
             "ratios": {"flax": 1.25}}
        ],
        "memory": [{"cell": "gru", "shape": SHAPE, "peak_bytes": {"lstm_jax": 2e8, "torch": None}}],
        "allocator": [
            {"cell": "gru", "shape": SHAPE, "kept_ms": {"lstm_jax": 2.0},
             "given_back_ms": {"lstm_jax": 3.0}}
        ],
    }  # fmt: skip
    latency, ratios, memory, allocator = extra_tables.make_tables(summary)
    assert latency.rows == [["GRU, D = H = 64", "12.5", "20.0"]]
    assert (ratios.header, ratios.rows) == (["", "Flax NNX"], [["GRU, D = H = 64", "1.25x"]])
    assert (memory.header, memory.rows) == (["", "lstm_jax"], [[f"GRU {SHAPE}", "200"]])
    assert allocator.rows[-1] == ["ratio", "1.50x"]
