"""`arasuji evaluate`: bits per byte of texts that the model has not been trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from arasuji.cli.complete import splits
from arasuji.cli.terminal import show_json, working


def evaluate(
    run: Annotated[str, Argument(metavar="RUN", help="A run folder, or a base model's name")],
    corpus: Annotated[Path | None, Option(help="A corpus folder; default: the one the run was trained on")] = None,
    split: Annotated[str, Option(help="test, validation or train", autocompletion=splits)] = "test",
    texts: Annotated[Path | None, Option(help="Score the texts of this file, as they are, instead")] = None,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Say how many bits a model needs for each byte of held-out text: less is better."""
    from arasuji.errors import OptionError

    if corpus and texts:
        raise OptionError("say --corpus or --texts, not both")
    given = _read_texts(texts) if texts else None
    with working(f"opening {run}"):
        from arasuji import api

        trained = api.load(run, "auto")
    passages, groups, where = given or _split(trained, corpus, split)
    with working(f"scoring {len(passages):,} texts"):
        score = api.evaluate(trained, passages, groups)
    low, high = score.interval()
    result = {
        "bits_per_byte": score.bits_per_byte,
        "low": low,
        "high": high,
        "documents": len(passages),
        "bytes": sum(score.bytes),
        "tokens": score.tokens,
        "charge": score.charge,
    }
    if json:
        show_json(result)
        return
    bound = "at least " if score.charge is None else ""
    print(f"{bound}{score.bits_per_byte:.3f} bits per byte (95 %: {low:.3f} to {high:.3f})")
    print(f"{len(passages):,} documents of {where}, {sum(score.bytes):,} bytes, {score.tokens:,} tokens")
    if score.charge is None:
        print("a lower bound: what this tokenizer throws away (case, spacing, unknown words) is not charged yet")


def _read_texts(path: Path) -> tuple[list[str], list[str] | None, str]:
    from arasuji.corpus.read import read
    from arasuji.errors import SourceError

    passages = [record.text for record in read(path) if record.text]
    if not passages:
        raise SourceError(f"{path} holds no texts")
    return passages, None, str(path)


def _split(trained: Any, corpus: Path | None, split: str) -> tuple[list[str], list[str], str]:
    from arasuji.corpus import Corpus
    from arasuji.errors import OptionError, RunError

    known = trained.facts.get("corpus") or {}
    if corpus is None:
        if not known.get("folder"):
            raise OptionError(f"{trained.name} does not know its corpus: say --corpus DIR or --texts FILE")
        corpus = Path(known["folder"])
    opened = Corpus.load(corpus)
    if known and known["hash"] != opened.hash:
        raise RunError(
            f"{corpus} is not the corpus that {trained.name} was trained on, or has changed since, so its {split} "
            "split may hold training texts; train again, or score a file with --texts"
        )
    records = opened.split(split)
    return [r.text for r in records], [r.group for r in records], f"the {split} split of {corpus}"
