"""Runs as ONNX and CTranslate2, judged by these engines beside ours: the same tokens, the same scores, how quickly.

    python bench/exports.py CORPUS RUN ...     one thread; a minute or two a run

For each run and each type of weights: the size of the folder; how many of 100 tokens, the likeliest each time, come
before one that differs from ours; by how much the log-probability of a token of the corpus's test texts differs at
most; what that does to the bits of all of them; and the tokens a second for one text, as a ratio to ours in 8 bits,
which is how `generate` writes, measured in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import ctranslate2
import numpy as np
import onnxruntime
import torch

from arasuji.corpus import Corpus
from arasuji.errors import OptionError
from arasuji.exports import format_of, hf
from arasuji.runs import TrainedModel, open_model

TEXTS, READ, TOKENS, ROUNDS = 12, 256, 100, 3


class Engine(Protocol):
    """What is judged. Ends are never written."""

    def write(self, prompt: list[int], count: int) -> list[int]:
        """The likeliest tokens, one after the other."""

    def scores(self, ids: list[int]) -> np.ndarray:
        """The log-probability of each token after the first one."""


class Ours:
    def __init__(self, trained: TrainedModel) -> None:
        self.model, self.end = trained.model, trained.tokenizer.end_id

    @torch.inference_mode()
    def write(self, prompt: list[int], count: int) -> list[int]:
        new, state, written = prompt, None, []
        for _ in range(count):
            logits, state = self.model.step(torch.tensor([new]), torch.tensor([len(new)]), state)
            logits[0, self.end] = -torch.inf
            new = [int(logits[0].argmax())]
            written += new
        return written

    @torch.inference_mode()
    def scores(self, ids: list[int]) -> np.ndarray:
        nats, _ = self.model(torch.tensor([ids[:-1]]), torch.tensor([ids[1:]]))
        return -nats[0].numpy()


class Onnx:
    """A graph with a cache; or one of one step, which reads token by token."""

    def __init__(self, out: Path, end: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        (file,) = (out / "onnx").iterdir()
        self.session, self.end = onnxruntime.InferenceSession(file, options), end
        self.state = {i.name: i.shape for i in self.session.get_inputs() if i.type == "tensor(float)"}
        self.by_steps = len(self.session.get_inputs()) == len(self.state) + 1

    def read(self, new: list[int], read: int, state: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The logits after each of the new tokens (T, V), and the state."""
        if self.by_steps:
            state = state or {name: np.zeros((shape[0], 1, shape[2]), "f4") for name, shape in self.state.items()}
            found = []
            for token in new:
                logits, *after = self.session.run(None, {"input_ids": np.array([[token]]), **state})
                state = dict(zip(state, after, strict=True))
                found.append(logits[0])
            return np.stack(found), state
        state = state or {name: np.zeros((1, s[1], 0, s[3]), "f4") for name, s in self.state.items()}
        told = {
            "input_ids": np.array([new]),
            "attention_mask": np.ones((1, read + len(new)), np.int64),
            "position_ids": np.arange(read, read + len(new))[None],
        }
        logits, *after = self.session.run(None, told | state)
        return logits[0], dict(zip(state, after, strict=True))

    def write(self, prompt: list[int], count: int) -> list[int]:
        ids, read, state = prompt[:], 0, {}
        for _ in range(count):
            (logits, state), read = self.read(ids[read:], read, state), len(ids)
            logits[-1, self.end] = -np.inf
            ids.append(int(logits[-1].argmax()))
        return ids[len(prompt) :]

    def scores(self, ids: list[int]) -> np.ndarray:
        logits, _ = self.read(ids[:-1], 0, {})
        return torch.from_numpy(logits).log_softmax(-1)[range(len(logits)), ids[1:]].numpy()


class CTranslate2:
    def __init__(self, out: Path, end: int) -> None:
        self.model = ctranslate2.Generator(str(out), inter_threads=1, intra_threads=1)
        self.words = json.loads((out / "vocabulary.json").read_text("utf-8"))

    def write(self, prompt: list[int], count: int) -> list[int]:
        words = [self.words[i] for i in prompt]
        (found,) = self.model.generate_batch(
            [words], min_length=count, max_length=count, sampling_topk=1, include_prompt_in_result=False
        )
        return found.sequences_ids[0]

    def scores(self, ids: list[int]) -> np.ndarray:
        return np.array(self.model.score_batch([[self.words[i] for i in ids]])[0].log_probs)


ENGINES: dict[str, Callable[[Path, int], Engine]] = {"onnx": Onnx, "ctranslate2": CTranslate2}


def exported(trained: TrainedModel, weights: Path, to: str, kind: str, out: Path) -> None:
    """Fill the folder, as `arasuji export` does."""
    out.mkdir()
    if step := None if hf.is_transformer(weights) else format_of(to).write_step:
        step(trained.model, out, kind)
        return
    with tempfile.TemporaryDirectory() as model:
        hf.write_model(trained, weights, Path(model))
        format_of(to).write(Path(model), out, kind)


def speeds(engines: dict[str, Engine], prompt: list[int]) -> dict[str, float]:
    """Tokens a second; they take turns, so that what else runs on the machine slows all of them."""
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine.write(prompt, TOKENS)
            taken[name].append(time.perf_counter() - start)
    return {name: TOKENS / statistics.median(seconds) for name, seconds in taken.items()}


def judge(run: str, texts: list[str], work: Path) -> None:
    trained = open_model(run, torch.float32)
    end, encode = trained.tokenizer.end_id, trained.tokenizer.encode
    rows = [[end, *encode(text)][: min(trained.model.context_length or READ, READ)] for text in texts]
    first = Ours(trained)
    written, scored = first.write(rows[0][:8], TOKENS), [first.scores(row) for row in rows]
    engines: dict[str, Engine] = {"ours, fp32": first, "ours, int8": Ours(open_model(run, torch.int8))}
    sizes = dict.fromkeys(engines, "")
    for to, engine in ENGINES.items():
        able = hf.is_transformer(Path(run) / "best") or format_of(to).write_step
        for kind in format_of(to).kinds if able else ():
            out = work / f"{Path(run).name}-{to}-{kind}"
            start = time.perf_counter()
            try:
                exported(trained, Path(run) / "best", to, kind, out)
            except OptionError as error:
                print(f"{Path(run).name} {to} {kind}: {error}", flush=True)
                continue
            size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
            engines[f"{to}, {kind}"] = engine(out, end)
            sizes[f"{to}, {kind}"] = f"{size / 1e6:.1f} MB, made in {time.perf_counter() - start:.0f} s"
    speed = speeds(engines, rows[0][:8])
    print(Path(run).name)
    for name, judged in engines.items():
        found, theirs = [judged.scores(row) for row in rows], judged.write(rows[0][:8], TOKENS)
        same = next((i for i, pair in enumerate(zip(written, theirs, strict=True)) if len(set(pair)) == 2), TOKENS)
        apart = max(float(np.abs(a - b).max()) for a, b in zip(scored, found, strict=True))
        more = sum(map(np.sum, found)) / sum(map(np.sum, scored)) - 1
        ratio = speed[name] / speed["ours, int8"]
        print(
            f"  {name:22} {same:4} same  {apart:.1e} nats  {more:+.3%} bits  {ratio:5.2f} x  {sizes[name]}", flush=True
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("runs", nargs="+")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    texts = [record.text for record, _ in zip(Corpus.load(chosen.corpus).test, range(TEXTS), strict=False)]
    with tempfile.TemporaryDirectory() as work:
        for run in chosen.runs:
            judge(run, texts, Path(work))
