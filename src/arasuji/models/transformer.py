"""Decoders through transformers: GPT-2 from a hub, a folder or from nothing; any other from a hub or a folder, with
LoRA or in full (`docs/bases.md`).

transformers takes seconds to import, so it is imported where a model is made: options are checked and a base is
looked for without it.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from arasuji.bases.checked import check_architecture
from arasuji.errors import BaseModelError, OptionError, first_line
from arasuji.files import read_json
from arasuji.models import Family, LanguageModel, Loss, Vocabulary, _checked, _foreign, _gpt2, _llama
from arasuji.models._cache import CacheState, Reading
from arasuji.models._head import cross_entropy, linear_cross_entropy, token_losses


class Config(BaseModel):
    """Options of the family `transformer`. The shape counts only without a `base`."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    layers: int = Field(12, ge=1, le=1024)
    """Blocks of attention and feed-forward."""
    heads: int = Field(12, ge=1, le=2**16)
    """Attention heads in a block; divides `width`."""
    width: int = Field(768, ge=1, le=2**16)
    """Size of a token's vector."""
    context_length: int = Field(1024, ge=2, le=2**20)
    """The most tokens of a text."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of activations dropped in training."""
    lora_rank: int = Field(0, ge=0, le=2**16)
    """Rank of the low-rank updates (LoRA, Hu et al. 2021) that are trained in place of the weights; 0 trains all
    weights."""
    lora_alpha: float = Field(32, gt=0)
    """The updates are scaled by this over the rank."""
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the updates' inputs dropped in training."""


class Transformer(LanguageModel):
    """See `LanguageModel` for the shapes. `network` is a transformers `...ForCausalLM`, or peft's wrapper of one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        config = self._inner().config
        self.context_length: int | None = getattr(config, "max_position_embeddings", None)
        self.vocabulary_size = len(self.head.weight)
        self.scale = getattr(config, "logit_scale", None) or 1 / (getattr(config, "logits_scaling", None) or 1)
        self.cap: float | None = getattr(config, "final_logit_softcapping", None)
        self.together = not _foreign.has_windows(config)
        """Whether rows are read together where our own code does not read the blocks."""
        self.own_blocks = True  # our own code reads the blocks where there is some, which is faster

    def _inner(self) -> Any:
        """The `...ForCausalLM` itself, LoRA layers included, without peft's wrapper."""
        wrapped = getattr(self.network, "get_base_model", None)
        return wrapped() if wrapped else self.network

    @property
    def _shape(self) -> Any:
        """The file that reads the blocks; None where transformers does, which calls each as a module."""
        return _shape_of(self._inner().config) if self.own_blocks else None

    @property
    def head(self) -> Any:
        """The output layer, (n, D) -> (n, V)."""
        return self._inner().get_output_embeddings()

    @property
    def vectors(self) -> Tensor:
        weight: Tensor = self._inner().get_input_embeddings().weight
        return weight

    def blocks_as_modules(self) -> list[nn.Module]:
        self.own_blocks = False
        body, count = self._inner().base_model, self._inner().config.num_hidden_layers
        lists = (module for module in body.modules() if isinstance(module, nn.ModuleList) and len(module) == count)
        return list(next(lists, []))

    def forward(self, ids: Tensor, targets: Tensor, state: Any = None, loss: Loss | None = None) -> tuple[Tensor, None]:
        # Pads are on the right, where a causal model's real tokens never look: no mask is needed.
        shape, body, head = self._shape, self._inner().base_model, self.head
        if state is not None:
            hidden, _ = self._read(ids, torch.full((len(ids),), ids.shape[1], device=ids.device), state)
        elif shape is not None:
            hidden = shape.hidden(body, ids)
        else:
            hidden = body(input_ids=ids, use_cache=False).last_hidden_state

        def of_rows(rows: Tensor, wanted: Tensor, places: Tensor) -> Tensor:
            if loss or self.cap:
                return (loss or cross_entropy)(self._scores(rows), wanted, places)
            return linear_cross_entropy(self._scaled(rows), wanted, head.weight, head.bias)

        return token_losses(hidden, targets, of_rows, len(head.weight)), None

    def step(self, ids: Tensor, lengths: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        hidden, state = self._read(ids, lengths, state)
        last = hidden[torch.arange(len(ids), device=ids.device), lengths - 1]
        return self._scores(last).float(), state

    def _scaled(self, hidden: Tensor) -> Tensor:
        """What the output layer multiplies: some models scale their scores, Cohere's and Granite among them."""
        return hidden if self.scale == 1 else hidden * self.scale

    def _scores(self, hidden: Tensor) -> Tensor:
        """(n, D) -> (n, V). Gemma 2 bends its scores to a range."""
        scores: Tensor = self.head(self._scaled(hidden))
        return scores if self.cap is None else torch.tanh(scores / self.cap) * self.cap

    def _read(self, ids: Tensor, lengths: Tensor, state: Any) -> tuple[Tensor, Any]:
        """What the output layer reads at each new token, (B, T, D), anything at pads, and the state after them."""
        shape, body = self._shape, self._inner().base_model
        if shape is None and self.together:
            return _foreign.read_together(body, ids, lengths, state, self.context_length)
        if shape is None:
            return _foreign.read_apart(body, ids, lengths, state)
        state = state or CacheState.empty(len(ids), body.config.max_position_embeddings, ids.device)
        return shape.hidden(body, ids, Reading(state, lengths, ids.shape[1])), state

    @torch.inference_mode()
    def attention(self, ids: Tensor) -> Tensor:
        network: Any = self._inner()
        usual = network.config._attn_implementation
        network.set_attn_implementation("eager")  # the fused ways never have the weights
        try:
            read = network.base_model(input_ids=ids[None], output_attentions=True, use_cache=False)
        finally:
            network.set_attn_implementation(usual)
        return torch.cat([weights for weights in read.attentions if weights is not None]).float()

    def save(self, folder: Path) -> None:
        network: Any = self.network
        if network is not self._inner():  # LoRA: fold the updates in, on a copy
            network = copy.deepcopy(network).merge_and_unload()
        network.save_pretrained(folder, safe_serialization=True)


def build(config: Config, tokenizer: Vocabulary, base: Path | None = None) -> Transformer:
    """GPT-2's architecture from nothing, or the weights in `base`, with LoRA where `lora_rank` says so."""
    if base is None:
        network = _new_gpt2(config, tokenizer)
    else:
        network = _open(base, torch.float32)
        if tokenizer.vocabulary_size > network.get_input_embeddings().num_embeddings:  # a new pad token
            network.resize_token_embeddings(tokenizer.vocabulary_size, mean_resizing=False)
            for parameter in network.parameters():  # else the old embedding stays in memory with the file it is in
                parameter.data = parameter.data.clone()
    # A text ends with our end token, also for those who open the saved folder with transformers.
    network.config.eos_token_id = network.generation_config.eos_token_id = tokenizer.end_id
    model = _proved(network)
    if config.lora_rank:
        model.network = _with_lora(network, config)
    return model


def load(folder: Path, precision: torch.dtype = torch.float32) -> LanguageModel:
    """A saved or pretrained model, in evaluation mode; for torch.int8 a folder that `quantize` has written."""
    if precision == torch.int8:
        from arasuji.models.int8 import decoder  # its import takes a moment, and the first time seconds to compile

        return decoder.load(folder).eval()
    return _proved(_open(folder, precision)).eval()


def quantize(folder: Path, target: Path) -> None:
    """Write the model of a folder into another one, its matrices in 8 bits.

    Raises:
        BaseModelError: its architecture is left to transformers, which does not read them.
    """
    from arasuji.models.int8 import decoder

    network = _open(folder, torch.float32)
    shape = _shape_of(network.config)
    if shape is None:
        raise BaseModelError(f"{folder}: 8-bit weights are for GPT-2, Llama, Mistral, Qwen and Gemma 3 shapes")
    decoder.save(network, shape, target)


FAMILY = Family(Config, build, load, quantize, frozenset({"attention"}))


def _shape_of(config: Any) -> Any:
    """The file that reads the blocks of such a model; None where that is left to transformers."""
    return next((shape for shape in (_gpt2, _llama) if shape.serves(config)), None)


def _proved(network: Any) -> Transformer:
    """The model of a network, after a proof that it reads several texts as transformers reads each of them.

    Raises:
        BaseModelError: it does not.
    """
    model, training = Transformer(network), network.training
    if model._shape:  # tests compare the blocks of our own with transformers'
        return model
    network.eval()
    ways = (True, False) if model.together else (False,)
    try:
        model.together = next(way for way in ways if _foreign.prove(network, model, together=way))
    except StopIteration:
        kind = network.config.model_type
        raise BaseModelError(
            f"the architecture {kind} is not served: transformers reads it token by token otherwise than at once"
        ) from None
    network.train(training)
    return model


def _new_gpt2(config: Config, tokenizer: Vocabulary) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    if config.width % config.heads:
        raise OptionError(f"heads ({config.heads}) must divide width ({config.width})")
    shape = GPT2Config(
        vocab_size=tokenizer.vocabulary_size,
        n_positions=config.context_length,
        n_embd=config.width,
        n_layer=config.layers,
        n_head=config.heads,
        resid_pdrop=config.dropout,
        embd_pdrop=config.dropout,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.end_id,
        eos_token_id=tokenizer.end_id,
        pad_token_id=tokenizer.pad_id,
    )
    return GPT2LMHeadModel(shape)


def _open(folder: Path, precision: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM

    _check_fit(folder)
    try:
        network, loaded = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=precision,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # transformers, safetensors and the hub's library raise whatever they stumble over
        reason = first_line(error)
        raise BaseModelError(f"transformers cannot open {folder} as a causal language model: {reason}") from error
    if loaded["missing_keys"]:
        missing = sorted(loaded["missing_keys"])[0]
        raise BaseModelError(f"{folder} is no whole causal language model: its weights lack {missing}")
    for name, weights in network.named_parameters():
        if not torch.isfinite(weights.sum(dtype=torch.float32)):
            raise BaseModelError(f"{folder}: {name} holds numbers that are not finite")
    if network.config.is_encoder_decoder or hasattr(network.config, "vision_config"):
        kind = network.config.model_type
        raise BaseModelError(f"{folder}: the architecture {kind} is not served; models that read text alone are")
    return network


def _check_fit(folder: Path) -> None:
    """Refuse a configuration that its weights do not fit, before transformers takes memory for it."""
    from transformers import AutoConfig, AutoModelForCausalLM

    check_architecture(folder)
    try:
        tensors = _checked.shapes_in(folder)
        _checked.check_config(read_json(folder / "config.json", follow=True), tensors)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        shape = _shape_of(config)
        if shape:
            _checked.check_floats(config, shape, tensors)
            return
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        _checked.check_sizes(network, tensors)
    except Exception as error:
        raise _checked.refused(folder, error) from error


def _with_lora(network: Any, config: Config) -> Any:
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=_block_matrices(network),
        fan_in_fan_out=network.config.model_type == "gpt2",  # GPT-2 keeps its matrices transposed (Conv1D)
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(network, lora)
    except ValueError as error:  # peft knows layers that it would spoil, of Mamba among others
        kind = network.config.model_type
        raise BaseModelError(f"peft has no LoRA for the layers of a {kind}: train all weights (lora_rank=0)") from error


def _block_matrices(network: Any) -> list[str]:
    """Every linear layer of the blocks, the output layer left alone (as QLoRA found best; Dettmers et al. 2023)."""
    head = network.get_output_embeddings()
    return [
        name
        for name, module in network.named_modules()
        if (isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D") and module is not head
    ]
