"""What is wrong with the texts as they were found, and the rule that mends it.

Most problems are what a rule of the default set removes or changes, so the rules themselves do the counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arasuji.corpus import Record
from arasuji.corpus.clean import load_rules
from arasuji.corpus.registry import RULES
from arasuji.inspection import Duplicates, Finding, Phrase, Stage

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
    listed = [Finding(what, _touched(records, rule, parameters.get(rule, {})), rule) for rule, what in PROBLEMS.items()]
    listed.append(Finding("repeat an earlier text word for word", duplicates.exact, "duplicates"))
    listed.append(Finding("nearly repeat another text", duplicates.near, "near-duplicates"))
    listed += [Finding(f"share the words “{p.text}”", p.documents, "phrase" if p.opens else "cut") for p in remaining]
    listed += _foreign(found)
    advised = (_within_reason(finding, len(records)) for finding in listed if finding.documents)
    return sorted(advised, key=lambda f: -f.documents)


def _within_reason(finding: Finding, size: int) -> Finding:
    """The finding, without a rule that would remove most of the texts; a phrase in most of them can be cut instead."""
    if finding.rule not in SIEVES or finding.documents <= MOST * size:
        return finding
    return replace(finding, rule="cut" if finding.rule == "phrase" else "")


def _touched(records: Sequence[Record], rule: str, parameters: dict[str, object]) -> int:
    """How many records a rule would remove or change in more than white space; empty ones are counted as placeholders
    alone."""
    texts = RULES[rule].function(iter(records), **parameters)
    counted = rule == "placeholders"
    return sum(
        text != record.text
        and (text is None or text.split() != record.text.split())
        and (counted or bool(record.text.strip()))
        for record, text in zip(records, texts, strict=True)
    )


def _foreign(found: Stage) -> list[Finding]:
    """Texts in other languages than nearly all the rest."""
    known = {code: count for code, count in found.languages.items() if code != "?"}
    main = max(known, key=lambda code: known[code], default="")
    others = sum(known.values()) - known.get(main, 0)
    if not others or known[main] < RARE * sum(known.values()):
        return []
    names = ", ".join(code for code in known if code != main)
    return [Finding(f"are in another language than nearly all ({main}): {names}", others, "language")]
