"""The Data room: the corpora, what the rules did to them, and what is wrong with the texts as they were found."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi import Path as PathPart

from arasuji import files
from arasuji.corpus import SPLITS, Corpus, Record, RuleCount
from arasuji.corpus.clean import as_toml, load_rules
from arasuji.corpus.examples import Example
from arasuji.corpus.registry import RULES
from arasuji.corpus.source import Reading
from arasuji.errors import ArasujiError, OptionError, RunError
from arasuji.speech import shortened
from arasuji.studio import jobs
from arasuji.studio.jobs import Job, Jobs

PAGE = 20
"""So many texts are shown at once."""
LONGEST = 5000
"""Of a text, at most this many characters are shown."""
READING = {field.name for field in fields(Reading)} - {"keep"}
"""The options of reading that `inspect` has."""

T = TypeVar("T")
router = APIRouter(prefix="/api/corpora")


@router.get("")
async def corpora(request: Request) -> list[dict[str, Any]]:
    """The corpora, and the number of documents of each of their splits."""

    def row(name: str) -> dict[str, Any]:
        try:
            corpus = request.app.state.corpora.open(name)
        except ArasujiError as error:
            return {"id": name, "documents": {}, "hash": "", "problem": str(error)}
        return {"id": name, "documents": _documents(corpus), "hash": corpus.hash, "problem": None}

    return await asyncio.to_thread(lambda: [row(name) for name in request.app.state.corpora.places()])


@router.get("/{name}")
async def corpus(name: str, request: Request) -> dict[str, Any]:
    """What the rules did, and the TOML of each. `toml` is the whole set, or None where it is not known; `sources` are
    the names of the files that the corpus was made of, where all of them are still there."""
    return await _of(name, request, _about)


def _about(corpus: Corpus) -> dict[str, Any]:
    default = {step.rule: step.table for step in load_rules("default").steps}
    came, *rules = corpus.rules
    tables = [count.table for count in rules if count.table]
    return {
        "documents": _documents(corpus),
        "hash": corpus.hash,
        "seed": corpus.seed,
        "notes": corpus.notes,
        "came": came.left,
        "rules": [_rule(count, default) for count in rules],
        "toml": "\n".join(map(as_toml, tables)) if len(tables) == len(rules) else None,
        "sources": [Path(source).name for source in _sources(corpus)],
    }


def _documents(corpus: Corpus) -> dict[str, int]:
    return {name: len(corpus.split(name)) for name in SPLITS}


def _rule(count: RuleCount, default: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A rule's counts and its TOML. Where an earlier version did not keep its parameters, `known` is False and the TOML
    is that of the default set."""
    name = count.rule.partition(":")[0]
    table = count.table or default.get(name, {})
    rule = RULES.get(name)  # that of another package may be gone
    return {
        **count.counts(),
        "summary": rule.summary() if rule else "",
        "quotable": rule.quotable if rule else True,
        "toml": as_toml(table) if table else "",
        "known": count.table is not None,
    }


@router.get("/{name}/rules/{number}")
async def examples(name: str, number: Annotated[int, PathPart(ge=1, lt=2**31)], request: Request) -> dict[str, Any]:
    """Texts that a rule changed or removed; the first rule has the number 1."""

    def shown(corpus: Corpus) -> dict[str, Any]:
        if number >= len(corpus.rules):
            raise OptionError(f"{name} was made by {len(corpus.rules) - 1} rules: there is no rule {number}")
        return {"examples": [_example(example) for example in corpus.rules[number].examples]}

    return await _of(name, request, shown)


def _example(example: Example) -> dict[str, Any]:
    return {"removed": example.after is None, "pieces": example.pieces()}


@router.get("/{name}/texts")
async def texts(
    name: str,
    request: Request,
    split: Literal["train", "validation", "test"] = "train",
    word: Annotated[str, Query(max_length=200)] = "",
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> dict[str, Any]:
    """Texts of a split in which a word stands, or a part of one, in any case; all texts where none is given."""
    wanted = re.compile(f"({re.escape(word)})", re.IGNORECASE) if word else None

    def shown(corpus: Corpus) -> dict[str, Any]:
        having = (record for record in corpus.split(split) if not wanted or wanted.search(record.text))
        found = list(islice(having, offset, offset + PAGE + 1))
        return {"texts": [_text(record, wanted) for record in found[:PAGE]], "more": len(found) > PAGE}

    return await _of(name, request, shown)


def _text(record: Record, wanted: re.Pattern[str] | None) -> dict[str, Any]:
    text = shortened(record.text, LONGEST)
    parts = wanted.split(text) if wanted else [text]
    pieces = [("mark" if place % 2 else "same", part) for place, part in enumerate(parts) if part]
    return {"title": str(record.metadata.get("title", "")), "pieces": pieces}


@router.post("/{name}/inspect", status_code=202)
async def inspect(name: str, request: Request) -> dict[str, Any]:
    """Examine the texts as they were found, in a process of its own; or the corpus where its sources are gone."""
    own: Jobs = request.app.state.jobs

    def started(corpus: Corpus) -> dict[str, Any]:
        sources = _sources(corpus)
        about = {"hash": corpus.hash, "of": "sources" if sources else "corpus"}
        own.start(_job_name(name), "inspect", _arguments(corpus, sources), about)
        return _inspection(own, name, corpus)

    try:
        return await _of(name, request, started)
    except RunError as error:
        raise HTTPException(409, str(error)) from error


@router.get("/{name}/inspection")
async def inspection(name: str, request: Request) -> dict[str, Any]:
    """Whether the corpus as it is now has been examined ("none", "running", "failed", "done"), and what was found."""
    return await _of(name, request, lambda corpus: _inspection(request.app.state.jobs, name, corpus))


def _job_name(name: str) -> str:
    """The name of the job that examines a corpus, which may have a name that no job can have."""
    plain = f"inspect-{name}"
    return plain if re.fullmatch(jobs.NAME, plain) else f"inspect-{hashlib.sha256(os.fsencode(name)).hexdigest()[:20]}"


def _sources(corpus: Corpus) -> list[str]:
    """What the corpus was made of; nothing where a part of it is gone, or none is known."""
    there = all(Path(source).is_absolute() and Path(source).exists() for source in corpus.sources)
    return list(corpus.sources) if there else []


def _arguments(corpus: Corpus, sources: list[str]) -> list[str]:
    """What `inspect` is given. All paths are full ones, and each value stands in one word with its option, so that none
    is taken for an option."""
    if not sources:
        return [str(corpus.folder), "--json"]
    options = {name: value for name, value in corpus.reading.items() if name in READING and value}
    words = [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}") for name, value in options.items()]
    return [*sources, *words, "--rules=default", f"--seed={corpus.seed}", "--json"]


def _inspection(own: Jobs, name: str, corpus: Corpus) -> dict[str, Any]:
    job = own.find(_job_name(name))
    if job is None or job.about.get("hash") != corpus.hash:
        return {"state": "none"}
    told = own.told(job)
    lines = [line.strip() for line in told["said"].splitlines() if line.strip()]
    state = {"job": job.name, "of": job.about.get("of"), "began": told["began"], "said": lines[-1] if lines else ""}
    if told["running"]:
        return {"state": "running", **state}
    if told["code"] != 0:
        stopped = told["asked_to_stop"] or told["code"] is None
        return {"state": "failed", **state, "said": "it was stopped" if stopped else state["said"]}
    try:
        return {"state": "done", **state, "result": _found(own, job)}
    except (RunError, ValueError, KeyError, TypeError, AttributeError):
        return {"state": "failed", **state, "said": "what it has found cannot be read"}


def _found(own: Jobs, job: Job) -> dict[str, Any]:
    """The result of `inspect --json`; each finding with the TOML of its rule and the pieces of its examples."""
    found: dict[str, Any] = files.parse_json(own.result(job))
    for finding in found["findings"]:
        table = {"name": finding["rule"], **finding.pop("parameters")}
        finding["toml"] = as_toml(table) if finding["rule"] else ""
        finding["quotable"] = finding["rule"] not in RULES or RULES[finding["rule"]].quotable
        finding["examples"] = [_example(Example(**example)) for example in finding["examples"]]
    return found


async def _of(name: str, request: Request, work: Callable[[Corpus], T]) -> T:
    """Open a corpus and do something with it, in a thread."""
    try:
        return await asyncio.to_thread(lambda: work(request.app.state.corpora.open(name)))
    except OptionError as error:
        raise HTTPException(404, str(error)) from error
    except RunError:
        raise
    except ArasujiError as error:
        raise HTTPException(503, str(error)) from error
