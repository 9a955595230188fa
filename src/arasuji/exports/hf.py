"""A folder that transformers opens, version 5 and version 4.57 alike. All other formats are made from it.

    config.json               with the rotary positions in the forms of both versions
    model.safetensors         the run's weights, bit for bit; those of LoRA are merged already
    generation_config.json    how the run writes: its temperature, its end
    tokenizer.json            the run's tokens; it puts the start token before every text (see below)
    tokenizer_config.json     of a class that both versions know

**The start token before a text.** Models here learn from texts that begin with one token (`documents`): the end token
of the text before, or what the tokenizer of their base puts there. So in this folder `bos_token` is this token, and the
post-processor of tokenizer.json puts it before every text that is encoded with `add_special_tokens=True`, which is the
default of transformers. A program that puts a beginning token there by itself, as llama.cpp does where a file says so,
encodes texts without it: `add_special_tokens=False`. Our own tokenizers always do.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import tokenizers as hf

from arasuji.config import SamplingConfig
from arasuji.errors import OptionError
from arasuji.exports import Format
from arasuji.files import read_json, write_json
from arasuji.runs import TrainedModel

TOKENIZER = "tokenizer.json"
CONFIG_BYTES = 2**24
"""A model's configuration may have at most this many bytes."""
TOKENIZER_CLASS = "PreTrainedTokenizerFast"
"""Both versions know this class, which is what tokenizer.json says. Version 5 writes `TokenizersBackend`, which version
4 refuses."""


def is_transformer(weights: Path) -> bool:
    """Whether transformers opens the saved model of a run: its configuration says which architecture it has."""
    return "model_type" in read_json(weights / "config.json", CONFIG_BYTES)


def write_model(trained: TrainedModel, weights: Path, out: Path) -> None:
    """Write the model of a run, opened and so verified, into an existing empty folder; `weights` is its folder.

    Raises:
        OptionError: its tokenizer has no counterpart in other programs.
    """
    if not (weights / TOKENIZER).is_file():
        raise OptionError(
            f"{trained.name} splits texts into words by rules of its own, which no tokenizer of another program has: "
            "a model to export is trained with a preset of subwords, such as gpt2-mini, or from a pretrained base"
        )
    for path in sorted(weights.iterdir()):
        if path.suffix == ".safetensors" or path.name.endswith(".safetensors.index.json"):
            shutil.copyfile(path, out / path.name)
    start, end, pad = trained.tokenizer.start_id, trained.tokenizer.end_id, trained.tokenizer.pad_id
    ids = {"bos_token_id": start, "eos_token_id": end, "pad_token_id": pad}
    config = in_both_forms(read_json(weights / "config.json", CONFIG_BYTES)) | ids
    write_json(out / "config.json", config)
    write_json(out / "generation_config.json", ids | writing_as(trained.sampling, trained.tokenizer.never_written))
    _write_tokenizer(weights / TOKENIZER, out, start, end, pad, trained.model.context_length)


def in_both_forms(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration that version 5 has written, with what version 4 reads in its place.

    Version 5 keeps all about rotary positions in `rope_parameters`, for some models one for each kind of layer. Version
    4 does not read that: it takes 10,000 for a `rope_theta` that it does not find, and says nothing.
    """
    made = {name: value for name, value in config.items() if name != "_model_name_or_path"}
    if "dtype" in config:
        made["torch_dtype"] = config["dtype"]
    rope = config.get("rope_parameters") or {}
    full = rope.get("full_attention") or rope
    if "rope_theta" not in full:
        return made
    made["rope_theta"] = full["rope_theta"]
    scaling = {name: value for name, value in full.items() if name not in ("rope_theta", "partial_rotary_factor")}
    made["rope_scaling"] = scaling if full.get("rope_type", "default") != "default" else None
    if "partial_rotary_factor" in full:
        made["partial_rotary_factor"] = full["partial_rotary_factor"]
    if "sliding_attention" in rope:
        made["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
    if config["model_type"] == "gpt_neox":  # has names of its own
        made["rotary_emb_base"], made["rotary_pct"] = full["rope_theta"], full["partial_rotary_factor"]
    return made


def writing_as(sampling: SamplingConfig, never_written: list[int]) -> dict[str, Any]:
    """How a run writes, in the names of transformers. Guidance has no name that both versions read."""
    drawn = {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p}
    if sampling.min_p:
        drawn["min_p"] = sampling.min_p
    return {
        "do_sample": not sampling.greedy,
        **({} if sampling.greedy else drawn),
        "max_new_tokens": sampling.max_length,
        "min_new_tokens": sampling.min_length,
        "repetition_penalty": sampling.repetition_penalty,
        "no_repeat_ngram_size": sampling.no_repeat_ngram_size,
        "num_beams": sampling.num_beams,
        "suppress_tokens": never_written or None,
    }


def _write_tokenizer(file: Path, out: Path, start: int, end: int, pad: int, length: int | None) -> None:
    fast = hf.Tokenizer.from_file(str(file))
    fast.no_truncation()
    fast.no_padding()
    names = {"bos": fast.id_to_token(start), "eos": fast.id_to_token(end), "pad": fast.id_to_token(pad)}
    fast.add_special_tokens([*dict.fromkeys(names.values())])  # no new ones: they are special from now on
    fast.post_processor = hf.processors.TemplateProcessing(
        single=[names["bos"], "$A"], pair=[names["bos"], "$A", "$B"], special_tokens=[(names["bos"], start)]
    )
    fast.save(str(out / TOKENIZER))
    settings = {
        "tokenizer_class": TOKENIZER_CLASS,
        "bos_token": names["bos"],
        "eos_token": names["eos"],
        "pad_token": names["pad"],
        "clean_up_tokenization_spaces": False,
        # Else version 4 adds token types, whose vectors GPT-2 adds to those of the tokens.
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": length,
    }
    write_json(out / "tokenizer_config.json", settings)


def _write(model: Path, out: Path, kind: str) -> None:
    """The folder is what is wanted already."""
    for path in model.iterdir():
        path.rename(out / path.name)


def _opening(out: Path) -> str:
    return (
        "from transformers import pipeline\n"
        'print(pipeline("text-generation", ".")("After years")[0]["generated_text"])\n'
    )


FORMAT = Format(kinds=(), write=_write, opening=_opening)
