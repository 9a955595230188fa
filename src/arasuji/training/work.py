"""A model, the documents it is trained on, and the records it is validated on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import torch

from arasuji import device, models, processes
from arasuji.config import Experiment, checked
from arasuji.corpus import Corpus, Record
from arasuji.documents import documents_of, predictable, read_as
from arasuji.errors import OptionError
from arasuji.evaluation.score import score
from arasuji.generation.decode import decode
from arasuji.generation.texts import Options, Request, Sample
from arasuji.models import LanguageModel, Loss
from arasuji.teaching.share import of_epoch
from arasuji.tokenizers import Tokenizer
from arasuji.training.batches import Batch, Epoch, epoch_batches
from arasuji.training.documents import Documents
from arasuji.training.sharding import in_step, shard, whole_model

WATCHED_PROMPTS = ("", "After years", "A young man")
"""The prompts of the samples that are written at each validation; the first one is empty."""
WATCHED_TOKENS = 60
"""A sample that is written at a validation has at most this many tokens."""
EPOCH_SEEDS = 2**32
"""The seeds of two epochs differ by this, so that no epoch has the seed of another run."""
PROBED_DOCUMENTS = 16
"""This many validation documents are scored before the run, to estimate the time of a validation."""
PROBED_TOKENS = 5
"""The samples that are written before the run, to estimate the time of a validation, have this many tokens."""


def scored_records(corpus: Corpus, chosen: Experiment) -> Sequence[Record]:
    """The records of the validation split by which a run is scored, as it reads them."""
    records, train = predictable(corpus.validation, chosen.document), chosen.train
    if 0 < train.validation_documents < len(records):
        records = random.Random(train.seed).sample(records, train.validation_documents)
    return records if chosen.document.predicts == "text" else [*read_as(records, chosen.document)]


def encoded(records: Iterable[Record], tokenizer: Tokenizer, chosen: Experiment, epoch: int) -> Documents:
    """The records as tokens, as they are read in an epoch."""
    read = read_as(records, chosen.document, chosen.train.seed + EPOCH_SEEDS * epoch)
    return Documents(documents_of(read, tokenizer, chosen.document.format), tokenizer.start_id)


@dataclass
class Work:
    """A model on its device with its tokenizer, the training split as tokens, and the texts it is validated on."""

    chosen: Experiment
    tokenizer: Tokenizer
    model: LanguageModel
    bf16: bool
    train: Sequence[Record]
    """The records of the training split."""
    documents: Documents
    """They as tokens, and after them what a teacher has written (`add`): those of the last epoch that was asked for,
    where other fields are left out in each."""
    records: Sequence[Record]
    """The records of the validation split that are scored."""
    hollow: LanguageModel | None = None
    """A copy of a sharded model without its weights; see `whole_model`."""
    loss_of: Callable[[Batch], Loss] | None = None
    """The loss of each part of a batch, where it is not the cross-entropy."""
    more: Sequence[Record] = ()
    """What a teacher has written."""
    epoch: int = 0
    """The epoch of `documents`."""

    @classmethod
    def build(cls, chosen: Experiment, corpus: Corpus, tokenizer: Tokenizer, base: Path | None) -> Work:
        """Build the model and encode the training split. Raises OptionError for options that cannot be trained."""
        train, family = chosen.train, models.family(chosen.family)
        device.seed_everything(train.seed)
        model = family.build(checked(family.Config, chosen.model, "model"), tokenizer, base)
        if model.context_length is not None and train.max_length > model.context_length:
            raise OptionError(
                f"train.max_length {train.max_length} is more than the model's context of "
                f"{model.context_length} tokens: lower it"
            )
        bf16 = device.dtype(train.precision) == torch.bfloat16
        if bf16:  # frozen weights are kept in the fast type; trained ones stay float32, and autocast does the rest
            for parameter in model.parameters():
                if not parameter.requires_grad:
                    parameter.data = parameter.data.bfloat16()
        processes.copy_main(p.data for p in model.parameters() if p.requires_grad)  # other chips may draw other weights
        hollow = None
        if train.shard and processes.count() > 1:
            hollow = shard(model)
        else:
            model.to(device.here())
        if processes.index():  # dropout must differ between the processes
            device.seed_everything(train.seed + processes.index())
        if train.layout == "stream" and train.batch_size % processes.count():
            raise OptionError(
                f"batch_size {train.batch_size} cannot be shared among {processes.count()} processes: "
                f"say a multiple of {processes.count()}"
            )
        texts = predictable(corpus.train, chosen.document)
        documents = encoded(texts, tokenizer, chosen, epoch=0)
        model.begin(documents)
        work = cls(chosen, tokenizer, model, bf16, texts, documents, scored_records(corpus, chosen), hollow)
        work.batches_of(0)  # raises OptionError before anything is written
        return work

    def add(self, records: Sequence[Record]) -> None:
        """Train on other texts as well, as `teaching.real` says."""
        self.more = records
        self.documents = encoded(chain(self.train, records), self.tokenizer, self.chosen, self.epoch)

    def batches_of(self, epoch: int) -> Epoch:
        """The batches of an epoch. The same epoch always has the same batches."""
        if epoch != self.epoch and self.chosen.document.varies:
            self.documents = encoded(chain(self.train, self.more), self.tokenizer, self.chosen, epoch)
            self.epoch = epoch
        numbers = of_epoch(self.documents.lengths, len(self.train), self.chosen.teaching.real, epoch)
        batches = epoch_batches(self.documents, self.chosen.train, epoch, self.tokenizer.pad_id, numbers)
        if not batches:
            raise OptionError(f"batch_size {self.chosen.train.batch_size} is more than the corpus has tokens: lower it")
        if not batches.counted:
            raise OptionError(
                f"train.max_length {self.chosen.train.max_length} is used up by the fields before each text: raise it"
            )
        return batches

    def validate(self, documents: int | None = None) -> float:
        """Bits per byte of the validation records, or of the first `documents` of them."""
        records = self.records[:documents][processes.index() :: processes.count()]
        with device.autocast(self.bf16), in_step(self.model):
            found = score(self.model, self.tokenizer, records, format=self.chosen.document.format)
        nll, size = processes.total([sum(found.document_nll), sum(found.bytes)])
        return replace(found, nll=[[nll]], charges=None, bytes=[int(size)]).bits_per_byte

    def watch(self, tokens: int = WATCHED_TOKENS) -> list[Sample]:
        """Samples of at most `tokens` tokens. Prompts and seeds are fixed, so that validations can be compared. A
        sharded model writes none: all weights would be gathered anew for each token."""
        if self.hollow is not None:
            return []
        sampling = self.chosen.sampling
        shorter = {"num_beams": 1, "min_length": 0, "max_length": min(tokens, sampling.max_length)}
        fields = self.records[0].metadata
        requests = [Request(prompt, self.chosen.train.seed, fields) for prompt in WATCHED_PROMPTS]
        training = self.model.training
        shorter_sampling, format = sampling.model_copy(update=shorter), self.chosen.document.format
        written = decode(self.model, Options(self.tokenizer, shorter_sampling, format=format), requests)
        samples = [event for event in written if isinstance(event, Sample)]
        self.model.train(training)
        return sorted(samples, key=lambda sample: sample.index)

    def whole_model(self) -> AbstractContextManager[LanguageModel]:
        """The model with whole weights in the first process, to be saved there."""
        return whole_model(self.model, self.hollow)

    def validation_seconds(self) -> float:
        """The estimated time of a validation and its samples. A few documents are scored and a few tokens written,
        twice, since the first time is slower."""
        for _ in range(2):
            asked = time.monotonic()
            self.validate(PROBED_DOCUMENTS)
            scored = time.monotonic()
            self.watch(PROBED_TOKENS)
            written = time.monotonic()
        scoring = (scored - asked) * max(1.0, len(self.records) / PROBED_DOCUMENTS)
        return scoring + (written - scored) * WATCHED_TOKENS / PROBED_TOKENS
