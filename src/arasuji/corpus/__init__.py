"""From raw files of short texts to a Corpus: three frozen splits, a hash, and what each rule removed.

    sources ──read──▶ records ──clean (named, counted rules)──▶ ──split by group──▶ Corpus

What stands here is the contract. `prepare` goes the whole way; each arrow is a sibling that can be called alone:
`read.read`, `clean.Cleaning` and `split.split`.
"""

from arasuji.corpus.folder import KIND, SPLITS, Corpus, RuleCount, is_corpus
from arasuji.corpus.pipeline import MINIMUM_DOCUMENTS, prepare
from arasuji.corpus.record import Progress, Record, Records

__all__ = [
    "KIND",
    "MINIMUM_DOCUMENTS",
    "SPLITS",
    "Corpus",
    "Progress",
    "Record",
    "Records",
    "RuleCount",
    "is_corpus",
    "prepare",
]
