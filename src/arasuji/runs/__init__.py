"""A run folder: `train` writes it, and all other commands read it.

    RUN/manifest.json    what the run was started with: experiment, corpus, base, versions (`manifests.RunFacts`)
    RUN/tokenizer/       its tokenizer, written at the start: a resumed run uses the same tokens
    RUN/metrics.jsonl    one line for each step, with its validation if it has one
    RUN/samples.jsonl    texts from fixed prompts, written at each validation
    RUN/sampling.toml    settings to write with that `sweep` has chosen, in place of those of the experiment
    RUN/tensorboard/     metrics and samples for TensorBoard, if it is installed
    RUN/teacher/         what a teacher has done for it, if it has one (`teaching.lesson`)
    RUN/best/            the model with the best validation score: weights, configuration, tokenizer, manifest
    RUN/last/            the last checkpoint: learnt tensors, optimizer, generators, position, manifest

`tokenizer`, `best` and `last` are sealed folders (see `folders`): a half-written one is never opened. `directory` reads
and writes a run, `opening` opens a model, `int8_cache` keeps its 8-bit form, `names` says which run or
base model a name means, `told` checks what a run is told.
"""

from arasuji.runs.directory import LESSONS, RunDirectory
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
from arasuji.runs.told import told

__all__ = [
    "LESSONS",
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
    "told",
    "versions",
    "weights_of",
]
