"""Makes a run of a model that was trained elsewhere, so that every verb works with it."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open

from arasuji import bases, folders, models, tokenizers
from arasuji.config import DocumentConfig, Experiment, SamplingConfig, TokenizerConfig
from arasuji.errors import BaseModelError, OptionError, RunError
from arasuji.files import read_json
from arasuji.locks import alone
from arasuji.runs.directory import RunDirectory
from arasuji.runs.manifests import CorpusFacts
from arasuji.runs.names import BASE_SAMPLING
from arasuji.runs.opening import enough_memory, open_pair
from arasuji.speech import say

EXPORT = "arasuji export"
"""The manifest of an exported folder says that it is of this kind."""
PRESET = "imported"
"""What stands in the place of the preset of such a run."""
FACTS_BYTES = 2**20
"""The manifest of an export may have at most this many bytes."""
TYPES = {"BF16": torch.bfloat16, "F16": torch.float16}
"""The types of weights that are kept; all others become float32."""


class Exported(BaseModel):
    """What an export's manifest says that a run of it needs."""

    corpus: CorpusFacts = CorpusFacts(hash="")
    document: DocumentConfig = DocumentConfig.model_validate({})
    sampling: SamplingConfig = BASE_SAMPLING
    fields: dict[str, dict[str, int]] = {}


def import_model(folder: Path, out: Path, corpus: CorpusFacts | None = None) -> RunDirectory:
    """Write a run whose best model is that of a transformers folder. `corpus` is one that it shall be measured on.

    Of a folder that arasuji has exported, the run takes over what the model reads before a text, how it writes, and the
    hash of the corpus that it was trained on. Of any other, nothing is known about that.

    Raises:
        BaseModelError: the folder is missing, is refused (see `bases.check`), or is no causal language model.
        OptionError: the model was exported after training on another corpus.
        RunError: `out` exists already, or another import writes it.
    """
    if os.path.lexists(out):
        raise RunError(f"{out} exists already; say another --out")
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise BaseModelError(f"{folder} {what}: name the folder of a model, with its config.json and *.safetensors")
    if (folder / "best").is_dir():
        raise BaseModelError(f"{folder} is a run already: every verb takes it as it is")
    bases.check(folder, folder)
    known = _exported(folder)
    if corpus and known.corpus.hash and corpus.hash != known.corpus.hash:
        raise OptionError(f"{folder} was trained on another corpus than {corpus.folder}: leave --corpus out")
    with enough_memory(folder):
        pair = open_pair(models.PRETRAINED, tokenizers.PRETRAINED, folder, _type_of(folder), place=folder)
    experiment = Experiment(
        description="a model that was trained elsewhere",
        family=models.PRETRAINED,
        tokenizer=TokenizerConfig(name=tokenizers.PRETRAINED),
        document=known.document,
        sampling=known.sampling,
        sizes=[],
    )
    facts = {
        "name": PRESET,
        "imported": folder.resolve().name,
        "corpus": (corpus or known.corpus).model_dump(),
        "fields": known.fields,
    }
    place = Path(os.path.realpath(out))  # two names of one folder are one
    with alone(place.with_name(f".{place.name}.lock"), out, "import"):
        if os.path.lexists(out):  # another import has written it meanwhile
            raise RunError(f"{out} exists already; say another --out")
        with folders.new_folder(out) as fresh:
            made = RunDirectory(fresh)
            made.start(experiment, facts)
            made.save_tokenizer(pair[1])
            made.save_best(experiment, *pair, {"base": "", "step": 0, "bits_per_byte": None})
    return RunDirectory(out)


def _exported(folder: Path) -> Exported:
    """What the manifest of an exported folder says of its model; nothing where another program wrote the folder, or has
    changed a file of it since."""
    try:
        manifest = read_json(folder / folders.MANIFEST, FACTS_BYTES)
    except (OSError, ValueError):
        return Exported()
    if not isinstance(manifest, dict) or manifest.get("kind") != EXPORT:
        return Exported()
    if folders.verified(folder) is None:
        say(f"note: {folder} was changed since arasuji exported it, so what its {folders.MANIFEST} says is not used")
        return Exported()
    try:
        found = Exported(**manifest)
        return found.model_copy(update={"corpus": CorpusFacts(hash=found.corpus.hash)})  # no folder of this machine
    except ValueError as error:
        raise BaseModelError(
            f"{folder / folders.MANIFEST} was written by another version of arasuji, or is damaged: delete it, and the "
            "model is brought in as one that another program wrote"
        ) from error


def _type_of(folder: Path) -> torch.dtype:
    """The type that all weights of a folder have; float32, which holds the others, where they differ."""
    found = set()
    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, "pt") as file:
                found |= {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise BaseModelError(f"{path} is damaged ({error}): fetch it again") from error
    return TYPES.get(found.pop(), torch.float32) if len(found) == 1 else torch.float32
