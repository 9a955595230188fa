"""Values that the Tab key completes. They have to come at once, so nothing here imports torch."""

from __future__ import annotations


def presets() -> list[str]:
    """The presets that ship."""
    from arasuji.config import preset_names

    return preset_names()


def rule_sets() -> list[str]:
    """The rule sets that ship."""
    from arasuji.corpus.clean import RULE_SETS

    return sorted(path.stem for path in RULE_SETS.glob("*.toml"))


def splits() -> list[str]:
    """The parts of a corpus."""
    from arasuji.corpus import SPLITS

    return list(SPLITS)
