"""A training that is killed goes on as if nothing had happened, to the byte."""

from __future__ import annotations

import functools
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpt2_shaped
import pytest
from hard.forked import set_all
from safetensors.torch import load_file

KILLS = 20
"""Of each family, at `share` 1."""
STEPS = 15
EVERY = ("validation_documents=4", "checkpoint_steps=4", "seed=3", "warmup_steps=2", "patience=0")
SMALL = ("size=400", "embedding=16", "hidden=16", "batch_size=16", "train.max_length=80")
TRANSFORMER = ("batch_size=4", "train.max_length=40")
FAMILIES = {
    "lstm": ("lstm-small", *EVERY, *SMALL, "accumulate=2", "dropout=0.1"),
    "mixture": ("lstm-ngram", *EVERY, *SMALL, "accumulate=3"),
    "ngram": ("ngram", "validation_documents=4", "checkpoint_steps=4", "size=400", "batch_size=4", "accumulate=2",
              "epochs=3"),
    "transformer": ("gpt2-mini", *EVERY, *TRANSFORMER, "size=400", "layers=1", "heads=2", "width=16",
                    "context_length=64", "accumulate=3", "dropout=0.1"),
    "LoRA": ("pretrained-lora", *EVERY, *TRANSFORMER, "accumulate=2", "lora_dropout=0.1", "base=BASE"),
}  # fmt: skip
"""Of each family a preset and its settings: several epochs in `STEPS` steps, several batches in a step, dropout."""

Train = Callable[..., Any]


@pytest.fixture(scope="module")
def train(zygote, few, tmp_path_factory) -> Train:
    """Trains a family into a folder, with `train --resume`, and may be killed on its way (see `surrounded.verb`)."""
    place = tmp_path_factory.mktemp("resumes")
    gpt2_shaped.make(place / "base", **gpt2_shaped.TINY)

    def training(family: str, out: Path, kind: str = "step", moment: int = 0) -> Any:
        preset, *settings = FAMILIES[family]
        words = ["train", preset, "--corpus", few / "corpus", "--out", out, "--max-steps", STEPS, "--resume"]
        words += set_all([setting.replace("BASE", str(place / "base")) for setting in settings])
        arguments = [[*map(str, words)], kind, {moment: signal.SIGKILL}, str(out.with_suffix(".moments"))]
        return zygote.run(function="hard.surrounded:verb", arguments=arguments, seconds=30)

    return training


@pytest.fixture(scope="module")
def whole(train, tmp_path_factory) -> Callable[[str], tuple[dict[str, Any], dict[str, int]]]:
    """What an undisturbed training of a family leaves, and how many moments of each kind it has."""
    folder = tmp_path_factory.mktemp("whole")

    @functools.cache
    def found(family: str) -> tuple[dict[str, Any], dict[str, int]]:
        out = folder / family
        assert train(family, out).problem(0) == ""
        assert_full(out, family)
        return left(out), json.loads(out.with_suffix(".moments").read_text())

    return found


def left(run: Path) -> dict[str, Any]:
    """All that a training has left, but for what a clock has said."""
    found: dict[str, Any] = {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and "tensorboard" not in path.parts
    }
    metrics = [json.loads(line) for line in found["metrics.jsonl"].splitlines()]
    found["metrics.jsonl"] = [{key: value for key, value in line.items() if key != "seconds"} for line in metrics]
    state = json.loads(found["last/state.json"])
    del state["progress"]["seconds"], state["plan"]["seconds"], state["plan"]["memory"]
    found["last/state.json"] = state
    del found["last/manifest.json"]  # the sum of state.json
    return found


def assert_full(run: Path, family: str) -> None:
    """What is compared says something: there are steps, texts, several tensors, moments of the optimizer that are not
    zero, and a state that is carried from batch to batch."""
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in metrics] == list(range(1, STEPS + 1))
    assert len({line["loss"] for line in metrics}) == STEPS
    assert sum("bits_per_byte" in line for line in metrics) >= 4
    assert len((run / "samples.jsonl").read_text().splitlines()) >= 8
    progress = json.loads((run / "last/state.json").read_text())["progress"]
    assert progress["epoch"] >= 1
    tensors = load_file(run / "last/state.safetensors")

    def filled(prefix: str) -> list[str]:
        return [name for name, tensor in tensors.items() if name.startswith(prefix) and tensor.any()]

    assert filled("generator.")
    assert len(filled("model.")) > 1
    if family != "ngram":  # it counts, and has no optimizer
        moments = filled("optimizer.")
        trained = {name.split(".")[1] for name in tensors if name.startswith("optimizer.")}
        assert len(trained) > 3
        for moment in ("exp_avg", "exp_avg_sq", "step"):
            assert sum(name.endswith(f".{moment}") for name in moments) >= len(trained) / 2, moment
    if family in ("lstm", "mixture"):
        assert filled("state.")


def other(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """The names of files that differ; empty where none does."""
    differ = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    return f"other than undisturbed: {', '.join(differ)}" if differ else ""


def test_a_killed_training_goes_on_to_the_byte(cases, train, whole, tmp_path):
    """A training that is killed at any moment, once or twice in a row, goes on to the byte as if nothing had happened.

    Equal are weights, optimizer, generators, metrics and samples; it is killed in the middle of epochs and steps.
    """
    every = [(family, number) for family in FAMILIES for number in range(KILLS)]
    for family, number in cases(every):
        kind = "batch" if number % 2 else "step"
        wanted, moments = whole(family)
        out, killed = tmp_path / f"{family}-{number}", []
        kills = [cases.random.randint(1, moments[kind])]
        if number % 4 > 1:  # again, before it has come as far
            kills.append(cases.random.randint(1, max(1, moments[kind] // 4)))
        for moment in kills:
            ended = train(family, out, kind, moment)
            if ended.code != -signal.SIGKILL:
                killed.append(ended.problem(0))
        ended = train(family, out)
        problem = next(filter(None, killed), "") or ended.problem(0) or other(left(out), wanted)
        cases.saw(f"{family}, killed at {kind} {kills} of {moments[kind]}", problem)
