"""`arasuji evaluate`: bits per byte of texts that the model has not been trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from arasuji.cli.complete import splits
from arasuji.cli.reading import Delimiter, Encoding, Largest, NoHeader, SkipBadRows, TextColumn, TextLayout, as_options
from arasuji.cli.shots import Shots, with_shots
from arasuji.cli.terminal import show_json, working
from arasuji.errors import ArasujiError, OptionError, RunError, SourceError
from arasuji.speech import say

if TYPE_CHECKING:
    from arasuji.corpus import Corpus, Record
    from arasuji.evaluation.score import Score


def evaluate(
    run: Annotated[str, Argument(metavar="RUN", help="A run folder, or a base model's name")],
    corpus: Annotated[Path | None, Option(help="A corpus folder; default: that of the run")] = None,
    split: Annotated[str, Option(help="test, validation or train", autocompletion=splits)] = "test",
    texts: Annotated[Path | None, Option(help="Score the texts of this file instead, without any cleaning")] = None,
    text_column: TextColumn = None,
    title_column: Annotated[
        str | None, Option(help="The column of the titles; texts of one series then count as one group")
    ] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    text_layout: TextLayout = None,
    no_header: NoHeader = False,
    skip_bad_rows: SkipBadRows = False,
    largest: Largest = None,
    fields: Annotated[
        str | None, Option(help="The fields of each text that the model is told: all (default), none, or title,genres")
    ] = None,
    shots: Shots = 0,
    seed: Annotated[int, Option(min=0, max=2**32 - 1, help="The seed by which --shots are drawn")] = 0,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Measure how many bits a model needs for each byte of held-out text. Less is better."""
    if corpus and texts and not shots:
        raise OptionError("say --corpus or --texts, not both")
    if shots and split == "train" and not texts:
        raise OptionError(
            "--shots are texts of the training split, so they cannot stand before it: say another --split"
        )
    reading = {
        "text_column": text_column,
        "title_column": title_column,
        "delimiter": delimiter,
        "encoding": encoding,
        "text_layout": text_layout,
        "no_header": no_header,
        "skip_bad_rows": skip_bad_rows,
        "largest": largest,
    }
    if any(reading.values()) and not texts:
        raise OptionError(f"{as_options(reading)[0]} says how to read a file: name it with --texts")
    read = _read_texts(texts, reading) if texts else None
    from arasuji import api, arguments

    run, opened = arguments.name(run), None
    try:
        opened = _corpus(run, corpus)
    except ArasujiError:  # without the corpus, the charge of a word tokenizer is not known
        if read is None or shots:
            raise
    if opened is None and read is None:
        api.load(run, "auto")  # raises an error where the run itself is damaged
        raise OptionError(f"{run} does not know its corpus: say --corpus DIR or --texts FILE")
    records = read if read is not None else opened.split(split) if opened else []
    names = None
    if fields is not None and fields != "all":
        names = [] if fields == "none" else [name.strip() for name in fields.split(",")]
    with working(f"opening {run}"):
        trained = with_shots(api.load(run, "auto"), opened, shots, seed)
    if read is None and trained.predicts == "title":
        records = [record for record in records if record.metadata.get("title")]
    told = [*trained.fields] if names is None else names
    groups = [record.group for record in records]
    with working(f"scoring {len(records):,} texts"):
        score = api.evaluate(trained, records, groups, opened.train if opened else (), names)
    if json:
        show_json(_as_json(score) | {"told": told, "shots": [record.id for record in trained.shots.records]})
        return
    _show(score, str(texts) if texts else f"the {split} split of {corpus or trained.facts['corpus']['folder']}")
    if trained.fields:
        print(f"told of each: {', '.join(told) or 'nothing'}")
    if shots:
        print(
            f"each was scored after {shots} texts of the training split: {len(trained.shots.ids):,} tokens, not counted"
        )
    if score.charge is None and not opened:
        print("it is not charged since the texts that the run was trained on are not at hand")


def _as_json(score: Score) -> dict[str, Any]:
    low, high = score.interval() or (None, None)
    return {
        "bits_per_byte": score.bits_per_byte,
        "low": low,
        "high": high,
        "documents": len(score.bytes),
        "bytes": sum(score.bytes),
        "tokens": score.tokens,
        "charge": score.charge,
    }


def _show(score: Score, where: str) -> None:
    bound = "at least " if score.charge is None else ""
    alone = "one document has no interval" if len(score.bytes) == 1 else "texts of one group have no interval"
    interval = score.interval()
    shown = f"95 %: {interval[0]:.3f} to {interval[1]:.3f}" if interval else alone
    print(f"{bound}{score.bits_per_byte:.3f} bits per byte ({shown})")
    print(f"{len(score.bytes):,} documents of {where}, {sum(score.bytes):,} bytes, {score.tokens:,} tokens")
    if score.charge is None:
        print("a lower bound: what this tokenizer leaves out (case, spacing, unknown words) is not charged")
    elif score.charge:
        print(f"{score.charge:.3f} of them for what the tokenizer leaves out: case, spacing, unknown words")


def _read_texts(path: Path, reading: dict[str, Any]) -> list[Record]:
    """The texts of a file. Where an option names the column of titles, the texts of one series are one group."""
    from arasuji.corpus.read import read
    from arasuji.corpus.source import NONE, Reading
    from arasuji.corpus.split import group_of

    reading = {**reading, "title_column": reading["title_column"] or NONE}
    records = []
    for place, record in enumerate(read(path, Reading(**reading), say)):
        if record.text:
            group = group_of(record.metadata.get("title", "")) or f"#{place}"
            records.append(replace(record, group=group))
    if not records:
        raise SourceError(f"{path} holds no texts")
    return records


def _corpus(run: str, folder: Path | None) -> Corpus | None:
    """The corpus in `folder`, or that of the run. None for a base model, and for a run that was trained on a corpus in
    memory. Raises RunError where the run was trained on another corpus."""
    from arasuji.corpus import Corpus
    from arasuji.runs import corpus_of, own_corpus

    known = corpus_of(run)
    if folder is None and not known.get("folder"):
        return None
    opened = Corpus.load(folder) if folder else own_corpus(Path(known["folder"]))
    if known and known["hash"] != opened.hash:
        raise RunError(
            f"{folder or known['folder']} is not the corpus that {Path(run).name} was trained on, or has changed since,"
            " so its held-out splits may hold training texts; train again, or score a file with --texts"
        )
    return opened
