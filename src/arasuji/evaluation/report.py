"""The report of `compare`: what it holds, and how its JSON is read back.

The page and the terminal show nothing but a report. Whatever they divide by, look up or compare is checked here, once,
so that a report that was read can be shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from arasuji import notebook
from arasuji.errors import SourceError
from arasuji.evaluation.answer import (
    CalibrationBin,
    Count,
    Figure,
    FrequencyBits,
    Part,
    PositionBits,
    ScoredDocuments,
    Share,
    Token,
)
from arasuji.files import read_json
from arasuji.speech import share

REPORT_BYTES = 2**28
"""The most bytes that the file of a report may have."""

Positive = Annotated[float, Field(gt=0, le=1e12)]
"""A number that others are divided by."""
Range = tuple[Figure, Figure]


class CurvePoint(NamedTuple):
    """One validation during training."""

    tokens: Count
    seconds: Figure
    bits_per_byte: Figure


class Likelihood(Part):
    """Bits per byte of some documents."""

    bits_per_byte: Positive
    low: Figure | None
    """The lower end of the 95 % interval; null where the documents are of one group."""
    high: Figure | None
    charge: Figure | None
    """The part of the bits per byte that is the tokenizer's charge; null where it is not known, which makes the bits
    per byte a lower bound."""
    scored: Count
    """The number of documents."""
    tokens_per_byte: Figure


class Accuracy(Part):
    """How well a judge distinguishes written texts from real ones; 0.5 is chance."""

    accuracy: Share
    """The share of the texts that it judges correctly."""
    low: Share
    """The lower end of the 95 % interval."""
    high: Share
    auroc: Share
    """How often it finds out which of two texts, one generated and one real, is generated."""
    auroc_low: Share
    auroc_high: Share


class Telling(Part):
    """A text that gave itself away."""

    text: str
    probability: Share
    """That it was written, as the judge has it, which had not learnt from it."""
    start: Count
    """The first character of the sentence without which the text would be taken for the most real."""
    end: Count


class Judged(Accuracy):
    """How well a judge distinguishes written texts from real ones by what a pretrained model sees in them."""

    reader: str
    """The name of this model."""
    texts: Count
    """The texts of each kind."""
    words_accuracy: Share
    """The accuracy of a judge that sees words and pairs of words alone."""
    words_low: Share
    words_high: Share
    without_surprisal: Accuracy
    """The judge that sees the reader's hidden states alone, and not how much the texts surprise it."""
    mauve: Share | None = None
    """How alike the texts are to real ones (see `evaluation.mauve`); null where mauve-text is not installed."""
    telling: list[Telling]
    """The texts that the judge was most certain were generated, the most certain first."""


class TextMeasures(Part):
    """What a set of texts is like. A figure is null where too few texts are long enough."""

    texts: Count
    """The texts that the figures of variety are of."""
    words: Figure
    """The median number of words of a text."""
    long_enough: Share
    """The share of the texts that have the number of words that all are cut to."""
    finished: Share | None = None
    """The share of the texts that ended before the longest length allowed; null for real texts."""
    distinct_1: Share | None
    distinct_1_range: Range | None
    """The lowest and the highest figure of the seeds."""
    distinct_2: Share | None
    distinct_2_range: Range | None
    distinct_3: Share | None
    distinct_3_range: Range | None
    self_bleu: Figure | None
    self_bleu_range: Range | None
    repetition: Share | None
    repetition_range: Range | None
    judge: Judged | None = None
    """By the first reader; null where it was not on the machine."""
    more_judges: list[Judged | None] = Field(default_factory=list)
    """By further readers, such as one that is nobody's parent."""


class Originality(Part):
    """What of a set of texts stands word for word in the training split."""

    longest_words: Count
    """The most words in a row, the median of the seeds."""
    longest_words_range: tuple[Count, Count]
    copying_texts: Share
    """The share of the texts that have 13 words in a row or more from a training text."""
    share_4gram: Share | None
    """The share of the shingles of 4 words that stand in the training split; null where too few texts are long
    enough."""
    share_8gram: Share | None
    share_13gram: Share | None
    containment: Share | None
    """The share of a text's shingles of 3 words that stand in the one training text with most of them: the median."""


class Genre(NamedTuple):
    """A genre that a classifier finds in real texts that it has not learnt from."""

    name: str
    training_texts: Count
    """The texts of the training split that hold it."""
    auroc: Share
    """How often it finds out which of two held-out texts, one with the genre and one without, has it."""


class Lift(Part):
    """How much more often a genre is found in the texts that hold it, or were asked for it, than in the others."""

    texts: Count
    """The texts that hold it, or were asked for it."""
    found: Share
    """The share of these in which it is found."""
    found_in_others: Share
    lift: Figure
    """The difference of these shares."""
    low: Figure | None
    """The lower end of the 95 % interval; null where the texts are of one group."""
    high: Figure | None


class Obedience(Part):
    """How surely texts show the genres that they hold, or were asked for."""

    texts: Count
    genres: list[Lift]
    """Of each of the report's `genres`."""
    lift: Figure
    """The median of the genres' lifts."""
    low: Figure | None
    """The lower end of the 95 % interval of resamples of the texts; null where these are of one group."""
    high: Figure | None
    times: Figure | None
    """How many times as often a genre is found in the texts that hold it as in the others: the median, of the genres
    that are found in others; null where none is."""
    of_real: Figure | None = None
    """`lift` as a share of that of real texts; null for real texts."""
    of_real_low: Figure | None = None
    of_real_high: Figure | None = None


class Cost(Part):
    """What a model takes. Training figures are null for a model that was not trained here."""

    disk_bytes: Count
    training_seconds: Figure | None
    training_tokens: Count | None
    tokens_per_second_alone: Figure
    """While one text is written."""
    tokens_per_second_together: Figure
    """While many texts are written at once."""
    bytes_per_second_together: Figure
    memory_bytes: Figure
    """The most memory that the process took while it wrote, beyond Python and torch."""
    from_cache: bool
    """Whether the model's answers were kept from an earlier comparison."""


class Sample(Part):
    """A written text."""

    tokens: list[Token]
    """Those of the prompt come first."""
    copied: list[tuple[Count, Count]]
    """The characters of the continuation, from and to, that stand in a row of 8 words or more in a training text."""
    nearest: Count | None
    """The number of the training text that has most of the text's shingles of 3 words."""
    containment: Share
    """The share of these shingles that it has."""


class ComparedModel(Likelihood):
    """Everything that is known of one model."""

    name: str
    shots: list[str]
    """The ids of the training texts that stood in its context before each text."""
    fields: list[str]
    """What it was told of each text, such as its title, before it predicted or continued it."""
    family: str
    parameters: Count
    recent: Likelihood | None
    """The likelihood of titles that a pretrained model cannot have met; null where these are too few."""
    quantization_cost: Figure
    """The bits per byte with the weights that write over those with the weights that score, minus 1."""
    bits_by_position: list[PositionBits]
    bits_by_frequency: list[FrequencyBits]
    calibration: list[CalibrationBin]
    calibration_error: Figure
    curve: list[CurvePoint]
    documents: ScoredDocuments
    samples: TextMeasures
    originality: Originality
    obedience: Obedience | None = None
    """Null where it cannot be told genres, or none counts."""
    cost: Cost
    texts: list[Sample]
    """The continuations of the report's `prompts`."""
    shown_tokens: list[list[Token]]
    """The texts of the report's `shown` in tokens."""


class RealTexts(Part):
    """What real texts are like, measured in the same way."""

    samples: TextMeasures
    originality: Originality
    obedience: Obedience | None = None
    """How surely the classifier finds the genres of real texts; null where that of no model is known."""


class Pair(Part):
    """Two models on the same documents; `a` is the one with fewer bits per byte."""

    a: str
    b: str
    difference: Figure
    """The bits per byte of `a` minus those of `b`."""
    low: Figure | None
    """The lower end of the 95 % interval; null where the documents are of one group."""
    high: Figure | None
    verdict: Literal["better", "no difference shown", "too few texts", "not comparable"]


class Meta(Part):
    """What the figures depend on."""

    layout: Literal[6]
    """The version of the report's fields; a report of another version is refused."""
    command: str
    corpus: str
    """The hash of the corpus."""
    seed: int
    seeds: Count
    prompts: Count
    prompt_words: Count
    words: Count
    """The number of words that texts are cut to before they are compared."""
    documents: Count
    recent: Count
    """The test documents of recent titles."""
    calibration_documents: Count
    training_documents: Count
    scored_in: str
    written_in: str
    real_texts: dict[str, Count]
    """The real texts that written ones are judged beside, by their split."""
    without_judge: str
    """Why texts are not judged, and what to do about it; "" where they are."""
    machine: str
    versions: dict[str, str]


class Report(Part):
    """A comparison of models on one corpus."""

    models: list[ComparedModel] = Field(min_length=2)
    real: RealTexts
    pairs: list[Pair]
    """Every two models."""
    shown: list[str]
    """Held-out texts that are shown with the probability of each token."""
    prompts: list[str]
    """Prompts whose continuations are shown."""
    nearest: dict[int, str]
    """The titles of the training texts that are nearest to the shown continuations, by their numbers."""
    genres: list[Genre] = Field(default_factory=list)
    """The genres by which obedience is measured, the most frequent one first; none where no model can be told any."""
    meta: Meta

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [model.name for model in self.models]
        if len(set(names)) < len(names) or not {name for pair in self.pairs for name in (pair.a, pair.b)} <= {*names}:
            raise ValueError("a model is named twice, or a pair names a model that is not there")
        first = self.models[0]
        for model in self.models:
            if len(model.shown_tokens) != len(self.shown) or len(model.texts) != len(self.prompts):
                raise ValueError(f"{model.name} does not have a text for each one that is shown")
            if [part.start for part in model.bits_by_position] != [part.start for part in first.bits_by_position]:
                raise ValueError(f"{model.name} has other positions than {first.name}")
            if [kind.least for kind in model.bits_by_frequency] != [kind.least for kind in first.bits_by_frequency]:
                raise ValueError(f"{model.name} has other frequency classes than {first.name}")
            if not {text.nearest for text in model.texts} <= {None, *self.nearest}:
                raise ValueError(f"a nearest text of {model.name} has no title")
        for obeyed in (self.real.obedience, *(model.obedience for model in self.models)):
            if obeyed and len(obeyed.genres) != len(self.genres):
                raise ValueError("the genres by which obedience is measured are others than those of the report")
        return self

    def __repr__(self) -> str:
        return f"<comparison of {', '.join(model.name for model in self.models)}>"

    def _repr_html_(self) -> str:
        """The verdict, and for each model the likelihood of unseen texts, and how surely a judge knows its own."""
        from arasuji.evaluation.verdict import verdict  # it is made of reports

        rows = [["real texts", "", "", *_judged(self.real.samples.judge)]]
        for model in self.models:
            known = model.low is not None and model.high is not None
            interval = f"{model.low:.3f} to {model.high:.3f}" if known else "–"
            rows.append([model.name, f"{model.bits_per_byte:.3f}", interval, *_judged(model.samples.judge)])
        return notebook.block(
            *(notebook.paragraph(sentence) for sentence in verdict(self)),
            notebook.table(["", "bits per byte", "95 %", "judge's accuracy", "95 %"], rows),
        )


def _judged(found: Judged | None) -> tuple[str, str]:
    return (share(found.accuracy), f"{share(found.low)} to {share(found.high)}") if found else ("–", "–")


def read(path: Path) -> Report:
    """The report that `arasuji compare --json` has printed into a file.

    Raises:
        SourceError: the file cannot be read, is not a whole report, or was printed by another version.
    """
    try:
        return Report.model_validate(read_json(path, REPORT_BYTES, follow=True))
    except ValidationError as error:
        if any(problem["loc"] == ("meta", "layout") and problem["type"] != "missing" for problem in error.errors()):
            raise SourceError(f"{path} was printed by another version of arasuji: compare the models again") from error
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its parts"
        raise _not_a_report(path, f"{where}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise _not_a_report(path, str(error)) from error


def _not_a_report(path: Path, reason: str) -> SourceError:
    return SourceError(f"{path} is not a whole report of `arasuji compare --json`: {reason[:200]}")
