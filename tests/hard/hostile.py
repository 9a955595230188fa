"""Folders that try to run code, to reach other files, or to take all time and memory: one maker for each kind.

A maker spoils a folder that was whole. It is told where a secret of the user's lies, which a folder that is believed
would read, change or run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pickle
import shutil
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REFUSED, LINE, IGNORED = "refused before transformers opens it", "refused in a line", "opened, its content ignored"
"""What becomes of a folder."""
BASE, RUN, LSTM, CORPUS, SEARCH = "base", "run", "lstm", "corpus", "search"
"""What is spoilt: a pretrained model; the best model of a run of a transformer, of an LSTM; a corpus; a search."""
MODEL = (BASE, RUN)
SECRET = "the user's own words"
NUMBER = 10**9


@dataclass(frozen=True)
class Place:
    """A folder to spoil."""

    folder: Path
    """The folder of a pretrained model, of a corpus, or of the best model of a run."""
    run: Path
    """The folder of the run; the same as `folder` where there is none."""
    secret: Path
    """A folder of the user's, with a diary.txt, and a model in weights/ and a tokenizer in tokenizer.json."""


@dataclass(frozen=True)
class Kind:
    """A kind of hostile folder."""

    make: Callable[[Place], None]
    of: tuple[str, ...]
    ends: str

    @property
    def name(self) -> str:
        return self.make.__name__


KINDS: list[Kind] = []


def kind(ends: str = REFUSED, of: tuple[str, ...] = MODEL) -> Callable[[Callable[[Place], None]], Callable[..., None]]:
    def keep(make: Callable[[Place], None]) -> Callable[[Place], None]:
        KINDS.append(Kind(make, of, ends))
        return make

    return keep


def add(path: Path, **entries: Any) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(content | entries))


def code(place: Place) -> str:
    """A program that writes into the secret when it is run."""
    return f"open({str(place.secret / 'diary.txt')!r}, 'a').write('was here')\n"


class Payload:
    """What a pickle runs when it is opened."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.program,)


def pickled(place: Place, name: str) -> None:
    (place.folder / name).write_bytes(pickle.dumps(Payload(code(place))))


def seal(folder: Path) -> None:
    """List all files of a folder in its manifest, with their right sums, as its author does."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    add(folder / "manifest.json", files=sums(folder, (path for path in files if path.name != "manifest.json")))


def sums(folder: Path, files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """What a manifest says of files in its folder."""
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(files)}
    return {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    }


# Weights that are pickles


@kind()
def weights_that_are_a_pickle(place: Place) -> None:
    """pytorch_model.bin alone (CVE-2025-32434, CVE-2026-24747: `weights_only` does not help)."""
    (place.folder / "model.safetensors").unlink()
    pickled(place, "pytorch_model.bin")


@kind(LINE)
def a_pickle_named_safetensors(place: Place) -> None:
    """A pickle under the name of safe weights."""
    pickled(place, "model.safetensors")


@kind(IGNORED)
def pickles_beside_the_weights(place: Place) -> None:
    """What a trainer leaves beside safe weights (CVE-2026-1839: rng_state.pth)."""
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "x.pkl"):
        pickled(place, name)


@kind()
def an_index_of_pickles(place: Place) -> None:
    """model.safetensors.index.json whose shards are pickles."""
    (place.folder / "model.safetensors").unlink()
    pickled(place, "pytorch_model-1.bin")
    add(place.folder / "model.safetensors.index.json", weight_map={"a": "pytorch_model-1.bin"}, metadata={})


# Code that is named


@kind(of=(BASE, RUN, LSTM))
def code_for_the_model(place: Place) -> None:
    """`auto_map` with the module beside it."""
    (place.folder / "modeling_mine.py").write_text(code(place))
    add(
        place.folder / "config.json",
        auto_map={"AutoConfig": "modeling_mine.A", "AutoModelForCausalLM": "modeling_mine.B"},
    )


@kind(of=(BASE, RUN, LSTM))
def code_for_the_tokenizer(place: Place) -> None:
    """`auto_map` of the tokenizer, in its old form."""
    (place.folder / "tokenization_mine.py").write_text(code(place))
    add(place.folder / "tokenizer_config.json", auto_map=["tokenization_mine.A", "tokenization_mine.A"])


@kind()
def attention_from_the_hub(place: Place) -> None:
    """A kernel named as the way of attention (CVE-2026-4372)."""
    add(place.folder / "config.json", _attn_implementation_internal="somebody/kernel")


@kind()
def attention_by_a_package(place: Place) -> None:
    """A way of attention whose kernel transformers fetches when its package is missing."""
    add(place.folder / "config.json", _attn_implementation="flash_attention_2")


@kind()
def attention_of_a_part(place: Place) -> None:
    """The same, below a part of a configuration."""
    add(place.folder / "config.json", text_config={"attn_implementation": {"": "paged|flash_attention_3"}})


@kind()
def experts_from_the_hub(place: Place) -> None:
    """A kernel for experts that is named without a slash."""
    add(place.folder / "config.json", experts_implementation="sonicmoe")


@kind(IGNORED)
def a_model_file(place: Place) -> None:
    """`model_file` (CVE-2026-5843, mlx-lm), `trust_remote_code`, `custom_pipelines`: transformers reads none."""
    (place.folder / "mine.py").write_text(code(place))
    pipelines = {"text-generation": {"impl": "mine.Pipeline", "pt": ["AutoModelForCausalLM"]}}
    add(place.folder / "config.json", model_file="mine.py", trust_remote_code=True, custom_pipelines=pipelines)


@kind()
def quantized_weights(place: Place) -> None:
    """`quantization_config`: each method loads another package, and some fetch kernels."""
    add(place.folder / "config.json", quantization_config={"quant_method": "mxfp4"})


@kind()
def quantized_by_what_is_named(place: Place) -> None:
    """A method of quantization whose options name a type of a package."""
    settings = {"quant_method": "torchao", "quant_type": {"default": {"_type": "os.system", "_data": {"a": "id"}}}}
    add(place.folder / "config.json", quantization_config=settings)


@kind(IGNORED)
def code_for_writing(place: Place) -> None:
    """custom_generate/generate.py, and the configuration that asks for it."""
    (place.folder / "custom_generate").mkdir()
    (place.folder / "custom_generate" / "generate.py").write_text(code(place))
    (place.folder / "custom_generate" / "requirements.txt").write_text("somebody-elses-package\n")
    add(place.folder / "generation_config.json", custom_generate="custom_generate", stop_strings=["a"] * 1000)


@kind(IGNORED)
def modules_with_names_of_packages(place: Place) -> None:
    """torch.py, json.py and sitecustomize.py in the folder, which is where the user stands."""
    for name in ("torch.py", "json.py", "sitecustomize.py", "conftest.py", "__init__.py", "evil.pth"):
        (place.folder / name).write_text(code(place))


# Files elsewhere


@kind()
def shards_above(place: Place) -> None:
    """A weight map that leaves the folder (transformers#47176)."""
    add(
        place.folder / "model.safetensors.index.json",
        metadata={},
        weight_map={"a": "../../secret/weights/model.safetensors"},
    )


@kind()
def shards_anywhere(place: Place) -> None:
    """A weight map with an absolute path."""
    (place.folder / "model.safetensors").unlink()
    (place.folder / "x.safetensors").write_bytes(b"")
    add(
        place.folder / "model.safetensors.index.json", weight_map={"a": str(place.secret / "weights/model.safetensors")}
    )


@kind()
def shards_at_an_address(place: Place) -> None:
    """A weight map with a URL."""
    add(place.folder / "model.safetensors.index.json", weight_map={"a": "http://127.0.0.1:9/x.safetensors"})


@kind()
def a_shard_that_is_a_link(place: Place) -> None:
    """A shard that is a link out of the folder."""
    (place.folder / "a.safetensors").symlink_to(place.secret / "weights" / "model.safetensors")
    add(place.folder / "model.safetensors.index.json", weight_map={"a": "a.safetensors"})


@kind()
def a_shard_that_is_a_device(place: Place) -> None:
    """A shard that is a device without end."""
    (place.folder / "a.safetensors").symlink_to("/dev/zero")
    add(place.folder / "model.safetensors.index.json", weight_map={"a": "a.safetensors"})


@kind(LINE)
def an_index_that_is_no_index(place: Place) -> None:
    """An index of the wrong shape."""
    (place.folder / "model.safetensors").rename(place.folder / "a.safetensors")
    (place.folder / "model.safetensors.index.json").write_text('{"weight_map": [1, [2], {"a": null}]}')


@kind()
def weights_by_another_name(place: Place) -> None:
    """`transformers_weights` outside."""
    add(place.folder / "config.json", transformers_weights=str(place.secret / "weights" / "model.safetensors"))


@kind()
def an_adapter_of_a_hub_name(place: Place) -> None:
    """adapter_config.json, whose base is fetched, and whose pattern of layers never ends."""
    targets = "(a|aa|a?a)+$"
    add(place.folder / "adapter_config.json", base_model_name_or_path="somebody/model", target_modules=targets)


@kind()
def an_adapter_of_an_address(place: Place) -> None:
    """An adapter beside weights, its base a URL."""
    add(place.folder / "adapter_config.json", base_model_name_or_path="https://127.0.0.1:9/x", peft_type="LORA")


@kind(IGNORED)
def names_of_addresses(place: Place) -> None:
    """`_name_or_path` and the like, as URLs: kept as names."""
    for name in ("config.json", "tokenizer_config.json"):
        names = dict.fromkeys(("_name_or_path", "name_or_path", "_commit_hash"), "https://127.0.0.1:9/x")
        add(place.folder / name, **names)


@kind()
def a_link_to_the_secret(place: Place) -> None:
    """A template that is a link out of the folder, and would be saved with the next run."""
    (place.folder / "chat_template.jinja").symlink_to(place.secret / "diary.txt")


@kind()
def a_link_in_a_folder_of_templates(place: Place) -> None:
    """The same in additional_chat_templates, which transformers reads too."""
    (place.folder / "additional_chat_templates").mkdir()
    (place.folder / "additional_chat_templates" / "a.jinja").symlink_to(place.secret / "diary.txt")


@kind()
def a_pipe_in_a_folder_of_templates(place: Place) -> None:
    """A pipe there, which waits for ever."""
    (place.folder / "additional_chat_templates").mkdir()
    os.mkfifo(place.folder / "additional_chat_templates" / "a.jinja")


@kind(of=(BASE, RUN, LSTM, CORPUS))
def a_pipe_beside(place: Place) -> None:
    """A pipe of a name that is read where it is there."""
    path = place.folder / ("added_tokens.json" if (place.folder / "config.json").exists() else "test.jsonl")
    path.unlink(missing_ok=True)
    os.mkfifo(path)


@kind(of=(BASE, RUN, LSTM))
def a_socket_beside(place: Place) -> None:
    """A socket of a name that is read where it is there."""
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(place.folder)  # the path of a socket must be short
        listening.bind("special_tokens_map.json")
        os.chdir(here)


@kind(of=(BASE, RUN, LSTM))
def a_device_beside(place: Place) -> None:
    """A configuration that is a link to a device without end."""
    (place.folder / "generation_config.json").unlink(missing_ok=True)
    (place.folder / "generation_config.json").symlink_to("/dev/zero")


@kind(of=(BASE, RUN, LSTM))
def a_tokenizer_that_is_a_link(place: Place) -> None:
    """tokenizer.json as a link to another tokenizer of the user's."""
    (place.folder / "tokenizer.json").unlink()
    (place.folder / "tokenizer.json").symlink_to(place.secret / "tokenizer.json")


@kind(LINE)
def weights_that_are_a_folder(place: Place) -> None:
    """A folder in the place of a file."""
    (place.folder / "model.safetensors").unlink()
    (place.folder / "model.safetensors").mkdir()


@kind(IGNORED, of=(BASE,))
def a_hard_link(place: Place) -> None:
    """A hard link to a file of the user's, which nothing reads and nothing may change."""
    os.link(place.secret / "diary.txt", place.folder / "notes.txt")


# Tokenizers


def tokenizer(place: Place, **entries: Any) -> None:
    add(place.folder / "tokenizer.json", **entries)


ENDLESS = {"type": "Split", "pattern": {"Regex": "(a|aa|a?a)+$"}, "behavior": "Isolated", "invert": False}
TOKENIZER = (BASE, LSTM)


def sequence(stage: str, parts: list[Any]) -> dict[str, Any]:
    return {"type": "Sequence", stage: parts}


@kind(of=TOKENIZER)
def a_pattern_without_end(place: Place) -> None:
    """A regular expression that takes years (tokenizers#2060) or panics."""
    tokenizer(place, pre_tokenizer=ENDLESS)


@kind(of=TOKENIZER)
def a_replaced_pattern_without_end(place: Place) -> None:
    """The same in the normalizer and in the decoder."""
    replace = {"type": "Replace", "pattern": ENDLESS["pattern"], "content": "a"}
    tokenizer(place, normalizer=sequence("normalizers", [replace]), decoder=replace)


@kind()
def another_tokenizer_for_this_version(place: Place) -> None:
    """`fast_tokenizer_files` names another file than the one that is checked."""
    other = json.loads((place.folder / "tokenizer.json").read_text()) | {"pre_tokenizer": ENDLESS}
    (place.folder / "tokenizer.4.0.0.json").write_text(json.dumps(other))
    add(place.folder / "tokenizer_config.json", fast_tokenizer_files=["tokenizer.json", "tokenizer.4.0.0.json"])


@kind()
def another_tokenizer_elsewhere(place: Place) -> None:
    """`fast_tokenizer_files` with a path out of the folder."""
    names = ["tokenizer.json", f"tokenizer.4.0.0.json/../{place.secret}/tokenizer.json"]
    add(place.folder / "tokenizer_config.json", fast_tokenizer_files=names)


@kind()
def a_tokenizer_from_gguf(place: Place) -> None:
    """`gguf_file`, which transformers reads without checking a size (gguf: llama.cpp#27188, CVE-2026-27940)."""
    (place.folder / "tokenizer.json").unlink()
    (place.folder / "a.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2**40, 2**40))
    add(place.folder / "tokenizer_config.json", gguf_file="a.gguf", tokenizer_class="PreTrainedTokenizerFast")


@kind(LINE, of=(BASE,))
def a_sentencepiece_file_alone(place: Place) -> None:
    """tokenizer.model in the place of tokenizer.json, which transformers would convert."""
    (place.folder / "tokenizer.json").unlink()
    (place.folder / "tokenizer.model").write_bytes(b"\x0a" + b"\xff" * 9 + b"garbage" * 100)


@kind(LINE, of=(BASE,))
def a_tiktoken_file_alone(place: Place) -> None:
    """tiktoken.model, and a token whose number makes transformers list all before it."""
    (place.folder / "tokenizer.json").unlink()
    (place.folder / "tiktoken.model").write_text(f"{base64.b64encode(b'a').decode()} 0\n")
    add(place.folder / "tokenizer_config.json", added_tokens_decoder={str(NUMBER): {"content": "<x>"}})


@kind(LINE, of=(BASE,))
def a_tekken_file_alone(place: Place) -> None:
    """tekken.json with an endless pattern."""
    (place.folder / "tokenizer.json").unlink()
    vocabulary = [
        {"rank": i, "token_bytes": base64.b64encode(bytes([i])).decode(), "token_str": None} for i in range(256)
    ]
    config = {
        "pattern": "(a|aa|a?a)+$",
        "num_vocab_tokens": 256,
        "default_vocab_size": NUMBER,
        "default_num_special_tokens": 9,
    }
    (place.folder / "tekken.json").write_text(json.dumps({"config": config, "vocab": vocabulary}))


@kind(IGNORED)
def other_models_beside(place: Place) -> None:
    """GGUF, tiktoken and SentencePiece files beside: nothing opens them."""
    for name in ("model.gguf", "tiktoken.model", "tokenizer.model", "spiece.model", "model.onnx", "flax_model.msgpack"):
        (place.folder / name).write_bytes(b"GGUF" + b"\xff" * 100)


@kind()
def a_vocabulary_by_its_path(place: Place) -> None:
    """`vocab` and `merges` as paths, which a class of transformers hands on."""
    (place.folder / "tokenizer.json").unlink()
    paths = {name: str(place.secret / "tokenizer.json") for name in ("vocab", "merges")}
    add(place.folder / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer", **paths)


@kind()
def arguments_for_the_tokenizer(place: Place) -> None:
    """`init_inputs`: arguments of a class of transformers, by their place."""
    add(place.folder / "tokenizer_config.json", init_inputs=[str(place.secret / "tokenizer.json")] * 2)


@kind(LINE, of=(BASE,))
@kind(IGNORED, of=(RUN,))
def a_tokenizer_class_that_starts_programs(place: Place) -> None:
    """`tokenizer_class` of a class that needs other programs."""
    add(place.folder / "tokenizer_config.json", tokenizer_class="Wav2Vec2PhonemeCTCTokenizer", do_phonemize=True)


@kind(LINE, of=(BASE,))
@kind(IGNORED, of=(RUN,))
def a_tokenizer_of_tokenizers(place: Place) -> None:
    """`tokenizer_class` of a class that opens others."""
    add(place.folder / "tokenizer_config.json", tokenizer_class="RagTokenizer")


@kind(IGNORED)
def a_tokenizer_class_that_names_code(place: Place) -> None:
    """`tokenizer_class` with the name of a module."""
    (place.folder / "mine.py").write_text(code(place))
    add(place.folder / "tokenizer_config.json", tokenizer_class="mine.Mine")


@kind(IGNORED)
def templates_that_are_code(place: Place) -> None:
    """Chat templates that reach for Python's objects (CVE-2024-34359) or never end (vLLM CVE-2025-61620)."""
    steps = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    reach = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    add(place.folder / "tokenizer_config.json", chat_template=reach + steps)
    (place.folder / "chat_template.jinja").write_text(reach + steps)
    (place.folder / "additional_chat_templates").mkdir()
    (place.folder / "additional_chat_templates" / "tool_use.jinja").write_text(steps)


@kind(IGNORED)
def templates_whose_names_are_paths(place: Place) -> None:
    """Names of templates that become names of files when a tokenizer is saved (CVE-2026-9856)."""
    names = ["default", f"../../../../../../../../../..{place.secret}/diary", "../../secret/diary"]
    templates = [{"name": name, "template": "was here"} for name in names]
    add(place.folder / "tokenizer_config.json", chat_template=templates)


@kind(LINE)
def more_tokens_than_anybody_adds(place: Place) -> None:
    """`added_tokens_decoder` with more tokens than the model has."""
    added = {str(i): {"content": f"<{i}>", "special": True} for i in range(1000, 60_000)}
    add(place.folder / "tokenizer_config.json", added_tokens_decoder=added)


@kind(LINE)
def special_tokens_without_end(place: Place) -> None:
    """`extra_special_tokens` with more tokens than the model has."""
    add(place.folder / "tokenizer_config.json", extra_special_tokens=[f"<{i}>" for i in range(60_000)])


@kind(LINE, of=TOKENIZER)
def more_added_tokens_than_the_model_has(place: Place) -> None:
    """The same in tokenizer.json."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), True) | {"special": False}
    own = json.loads((place.folder / "tokenizer.json").read_text())["added_tokens"]
    tokenizer(place, added_tokens=own + [{"id": i, "content": f"a{i}", **flags} for i in range(400, 60_000)])


@kind(of=(BASE,))
def a_vocabulary_without_end(place: Place) -> None:
    """More tokens than any vocabulary has, in a file that is not too large."""
    content = json.loads((place.folder / "tokenizer.json").read_text())
    content["model"]["vocab"] |= {f"z{i}": i for i in range(400, 2**20 + 1)}
    (place.folder / "tokenizer.json").write_text(json.dumps(content))


@kind(of=TOKENIZER)
def replacements_of_nothing(place: Place) -> None:
    """Replacements of the empty text, each of which doubles a text."""
    double = {"type": "Replace", "pattern": {"String": ""}, "content": "a"}
    tokenizer(place, normalizer=sequence("normalizers", [double] * 16))


@kind(of=TOKENIZER)
def bytes_of_bytes(place: Place) -> None:
    """Sixteen times the bytes as letters, each of which doubles all that is not ASCII."""
    tokenizer(place, normalizer=sequence("normalizers", [{"type": "ByteLevel"}] * 16))


@kind(of=TOKENIZER)
def a_table_that_makes_a_letter_a_megabyte(place: Place) -> None:
    """A table of SentencePiece's (`precompiled_charsmap`) that has a replacement of a megabyte."""
    table = struct.pack("<I", 1024) + bytes(1024) + b"a" * 2**20 + b"\0"
    tokenizer(place, normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()})


@kind(of=TOKENIZER)
def a_table_of_noise(place: Place) -> None:
    """A table of noise, in which a look-up leads anywhere (a panic)."""
    noise = bytes((i * 197 + 31) % 256 for i in range(4096))
    table = base64.b64encode(struct.pack("<I", 1024) + noise).decode()
    tokenizer(place, normalizer={"type": "Precompiled", "precompiled_charsmap": table})


@kind(LINE, of=TOKENIZER)
def normalizers_in_normalizers(place: Place) -> None:
    """A normalizer nested as deep as JSON allows."""
    inner = '{"type": "Sequence", "normalizers": [' * 100_000 + '{"type": "NFC"}' + "]}" * 100_000
    text = (place.folder / "tokenizer.json").read_text()
    (place.folder / "tokenizer.json").write_text(text.rstrip().rstrip("}") + f', "normalizer": {inner}}}')


@kind(LINE, of=TOKENIZER)
def a_long_prefix_of_pieces(place: Place) -> None:
    """`continuing_subword_prefix` of a megabyte before every letter."""
    content = json.loads((place.folder / "tokenizer.json").read_text())
    content["model"] |= {"continuing_subword_prefix": "x" * 2**20, "end_of_word_suffix": "y" * 2**20}
    (place.folder / "tokenizer.json").write_text(json.dumps(content))


@kind(LINE, of=TOKENIZER)
def a_unigram_of_numbers_that_are_none(place: Place) -> None:
    """Unigram with endless scores and no unknown token (panics: tokenizers#2094, #2151)."""
    tokens = [
        ["<|endoftext|>", 0.0],
        ["<|pad|>", 0.0],
        *([chr(97 + i % 26) * (1 + i // 26), -1e308] for i in range(398)),
    ]
    tokenizer(place, model={"type": "Unigram", "unk_id": None, "vocab": tokens, "byte_fallback": True})


@kind(LINE, of=TOKENIZER)
def pieces_of_words_without_end(place: Place) -> None:
    """WordPiece without a longest word: time by its square."""
    own = json.loads((place.folder / "tokenizer.json").read_text())["model"]["vocab"]
    model = {"type": "WordPiece", "vocab": own, "unk_token": "nowhere", "continuing_subword_prefix": "##"}
    tokenizer(place, model=model | {"max_input_chars_per_word": 10**18}, pre_tokenizer=None)


@kind(IGNORED, of=(BASE, LSTM))
def cutting_and_filling_without_end(place: Place) -> None:
    """Truncation and padding to a thousand million tokens: switched off."""
    padding = {"strategy": {"Fixed": NUMBER}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 1}
    cutting = {"direction": "Right", "max_length": NUMBER, "strategy": "LongestFirst", "stride": 0}
    tokenizer(place, padding=padding | {"pad_type_id": 0, "pad_token": "<|pad|>"}, truncation=cutting)


@kind(LINE, of=(BASE,))
@kind(IGNORED, of=(RUN,))
def a_template_of_many_tokens(place: Place) -> None:
    """A post-processor that puts tokens before a text that the model does not have."""
    many = {"id": "x", "ids": [NUMBER] * 100_000, "tokens": ["x"] * 100_000}
    single = [{"SpecialToken": {"id": "x", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    tokenizer(
        place,
        post_processor={"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": {"x": many}},
    )


@kind(LINE, of=TOKENIZER)
def a_decoder_that_strips_without_end(place: Place) -> None:
    """A decoder that counts further than a text reaches (a panic as a text is written)."""
    tokenizer(place, decoder={"type": "Strip", "content": "a", "start": 10**18, "stop": 10**18})


@kind(LINE, of=TOKENIZER)
def merges_of_what_is_not_there(place: Place) -> None:
    """Merges whose tokens are not in the vocabulary."""
    content = json.loads((place.folder / "tokenizer.json").read_text())
    content["model"]["merges"] = [["nowhere", "nothing"]] * 10_000
    (place.folder / "tokenizer.json").write_text(json.dumps(content))


@kind(LINE, of=TOKENIZER)
def numbers_of_tokens_below_zero(place: Place) -> None:
    """Tokens whose numbers are below zero, fractions, or texts."""
    content = json.loads((place.folder / "tokenizer.json").read_text())
    names = list(content["model"]["vocab"])
    content["model"]["vocab"] |= {names[5]: -1, names[6]: 2.5, names[7]: 2**64}
    (place.folder / "tokenizer.json").write_text(json.dumps(content))


# Numbers and names of a configuration


@kind()
def a_thousand_million_layers(place: Place) -> None:
    """Layers that a configuration of transformers lists as soon as it is read, by the tokenizer as well."""
    add(place.folder / "config.json", model_type="qwen3", num_hidden_layers=NUMBER, n_layer=NUMBER)


@kind()
def numbers_that_are_none(place: Place) -> None:
    """Infinity, which JSON has no word for."""
    text = (place.folder / "config.json").read_text().rstrip().rstrip("}")
    (place.folder / "config.json").write_text(text + ', "layer_norm_epsilon": Infinity, "vocab_size": -Infinity}')


@kind()
def a_number_of_many_digits(place: Place) -> None:
    """A number of many thousand digits, which takes the square of its length to read."""
    text = (place.folder / "config.json").read_text().rstrip().rstrip("}")
    (place.folder / "config.json").write_text(text + f', "n_head": {"9" * 100_000}}}')


@kind(LINE)
def a_model_that_fetches_its_parts(place: Place) -> None:
    """A backbone that is fetched, with pictures' weights."""
    add(place.folder / "config.json", model_type="timm_backbone", backbone="resnet50", use_pretrained_backbone=True)


@kind()
def a_backbone_to_fetch(place: Place) -> None:
    """A backbone of the hub, which is asked for as soon as a tokenizer reads the configuration."""
    add(place.folder / "config.json", model_type="rf_detr", backbone="somebody/model", use_timm_backbone=False)


@kind()
def a_backbone_of_a_part(place: Place) -> None:
    """The same in a part of a model that reads texts."""
    part = {"model_type": "detr", "backbone": "somebody/model", "use_timm_backbone": False}
    add(place.folder / "config.json", model_type="fuyu", text_config=part)


@kind()
def another_configuration_for_this_version(place: Place) -> None:
    """`configuration_files` names another file than the one that is checked."""
    content = json.loads((place.folder / "config.json").read_text())
    other = content | {"quantization_config": {"quant_method": "mxfp4"}, "num_hidden_layers": NUMBER}
    (place.folder / "config.4.0.0.json").write_text(json.dumps(other))
    add(place.folder / "config.json", configuration_files=["config.json", "config.4.0.0.json"])


@kind()
def another_configuration_elsewhere(place: Place) -> None:
    """`configuration_files` with a path out of the folder."""
    add(
        place.folder / "config.json",
        configuration_files=[f"config.4.0.0.json/../../../{place.secret.name}/config.4.0.0.json"],
    )


@kind(LINE)
def models_in_models(place: Place) -> None:
    """An encoder-decoder whose parts are encoder-decoders."""
    nested: dict[str, Any] = {"model_type": "gpt2"}
    for _ in range(200):
        nested = {"model_type": "encoder-decoder", "encoder": nested, "decoder": {"model_type": "gpt2"}}
    add(place.folder / "config.json", **nested)


@kind(LINE)
def a_model_that_retrieves(place: Place) -> None:
    """RAG, which opens an index that it names."""
    place_of = {"index_path": str(place.secret / "weights"), "passages_path": "https://127.0.0.1:9/x"}
    parts = {"question_encoder": {"model_type": "gpt2"}, "generator": {"model_type": "gpt2"}}
    add(place.folder / "config.json", model_type="rag", **parts, **place_of)


@kind(LINE)
def a_type_that_is_none(place: Place) -> None:
    """`dtype` with the name of another thing of torch."""
    add(place.folder / "config.json", dtype="load", torch_dtype="hub.load")


@kind(LINE)
def positions_of_garbage(place: Place) -> None:
    """`rope_scaling` of a model that has none, and rotations that are none."""
    add(
        place.folder / "config.json", model_type="llama", rope_scaling={"type": ["x"], "factor": "y"}, rope_parameters=5
    )


@kind(LINE)
def a_configuration_of_other_types(place: Place) -> None:
    """Texts for numbers, and lists for texts."""
    other = {"n_layer": "2", "n_head": [2], "architectures": 5, "transformers_version": ["x"], "id2label": "abc"}
    add(place.folder / "config.json", **other)


@kind(IGNORED)
def settings_of_writing_that_fit_nowhere(place: Place) -> None:
    """generation_config.json that transformers refuses to save, after a training."""
    huge = {"max_length": -5, "num_beams": NUMBER, "temperature": -1.0, "do_sample": False, "suppress_tokens": [NUMBER]}
    add(place.folder / "generation_config.json", **huge)


@kind(LINE, of=(BASE,))
def a_configuration_of_nothing(place: Place) -> None:
    """A configuration that is a list, in each file."""
    for name in ("tokenizer_config.json", "generation_config.json", "special_tokens_map.json", "added_tokens.json"):
        (place.folder / name).write_text("[[]]")


# The manifest of a run


def facts(place: Place, **entries: Any) -> None:
    content = json.loads((place.run / "manifest.json").read_text())
    for key, value in entries.items():
        inner = content["experiment"] if key in content["experiment"] else content
        inner[key] = inner[key] | value if isinstance(value, dict) else value
    (place.run / "manifest.json").write_text(json.dumps(content))


RUNS = (RUN, LSTM)


@kind(IGNORED, of=(LSTM,))
def a_corpus_elsewhere(place: Place) -> None:
    """A run whose corpus is a folder of the user's that is none."""
    facts(place, corpus={"folder": str(place.secret)})


@kind(IGNORED, of=(LSTM,))
def a_base_and_a_teacher_elsewhere(place: Place) -> None:
    """A run whose base and teacher lie elsewhere: read by a training alone, which refuses them."""
    facts(place, base=str(place.secret / "weights"), teaching={"teacher": str(place.secret)})


@kind(LINE, of=RUNS)
def a_family_that_is_a_path(place: Place) -> None:
    """A family and a tokenizer by the path of a module."""
    (place.run / "mine.py").write_text(code(place))
    add(place.folder / "manifest.json", family="..mine", tokenizer=str(place.run / "mine"))


@kind(LINE, of=RUNS)
def a_family_that_is_a_module(place: Place) -> None:
    """A family by the name of a module that is there and is none."""
    add(place.folder / "manifest.json", family="_checked", tokenizer="__init__")


@kind(LINE, of=RUNS)
def settings_of_a_size_that_nobody_has(place: Place) -> None:
    """sampling.toml with huge numbers."""
    numbers = "".join(f"{key} = {10**18}\n" for key in ("max_length", "min_length", "top_k", "num_beams"))
    (place.run / "sampling.toml").write_text(numbers)


@kind(LINE, of=RUNS)
def settings_behind_a_link(place: Place) -> None:
    """sampling.toml as a link to a file of the user's."""
    (place.run / "sampling.toml").symlink_to(place.secret / "diary.txt")


@kind(LINE, of=RUNS)
def settings_in_a_pipe(place: Place) -> None:
    """sampling.toml as a pipe."""
    os.mkfifo(place.run / "sampling.toml")


@kind(IGNORED, of=RUNS)
def links_to_nowhere_for_all_that_is_written(place: Place) -> None:
    """The same files and folders as links to what is not there, and would be made."""
    for name in ("int8", "last", "teacher", "tensorboard", "metrics.jsonl", "samples.jsonl"):
        path = place.run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.symlink_to(place.secret / f"new-{name}")


@kind(IGNORED, of=RUNS)
def links_for_all_that_is_written(place: Place) -> None:
    """int8, last, metrics, samples and teacher as links to the secret; `generate` writes into none of them."""
    for name in ("int8", "last", "teacher", "tensorboard"):
        shutil.rmtree(place.run / name, ignore_errors=True)
        (place.run / name).symlink_to(place.secret)
    for name in ("metrics.jsonl", "samples.jsonl"):
        (place.run / name).unlink(missing_ok=True)
        (place.run / name).symlink_to(place.secret / "diary.txt")


def entries(place: Place, *names: str) -> None:
    """Name files in the manifest of the best model, before its own."""
    content = json.loads((place.folder / "manifest.json").read_text())
    content["files"] = {name: {"bytes": 0, "sha256": "0"} for name in names} | content["files"]
    (place.folder / "manifest.json").write_text(json.dumps(content))


SEALED = (RUN, LSTM, CORPUS)


@kind(LINE, of=SEALED)
def a_manifest_that_names_a_device(place: Place) -> None:
    """/dev/zero among the files of a manifest."""
    entries(place, "/dev/zero")


@kind(LINE, of=SEALED)
def a_manifest_that_names_the_secret(place: Place) -> None:
    """A file elsewhere with its true sum, which would tell what it holds."""
    content = (place.secret / "diary.txt").read_bytes()
    manifest = json.loads((place.folder / "manifest.json").read_text())
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["files"] |= {
        str(place.secret / "diary.txt"): entry,
        os.path.relpath(place.secret / "diary.txt", place.folder): entry,
    }
    (place.folder / "manifest.json").write_text(json.dumps(manifest))


@kind(LINE, of=SEALED)
def a_manifest_of_many_files(place: Place) -> None:
    """A manifest of a hundred thousand files."""
    entries(place, *(f"{i}" for i in range(15_000)))


@kind(LINE, of=SEALED)
def a_manifest_of_odd_names(place: Place) -> None:
    """NUL, names of devices of Windows, streams, and names that differ in capitals."""
    entries(place, "a\0b", "CON", "nul.txt", "a:b", "C:\\x", "\\\\host\\share\\x", "Config.json", "a" * 5000, "")


@kind(LINE, of=SEALED)
def a_manifest_that_is_a_pipe(place: Place) -> None:
    """A manifest that waits for ever."""
    (place.folder / "manifest.json").unlink()
    os.mkfifo(place.folder / "manifest.json")


# A corpus


@kind(LINE, of=(CORPUS,))
def texts_behind_a_link(place: Place) -> None:
    """A split that is a link to a file of the user's."""
    (place.folder / "train.jsonl").unlink()
    (place.folder / "train.jsonl").symlink_to(place.secret / "diary.txt")


@kind(LINE, of=(CORPUS,))
def texts_that_are_a_device(place: Place) -> None:
    """A split that is a link to a device without end."""
    (place.folder / "test.jsonl").unlink()
    (place.folder / "test.jsonl").symlink_to("/dev/zero")


# A search


def linked(place: Place, name: str, aim: str) -> None:
    """Put a link in the place of a file or folder of a search."""
    path = place.folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path.symlink_to(place.secret / aim)


@kind(LINE, of=(SEARCH,))
def a_page_that_is_a_link(place: Place) -> None:
    """search.html, which each search writes at its end, as a link to a file of the user's."""
    linked(place, "search.html", "diary.txt")


@kind(LINE, of=(SEARCH,))
def a_page_that_is_a_link_to_nowhere(place: Place) -> None:
    """The same, to a file that is not there and would be made."""
    linked(place, "search.html", "nowhere")


@kind(LINE, of=(SEARCH,))
def best_values_that_are_a_link(place: Place) -> None:
    """best.toml as a link to a file of the user's."""
    linked(place, "best.toml", "diary.txt")


@kind(LINE, of=(SEARCH,))
def best_values_that_are_a_link_to_nowhere(place: Place) -> None:
    """best.toml, which is written where it is missing, as a link to a file that is not there."""
    linked(place, "best.toml", "nowhere")


@kind(LINE, of=(SEARCH,))
def a_journal_that_is_a_link(place: Place) -> None:
    """The journal as a link to a file of the user's."""
    linked(place, "journal.jsonl", "diary.txt")


@kind(LINE, of=(SEARCH,))
def a_journal_that_is_a_link_to_nowhere(place: Place) -> None:
    """The journal as a link to a file that is not there."""
    linked(place, "journal.jsonl", "nowhere")


@kind(LINE, of=(SEARCH,))
def trials_that_are_a_link(place: Place) -> None:
    """The folder of the trials, whose weights are deleted, as a link to one of the user's."""
    linked(place, "trials", "weights")
