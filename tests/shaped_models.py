"""Random models of any shape that transformers has, as another program would leave them; and settings of small runs."""

from __future__ import annotations

import torch

SMALL = ("size=400", "validation_documents=4", "train.max_length=40", "batch_size=4", "sampling.max_length=12")


def shaped(config, tokenizer, folder, dtype=torch.float32):
    """Write a random model of this shape, with opinions, and this tokenizer into a folder."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    config.vocab_size = tokenizer.vocabulary_size
    network = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1 and "norm" not in name:
                parameter.normal_(0, 0.15)
    network.to(dtype).save_pretrained(folder)
    tokenizer.save(folder)
    return folder
