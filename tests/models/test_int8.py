"""8-bit weights: near the float32 ones, and each row is read to the last bit as if it were alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import bloom, gemma3, gpt2, llama, llama3, mistral, qwen2, qwen3
from numba.core.codegen import get_host_cpu_features

from arasuji.errors import BaseModelError
from arasuji.models import lstm, transformer
from arasuji.models.int8.matrix import Int8Matrix, quantized

SHAPES = {
    "gpt2": gpt2,
    "gpt2 with an output layer of its own": lambda: gpt2(tie_word_embeddings=False),
    "llama": llama,
    "llama with biases and a tied output layer": lambda: llama(attention_bias=True, tie_word_embeddings=True),
    "llama with slower rotations": llama3,
    "mistral with a window": mistral,
    "qwen2 with a window in one layer": qwen2,
    "qwen3 with norms of its heads": qwen3,
    "gemma3 with norms of all that it adds": gemma3,
}


LSTMS = {
    "lstm": {"embedding": 24, "hidden": 32, "layers": 3},
    "lstm with tied weights": {"embedding": 32, "hidden": 32, "layers": 2, "tie_weights": True},
    "lstm with tied weights and a projection": {"embedding": 24, "hidden": 32, "layers": 2, "tie_weights": True},
    "lstm with an adaptive softmax": {"embedding": 24, "hidden": 32, "layers": 1, "cutoffs": [20, 50]},
}


class Vocabulary:
    vocabulary_size, end_id, pad_id = 101, 0, 1


@pytest.fixture(params=[*SHAPES, *LSTMS], ids=lambda name: name.replace(" ", "-"))
def family(request):
    """A family, and a folder with one of its models in float32 and in 8 bits."""
    return lstm if request.param in LSTMS else transformer


@pytest.fixture
def folder(request, family, tmp_path):
    torch.manual_seed(1)
    name = request.node.callspec.params["family"]
    (tmp_path / "base").mkdir()
    (tmp_path / "int8").mkdir()
    network = lstm.build(lstm.Config(**LSTMS[name]), Vocabulary) if name in LSTMS else SHAPES[name]()
    with torch.no_grad():
        for parameter in network.parameters():  # biases, too, which begin at 0
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    network.save(tmp_path / "base") if name in LSTMS else network.save_pretrained(tmp_path / "base")
    family.quantize(tmp_path / "base", tmp_path / "int8")
    return tmp_path


def rows_of(*lengths):
    generator = torch.Generator().manual_seed(2)
    return [torch.randint(2, 101, (n,), generator=generator).tolist() for n in lengths]


def padded(rows):
    width = max(map(len, rows))
    return torch.tensor([row + [1] * (width - len(row)) for row in rows]), torch.tensor([len(row) for row in rows])


@settings(deadline=None, max_examples=60, derandomize=True)
@given(seed=st.integers(0, 10**6), magnitude=st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 1e6]))
def test_a_quantized_matrix_is_off_by_half_a_step_at_most(seed, magnitude):
    weight = magnitude * torch.randn(7, 12, generator=torch.Generator().manual_seed(seed))
    weight[3] = 0
    weight[4] *= 1000  # a large row does not coarsen the others
    near = quantized(weight)
    error = (near.weight.double() * near.scale[:, None].double() - weight.double()).abs()
    assert (error <= 0.5001 * weight.double().abs().amax(1, keepdim=True) / 127 + 1e-38).all()
    assert torch.equal(
        Int8Matrix(near).rows(torch.tensor([4, 3])), near.weight[[4, 3]].float() * near.scale[[4, 3], None]
    )


@settings(deadline=None, max_examples=60, derandomize=True)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40), width=st.sampled_from([1, 3, 32, 65]), bias=st.booleans())
def test_a_product_is_near_the_exact_one_and_no_row_changes_another(seed, count, width, bias):
    generator = torch.Generator().manual_seed(seed)
    weight, x = torch.randn(9, width, generator=generator), torch.randn(count, width, generator=generator)
    x *= torch.logspace(-4, 4, count)[:, None]  # rows of very different size
    x[count // 2] = 0
    added = torch.randn(9, generator=generator) if bias else None
    layer = Int8Matrix(quantized(weight), added)
    together = layer(x)
    for row, y in zip(x, together, strict=True):
        assert torch.equal(layer(row[None])[0], y)
        exact = torch.nn.functional.linear(row, weight, added)
        bound = (row.abs().max() / 100) * weight.abs().sum(1) + weight.abs().amax(1) / 100 * row.abs().sum()
        assert ((y - exact).abs() <= bound + 1e-6).all()


@torch.no_grad()
def test_scores_are_near_those_of_the_weights_it_was_made_of(family, folder):
    exact, near = family.load(folder / "base"), family.load(folder / "int8", torch.int8)
    ids, lengths = padded(rows_of(5, 40, 17))
    for ours, theirs in zip(near.step(ids, lengths)[0], exact.step(ids, lengths)[0], strict=True):
        assert torch.cosine_similarity(ours, theirs, dim=0) > 0.99
    targets = ids.roll(-1, 1)
    ours, theirs = near(ids, targets)[0], exact(ids, targets)[0]
    assert abs(float(ours.mean() / theirs.mean()) - 1) < 0.03


@torch.no_grad()
def test_a_row_is_read_and_written_to_the_last_bit_as_if_it_were_alone(family, folder):
    model = family.load(folder / "int8", torch.int8)
    rows = rows_of(3, 9, 40, 17)
    ids, lengths = padded(rows)
    scores, state = model.step(ids, lengths)
    steps = [scores]
    for token in range(5):
        scores, state = model.step(torch.full((4, 1), 7 + token), torch.ones(4, dtype=torch.int64), state)
        steps.append(scores)
    for i, row in enumerate(rows):
        scores, state = model.step(*padded([row]))
        assert torch.equal(scores[0], steps[0][i])
        for token in range(5):
            scores, state = model.step(torch.tensor([[7 + token]]), torch.tensor([1]), state)
            assert torch.equal(scores[0], steps[token + 1][i])


@pytest.mark.slow
@pytest.mark.skipif("+avx2" not in get_host_cpu_features(), reason="this processor has other vectors")
def test_it_is_so_with_shorter_vectors_and_where_the_loops_are_found_compiled(tmp_path):
    """The small models above fill the vectors of a processor with AVX2 alone, and not those of newer ones."""
    longer = re.compile(r"\+(avx512|avx10|avxvnni|amx|evex)")
    own = [feature for feature in get_host_cpu_features().split(",") if not longer.match(feature)]
    features = {"NUMBA_CPU_NAME": "znver3", "NUMBA_CPU_FEATURES": ",".join(own)}
    environment = os.environ | features | {"NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__, "-k", "as_if_it_were_alone"]
    for _ in range(2):  # the first compiles them
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    assert any((tmp_path / "compiled").rglob("*.nbc"))


@torch.no_grad()
def test_token_by_token_equals_the_whole(family, folder):
    model = family.load(folder / "int8", torch.int8)
    (row,) = rows_of(12)
    nats, _ = model(torch.tensor([row[:-1]]), torch.tensor([row[1:]]))
    state = None
    for token, following, paid in zip(row, row[1:], nats[0], strict=False):
        scores, state = model.step(torch.tensor([[token]]), torch.tensor([1]), state)
        assert -scores[0].log_softmax(0)[following] == pytest.approx(float(paid), abs=1e-5)
    _, state = model.step(torch.tensor([row[:5]]), torch.tensor([5]))
    after = model(torch.tensor([row[5:-1]]), torch.tensor([row[6:]]), state)[0]
    torch.testing.assert_close(after[0], nats[0, 5:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["gemma3 with norms of all that it adds", "lstm"], indirect=True)
def test_it_opens_and_reads_without_the_import_of_transformers(family, folder):
    """Which takes seconds."""
    program = (
        f"import sys, torch; from pathlib import Path; import {family.__name__} as family\n"
        "model = family.load(Path(sys.argv[1]), torch.int8)\n"
        "model.step(torch.tensor([[5, 6]]), torch.tensor([2]))\n"
        "assert 'transformers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program, folder / "int8"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_its_files_are_a_quarter_and_hold_no_pickle(family, folder):
    def size(name):
        return sum(path.stat().st_size for path in (folder / name).glob("*.safetensors"))

    assert size("int8") < 0.45 * size("base")  # vectors and positions stay in float32
    assert {path.suffix for path in (folder / "int8").iterdir()} == {".safetensors", ".json"}


def test_other_architectures_say_that_they_have_none(tmp_path):
    bloom().save_pretrained(tmp_path / "base")
    with pytest.raises(BaseModelError, match="8-bit weights are for GPT-2, Llama"):
        transformer.quantize(tmp_path / "base", tmp_path)


def test_more_tokens_than_the_context_holds_are_refused(tmp_path):
    gpt2().save_pretrained(tmp_path / "base")
    (tmp_path / "int8").mkdir()
    transformer.quantize(tmp_path / "base", tmp_path / "int8")
    model = transformer.load(tmp_path / "int8", torch.int8)
    _, state = model.step(*padded(rows_of(64)))
    with pytest.raises(ValueError, match="context of 64"):
        model.step(torch.tensor([[5]]), torch.tensor([1]), state)
