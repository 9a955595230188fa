"""What is promised of texts and lists that are cut to be shown."""

from __future__ import annotations

import pytest

from arasuji.speech import listed, shortened


@pytest.mark.parametrize(("text", "shown"), [("", ""), ("the sea", "the sea"), ("the seas", "the se…")])
def test_a_text_is_shown_with_at_most_so_many_characters(text, shown):
    assert shortened(text, 7) == shown


@pytest.mark.parametrize(("parts", "shown"), [([], ""), (["a", "b"], "a, b"), (["a", "b", "c"], "a, b, …")])
def test_a_list_is_shown_with_at_most_so_many_parts(parts, shown):
    assert listed(parts, 2) == shown
