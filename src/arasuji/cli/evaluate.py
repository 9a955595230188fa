"""`arasuji evaluate`: bits per byte of texts that the model has not been trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from arasuji.cli.complete import splits
from arasuji.cli.reading import Delimiter, Encoding, NoHeader, SkipBadRows, TextColumn, as_options
from arasuji.cli.terminal import say, show_json, working

if TYPE_CHECKING:
    from arasuji.corpus import Corpus, Record
    from arasuji.runs import TrainedModel


def evaluate(
    run: Annotated[str, Argument(metavar="RUN", help="A run folder, or a base model's name")],
    corpus: Annotated[Path | None, Option(help="A corpus folder; default: the one the run was trained on")] = None,
    split: Annotated[str, Option(help="test, validation or train", autocompletion=splits)] = "test",
    texts: Annotated[Path | None, Option(help="Score the texts of this file, as they are, instead")] = None,
    text_column: TextColumn = None,
    title_column: Annotated[str | None, Option(help="The column of the titles: a series then counts as one")] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    no_header: NoHeader = False,
    skip_bad_rows: SkipBadRows = False,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Say how many bits a model needs for each byte of held-out text: less is better."""
    from arasuji.errors import ArasujiError, OptionError

    if corpus and texts:
        raise OptionError("say --corpus or --texts, not both")
    reading = {
        "text_column": text_column,
        "title_column": title_column,
        "delimiter": delimiter,
        "encoding": encoding,
        "no_header": no_header,
        "skip_bad_rows": skip_bad_rows,
    }
    if any(reading.values()) and not texts:
        raise OptionError(f"{as_options(reading)[0]} says how to read a file: name it with --texts")
    read = _read_texts(texts, reading) if texts else None
    with working(f"opening {run}"):
        from arasuji import api

        trained = api.load(run, "auto")
    opened = None
    try:
        opened = _corpus(trained, corpus)
    except ArasujiError:  # then what a word tokenizer throws away is not charged
        if read is None:
            raise
    records = read if read is not None else opened.split(split) if opened else []
    passages, groups = [record.text for record in records], [record.group for record in records]
    with working(f"scoring {len(passages):,} texts"):
        score = api.evaluate(trained, passages, groups, opened.train if opened else ())
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
    where = str(texts) if texts else f"the {split} split of {corpus or trained.facts['corpus']['folder']}"
    print(f"{bound}{score.bits_per_byte:.3f} bits per byte (95 %: {low:.3f} to {high:.3f})")
    print(f"{len(passages):,} documents of {where}, {sum(score.bytes):,} bytes, {score.tokens:,} tokens")
    if score.charge is None:
        print("a lower bound: what this tokenizer throws away (case, spacing, unknown words) is not charged")
        if not opened:
            print("since the texts that the run was trained on are not at hand")
    elif score.charge:
        print(f"{score.charge:.3f} of them for what the tokenizer throws away: case, spacing, unknown words")


def _read_texts(path: Path, reading: dict[str, Any]) -> list[Record]:
    """The texts of a file; those of one series are of one group where an option names their titles."""
    from arasuji.corpus.read import read
    from arasuji.corpus.source import NONE, Reading
    from arasuji.corpus.split import group_of
    from arasuji.errors import SourceError

    reading = {**reading, "title_column": reading["title_column"] or NONE}
    records = []
    for place, record in enumerate(read(path, Reading(**reading), say)):
        if record.text:
            group = group_of(record.metadata.get("title", "")) or f"#{place}"
            records.append(replace(record, group=group))
    if not records:
        raise SourceError(f"{path} holds no texts")
    return records


def _corpus(trained: TrainedModel, folder: Path | None) -> Corpus:
    """The corpus that is said, or the run's own; never another one than the run was trained on."""
    from arasuji.corpus import Corpus
    from arasuji.errors import OptionError, RunError

    known = trained.facts.get("corpus") or {}
    if folder is None:
        if not known.get("folder"):
            raise OptionError(f"{trained.name} does not know its corpus: say --corpus DIR or --texts FILE")
        folder = Path(known["folder"])
    opened = Corpus.load(folder)
    if known and known["hash"] != opened.hash:
        raise RunError(
            f"{folder} is not the corpus that {trained.name} was trained on, or has changed since, so its held-out "
            "splits may hold training texts; train again, or score a file with --texts"
        )
    return opened
