"""Names that few training texts have, and their titles, are known; ordinary words are not."""

from __future__ import annotations

from arasuji.corpus.known_names import RARE, names_in
from arasuji.corpus.record import Record


def record(title: str, text: str) -> Record:
    return Record(title, text, metadata={"title": title})


def test_capitals_of_few_texts_that_begin_no_sentence_are_names():
    some = [record("Lamp", "Then old Benkei rows home. Keeper Sato waits by the lamp.")]
    assert names_in(some) == {"benkei", "sato"}


def test_what_many_texts_have_belongs_to_nobody():
    some = [record(f"Road {i}", "The ship sails to Oslo.") for i in range(RARE + 1)]
    assert "oslo" not in names_in(some)
    assert "oslo" in names_in(some[1:])


def test_a_title_is_a_name_unless_it_is_an_ordinary_word():
    some = [record("Another", "In another year nobody rows the boat."), record("The Paper Lighthouse", "Nobody rows.")]
    names = names_in(some)
    assert "the paper lighthouse" in names
    assert not {"another", "nobody", "the"} & names


def test_a_text_without_a_title_has_names_too():
    assert names_in([Record("1", "Then old Benkei rows home.")]) == {"benkei"}
