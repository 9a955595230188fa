"""llama.cpp with its 8-bit weights (Q8_0), through llama-cpp-python, which pip compiles for some minutes.

It takes part in `bench/write.py` where it is installed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
import torch
from numpy.typing import NDArray

TOP_K = 50
SCORED_AT_ONCE = 8
READ_AT_ONCE = 512
PAGE = 256
"""Places for tokens are made in multiples of so many."""


def converted(folder: Path, target: Path) -> None:
    """Write a GPT-2 or Llama of transformers as a file of llama.cpp, its matrices in 8 bits, without a vocabulary."""
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = network.config
    kind = {"gpt2": gguf.MODEL_ARCH.GPT2, "llama": gguf.MODEL_ARCH.LLAMA}[config.model_type]
    writer = gguf.GGUFWriter(target, gguf.MODEL_ARCH_NAMES[kind])
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("none")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    if kind == gguf.MODEL_ARCH.GPT2:
        writer.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
        writer.add_rope_dimension_count(config.head_dim)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    own_head = network.get_output_embeddings().weight is not network.get_input_embeddings().weight
    for name, weight in _oriented(network):
        if name == "lm_head.weight" and not own_head:
            continue
        kept = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if weight.ndim == 1 or "position_embd" in kept:
            writer.add_tensor(kept, weight)
        else:
            packed = gguf.quantize(weight, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(kept, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _oriented(network: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """The weights as llama.cpp has them: matrices (out, in), and numbers that are turned together beside each other."""
    config = network.config
    heads = {"q_proj.weight": config.num_attention_heads, "k_proj.weight": getattr(config, "num_key_value_heads", 0)}
    turned = {f"{name}.weight" for name, module in network.named_modules() if type(module).__name__ == "Conv1D"}
    for name, parameter in network.named_parameters():
        weight = parameter.detach().t() if name in turned else parameter.detach()
        if count := next((heads[part] for part in heads if name.endswith(part)), 0):
            weight = weight.unflatten(0, (count, 2, -1)).transpose(1, 2).flatten(0, 2)
        yield name, weight.contiguous().numpy()


class LlamaCpp:
    """As `writers.Arasuji`. Its batches are rows of (token, place, text, whether its scores are wanted)."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        self.quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self.quiet, None)
        llama_cpp.llama_backend_init()
        path = str(folder.with_name(f"{folder.name}.gguf")).encode()
        self.model = llama_cpp.llama_model_load_from_file(path, llama_cpp.llama_model_default_params())
        self.size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.end = self.tokenizer.convert_tokens_to_ids("<|endoftext|>")

    def _ids(self, text: str) -> list[int]:
        return [self.end, *self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def _context(self, texts: int, length: int, tokens: int) -> Any:
        wanted = llama_cpp.llama_context_default_params()
        wanted.n_seq_max, wanted.n_ctx = texts, texts * math.ceil(length / PAGE) * PAGE
        wanted.kv_unified = False
        wanted.n_batch, wanted.n_ubatch = tokens, min(tokens, READ_AT_ONCE)
        wanted.n_threads = wanted.n_threads_batch = torch.get_num_threads()
        return llama_cpp.llama_init_from_model(self.model, wanted)

    def _read(self, context: Any, rows: list[tuple[int, int, int, bool]]) -> None:
        batch = llama_cpp.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (token, place, text, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, place, 1, wanted
            batch.seq_id[i][0] = text
        failed = llama_cpp.llama_decode(context, batch)
        llama_cpp.llama_batch_free(batch)
        if failed:
            raise SystemExit("llama.cpp cannot read the batch")

    def write(self, prompts: list[str], tokens: int) -> None:
        rows = [self._ids(prompt) for prompt in prompts]
        context = self._context(len(rows), max(map(len, rows)) + tokens, sum(map(len, rows)))
        sampler = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        no_end = (llama_cpp.llama_logit_bias * 1)(llama_cpp.llama_logit_bias(self.end, float("-inf")))
        for step in (
            llama_cpp.llama_sampler_init_logit_bias(self.size, 1, no_end),
            llama_cpp.llama_sampler_init_top_k(TOP_K),
            llama_cpp.llama_sampler_init_dist(1),
        ):
            llama_cpp.llama_sampler_chain_add(sampler, step)
        self._read(context, list(_rows(rows, last_only=True)))
        places = [sum(map(len, rows[: i + 1])) - 1 for i in range(len(rows))]
        for written in range(tokens):
            drawn = [llama_cpp.llama_sampler_sample(sampler, context, place) for place in places]
            places = list(range(len(rows)))
            if written < tokens - 1:
                self._read(context, [(token, len(rows[i]) + written, i, True) for i, token in enumerate(drawn)])
        llama_cpp.llama_sampler_free(sampler)
        llama_cpp.llama_free(context)

    def nats(self, texts: list[str]) -> float:
        rows = [[*self._ids(text), self.end] for text in texts]
        longest, total = max(map(len, rows)), 0.0
        context = self._context(SCORED_AT_ONCE, longest, SCORED_AT_ONCE * longest)
        for start in range(0, len(rows), SCORED_AT_ONCE):
            group = rows[start : start + SCORED_AT_ONCE]
            self._read(context, list(_rows([row[:-1] for row in group])))
            targets = [token for row in group for token in row[1:]]
            scores: NDArray[Any] = np.ctypeslib.as_array(llama_cpp.llama_get_logits(context), (len(targets), self.size))
            paid = torch.nn.functional.cross_entropy(torch.tensor(scores), torch.tensor(targets), reduction="sum")
            total += float(paid)
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        llama_cpp.llama_free(context)
        return total


def _rows(texts: list[list[int]], last_only: bool = False) -> Iterator[tuple[int, int, int, bool]]:
    for number, tokens in enumerate(texts):
        for place, token in enumerate(tokens):
            yield token, place, number, not last_only or place == len(tokens) - 1
