"""What a comparison says, in sentences: the finding first, and what it cannot say."""

from __future__ import annotations

from collections.abc import Sequence

from arasuji.corpus.originality import COPY_WORDS
from arasuji.evaluation.report import ComparedModel, Pair, RealTexts, Report
from arasuji.speech import share

SHOTS = (
    "A model with shots has this number of texts of the training split in its context, before each text that it "
    "predicts or continues; it was not trained on them."
)
ONE_RUN = (
    "The intervals say how far the choice of texts matters, not how another training run would come out: to show that "
    "one recipe is better than another, train each with three seeds."
)


def verdict(report: Report) -> list[str]:
    """The sentences that stand above a report."""
    return [
        _likelihood(report.models, report.pairs),
        *_judged(report.models, report.real),
        *_unjudged(report.models, report.meta.without_judge),
        *_obeyed(report.models),
        _copies(report.models, report.real),
        *([SHOTS] if any(model.shots for model in report.models) else []),
        *_told(report.models),
        ONE_RUN,
    ]


def foremost(models: Sequence[ComparedModel], pairs: Sequence[Pair]) -> list[str]:
    """The model with the fewest bits, and those that are not shown to need more."""
    best = min(models, key=lambda model: model.bits_per_byte).name
    return [best, *(p.b for p in pairs if p.a == best and p.verdict != "better")]


def most_like_real(models: Sequence[ComparedModel]) -> list[str]:
    """The model whose texts the judge tells from real ones with the least accuracy, and those whose intervals meet its
    own."""
    found = [(m.samples.judge, m.name) for m in models if m.samples.judge]
    if not found:
        return []
    least, name = min(found, key=lambda judged: judged[0].accuracy)
    return [name, *(other for judged, other in found if other != name and judged.low <= least.high)]


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them: "one, another and a third"."""
    return " and ".join([*([", ".join(names[:-1])] if names[:-1] else []), names[-1]])


def _likelihood(models: Sequence[ComparedModel], pairs: Sequence[Pair]) -> str:
    best, *others = foremost(models, pairs)
    of_best = [p for p in pairs if p.a == best]
    if any(p.verdict == "too few texts" for p in of_best):
        return "The test texts are too few to say which model predicts them better."
    unclear = [p.b for p in of_best if p.verdict == "not comparable"]
    if unclear:
        return f"{best} and {listed(unclear)} cannot be compared: the charge of a tokenizer is not known."
    if others:
        return (
            f"{listed([best, *others])} predict unseen texts best, and no difference is shown between {best} and the "
            f"{'other' if len(others) == 1 else 'others'}."
        )
    first, second = sorted(models, key=lambda model: model.bits_per_byte)[:2]
    fewer = share(1 - first.bits_per_byte / second.bits_per_byte)
    return (
        f"{best} predicts unseen texts best: {first.bits_per_byte:.3f} bits per byte, {fewer} fewer than {second.name}."
    )


def _judged(models: Sequence[ComparedModel], real: RealTexts) -> list[str]:
    found = [(m.samples.judge.accuracy, m.name) for m in models if m.samples.judge]
    if not found:
        return []
    (least, name), (most, other) = min(found), max(found)
    chance = real.samples.judge
    real_ones = f" (real ones from other real ones: {share(chance.accuracy)})" if chance else ""
    rest = f", those of {other} with {share(most)}" if other != name else ""
    return [f"A judge tells the texts of {name} from real ones with an accuracy of {share(least)}{real_ones}{rest}."]


def _unjudged(models: Sequence[ComparedModel], without_judge: str) -> list[str]:
    short = [m for m in models if m.samples.long_enough < 0.5]
    if len(short) < len(models) and all(m.samples.judge is None for m in models if m not in short):
        return [
            without_judge or "The texts are too few, or of too few groups, for a judge to tell them from real ones."
        ]
    return [
        f"Only {share(m.samples.long_enough)} of the texts of {m.name} are long enough to be judged." for m in short
    ]


def _told(models: Sequence[ComparedModel]) -> list[str]:
    return [
        f"{model.name} is told the {listed(model.fields)} of each text before it predicts or continues it"
        + (", and the others are not." if any(not other.fields for other in models) else ".")
        for model in models
        if model.fields
    ]


def _obeyed(models: Sequence[ComparedModel]) -> list[str]:
    said = []
    for name, own in ((m.name, m.obedience) for m in models if m.obedience):
        if own.low is None or own.of_real is None or own.of_real_low is None or own.of_real_high is None:
            continue
        if own.low <= 0:
            said.append(f"{name} is not shown to write of the genres that it is asked for.")
        else:
            part, *ends = (f"{100 * value:.0f}\u00a0%" for value in (own.of_real, own.of_real_low, own.of_real_high))
            said.append(f"Asked for genres, {name} shows them {part} as clearly as real texts ({' to '.join(ends)}).")
    return said


def _copies(models: Sequence[ComparedModel], real: RealTexts) -> str:
    most = max(models, key=lambda model: model.originality.longest_words)
    longest = most.originality.longest_words
    if longest < COPY_WORDS:
        return f"No model copies from its training texts: none has written {COPY_WORDS} words in a row from there."
    own = real.originality.longest_words
    if longest <= own:
        return (
            f"No model has copied a longer passage than real texts share: at most {longest} words in a row, those of "
            f"{most.name}, where as many real texts that no model has seen share up to {own}."
        )
    copying = share(most.originality.copying_texts)
    return (
        f"{most.name} copies most: up to {longest} words in a row, and {COPY_WORDS} or more in {copying} of its texts; "
        f"as many real texts that no model has seen share up to {own}."
    )
