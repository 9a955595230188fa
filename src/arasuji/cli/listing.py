"""`arasuji presets`, `arasuji models`, `arasuji runs`: what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument

from arasuji.cli.terminal import say, size, table, working

models = typer.Typer(help="Pretrained models: sizes, licences, where they are, how to get them.", rich_markup_mode=None)


def presets(name: Annotated[str | None, Argument(metavar="[NAME]", help="Show this one")] = None) -> None:
    """The experiments that ship; with a NAME, its file and every option that --set can change."""
    from arasuji.config import load_experiment, preset_names, preset_text

    if name is None:
        table("", ["preset", "what it is"], [[n, load_experiment(n)["description"]] for n in preset_names()], left=2)
        print("arasuji presets NAME shows one; arasuji train NAME --corpus DIR --out RUN trains it")
        return
    print(preset_text(name))
    from arasuji import models as families
    from arasuji import tokenizers
    from arasuji.config import SamplingConfig, TrainConfig

    tables = load_experiment(name)
    sections: dict[str, Any] = {
        "tokenizer": tokenizers.kind(tables["tokenizer"]["name"]).Config,
        "model": families.family(tables["family"]).Config,
        "train": TrainConfig,
        "sampling": SamplingConfig,
    }
    for section, config in sections.items():
        print(f"[{section}]  options for --set")
        for option, field in config.model_fields.items():
            described = " ".join((field.description or "").split())
            print(f"  {option} = {field.default!r}\n      {described}")


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context) -> None:
    """Pretrained models: sizes, licences, where they are, how to get them."""
    if context.invoked_subcommand:
        return
    from arasuji import bases

    rows = []
    for base in bases.KNOWN.values():
        place = bases.whereabouts(base) or "not here: arasuji models get " + base.name
        rows.append([base.name, base.licence, place, f"{base.parameters / 1e6:.0f} M"])
    table("", ["model", "licence", "found", "parameters"], rows, left=3)
    print("any other: --set base=FOLDER, or OWNER/NAME on the Hugging Face hub")


@models.command("get")
def get_model(name: Annotated[str, Argument(help="A name of the list, or OWNER/NAME")]) -> None:
    """Fetch a model and keep it."""
    from arasuji import bases

    with working(f"fetching {name}"):
        folder, found = bases.get(name)
    say(f"from {found}")
    print(folder)


def runs(folder: Annotated[Path, Argument(metavar="[DIR]", help="Where runs are kept")] = Path("runs")) -> None:
    """The runs in a folder, with their best scores."""
    from arasuji.errors import RunError
    from arasuji.files import MANIFEST
    from arasuji.runs import RunDirectory, best_of

    if not folder.is_dir():
        raise RunError(f"no folder {folder}: train with --out {folder}/NAME first")
    rows = []
    for path in sorted(p for p in folder.iterdir() if (p / MANIFEST).is_file()):
        manifest = RunDirectory(path).manifest
        best = best_of(path)
        score = f"{best['bits_per_byte']:.3f}" if best else "-"
        taken = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
        rows.append([path.name, manifest["name"], manifest["corpus"]["hash"][:8], score, size(taken)])
    if not rows:
        raise RunError(f"no runs in {folder}: train with --out {folder}/NAME first")
    table("", ["run", "preset", "corpus", "bits per byte", "size"], rows, left=3)
    print("bits per byte on the validation split, for `best`; arasuji evaluate RUN scores the test split")
