"""What is wrong with the texts as they were found, and the rule that mends it.

Most problems are what a rule of the default set removes or changes, so the rules themselves do the counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import tee
from typing import Any

from arasuji.corpus import Record
from arasuji.corpus.clean import load_rules
from arasuji.corpus.examples import MOST as EXAMPLES
from arasuji.corpus.examples import Example, Sample
from arasuji.corpus.registry import RULES
from arasuji.inspection import Duplicates, Finding, Phrase, Stage
from arasuji.inspection.stage import sampled

PROBLEMS = {
    "placeholders": "have no text, or only say that there is none",
    "genres": "are of genres that the default rules leave out",
    "html": "hold HTML tags or entities",
    "markers": "hold other tools' marks for models, such as <|endoftext|>",
    "repair": "hold letters that were decoded wrongly",
    "source-notes": "say where the text is from",
    "words": "are too short or too long for the default rules",
    "lost-start": "begin with a small letter: their beginning may be lost",
}
"""What a rule of this name finds wrong, in words that follow "texts that"."""
SIEVES = {"phrase", "lost-start", "genres", "words", "language"}
"""These rules judge a text by itself, and not by comparison with other texts."""
MOST = 0.5
"""Such a rule is not advised if it would remove more than this share of all texts."""
RARE = 0.9
"""If at least this share of the texts are in one language, texts in other languages are a finding."""


def findings(
    records: Sequence[Record], found: Stage, duplicates: Duplicates, remaining: Sequence[Phrase]
) -> list[Finding]:
    """The problems of `records`, most frequent first; `remaining` is the boilerplate that the rules left standing."""
    parameters = {step.rule: step.parameters for step in load_rules("default").steps}
    listed = [_touched(what, records, rule, parameters.get(rule, {})) for rule, what in PROBLEMS.items()]
    listed += _repeats(duplicates)
    listed += [_shared(phrase, records) for phrase in remaining]
    listed += _foreign(found, records)
    advised = (_within_reason(finding, len(records)) for finding in listed if finding.documents)
    return sorted(advised, key=lambda f: -f.documents)


def _within_reason(finding: Finding, size: int) -> Finding:
    """The finding, without a rule that would remove most of the texts."""
    if finding.rule not in SIEVES or finding.documents <= MOST * size:
        return finding
    return replace(finding, rule="", parameters={})


def _touched(what: str, records: Iterable[Record], rule: str, parameters: dict[str, Any]) -> Finding:
    """The records that a rule would remove or change in more than white space; empty ones are counted as placeholders
    alone."""
    sample, documents = Sample(RULES[rule], parameters), 0
    ones, others = tee(records)
    for record, text in zip(ones, RULES[rule].function(others, **parameters), strict=True):
        changed = text is None or text.split() != record.text.split()
        if changed and (rule == "placeholders" or record.text.strip()):
            documents += 1
            sample.add(record.text, text)
    return Finding(what, documents, rule, parameters, list(sample.examples()))


def _repeats(duplicates: Duplicates) -> list[Finding]:
    """Of each cluster that is shown one text. Clusters of equal texts and others are told apart by what is shown of
    them."""
    exact: list[Example] = []
    near: list[Example] = []
    for cluster in duplicates.clusters:
        equal = len(set(map(str.casefold, cluster.texts))) < len(cluster.texts)
        (exact if equal else near).append(Example(cluster.texts[0], None))
    return [
        Finding("repeat an earlier text word for word", duplicates.exact, "duplicates", {}, exact[:EXAMPLES]),
        Finding("nearly repeat another text", duplicates.near, "near-duplicates", {}, near[:EXAMPLES]),
    ]


def _shared(phrase: Phrase, records: Sequence[Record]) -> Finding:
    """A phrase that opens texts tells of what kind they are, and they can be removed; another one can be cut, and so
    can one that opens most texts."""
    rule = "phrase" if phrase.opens and phrase.documents <= MOST * len(records) else "cut"
    words = phrase.text.casefold()
    having = (record for record in records if words in " ".join(record.text.casefold().split()))
    finding = _touched(f"share the words “{phrase.text}”", having, rule, {"phrase": phrase.text})
    return replace(finding, documents=phrase.documents)


def _foreign(found: Stage, records: Sequence[Record]) -> list[Finding]:
    """Texts in other languages than nearly all the rest."""
    known = {code: count for code, count in found.languages.items() if code != "?"}
    main = max(known, key=lambda code: known[code], default="")
    others = sum(known.values()) - known.get(main, 0)
    if not others or known[main] < RARE * sum(known.values()):
        return []
    names = ", ".join(code for code in known if code != main)
    finding = _touched("", sampled(records), "language", {"keep": [main]})
    return [replace(finding, what=f"are in another language than nearly all ({main}): {names}", documents=others)]
