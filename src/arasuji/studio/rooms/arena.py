"""The arena: two texts, one beginning, no names. Who wrote them is said after the vote.

    held-out text ──begin──▶ two continuations, by models or by the person ──cut, cleaned alike──▶ pair ──vote──▶ names

Nothing that leaves the server before the vote says who wrote which text: both are sent at once when both are complete,
which one is left is drawn here, and the pair's name is random.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from arasuji.corpus import Corpus, Record
from arasuji.errors import ArasujiError, CorpusError, OptionError, RunError, nearest
from arasuji.evaluation.blind import Beginnings, beginnings_of, shown
from arasuji.evaluation.preference import ENOUGH
from arasuji.evaluation.task import prompt_of, rest_of
from arasuji.files import read_json
from arasuji.folders import MANIFEST
from arasuji.generation import texts
from arasuji.generation.engine import Finished, Token
from arasuji.runs import CorpusFacts, RunDirectory, best_of
from arasuji.studio.asked import refusal
from arasuji.studio.leaving import ClientLeftError, unless_left
from arasuji.studio.rooms.ballots import PERSON, Ballots, Choice, Question, Side
from arasuji.studio.rooms.reports import FOLDER as REPORTS
from arasuji.studio.rooms.standings import judges_of, preferred, taken_for_human
from arasuji.studio.shelf import Opened, Shelf
from arasuji.studio.writers import FullError, Stream, Writers, WritingError

DRAWS, BEGINNINGS = 10, 5
"""A text that cannot be shown, such as one that is too short, is drawn this many times; then another beginning is
taken, this many in all. One in thirty is hard to go on from, such as one that is always followed by a comma."""
NEEDS = "the arena needs two models of one corpus, or one model and its corpus"
CHANCE = secrets.SystemRandom()

router = APIRouter(prefix="/api/arena")
Name = Annotated[str, Field(max_length=300)]


class PairRequest(BaseModel):
    """What two texts are asked for."""

    model_config = ConfigDict(extra="forbid")

    question: Question
    runs: list[Name] | None = Field(None, min_length=1, max_length=1000)
    """The runs that take part, by default all."""


class Ballot(BaseModel):
    """A vote."""

    model_config = ConfigDict(extra="forbid")

    pair: str = Field(max_length=100)
    choice: Choice


@dataclass(frozen=True)
class Contestant:
    """A run that takes part."""

    mark: str
    """That of its best model, as it lies on the disk."""
    corpus: CorpusFacts


class Arena:
    """What takes part, what was asked, and what was answered."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf, self.ballots = shelf, Ballots(shelf.folder / "arena.sqlite")
        self._beginnings: dict[str, Beginnings] = {}

    def contestants(self) -> tuple[dict[str, Contestant], dict[str, str]]:
        """The runs that can take part; and those that cannot, with the reason."""
        found, problems = {}, {}
        for name in self.shelf.names():
            try:
                if contestant := _contestant(self.shelf.folder / name):
                    found[name] = contestant
            except ArasujiError as error:
                problems[name] = str(error)
        return found, problems

    def beginnings(self, corpus: CorpusFacts) -> Beginnings:
        """Those of a corpus, which is read once. Raises CorpusError, or OptionError where its texts are too short."""
        if corpus.hash not in self._beginnings:
            self._beginnings[corpus.hash] = beginnings_of(Corpus.load(corpus.folder))
        return self._beginnings[corpus.hash]

    def table(self) -> dict[str, Any]:
        """What takes part, and what the votes have come to. Votes on a model that its run has not any more, or on a run
        that is gone, are left out."""
        runs, problems = self.contestants()
        sides = {PERSON, *(Side(name, run.mark) for name, run in runs.items())}
        pairs = [pair for pair in self.ballots.votes() if {pair.left, pair.right} <= sides]
        judges = judges_of(self.shelf.folder / REPORTS, {name: run.corpus.hash for name, run in runs.items()})
        return {
            "runs": [*runs],
            "problems": problems,
            "enough": ENOUGH,
            "read": preferred([pair for pair in pairs if pair.question == "read"]),
            "person": taken_for_human([pair for pair in pairs if pair.question == "person"], judges),
        }


def _contestant(run: Path) -> Contestant | None:
    """None where a run writes no texts. Raises RunError, and CorpusError where its corpus is gone: its texts begin
    held-out ones, and copies of training texts are kept out of them."""
    facts, best = RunDirectory(run).facts, best_of(run)
    if facts.experiment.document.predicts != "text":
        return None
    if best is None:
        raise RunError(f"{run.name} has no best model")
    if run.name == PERSON.name:
        raise RunError("a run of this name cannot be told from a person: rename its folder")
    if not facts.corpus.folder or _hash_of(Path(facts.corpus.folder)) != facts.corpus.hash:
        raise CorpusError(
            f"{run.name} takes no part, since the corpus that it was trained on is not at {facts.corpus.folder!r} any "
            "more: bring it back there, or train again"
        )
    return Contestant(_mark_of(best), facts.corpus)


def _hash_of(corpus: Path) -> str:
    """As the manifest has it: to open a corpus takes as long as to read it."""
    try:
        return str(read_json(corpus / MANIFEST)["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _mark_of(best: Mapping[str, Any]) -> str:
    """Another one for each model: of the sums of its files, by its manifest."""
    return hashlib.sha256(json.dumps(best.get("files"), sort_keys=True).encode()).hexdigest()[:16]


def _arena(request: Request) -> Arena:
    arena: Arena = request.app.state.arena
    return arena


@router.get("")
async def table(request: Request) -> dict[str, Any]:
    """What takes part, and what the votes have come to."""
    try:
        return await asyncio.to_thread(_arena(request).table)
    except ArasujiError as error:
        raise refusal(503, str(error)) from error


@router.post("/votes")
async def vote(ballot: Ballot, request: Request) -> dict[str, str]:
    """Vote on a pair, once; the names of those who wrote it."""
    ballots = _arena(request).ballots
    try:
        pair = await asyncio.to_thread(ballots.find, ballot.pair)
        if pair is None:
            raise refusal(404, "this pair is not known, or it is older than a day: ask for another one")
        if pair.question == "person" and ballot.choice == "poor":
            raise refusal(400, "'poor' does not say which text a person wrote: choose one, or tie")
        if not await asyncio.to_thread(ballots.vote, ballot.pair, ballot.choice):
            raise refusal(409, "this pair was voted on, and a vote is final: ask for another pair")
    except ArasujiError as error:
        raise refusal(503, str(error)) from error
    return {"left": pair.left.name, "right": pair.right.name}


@router.post("/pairs")
async def pairs(asked: PairRequest, request: Request) -> Any:
    """Two texts, when both are complete."""
    try:
        return await unless_left(request, _pair(asked, _arena(request), request.app.state.writers))
    except ClientLeftError:
        return Response(status_code=499)
    except FullError as error:
        raise refusal(429, str(error)) from error
    except OptionError as error:
        raise refusal(400, str(error)) from error
    except (ArasujiError, WritingError) as error:
        raise refusal(503, str(error)) from error


async def _pair(asked: PairRequest, arena: Arena, writers: Writers) -> dict[str, str]:
    runs, _ = await asyncio.to_thread(arena.contestants)
    names = drawn(asked, runs)
    corpus = next(runs[name].corpus for name in names if name in runs)
    beginnings = await asyncio.to_thread(arena.beginnings, corpus)
    opened: dict[str, Opened] = {
        name: await asyncio.to_thread(arena.shelf.open, name, writers.in_use) for name in names if name in runs
    }
    sides = [Side(name, _mark_of(opened[name].trained.facts)) if name in opened else PERSON for name in names]
    groups = {text: record.group for text, record in beginnings.records.items()}
    for _ in range(BEGINNINGS):
        pair, text = await asyncio.to_thread(arena.ballots.draw, asked.question, corpus.hash, groups, *sides)
        record = beginnings.records[text]
        try:
            left, right = await _both([opened.get(name) for name in names], record, beginnings.words, writers)
        except BaseException:
            await asyncio.to_thread(arena.ballots.forget, pair)
            raise
        if left and right:
            return {"pair": pair, "prompt": texts.as_text(prompt_of(record)), "left": left, "right": right}
    raise OptionError(
        f"{' and '.join(opened)}: {BEGINNINGS} beginnings were tried, and none was continued for {beginnings.words} "
        "words: choose other runs"
    )


def drawn(asked: PairRequest, runs: Mapping[str, Contestant]) -> Sequence[str]:
    """Who writes the left text, and who the right one. Raises OptionError where nobody can."""
    names = set(asked.runs or runs)
    for name in names - {*runs}:
        raise OptionError(f"no run {name!r} takes part; {nearest(name, runs)}")
    possible = [(name, PERSON.name) for name in names]
    if asked.question == "read":
        possible += [(a, b) for a, b in combinations(names, 2) if runs[a].corpus.hash == runs[b].corpus.hash]
    if not possible:
        raise OptionError(NEEDS)
    return CHANCE.sample(CHANCE.choice(possible), 2)


async def _both(opened: Sequence[Opened | None], record: Record, words: int, writers: Writers) -> Sequence[str | None]:
    try:
        async with asyncio.TaskGroup() as both:
            writing = [both.create_task(_continued(one, record, words, writers)) for one in opened]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in writing]


async def _continued(opened: Opened | None, record: Record, words: int, writers: Writers) -> str | None:
    """How the beginning of a held-out text goes on by a model, or, where there is none, in truth, as it is shown. None
    where the model has written nothing that can be shown."""
    if opened is None:
        return shown(rest_of(record), words)
    asked, options = texts.Request(prompt_of(record), CHANCE.randrange(2**32)), replace(opened.options, redraw=DRAWS)
    for redrawn in range(DRAWS):
        (stream,) = writers.submit(opened, [options.request(asked, redrawn, streamed=True)])
        finished = await _finished(stream)
        text = shown(finished.completion, words) if finished else None
        if finished and text and not options.draws_again(options.sample(0, asked, finished, redrawn)):
            return text
    return None


async def _finished(stream: Stream) -> Finished | None:
    """A text when it is complete; None as soon as it does not begin with white space, so that it is not shown."""
    text = ""
    try:
        async for events in stream:
            text += "".join(event.text for event in events if isinstance(event, Token))
            if text and not text[0].isspace():
                break
            if isinstance(events[-1], Finished):
                return events[-1]
    finally:
        stream.close()
    return None
