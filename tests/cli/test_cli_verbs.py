"""The verbs' keys, options and files are a contract: other tools call them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from arasuji.cli.appending import Writer
from arasuji.errors import OptionError
from arasuji.speech import shown

KEYS = {
    "prepare": {"rules", "documents", "notes", "hash"},
    "train": {"run", "steps", "tokens", "seconds", "best"},
    "evaluate": {"bits_per_byte", "low", "high", "documents", "bytes", "tokens", "charge", "shots", "told"},
}
SAMPLE = {"prompt", "completion", "text", "tokens", "finished", "seed", "redrawn", "copied", "nearest", "fields"}


# Help


def test_help_imports_nothing_heavy():
    heavy = ("torch", "transformers", "polars", "tokenizers", "peft", "accelerate", "numpy", "pydantic.main")
    code = (
        "import sys, arasuji.cli; sys.argv = ['arasuji', '--help']\n"
        "try: arasuji.cli.main()\n"
        f"finally: print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"


def test_help_names_every_verb(arasuji_):
    for words in (["--help"], ["-h"], []):
        outcome = arasuji_(*words)
        assert (outcome.code, outcome.err) == (0, "")
        for verb in ("prepare", "train", "generate", "evaluate", "compare", "presets", "models", "runs", "demo"):
            assert f"\n  {verb} " in outcome.out


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        (
            "prepare",
            "--out --rules --text-column --title-column --genre-column --delimiter --encoding --no-header"
            " --skip-bad-rows --seed --json",
        ),
        ("train", "--corpus --out --set --max-minutes --max-steps --resume --dry-run --json"),
        (
            "generate",
            "--prompts-file -n --min-length --max-length --temperature --top-k --top-p --min-p --repetition-penalty"
            " --no-repeat-ngram-size --num-beams --seed --shots --corpus --out --json",
        ),
        (
            "evaluate",
            "--corpus --split --texts --text-column --title-column --delimiter --encoding --no-header --skip-bad-rows"
            " --shots --seed --json",
        ),
        ("compare", "--corpus --out --samples --seeds --documents --shots --json --from"),
    ],
)
def test_a_verb_has_the_options_of_the_contract(arasuji_, verb, options):
    outcome = arasuji_(verb, "--help")
    assert outcome.code == 0
    assert [option for option in options.split() if f" {option} " not in outcome.out] == []


# JSON: one object on stdout, with these keys


def test_prepare_counts_rules_and_documents(prepared):
    found = prepared[1].json
    assert found.keys() == KEYS["prepare"]
    assert all(rule.keys() == {"rule", "removed", "changed", "left"} for rule in found["rules"])
    assert found["documents"].keys() == {"train", "validation", "test"}
    assert sum(found["documents"].values()) == found["rules"][-1]["left"]


def test_preparing_again_gives_the_same_hash_and_another_seed_another(arasuji_, starter, prepared, tmp_path):
    folder = tmp_path / "corpus"
    assert arasuji_("prepare", starter, "--out", folder, "--json").json == prepared[1].json
    other = arasuji_("prepare", starter, "--out", folder, "--seed", 1, "--json").json
    assert other["hash"] != prepared[1].json["hash"]


def test_train_says_what_was_done(trained):
    found = trained[1].json
    assert found.keys() == KEYS["train"]
    assert found["best"].keys() == {"step", "bits_per_byte"}
    assert found["run"] == str(trained[0])
    assert found["steps"] == 4
    assert 1 <= found["best"]["step"] <= 4


def test_metrics_hold_steps_losses_and_validations(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all({"step", "tokens", "loss"} <= line.keys() for line in lines)
    assert any("bits_per_byte" in line for line in lines)


def test_evaluate_scores_the_test_split_of_the_runs_own_corpus(arasuji_, run, corpus, prepared):
    found = arasuji_("evaluate", run, "--json").json
    assert found.keys() == KEYS["evaluate"]
    assert found["documents"] == prepared[1].json["documents"]["test"]
    assert found["low"] < found["bits_per_byte"] < found["high"]
    assert found["charge"] == 0
    assert arasuji_("evaluate", run, "--corpus", corpus, "--split", "test", "--json").json == found
    assert arasuji_("evaluate", run, "--split", "validation", "--json").json != found


def test_evaluate_scores_a_file_as_it_is(arasuji_, run, tmp_path):
    texts = ["A lighthouse <b>keeper</b>.", "日本 🦊", "A lighthouse <b>keeper</b>."]
    path = tmp_path / "texts.csv"
    path.write_text("title,plot\n" + "".join(f"t,{text}\n" for text in texts), "utf-8")
    found = arasuji_("evaluate", run, "--texts", path, "--json").json
    assert found["documents"] == 3
    assert found["bytes"] == sum(len(text.encode()) for text in texts)


def test_evaluate_reads_a_file_as_prepare_does(arasuji_, run, tmp_path):
    path = tmp_path / "words.csv"
    rows = [("Lamp Season 1", "The lamp; is lit."), ("Lamp Season 2", "It storms; again."), ("Rain", "It rains, été.")]
    path.write_bytes("\r\n".join(f'{title};"{text}"' for title, text in [("head", "words"), *rows]).encode("cp1252"))
    assert (
        "no column of texts among head, words: name it with --text-column"
        in arasuji_("evaluate", run, "--texts", path, "--encoding", "cp1252").complaint
    )
    words = ["evaluate", run, "--texts", path, "--encoding", "cp1252", "--text-column", "words", "--json"]
    outcome = arasuji_(*words)
    assert outcome.json["bytes"] == sum(len(text.encode()) for _, text in rows)
    assert outcome.err == "words.csv: its cells are parted by semicolons; --delimiter names something else\n"
    grouped = arasuji_(*words, "--title-column", "head", "--delimiter", ";")
    assert (grouped.err, grouped.json["bits_per_byte"]) == ("", outcome.json["bits_per_byte"])
    assert (grouped.json["low"], grouped.json["high"]) != (outcome.json["low"], outcome.json["high"])
    path.write_bytes(path.read_bytes() + b"\r\nFog;told;more\r\n")
    assert "line 5: 3 fields under 2 columns; mend it, or leave such rows out" in arasuji_(*words).complaint
    assert arasuji_(*words, "--skip-bad-rows").json["documents"] == 3
    assert arasuji_(*words[:6], "--no-header", "--text-column", "2", "--skip-bad-rows", "--json").json["documents"] == 4
    assert (
        "--skip-bad-rows says how to read a file: name it with --texts"
        in arasuji_("evaluate", run, "--skip-bad-rows").complaint
    )


def test_a_word_tokenizer_is_charged_by_the_corpus_and_without_one_it_says_so(arasuji_, corpus, tmp_path):
    small = ("embedding=8", "hidden=8", "layers=1", "validation_documents=4", "batch_size=4")
    changes = [word for setting in small for word in ("--set", setting)]
    moved, texts = tmp_path / "corpus", tmp_path / "texts.txt"
    shutil.copytree(corpus, moved)
    outcome = arasuji_(
        "train", "lstm-article", "--corpus", moved, "--out", tmp_path / "run", "--max-steps", 1, *changes
    )
    assert outcome.code == 0, outcome.err
    texts.write_text("A lighthouse Keeper.", "utf-8")
    assert arasuji_("evaluate", tmp_path / "run", "--json").json["charge"] > 0.1
    assert arasuji_("evaluate", tmp_path / "run", "--texts", texts, "--json").json["charge"] > 0.1
    shutil.rmtree(moved)
    assert arasuji_("evaluate", tmp_path / "run", "--texts", texts, "--json").json["charge"] is None
    shown = arasuji_("evaluate", tmp_path / "run", "--texts", texts).out
    assert shown.startswith("at least ")
    assert "lower bound" in shown


# Generate


def samples(outcome) -> list[dict]:
    found = outcome.json
    assert found.keys() == {"samples", "shots"}
    assert all(sample.keys() == SAMPLE for sample in found["samples"])
    return found["samples"]


def test_sample_i_has_seed_s_plus_i_and_is_written_again_alone(arasuji_, run):
    many = samples(arasuji_("generate", run, "After years", "A young man", "-n", 2, "--seed", 7, "--json"))
    assert [sample["seed"] for sample in many] == [7, 8, 9, 10]
    assert [sample["prompt"] for sample in many] == ["After years"] * 2 + ["A young man"] * 2
    for sample in many:
        again = arasuji_("generate", run, sample["prompt"], "-n", 1, "--seed", sample["seed"], "--json")
        assert samples(again) == [sample]


def test_no_prompt_is_the_empty_prompt(arasuji_, run):
    none, empty = arasuji_("generate", run, "--json"), arasuji_("generate", run, "", "--json")
    assert samples(none) == samples(empty)
    assert samples(none)[0]["prompt"] == ""


def test_the_text_is_the_prompt_and_its_completion(arasuji_, run):
    [sample] = samples(arasuji_("generate", run, "After years", "--json"))
    assert sample["text"] == ("After years" + sample["completion"]).strip()
    assert 1 <= sample["tokens"] <= 12  # the preset's own setting


def test_lengths_count_new_tokens(arasuji_, run):
    options = ("--min-length", 5, "--max-length", 5, "--json")
    assert [s["tokens"] for s in samples(arasuji_("generate", run, "After years", "-n", 3, *options))] == [5, 5, 5]


def test_temperature_zero_is_greedy_whatever_the_seed(arasuji_, run):
    texts = {
        samples(arasuji_("generate", run, "A", "--temperature", 0, "--seed", seed, "--json"))[0]["text"]
        for seed in (0, 1)
    }
    assert len(texts) == 1


def test_every_option_is_taken_together(arasuji_, run):
    options = "--min-length 1 --max-length 4 --temperature 0.7 --top-k 9 --top-p 0.9 --min-p 0.01 --num-beams 2"
    more = "--repetition-penalty 1.1 --no-repeat-ngram-size 2 --seed 3 --json"
    assert len(samples(arasuji_("generate", run, "A", *options.split(), *more.split()))) == 1


@pytest.mark.parametrize("prompt", ["🦊", "日本の話", "zzyzx qwrtp", "   ", "<|endoftext|>", "line\nbreak", "a" * 300])
def test_any_prompt_is_answered(arasuji_, run, prompt):
    [sample] = samples(arasuji_("generate", run, prompt, "--json"))
    assert sample["prompt"] == prompt
    assert sample["text"].startswith(prompt.strip())


def test_plain_output_is_the_texts_and_nothing_else(arasuji_, run):
    texts = [s["text"] for s in samples(arasuji_("generate", run, "A", "-n", 2, "--json"))]
    assert arasuji_("generate", run, "A", "-n", 2).out == "".join(shown(text) + "\n\n" for text in texts)


def test_prompts_come_from_a_file_a_line_each(arasuji_, run, tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffAfter years\r\n\nA young\u2028man\n".encode())
    found = samples(arasuji_("generate", run, "First", "--prompts-file", path, "--json"))
    assert [sample["prompt"] for sample in found] == ["First", "After years", "A young\u2028man"]


def test_out_txt_appends_texts(arasuji_, run, tmp_path):
    path = tmp_path / "deep" / "texts.txt"
    first = arasuji_("generate", run, "A", "-n", 2, "--out", path)
    second = arasuji_("generate", run, "B", "--out", path)
    assert shown(path.read_bytes().decode()) == first.out + second.out


def test_out_jsonl_appends_lines_that_carry_model_settings_and_seed(arasuji_, run, tmp_path):
    path = tmp_path / "texts.jsonl"
    found = samples(arasuji_("generate", run, "A", "-n", 2, "--seed", 5, "--top-k", 9, "--out", path, "--json"))
    arasuji_("generate", run, "B", "--out", path)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["seed"] for line in lines] == [5, 6, 0]
    assert [{key: line[key] for key in SAMPLE} for line in lines[:2]] == found
    assert all(
        line.keys() == SAMPLE | {"model", "weights", "precision", "settings", "shots", "copying", "wishes"}
        for line in lines
    )
    assert all(line["model"] == run.name for line in lines)
    assert [line["settings"]["top_k"] for line in lines] == [9, 9, 0]


@pytest.mark.parametrize("cut", [0, 1, 40, -1, -30])
def test_writing_resumed_after_a_kill_gives_the_file_of_an_undisturbed_one(arasuji_, run, tmp_path, cut):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("After years\nA young man\nIn the\n", "utf-8")
    words = ("generate", run, "--prompts-file", prompts, "-n", 2, "--seed", 3, "--out")
    arasuji_(*words, tmp_path / "whole.jsonl")
    whole = (tmp_path / "whole.jsonl").read_bytes()
    part = tmp_path / "part.jsonl"
    part.write_bytes(whole[:cut] if cut else whole)  # a kill in the middle of a line, or after the end
    again = arasuji_(*words, part, "--resume")
    assert part.read_bytes() == whole
    kept = (whole[:cut] if cut else whole).count(b"\n")
    assert f"{6 - kept} appended" in again.err


def test_writing_is_resumed_before_the_zeros_that_a_power_loss_has_left(arasuji_, run, tmp_path):
    words = ("generate", run, "After", "-n", 3, "--max-length", 9, "--out")
    arasuji_(*words, tmp_path / "whole.jsonl")
    first, second, third = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "part.jsonl").write_bytes(first + bytes(len(second)) + third)
    arasuji_(*words, tmp_path / "part.jsonl", "--resume")
    assert (tmp_path / "part.jsonl").read_bytes() == first + second + third


def test_writing_is_resumed_in_its_own_file_only(arasuji_, run, tmp_path):
    path = tmp_path / "texts.jsonl"
    arasuji_("generate", run, "A", "B", "--out", path)
    before = path.read_bytes()
    for words in (("A", "C"), ("A", "B", "--seed", 1), ("A",), ("A", "B", "--top-k", 3)):
        assert "another --out" in arasuji_("generate", run, *words, "--out", path, "--resume").complaint
        assert path.read_bytes() == before
    assert "jsonl" in arasuji_("generate", run, "A", "--out", tmp_path / "a.txt", "--resume").complaint
    assert "jsonl" in arasuji_("generate", run, "A", "--resume").complaint


@pytest.mark.parametrize("begun", [b"", b"x"])
def test_a_line_that_never_ends_does_not_fill_the_memory(begun, tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_bytes(begun)
    os.truncate(path, 2**30)
    tracemalloc.start()
    with pytest.raises(OptionError, match="another --out") if begun else nullcontext():
        Writer(path).written([("A", {})], 1, 0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**28
    assert path.stat().st_size == (2**30 if begun else 0)


def test_writing_is_not_resumed_by_another_model_or_in_another_precision(arasuji_, run, short_sighted, tmp_path):
    path = tmp_path / "texts.jsonl"
    words = ("generate", run, "A", "B", "--out", path)
    arasuji_(*words, "--precision", "fp32")
    before = path.read_bytes()
    assert "another 'precision'" in arasuji_(*words, "--precision", "int8", "--resume").complaint
    other = shutil.copytree(short_sighted, tmp_path / run.name)  # in a folder of the same name, to be written alike
    manifest = json.loads((run / "manifest.json").read_text())["experiment"]["sampling"]
    whole = json.loads((other / "manifest.json").read_text())
    whole["experiment"]["sampling"] = manifest
    (other / "manifest.json").write_text(json.dumps(whole))
    again = arasuji_("generate", other, "A", "B", "--out", path, "--precision", "fp32", "--resume")
    assert "another 'weights'" in again.complaint
    assert path.read_bytes() == before
    assert "0 appended" in arasuji_(*words, "--precision", "fp32", "--resume").err


def test_a_full_disk_leaves_whole_lines_only(arasuji_, run, tmp_path, disk_of):
    path = tmp_path / "texts.jsonl"
    arasuji_("generate", run, "A", "--out", path)
    before = path.read_bytes()
    with disk_of(len(before) + 100):
        outcome = arasuji_("generate", run, "A", "--out", path, "--json")
    assert str(path) in outcome.complaint
    assert path.read_bytes() == before


# Train


def test_resuming_a_finished_run_changes_nothing_and_succeeds(arasuji_, run, corpus, trained, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    again = arasuji_("train", "lstm-small", "--corpus", corpus, "--out", copy, "--resume", "--json").json
    assert {**again, "run": ""} == {**trained[1].json, "run": ""}
    assert (copy / "metrics.jsonl").read_text() == (run / "metrics.jsonl").read_text()
    assert (copy / "best" / "model.safetensors").read_bytes() == (run / "best" / "model.safetensors").read_bytes()


def test_a_full_disk_while_training_leaves_a_run_that_can_be_continued(
    arasuji_, corpus, tmp_path, disk_of, tiny_settings
):
    words = ("train", "lstm-small", "--corpus", corpus, "--out", tmp_path / "run", "--max-steps", 3)
    changes = tiny_settings("checkpoint_steps=1", "embedding=128", "hidden=128")
    with disk_of(900_000):  # the encoded corpus (500 kB) and the weights (700 kB) fit, the checkpoint (2 MB) does not
        assert "last" in arasuji_(*words, *changes, "--json").complaint
    assert not (tmp_path / "run" / "last").exists()
    assert [p.name for p in (tmp_path / "run").iterdir() if p.name.startswith(".")] == []
    assert arasuji_(*words, *changes, "--resume", "--json").json["steps"] == 3


def test_too_little_memory_while_training_is_one_line(arasuji_, corpus, tmp_path, monkeypatch, tiny_settings):
    monkeypatch.setattr("arasuji.training.loop.add_gradient", lambda *of, **more: torch.empty(2**50))
    words = ("train", "lstm-small", "--corpus", corpus, "--out", tmp_path / "run", "--max-steps", 3)
    assert "memory is full" in arasuji_(*words, *tiny_settings()).complaint


def test_text_for_a_person_ends_with_the_next_command(arasuji_, starter, corpus, tmp_path, tiny_settings):
    made = arasuji_("prepare", starter, "--out", tmp_path / "corpus")
    assert "next       arasuji train" in made.out
    words = ("train", "lstm-small", "--corpus", corpus, "--out", tmp_path / "run", "--max-steps", 1)
    assert "next       arasuji generate" in arasuji_(*words, *tiny_settings()).out


def test_training_says_beforehand_what_it_will_take(arasuji_, trained):
    for word in ("parameters", "tokens an epoch", "estimate", "of memory"):
        assert word in trained[1].err


def test_a_broken_run_of_writing_to_a_closed_pipe_is_quiet(run):
    command = f"{sys.executable} -m arasuji presets lstm-small | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


# What there is


def too_wide(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line.rstrip()) > 80]


def test_presets_are_listed_in_80_columns(arasuji_):
    outcome = arasuji_("presets")
    assert outcome.code == 0
    for name in ("lstm-article", "lstm-small", "gpt2-article", "gpt2-mini", "pretrained-lora", "ngram"):
        assert f" {name} " in outcome.out
    assert too_wide(outcome.out) == []


@pytest.mark.parametrize(
    "name", ["lstm-article", "lstm-small", "gpt2-article", "gpt2-mini", "pretrained-lora", "ngram"]
)
def test_a_preset_is_shown_with_every_option_and_its_meaning(arasuji_, name):
    outcome = arasuji_("presets", name)
    assert outcome.code == 0
    file, _, options = outcome.out.partition("[tokenizer]  options for --set")
    assert "description = " in file
    for option in ("learning_rate = ", "validation_documents = ", "top_p = ", "num_beams = "):
        assert f"\n  {option}" in options
    assert too_wide(options) == []


def test_models_are_listed_with_licences_sizes_and_places(arasuji_):
    outcome = arasuji_("models")
    assert outcome.code == 0
    for word in ("gpt2-xl", "smollm2-135m", "Apache-2.0", "MIT", "124 M", "arasuji models get"):
        assert word in outcome.out
    assert too_wide(outcome.out) == []


def test_runs_are_listed_with_scores_beside_whatever_else_stands_there(arasuji_, run, corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("runs")  # the default
    for name in ("good", "damaged", "unfinished", "scoreless"):
        shutil.copytree(run, folder / name)
    shutil.copytree(corpus, folder / "corpus")
    (folder / "notes").mkdir()
    (folder / "file.txt").write_text("x")
    (folder / "damaged" / "manifest.json").write_text('{"experiment":')
    shutil.rmtree(folder / "unfinished" / "best")
    (folder / "scoreless" / "best" / "manifest.json").write_text("[]")
    outcome = arasuji_("runs")
    assert outcome.code == 0, outcome.err
    rows = {line.split()[0]: line.split() for line in outcome.out.splitlines()[3:] if line.strip()}
    assert rows["good"][1] == "lstm-small"
    assert float(rows["good"][3]) > 0
    assert rows["unfinished"][3] == "-"
    assert rows["damaged"][1] == "damaged"
    assert "scoreless" in rows
    assert not rows.keys() & {"corpus", "notes", "file.txt"}
    assert too_wide(outcome.out) == []


def test_runs_are_listed_best_first_and_lower_bounds_are_marked_and_last(arasuji_, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scores = {"middle": (2.0, "bpe"), "best": (1.5, "bpe"), "words": (1.2, "word"), "fewer": (1.3, "word")}
    for name, (score, kind) in scores.items():
        manifest = shutil.copytree(run, tmp_path / name) / "best" / "manifest.json"
        content = json.loads(manifest.read_text()) | {"bits_per_byte": score, "tokenizer": kind}
        manifest.write_text(json.dumps(content))
    shutil.rmtree(shutil.copytree(run, tmp_path / "none") / "best")
    out = arasuji_("runs", ".").out
    rows = [line.split() for line in out.splitlines()[2:] if line.strip()]
    assert [row[0] for row in rows[1:6]] == ["best", "middle", "words", "fewer", "none"]
    assert [" ".join(row[3:-2]) for row in rows[1:6]] == ["1.500", "2.000", ">= 1.200", ">= 1.300", "-"]
    assert ">= is a lower bound" in out
    assert too_wide(out) == []


def test_a_found_model_is_printed_as_a_folder(arasuji_, tmp_path, monkeypatch):
    from arasuji import bases

    monkeypatch.setattr(bases, "get", lambda name: (Path("/some/folder"), f"hub ({name})"))
    outcome = arasuji_("models", "get", "gpt2")
    assert (outcome.code, outcome.out) == (0, "/some/folder\n")


def test_ctrl_c_outside_training_is_one_line(arasuji_, monkeypatch):
    from arasuji import bases

    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(bases, "get", interrupted)
    outcome = arasuji_("models", "get", "gpt2")
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "interrupted\n")


def test_a_link_that_a_person_names_for_a_page_stays_a_link(arasuji_, corpus, tmp_path):
    (tmp_path / "page.html").symlink_to("elsewhere.html")
    arasuji_("inspect", corpus, "--out", tmp_path / "page.html")
    assert (tmp_path / "page.html").is_symlink()
    assert "<html" in (tmp_path / "elsewhere.html").read_text("utf-8")
