"""The loops of 8-bit models do what torch's operations do, one after the other, whoever does which piece of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.models.int8 import kernels, product, team, vectors
from arasuji.models.int8.matrix import work

pytestmark = pytest.mark.slow

CASES = settings(deadline=None, max_examples=30, derandomize=True)
SEEDS, ROWS = st.integers(0, 10**6), st.integers(1, 5)


def drawn(seed, *shapes):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator) for shape in shapes]


def standing_for(levels, sizes):
    """The numbers (n, D or more) that rows of levels stand for."""
    whole = torch.from_numpy(levels.astype(np.float32) - product.ADDED)
    return whole.flatten(1) * torch.from_numpy(sizes)[:, None]


@CASES
@given(
    seed=SEEDS,
    rows=ROWS,
    size=st.integers(1, 70),
    magnitude=st.sampled_from([0.0, 1e-20, 1.0, 1e20]),
)
def test_levels_stand_for_the_numbers_of_a_row(seed, rows, size, magnitude):
    (x,) = drawn(seed, (rows, size))
    x *= magnitude
    x[0, 0] = 0
    levels, sizes = work(rows, -(-size // 32))
    levels[:] = product.ADDED
    for i, row in enumerate(x):
        sizes[i] = product.quantize(row.numpy(), levels[i].reshape(-1))
    off = (standing_for(levels, sizes)[:, :size] - x).abs()
    assert (off <= 0.501 / 127 * x.abs().amax(1, keepdim=True)).all()


@pytest.mark.parametrize("way", vectors.possible())
def test_each_way_to_multiply_on_this_machine_gives_what_64_bits_give(way):
    assert product.exact(product.multiply, way)


@pytest.mark.parametrize("way", vectors.WAYS)
def test_a_product_that_saturates_is_refused(way):
    """FBGEMM's, where the processor has no VNNI: one side without a sign, pairs of products added in 16 bits."""
    clipped = False

    def multiplied(levels, sizes, matrix, first, last, add, y):
        tiles, scales, _, bias = matrix
        weights = tiles.swapaxes(1, 2).reshape(-1, tiles.shape[1] * 32).astype(np.int64)[: y.shape[1]]
        rows = levels.reshape(len(y), -1).astype(np.int64) - vectors.WAYS[way][1] + 128
        products = rows[:, None] * weights[None]
        pairs = products[..., ::2] + products[..., 1::2]
        if clipped:
            pairs = pairs.clip(-(2**15), 2**15 - 1)
        y[:] = (pairs.sum(-1) - 128 * weights.sum(1)) * (scales * sizes[:, None]) + bias

    assert product.exact(multiplied, way)
    clipped = True
    assert not product.exact(multiplied, way)


def test_a_way_that_is_not_exact_here_is_left_out(monkeypatch):
    refused = vectors.possible()[0]
    exact = product.exact
    monkeypatch.setattr(product, "exact", lambda multiply, way: way != refused and exact(multiply, way))
    if len(vectors.possible()) > 1:
        assert product.proved() == vectors.possible()[1]
    monkeypatch.setattr(product, "exact", lambda multiply, way: False)
    with pytest.raises(AssertionError, match="not exact"):
        product.proved()


def test_a_processor_that_is_not_of_intels_kind_multiplies_the_plain_way(monkeypatch):
    """ARM, say, where LLVM makes NEON's instructions of it; torch's engine for 8 bits is another there, and unused."""
    monkeypatch.setattr(numba.config, "CPU_FEATURES", "+neon,+fp-armv8,+dotprod")
    assert vectors.possible() == ["plain"]


@CASES
@given(
    seed=SEEDS,
    rows=st.integers(1, 70),
    inputs=st.integers(1, 200),
    outputs=st.integers(1, 200),
    threads=st.integers(1, 4),
)
def test_all_ways_give_the_same_to_the_last_bit_alone_and_among_others(seed, rows, inputs, outputs, threads):
    x, weight, scale, bias = drawn(seed, (rows, inputs), (outputs, inputs), (outputs,), (outputs,))
    weight = (weight * 50).clamp(-127, 127).round()
    blocks, groups = -(-inputs // 32), -(-outputs // 4)
    tiles = np.zeros((groups * 4, blocks * 32), np.int8)
    tiles[:outputs, :inputs] = weight
    found = []
    for way in vectors.possible():
        kind, added = vectors.WAYS[way]
        levels = np.full((rows, blocks * 32), added, kind)
        levels[:, :inputs] = (x.numpy() * 40).clip(-127, 127).round() + added
        offsets = tiles.sum(1, dtype=np.int32) * np.int32(added)
        shaped = np.ascontiguousarray(tiles.reshape(groups, 4, blocks, 32).swapaxes(1, 2))
        matrix = (shaped, scale.numpy(), offsets, bias.numpy())
        sizes = np.linspace(0.5, 2, rows, dtype=np.float32)
        for some in [slice(0, rows), *(slice(i, i + 1) for i in (0, rows - 1))]:
            y = np.empty((some.stop - some.start, outputs), np.float32)
            part = levels[some].reshape(-1, blocks, 32)
            for first in range(0, groups, threads):  # in pieces
                product.multiply(part, sizes[some], matrix, first, min(first + threads, groups), False, y)
            found.append((some, y))
    for some, y in found:
        assert np.array_equal(y, found[0][1][some])


@CASES
@given(seed=SEEDS, rows=ROWS, size=st.integers(1, 40), inputs=st.integers(1, 40), large=st.sampled_from([1.0, 1e4]))
def test_an_lstm_remembers_as_torchs_does(seed, rows, size, inputs, large):
    from arasuji.models.int8.matrix import Int8Matrix, quantized

    below, hidden, cells, weight, bias = drawn(
        seed, (rows, inputs), (rows + 2, size), (rows + 2, size), (4 * size, inputs + size), (4 * size,)
    )
    bias *= large
    layer = Int8Matrix(quantized(weight), bias)
    some = torch.randperm(rows + 2, generator=torch.Generator().manual_seed(seed))[:rows]
    enter, forget, new, out = layer(torch.cat([below, hidden[some]], 1)).chunk(4, 1)
    cell = forget.sigmoid() * cells[some] + enter.sigmoid() * new.tanh()
    expected = hidden.clone(), cells.clone()
    expected[0][some], expected[1][some] = out.sigmoid() * cell.tanh(), cell
    both, gates = np.empty((rows, inputs + size), np.float32), np.empty((rows, 4 * size), np.float32)
    room = kernels.LstmRoom(both, *work(rows, layer.tiles.shape[1]), gates)
    none = kernels.Output(np.empty(0, np.int64), layer.arrays, *work(0, 1), np.empty((0, 4 * size), np.float32))
    others = tuple(array[:0, None] for array in layer.arrays)
    parts = below.numpy(), some.numpy(), cells[None].numpy(), hidden[None].numpy()
    team.run(kernels.lstm, 5, *parts, layer.arrays, others, room, room, none)
    torch.testing.assert_close((hidden, cells), expected, rtol=1e-5, atol=1e-5)


@CASES
@given(seed=SEEDS, size=st.integers(2, 70), centred=st.booleans())
def test_norms_are_those_of_gpt2_and_llama(seed, size, centred):
    x, weight, shift = drawn(seed, (size,), (size,), (size,))
    shift *= centred
    found = torch.empty(size)
    kernels.normalize(*(part.numpy() for part in (x, weight, shift)), centred, 1e-5, found.numpy())
    expected = F.layer_norm(x, (size,), weight, shift, 1e-5) if centred else F.rms_norm(x, (size,), weight, 1e-5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@CASES
@given(
    seed=SEEDS,
    size=st.integers(1, 70),
    gated=st.booleans(),
    silu=st.booleans(),
    large=st.sampled_from([1.0, 30.0, 1e4]),
)
def test_activations_are_those_of_gpt2_llama_and_gemma(seed, size, gated, silu, large):
    (y,) = drawn(seed, (size * (1 + gated),))
    y *= large
    found = torch.empty(size)
    kernels.activate(y.numpy(), silu, found.numpy())
    active = F.silu(y[:size]) if silu else F.gelu(y[:size], approximate="tanh")
    torch.testing.assert_close(found, active * y[size:] if gated else active, rtol=1e-4, atol=1e-5 * large)


@CASES
@given(
    seed=SEEDS, before=st.integers(0, 40), kv_heads=st.integers(1, 3), shared=st.integers(1, 3), turned=st.booleans(),
    normed=st.booleans(),
)  # fmt: skip
def test_attention_reads_what_is_kept_of_a_row_and_the_new_token(seed, before, kv_heads, shared, turned, normed):
    heads, size = kv_heads * shared, 8
    qkv, kept, angles = drawn(
        seed, ((heads + 2 * kv_heads) * size,), (2, kv_heads, 64, size), (size // 2 if turned else 0,)
    )
    kept = kept.bfloat16()
    kept[:, :, before:] = float("nan")  # what is not kept is not read
    query, key, value = qkv.view(-1, size).split([heads, kv_heads, kv_heads])
    query_norm, key_norm = drawn(seed + 1, (size * normed,), (size * normed,))
    if normed:
        query, key = F.rms_norm(query, (size,), query_norm, 1e-5), F.rms_norm(key, (size,), key_norm, 1e-5)
    if turned:
        half, cos, sin = size // 2, angles.cos(), angles.sin()
        query, key = (
            torch.cat([x[:, :half] * cos - x[:, half:] * sin, x[:, half:] * cos + x[:, :half] * sin], 1)
            for x in (query, key)
        )
    new = torch.stack([key, value])
    seen = torch.cat([kept[:, :, :before], new[:, :, None].bfloat16()], 2).float()
    expected = F.scaled_dot_product_attention(query[:, None], *seen.repeat_interleave(shared, 1))[:, 0]
    bits, mixed = kept.view(torch.int16).numpy(), qkv.clone().numpy()
    cos, sin = angles.cos().numpy(), angles.sin().numpy()
    kernels.keep(mixed, key_norm.numpy(), 1e-5, cos, sin, bits, before)
    found = torch.empty(heads, size)
    for head in range(heads):
        keys, values = bits[:, head // shared]
        one = mixed[head * size : (head + 1) * size]
        kernels.head_norm(one, query_norm.numpy(), 1e-5)
        kernels.rotate(one, cos, sin)
        kernels.attend(one, keys, values, before + 1, found[head].numpy())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(kept[:, :, before].float(), new.bfloat16().float(), rtol=0.01, atol=1e-6)


@numba.njit(nogil=True)
def counted(board, done):
    for phase in range(len(done)):
        for piece in team.pieces(board, phase, done.shape[1]):
            done[phase, piece] += 1


def test_each_piece_is_done_once_and_a_thread_that_comes_late_does_nothing():
    done = np.zeros((50, 13), np.int64)
    board = np.zeros((50, team.WIDTH), np.int64)
    threads = [threading.Thread(target=counted, args=[board, done]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted(board, done)
    assert (done == 1).all()


def test_loops_run_from_several_threads_at_once():
    found = []

    def several():
        for _ in range(50):
            done = np.zeros((5, 7), np.int64)
            team.run(counted, 5, done)
            found.append(bool((done == 1).all()))

    threads = [threading.Thread(target=several) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 150


def test_a_loop_that_has_ended_keeps_nothing():
    done = np.zeros((3, 7), np.int64)
    board = np.zeros((3, team.WIDTH), np.int64)
    before = sys.getrefcount(board), sys.getrefcount(done)
    for _ in range(10):
        counted(board, done)
    assert (sys.getrefcount(board), sys.getrefcount(done)) == before


def keeps_compiled_loops(folder: Path) -> bool:
    """Whether numba would keep what it compiles, where the file of the loops stands in `folder`."""
    (folder / "loops.py").write_text(Path(product.__file__).read_text("utf-8").split("NOTHING =")[0], "utf-8")
    program = "import sys, loops; sys.exit(loops.compiled.keywords['cache'])"
    home = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | home, capture_output=True, check=False)
    assert not done.stderr, done.stderr
    return done.returncode == 1


@pytest.mark.skipif(os.name != "posix", reason="makes folders that may not be written")
def test_where_nothing_can_be_kept_the_loops_are_compiled_all_the_same(tmp_path):
    (tmp_path / "__pycache__").write_text("in the way")
    assert not keeps_compiled_loops(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
@pytest.mark.parametrize("mode", [0o755, 0o700, 0o777, 0o757])
@pytest.mark.parametrize("empty", [True, False])
def test_compiled_loops_are_read_only_from_where_nobody_else_can_write(tmp_path, mode, empty):
    folder = tmp_path / "__pycache__"
    folder.mkdir()
    if not empty:
        (folder / "loops.nbi").touch()
    folder.chmod(mode)
    shared = bool(mode & 0o022)
    assert keeps_compiled_loops(tmp_path) is (empty or not shared)
    assert folder.stat().st_mode & 0o777 == (mode & 0o755 if empty else mode)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives folders away")
@pytest.mark.parametrize(("user", "group", "kept"), [(65_534, 65_534, False), (0, 0, True), (0, 65_534, False)])
def test_compiled_loops_are_not_read_from_a_strangers_folder(tmp_path, user, group, kept):
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "loops.nbi").touch()
    (tmp_path / "__pycache__").chmod(0o775)
    os.chown(tmp_path / "__pycache__", user, group)
    assert keeps_compiled_loops(tmp_path) is kept
