"""A run folder: what `train` leaves behind and everything else opens.

    RUN/manifest.json    what the run was started with: experiment, corpus, base, versions (`manifests.RunFacts`)
    RUN/tokenizer/       its tokenizer, kept from the start: a resumed run goes on with the same tokens
    RUN/metrics.jsonl    a line a step, validations included
    RUN/samples.jsonl    texts from fixed prompts, at each validation
    RUN/tensorboard/     both for TensorBoard, where it is installed
    RUN/best/            the model with the best validation score: weights, configuration, tokenizer, manifest
    RUN/last/            what is needed to continue: learnt tensors, optimizer, generators, position, manifest

`tokenizer`, `best` and `last` are sealed folders (see `files`): a half-written one is never opened. `directory` reads
and writes a run, `opening` opens a model, `int8_cache` keeps its 8-bit form, `names` finds what a name means.
"""

from arasuji.runs.directory import RunDirectory
from arasuji.runs.manifests import CorpusFacts, RunFacts, best_of, versions
from arasuji.runs.names import (
    corpus_of,
    is_run,
    mark_of,
    marks_of,
    open_model,
    own_corpus,
    sampling_of,
    settings_of,
    weights_of,
)
from arasuji.runs.opening import TrainedModel, as_written, enough_memory

__all__ = [
    "CorpusFacts",
    "RunDirectory",
    "RunFacts",
    "TrainedModel",
    "as_written",
    "best_of",
    "corpus_of",
    "enough_memory",
    "is_run",
    "mark_of",
    "marks_of",
    "open_model",
    "own_corpus",
    "sampling_of",
    "settings_of",
    "versions",
    "weights_of",
]
