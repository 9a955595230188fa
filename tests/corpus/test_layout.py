"""A .txt file shows where its texts end; marks of other tools and accents written apart are no text of their own."""

from __future__ import annotations

import textwrap
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus.characters import composed, tidy
from arasuji.corpus.clean import load_rules
from arasuji.corpus.layout import shown_by, texts_of
from arasuji.corpus.markers import without_markers
from arasuji.corpus.read import read
from arasuji.errors import OptionError

WORDS = [
    "a",
    "the",
    "keeper",
    "finds",
    "lamp",
    "harbour",
    "storm",
    "of",
    "and",
    "lighthouse",
    "who",
    "remembers",
    "naïve",
]
sentence = st.lists(st.sampled_from(WORDS), min_size=6, max_size=25).map(
    lambda words: " ".join(words).capitalize() + "."
)
story = st.lists(sentence, min_size=1, max_size=4).map(" ".join)
stories = st.lists(story, min_size=3, max_size=12)
japanese = st.text("灯台守手紙見嵐夜", min_size=90, max_size=300).map(lambda text: text + "。")
ends = st.sampled_from(["\n", "\r\n"])


def parted(content: str) -> list[str]:
    return list(texts_of(content.splitlines(keepends=True)))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(stories, ends)
def test_a_text_a_line_comes_back(texts, end):
    assert parted(end.join(texts) + end) == texts


@settings(max_examples=100, deadline=None, derandomize=True)
@given(stories, ends, st.integers(40, 100), st.booleans())
def test_blocks_of_broken_lines_come_back(texts, end, width, broken):
    blocks = [textwrap.fill(text, width) if broken else text for text in texts]
    found = parted(("\n\n".join(blocks) + "\n").replace("\n", end))
    assert [" ".join(text.split()) for text in found] == texts


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    stories,
    st.sampled_from(["<|startoftext|>{}<|endoftext|>\n", "{}<|endoftext|>", "<s>{}</s>\n\n", "[BOS] {} [EOS]\n"]),
)
def test_texts_between_markers_come_back(texts, form):
    assert parted("".join(form.format(text) for text in texts)) == texts


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(japanese, min_size=3, max_size=6), st.integers(20, 40))
def test_scripts_without_spaces_are_told_apart_too(texts, width):
    assert parted("\n".join(texts)) == texts
    broken = [[text[at : at + width] for at in range(0, len(text), width)] for text in texts]
    found = parted("\n\n".join("\n".join(lines) for lines in broken))
    assert [text.replace("\n", "") for text in found] == texts


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text("ab .\n<|>sS/[]EOBendoftx", max_size=120), st.sampled_from([None, "lines", "blocks", "markers"]))
def test_whatever_the_layout_no_letter_is_lost_but_markers(content, layout):
    joined = "".join("".join(texts_of(content.splitlines(keepends=True), layout)).split())
    whole = "".join(content.split())
    assert joined == whole if layout in ("lines", "blocks") else len(joined) <= len(whole)


def test_one_text_of_broken_lines_stays_one(starter_texts):
    text = " ".join(starter_texts[:6])
    assert parted(textwrap.fill(text, 72)) == [textwrap.fill(text, 72)]
    assert parted(starter_texts[0]) == [starter_texts[0]]


def test_stray_blank_lines_do_not_make_blocks_of_a_text_a_line(starter_texts):
    lines = [" ".join(text.split()) for text in starter_texts[:60]]
    assert parted("\n".join(lines[:30]) + "\n\n" + "\n".join(lines[30:]) + "\n\n") == lines


def test_the_layout_is_noted_and_can_be_named():
    notes: list[str] = []
    lines = ["one told.\n", "two told.\n", "\n", "three told.\n"]
    assert len(list(texts_of(lines, note=notes.append))) == 2
    assert notes == ["read as a text between blank lines; --text-layout lines or markers says otherwise"]
    assert len(list(texts_of(lines, "lines", notes.append))) == 3
    assert len(list(texts_of(["only one.\n"], note=notes.append))) == len(notes) == 1
    with pytest.raises(OptionError, match="lines, blocks, markers"):
        texts_of(lines, "pages")


def test_a_file_of_texts_is_read_by_its_layout(tmp_path: Path, starter_texts):
    lines = [" ".join(text.split()) for text in starter_texts[:40]]
    (tmp_path / "a.txt").write_text("\n".join(lines), "utf-8")
    assert [record.text for record in read(tmp_path / "a.txt")] == lines
    assert shown_by([]) == "lines"


MARKED = [
    "<|startoftext|>told<|endoftext|>",
    "<s>told</s>",
    "[BOS] told [EOS]",
    "<bos>told<eos><pad><pad>",
    "<|begin_of_text|>told<|eot_id|>",
    "[CLS] told [SEP]",
    "<|<|x|>|>told",
]


@pytest.mark.parametrize("text", MARKED)
def test_marks_of_other_tools_are_cut(text):
    assert without_markers(text) == "told"


@pytest.mark.parametrize("text", ["a <3 b", "x < s > y", "[sic] told", "a | b", "<title> told", "  told "])
def test_what_only_looks_like_a_mark_stays(text):
    assert without_markers(text) == text


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text())
def test_what_is_cut_composed_and_tidied_stays_so(text):
    for mend in (without_markers, composed, tidy):
        assert mend(mend(text)) == mend(text)


def test_the_default_rules_cut_marks_and_compose_accents_and_the_articles_keep_their_recipe():
    names = {name: [step.rule for step in load_rules(name).steps] for name in ("default", "article", "article-lstm")}
    assert {"markers", "accents"} <= set(names["default"])
    assert not {"markers", "accents"} & {*names["article"], *names["article-lstm"]}
    assert composed(unicodedata.normalize("NFD", "café Ngũ")) == "café Ngũ"
    assert composed("a\u0323\u0302") == composed("a\u0302\u0323")  # two marks in either order
