"""GGUF files of a real run, judged by llama.cpp: tokens, bits per byte, size, seconds to write.

    python bench/gguf_files.py RUN CORPUS [--texts N] [--threads T] [--slots S]

The tokens of 500 texts in many scripts and of the 500 first texts of the test and validation splits are to be equal to
ours, and the bits per byte of the first N test texts that fit into 512 tokens (fields, text and end) may differ from
ours in float32 by 0.1 % (F16) and 1 % (Q8_0). llama.cpp runs as it comes, with keys and values in 16 bits. Texts are
never shown.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from judged_by_llama_cpp import LlamaCpp, texts_of_many_scripts

from arasuji.corpus import Corpus
from arasuji.documents import documents_of
from arasuji.exports import gguf, hf
from arasuji.runs import open_model

CONTEXT = 512
REACH = {"f16": 0.001, "q8_0": 0.01}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--slots", type=int, default=1, help="texts that llama.cpp reads at once")
    told = parser.parse_args()

    torch.set_num_threads(told.threads)
    trained, corpus = open_model(str(told.run), torch.float32), Corpus.load(told.corpus)
    records = list(corpus.test)
    found = zip(documents_of(records, trained.tokenizer, trained.format), records, strict=True)
    chosen = [(document, record) for document, record in found if len(document.ids) <= CONTEXT][: told.texts]
    size = sum(len(record.text.encode()) for _, record in chosen)
    ours = sum(priced(trained.model, document.ids, document.counted_from) for document, _ in chosen)
    print(f"{told.run.name}: {len(chosen)} texts, {size:,} bytes; ours {ours / size / math.log(2):.5f} bits per byte")
    texts = texts_of_many_scripts(500) + [record.text for record in [*records, *corpus.validation][:500]]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work, "hf")
        folder.mkdir()
        hf.write_model(trained, told.run / "best", folder)
        for kind, reach in REACH.items():
            start = time.perf_counter()
            gguf.write(folder, Path(work), kind)
            took = time.perf_counter() - start
            (file,) = Path(work).glob(f"*{kind}.gguf")
            judge = LlamaCpp(file, CONTEXT, told.slots, told.threads)
            other = sum(
                judge.ids(text) != ids for text, ids in zip(texts, trained.tokenizer.encode_batch(texts), strict=True)
            )
            rows = judge.nats([document.ids for document, _ in chosen])
            theirs = sum(sum(row[document.counted_from - 1 :]) for row, (document, _) in zip(rows, chosen, strict=True))
            print(f"  {kind}: {file.stat().st_size / 1e6:.1f} MB in {took:.1f} s, "
                  f"{theirs / size / math.log(2):.5f} bits per byte ({theirs / ours - 1:+.4%}, may be {reach:.1%}), "
                  f"other tokens in {other} of {len(texts)} texts")  # fmt: skip
    print(f"  llama.cpp in xllamacpp {version('xllamacpp')}, gguf {version('gguf')}")


def priced(model: torch.nn.Module, ids: list[int], counted_from: int) -> float:
    """-ln p of the tokens from there on, in nats."""
    row = torch.tensor([ids])
    with torch.inference_mode():
        nats, _ = model(row[:, :-1], row[:, 1:])
    return float(nats[0, counted_from - 1 :].sum(dtype=torch.float64))


if __name__ == "__main__":
    main()
