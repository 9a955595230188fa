"""All that a teacher does for a student, kept in a folder of the student's run.

    RUN/teacher/teacher.json       the checksums of the teacher's files
    RUN/teacher/texts.jsonl        what it has written (`writing`)
    RUN/teacher/draws-KEY.bin      what it expects at each token of the corpus and of its own texts (`reading`)

None of it depends on the student's weights or seed: another run of the same teacher and tokens goes on with this folder
where it is copied into its own.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from arasuji import device, files, processes
from arasuji.config import TeachingConfig
from arasuji.corpus import Record
from arasuji.errors import OptionError, RunError
from arasuji.models import LanguageModel, Loss, TrainingTexts
from arasuji.runs import TrainedModel, mark_of, open_model
from arasuji.teaching import reading, writing
from arasuji.teaching.draws import taught
from arasuji.teaching.vectors import begin_as
from arasuji.tokenizers import Tokenizer


@dataclass(frozen=True)
class Taught:
    """What the teacher has done so far."""

    stage: Literal["writes", "reads"]
    texts: int
    share: float
    """Of this stage."""


@dataclass
class Lesson:
    """What a teacher does for a student that reads `train` as tokens of `tokenizer`."""

    folder: Path
    config: TeachingConfig
    train: Sequence[Record]
    tokenizer: Tokenizer
    format: str
    """What the student reads before each text."""
    tokens: str
    """A checksum of the training split as tokens."""

    def __post_init__(self) -> None:
        if processes.count() > 1:
            raise OptionError("a teacher teaches in one process: start it without torchrun")
        self.shares_tokens = self.tokenizer.base_ids is not None
        if (self.config.weight or self.config.embeddings) and not self.shares_tokens:
            raise OptionError(
                "the teacher's tokens are not the student's: say --set teaching.weight=0 --set "
                "teaching.embeddings=false, or take a preset with the tokenizer 'pruned'"
            )

    def write(self, longest: int) -> Iterator[Taught]:
        """The teacher writes texts of at most `longest` tokens."""
        config, path = self.config, self._texts_path
        if not self._mark_path.exists():
            files.write_json(self._mark_path, self._mark)
        if writing.is_done(path, config.texts, config.minutes):
            return
        teacher = self._open(device.for_writing())
        texts = len(self._written)
        for line in writing.write(teacher, self.train, longest, config.texts, config.minutes, path):
            texts += 1
            share = max(line.seconds / 60 / config.minutes, texts / (config.texts or np.inf))
            yield Taught("writes", texts, min(1.0, share))

    def texts(self) -> list[Record]:
        """What it has written and was not dropped."""
        return [Record("", line.text, metadata=line.metadata) for line in self._written if not line.dropped]

    def notes(self) -> tuple[str, ...]:
        """What a person should know about the texts, a sentence each."""
        if not self.config.minutes:
            return ()
        counts = Counter(line.dropped for line in self._written)
        return (
            f"the teacher has written {counts.total():,} texts, of which {counts['copy']:,} are dropped as copies and "
            f"{counts['no end']:,} since they do not end",
        )

    def read(self, texts: TrainingTexts) -> Iterator[Taught]:
        """The teacher reads the training split and, after it, its own texts."""
        if not self.config.weight:
            return
        base_ids, path, count = self._base_ids, self._draws_path, self.config.draws
        if reading.documents_in(path, texts, count, base_ids) < len(texts):
            teacher = self._open("auto")
            for done in reading.read(teacher.model, base_ids, texts, count, path):
                yield Taught("reads", done, done / len(texts))
        self._draws = reading.draws_in(path, texts, count, base_ids)

    def loss_at(self, places: Tensor) -> Loss:
        """The loss of targets with these places (B, T) in the documents that were read."""
        rows = (places.flatten().numpy() - 1).clip(max=len(self._draws) - 1)  # a pad may stand behind all documents
        found = torch.from_numpy(self._draws[rows].astype(np.int64))
        return taught(found.to(device.here()), self.config.weight)

    def begin(self, student: LanguageModel, counts: np.ndarray) -> None:
        """The student's vectors begin as the teacher's; counts (V,) is how often each token occurs. Raises RunError or
        OptionError where the teacher does not fit the student, or what is kept already."""
        teacher = self._open("fp32")
        if not self.config.embeddings:
            return
        vectors = teacher.model.vectors
        if student.vectors is None or vectors is None:
            raise OptionError(
                "a model without vectors of tokens cannot begin with a teacher's: say --set teaching.embeddings=false"
            )
        begin_as(vectors, student.vectors, self._base_ids, counts)

    @property
    def _base_ids(self) -> np.ndarray:
        assert self.tokenizer.base_ids is not None
        return self.tokenizer.base_ids

    @property
    def _draws_path(self) -> Path:
        """A file for each teacher, split, tokenizer and number of draws."""
        of = json.dumps([self._mark, self.tokens, self.config.draws, self._base_ids.tolist()])
        return self.folder / f"draws-{hashlib.sha256(of.encode()).hexdigest()[:8]}.bin"

    @property
    def _texts_path(self) -> Path:
        return self.folder / "texts.jsonl"

    @property
    def _written(self) -> list[writing.Written]:
        return writing.read_back(self._texts_path, self.config.texts, self.config.minutes)

    @property
    def _mark_path(self) -> Path:
        return self.folder / "teacher.json"

    @property
    def _mark(self) -> dict[str, str]:
        """The checksums of the teacher's files, as they were when it was first asked."""
        path = self._mark_path
        if not path.exists():
            return mark_of(self.config.teacher)
        try:
            return dict(files.read_json(path))
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{path} is damaged: delete {self.folder}, and the teacher works again") from error

    def _open(self, precision: device.Precision) -> TrainedModel:
        """The teacher. Raises RunError where it has changed, and OptionError where it reads texts in another way."""
        teacher = open_model(self.config.teacher, device.dtype(precision))
        if mark_of(self.config.teacher) != self._mark:
            raise RunError(
                f"{self.folder} was made by another version of {self.config.teacher}; train into a new folder, or "
                "delete this one"
            )
        if teacher.format != self.format:
            raise OptionError(
                f"the teacher reads {teacher.format or 'nothing'!r} before each text: say --set document.format="
                f"{json.dumps(teacher.format)}"
            )
        if self.shares_tokens and self._base_ids.max() >= teacher.tokenizer.vocabulary_size:
            raise OptionError(
                f"the run's tokenizer was not made from that of {self.config.teacher}; train into a new folder"
            )
        teacher.model.to(device.here())
        return teacher
