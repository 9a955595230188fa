"""`arasuji demo`: every step on the starter corpus, in ten minutes."""

from __future__ import annotations

import shlex
import shutil
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from arasuji.cli import compare
from arasuji.cli.terminal import COLUMNS, progress_bar
from arasuji.errors import BaseModelError, RunError
from arasuji.speech import say, shown

if TYPE_CHECKING:
    from arasuji.generation.texts import Sample
    from arasuji.runs import TrainedModel

LSTM_SHARE, TRANSFORMER_SHARE = 0.12, 0.55
"""Each training may take this share of the remaining time; the rest is for writing and comparing."""
LSTM_MOST, TRANSFORMER_MOST = 1.0, 5.0
"""Each training takes at most this many minutes: a longer one does not show more."""
LEAST = 0.5
"""Each training may take at least this many minutes."""
LSTM_SETTINGS = ("size=2000", "embedding=256", "hidden=256", "layers=1", "epochs=40", "batch_size=8", "validations=1")
TRANSFORMER_SETTINGS = ("validation_documents=12", "epochs=3")


def demo(
    out: Annotated[Path, Option(help="The folder for the corpus and the two runs")] = Path("demo"),
    minutes: Annotated[float, Option(help="The number of minutes that the demo takes, approximately")] = 9.5,
) -> None:
    """Prepare the starter corpus, train an LSTM, fine-tune a transformer, write texts with both, compare them."""
    from arasuji import api

    end = time.monotonic() + 60 * minutes

    def part(share: float, most: float) -> float:
        """The minutes for a training."""
        return min(most, max(LEAST, share * (end - time.monotonic()) / 60))

    say("1. prepare: the starter corpus, original synopses written for this project (CC0)")
    with resources.as_file(resources.files("arasuji.data") / "starter.jsonl") as source:
        corpus = api.prepare([source], out / "corpus")
    say(f"   {len(corpus.train)} texts to learn from, {len(corpus.validation)} to watch, {len(corpus.test)} to test")
    for note in corpus.notes:
        say(f"   {note}")
    say("\n2. train: a small LSTM, from nothing")
    lstm = _train("lstm-small", LSTM_SETTINGS, out, "lstm", part(LSTM_SHARE, LSTM_MOST))
    base = _base()
    say(f"\n3. fine-tune: {base} with LoRA")
    settings = (*TRANSFORMER_SETTINGS, f"base={base}")
    transformer = _train("pretrained-lora", settings, out, base, part(TRANSFORMER_SHARE, TRANSFORMER_MOST))
    say("\n4. write: the article's eight prompts, both models, the same seeds")
    both = [lstm, transformer]
    samples = [list(api.generate(trained, api.PROMPTS)) for trained in both]
    _side_by_side(both, samples)
    _append(Path("samples.txt"), both, samples)
    say("\n5. compare: likelihood, texts, originality and cost, on one page")
    names = [str(out / "lstm"), str(out / base)]
    with progress_bar() as progress:
        report = api.compare(names, out / "corpus", samples=len(corpus.test), seeds=1, progress=progress)
    report.meta.command = f"arasuji demo --out {shlex.quote(str(out))}"
    compare.save(report, out / "report.html")
    compare.show(report)
    print(f"the texts are in samples.txt, the runs in {out}, the comparison in {out / 'report.html'}")
    print(f"next       arasuji generate {out / base} 'A lighthouse keeper' -n 3")


def _train(preset: str, settings: tuple[str, ...], out: Path, name: str, minutes: float) -> TrainedModel:
    """Train a new run. The run of an earlier demo in the same folder is deleted."""
    from arasuji import api
    from arasuji.cli.train import stop_on_signal
    from arasuji.folders import MANIFEST
    from arasuji.runs import RunDirectory
    from arasuji.training.shown import show

    folder = out / name
    if folder.is_symlink():
        raise RunError(f"{folder} is a link, and is left alone: say another --out")
    if (folder / MANIFEST).exists():
        if RunDirectory(folder).manifest["corpus"]["folder"] != str((out / "corpus").resolve()):
            raise RunError(f"{folder} is a run of yours: say another --out")
        shutil.rmtree(folder)
    with stop_on_signal() as stop:
        corpus = out / "corpus"
        show(api.train_events(preset, corpus, folder, max_minutes=minutes, should_stop=stop, settings=settings))
        if stop():
            raise KeyboardInterrupt
    return api.load(folder)


def _base() -> str:
    """The base model to fine-tune: GPT-2 if it is on this machine or can be downloaded, else SmolLM2."""
    from arasuji import bases

    try:
        bases.find("gpt2")
    except BaseModelError as error:
        bases.get("smollm2-135m")
        say(f"   GPT-2 cannot be had here ({str(error).partition(';')[0]}); SmolLM2-135M takes its place")
        return "smollm2-135m"
    return "gpt2"


def _side_by_side(both: list[TrainedModel], samples: list[list[Sample]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    columns = Table(box=box.SIMPLE_HEAD, show_lines=True, pad_edge=False, width=COLUMNS)
    for trained in both:
        columns.add_column(trained.name, ratio=1, overflow="fold")
    for row in zip(*samples, strict=True):
        columns.add_row(*(shown(sample.text) for sample in row))
    Console(highlight=False, markup=False, width=COLUMNS).print(columns)


def _append(path: Path, both: list[TrainedModel], samples: list[list[Sample]]) -> None:
    from arasuji.files import disk_errors

    with disk_errors(path), path.open("a", encoding="utf-8") as file:
        for trained, texts in zip(both, samples, strict=True):
            for sample in texts:
                file.write(f"[{trained.name}, seed {sample.seed}] {sample.text}\n\n")
