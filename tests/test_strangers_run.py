"""A run folder that a stranger hands over: nothing outside it is touched, and what does not fit is one line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import struct
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from conftest import SMALL, small_model
from leftovers import work_on
from safetensors.torch import load_file, save_file

from arasuji import api, files, folders, models
from arasuji.config import Experiment, TeachingConfig
from arasuji.documents import Document
from arasuji.errors import ArasujiError, StorageError
from arasuji.models import transformer as decoders
from arasuji.models.int8 import decoder
from arasuji.runs import RunDirectory, corpus_of
from arasuji.teaching.lesson import Lesson

FAMILIES = ("lstm", "adaptive", "ngram", "transformer")
MOST_SECONDS = 20


@pytest.fixture(scope="module")
def made(bpe, tmp_path_factory):
    """A run of each family, by its name. Not to be changed."""
    folder, runs = tmp_path_factory.mktemp("made"), {}
    for name in FAMILIES:
        family, options = ("lstm", {"cutoffs": [50, 200]}) if name == "adaptive" else (name, {})
        model = small_model(family, bpe, **options)
        if family == "ngram":
            ids = torch.tensor([bpe.encode("After years a young man comes home to the harbour.")])
            model.train()(ids[:, :-1], ids[:, 1:])
        experiment = Experiment(family=family, tokenizer={"name": "bpe"}, model=SMALL[family] | options)
        run = RunDirectory(folder / name)
        run.start(experiment, {"name": name, "corpus": {"hash": "0" * 64, "folder": ""}, "base": ""})
        run.save_best(experiment, model.eval(), bpe, {"base": "", "step": 1, "bits_per_byte": 2.0})
        runs[name] = run.path
    return runs


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ARASUJI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def take(made, tmp_path):
    """A copy of a run, as it comes out of an archive."""
    return lambda name: Path(shutil.copytree(made[name], tmp_path / "runs" / name))


def written(run: Path) -> list[str]:
    trained = api.load(run, "int8")
    sampling = trained.sampling.model_copy(update={"max_length": 6})
    return [sample.text for sample in api.generate(trained, ["After years", ""], sampling=sampling)]


def refused(run: Path, precision="int8") -> str:
    """The one line that opening it and writing with it gives."""

    def write() -> None:
        trained = api.load(run, precision)
        list(api.generate(trained, ["After years"], sampling=trained.sampling.model_copy(update={"max_length": 3})))

    with pytest.raises(ArasujiError) as caught:
        write()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def reseal(folder: Path, **facts) -> None:
    """What its author does after a change: every sum is right again."""
    manifest = json.loads((folder / "manifest.json").read_text())
    entries = {
        path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
        if path.name != "manifest.json"
    }
    (folder / "manifest.json").write_text(json.dumps({**manifest, **facts, "files": entries}))


def change(path: Path, **entries) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def state_of(folder: Path) -> dict[str, bytes | str]:
    """All that stands in a folder, links as where they lead."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


# Links


@pytest.fixture
def canary(tmp_path) -> Path:
    """A folder of the user's that a link of the run leads to; it looks like one that was sealed here."""
    with folders.new_folder(tmp_path / "canary") as folder:
        (folder / "diary.txt").write_text("keep")
        folders.seal(folder, {})
    (tmp_path / "canary" / "photo.jpg").write_bytes(b"keep")
    return tmp_path / "canary"


@pytest.mark.parametrize("leads_to", ["canary", ".", "nowhere"])
@pytest.mark.parametrize("name", ["int8", "new", "old", "last", "tensorboard"])
def test_writing_with_a_run_changes_nothing_in_it_and_nothing_that_its_links_lead_to(take, canary, name, leads_to):
    run = take("lstm")
    link = work_on(run / "int8", name) if name in ("new", "old") else run / name
    link.symlink_to(canary.parent / leads_to if leads_to != "." else "..")
    before = state_of(canary.parent)
    assert written(run)
    after = {path: content for path, content in state_of(canary.parent).items() if not path.startswith("home/")}
    assert after == before


def test_a_best_model_behind_a_link_is_refused(take, canary):
    run = take("lstm")
    (run / "best").rename(canary / "best")
    (run / "best").symlink_to(canary / "best")
    assert "a link" in refused(run)


@pytest.mark.parametrize("name", ["best", "new", "old"])
def test_a_new_best_model_is_not_saved_through_a_link(take, canary, bpe, name):
    run = take("lstm")
    shutil.rmtree(run / "best") if name == "best" else None
    link = run / "best" if name == "best" else work_on(run / "best", name)
    link.symlink_to(canary)
    before = state_of(canary)
    experiment = Experiment(family="lstm", tokenizer={"name": "bpe"})
    with pytest.raises(StorageError) if name == "best" else nullcontext():  # work has another name each time
        RunDirectory(run).save_best(experiment, small_model("lstm", bpe), bpe, {})
    assert state_of(canary) == before


@pytest.mark.parametrize("name", ["metrics", "samples"])
def test_a_log_is_not_written_through_a_link(take, canary, name):
    run = RunDirectory(take("lstm"))
    (run.path / f"{name}.jsonl").symlink_to(canary / "diary.txt")
    with pytest.raises(StorageError, match="left alone"):
        run.log(getattr(run, name), {"step": 1})
    with pytest.raises(ArasujiError, match=name):
        run.rewind(0)
    assert (canary / "diary.txt").read_text() == "keep"


def test_a_hard_link_of_a_log_is_parted_before_a_resumed_run_writes(take, canary):
    run = RunDirectory(take("lstm"))
    os.link(canary / "diary.txt", run.metrics)
    run.rewind(0)
    run.log(run.metrics, {"step": 1})
    assert (canary / "diary.txt").read_text() == "keep"


def test_a_users_own_link_to_a_run_is_followed(take, tmp_path):
    run = take("lstm")
    (tmp_path / "mine").symlink_to(run)
    assert written(tmp_path / "mine") == written(run)
    RunDirectory(tmp_path / "mine").log(tmp_path / "mine" / "metrics.jsonl", {"step": 1})
    assert (run / "metrics.jsonl").exists()


# 8 bits


def test_a_strangers_8_bit_weights_are_neither_believed_nor_removed(take, made):
    run = take("lstm")
    shutil.copytree(run / "best", run / "int8")
    (run / "int8" / "model.safetensors").write_bytes(b"anything")
    reseal(run / "int8", of="anything")
    before = state_of(run)
    assert written(run) == written(made["lstm"])
    assert state_of(run) == before


@pytest.mark.parametrize("name", ["lstm", "adaptive"])
@pytest.mark.parametrize("way", ["wider", "shorter", "gone", "other type", "nan", "no scale"])
def test_8_bit_tensors_of_an_lstm_that_do_not_fit_are_refused(take, tmp_path, name, way):
    (tmp_path / "light").mkdir()
    family = models.family("lstm")
    family.quantize(take(name) / "best", tmp_path / "light")
    family.load(tmp_path / "light", torch.int8)
    _refuse_each(tmp_path / "light" / "model.safetensors", way, lambda: family.load(tmp_path / "light", torch.int8))


@pytest.mark.parametrize("way", ["wider", "shorter", "gone", "other type", "nan", "no scale"])
@pytest.mark.parametrize("shape", ["gpt2", "llama"])
@pytest.mark.parametrize("file", [decoder.REST, decoder.BLOCK.format(0)])
def test_8_bit_tensors_of_a_decoder_that_do_not_fit_are_refused(tmp_path, shape, way, file):
    (tmp_path / "light").mkdir()
    _decoder(shape, tmp_path / "base")
    decoders.quantize(tmp_path / "base", tmp_path / "light")
    decoders.load(tmp_path / "light", torch.int8)
    _refuse_each(tmp_path / "light" / file, way, lambda: decoders.load(tmp_path / "light", torch.int8))


@pytest.mark.parametrize("shape", ["gpt2", "llama", "lstm"])
def test_8_bit_forms_with_shorter_floats_are_read_as_others(take, tmp_path, shape):
    """Compiled loops know no type of 16 bits."""
    family, base, light = decoders, tmp_path / "base", tmp_path / "light"
    if shape == "lstm":
        family, base = models.family("lstm"), take("lstm") / "best"
    else:
        _decoder(shape, base)
    light.mkdir()
    family.quantize(base, light)
    for path in light.glob("*.safetensors"):
        save_file(
            {
                n: t if n.endswith(".scale") or not t.is_floating_point() else t.half()
                for n, t in load_file(path).items()
            },
            path,
        )
    ids, lengths = torch.tensor([[3, 5, 7]]), torch.tensor([3])
    scores, _ = family.load(light, torch.int8).step(ids, lengths)
    wanted, _ = family.load(base).step(ids, lengths)
    assert (scores - wanted).abs().max() < 0.1


def _decoder(shape: str, folder: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    if shape == "gpt2":
        network = GPT2LMHeadModel(GPT2Config(vocab_size=60, n_positions=32, n_embd=16, n_layer=1, n_head=2))
    else:
        sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4}
        network = LlamaForCausalLM(
            LlamaConfig(vocab_size=60, num_key_value_heads=2, max_position_embeddings=32, attention_bias=True, **sizes)
        )
    network.save_pretrained(folder)


def _refuse_each(path: Path, way: str, load) -> None:
    """Change each tensor of the file in turn."""
    whole = load_file(path)
    for name, tensor in whole.items():
        floats, changed = tensor.is_floating_point(), dict(whole)
        if way == "gone":
            del changed[name]
        elif way == "nan" and floats:
            changed[name] = torch.full_like(tensor, float("nan"))
        elif way == "no scale" and name.endswith(".scale"):
            changed[name] = torch.zeros_like(tensor)
        elif way in ("wider", "shorter"):
            size = tensor.shape[-1] + (1 if way == "wider" else -1)
            changed[name] = torch.ones(*tensor.shape[:-1], size, dtype=tensor.dtype)
        elif way == "other type":
            changed[name] = tensor.to(torch.int16)
        else:
            continue
        save_file(changed, path)
        with pytest.raises(ValueError, match=name.rpartition(".")[0].split(".")[-1]):
            load()
    save_file(whole, path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("heads", 0), ("heads", 3), ("heads", 2**40), ("kv_heads", 1), ("kv_heads", 3), ("head_size", 7)),
        *(("layers", 0), ("layers", 2), ("layers", 10**6), ("width", 300_000), ("width", "wide"), ("inner", 5)),
        *(("context", 10**9), ("context", 31), ("vocabulary", 61), ("vocabulary", 10**9), ("layers", None)),
        *(("epsilon", -1.0), ("epsilon", float("nan")), ("rotations", [0]), ("windows", [0])),
        *(("rotations", [1]), ("windows", [8, 8]), ("norms", ["first"]), ("norms", ["first", "second", "query"])),
        *(("norms", ["first", "second", "after_down"]), ("norms", ["first", "second", "third"])),
        *(("activation", "swiglu"), ("activation", "relu"), ("embedding_scale", 0.0)),
        *(("tied", False), ("centred", "so"), ("unknown", 1)),
    ],
)
def test_an_8_bit_configuration_that_its_tensors_do_not_fit_is_refused(tmp_path, key, value):
    (tmp_path / "light").mkdir()
    _decoder("gpt2", tmp_path / "base")
    decoders.quantize(tmp_path / "base", tmp_path / "light")
    content = json.loads((tmp_path / "light" / decoder.CONFIG).read_text())
    content[key] = value
    (tmp_path / "light" / decoder.CONFIG).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"tensor|Shape|blocks|NaN|number"):
        decoders.load(tmp_path / "light", torch.int8)


# What the best model says


@pytest.mark.timeout(MOST_SECONDS)
@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("lstm", {"vocabulary_size": 10**9}),
        ("lstm", {"vocabulary_size": 401}),
        ("lstm", {"vocabulary_size": 0}),
        ("lstm", {"vocabulary_size": float("nan")}),
        ("lstm", {"options": {**SMALL["lstm"], "layers": 10**6}}),
        ("lstm", {"options": {**SMALL["lstm"], "layers": 3}}),
        ("lstm", {"options": {**SMALL["lstm"], "hidden": 10**9}}),
        ("lstm", {"options": {**SMALL["lstm"], "hidden": 60_000}}),
        ("lstm", {"options": {**SMALL["lstm"], "embedding": 0}}),
        ("lstm", {"options": {**SMALL["lstm"], "cutoffs": [0]}}),
        ("lstm", {"options": {**SMALL["lstm"], "cutoffs": list(range(1, 399))}}),
        ("lstm", {"options": []}),
        ("adaptive", {"options": {**SMALL["lstm"], "cutoffs": [50, 201]}}),
        ("ngram", {"vocabulary_size": 10**7}),
        ("ngram", {"vocabulary_size": 20}),
        ("ngram", {"options": {"order": 10**6}}),
        ("transformer", {"vocab_size": 10**9}),
        ("transformer", {"vocab_size": 401}),
        ("transformer", {"n_layer": 10**6}),
        ("transformer", {"n_layer": 10**15}),
        ("transformer", {"n_head": 0}),
        ("transformer", {"n_embd": 2**20}),
        ("transformer", {"n_positions": 2**24}),
        ("transformer", {"num_labels": 10**9}),
        ("transformer", {"pad_token_id": float("nan")}),
        ("transformer", {"layer_norm_epsilon": "small"}),
        ("transformer", {"_attn_implementation_internal": "somebody/kernel"}),
        ("transformer", {"model_type": "bloom", "n_layer": 1, "n_head": 2, "hidden_size": 2**16, "vocab_size": 2**18}),
    ],
)
def test_a_configuration_is_bounded_by_the_weights_beside_it(take, name, entries):
    run = take(name)
    change(run / "best" / "config.json", **entries)
    reseal(run / "best")
    assert str(run) in refused(run)
    assert str(run) in refused(run, "fp32")


@pytest.mark.parametrize("name", FAMILIES)
def test_float_tensors_that_do_not_fit_are_refused(take, name):
    run = take(name)
    path = run / "best" / "model.safetensors"
    whole = load_file(path)
    for tensor_name, tensor in whole.items():
        for spoilt in (
            tensor[..., :-1] if tensor.ndim else tensor[None],
            None,
            torch.full_like(tensor.double(), torch.nan),
        ):
            changed = {n: t for n, t in whole.items() if n != tensor_name or spoilt is not None}
            if spoilt is not None:
                changed[tensor_name] = spoilt.clone()
            save_file(changed, path, {"format": "pt"})
            reseal(run / "best")
            assert str(run) in refused(run)


@pytest.mark.parametrize(
    "content",
    [
        b"garbage",
        b"",
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        struct.pack("<Q", 70) + b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,400]}}'.ljust(70),
    ],
)
@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_a_damaged_safetensors_file_is_one_line(take, name, content):
    run = take(name)
    (run / "best" / "model.safetensors").write_bytes(content)
    reseal(run / "best")
    assert str(run) in refused(run)


@pytest.mark.timeout(MOST_SECONDS)
@pytest.mark.parametrize("kind", ["pipe", "zero"])
@pytest.mark.parametrize(
    "name", ["manifest.json", "best/manifest.json", "best/config.json", "best/model.safetensors", "best/tokenizer.json"]
)
def test_a_pipe_or_a_device_where_a_file_is_meant_is_refused_at_once(take, name, kind):
    for of in ("lstm", "transformer"):
        run = take(of)
        (run / name).unlink()
        os.mkfifo(run / name) if kind == "pipe" else (run / name).symlink_to("/dev/zero")
        for entry in [] if name == "manifest.json" else [Path(name).name]:
            with contextlib.suppress(OSError, ValueError):  # no longer listed, and there all the same
                manifest = files.read_json(run / "best" / "manifest.json")
                manifest["files"].pop(entry, None)
                (run / "best" / "manifest.json").write_text(json.dumps(manifest))
        assert refused(run)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "null", "[]", "{}", "\x00", '"', "9" * 5000])
@pytest.mark.parametrize("name", ["manifest.json", "best/manifest.json", "best/config.json", "best/tokenizer.json"])
def test_json_that_says_something_else_is_one_line(take, name, text):
    for of in ("lstm", "transformer"):
        run = take(of)
        (run / name).write_text(text)
        if name.startswith("best") and not name.endswith("manifest.json"):
            reseal(run / "best")
        assert refused(run)


@pytest.mark.parametrize(
    "facts",
    [
        *({"family": 5}, {"family": ["lstm"]}, {"tokenizer": None}, {"bits_per_byte": "x"}, {"family": "../lstm"}),
        *({"bits_per_byte": "2.0"}, {"bits_per_byte": True}, {"step": "x"}, {"step": 1.5}),
    ],
)
def test_a_manifest_of_the_best_model_that_says_something_else_is_one_line(take, facts):
    run = take("lstm")
    reseal(run / "best", **facts)
    assert refused(run)


@pytest.mark.parametrize(
    "sampling",
    [{"num_beams": 10**9}, {"max_length": 10**12}, {"min_length": 10**12, "max_length": 10**12}, {"top_k": 10**30}],
)
def test_settings_of_writing_are_bounded(take, sampling):
    run = take("lstm")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["experiment"]["sampling"] |= sampling
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert "manifest.json is damaged" in refused(run)


@pytest.mark.parametrize("corpus", [None, 5, {}, {"hash": 5}, {"hash": "0", "folder": ["x"]}])
def test_a_corpus_that_is_none_is_one_line(take, corpus):
    run = take("lstm")
    change(run / "manifest.json", corpus=corpus)
    assert "manifest.json is damaged" in refused(run)


def test_a_corpus_without_a_folder_is_that_of_a_run_all_the_same(take):
    run = take("lstm")
    change(run / "manifest.json", corpus={"hash": "0" * 64})
    assert corpus_of(str(run)) == {"hash": "0" * 64, "folder": ""}
    assert api.load(run).facts["corpus"] == {"hash": "0" * 64, "folder": ""}


@pytest.mark.parametrize("line", ['top_k = "{}"', "{} = 1"])
def test_a_setting_of_a_megabyte_is_a_short_line(take, line):
    run = take("lstm")
    (run / "sampling.toml").write_text(line.format("x" * 10**6))
    assert len(refused(run)) < 1000


def test_the_mark_of_a_teacher_that_is_damaged_is_one_line(take, bpe, tmp_path):
    config = TeachingConfig.model_validate({"teacher": str(take("lstm")), "weight": 0, "embeddings": False})
    (tmp_path / "teacher.json").write_bytes(b"{\xff")
    with pytest.raises(ArasujiError, match=r"teacher\.json is damaged"):
        list(Lesson(tmp_path, config, [], bpe, "", "").write(10))


# Tokenizers


def endless(content):
    pattern = {"Regex": "(a|aa|a?a)+$"}
    content["pre_tokenizer"] = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    return "unknown pattern"


def endless_inside(content):
    endless(content)
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [content["pre_tokenizer"]]}
    return "unknown pattern"


def growing(content):
    double = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    content["normalizer"] = {"type": "Sequence", "normalizers": [double] * 40}
    return "normalizer"


def long_replacement(content):
    content["decoder"] = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10**6}
    return "decoder"


def scattered(content):
    vocabulary = content["model"]["vocab"]
    vocabulary[max(vocabulary, key=vocabulary.get)] = 10**9
    return "ids"


def more_tokens(content):
    content["added_tokens"].append({**content["added_tokens"][0], "id": 400, "content": "<more>"})
    return "its tokenizer has 401 tokens"


def no_end(content):
    content["added_tokens"] = []
    content["model"]["vocab"].pop("<|endoftext|>")
    return ""


@pytest.mark.timeout(MOST_SECONDS)
@pytest.mark.parametrize(
    "spoil",
    [endless, endless_inside, growing, long_replacement, scattered, more_tokens, no_end],
    ids=lambda function: function.__name__,
)
def test_a_tokenizer_that_never_ends_grows_or_does_not_fit_is_refused(take, spoil):
    run = take("lstm")
    path = run / "best" / "tokenizer.json"
    content = json.loads(path.read_text())
    hint = spoil(content)
    path.write_text(json.dumps(content))
    reseal(run / "best")
    assert hint in refused(run)


@pytest.mark.parametrize(
    "words", [{}, ["<end>"], ["<end>", "<unk>", "<pad>", ""], ["<end>", "<unk>", "<pad>", "a", "a"]]
)
def test_a_list_of_words_that_is_none_is_refused(tmp_path, words):
    from arasuji.tokenizers import word

    (tmp_path / "words.json").write_text(json.dumps(words))
    with pytest.raises(ArasujiError, match=r"words\.json"):
        word.load(tmp_path)


def test_a_panic_in_a_tokenizer_is_one_line(tmp_path):
    from arasuji.tokenizers._checked import door

    class PanicException(BaseException):
        pass

    with pytest.raises(ArasujiError, match="tokenizer in"), door(tmp_path):
        raise PanicException("index out of bounds")
    with pytest.raises(KeyboardInterrupt), door(tmp_path):
        raise KeyboardInterrupt


# Checkpoints


@pytest.fixture
def checkpoint(bpe, starter_texts):
    """A trainer that stands at its beginning, and what another one has saved."""
    from arasuji.config import TrainConfig
    from arasuji.training.batches import epoch_batches
    from arasuji.training.documents import Documents
    from arasuji.training.loop import Trainer
    from arasuji.training.plan import Plan

    config = TrainConfig.model_validate({"precision": "fp32", "batch_size": 2, "layout": "stream", "max_length": 8})
    encoded = (bpe.encode(text)[:20] for text in starter_texts[:6])
    documents = Documents((Document([bpe.end_id, *ids, bpe.end_id], 1) for ids in encoded), bpe.end_id)
    batches = epoch_batches(documents, config, 0, bpe.pad_id)
    saved = []

    def trainer():
        plan = Plan(2, len(batches), 1, sum(batch.counted for batch in batches), 0.0, 0)
        keep = {"save_best": lambda at: None, "save_last": lambda *both: saved.append(both), "should_stop": lambda: ""}
        model = small_model("lstm", bpe)
        return Trainer(model, config, plan, False, lambda epoch: batches, lambda: 1.0, **keep)

    list(trainer().run())
    return trainer(), saved[-1]


def test_a_checkpoint_as_it_was_saved_is_restored(checkpoint):
    trainer, (tensors, state) = checkpoint
    assert any(name.startswith("state.") for name in tensors)
    trainer.restore(tensors, json.loads(json.dumps(state)))
    assert trainer.progress.step == 2


def test_tensors_of_a_checkpoint_that_do_not_fit_are_refused(checkpoint):
    trainer, (tensors, state) = checkpoint
    for name, tensor in tensors.items():
        for spoilt in (tensor[..., :-1] if tensor.ndim else tensor[None], None):
            changed = {n: t for n, t in tensors.items() if n != name or spoilt is not None}
            if spoilt is not None:
                changed[name] = spoilt.clone()
            with pytest.raises((ArasujiError, ValueError, KeyError, RuntimeError, IndexError)):
                trainer.restore(changed, state)


@pytest.mark.parametrize(
    "progress", [{"step": 10**15}, {"epoch": 10**15}, {"step": -1}, {"seconds": -1.0}, {"step": "x"}, {"plateau": 5}]
)
def test_a_position_that_no_run_comes_to_is_refused(checkpoint, progress):
    trainer, (tensors, state) = checkpoint
    with pytest.raises(ValueError, match=r"position|valid"):
        trainer.restore(tensors, {**state, "progress": {**state["progress"], **progress}})


@pytest.mark.parametrize("content", [b"garbage", struct.pack("<Q", 2**50)])
def test_a_damaged_checkpoint_is_one_line(take, content):
    run = RunDirectory(take("lstm"))
    run.save_last({"model.a": torch.zeros(2)}, {"progress": {"step": 1}})
    assert run.load_last()
    (run.path / "last" / "state.safetensors").write_bytes(content)
    reseal(run.path / "last")
    with pytest.raises(ArasujiError, match="last is damaged"):
        run.load_last()
    (run.path / "last" / "state.json").write_text("[" * 100_000)
    reseal(run.path / "last")
    with pytest.raises(ArasujiError, match="last is damaged"):
        run.load_last()


@pytest.mark.parametrize("line", ["[" * 100_000, "5", "{}", '{"step": "x"}', "\x00"])
def test_a_line_of_a_log_that_says_something_else_is_left_out(take, line):
    run = RunDirectory(take("lstm"))
    run.metrics.write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
    assert [entry["step"] for entry in run.history()] == [1, 2]
    run.rewind(1)
    assert run.metrics.read_text() == '{"step": 1}\n'


@pytest.mark.parametrize(
    "figures",
    [
        *('"tokens": 5', '"seconds": 1.0', '"tokens": "5", "seconds": 1.0', '"tokens": 5, "seconds": null'),
        *('"tokens": -1, "seconds": 1.0', '"tokens": 5, "seconds": Infinity', '"tokens": 5, "seconds": 1e300'),
        *('"bits_per_byte": "2"', '"bits_per_byte": -2', '"tokens": 9223372036854775808, "seconds": 1.0'),
    ],
)
def test_a_line_of_the_metrics_whose_figures_are_none_is_left_out(take, figures):
    run = RunDirectory(take("lstm"))
    whole = {"step": 1, "tokens": 160, "seconds": 0.5, "loss": 5.1, "bits_per_byte": 3.7}
    run.metrics.write_text(f'{json.dumps(whole)}\n{{"step": 2, {figures}}}\n{{"step": 3, "bits_per_byte": 3}}\n')
    assert run.history() == [whole, {"step": 3, "bits_per_byte": 3}]
