"""Compares what a run was started with, which its manifest says, with what it would be continued with.

Other tokens, another base or other options are refused in one line; another version of a library is a note.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from arasuji import files, models, tokenizers
from arasuji.config import Experiment, checked
from arasuji.errors import OptionError, RunError
from arasuji.runs import RunFacts
from arasuji.training.documents import Documents


def full_base(base: str) -> str:
    """The full path of a base that is a folder, since a run may be continued from another folder; else its name."""
    return str(Path(base).expanduser().resolve()) if base and Path(base).expanduser().is_dir() else base


def sums_of_base(folder: Path | None) -> dict[str, str]:
    """SHA-256 of each file of a base that its weights and shape are read from. Its tokenizer is kept in the run."""
    read = [*sorted(folder.glob("*.safetensors")), folder / "config.json"] if folder else []
    return {path.name: files.file_hash(path) for path in read}


def sum_of_tokens(documents: Documents) -> str:
    """SHA-256 of the training split as tokens."""
    return hashlib.sha256(documents.tokens.data).hexdigest()


def continued(run: Path, kept: RunFacts, asked: RunFacts) -> RunFacts:
    """The facts to continue a run with: its own experiment and settings, and the base as it is named now.

    `kept` is what the run was started with, `asked` what it would be continued with. Raises RunError for another corpus
    or preset, and OptionError for an option that differs.
    """
    if kept.corpus.hash != asked.corpus.hash:
        raise RunError(f"the corpus has changed since {run} was started; train into a new folder")
    if asked.name and asked.name != kept.name:
        raise RunError(f"{run} is a run of {kept.name}, not of {asked.name}; train into a new folder")
    experiment, base = kept.experiment, asked.experiment.base
    if kept.settings is not None:
        old, new = _options(experiment), _options(asked.experiment.sized_as(experiment))
        if base not in (experiment.base, kept.asked_base):
            if experiment.base and base:  # it may be the same base in another place: `check_base` compares the files
                experiment = experiment.model_copy(update={"base": base})
            else:
                old, new = {"base": experiment.base}, {"base": base}
        for option in old | new:
            if old.get(option) != new.get(option):
                was, asked_for = (f"{option}={json.dumps(of.get(option), ensure_ascii=False)}" for of in (old, new))
                raise OptionError(
                    f"{run} was started with {was} and a resumed run keeps its options: {asked_for} cannot take "
                    f"effect; say --set {was}, or train into a new folder"
                )
    update = {name: getattr(kept, name) for name in ("name", "settings", "asked_base")}
    return asked.model_copy(update={"experiment": experiment, **update})


def check_base(run: Path, kept: RunFacts, now: RunFacts) -> None:
    """Raise RunError where the files of the base differ from those that the run was started with."""
    of, has = kept.base_files, now.base_files
    changed = [name for name in sorted(of | has) if of.get(name) != has.get(name)]
    if kept.tokens and changed:
        raise RunError(
            f"{run} was started with base={kept.experiment.base} ({kept.base}), of which base={now.experiment.base} "
            f"({now.base}) has another {changed[0]}; say --set base=FOLDER where the first one is, or train anew"
        )


def check_tokens(run: Path, kept: RunFacts, now: RunFacts) -> None:
    """Raise RunError where the tokenizer of the run gives other tokens for the training split than at its start."""
    if kept.tokens and kept.tokens != now.tokens:
        raise RunError(
            f"the tokenizer of {run} gives other tokens than when the run was started "
            f"({'; '.join(_other_versions(kept, now)) or 'with the same versions'}); install the versions of then, or "
            "train into a new folder"
        )


def notes(kept: RunFacts, now: RunFacts) -> tuple[str, ...]:
    """What a person should know about a continued run, a sentence each."""
    found = [f"{other}: it goes on, though not bit for bit" for other in _other_versions(kept, now)]
    if kept.settings is None:
        found.append(
            "an earlier version started the run: its base, tokenizer and options are not all known, or compared"
        )
    return tuple(found)


def _other_versions(kept: RunFacts, now: RunFacts) -> list[str]:
    return [
        f"the run was started with {name} {old}, and this is {now.versions.get(name)}"
        for name, old in kept.versions.items()
        if now.versions.get(name) != old
    ]


def _options(experiment: Experiment) -> dict[str, Any]:
    """The value of every option except the base, defaults included, under its name for `--set`."""
    family, kind = models.family(experiment.family), tokenizers.kind(experiment.tokenizer.name)
    tables = {
        "tokenizer": checked(kind.Config, experiment.tokenizer.options, "tokenizer"),
        "model": checked(family.Config, experiment.model, "model"),
        "train": experiment.train,
        "sampling": experiment.sampling,
        "document": experiment.document,
    }
    found = {f"{table}.{n}": v for table, config in tables.items() for n, v in config.model_dump(mode="json").items()}
    return {"family": experiment.family, "tokenizer.name": experiment.tokenizer.name, **found}
