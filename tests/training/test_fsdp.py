"""Two processes that each have a part of every weight take the steps that one takes with all of them.

As a program, this file is what the two run: torchrun --nproc-per-node 2 tests/training/test_fsdp.py CORPUS OUT BASE
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from arasuji import api, folders, processes
from arasuji.errors import OptionError

pytestmark = pytest.mark.slow
STEPS, FIRST = 20, 12
STILL = ("precision=fp32", "validation_documents=5", "checkpoint_steps=1000000", "seed=3", "train.max_length=40")
NEW = (*STILL, "size=400", "layers=2", "heads=2", "width=16", "context_length=64", "dropout=0")
CASES = {
    "adam": ("gpt2-mini", *NEW, "optimizer=adamw", "clip_norm=0.5", "batch_size=6", "accumulate=2"),
    "muon": ("gpt2-mini", *NEW, "optimizer=muon", "batch_size=4"),
    "lora": ("gpt2-mini", *NEW, "optimizer=adamw", "batch_size=1", "lora_rank=4"),
    "llama": ("pretrained-lora", *STILL, "batch_size=4", "lora_rank=0"),
}
"""Clipped and accumulated gradients; matrices that are made orthogonal; most weights frozen, and batches of one row, so
that one process has none of its own; sizes that two do not divide, and an output layer of its own."""


def train(name, corpus, out, base, steps=STEPS, resume=False):
    preset, *settings = CASES[name]
    settings += ["shard=true", *([f"base={base}"] if preset == "pretrained-lora" else [])]
    list(api.train_events(preset, corpus, out / name, max_steps=steps, resume=resume, settings=settings))
    processes.wait()  # the first process has written all of it


@pytest.fixture(scope="module")
def base(bpe, tmp_path_factory):
    """A Llama of two layers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("base") / "llama"
    torch.manual_seed(0)
    sizes = {"vocab_size": bpe.vocabulary_size, "hidden_size": 24, "intermediate_size": 35, "head_dim": 6}
    shape = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1, "max_position_embeddings": 64}
    LlamaForCausalLM(LlamaConfig(**sizes, **shape, tie_word_embeddings=False)).save_pretrained(folder)
    bpe.save(folder)
    return folder


@pytest.fixture(scope="module")
def alone(corpus, base, tmp_path_factory):
    """Each case, trained by this process."""
    out = tmp_path_factory.mktemp("alone")
    for name in CASES:
        train(name, corpus, out, base)
    return out


@pytest.fixture(scope="module")
def sharded(corpus, base, tmp_path_factory):
    """Each case, trained by two processes, in one go and in two."""
    out = tmp_path_factory.mktemp("sharded")
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__, corpus, out, base]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def log(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def learnt(run):
    return load_file(run / "last/state.safetensors")


@pytest.mark.parametrize("name", CASES)
def test_two_processes_with_a_part_of_every_weight_take_the_steps_of_one(name, alone, sharded):
    ours, theirs = log(alone / name), log(sharded / "whole" / name)
    assert [line["step"] for line in ours] == list(range(1, STEPS + 1))
    assert [line["loss"] for line in theirs] == pytest.approx([line["loss"] for line in ours], abs=1e-4)
    scores = [[line["bits_per_byte"] for line in run if "bits_per_byte" in line] for run in (ours, theirs)]
    assert scores[0]
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_what_they_save_has_the_weights_and_moments_of_one_process(name, alone, sharded):
    ours, theirs = learnt(alone / name), learnt(sharded / "whole" / name)
    assert ours.keys() == theirs.keys()
    for key in ours.keys() - {"generator.cpu"}:
        assert torch.allclose(ours[key], theirs[key], atol=2e-4), key
    models = [api.load(run, "fp32") for run in (alone / name, sharded / "whole" / name)]
    best, same = (dict(opened.model.named_parameters()) for opened in models)
    assert best.keys() == same.keys()
    assert all(torch.allclose(best[key], same[key], atol=2e-4) for key in best)
    texts = [[sample.text for sample in api.generate(opened, "After", sampling={"max_length": 9})] for opened in models]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_both_resumed_equals_an_undisturbed_one_bit_for_bit(name, sharded):
    whole, broken = learnt(sharded / "whole" / name), learnt(sharded / "broken" / name)
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[key], broken[key]) for key in whole)
    assert any(key.startswith("optimizer.") and whole[key].any() for key in whole)


@pytest.mark.parametrize("name", CASES)
def test_one_process_goes_on_with_the_checkpoint_of_two(name, corpus, base, alone, sharded):
    train(name, corpus, sharded / "left", base, resume=True)
    ours, theirs = log(alone / name), log(sharded / "left" / name)
    assert [line["loss"] for line in theirs] == pytest.approx([line["loss"] for line in ours], abs=1e-4)


def test_a_run_that_lost_a_process_says_so_and_is_continued(corpus, tmp_path, kill_second):
    words = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "arasuji",
        "train",
        "gpt2-mini",
    ]
    words += [word for setting in (*NEW, "shard=true", "checkpoint_steps=3") for word in ("--set", setting)]
    words += ["--corpus", str(corpus), "--out", str(tmp_path / "run"), "--resume", "--max-steps"]
    process = subprocess.Popen([sys.executable, *words, "100000"], stderr=subprocess.PIPE, text=True)
    kill_second(process, tmp_path / "run")
    _, said = process.communicate(timeout=100)
    assert process.returncode != 0
    assert "error: the processes have lost each other" in said
    reached = folders.verified(tmp_path / "run/last")["step"]
    subprocess.run([sys.executable, *words, str(reached + 2)], check=True)
    assert [line["step"] for line in log(tmp_path / "run")] == list(range(1, reached + 3))


def test_a_model_without_blocks_is_refused_before_anything_is_written(sharded):
    assert "shard=true is for transformers" in (sharded / "refused.txt").read_text()
    assert not (sharded / "lstm").exists()


if __name__ == "__main__":
    corpus_, out_, base_ = map(Path, sys.argv[1:])
    for case in CASES:
        train(case, corpus_, out_ / "whole", base_)
        train(case, corpus_, out_ / "broken", base_, FIRST)
        if processes.is_main():
            shutil.copytree(out_ / "broken" / case, out_ / "left" / case)
        train(case, corpus_, out_ / "broken", base_, resume=True)
    try:
        small = ["shard=true", "size=300", "embedding=8", "hidden=8"]
        list(api.train_events("lstm-small", corpus_, out_ / "lstm", max_steps=1, settings=small))
    except OptionError as error:
        (out_ / "refused.txt").write_text(str(error))
