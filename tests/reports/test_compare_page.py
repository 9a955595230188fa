"""The page of `arasuji compare`: whole, offline, escaped, the same each time, and true to its report."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from unittest.mock import Mock

import pytest
from markupsafe import Markup
from pydantic import ValidationError

from arasuji.evaluation.report import Report
from arasuji.evaluation.verdict import most_like_real
from arasuji.evaluation.verdict import verdict as verdict_of
from arasuji.reports import plots
from arasuji.reports.compare import compare_page as page_of
from arasuji.speech import share

ODD = "<script>alert(1)</script>\"'&amp; {{ 7 * 7 }} 港 \u202e"


def compare_page(report: dict) -> str:
    return page_of(Report.model_validate_json(json.dumps(report)))


def verdict(report: dict) -> list[str]:
    return verdict_of(Report.model_validate(report))


def pieces(text: str, size: int = 4) -> list[tuple[str, float]]:
    return [(text[i : i + size], 0.1 + (i % 7)) for i in range(0, len(text), size)] + [("", 2.0)]


SHOWN = ["The keeper of the lamp writes to the sea, and the sea answers in a hand like hers.", f"A tale of {ODD}."]
RANGED = ("distinct_1", "distinct_2", "distinct_3", "self_bleu", "repetition")
PROMPTS = ["The keeper of the lamp", "Nobody in the village"]
COMPLETIONS = [" lights it again and again.", " dares to read the letter aloud."]


def judged(accuracy: float, reader: str = "smollm2-135m") -> dict:
    told = {"accuracy": accuracy, "low": accuracy - 0.03, "high": accuracy + 0.03,
            "auroc": 0.876, "auroc_low": 0.85, "auroc_high": 0.9}  # fmt: skip
    return {
        **told,
        "reader": reader,
        "texts": 444,
        "words_accuracy": 0.567,
        "words_low": 0.53,
        "words_high": 0.6,
        "without_surprisal": told | {"accuracy": 0.789},
        "telling": [{"text": f"The lamp sings. {ODD}", "probability": 0.987, "start": 0, "end": 16}],
    }


def model_of(name: str, bits: float, accuracy: float | None = 0.7, charge: float = 0.0) -> dict:
    texts = [prompt + rest for prompt, rest in zip(PROMPTS, COMPLETIONS, strict=True)]
    return {
        "name": name,
        "shots": [],
        "fields": [],
        "family": "lstm",
        "parameters": 123_456,
        "bits_per_byte": bits,
        "low": bits - 0.02,
        "high": bits + 0.02,
        "charge": charge,
        "scored": 250,
        "tokens_per_byte": 0.23,
        "recent": {
            "bits_per_byte": bits + 0.1,
            "low": bits,
            "high": bits + 0.2,
            "charge": charge,
            "scored": 41,
            "tokens_per_byte": 0.23,
        },
        "bits_by_position": [[0, bits + 1], [25, bits], [50, bits - 0.1]],
        "bits_by_frequency": [[0, 30.5, 11], [1, 12.25, 40], [100, 4.5, 200]],
        "calibration": [[0.05, 0.04, 90], [0.55, 0.6, 10]],
        "calibration_error": 0.014,
        "quantization_cost": 0.0096,
        "curve": [[1000, 60.0, bits + 0.4], [2000, 120.0, bits + 0.05]],
        "samples": {
            "texts": 600,
            "distinct_1": 0.11,
            "distinct_2": 0.52,
            "distinct_3": 0.83,
            "self_bleu": 0.345,
            "repetition": 0.012,
            **{f"{name}_range": [0.1, 0.1] for name in RANGED},
            "words": 71,
            "long_enough": 0.93,
            "finished": 0.87,
            "judge": accuracy and judged(accuracy),
            "more_judges": [judged(0.91, "gpt2")] if accuracy else [],
        },
        "originality": {
            "longest_words": 17,
            "longest_words_range": [12, 21],
            "share_4gram": 0.21,
            "share_8gram": 0.034,
            "share_13gram": 0.0056,
            "copying_texts": 0.041,
            "containment": 0.37,
        },
        "cost": {
            "disk_bytes": 12_300_000,
            "training_seconds": 600.0,
            "training_tokens": 120_000,
            "from_cache": False,
            "tokens_per_second_alone": 123.4,
            "tokens_per_second_together": 2345.6,
            "bytes_per_second_together": 9876.5,
            "memory_bytes": 310_000_000,
        },
        "texts": [{"tokens": pieces(text), "copied": [[1, 10]], "nearest": 3, "containment": 0.125} for text in texts],
        "documents": {"nll": [90.5], "charges": [0.0], "bytes": [80], "groups": ["a"], "tokens": 19},
        "shown_tokens": [pieces(text, 5) for text in SHOWN],
    }


def obeyed(lift: float, real: float | None = None) -> dict:
    """Two genres; the second is found in no other text, and its texts are of one group."""
    interval = {"low": lift - 0.04, "high": lift + 0.05}
    return {
        "texts": 300,
        "genres": [
            {"texts": 41, "found": lift + 0.1, "found_in_others": 0.1, "lift": lift, **interval},
            {"texts": 3, "found": lift, "found_in_others": 0.0, "lift": lift, "low": None, "high": None},
        ],
        "lift": lift, **interval, "times": 4.56,
        "of_real": real, "of_real_low": real and real - 0.11, "of_real_high": real and real + 0.12,
    }  # fmt: skip


@pytest.fixture
def report():
    return example()


def example() -> dict:
    """A report as `compare --json` prints it, with everything that it may hold."""
    models = [model_of("lstm-small", 1.9, 0.81, 0.213), model_of(f"odd {ODD}", 1.25, 0.62), model_of("ngram", 2.1)]
    models[0]["obedience"] = obeyed(0.23, 0.72)
    pair = {"difference": -0.65, "low": -0.7, "high": -0.6, "verdict": "better"}
    return {
        "models": models,
        "real": {"samples": models[0]["samples"] | {"judge": judged(0.5), "more_judges": []},
                 "originality": models[0]["originality"] | {"longest_words": 9}, "obedience": obeyed(0.32)},
        "pairs": [
            {"a": models[1]["name"], "b": "lstm-small", **pair},
            {"a": models[1]["name"], "b": "ngram", **pair},
            {"a": "lstm-small", "b": "ngram", **pair, "high": 0.1, "verdict": "no difference shown"},
        ],
        "shown": SHOWN,
        "prompts": PROMPTS,
        "nearest": {"3": f"Glass Harbour {ODD}"},
        "genres": [["Comedy", 3090, 0.834], [f"Mecha {ODD}", 731, 0.912]],
        "meta": {
            "seed": 7, "corpus": "f4621c12", "documents": 250, "prompts": 200, "seeds": 3, "layout": 6,
            "calibration_documents": 48, "recent": 41, "without_judge": "",
            "real_texts": {"test": 350, "train": 94},
            "scored_in": "bfloat16", "written_in": "int8",
            "prompt_words": 8, "words": 43, "training_documents": 15_554, "machine": "2 CPU cores",
            "command": "arasuji compare runs/a runs/b --samples 200",
            "versions": {"arasuji": "0.1.0", "torch": "2.13.0"},
        },
    }  # fmt: skip


def test_the_page_is_balanced_and_its_parts_are_named(report, read):
    page = read(compare_page(report))
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    assert len(page.all("table")) == len(page.all("caption")) > 8
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in page.all("svg"))
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {link["href"] for link in page.all("a")} <= {"#" + name for name in names}


def test_the_page_asks_nobody_for_anything_and_escapes_what_it_is_given(report):
    page = compare_page(report)
    for address in ("http:", "https:", "//", "xmlns", "url(", "@import", "<script", "<link", "<img", "src="):
        assert address not in page, address


def test_the_page_is_the_same_each_time_and_made_of_the_json_alone(report):
    made = Report.model_validate(report)
    assert page_of(Report.model_validate_json(json.dumps(made.model_dump(mode="json")))) == page_of(made)


def places(value, path=()):
    """Where each part of nested JSON stands."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def test_a_report_that_was_read_can_be_shown_whatever_somebody_has_changed_in_it(report, monkeypatch):
    """Each place in turn, but of a list only the first two."""
    report["models"].pop()
    report["pairs"] = report["pairs"][:1]
    drawn = Mock(return_value=Markup(""))
    for name in ("rows", "lines"):  # which are shown too, but take the time of many
        monkeypatch.setattr(plots, name, drawn)
    refused = 0
    whole = json.dumps(report)
    for path in [path for path in places(report) if not any(isinstance(key, int) and key > 1 for key in path)]:
        for value in (None, [], {}, "x", -5, 0, 1e308, 10**400):
            changed = json.loads(whole)
            within = changed
            for key in path[:-1]:
                within = within[key]
            within[path[-1]] = value
            try:
                made = Report.model_validate(changed)
            except ValidationError:
                refused += 1
            else:
                page_of(made)
                made._repr_html_()
    assert refused > 1000


def test_every_figure_is_shown(report, read):
    text = read(compare_page(report)).text
    for model in report["models"]:
        assert f"{model['bits_per_byte']:.3f}" in text
        assert f"{model['low']:.3f} to {model['high']:.3f}" in text
        for part in ("share_4gram", "share_8gram", "share_13gram", "copying_texts", "containment"):
            assert share(model["originality"][part]) in text
        for part in ("distinct_1", "distinct_2", "distinct_3", "repetition", "finished", "long_enough"):
            assert share(model["samples"][part]) in text
        assert share(model["samples"]["judge"]["accuracy"]) in text
    for figure in ("0.213", "0.88 (0.85 to 0.90)", share(0.567), share(0.789), "read by gpt2", "350 of the test split"):
        assert figure in text
    for learnt in ("2.513", "2.163", "2.500", "2.150"):  # a word model's with its charge
        assert learnt in text
    assert "no difference shown" in text
    assert "−0.650" in text
    assert "9 words" in text
    for fact in ("f4621c12", "arasuji compare runs/a runs/b --samples 200", "torch 2.13.0", "15,554"):
        assert fact in text


def test_mauve_has_a_column_where_it_was_measured(report):
    assert "MAUVE" not in compare_page(report)
    report["models"][0]["samples"]["judge"]["mauve"] = 0.4321
    page = compare_page(report)
    assert "MAUVE" in page
    assert ">0.43<" in page


def test_a_notebook_shows_the_verdict_and_a_row_for_each_model(report, read):
    html = Report.model_validate(report)._repr_html_()
    assert "<script" not in html
    shown = read(html)
    for sentence in verdict(report):
        assert sentence.replace("\u202e", "\\u202e") in shown.text
    assert len(shown.all("tr")) == 2 + len(report["models"])
    for figure in ("1.900", "1.880 to 1.920", share(0.81), f"{share(0.78)} to {share(0.84)}"):
        assert figure in shown.text


def test_how_well_models_obey_is_shown_for_those_that_can_be_told_genres(report, read):
    text = " ".join(read(compare_page(report)).text.split())
    for figure in ("+23", "+19 to +28", "72 %", "61 % to 84 %", "4.6", "0.83", "+32 (+28 to +37)"):
        assert figure in text
    assert "33.0 % / 10.0 %" in text
    assert "genre AUROC real texts lift lstm-small lift" in text


def test_the_verdict_says_what_a_model_was_told(report):
    assert not any("is told" in sentence for sentence in verdict(report))
    report["models"][0]["fields"] = ["genres", "title"]
    told = "lstm-small is told the genres and title of each text before it predicts or continues it"
    assert f"{told}, and the others are not." in verdict(report)


def test_the_verdict_says_how_clearly_genres_are_shown(report):
    sentence = "Asked for genres, lstm-small shows them 72\u00a0% as clearly as real texts (61\u00a0% to 84\u00a0%)."
    assert sentence in verdict(report)
    report["models"][0]["obedience"]["low"] = -0.01
    assert "lstm-small is not shown to write of the genres that it is asked for." in verdict(report)


def test_nothing_is_said_of_obedience_where_no_model_can_be_told_genres(report, read):
    report["models"][0]["obedience"] = report["real"]["obedience"] = None
    report["genres"] = []
    page = read(compare_page(report))
    assert "Obedience" not in page.text
    assert "obedience" not in {tag.get("id") for _, tag in page.elements}


def test_each_token_says_its_probability_and_copies_are_underlined(report):
    page = compare_page(report)
    nats = report["models"][0]["texts"][0]["tokens"][7][1]
    assert f'data-tip="{share(math.exp(-nats))}"' in page
    copied = re.findall(r'<span class="p copied"[^>]*>([^<]*)</span>', page)
    assert "".join(copied[: len(copied) // 6]) == COMPLETIONS[0][1:10]


def test_a_text_that_gave_itself_away_is_shown_with_the_sentence_in_bold(report):
    page = compare_page(report)
    assert page.count("<strong>The lamp sings. </strong>&lt;script&gt;") == len(report["models"])


def test_the_words_of_a_held_out_text_stand_whole_above_a_line_for_each_model(report, read):
    page = compare_page(report)
    for word in SHOWN[0].split():
        assert f"<b>{word}</b>" in page
    assert page.count('class="row"') == 3 * sum(len(text.split()) for text in SHOWN)


def test_a_report_with_little_in_it_is_shown_too(report, read):
    nothing = {"tokens": [], "copied": [], "nearest": None, "containment": 0.0}
    for model in report["models"]:
        model |= {"recent": None, "curve": [], "bits_by_position": [[0, 1.5]], "bits_by_frequency": [],
                  "calibration": [], "charge": None, "texts": [nothing] * 2, "low": None, "high": None}  # fmt: skip
        model["samples"] |= dict.fromkeys((*RANGED, *(f"{name}_range" for name in RANGED), "judge"))
        model["samples"]["more_judges"] = []
        model["samples"]["long_enough"] = 0.2
        model["cost"] |= {"training_seconds": None, "from_cache": True}
    report["real"]["samples"]["judge"] = None
    report["meta"]["without_judge"] = "The texts are not judged, since no reader is here"
    report["pairs"][2] |= {"low": None, "high": None, "verdict": "too few texts"}
    text = read(compare_page(report)).text
    assert "were measured in an earlier comparison" in text
    assert "The texts are not judged, since no reader is here" in text
    assert "only 41 are in the test split: too few" in " ".join(text.split())
    assert "Only 20.0\u00a0% of the texts of ngram are long enough to be judged." in text


def test_a_verdict_says_no_more_than_its_interval(report):
    better = verdict(report)[0]
    assert better.startswith(
        f"odd {ODD} predicts unseen texts best: 1.250 bits per byte, 34.2\u00a0% fewer than lstm-small"
    )
    report["pairs"][0]["verdict"] = "no difference shown"
    assert verdict(report)[0].endswith(f"no difference is shown between odd {ODD} and the other.")
    assert "needs" not in read_titles(compare_page(report))[0]
    report["pairs"][1]["verdict"] = "no difference shown"
    assert verdict(report)[0].startswith(f"odd {ODD}, lstm-small and ngram predict")
    assert read_titles(compare_page(report))[0].endswith("lstm-small and ngram need the fewest bits")
    report["pairs"][0]["verdict"] = "not comparable"
    assert "cannot be compared" in verdict(report)[0]
    report["pairs"][0]["verdict"] = "too few texts"
    assert "too few" in verdict(report)[0]


def test_the_most_like_real_texts_are_all_those_whose_intervals_meet(report):
    shares = {"lstm-small": (0.81, 0.78), f"odd {ODD}": (0.62, 0.59), "ngram": (0.66, 0.63)}
    for model in report["models"]:
        accuracy, low = shares[model["name"]]
        found = judged(accuracy) | {"low": low, "high": accuracy + 0.03}
        model["samples"] = model["samples"] | {"judge": found}
    assert most_like_real(Report.model_validate(report).models) == [f"odd {ODD}", "ngram"]
    report["models"][0]["samples"]["judge"] = None
    report["models"][2]["samples"]["judge"] = None
    assert "are told from real ones with an accuracy of 62.0" in " ".join(read_titles(compare_page(report)))


def read_titles(page: str) -> list[str]:
    return re.findall("<h3>(.*?)</h3>", page)


def test_a_model_that_copies_no_more_than_people_is_not_blamed(report):
    assert "copies most: up to 17 words in a row" in " ".join(verdict(report))
    report["real"]["originality"]["longest_words"] = 17
    assert "No model has copied a longer passage than real texts share: at most 17 words" in " ".join(verdict(report))
