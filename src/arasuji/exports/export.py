"""Writes a run for other programs: the folder of a format, with a model card, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch

from arasuji import device, folders, models
from arasuji.corpus import Corpus, Progress
from arasuji.errors import CorpusError, OptionError, RunError, nearest
from arasuji.exports import FORMATS, Format, card, figures, format_of, hf
from arasuji.exports.card import Card
from arasuji.files import write_text
from arasuji.runs import RunDirectory, TrainedModel, corpus_of, is_run, open_model, own_corpus
from arasuji.runs.imported import EXPORT
from arasuji.speech import say
from arasuji.writing import load


def export(
    run: Path, out: Path, to: str, kind: str = "", corpus: Path | None = None, progress: Progress = lambda *_: None
) -> Card:
    """Write the best model of a run into the new folder `out`; see `api.export`."""
    chosen = format_of(to)
    if kind and kind not in chosen.kinds:
        types = nearest(kind, chosen.kinds) if chosen.kinds else "it has one type alone: leave --type out"
        raise OptionError(f"the format {to} has no type {kind!r}; {types}")
    kind = kind or next(iter(chosen.kinds), "")
    if os.path.lexists(out):
        raise RunError(f"{out} exists already; say another --out")
    if not is_run(str(run)):
        raise RunError(f"{run} is no run: make one with `arasuji train`; `arasuji runs` lists them")
    directory = RunDirectory(run)
    opened, why = _corpus(run, corpus)
    progress(f"opening {run}", 0, 4)
    trained = open_model(str(run), device.dtype("auto"))
    whole = folders.open_folder(run / "best")
    weights = whole[0] if whole else run / "best"  # another one, where a process was killed while it replaced `best`
    with folders.new_folder(out) as fresh:
        progress(f"writing {to}", 1, 4)
        _write(chosen, to, trained, weights, fresh, kind)
        likelihood, copies = None, {}
        if opened is not None:
            trained.model.to(device.here())
            progress("scoring the test split, for the card", 2, 4)
            likelihood = figures.likelihood(directory, trained, opened)
            if trained.predicts == "text":
                progress("writing texts and looking for copies in them, for the card", 3, 4)
                copies = figures.copying(load(run), opened)
        made = card.card_of(directory, trained, to, kind, chosen.opening(fresh), opened, why, likelihood, copies)
        write_text(fresh / "README.md", card.markdown(made))
        folders.seal(fresh, {"kind": EXPORT, **made.facts()})
    return made


def _corpus(run: Path, named: Path | None) -> tuple[Corpus | None, str]:
    """The corpus of the figures; or None and why there is none, in words that name no folder of this machine. Raises
    RunError where a named one is not that of the run."""
    known = corpus_of(str(run))
    if named:
        opened = Corpus.load(named)
        if known and known["hash"] != opened.hash:
            raise RunError(f"{named} is not the corpus that {run.name} was trained on, or has changed since")
        return opened, ""
    if not known.get("folder"):
        return None, "the run knows no corpus"
    try:
        opened = own_corpus(Path(known["folder"]))
        if known["hash"] != opened.hash:
            raise CorpusError(f"{known['folder']} is not the corpus that {run.name} was trained on any more")
    except (CorpusError, OSError, ValueError) as error:  # the path may come from anyone
        say(f"note: the card will have no figures: {error}")
        return None, "the corpus of the run was not at hand"
    return opened, ""


def _write(chosen: Format, to: str, trained: TrainedModel, weights: Path, out: Path, kind: str) -> None:
    """Fill the folder in the one of two ways that there is for the model."""
    family = trained.facts["family"]
    if hf.is_transformer(weights):
        model = out / ".model"
        model.mkdir()
        hf.write_model(trained, weights, model)
        chosen.write(model, out, kind)
        shutil.rmtree(model)
        return
    if not models.family(family).one_step:
        raise OptionError(
            f"{trained.name} is of the family {family!r}, which no other program computes: it writes with arasuji alone"
        )
    if chosen.write_step is None:
        able = [f"--to {name}" for name in FORMATS if format_of(name).write_step]
        raise OptionError(f"{to} holds transformers, and {trained.name} is of the family {family!r}: say {able[0]}")
    trained.tokenizer.save(out)
    chosen.write_step(open_model(trained.source, torch.float32).model, out, kind)
