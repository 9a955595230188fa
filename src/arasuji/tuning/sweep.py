"""With which sampling settings a run writes the texts that are hardest to tell from real ones.

    settings ──write (kept)──▶ texts ──judge──▶ the best quarter ──write more──▶ texts ──judge──▶ Sweep

As in successive halving (Jamieson and Talwalkar 2016), most texts are written with the settings that may be the best.
The second stage writes new texts, since the figures of the luckiest settings of the first one would flatter them.
Prompts and real texts are of the validation split: what is chosen on some texts must be measured on others.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from arasuji import device
from arasuji.config import SamplingConfig
from arasuji.corpus import Corpus, Progress
from arasuji.corpus.record import part_of
from arasuji.corpus.script import words_of
from arasuji.corpus.suffixes import Suffixes, suffixes_of
from arasuji.errors import OptionError
from arasuji.evaluation.answer import Written
from arasuji.evaluation.ask import depends_on
from arasuji.evaluation.diversity import repetition
from arasuji.evaluation.examine import continued
from arasuji.evaluation.kept import kept
from arasuji.evaluation.reader import Reader
from arasuji.evaluation.report import RealTexts
from arasuji.evaluation.rows import check_run
from arasuji.evaluation.task import LEAST_WORDS, PROMPT_WORDS, pool_of, prompt_of, rest_of, shuffled, words_to_cut
from arasuji.evaluation.texts import FEWEST, Texts, copies, measured, most_of_all
from arasuji.runs import RunDirectory, TrainedModel, mark_of, open_model, versions
from arasuji.tuning.grid import grid_of
from arasuji.tuning.swept import Stage, Sweep, Tried

SECOND = 4
"""One of this number of settings is in the second stage, which has this many times as many texts."""
FEWEST_BEGUN = 10
"""The least number of validation texts that are begun."""
CHANCE = 0.025
"""A figure is above that of real texts where it would be as high by chance in fewer cases than this."""


def sweep(
    run: Path,
    folder: Path,
    corpus: Corpus,
    choices: dict[str, list[Any]],
    samples: int,
    seed: int,
    reader: str,
    progress: Progress,
) -> Sweep:
    """Try all settings of the grid of `choices` with a run, and write the best one into its sampling.toml.

    See `api.sweep` for what is asked and what is raised.
    """
    directory = RunDirectory(run)
    now = directory.sampling
    grid = grid_of(now, choices)
    check_run(str(run), folder, corpus)
    trial = _Trial.of(str(run), folder, corpus, samples, seed, Reader(reader))
    first, tried = trial.stage(1, grid, progress)
    tried.sort(key=lambda one: one.rank)
    again = [one.sampling for one in tried[: max(2, math.ceil(len(tried) / SECOND))]]
    again += [now] * (now not in again)
    second, twice = trial.stage(2, again, progress)
    twice.sort(key=lambda one: one.rank)
    made = Sweep(
        run=run.resolve().name,
        corpus=corpus.hash,
        seed=seed,
        reader=reader,
        words=trial.words,
        choices=choices,
        now=now,
        stages=(first, second),
        tried=[*twice, *(one for one in tried if one.sampling not in again)],
        versions=versions(),
    )
    assert made.best.judge is not None  # else there was an error
    as_trained = directory.facts.experiment.sampling.model_dump()
    changed = {name: value for name, value in made.best.sampling.model_dump().items() if value != as_trained[name]}
    directory.save_sampling(made.chosen | changed, f"chosen by arasuji sweep: AUROC {made.best.judge.auroc:.3f}")
    return made


@dataclass
class _Trial:
    """What is the same for all settings."""

    run: str
    reader: Reader
    training: Suffixes
    prompts: list[tuple[str, Mapping[str, Any]]]
    """The beginnings of validation texts, each with the fields of its text."""
    real: Texts
    """How these texts go on in truth."""
    pool: Texts
    """Real texts that all have enough words: of the validation split, then of the training split."""
    splits: list[str]
    """The split of each text of the pool."""
    words: int
    samples: int
    seed: int

    @staticmethod
    def of(run: str, folder: Path, corpus: Corpus, samples: int, seed: int, reader: Reader) -> _Trial:
        from arasuji.evaluation.judge import FOLDS  # imports scikit-learn

        records = [r for r in shuffled(corpus.validation, seed) if len(words_of(rest_of(r))) >= LEAST_WORDS]
        if len(records) < FEWEST_BEGUN:
            raise OptionError(
                f"{len(records)} validation texts of {folder} have {PROMPT_WORDS + LEAST_WORDS} words or more, and "
                f"{FEWEST_BEGUN} are needed: take a larger corpus"
            )
        if (groups := len({record.group for record in records[:samples]})) < FOLDS:
            raise OptionError(
                f"{FOLDS} groups of validation texts, such as the seasons of a series, are needed, and {folder} has "
                f"{groups}: take a larger corpus"
            )
        words = words_to_cut([rest_of(record) for record in records])
        splits = {"validation": records, "train": shuffled(corpus.train, seed)}
        pool = list(islice(pool_of(splits, words), 2 * SECOND * samples))
        begun = records[: SECOND * samples]
        return _Trial(
            run,
            reader,
            suffixes_of(folder),
            [(prompt_of(record), record.metadata) for record in begun],
            Texts([rest_of(record) for record in begun], [record.group for record in begun]),
            Texts([rest_of(record) for _, record in pool], [record.group for _, record in pool]),
            [split for split, _ in pool],
            words,
            samples,
            seed,
        )

    def stage(
        self, number: Literal[1, 2], grid: Sequence[SamplingConfig], progress: Progress
    ) -> tuple[Stage, list[Tried]]:
        """Write with each setting, and judge what was written."""
        from arasuji.evaluation.judge import judge_from_pool  # imports scikit-learn

        asked = self.samples if number == 1 else SECOND * self.samples
        prompts = self.prompts[:asked]
        rounds = round(asked / len(prompts))
        said = f"stage {number} of 2, {len(grid)} settings"
        answers = []
        for i, sampling in enumerate(grid):
            part = part_of(progress, i, len(grid), f"{said}: writing")
            answers.append(self._written(sampling, prompts, rounds, self.seed + (number - 1) * 2 * self.samples, part))
        groups = self.real.groups[:asked]
        real = Texts(self.real.texts[:asked], groups)
        sets = [Texts([one.text for one in answer], groups) for answer in answers]
        most = most_of_all([real, *sets], self.words)
        beside = min(rounds * most_of_all(sets, self.words, 1), len(self.pool.texts) // 2)
        figures: list[RealTexts] = []
        for own, original in zip([real, *sets], copies([real, *sets], self.words, self.training), strict=True):
            part = part_of(progress, len(figures), len(sets) + 1, f"{said}: judging")
            like = measured(own, self.words, most)
            some = None if own is real else own
            like.judge = judge_from_pool(some, self.pool, self.words, self.reader, beside, part, shown=0)
            figures.append(RealTexts(samples=like, originality=original))
        for answer, found in zip(answers, figures[1:], strict=True):
            found.samples.finished = statistics.fmean(one.finished for one in answer)
        of_real = figures[0]
        tried = [
            Tried(
                sampling=sampling,
                stage=number,
                figures=found,
                repeats=repeats_more(_repetitions(own, self.words), _repetitions(real, self.words)),
                copies=copies_more(_copying(found, own), len(own.texts), _copying(of_real, real), len(real.texts)),
            )
            for sampling, own, found in zip(grid, sets, figures[1:], strict=True)
        ]
        if all(one.judge is None for one in tried):
            raise OptionError(
                f"no setting is judged, since fewer than half of the texts have {self.words} words, or there are too "
                f"few: raise --samples, or let the run write more than {grid[0].max_length} tokens"
            )
        texts = rounds * len(prompts)
        return Stage(texts=texts, judged=beside, real=of_real, splits=Counter(self.splits[:beside])), tried

    def _written(
        self,
        sampling: SamplingConfig,
        prompts: Sequence[tuple[str, Mapping[str, Any]]],
        rounds: int,
        seed: int,
        progress: Progress,
    ) -> list[Written]:
        """The continuations of the prompts, in their order, round after round. They are kept in the cache folder."""
        asked = [*prompts] * rounds

        def write() -> list[Written]:
            found: dict[int, Written] = {}
            for sample in continued(self._opened, asked, seed, sampling):
                found[sample.index] = Written(text=sample.completion, finished=sample.finished)
                progress("", len(found), len(asked))
            return [found[i] for i in range(len(asked))]

        question = [self._mark, sampling.model_dump(), asked, seed, depends_on()]
        return kept(question, write, list[Written])[0]

    @cached_property
    def _mark(self) -> dict[str, str]:
        return mark_of(self.run)

    @cached_property
    def _opened(self) -> TrainedModel:
        opened = open_model(self.run, device.dtype(device.for_writing()))
        opened.model.to(device.here())
        return opened


def _repetitions(own: Texts, words: int) -> list[float]:
    """The repetition of the texts of each group, on average: texts of one group are not independent of each other."""
    of_group: dict[str, list[float]] = {}
    for cuts in own.rounds(words):
        for cut in cuts:
            of_group.setdefault(cut.group, []).append(repetition(cut.words))
    return [statistics.fmean(some) for some in of_group.values()]


def _copying(figures: RealTexts, own: Texts) -> int:
    """How many texts have many words in a row from a training text."""
    return round(figures.originality.copying_texts * len(own.texts))


def repeats_more(own: Sequence[float], real: Sequence[float]) -> bool:
    """Whether repetition is higher than that of real texts beyond chance, by the test of Mann and Whitney (1947), which
    does not ask how it is spread. False of fewer than `FEWEST` figures."""
    from scipy.stats import mannwhitneyu  # slow to import

    if min(len(own), len(real)) < FEWEST or not any(own):
        return False
    return bool(mannwhitneyu(own, real, alternative="greater").pvalue < CHANCE)


def copies_more(own: int, texts: int, real: int, real_texts: int) -> bool:
    """Whether `own` of `texts` are more than `real` of `real_texts` beyond chance, by Fisher's exact test (1922)."""
    from scipy.stats import fisher_exact  # slow to import

    return bool(fisher_exact([[own, texts - own], [real, real_texts - real]], alternative="greater").pvalue < CHANCE)
