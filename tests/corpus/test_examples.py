"""Examples of what a rule does: few, drawn from all, clipped around what the rule touched, every difference marked."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus.clean import RULES
from arasuji.corpus.examples import LEAD, LENGTH, MOST, Example, Sample

words = st.sampled_from(["lamp", "storm", " ", "\n", "\n\n", "é", "e\u0301", "灯台守", "…", "(", "&amp;", "🙂", "."])
texts = st.lists(words | st.text(max_size=4), max_size=40).map("".join)


def joined(example: Example, *kinds: str) -> str:
    return "".join(text for kind, text in example.pieces() if kind in kinds)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(before=texts, after=texts)
def test_the_pieces_are_both_texts_and_nothing_else(before: str, after: str) -> None:
    example = Example(before, after)
    if not before.endswith("…") or not after.endswith("…"):  # which would look like texts that are cut
        assert joined(example, "same", "out") == before
        assert joined(example, "same", "in") == after
    assert all(text for _, text in example.pieces())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(before=texts, after=st.none() | texts, times=st.integers(1, 40))
def test_no_example_is_longer_than_it_may_be(before: str, after: str | None, times: int) -> None:
    short = Example(before * times, after and after * times).clipped(LENGTH, LEAD)
    assert max(len(short.before), len(short.after or "")) <= LENGTH
    assert short.clipped(LENGTH, LEAD) == short


def test_only_what_the_rule_changed_is_marked_in_a_clipped_text() -> None:
    for lamps, storms in ((300, 300), (0, 600), (600, 0)):
        before = "lamp " * lamps + "cats &amp; dogs" + " storm" * storms
        short = Example(before, before.replace("&amp;", "&")).clipped(LENGTH, LEAD)
        assert [(kind, text) for kind, text in short.pieces() if kind != "same"] == [("out", "amp;")]
        assert len(short.before) == LENGTH


def test_where_a_text_is_removed_the_reason_is_marked_and_in_sight() -> None:
    text = "lamp " * 300 + "MUSIC video" + " storm" * 300
    sample = Sample(RULES["phrase"], {"phrase": "music Video"})
    sample.add(text, None)
    (example,) = sample.examples()
    assert joined(example, "mark") == "MUSIC video"
    sample = Sample(RULES["lost-start"], {})
    sample.add("“ nd so it began", None)
    assert joined(sample.examples()[0], "mark") == "n"


def test_a_sample_is_drawn_evenly_from_all_texts_and_is_the_same_each_time() -> None:
    def drawn(count: int) -> list[int]:
        sample = Sample(RULES["words"], {"min": 1, "max": 2})
        for number in range(count):
            sample.add(str(number), None)
        return [int(example.before) for example in sample.examples()]

    assert drawn(MOST) == list(range(MOST))
    many = drawn(10_000)
    assert many == sorted(set(many)) == drawn(10_000)
    assert len(many) == MOST
    assert sum(number < 5000 for number in many) in range(5, 16)


def test_empty_texts_and_what_should_not_be_shown_are_no_examples() -> None:
    sample = Sample(RULES["placeholders"], {"equal": [], "begin": [], "longest": 25})
    sample.add("", None)
    assert sample.examples() == ()
    sample = Sample(RULES["genres"], {"drop": ["Kids"]})
    sample.add("A text", None)
    assert sample.examples() == ()
