"""The model card of an export: a README.md as the hub shows it, with what is known of a model and nothing else.

Names in a run may come from a stranger, so they stand between backticks. No text of the data is in a card.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from arasuji.bases import KNOWN
from arasuji.config import SamplingConfig
from arasuji.corpus import SPLITS, Corpus
from arasuji.corpus.originality import COPY_WORDS
from arasuji.exports.figures import TOKENS, Copying, Likelihood
from arasuji.runs import RunDirectory, TrainedModel, best_of, versions
from arasuji.writing import LONGEST_COPY

LICENCES = {"Apache-2.0": "apache-2.0", "MIT": "mit", "Gemma": "gemma", "Llama 3.2": "llama3.2"}
"""The hub's names of the licences that bases have."""
PROGRAMS = {"hf": "transformers", "gguf": "llama.cpp", "onnx": "ONNX Runtime", "ctranslate2": "CTranslate2"}
SHOWN = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat_ngram_size", "num_beams")
"""The sampling settings that other programs have too."""
LOSSLESS = ("", "f32", "fp32", "float32")
"""Types that hold the weights of a run as they are."""


@dataclass(frozen=True)
class Card:
    """What is known of an export; `facts` are its JSON."""

    run: str
    format: str
    type: str
    family: str
    tokenizer: str
    parameters: int
    context_length: int | None
    start: tuple[int, str]
    """The token before each text, and how its tokenizer writes it."""
    end: tuple[int, str]
    """The same of the token after each text."""
    document: dict[str, Any]
    """What it predicts and what it reads before; see `DocumentConfig`."""
    fields: dict[str, dict[str, int]]
    """What it can be told; see `RunFacts`."""
    sampling: dict[str, Any]
    corpus: dict[str, Any]
    """Its hash, and where it was at hand the names of its sources, the number of its texts, and their licence."""
    base: dict[str, str]
    """The name, the licence and the terms of the pretrained model that it began as; empty where there was none."""
    teacher: str
    averaged: list[str]
    imported: str
    preset: str
    settings: list[str]
    training: dict[str, Any]
    """Its steps, tokens and minutes, the seed, and the step at which it was best."""
    versions: dict[str, str]
    likelihood: Likelihood | None
    copies: dict[str, Copying]
    without_figures: str
    """Why there are no figures."""
    opening: str

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def card_of(
    directory: RunDirectory,
    trained: TrainedModel,
    to: str,
    kind: str,
    opening: str,
    corpus: Corpus | None,
    without_figures: str,
    likelihood: Likelihood | None,
    copies: dict[str, Copying],
) -> Card:
    """What a run, its opened model and its corpus say."""
    run = directory.facts
    experiment, best = run.experiment, best_of(directory.path) or {}
    last: dict[str, Any] = next((line for line in reversed(directory.history()) if "tokens" in line), {})
    return Card(
        run=directory.path.resolve().name,
        format=to,
        type=kind,
        family=experiment.family,
        tokenizer=experiment.tokenizer.name,
        parameters=trained.model.size()["parameters"],
        context_length=trained.model.context_length,
        start=_token(trained, trained.tokenizer.start_id),
        end=_token(trained, trained.tokenizer.end_id),
        document=experiment.document.model_dump(),
        fields={name: dict(values) for name, values in run.told.items()},
        sampling=trained.sampling.model_dump(),
        corpus=_corpus_of(run.corpus.hash, corpus),
        base=_base_of(experiment.base),
        teacher=_short(experiment.teaching.teacher),
        averaged=[_short(name) for name in run.averaged],
        imported=run.imported,
        preset=run.name,
        settings=[_without_folder(setting) for setting in run.settings or ()],
        training={
            "seed": experiment.train.seed,
            "best_step": best.get("step"),
            "steps": last.get("step"),
            "tokens": last.get("tokens"),
            "minutes": round(last["seconds"] / 60, 1) if "seconds" in last else None,
        },
        versions=run.versions,
        likelihood=likelihood,
        copies=copies,
        without_figures=without_figures,
        opening=opening,
    )


def _token(trained: TrainedModel, number: int) -> tuple[int, str]:
    """A token, and how a tokenizer of the tokenizers library writes it; empty of another one."""
    fast = getattr(trained.tokenizer, "fast", None)
    return number, fast.id_to_token(number) if fast else ""


def _corpus_of(hash: str, corpus: Corpus | None) -> dict[str, Any]:
    if corpus is None:
        return {"hash": hash}
    starter = str(Path(str(resources.files("arasuji.data"))).resolve() / "starter.jsonl")
    return {
        "hash": corpus.hash,
        "sources": [Path(source).name for source in corpus.sources],
        "texts": {name: len(corpus.split(name)) for name in SPLITS},
        "licence": "CC0-1.0" if corpus.sources == (starter,) else "",
    }


def _base_of(name: str) -> dict[str, str]:
    if not name:
        return {}
    if known := KNOWN.get(name):
        return {"name": known.hub, "licence": known.licence, "terms": known.terms}
    by_hub = {base.hub: base for base in KNOWN.values()}
    if name in by_hub:
        return {"name": name, "licence": by_hub[name].licence, "terms": by_hub[name].terms}
    return {"name": _short(name), "licence": "", "terms": ""}


def _short(name: str) -> str:
    """The last part of a path; a name of the hub as it is."""
    is_path = name.startswith((".", "/", "~")) or "\\" in name
    return re.split(r"[\\/]", name)[-1] if is_path else name


def _without_folder(setting: str) -> str:
    key, equals, value = setting.partition("=")
    return f"{key}{equals}{_short(value)}"


def markdown(card: Card) -> str:
    """The text of README.md."""
    parts = (_front, _what, _how_it_opens, _figures, _what_it_copies, _how_it_was_made, _data, _licences)
    return "\n\n".join("\n".join(part(card)) for part in parts) + "\n"


def _front(card: Card) -> Iterator[str]:
    """The table that the hub reads. A language and licences that nobody knows are left out."""
    yield "---"
    yield "pipeline_tag: text-generation"
    if card.format == "hf":
        yield "library_name: transformers"
    if card.base:
        if "/" in card.base["name"]:
            yield f"base_model: {json.dumps(card.base['name'])}"
        if card.base["licence"] in LICENCES:
            yield f"license: {LICENCES[card.base['licence']]}  # of the base; see the end of this page"
    yield "tags:"
    yield "- arasuji"
    yield f"- {card.format}"
    yield "---"


def _what(card: Card) -> Iterator[str]:
    does = {
        "text": "It continues a text, or writes a new one from nothing.",
        "title": "It reads a text and writes a title for it.",
        "middle": "It reads the first and the last sentence of a text and writes what stands between them.",
    }
    yield f"# {card.run}"
    yield ""
    yield (
        f"A language model of {card.parameters:,} parameters (family {_code(card.family)}, tokens "
        f"{_code(card.tokenizer)}), written by arasuji {versions()['arasuji']} for {PROGRAMS[card.format]}"
        f"{f', with weights of the type {_code(card.type)}' if card.type else ''}. "
        f"{does[card.document['predicts']]}"
    )
    if card.context_length:
        yield f"It reads at most {card.context_length:,} tokens."


def _how_it_opens(card: Card) -> Iterator[str]:
    yield "## How it opens"
    yield ""
    yield "In this folder:"
    yield ""
    yield "```python"
    yield card.opening.strip()
    yield "```"
    yield ""
    start, end = (
        f"the token {_code(name)} (number {number})" if name else f"the token with the number {number}"
        for number, name in (card.start, card.end)
    )
    after = "it ends them too" if start == end else f"{end} ends them"
    yield (
        f"All texts that the model has learnt from begin with {start}, and {after}. The lines above put that token "
        "before a text. Without it, the model writes worse texts."
    )
    yield ""
    usual = {name: field.default for name, field in SamplingConfig.model_fields.items() if name != "temperature"}
    kept = {name: value for name, value in card.sampling.items() if name in SHOWN and value != usual.get(name)}
    settings = ", ".join(f"{name} {value:g}" for name, value in kept.items())
    yield f"The run writes with these settings: {settings}, at most {card.sampling['max_length']:,} tokens."
    if card.document["format"]:
        yield ""
        yield (
            f"Before each {card.document['predicts']} the model has read "
            f"{_code(json.dumps(card.document['format'], ensure_ascii=False))}, with the fields of the text in the "
            "places of their names. Begin a prompt with this, which the lines above leave out; a field may be empty."
        )


def _figures(card: Card) -> Iterator[str]:
    yield "## Figures"
    yield ""
    found = card.likelihood
    if found is None:
        yield f"None were measured when this folder was written: {card.without_figures}."
        return
    interval = "one group of texts has no interval"
    if found.interval:
        interval = f"95 % interval {found.interval[0]:.3f} to {found.interval[1]:.3f}, by the bootstrap of groups"
    yield (
        f"**{'At least ' * found.lower_bound}{found.bits_per_byte:.3f} bits for each byte** of the test split "
        f"({interval}): {found.documents:,} of its {found.of:,} texts, {found.bytes:,} bytes. Less is better."
    )
    if card.imported:
        yield "Whether the model has learnt from these texts is not known, since it was trained elsewhere."
    else:
        yield "The model has not been trained on them."
    if card.format == "hf":
        yield f"The weights in this folder are those that were measured, in {found.precision}."
    elif card.type in LOSSLESS:
        yield f"It was measured by arasuji in {found.precision}, before the model was written in this format."
    else:
        yield (
            f"It was measured by arasuji with the whole weights, in {found.precision}. Those in this folder are "
            f"rounded ({_code(card.type)}) and were not measured."
        )


def _what_it_copies(card: Card) -> Iterator[str]:
    yield "## What it copies"
    yield ""
    if not card.copies:
        predicts = card.document["predicts"]
        why = f"a model of {predicts}s is not looked at" if predicts != "text" else card.without_figures
        yield f"This was not measured: {why or 'no test text is long enough'}."
        yield "A model may write sentences of the texts that it has learnt from."
        return
    rows = {
        f"written by arasuji, by a rule: no more than {LONGEST_COPY} words in a row stand in the training split": (
            "with the rule"
        ),
        "written without this rule, as every other program does": "without",
        "the test texts themselves, whole": "real",
    }
    yield (
        f"{card.copies['without'].texts} texts in each row. Each was begun with the first words of a test text, has at "
        f"most {TOKENS} tokens more, and was looked up in the training split; capitals and punctuation do not count."
    )
    yield ""
    yield f"| texts | most words in a row | texts with {COPY_WORDS} words in a row |"
    yield "| --- | ---: | ---: |"
    for title, name in rows.items():
        row = card.copies[name]
        yield f"| {title} | {row.longest} | {row.copying} of {row.texts} |"
    yield ""
    yield "The rule is not part of this folder. It lets a text have what ten training texts share, such as a name."
    if card.imported:
        yield "What the model has learnt from elsewhere was not looked up."


def _how_it_was_made(card: Card) -> Iterator[str]:
    yield "## How it was made"
    yield ""
    if card.imported:
        yield f"It was trained elsewhere, and brought to arasuji as the folder {_code(card.imported)}."
        return
    if card.averaged:
        yield f"Its weights are the mean of the runs {', '.join(map(_code, card.averaged))}."
    settings = "".join(f" --set {shlex.quote(setting)}" for setting in card.settings)
    yield "```sh"
    yield " ".join(f"arasuji train {card.preset}{settings} --corpus CORPUS --out RUN".split()).replace("`", "'")
    yield "```"
    yield ""
    made, said = card.training, [f"seed {card.training['seed']}"]
    if made["steps"]:
        said += [f"{made['steps']:,} steps", f"{made['tokens']:,} tokens", f"{made['minutes']:,} minutes"]
    if made["best_step"] is not None:
        said.append(f"best at step {made['best_step']:,}")
    yield ", ".join(said).capitalize() + "."
    if card.base:
        yield f"It began as {_code(card.base['name'])}."
    if card.teacher:
        yield f"It was taught by another model, {_code(card.teacher)}."
    yield "Versions: " + ", ".join(_code(f"{name} {version}") for name, version in card.versions.items()) + "."


def _data(card: Card) -> Iterator[str]:
    yield "## Data"
    yield ""
    found = card.corpus
    if not found["hash"]:
        yield "What it has learnt from is not known."
        return
    yield f"SHA-256 of the corpus: {_code(found['hash'])}. The texts are not part of this folder."
    if "texts" in found:
        yield "Texts: " + ", ".join(f"{count:,} {name}" for name, count in found["texts"].items()) + "."
        names = ", ".join(map(_code, found["sources"])) or "not known, since an earlier version made the corpus"
        yield f"Sources: {names}."


def _licences(card: Card) -> Iterator[str]:
    yield "## Licences"
    yield ""
    if card.corpus.get("licence"):
        yield "Data: dedicated to the public domain (CC0 1.0)."
    else:
        yield (
            "Data: unknown to arasuji. Texts belong to those who wrote them: find out what they allow before you pass "
            "on a model of them."
        )
    yield ""
    if card.base:
        licence, terms = card.base["licence"] or "unknown to arasuji", card.base["terms"]
        yield f"Base: {_code(card.base['name'])}, {licence}{f' ({terms})' if terms else ''}."
    elif card.imported:
        yield "Base: unknown to arasuji."
    else:
        yield "Base: none. All weights were learnt from the data."


def _code(name: str) -> str:
    """A name that may come from a stranger, in one line and without its own backticks."""
    return f"`{' '.join(name.split()).replace('`', chr(39))}`"
