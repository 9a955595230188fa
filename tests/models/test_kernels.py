"""The loops of 8-bit decoders do what torch's operations do, one after the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.models import _kernels

CASES = settings(deadline=None, max_examples=30, derandomize=True)
SEEDS, ROWS = st.integers(0, 10**6), st.integers(1, 5)


def drawn(seed, *shapes):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator) for shape in shapes]


def whole(units, peaks):
    """What rows in units stand for; and that they are as a product wants them."""
    assert (units[:, -2:] == torch.tensor([-1.0, 1.0])).all()
    assert (units.abs().amax(1) == 1).all()
    return units[:, :-2] * peaks[:, None]


@CASES
@given(
    seed=SEEDS,
    rows=ROWS,
    size=st.integers(1, 70),
    more=st.integers(0, 9),
    magnitude=st.sampled_from([0.0, 1e-20, 1.0, 1e20]),
)
def test_rows_in_units_stand_for_themselves(seed, rows, size, more, magnitude):
    x, beside = drawn(seed, (rows, size), (rows, more))
    x *= magnitude
    units, peaks = torch.empty(rows, size + more + 2), torch.empty(rows)
    _kernels.divide(x.numpy(), beside.numpy(), units.numpy(), peaks.numpy())
    torch.testing.assert_close(whole(units, peaks), torch.cat([x, beside], 1))


@CASES
@given(seed=SEEDS, rows=ROWS, size=st.integers(1, 40), large=st.sampled_from([1.0, 1e4]))
def test_an_lstm_remembers_as_torchs_does(seed, rows, size, large):
    y, bias, peaks, cell, hidden = drawn(seed, (rows, 4 * size), (4 * size,), (rows,), (rows, size), (rows, size))
    y *= large
    peaks = peaks.exp()
    enter, forget, new, out = (y * peaks[:, None] + bias).chunk(4, 1)
    kept = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
    _kernels.remember(*(part.numpy() for part in (y, peaks, bias, cell, hidden)))
    torch.testing.assert_close(cell, kept, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(hidden, out.sigmoid() * kept.tanh(), rtol=1e-5, atol=1e-5)


@CASES
@given(seed=SEEDS, rows=ROWS, size=st.integers(2, 70), centred=st.booleans())
def test_a_norm_adds_the_product_first(seed, rows, size, centred):
    x, y, bias, weight, shift, peaks = drawn(seed, (rows, size), (rows, size), (size,), (size,), (size,), (rows,))
    shift *= centred
    peaks = peaks.exp()
    added = x + y * peaks[:, None] + bias
    if centred:
        expected = F.layer_norm(added, (size,), weight, shift, 1e-5)
    else:
        expected = F.rms_norm(added, (size,), weight, 1e-5)
    units = torch.empty(rows, size + 2)
    given = (part.numpy() for part in (x, y, peaks, bias, weight, shift))
    _kernels.norm(*given, centred, 1e-5, units.numpy())
    torch.testing.assert_close(x, added, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(whole(units, peaks), expected, rtol=1e-4, atol=1e-5)


@CASES
@given(seed=SEEDS, rows=ROWS, size=st.integers(1, 70), gated=st.booleans(), large=st.sampled_from([1.0, 30.0, 1e4]))
def test_activations_are_those_of_gpt2_and_llama(seed, rows, size, gated, large):
    y, bias, peaks = drawn(seed, (rows, size * (1 + gated)), (size * (1 + gated),), (rows,))
    y *= large
    peaks = peaks.exp()
    z = y * peaks[:, None] + bias
    expected = F.silu(z[:, :size]) * z[:, size:] if gated else F.gelu(z, approximate="tanh")
    units = torch.empty(rows, size + 2)
    _kernels.activate(y.numpy(), peaks.numpy(), bias.numpy(), gated, units.numpy())
    found = units[:, :-2] * peaks[:, None]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * large)


@CASES
@given(
    seed=SEEDS,
    before=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    few=st.integers(1, 3),
    shared=st.integers(1, 3),
    turned=st.booleans(),
)
def test_attention_reads_what_is_kept_of_a_row_and_the_new_token(seed, before, few, shared, turned):
    rows, heads, size, columns = len(before), few * shared, 8, 64
    mixed, bias, peaks, keys, values, angles = drawn(
        seed,
        (rows, (heads + 2 * few) * size),
        ((heads + 2 * few) * size,),
        (rows,),
        (rows + 2, few, columns, size),
        (rows + 2, few, columns, size),
        (rows, size // 2 if turned else 0),
    )
    peaks, keys, values = peaks.exp(), keys.bfloat16(), values.bfloat16()
    slots = torch.randperm(rows + 2, generator=torch.Generator().manual_seed(seed))[:rows]
    for slot, length in zip(slots, before, strict=True):
        keys[slot, :, length:] = values[slot, :, length:] = float("nan")  # what is not kept is not read
    parts = (mixed * peaks[:, None] + bias).view(rows, -1, size)
    query, key, value = parts.split([heads, few, few], 1)
    if turned:
        half, cos, sin = size // 2, angles.cos()[:, None], angles.sin()[:, None]
        query, key = (
            torch.cat([x[..., :half] * cos - x[..., half:] * sin, x[..., half:] * cos + x[..., :half] * sin], -1)
            for x in (query, key)
        )
    expected = []
    for row, length in enumerate(before):
        seen = [
            torch.cat([kept[slots[row], :, :length], new[row, :, None].bfloat16()], 1).float()
            for kept, new in ((keys, key), (values, value))
        ]
        read = F.scaled_dot_product_attention(query[row, :, None], *(s.repeat_interleave(shared, 0) for s in seen))
        expected.append(read.flatten())
    units = torch.empty(rows, heads * size + 2)
    bits = (part.view(torch.int16).numpy() for part in (keys, values))
    _kernels.attend(
        mixed.numpy(), peaks.numpy(), bias.numpy(), angles.cos().numpy(), angles.sin().numpy(), *bits,
        slots.numpy(), np.array(before), units.numpy(),
    )  # fmt: skip
    torch.testing.assert_close(whole(units, peaks), torch.stack(expected), rtol=1e-4, atol=1e-4)
    for row, length in enumerate(before):
        for kept, new in ((keys, key), (values, value)):
            torch.testing.assert_close(
                kept[slots[row], :, length].float(), new[row].bfloat16().float(), rtol=0.01, atol=1e-6
            )


@pytest.mark.skipif(os.name != "posix", reason="makes folders that may not be written")
def test_where_nothing_can_be_kept_the_loops_are_compiled_all_the_same(tmp_path):
    file = tmp_path / "kernels.py"
    file.write_text(Path(_kernels.__file__).read_text("utf-8").split("@compiled")[0], "utf-8")
    (tmp_path / "__pycache__").write_text("in the way")
    program = "import sys, kernels; sys.exit(kernels.compiled.keywords['cache'])"
    home = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | home, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
