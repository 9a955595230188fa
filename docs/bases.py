"""Writes the table in bases.md beside this file: what arasuji can do with each architecture of pretrained models.

    python docs/bases.py            all of them, some minutes
    python docs/bases.py Falcon     prints the row of one

Every "yes" was tried out with a network of two layers and random weights (`tests/networks.py`), and judged by another
program: scores by transformers, GGUF files by llama.cpp, ONNX files by ONNX Runtime, CTranslate2's by CTranslate2.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from arasuji import api, tokenizers
from arasuji.errors import BaseModelError, OptionError
from arasuji.exports import FORMATS
from arasuji.models import transformer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from judged_by_llama_cpp import LlamaCpp
from networks import ARCHITECTURES, CONTEXT

PAGE = Path(__file__).with_suffix(".md")
HEAD = ["architecture", "blocks", "LoRA", "all weights", "8 bits", *FORMATS]
WHOLE = {"hf": "", "gguf": "f32", "onnx": "fp32", "ctranslate2": "float32"}
"""The type of whole weights of each format."""
CLOSE = 1e-4
"""By how much a score in float32 may differ from transformers'."""
YES, NO = "yes", "no"
TEXTS = ("The lamp on the pier went out twice.", "Eight hundred doses, one insulated box.")


def row(name: str) -> list[str]:
    """The cells of an architecture."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tokenizer = _base(name, folder / "base")
        ids = tokenizer.encode(" ".join(TEXTS))[:40]
        wanted = _scores_of_transformers(folder / "base", ids)
        model = transformer.load(folder / "base")
        assert isinstance(model, transformer.Transformer)
        assert near(_step_by_step(model, ids), wanted), f"{name}: our scores are not those of transformers"
        blocks = "ours" if model._shape else "rows together" if model.together else "rows apart"
        trained = [_trains(folder / "base", tokenizer, rank, ids) for rank in (4, 0)]
        api.import_model(folder / "base", folder / "run")
        (written,) = api.generate(folder / "run", TEXTS[0], sampling={"max_length": 5})
        assert written.prompt, f"{name}: nothing is written"
        exports = [_exported(folder, to, ids, wanted) for to in FORMATS]
        return [name, blocks, *trained, _in_8_bits(folder, ids, wanted), *exports]


def _base(name: str, folder: Path) -> Any:
    """A pretrained model as a hub has it, with a small tokenizer; returns this."""
    bpe = tokenizers.kind("bpe")
    tokenizer = bpe.build(bpe.Config(size=300), TEXTS)
    network = ARCHITECTURES[name]()
    network.resize_token_embeddings(tokenizer.vocabulary_size, mean_resizing=False)
    network.save_pretrained(folder)
    tokenizer.save(folder)
    return tokenizer


@torch.inference_mode()
def _scores_of_transformers(folder: Path, ids: list[int]) -> Tensor:
    """(T, V): after each token."""
    scores: Tensor = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(torch.tensor([ids])).logits[0]
    return scores


@torch.inference_mode()
def _step_by_step(model: Any, ids: list[int]) -> Tensor:
    """The same of our model, which reads one token after another beside a longer row."""
    state, read = None, []
    other = torch.arange(len(ids)) % 90
    first = torch.stack([torch.tensor(ids[:3]), other[:3]])
    scores, state = model.step(first, torch.tensor([3, 1]), state)
    read.append(scores[0])
    for token in ids[3:]:
        scores, state = model.step(torch.tensor([[token], [5]]), torch.tensor([1, 1]), state)
        read.append(scores[0])
    return torch.stack(read)


def near(ours: Tensor, wanted: Tensor, off: float = CLOSE) -> bool:
    """Whether the last scores (T', V) are those that are wanted, (T, V), up to a constant of each place."""
    ours, wanted = (part.double().log_softmax(-1) for part in (ours, wanted[-len(ours) :]))
    return bool((ours - wanted).abs().max() <= off)


def _trains(folder: Path, tokenizer: Any, rank: int, ids: list[int]) -> str:
    """Whether a few steps make a text likelier, and what was learned can be put back into a new model."""
    try:
        made = [transformer.build(transformer.Config(lora_rank=rank), tokenizer, folder).float() for _ in range(2)]
    except BaseModelError as error:
        print(f"  LoRA: {error}", file=sys.stderr)
        return NO
    trained, fresh = made
    read, targets = torch.tensor([ids[:-1]]), torch.tensor([ids[1:]])
    optimizer = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(4):
        loss = trained(read, targets)[0].sum()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fresh.restore(trained.learned())
    with torch.no_grad():
        same = torch.equal(*(model.eval()(read, targets)[0] for model in (trained, fresh)))
    return YES if losses[-1] < losses[0] and same else NO


def _in_8_bits(folder: Path, ids: list[int], wanted: Tensor) -> str:
    (folder / "int8").mkdir()
    try:
        transformer.quantize(folder / "base", folder / "int8")
    except BaseModelError:
        return NO
    scores = _step_by_step(transformer.load(folder / "int8", torch.int8), ids)
    return YES if torch.cosine_similarity(scores, wanted[2:], -1).min() > 0.98 else NO


def _exported(folder: Path, to: str, ids: list[int], wanted: Tensor) -> str:
    """Whether the run can be written in a format, and the program that opens it gives the same scores. ONNX and
    CTranslate2 are asked by `export` itself, which refuses what they compute otherwise."""
    out, kind = folder / to, WHOLE[to]
    try:
        api.export(folder / "run", out, to, kind)
    except OptionError as error:
        print(f"  {to}: {error}", file=sys.stderr)
        return NO
    if to == "hf":
        return YES if near(_scores_of_transformers(out, ids), wanted) else NO
    if to == "gguf":
        (file,) = out.glob("*.gguf")
        fields = gguf.GGUFReader(file).fields.items()
        (length,) = (field.contents() for name, field in fields if name.endswith(".context_length"))
        read = ids[: length - 1]  # a window that llama.cpp does not have is the length of its texts
        return YES if LlamaCpp(file, CONTEXT, exact=True).greedy(read) == int(wanted[len(read) - 1].argmax()) else NO
    return YES


def table(rows: list[list[str]]) -> str:
    """The rows as Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [HEAD, ["---"] * len(HEAD), *rows])


def with_table(page: str, rows: list[list[str]]) -> str:
    """The page with other rows."""
    start, stop = page.index("| architecture |"), page.index("\n\n", page.index("| architecture |"))
    return page[:start] + table(rows) + page[stop:]


if __name__ == "__main__":
    if names := sys.argv[1:]:
        print(table([row(name) for name in names]))
    else:
        rows = []
        for name in ARCHITECTURES:
            print(name, file=sys.stderr)
            rows.append(row(name))
        PAGE.write_text(with_table(PAGE.read_text("utf-8"), rows), "utf-8")
