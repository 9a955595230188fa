"""Objects show themselves in a notebook, whole and escaped, and what takes long shows its progress there."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from nbclient import NotebookClient
from scored_models import training_of

from arasuji import notebook
from arasuji.corpus import prepare
from arasuji.corpus.originality import copied
from arasuji.evaluation.score import Score
from arasuji.generation.texts import Sample
from arasuji.inspection.examine import examine
from arasuji.speech import shown

ODD = "<script>alert(1)</script>\"'&amp; 港\u202e \ud800"
TAGS = {"div", "span", "table", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """The elements of some HTML, the styles of those that are open, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.styles: list[str] = []
        self.parts: list[tuple[str, str]] = []
        """Each piece of the text with the styles around it."""
        self.feed(html)
        self.close()
        assert self.styles == []

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS
        assert {name for name, _ in attributes} <= {"style", "class"}
        self.tags.append(tag)
        self.styles.append(dict(attributes).get("style", ""))

    def handle_endtag(self, tag):
        self.styles.pop()

    def handle_data(self, data):
        self.parts.append((data, " ".join(self.styles)))

    def styled(self, style: str) -> str:
        return "".join(data for data, styles in self.parts if style in styles)

    @property
    def text(self) -> str:
        return self.styled("")


def readable(text: str) -> str:
    """What a notebook makes of a text."""
    return shown(text).encode("utf-8", "replace").decode()


def sample(prompt: str = "The keeper", completion: str = " lights the lamp.", **more) -> Sample:
    text = (prompt + completion).strip()
    return Sample(0, prompt, completion, text, 5, True, 3, **more)


@examples(max_examples=200, deadline=None)
@given(st.text(), st.text(), st.lists(st.tuples(st.integers(-2, 30), st.integers(-2, 30)), max_size=4))
def test_any_text_is_shown_as_it_is_with_any_marks(text, cell, marks):
    drawn = notebook.passage(text, [(start, end, notebook.UNDERLINED) for start, end in marks])
    assert Page(drawn).text == readable(text)
    drawn = notebook.block(notebook.paragraph(text), notebook.table([cell, text], [[text, 1_000], [cell, text]]))
    assert Page(drawn).text == readable(text + cell + text + text + "1,000" + cell + text)


@examples(max_examples=200, deadline=None)
@given(st.text(), st.text())
def test_any_sample_is_shown_whole_and_its_prompt_is_faint(prompt, completion):
    made = sample(prompt.strip(), completion)
    page = Page(made._repr_html_())
    assert page.text.startswith(readable(made.text))
    assert set(page.tags) <= TAGS


def test_a_sample_shows_its_prompt_faint_its_copies_underlined_and_its_seed():
    training = training_of("Nobody had seen the lamp burn so low before the ship came home.")
    text = "Once nobody had seen the lamp burn so low before the end."
    made = sample("Once", text[4:], copied=copied(text, training, 4))
    page = Page(made._repr_html_())
    assert page.styled(notebook.UNDERLINED) == "nobody had seen the lamp burn so low before the"
    assert page.styled(notebook.FAINT) == "Once seed 3 · 5 tokens · longest copy 10 words"
    assert "cut at its length" in replace(made, finished=False)._repr_html_()
    assert "longest copy" not in sample()._repr_html_()


def test_a_sample_with_an_odd_text_is_escaped():
    html = sample(ODD, ODD)._repr_html_()
    assert "<script" not in html
    assert html.isprintable()


def test_a_corpus_shows_its_splits_its_rules_and_two_texts(tmp_path):
    rows = [
        {"synopsis": f"Keeper {n} of the lamp {n} sees {ODD[:-1]} one night {n} and walks home."} for n in range(30)
    ]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, [*rows, rows[0]])), "utf-8")
    corpus = prepare(tmp_path / "texts.jsonl", tmp_path / "corpus")
    html = corpus._repr_html_()
    page = Page(html)
    sizes = f"{len(corpus.train)} train, {len(corpus.validation)} validation, {len(corpus.test)} test texts"
    assert f"{sizes}; hash {corpus.hash[:12]}" in page.text
    assert "all0031" in page.text
    assert "<script" not in html
    for record in corpus.train[:2]:
        assert readable(record.text) in page.text
    for records in (corpus.train, corpus.validation, corpus.test):
        records.close()
    assert sizes in corpus._repr_html_()


def test_an_inspection_shows_its_verdict_and_what_is_wrong(tmp_path):
    rows = [
        {"synopsis": f"<p>Keeper {n} of the lamp {n} walks home one night {n} &amp; sees it.</p>"} for n in range(30)
    ]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    found = examine(tmp_path / "texts.jsonl")
    page = Page(found._repr_html_())
    assert " ".join(found.verdict) in page.text
    assert "hold HTML tags or entitieshtml30" in page.text
    odd = replace(found, verdict=[ODD], findings=[], notes=[ODD])._repr_html_()
    assert "<script" not in odd
    assert "table" not in Page(odd).tags


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (Score([[1.0, 2.0], [3.0]], [[0.0, 0.0], [0.0]], [2, 3], ["a", "b"]), "95 % interval"),
        (Score([[1.0, 2.0], [3.0]], [[0.5, 0.0], [0.0]], [2, 3], ["a", "b"]), "0.144 of these bits are the charge"),
        (Score([[1.0, 2.0]], None, [2], ["a"]), "a lower bound"),
        (Score([], [], [], []), "0 texts, 0 bytes"),
    ],
)
def test_a_score_shows_its_bits_its_interval_and_its_charge(score, said):
    page = Page(score._repr_html_())
    assert f"{score.bits_per_byte:.3f} bits per byte" in page.text
    assert said in page.text
    assert ("95 %" in page.text) == (len(set(score.groups)) > 1)


def test_outside_of_a_notebook_nothing_is_drawn():
    calls = []

    @notebook.shows_progress
    def work(number, progress=lambda what, done, total: calls.append(what)):
        progress("working", number, 2)
        return number

    assert not notebook.is_here()
    assert work(1) == 1
    assert work(2, lambda *told: calls.append(told)) == 2
    assert calls == ["working", ("working", 2, 2)]


def executed(folder: Path, *cells: str) -> list[list[dict]]:
    """The outputs of the cells of a notebook."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(made, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return [cell.outputs for cell in made.cells]


def test_a_training_in_a_notebook_leaves_one_output_that_says_how_it_went(corpus, tmp_path):
    begin = f"import warnings; warnings.filterwarnings('ignore'); import arasuji; corpus = {str(corpus)!r}"
    train = "run = arasuji.train('ngram', corpus, 'run', max_steps=3)"
    work = """
from arasuji.notebook import shows_progress

@shows_progress
def work(progress=None):
    progress("half of it", 1, 2)

work()
work(progress=print)"""
    _, trained, worked = executed(tmp_path, begin, train, work)
    (output,) = trained
    lines = output["data"]["text/plain"].splitlines()
    assert lines[0].startswith("model ")
    assert lines[-1].startswith("stopped at step 3")
    assert not any("tokens/s" in line for line in lines)
    assert Page(output["data"]["text/html"]).text == output["data"]["text/plain"]
    panel, printed = worked
    assert panel["data"]["text/plain"].startswith("done in ")
    assert printed["text"] == "half of it 1 2\n"
