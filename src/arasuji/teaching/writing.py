"""A teacher writes texts from nothing, as it finds them likely: at temperature 1, with no token left out.

They are kept as JSON lines in the order of their numbers, which are their seeds; what a killed process has left is
continued.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from arasuji import files
from arasuji.config import SamplingConfig
from arasuji.corpus import Record
from arasuji.corpus.index import numbered
from arasuji.corpus.originality import COPY_WORDS, copied
from arasuji.corpus.suffixes import sorted_suffixes
from arasuji.errors import PromptError, RunError
from arasuji.generation.decode import decode
from arasuji.generation.engine import check_length
from arasuji.generation.texts import Options, Request, Sample, beginning_of
from arasuji.runs import TrainedModel

AT_ONCE = 50
"""This many texts are kept at once."""


class Written(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    text: str = ""
    """Empty where it was dropped."""
    metadata: dict[str, object] = {}
    """The fields of a training text that the teacher was told, if it reads fields."""
    dropped: Literal["", "copy", "no end", "no room"] = ""
    """Why it was dropped: it has `COPY_WORDS` words in a row from one training text, which the student reads anyway; it
    is empty or had not ended; or its fields leave no room for a text."""
    seconds: float = Field(allow_inf_nan=False)
    """For how long the teacher had written by then."""


def write(
    teacher: TrainedModel, train: Sequence[Record], longest: int, texts: int, minutes: float, path: Path
) -> Iterator[Written]:
    """Let the teacher write until there are `texts` (0: no limit) or `minutes` are over; yields what is new, before it
    is kept. A text that has not ended after `longest` tokens is dropped, since the student must not learn to end there.
    Texts are kept in the order in which they were begun, so long ones are not rarer than they should be."""
    written, size = _lines(path)
    first, training = len(written), sorted_suffixes(numbered(train))
    reads = teacher.tokenizer, teacher.format
    began = time.monotonic() - (written[-1].seconds if written else 0)

    def fields(number: int) -> dict[str, object]:
        return train[number % len(train)].metadata if teacher.format else {}

    def requests() -> Iterator[Request]:
        for number in count(first):
            if number == texts > 0:
                return
            try:
                check_length(teacher.model, teacher.tokenizer, beginning_of("", fields(number), *reads))
                yield Request("", number, fields(number))
            except PromptError:
                ready[number] = None

    def keep(some: list[Written]) -> None:
        nonlocal size
        for line in some:
            if copied(line.text, training).longest >= COPY_WORDS:
                line.text, line.dropped = "", "copy"
        content = "".join(line.model_dump_json(exclude_defaults=True) + "\n" for line in some).encode()
        files.append(path, content, at=size)
        size += len(content)
        some.clear()

    ready: dict[int, Sample | None] = {}
    """Texts that are finished, by their numbers; None where the fields leave no room."""
    waiting: list[Written] = []
    following = first
    settings = SamplingConfig.model_validate({"temperature": 1.0, "max_length": longest})
    try:
        for event in decode(teacher.model, Options(teacher.tokenizer, settings, format=teacher.format), requests()):
            if isinstance(event, Sample):
                ready[event.seed] = event
            while following in ready:
                sample, seconds = ready.pop(following), round(time.monotonic() - began, 1)
                line = Written(metadata=fields(following), seconds=seconds)
                if sample is None:
                    line.dropped = "no room"
                elif sample.finished and sample.text:
                    line.text = sample.text
                else:
                    line.dropped = "no end"
                waiting.append(line)
                following += 1
                yield waiting[-1]
                if seconds >= 60 * minutes:
                    return
            if len(waiting) >= AT_ONCE:
                keep(waiting)
    finally:
        if waiting:
            keep(waiting)


def is_done(path: Path, texts: int, minutes: float) -> bool:
    """Whether the teacher has written all that it should."""
    written, _ = _lines(path)
    over = bool(written) and written[-1].seconds >= 60 * minutes
    return minutes == 0 or over or len(written) >= texts > 0


def read_back(path: Path, texts: int, minutes: float) -> list[Written]:
    """What it has written as the first `texts` (0: no limit) and within `minutes`: the file may hold more, for another
    run."""
    written = _lines(path)[0][: texts or None] if minutes else []
    late = next((i for i, line in enumerate(written, 1) if line.seconds >= 60 * minutes), len(written))
    return written[:late]


def _lines(path: Path) -> tuple[list[Written], int]:
    """The lines of the file, without an incomplete one that a killed process has left, and their bytes."""
    found, size = [], 0
    try:
        with files.regular(path) as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                found.append(Written.model_validate_json(line))
                size += len(line)
    except FileNotFoundError:
        pass  # it has written nothing yet
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged: delete it, and the teacher writes again") from error
    return found, size
