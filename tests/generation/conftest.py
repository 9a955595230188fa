"""Plain words, and models of them that have opinions: what the decode tests share."""

from __future__ import annotations

import pytest
import torch
from conftest import small_model

from arasuji.models import IGNORED
from arasuji.tokenizers import word

PLAIN = (
    "after years the old keeper of a light house finds letter written by sea king who fell in love with her when "
    "she was young man spike boy and robot choir storm train night war begins this is story"
)


@pytest.fixture(scope="session")
def words() -> word.Word:
    """A few plain words: what is written in them encodes to the same ids again, and ends come often."""
    return word.build(word.Config(min_count=1), [PLAIN])


def opinionated(family: str, tokenizer, seed: int = 0, **options):
    """A small random model whose likeliest tokens stand out, so that rounding decides nothing."""
    model = small_model(family, tokenizer, **options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.4, generator=generator)
    if family == "ngram":
        documents = torch.randint(3, tokenizer.vocabulary_size, (6, 12), generator=generator)
        ends = torch.full((6, 1), tokenizer.end_id)
        targets = torch.cat([documents, ends], dim=1)
        assert not (targets == IGNORED).any()
        model.train()
        model(torch.cat([ends, documents], dim=1), targets)
    return model.eval()


@pytest.fixture(scope="session")
def make():
    return opinionated
