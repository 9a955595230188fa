"""GGUF, the one file that llama.cpp and what is built on it (Ollama, LM Studio) open: facts, vocabulary and weights.

llama.cpp's own converter is no package, and it refuses a vocabulary that it has not seen. `gguf`, a package of its
authors, has the writer, the names of the tensors and the 8-bit form. The rest is here: how each architecture is
described, and where llama.cpp keeps the numbers of a matrix in another order than transformers does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from arasuji.errors import OptionError
from arasuji.exports import Format, _gguf_vocabulary

KINDS = {"q8_0": "MOSTLY_Q8_0", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "f32": "ALL_F32"}
"""The types of the matrices, and what gguf calls a file of them. Q8_0 has 8 bits a number and a scale for every 32."""
BLOCK = 32
"""The numbers that share a scale in Q8_0."""
ARCHITECTURES = {
    "gpt2": "GPT2",
    "llama": "LLAMA",
    "mistral": "LLAMA",
    "qwen2": "QWEN2",
    "qwen3": "QWEN3",
    "gemma3_text": "GEMMA3",
}
"""What gguf calls the architectures of transformers."""
COMPUTED: dict[str, dict[str, tuple[Any, ...]]] = {
    "gpt2": {
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
    },
    "qwen3": {"attention_bias": (False,)},
    "gemma3_text": {
        "hidden_activation": ("gelu_pytorch_tanh",),
        "attention_bias": (False,),
        "attn_logit_softcapping": (None,),
        "final_logit_softcapping": (None,),
        "use_bidirectional_attention": (False, None),
    },
}
"""Options for which a file has no place, with the values by which llama.cpp computes."""
FULL, SLIDING = "full_attention", "sliding_attention"


def write(model: Path, out: Path, kind: str) -> None:
    """Write the transformers folder `model` into `out` as model-KIND.gguf, tensor by tensor.

    Vectors and GPT-2's positions stay in 32 bits; a matrix whose rows are no multiple of 32 numbers is f16 in a q8_0
    file. The file says that a text begins with what the folder's tokenizer puts before it, and otherwise with an end
    token, as our models are trained.

    Raises OptionError for an architecture, an option or a tokenizer that llama.cpp would compute in another way.
    """
    import gguf
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model, local_files_only=True, trust_remote_code=False)
    _check(config)
    architecture = gguf.MODEL_ARCH[ARCHITECTURES[config.model_type]]
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    types: dict[str, Any] = {}
    unfinished = out / "unfinished"
    with closing(gguf.GGUFWriter(unfinished, gguf.MODEL_ARCH_NAMES[architecture])) as writer:
        writer.add_file_type(gguf.LlamaFileType[KINDS[kind]])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _describe(writer, model, config)
        _gguf_vocabulary.add(writer, model, config)
        for name, weight in _tensors(model, config):
            kept = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if kept is None:
                raise OptionError(f"llama.cpp has no place for the tensor {name} of this {config.model_type}")
            types[name] = gguf.GGMLQuantizationType[_type(kept, weight, kind)]
            shape = gguf.quant_shape_to_byte_shape(weight.shape, types[name])
            writer.add_tensor_info(kept, shape, np.dtype(np.uint8), math.prod(shape), raw_dtype=types[name])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, weight in _tensors(model, config):
            writer.write_tensor_data(gguf.quantize(weight.float().contiguous().numpy(), types[name]))
    unfinished.rename(out / f"model-{kind}.gguf")


def opening(out: Path) -> str:
    """See `Format`."""
    (file,) = out.glob("*.gguf")
    return (
        f"import xllamacpp; options = xllamacpp.CommonParams(); options.model.path = {file.name!r}\n"
        "print(xllamacpp.Server(options).handle_completions({'prompt': '', 'max_tokens': 40})['choices'][0]['text'])\n"
    )


FORMAT = Format(tuple(KINDS), write, opening)


def _check(config: Any) -> None:
    """Raise OptionError where llama.cpp would compute something else."""
    kind = config.model_type
    if kind not in ARCHITECTURES:
        raise OptionError(f"GGUF files are written of {', '.join(ARCHITECTURES)}; this model is a {kind}")
    computed = COMPUTED.get(kind, {"hidden_act": ("silu",)})
    if kind == "gemma3_text":
        period = _period(config)
        layers = [SLIDING if (layer + 1) % period else FULL for layer in range(config.num_hidden_layers)]
        computed = computed | {"query_pre_attn_scalar": (config.head_dim,), "layer_types": (layers,)}
    ropes = _ropes(config)
    known = ("default", "llama3") if ARCHITECTURES[kind] == "LLAMA" else ("default",)
    found = [(name, getattr(config, name, None), values) for name, values in computed.items()]
    found += [("rope_type", rope["rope_type"], known) for rope in ropes.values()]
    for name, value, values in found:
        if value not in values:
            raise OptionError(f"llama.cpp computes a {kind} with {name} = {values[0]}, and this model has {value}")


def _describe(writer: Any, model: Path, config: Any) -> None:
    """Add what the card says of the model, and its shape."""
    from huggingface_hub.repocard import metadata_load

    card = (metadata_load(model / "README.md") if (model / "README.md").exists() else None) or {}
    writer.add_name(card.get("model_name", ""))
    writer.add_license(card.get("license", ""))
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    if config.model_type == "gpt2":
        writer.add_context_length(config.n_positions)
        writer.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    size, context = _head_size(config), config.max_position_embeddings
    window, ropes = getattr(config, "sliding_window", None), _ropes(config)
    if SLIDING in ropes:
        writer.add_sliding_window(window)
        writer.add_sliding_window_pattern(_period(config))
        writer.add_rope_freq_base_swa(ropes[SLIDING]["rope_theta"])
    elif window:  # llama.cpp has no window for this architecture: in a context as short as the window there is none
        context = min(context, window)
    writer.add_context_length(context)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(ropes[FULL]["rope_theta"])


def _period(config: Any) -> int:
    """Of so many layers the last one reads the whole context, and the others a window."""
    return config.layer_types.index(FULL) + 1 if FULL in config.layer_types else config.num_hidden_layers + 1


def _ropes(config: Any) -> dict[str, dict[str, Any]]:
    """How queries and keys are rotated, for each kind of layer."""
    ropes: dict[str, Any] = getattr(config, "rope_parameters", None) or {}
    return ropes if not ropes or FULL in ropes else {FULL: ropes}


def _head_size(config: Any) -> int:
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def _tensors(model: Path, config: Any) -> Iterator[tuple[str, Tensor]]:
    """The weights of a folder by transformers' names, as llama.cpp keeps them, one at a time."""
    for path in sorted(model.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118  (it is no dict)
                if not (name == "lm_head.weight" and config.tie_word_embeddings):
                    yield name, _reordered(name, file.get_tensor(name), config)
    rope = _ropes(config).get(FULL, {})
    if rope.get("rope_type") == "llama3":
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        size = _head_size(config)
        plain = rope["rope_theta"] ** -(torch.arange(0, size, 2) / size)
        scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config)
        yield "rope.freqs.weight", plain / scaled


def _reordered(name: str, weight: Tensor, config: Any) -> Tensor:
    """A weight of transformers as llama.cpp keeps it."""
    if config.model_type == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        return weight.T  # transformers stores these as (in, out)
    if config.model_type == "gemma3_text" and name.endswith("norm.weight"):
        return weight.float() + 1  # transformers adds it when it computes
    if ARCHITECTURES[config.model_type] == "LLAMA" and "self_attn.q_proj" in name:
        return _beside(weight, config.num_attention_heads)
    if ARCHITECTURES[config.model_type] == "LLAMA" and "self_attn.k_proj" in name:
        return _beside(weight, config.num_key_value_heads)
    return weight


def _beside(weight: Tensor, heads: int) -> Tensor:
    """Rows of queries or keys, (heads x size, ...): transformers rotates number i of a head with number i + size / 2,
    llama.cpp the two that stand beside each other."""
    return weight.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)


def _type(name: str, weight: Tensor, kind: str) -> str:
    """The type in which a tensor is kept; `name` is llama.cpp's."""
    if weight.ndim == 1 or name.startswith("position_embd"):
        return "F32"
    return "F16" if kind == "q8_0" and weight.shape[-1] % BLOCK else kind.upper()
