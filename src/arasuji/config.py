"""An experiment is all that a run needs, in one TOML file. Every field says what it is and in what unit.

The tables of a model family and of a tokenizer are kept as they are: only the family and the tokenizer know their
options.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from string import Formatter
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from arasuji import arguments
from arasuji.errors import OptionError, nearest
from arasuji.files import read_bytes
from arasuji.speech import shortened

MOST_TOKENS = 100_000
"""No text is written with more tokens than this, which take a small model an hour."""
MOST_BEAMS = 64
"""A beam search keeps at most this many texts."""
NAMED = 80
"""An error names at most this many characters of an option or a value."""
TOML_DEPTH = 32
"""A key of a TOML file may have at most this many parts (`a.b` has two): the memory of Python's reader grows with their
square."""
_DEEP = re.compile(rf"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){{{TOML_DEPTH}}}""")


class Strict(BaseModel):
    """Unknown fields are errors, and the docstring below a field is its description."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, validate_assignment=True, allow_inf_nan=False
    )


class TrainConfig(Strict):
    """How a model is trained."""

    seed: int = Field(0, ge=0, lt=2**32)
    """Seeds initial weights, dropout, and the order of the documents."""
    layout: Literal["documents", "stream"] = "documents"
    """`documents`: each text is a row of its own, in a batch with texts of similar length. `stream`: all texts are
    joined end to end and cut into `batch_size` parallel rows; the state is carried from batch to batch, and is zero at
    the start of each epoch (the article's LSTM)."""
    shuffle: bool = True
    """The documents of a stream are joined in another order for each epoch; without it, in the order of the corpus in
    every epoch, as the article joins them. Separate documents always have another order."""
    epochs: int = Field(5, ge=1, le=10**6)
    """Passes over the training split."""
    batch_size: int = Field(10, ge=1, le=2**31)
    """Documents, or rows of the stream, in a batch."""
    accumulate: int = Field(1, ge=1, le=2**20)
    """Batches whose gradients are added up before a step; the loss is the mean over all their tokens."""
    max_length: int = Field(300, ge=2, le=2**20)
    """A document is cut after this many tokens, its fields and its end token included. Cut documents are counted, and
    the model does not learn that they end there. In a stream, these are the tokens of a row in one batch."""
    optimizer: Literal["adam", "adamw", "muon"] = "adamw"
    """Adam (Kingma and Ba 2015); AdamW, with decoupled decay (Loshchilov and Hutter 2019); or Muon for hidden matrices
    beside AdamW for all else (Jordan et al. 2024), which takes fewer steps that cost more each."""
    learning_rate: float = Field(1e-3, gt=0)
    """The highest learning rate."""
    weight_decay: float = Field(0.0, ge=0)
    """The weight decay of matrices; biases and norms do not decay."""
    schedule: Literal["constant", "linear", "cosine", "plateau"] = "constant"
    """What the learning rate does after the warm-up. `constant`: it stays. `linear`, `cosine`: it falls to zero at the
    end of the run, along a straight line or half a cosine. `plateau`: it is halved when the epoch's training loss has
    not fallen for `plateau_patience` epochs."""
    warmup_steps: int = Field(0, ge=0, le=2**40)
    """Steps in which the learning rate rises from zero."""
    plateau_patience: int = Field(2, ge=0)
    """Epochs without a lower training loss after which the learning rate is halved (schedule `plateau`)."""
    clip_norm: float = Field(0.0, ge=0)
    """The gradient's norm is clipped to this; 0 leaves it alone."""
    validations: int = Field(1, ge=1, le=2**20)
    """Validations in an epoch, evenly spaced; there is one more at the run's end."""
    validation_documents: int = Field(0, ge=0)
    """Documents of the validation split that are scored each time, drawn once by the seed; 0 scores all of them."""
    patience: int = Field(0, ge=0)
    """Validations without a better score after which training stops early; 0 never does."""
    checkpoint_steps: int = Field(0, ge=0, le=2**40)
    """Steps between checkpoints to resume from; with 0, a number with which writing them takes 3 % of the time."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """The precision of matrix products in training; `auto` is bf16 where the chip has it, else fp32. Sums and the
    optimizer are always fp32."""
    shard: bool = False
    """Each of several processes keeps a part of every weight and of its moments (FSDP; Zhao et al. 2023), for a
    transformer that does not fit into the memory of one. A single process has all of them in any case."""


COLDEST = 1e-30
"""A temperature below this counts as 0, since float32 cannot hold a score that is divided by it."""


class SamplingConfig(Strict):
    """How a text is written. Lengths count new tokens; the settings are applied in the order of the fields."""

    min_length: int = Field(0, ge=0, le=MOST_TOKENS)
    """Tokens before the text may end."""
    max_length: int = Field(200, ge=1, le=MOST_TOKENS)
    """Tokens after which writing stops, whether the text has ended or not."""
    guidance: float = Field(1.0, ge=0, le=20)
    """How strongly a text follows the fields that the model is told: log-probabilities are moved away from those of a
    model that is told nothing, by this multiple of the difference (classifier-free guidance). 1 is off."""
    repetition_penalty: float = Field(1.0, ge=0.01, le=100)
    """Scores of tokens already there are divided by this (multiplied where negative; Keskar et al. 2019); 1 is off."""
    no_repeat_ngram_size: int = Field(0, ge=0, le=MOST_TOKENS)
    """No n-gram of this many tokens is written twice; 0 is off."""
    temperature: float = Field(1.0, ge=0)
    """Scores are divided by this; 0 always takes the likeliest token, as does anything below 1e-30."""
    top_k: int = Field(0, ge=0, le=2**31)
    """Only this many of the likeliest tokens are kept (Fan et al. 2018); 0 keeps all."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Of these, the fewest likeliest tokens whose probabilities add up to this are kept (Holtzman et al. 2020); 1 keeps
    all."""
    min_p: float = Field(0.0, ge=0, le=1)
    """Of these, tokens with at least this share of the likeliest token's probability are kept (Nguyen et al. 2024); 0
    keeps all."""
    num_beams: int = Field(1, ge=1, le=MOST_BEAMS)
    """Texts kept in parallel, of which the one with the best mean score is returned; 1 is plain sampling."""

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.temperature < COLDEST

    @property
    def certain(self) -> bool:
        """Whether a prompt is always continued by the same text, whatever the seed."""
        return self.greedy or (self.top_k == 1 and self.num_beams == 1)

    @model_validator(mode="after")
    def _lengths_in_order(self) -> Self:
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is more than max_length {self.max_length}")
        if self.guidance != 1 and self.num_beams > 1:
            raise ValueError(f"guidance {self.guidance:g} is for texts that are drawn, and not for num_beams")
        return self


class TokenizerConfig(BaseModel):
    """The tokenizer's name; its other options are read by it alone."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    name: str
    """`word`, `bpe`, `pretrained`, `pruned`, or a tokenizer of another package."""

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class DocumentConfig(Strict):
    """What a model predicts, and what it reads before."""

    predicts: Literal["text", "title", "middle"] = "text"
    """What is predicted: the text; its title, where `format` may hold the {text}; or its middle, where it may hold the
    first and the last sentence, {from} and {to}, which are then cut off from what is predicted."""
    format: str = Field("", max_length=1000)
    """What stands before each text, read and never predicted: fields in braces (title, genres, year, type, kept
    columns), such as "{title} | {genres} | ". Empty: nothing."""
    left_out: float = Field(0.0, ge=0, le=1)
    """In training, each field of a text is left empty with this probability, in every epoch anew: so a model learns to
    do with some of them."""
    all_left_out: float = Field(0.0, ge=0, le=1)
    """All fields of a text are left empty with this probability: so a model learns to do without."""

    @field_validator("format")
    @classmethod
    def _fields_are_names(cls, format: str) -> str:
        for _, name, spec, conversion in Formatter().parse(format):
            if name is not None and (not name or spec or conversion):
                raise ValueError(f"{format!r}: a field is a name in braces, such as {{title}}")
        return format

    @property
    def varies(self) -> bool:
        """Whether the fields of a text are other ones in every epoch."""
        return bool(self.format) and max(self.left_out, self.all_left_out) > 0


class Size(Strict):
    """Options for a run that has the time to read a number of tokens."""

    tokens: int = Field(ge=0, le=2**62)
    """The least number of tokens that a run must read for these options to be the best."""
    model: dict[str, Any] = Field(default_factory=dict)
    """Options of the family, in place of those of the experiment."""
    train: dict[str, Any] = Field(default_factory=dict)
    """Options of `train`, in place of those of the experiment."""


class TeachingConfig(Strict):
    """What another model teaches."""

    teacher: str = ""
    """The run of a fine-tuned transformer, or a pretrained model by its name. Empty: the texts alone teach."""
    embeddings: bool = True
    """The vectors of tokens begin as the teacher's, projected to the size of the model's (principal components)."""
    weight: float = Field(0.5, ge=0, le=1)
    """The weight of the teacher's distribution over the next token in the loss; the text's own token has the rest. 0:
    the teacher does not read the texts."""
    draws: int = Field(32, ge=1, le=1024)
    """Tokens that are drawn from the teacher's distribution at each place, and kept; 2 bytes each."""
    minutes: float = Field(60.0, ge=0, le=2**20)
    """Minutes in which the teacher writes texts to learn from, besides those of the corpus; 0: it writes none."""
    texts: int = Field(0, ge=0, le=2**31)
    """The most texts that it writes; 0 sets no limit."""
    real: float = Field(0.5, ge=0.3, le=1)
    """The least share of tokens that are of the corpus's own texts, in every epoch. An epoch reads all of these, and so
    many of the teacher's; other ones in the next epoch."""


class Experiment(Strict):
    """All that a run needs."""

    description: str = ""
    """One line for `arasuji presets`."""
    family: str
    """The model family: a file in `models/`, or a family of another package."""
    base: str = ""
    """A pretrained model to begin from: a known name, a folder, or a name on the Hugging Face hub. Empty: none."""
    tokenizer: TokenizerConfig
    """How texts become tokens."""
    document: DocumentConfig = DocumentConfig.model_validate({})
    """What stands before each text."""
    model: dict[str, Any] = Field(default_factory=dict)
    """The family's own options."""
    train: TrainConfig = TrainConfig.model_validate({})
    """How the model is trained."""
    teaching: TeachingConfig = TeachingConfig.model_validate({})
    """What another model teaches it."""
    sampling: SamplingConfig = SamplingConfig.model_validate({})
    """How the model writes by default."""
    sizes: list[Size] = Field([], max_length=64)
    """A run has the one with the most tokens that it can read in its minutes, steps and epochs; with a setting of an
    option that a size decides, it has none."""

    def sized(self, size: Size) -> Experiment:
        """The experiment with the options of a size."""
        return checked(
            Experiment,
            self.model_dump(exclude={"sizes"})
            | {"model": self.model | size.model, "train": self.train.model_dump() | size.train},
            "sizes",
        )

    def sized_as(self, other: Experiment) -> Experiment:
        """The experiment with the options of another one for all that a size may decide."""
        sizes = self.sizes
        decided = {name for size in sizes for name in size.model}
        model = {name: value for name, value in self.model.items() if name not in decided}
        model |= {name: value for name, value in other.model.items() if name in decided}
        train = {name: getattr(other.train, name) for size in sizes for name in size.train}
        return self.sized(Size(tokens=0, train=train)).model_copy(update={"model": model})


SECTIONS = ("tokenizer", "document", "model", "train", "teaching", "sampling")


def checked(kind: type[BaseModel], values: dict[str, Any], where: str) -> Any:
    """`kind(**values)`, with pydantic's complaint as one line that names the option."""
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        option = shortened(".".join(str(part) for part in first["loc"]), NAMED)
        if first["type"] == "extra_forbidden":
            known: Any = kind.model_fields
            for part in first["loc"][:-1]:
                known = getattr(known[part].annotation, "model_fields", {})
            raise OptionError(f"{where}: unknown option {option!r}; {nearest(str(first['loc'][-1]), known)}") from error
        if first["type"] == "value_error":  # raised by a check of several fields together
            raise OptionError(f"{where}: {first['ctx']['error']}") from error
        given = shortened(repr(first.get("input")), NAMED)
        raise OptionError(f"{where}: {option or 'value'}: {first['msg']}, not {given}") from error


def preset_names() -> list[str]:
    """The presets that ship."""
    return sorted(f.name.removesuffix(".toml") for f in resources.files("arasuji.presets").iterdir()
                  if f.name.endswith(".toml"))  # fmt: skip


def preset_text(name: str) -> str:
    """A preset's TOML, comments and all."""
    if name not in preset_names():
        raise OptionError(f"unknown preset {name!r}; {nearest(name, preset_names())}")
    return (resources.files("arasuji.presets") / f"{name}.toml").read_text("utf-8")


def load_experiment(preset: str) -> dict[str, Any]:
    """The raw tables of a preset, or of a TOML file (a name that ends in .toml)."""
    preset = arguments.name(preset)
    if preset.endswith(".toml"):
        return read_toml(Path(preset), "the experiment")
    return tomllib.loads(preset_text(preset))


def read_toml(path: Path, what: str, follow: bool = True) -> dict[str, Any]:
    """The raw tables of a TOML file, which may be damaged or hostile; a link is refused unless `follow`. Raises
    OptionError, which says `what` it should be."""
    try:
        text = read_bytes(path, follow=follow).decode()
    except (OSError, ValueError) as error:
        raise OptionError(f"cannot read {what} {path}: {error}") from error
    try:
        if _DEEP.search(text):
            raise ValueError(f"names stand within more than {TOML_DEPTH} others")
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise OptionError(f"{path} is not TOML: {reason}") from error


def value_of(raw: str) -> Any:
    """The value of a setting's text: what TOML reads in it, or the text itself where it is no TOML."""
    try:
        return tomllib.loads(f"x = {raw}")["x"]
    except (ValueError, RecursionError):
        return raw


def override(tables: dict[str, Any], setting: str, known: dict[str, set[str]]) -> None:
    """Apply one `key=value` to an experiment's raw tables, in place.

    The key is a field of the experiment (`base`), of one of its sections (`learning_rate`, where a single
    section has it), or both (`sampling.max_length`). `known` gives the fields of every section.
    """
    key, equals, raw = setting.partition("=")
    if not equals:
        raise OptionError(f"--set takes key=value, not {setting!r}")
    value = value_of(raw)
    section, dot, field = key.strip().rpartition(".")
    if not dot and field in ("base", "description"):
        tables[field] = value if isinstance(value, str) else raw
        return
    homes = [s for s in SECTIONS if field in known[s] and section in ("", s)]
    if len(homes) > 1:
        choices = " or ".join(f"{s}.{field}" for s in homes)
        raise OptionError(f"--set {field} is ambiguous: say {choices}")
    if not homes:
        names = ["base"] + [name for s in SECTIONS for name in (known[s] | {f"{s}.{n}" for n in known[s]})]
        raise OptionError(f"--set: unknown option {key!r}; {nearest(key, names)}")
    tables.setdefault(homes[0], {})[field] = value
    if any(field in size.get(homes[0], {}) for size in tables.get("sizes", [])):
        tables["sizes"] = []
