"""Small networks with random weights, of the architectures that people fine-tune: two layers, 101 tokens, 64 positions.

Windows are shorter than the texts of the tests, and options that a shape may have are not at their defaults, so that
code which ignores them is found out.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers

VOCABULARY, CONTEXT = 101, 64
LLAMA = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": VOCABULARY, "max_position_embeddings": CONTEXT,
}  # fmt: skip
GPT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": VOCABULARY,
    "max_position_embeddings": CONTEXT,
}  # fmt: skip
MIXED = ["sliding_attention", "full_attention"]
EXPERTS = {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2}
LLAMA3_ROPE = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip


def made(config: str, **options: Any) -> Any:
    """A causal language model of transformers, every weight away from where it began."""
    network = transformers.AutoModelForCausalLM.from_config(getattr(transformers, config)(**options))
    with torch.no_grad():
        for parameter in network.parameters():  # biases and norms too, which begin at 0 and 1
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return network.eval()


def gpt2(**options: Any) -> Any:
    shape = {"vocab_size": VOCABULARY, "n_positions": CONTEXT, "n_embd": 32, "n_layer": 2, "n_head": 4}
    return made("GPT2Config", **(shape | {"bos_token_id": 0, "eos_token_id": 0} | options))


def llama(**options: Any) -> Any:
    return made("LlamaConfig", **(LLAMA | options))


def llama3(**options: Any) -> Any:
    return llama(rope_parameters=LLAMA3_ROPE, **options)


def mistral(**options: Any) -> Any:
    return made("MistralConfig", **(LLAMA | {"sliding_window": 7} | options))


def qwen2(**options: Any) -> Any:
    windows = {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}
    return made("Qwen2Config", **(LLAMA | windows | options))


def qwen3(**options: Any) -> Any:
    return made("Qwen3Config", **(LLAMA | {"head_dim": 12} | options))


def gemma3(**options: Any) -> Any:
    shape = {"head_dim": 12, "sliding_window": 6, "query_pre_attn_scalar": 20, "layer_types": MIXED}
    return made("Gemma3TextConfig", **(LLAMA | shape | options))


def bloom() -> Any:
    return made("BloomConfig", vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4)


def lfm2() -> Any:
    return made("Lfm2Config", **LLAMA, layer_types=["conv", "full_attention"])


OURS = {
    "gpt2": gpt2,
    "llama": llama,
    "llama3": llama3,
    "mistral": mistral,
    "qwen2": qwen2,
    "qwen3": qwen3,
    "gemma3": gemma3,
}
"""Architectures whose blocks arasuji reads itself."""
ARCHITECTURES = {
    "GPT-2": gpt2,
    "GPT-Neo": lambda: made(
        "GPTNeoConfig", vocab_size=VOCABULARY, max_position_embeddings=CONTEXT, hidden_size=32, num_layers=2,
        num_heads=4, attention_types=[[["global", "local"], 1]], window_size=8,
    ),
    "GPT-J": lambda: made(
        "GPTJConfig", vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=4, rotary_dim=4
    ),
    "GPT-NeoX (Pythia)": lambda: made("GPTNeoXConfig", **GPT, intermediate_size=64),
    "OPT": lambda: made("OPTConfig", **GPT, ffn_dim=64, word_embed_proj_dim=16),
    "Bloom": bloom,
    "Falcon": lambda: made(
        "FalconConfig", **{name: value for name, value in GPT.items() if name != "max_position_embeddings"},
        bos_token_id=0, eos_token_id=0,
    ),
    "Llama 2, SmolLM2": llama,
    "Llama 3.2": llama3,
    "Mistral": mistral,
    "Qwen 2, Qwen 2.5": lambda: qwen2(use_sliding_window=False),
    "Qwen 3": qwen3,
    "Qwen 3, experts": lambda: made("Qwen3MoeConfig", **LLAMA, **EXPERTS, head_dim=12),
    "Qwen 3 Next": lambda: made(
        "Qwen3NextConfig", **LLAMA, **EXPERTS, head_dim=8, layer_types=["linear_attention", "full_attention"],
        linear_num_value_heads=4, linear_num_key_heads=2, linear_key_head_dim=8, linear_value_head_dim=8,
        shared_expert_intermediate_size=16,
    ),
    "Gemma": lambda: made("GemmaConfig", **LLAMA, head_dim=12),
    "Gemma 2": lambda: made("Gemma2Config", **LLAMA, head_dim=12, sliding_window=6, layer_types=MIXED),
    "Gemma 3": lambda: gemma3(query_pre_attn_scalar=12),  # the size of a head, as of those below 27B
    "SmolLM3": lambda: made("SmolLM3Config", **LLAMA, pad_token_id=1, no_rope_layers=[1, 0]),
    "Phi 1.5, Phi 2": lambda: made("PhiConfig", **LLAMA),
    "Phi 3, Phi 4 mini": lambda: made("Phi3Config", **LLAMA, pad_token_id=1),
    "OLMo": lambda: made("OlmoConfig", **LLAMA),
    "OLMo 2": lambda: made("Olmo2Config", **LLAMA),
    "OLMo 3": lambda: made("Olmo3Config", **LLAMA, sliding_window=6, layer_types=MIXED),
    "Granite": lambda: made(
        "GraniteConfig", **LLAMA, logits_scaling=4.0, embedding_multiplier=3.0, residual_multiplier=0.5,
        attention_multiplier=0.3,
    ),
    "LFM2": lfm2,
    "Cohere": lambda: made("CohereConfig", **LLAMA, pad_token_id=1, bos_token_id=2, eos_token_id=3),
    "StableLM": lambda: made("StableLmConfig", **LLAMA),
    "StarCoder2": lambda: made("Starcoder2Config", **LLAMA, sliding_window=None),
}  # fmt: skip
"""Architectures by the names in `docs/bases.md`."""
