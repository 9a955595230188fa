"""`arasuji presets`, `rules`, `models` and `runs`: lists of what can be used."""

from __future__ import annotations

import json
import shlex
import textwrap
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer import Argument

from arasuji.cli import complete
from arasuji.cli.terminal import COLUMNS, table, working, wrapped
from arasuji.errors import ArasujiError, RunError
from arasuji.speech import say, size

RUN_COLUMNS, DAMAGED = ["run", "preset", "corpus", "bits per byte", "size"], "damaged"
AT_LEAST = ">= "
"""This mark stands before a score that is a lower bound."""

models = typer.Typer(
    help="List pretrained models: their sizes and licences, where they are, how to get them.", rich_markup_mode=None
)


def presets(
    name: Annotated[
        str | None, Argument(metavar="[NAME]", help="Show this preset and its options", autocompletion=complete.presets)
    ] = None,
) -> None:
    """List the presets; with a NAME, print its file and every option that --set can change."""
    from arasuji.config import load_experiment, preset_names, preset_text

    if name is None:
        table("", ["preset", "what it is"], [[n, load_experiment(n)["description"]] for n in preset_names()], left=2)
        print("next       arasuji presets NAME")
        print("           arasuji train NAME --corpus DIR --out RUN")
        return
    print(preset_text(name))
    from arasuji import models as families
    from arasuji import tokenizers
    from arasuji.config import DocumentConfig, Experiment, SamplingConfig, TeachingConfig, TrainConfig

    tables = load_experiment(name)
    sections: dict[str, Any] = {
        "tokenizer": tokenizers.kind(tables["tokenizer"]["name"]).Config,
        "model": families.family(tables["family"]).Config,
        "train": TrainConfig,
        "sampling": SamplingConfig,
        "document": DocumentConfig,
        "teaching": TeachingConfig,
    }
    for section, config in sections.items():
        print(f"[{section}]  options for --set, with their values where the preset sets none")
        for option, field in config.model_fields.items():
            _describe(option, field)
    print("[experiment]")
    _describe("base", Experiment.model_fields["base"])


def rules(
    name: Annotated[
        str | None, Argument(metavar="[NAME]", help="Print this rule set's file", autocompletion=complete.rule_sets)
    ] = None,
) -> None:
    """List the rule sets and the rules; with a NAME, print its file, from which you can make your own."""
    from arasuji.corpus.clean import RULE_SETS, load_rules
    from arasuji.corpus.registry import RULES

    if name is not None:
        load_rules(name)  # an unknown name raises an error that names the nearest one
        path = RULE_SETS / f"{name}.toml"
        print((path if path.is_file() else Path(name)).read_text("utf-8"), end="")
        return
    sets = [[n, load_rules(n).description] for n in complete.rule_sets()]
    table("", ["rule set", "what it is"], sets, left=2)
    rows = [[rule.name, ", ".join(rule.parameters()), rule.summary()] for rule in RULES.values()]
    table("", ["rule", "parameters", "what it does"], sorted(rows), left=3)
    print("next       arasuji rules default > my.toml")
    print("           arasuji prepare SOURCE --rules my.toml --out CORPUS")


def _describe(option: str, field: Any) -> None:
    described = textwrap.wrap(field.description or "", COLUMNS - 6)
    print("\n      ".join([f"  {option} = {json.dumps(field.default)}", *described]))


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context) -> None:
    """List pretrained models: their sizes and licences, where they are, how to get them."""
    if context.invoked_subcommand:
        return
    from arasuji import bases
    from arasuji.bases.known import fits

    known = bases.KNOWN.values()
    headers = ["model", "licence", "found", "parameters", "LoRA", "all weights"]
    rows = [
        [
            *(base.name, base.licence, bases.whereabouts(base) or "-", f"{base.parameters / 1e6:,.0f} M"),
            *(fits(base.lora_bytes), fits(base.full_bytes)),
        ]
        for base in known
    ]
    table("", headers, rows, left=3)
    print("LoRA, all weights: the memory in which it can be trained, of 8, 16 and 24 GB,")
    print("by pretrained-lora and pretrained-full (4 texts of 400 tokens, float32)")
    for licence, terms in {base.licence: base.terms for base in known if base.terms}.items():
        print(wrapped(terms, f"{licence:<11}"))
    print("any other  --set base=FOLDER, or OWNER/NAME on the Hugging Face hub")
    print("next       arasuji models get NAME")


@models.command("get")
def get_model(name: Annotated[str, Argument(help="A name of the list, or OWNER/NAME on the Hugging Face hub")]) -> None:
    """Download a model and keep it."""
    from arasuji import bases

    with working(f"fetching {name}"):
        folder, found = bases.get(name)
    say(f"from {found}")
    if (base := bases.KNOWN.get(name)) and base.terms:
        say(f"licence: {base.terms}")
    print(folder)


def runs(
    folder: Annotated[Path, Argument(metavar="[DIR]", help="The folder of the runs, or one run")] = Path("runs"),
) -> None:
    """List the runs in a folder, with their best scores; of a single run, also what it can be told of a text."""
    if row := _run_row(folder) if folder.is_dir() else None:
        _show_run(folder, row)
        return
    if not folder.is_dir():
        raise RunError(f"no folder {folder}: train with --out {folder}/NAME first")
    rows = [row for path in sorted(folder.iterdir()) if (row := _run_row(path))]
    if not rows:
        raise RunError(f"no runs in {folder}: train with --out {folder}/NAME first")
    # Scores that are exact come first, the best one at the top; lower bounds follow, then runs without a score.
    rows.sort(key=lambda row: (row.score is None, row.lower_bound, row.score, row.cells[0]))
    table("", RUN_COLUMNS, [row.cells for row in rows], left=3)
    print("bits per byte of `best` on the validation split")
    if any(row.lower_bound for row in rows):
        print(f"{AT_LEAST}is a lower bound: what its tokenizer throws away is charged by `evaluate`")
    print(f"next       arasuji evaluate {folder}/NAME")


def _show_run(path: Path, row: _Row) -> None:
    """One run, and the fields that it can be told."""
    from arasuji.runs import RunDirectory

    table("", RUN_COLUMNS, [row.cells], left=3)
    fields = RunDirectory(path).facts.told if row.cells[1] != DAMAGED else {}
    for name, values in fields.items():
        ordered = sorted(values.items()) if all(value.isdigit() for value in values) else values.items()
        several = ", ".join(f"{value} ({texts:,})" for value, texts in ordered)
        lines = textwrap.wrap(several or "anything", COLUMNS - 11, break_on_hyphens=False)
        print("\n           ".join([f"{name:<10} {lines[0]}", *lines[1:]]))
    print(f"next       {asking(path)}")


def asking(path: Path) -> str:
    """The command that writes with a run, with what it can be told."""
    from arasuji.runs import RunDirectory

    run, facts = shlex.quote(str(path)), RunDirectory(path).facts
    predicts = facts.experiment.document.predicts
    if predicts == "title":
        return f"arasuji title {run} TEXT"
    if predicts == "middle":
        return f"arasuji generate {run} --from SENTENCE --to SENTENCE"
    for name in sorted(facts.told, key=lambda name: name != "genres"):
        option = {"genres": "--genre "}.get(name, f"--field {name}=")
        if values := facts.told[name]:
            return f"arasuji generate {run} {option}{shlex.quote(next(iter(values)))}"
    return f"arasuji generate {run} 'After years'"


class _Row(NamedTuple):
    """The line of a run in the table, and the values that it is sorted by."""

    cells: list[str]
    score: float | None = None
    lower_bound: bool = False


def _run_row(path: Path) -> _Row | None:
    """The line of a run; None for a folder that is no run, such as a corpus."""
    from arasuji import tokenizers
    from arasuji.files import read_json
    from arasuji.folders import MANIFEST
    from arasuji.runs import RunDirectory, best_of

    score, lower_bound = None, False
    try:
        manifest = read_json(path / MANIFEST)
        if not isinstance(manifest, dict) or "experiment" not in manifest:
            return None
        facts = RunDirectory(path).facts
        if best := best_of(path):
            score, lower_bound = best["bits_per_byte"], not tokenizers.is_lossless(best["tokenizer"])
        shown = "-" if score is None else f"{AT_LEAST * lower_bound}{score:.3f}"
        about = [facts.name, facts.corpus.hash[:8], shown]
    except OSError:
        return None
    except (ArasujiError, ValueError, KeyError, TypeError):
        score, about = None, [DAMAGED, "-", "-"]
    cells = [path.name, *about, size(sum(f.stat().st_size for f in path.rglob("*") if f.is_file()))]
    return _Row(cells, score, lower_bound)
