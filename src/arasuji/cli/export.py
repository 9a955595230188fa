"""`arasuji export`: a run for other programs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from arasuji.cli.terminal import progress_bar, show_json
from arasuji.speech import size


def export(
    run: Annotated[Path, Argument(metavar="RUN", help="A run folder")],
    to: Annotated[str, Option(help="The format: hf, gguf, onnx or ctranslate2")],
    out: Annotated[Path, Option(help="The folder to write")],
    type: Annotated[
        str, Option(help="The type of the weights, such as q8_0 or int8; default: that of the format")
    ] = "",
    corpus: Annotated[Path | None, Option(help="The corpus of the run, where it was moved; for the card")] = None,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Write a run for other programs, with a model card.

    hf: transformers, and what reads its folders (vLLM). gguf: llama.cpp, Ollama. onnx: ONNX Runtime. ctranslate2:
    CTranslate2.
    """
    with progress_bar() as progress:
        from arasuji import api

        card = api.export(run, out, to, type, corpus, progress)
    written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if json:
        show_json({"out": str(out), "bytes": written, **card.facts()})
        return
    print(f"written    {out}, {size(written)}: {to}{f', {card.type}' if card.type else ''}")
    if card.likelihood:
        print(f"figures    {card.likelihood.bits_per_byte:.3f} bits per byte on the test split")
    else:
        print(f"figures    none: {card.without_figures}")
    print(f"card       {out / 'README.md'}: read it before you pass the folder on")
    print(f"open       cd {shlex.quote(str(out))}, then in Python:")
    for line in card.opening.splitlines():
        print(f"           {line}")
