"""The corpus hash: one SHA-256 over the documents, their splits, the rules and the seed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from arasuji.corpus.clean import RuleSet
from arasuji.corpus.folder import SPLITS
from arasuji.corpus.record import Records


def corpus_hash(folder: Path, ruleset: RuleSet, seed: int) -> str:
    """SHA-256 in hexadecimal of the splits written to `folder`. Canonical JSON, so that it is the same on every machine
    and Python."""
    digest = hashlib.sha256()
    digest.update(_canonical({"seed": seed, "rules": [[step.rule, step.parameters] for step in ruleset.steps]}))
    for name in SPLITS:
        with Records(folder / f"{name}.jsonl") as records:
            for record in records:
                digest.update(_canonical({**record.fields(), "split": name}))
    return digest.hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"
