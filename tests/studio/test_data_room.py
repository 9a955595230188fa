"""The corpora, what their rules did, the TOML of these rules, and an inspection as a job."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from ill_texts import EVIL, NOTE, write_ill

from arasuji.corpus import Corpus, prepare
from arasuji.corpus.clean import load_rules
from arasuji.studio.jobs import Jobs
from arasuji.studio.rooms.data import PAGE, _arguments

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(starter_texts, tmp_path_factory) -> Path:
    """A folder with a corpus, whose source lies beside it."""
    folder = tmp_path_factory.mktemp("data")
    source = write_ill(starter_texts, folder / "my texts.csv")
    prepare([source], folder / "served" / "ill", text_column="told here", delimiter=";")
    return folder / "served"


@pytest.fixture(scope="module")
def room(folder, serve) -> Iterator[httpx.Client]:
    with serve(folder) as server, httpx.Client(base_url=f"{server.url}/api/corpora", timeout=60) as client:
        yield client


def rule(room: httpx.Client, name: str) -> tuple[dict, list[dict]]:
    """A rule of the corpus, and its examples."""
    rules = room.get("/ill").json()["rules"]
    number = next(i for i, rule in enumerate(rules, 1) if rule["rule"] == name)
    return rules[number - 1], room.get(f"/ill/rules/{number}").json()["examples"]


def text(example: dict, *kinds: str) -> str:
    return "".join(part for kind, part in example["pieces"] if kind in kinds)


def ended(room: httpx.Client, name: str) -> dict:
    """The inspection, once it is no longer at work."""
    began = time.monotonic()
    while (found := room.get(f"/{name}/inspection").json())["state"] == "running":
        assert time.monotonic() < began + 120
        time.sleep(0.1)
    return found


def test_corpora_are_listed_with_their_documents_and_a_damaged_one_says_so(folder, serve, tmp_path):
    shutil.copytree(folder / "ill", tmp_path / "ill")
    shutil.copytree(folder / "ill", tmp_path / "torn")
    (tmp_path / "torn" / "train.jsonl").write_text("{", "utf-8")
    (tmp_path / "no corpus").mkdir()
    corpus = Corpus.load(folder / "ill")
    with serve(tmp_path) as server, httpx.Client(base_url=f"{server.url}/api/corpora") as client:
        whole, torn = httpx.get(f"{server.url}/api/corpora").json()
        assert whole == {
            "id": "ill",
            "documents": {name: len(corpus.split(name)) for name in ("train", "validation", "test")},
            "hash": corpus.hash,
            "problem": None,
        }
        assert (torn["id"], torn["documents"]) == ("torn", {})
        assert "is damaged: make it again" in torn["problem"]
        answer = client.get("/torn")
        assert (answer.status_code, "damaged" in answer.json()["error"]["message"]) == (503, True)


def test_each_rule_says_what_it_did_and_the_whole_set_can_be_used_again(room, folder, tmp_path):
    about = room.get("/ill").json()
    counts = [{name: rule[name] for name in ("rule", "removed", "changed", "left")} for rule in about["rules"]]
    corpus = Corpus.load(folder / "ill")
    assert counts == [count.counts() for count in corpus.rules[1:]]
    assert about["came"] == corpus.rules[0].left == 67
    assert all(rule["summary"] and rule["known"] for rule in about["rules"])
    (tmp_path / "my.toml").write_text(about["toml"], "utf-8")
    assert load_rules(str(tmp_path / "my.toml")).steps == load_rules("default").steps
    assert about["toml"] == "\n".join(rule["toml"] for rule in about["rules"])
    assert about["sources"] == ["my texts.csv"]


def test_a_rule_shows_what_it_took_out_put_in_or_removed(room):
    did, notes = rule(room, "source-notes")
    assert (did["changed"], len(notes)) == (30, 20)
    assert all(text(example, "out").strip() == NOTE for example in notes)
    assert not any(example["removed"] for example in notes)
    did, short = rule(room, "words")
    assert [(text(example, "same"), example["removed"]) for example in short] == [("too short", True)]
    did, tags = rule(room, "html")
    assert [text(example, "out") for example in tags] == ["<b></b>", "<img src=x onerror=alert(1)>"]
    did, none = rule(room, "markers")
    assert (did["removed"], did["changed"], none) == (0, 0, [])


def test_a_corpus_of_an_earlier_version_says_that_its_parameters_are_not_known(folder, serve, tmp_path):
    shutil.copytree(folder / "ill", tmp_path / "older")
    path = tmp_path / "older" / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    for row in manifest["rules"]:
        del row["table"]
        row["example"] = ["A <b>", "A "] if row["rule"] == "html" else None
    manifest["rules"][-1]["rule"] = "another"
    (tmp_path / "older" / "examples.jsonl").unlink()
    del manifest["files"]["examples.jsonl"], manifest["sources"], manifest["reading"]
    path.write_text(json.dumps(manifest), "utf-8")
    with serve(tmp_path) as server, httpx.Client(base_url=f"{server.url}/api/corpora") as client:
        about = client.get("/older").json()
        assert (about["toml"], about["sources"]) == (None, [])
        rules = {rule["rule"]: rule for rule in about["rules"]}
        assert not any(rule["known"] for rule in rules.values())
        assert "min = 10" in rules["words"]["toml"]
        assert rules["another"]["toml"] == rules["another"]["summary"] == ""
        shown = client.get("/older/rules/2").json()["examples"]
        assert [example["pieces"] for example in shown] == [[["same", "A "], ["out", "<b>"]]]


def test_texts_are_found_by_a_word_in_any_case_a_page_at_a_time(room, folder):
    train = Corpus.load(folder / "ill").train
    first, second = (room.get("/ill/texts", params={"offset": offset}).json() for offset in (0, PAGE))
    shown = [text(one, "same") for one in first["texts"] + second["texts"]]
    assert shown == [record.text for record in train[: 2 * PAGE]]
    assert first["more"]
    end = room.get("/ill/texts", params={"offset": len(train) - 1}).json()
    assert (len(end["texts"]), end["more"]) == (1, False)
    found = room.get("/ill/texts", params={"word": "THE "}).json()["texts"]
    assert found
    assert all(part.lower() == "the " for one in found for kind, part in one["pieces"] if kind == "mark")
    assert all(text(one, "mark") for one in found)
    assert room.get("/ill/texts", params={"word": ".*"}).json() == {"texts": [], "more": False}
    sizes = [len(room.get("/ill/texts", params={"split": name}).json()["texts"]) for name in ("validation", "test")]
    assert all(sizes)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/il", 404, "no corpus 'il'; did you mean 'ill'?"),
        ("/..", 404, ""),
        ("/a%00b", 404, "no corpus"),
        ("/ill/rules/0", 400, "number"),
        ("/ill/rules/99", 404, "there is no rule 99"),
        ("/ill/rules/x", 400, "number"),
        (f"/ill/rules/{10**30}", 400, "number"),
        ("/ill/texts?offset=-1", 400, "offset"),
        ("/ill/texts?split=all", 400, "split"),
        (f"/ill/texts?word={'x' * 201}", 400, "word"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(room, path, status, said):
    answer = room.get(path)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_the_sources_are_examined_as_they_were_read_and_the_result_stays(room, folder, serve):
    assert room.get("/ill/inspection").json() == {"state": "none"}
    answer = room.post("/ill/inspect", json={})
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    again = room.post("/ill/inspect", json={})
    assert (again.status_code, "running already" in again.json()["error"]["message"]) == (409, True)
    found = ended(room, "ill")
    assert (found["state"], found["of"]) == ("done", "sources"), found
    result = found["result"]
    assert result["documents"] == 67
    assert result["hash"] == Corpus.load(folder / "ill").hash
    findings = {finding["rule"]: finding for finding in result["findings"]}
    assert findings["source-notes"]["toml"] == '[[rule]]\nname = "source-notes"\n'
    assert [text(one, "out").strip() for one in findings["source-notes"]["examples"]] == [NOTE] * 20
    assert EVIL in "".join(text(one, "same", "out") for one in findings["html"]["examples"])
    with serve(folder) as server:  # another server finds it
        other = httpx.get(f"{server.url}/api/corpora/ill/inspection").json()
    assert other == found


def test_where_the_sources_are_gone_the_corpus_is_examined_and_a_new_corpus_forgets_it(folder, serve, tmp_path):
    shutil.copytree(folder / "ill", tmp_path / "a corpus")
    path = tmp_path / "a corpus" / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(manifest | {"sources": [str(tmp_path / "gone.csv")]}), "utf-8")
    with serve(tmp_path) as server, httpx.Client(base_url=f"{server.url}/api/corpora", timeout=60) as client:
        assert client.get("/a corpus").json()["sources"] == []
        assert client.post("/a corpus/inspect", json={}).status_code == 202
        found = ended(client, "a corpus")
        assert (found["state"], found["of"], found["result"]["rules"]) == ("done", "corpus", "")
        assert found["result"]["documents"] == 62
        prepare([folder.parent / "my texts.csv"], tmp_path / "a corpus", seed=1, text_column="told here")
        assert client.get("/a corpus/inspection").json() == {"state": "none"}


def test_an_inspection_that_fails_says_why(folder, serve, tmp_path):
    source = tmp_path / "texts.csv"
    shutil.copy(folder.parent / "my texts.csv", source)
    prepare([source], tmp_path / "served" / "ill", text_column="told here")
    source.write_text("told here\n", "utf-8")
    with serve(tmp_path / "served") as server, httpx.Client(base_url=f"{server.url}/api/corpora") as client:
        client.post("/ill/inspect", json={})
        found = ended(client, "ill")
        assert (found["state"], "texts.csv: there are no rows in it" in found["said"]) == ("failed", True), found
        jobs = Jobs(tmp_path / "served")
        (jobs.folder / "inspect-ill.code").write_text("0")  # as if it had ended well, and printed nothing
        assert client.get("/ill/inspection").json()["said"] == "what it has found cannot be read"


def test_no_source_and_no_value_is_taken_for_an_option_and_no_other_option_is_passed_on(folder, tmp_path):
    source = tmp_path / "--out=x.csv"
    shutil.copy(folder.parent / "my texts.csv", source)
    corpus = prepare([source], tmp_path / "made", seed=7, text_column="told here", no_header=False, keep=["id"])
    corpus.reading.update({"out": str(tmp_path / "evil"), "text_layout": "--out", "skip_bad_rows": True})
    words = _arguments(corpus, list(corpus.sources))
    assert words[0] == str(source.resolve())
    assert sorted(words[1:]) == sorted(
        ["--text-column=told here", "--text-layout=--out", "--skip-bad-rows", "--rules=default", "--seed=7", "--json"]
    )
