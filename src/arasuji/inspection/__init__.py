"""The inspection: what a collection of texts holds, what is wrong with it, which rule mends it, and what to expect.

    sources ──read──▶ Stage (as found) ──clean──▶ Stage (as prepared) ──▶ findings ──▶ verdict

This file is the contract: what is found, as plain numbers. Siblings measure one thing each; `examine` calls them all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from arasuji import notebook
from arasuji.corpus.examples import Example

__all__ = ["Beyond", "Cluster", "Duplicates", "Finding", "Inspection", "Outlook", "Phrase", "Stage", "Vocabulary"]


@dataclass(frozen=True)
class Stage:
    """The texts at one stage: as they were found, or as the rules left them."""

    documents: int
    words: int
    """Words are parted by white space; in scripts without spaces, two characters are a word."""
    bytes: int
    """The size of the texts in UTF-8."""
    empty: int
    """Documents without a text."""
    quantiles: dict[str, int]
    """Words of a document: "25" is the number that 25 per cent of the documents do not exceed. The others are "0", "5",
    "50", "75", "95" and "100"."""
    lengths: list[tuple[int, int]]
    """The histogram: (the least words of a bin, documents in it); bins of equal width, the last one open."""
    genres: dict[str, int]
    """Documents of each genre, most frequent first."""
    years: dict[int, int]
    """Documents of each year, in order."""
    languages: dict[str, int]
    """Documents of each language (ISO 639-1), most frequent first; "?" where a text is too short to tell. Where there
    are more than `stage.SAMPLE` documents, a sample's shares, scaled up."""


@dataclass(frozen=True)
class Cluster:
    """Texts that are equal or nearly equal."""

    documents: int
    titles: list[str]
    """The titles of a few of them, "" where there is none."""
    texts: list[str]
    """The beginnings of a few of them."""


@dataclass(frozen=True)
class Duplicates:
    """Repeats among the texts as found, empty ones left out."""

    exact: int
    """Documents that repeat an earlier one, but for case and white space."""
    near: int
    """Documents that are nearly the same as an earlier one, those that repeat it not counted."""
    groups: int
    """Clusters in all."""
    clusters: list[Cluster]
    """The largest of them, largest first."""


@dataclass(frozen=True)
class Phrase:
    """Words that many texts share at their beginning or end."""

    text: str
    documents: int
    opens: bool = False
    """Whether it opens the texts rather than closing them: then the texts are of one kind, and cutting it out does not
    help."""


@dataclass(frozen=True)
class Vocabulary:
    """Different lower-cased words of the training split."""

    words: int
    different: int
    once: int
    """Words that occur once."""
    growth: list[tuple[int, int]]
    """(Words read, different words so far)."""
    unknown_rate: float
    """Share of the validation split's words that occur less than twice in the training split."""


@dataclass(frozen=True)
class Beyond:
    """How much of the corpus does not fit into a model's context, for one tokenizer."""

    tokenizer: str
    tokens: int
    """The tokens of the documents that were counted, with an end token each."""
    bytes_per_token: float
    documents: int
    """How many documents were counted: all of them, or a sample."""
    beyond: dict[int, float]
    """For some lengths of a context in tokens, the share of the documents that are longer."""


@dataclass(frozen=True)
class Finding:
    """Something to know or to mend, and the rule that mends it ("" where none does)."""

    what: str
    documents: int
    rule: str
    parameters: dict[str, Any] = field(default_factory=dict)
    """What the rule has to be given."""
    examples: list[Example] = field(default_factory=list)
    """Some of the texts, as that rule would leave them; none of texts that should not be shown."""


@dataclass(frozen=True)
class Outlook:
    """What a preset is expected to reach on this much text, by trainings that were measured on another corpus."""

    preset: str
    bits_per_byte: float
    minutes: float
    """How long it trained, on the machine of the measurement."""


@dataclass(frozen=True)
class Inspection:
    """All that an inspection found. `found` and `prepared` are equal where a corpus folder was given."""

    sources: list[str]
    rules: str
    """The name of the rule set, or "" where a corpus folder was given."""
    found: Stage
    prepared: Stage
    duplicates: Duplicates
    boilerplate: list[Phrase]
    vocabulary: Vocabulary
    tokenizers: list[Beyond]
    leakage: float
    """Share of the validation split's different 13-word shingles that stand in the training split."""
    removals: list[dict[str, Any]]
    """What each rule did: {"rule", "removed", "changed", "left"}."""
    findings: list[Finding]
    outlook: list[Outlook]
    verdict: list[str]
    """Sentences: enough text for what, what to expect, what to do first."""
    hash: str
    """The hash of the corpus as prepared."""
    notes: list[str] = field(default_factory=list)
    """What was decided about the files as they were read, and the corpus's own notes."""

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints: the figures of the texts as found at the top."""
        found = asdict(self.found)
        return {
            "documents": found.pop("documents"),
            "words": found.pop("words"),
            "bytes": found.pop("bytes"),
            "duplicates": asdict(self.duplicates),
            "languages": found.pop("languages"),
            "boilerplate": [asdict(phrase) for phrase in self.boilerplate],
            "leakage": self.leakage,
            "findings": [asdict(finding) for finding in self.findings],
            "verdict": " ".join(self.verdict),
            "notes": self.notes,
            "sources": self.sources,
            "rules": self.rules,
            "removals": self.removals,
            "found": found,
            "prepared": asdict(self.prepared),
            "vocabulary": asdict(self.vocabulary),
            "tokenizers": [asdict(tokenizer) for tokenizer in self.tokenizers],
            "outlook": [asdict(outlook) for outlook in self.outlook],
            "hash": self.hash,
        }

    def __repr__(self) -> str:
        return f"<inspection of {self.found.documents:,} texts: {' '.join(self.verdict)}>"

    def _repr_html_(self) -> str:
        """The verdict, and what is wrong with the texts as they were found."""
        wrong = [[finding.what, finding.rule, finding.documents] for finding in self.findings]
        return notebook.block(
            notebook.paragraph(" ".join(self.verdict)),
            notebook.table(["texts that", "rule that mends it", "documents"], wrong, left=2) if wrong else "",
            *(notebook.paragraph(note, notebook.FAINT) for note in self.notes),
        )
