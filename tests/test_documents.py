"""One way from a record to tokens: what a model is told is read and not predicted, and nothing changes without it."""

from __future__ import annotations

import hashlib
from importlib import resources

import pytest
import torch
from conftest import small_model

from arasuji import api, models, tokenizers
from arasuji.config import DocumentConfig, SamplingConfig, TrainConfig
from arasuji.corpus import Record
from arasuji.documents import document_of, documents_of, prefix_of
from arasuji.errors import OptionError, PromptError
from arasuji.evaluation.calibration import calibration
from arasuji.evaluation.score import score
from arasuji.generation.decode import decode
from arasuji.generation.texts import Options, Request, Sample
from arasuji.models import IGNORED
from arasuji.training.batches import epoch_batches
from arasuji.training.documents import Documents

FORMAT = "{title} | {genres} | {year} | "
RECORDED = {
    "word": ("d479be430a25c742", 4173.957320801914, 1169, "80469d2560d81481"),
    "bpe": ("adfd36eeec8416c9", 10905.040505994111, 3012, "fb7b14a21ede589d"),
}
"""Batches, the loss and tokens of ten texts, and eight texts of an n-gram model, before documents had fields."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    with resources.as_file(resources.files("arasuji.data") / "starter.jsonl") as source:
        return api.prepare(source, tmp_path_factory.mktemp("corpus") / "starter")


@pytest.fixture
def words_model(bpe):
    return small_model("ngram", bpe).eval()


@pytest.fixture
def record(starter_texts) -> Record:
    fields = {"title": "The Keeper", "genres": ["Drama", "Sea"], "year": None}
    return Record("1", starter_texts[3][:40], metadata=fields)


def train(layout: str, **options) -> TrainConfig:
    return TrainConfig.model_validate({"layout": layout, "batch_size": 4, **options})


@pytest.mark.parametrize("name", RECORDED)
def test_without_a_format_batches_losses_and_texts_are_those_of_before(name, starter_texts):
    kind = tokenizers.kind(name)
    options = {"size": 400} if name == "bpe" else {"min_count": 2}
    tokenizer = kind.build(kind.Config(**options), starter_texts[:60])
    documents = Documents(documents_of([Record("", t) for t in starter_texts[:60]], tokenizer), tokenizer.end_id)
    seen = hashlib.sha256()
    for layout in ("stream", "documents"):
        for batch in epoch_batches(documents, train(layout, max_length=64, shuffle=False), 0, tokenizer.pad_id):
            seen.update(batch.ids.numpy().tobytes() + batch.targets.numpy().tobytes())
    family = models.family("ngram")
    model = family.build(family.Config(), tokenizer, None).train()
    for batch in epoch_batches(documents, train("documents", max_length=400), 0, tokenizer.pad_id):
        model(batch.ids, batch.targets)
    scored = score(model.eval(), tokenizer, starter_texts[60:70])
    settings = SamplingConfig(max_length=30, top_k=20, temperature=0.8, no_repeat_ngram_size=3)
    written = decode(model, Options(tokenizer, settings), [Request("After years", seed) for seed in range(8)])
    texts = "\n".join(sorted(sample.text for sample in written if isinstance(sample, Sample)))
    hashes = [seen.hexdigest()[:16], hashlib.sha256(texts.encode()).hexdigest()[:16]]
    batches, nll, tokens, text = RECORDED[name]
    assert hashes == [batches, text]
    assert scored.tokens == tokens
    assert sum(scored.document_nll) == pytest.approx(nll, rel=1e-7)  # the last bits of a logarithm are the processor's


def test_a_document_is_an_end_token_the_fields_the_text_and_its_end(bpe, record):
    document = document_of(record, bpe, FORMAT)
    fields = bpe.encode("The Keeper | Drama, Sea |  | ")
    assert document.ids == [bpe.end_id, *fields, *bpe.encode(record.text), bpe.end_id]
    assert document.text_ids == [*bpe.encode(record.text), bpe.end_id]
    assert document_of(record, bpe, FORMAT, whole=False).ids == document.ids[:-1]
    assert document_of(record, bpe).ids == [bpe.end_id, *bpe.encode(record.text), bpe.end_id]


def test_a_field_that_a_record_lacks_is_empty():
    assert prefix_of(FORMAT, {}) == " |  |  | "
    assert prefix_of("{{{studio}}} ", {"studio": "Sun"}) == "{Sun} "
    assert prefix_of("{a.b} {title.__class__}", {"a.b": [1, "x"], "title": "T"}) == "1, x "  # names are taken whole


@pytest.mark.parametrize("format", ["{}", "{title:>9}", "{title!r}", "{title"])
def test_a_format_holds_plain_names_alone(format):
    with pytest.raises(ValueError, match=r"format|expected '}'"):
        DocumentConfig(format=format)


@pytest.mark.parametrize("layout", ["documents", "stream"])
def test_training_reads_the_fields_and_predicts_the_text_alone(bpe, starter_texts, layout):
    records = [Record(str(i), t, metadata={"title": f"Title {i}", "year": i}) for i, t in enumerate(starter_texts[:9])]
    with_fields = Documents(documents_of(records, bpe, FORMAT), bpe.end_id)
    plain = Documents(documents_of(records, bpe), bpe.end_id)
    batches = epoch_batches(with_fields, train(layout, max_length=10_000, batch_size=1), 0, bpe.pad_id)
    without = epoch_batches(plain, train(layout, max_length=10_000, batch_size=1), 0, bpe.pad_id)
    assert batches.counted == without.counted == sum(batch.counted for batch in batches)
    for batch, other in zip(batches, without, strict=True):
        assert batch.ids.min() >= 0
        targets = batch.targets[batch.targets != IGNORED]
        assert torch.equal(targets, other.targets[other.targets != IGNORED])
        following = batch.ids[:, 1:][batch.targets[:, :-1] != IGNORED]
        assert torch.equal(targets[: len(following)], following)


@pytest.mark.parametrize("layout", ["documents", "stream"])
@pytest.mark.parametrize("family", models.families())
@pytest.mark.parametrize("max_length", [3, 20])
def test_fields_may_fill_a_batch_of_which_nothing_is_then_counted(family, bpe, starter_texts, layout, max_length):
    records = [Record(str(i), t, metadata={"title": "A title " * i}) for i, t in enumerate(starter_texts[:5])]
    documents = Documents(documents_of(records, bpe, "{title}: "), bpe.end_id)
    batches = epoch_batches(documents, train(layout, max_length=max_length, batch_size=2), 0, bpe.pad_id)
    assert batches.counted == sum(batch.counted for batch in batches)
    model = small_model(family, bpe)
    for batch in [*batches][:4]:
        for rows in batch.parts(tokens=4):
            losses, _ = model(rows.ids, rows.targets)
            assert (losses[rows.targets == IGNORED] == 0).all()


def test_fields_that_leave_no_room_for_a_text_and_fields_that_no_text_has_are_refused(tmp_path, corpus):
    for settings, message in (
        (["document.format={title}: ", "train.max_length=2"], "used up by the fields"),
        (["document.format={titel}: "], "did you mean 'title'"),
    ):
        chosen = api.experiment("ngram", ["size=400", *settings])
        with pytest.raises(OptionError, match=message):
            api.train(chosen, corpus, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_calibration_reads_no_more_than_the_context_holds(bpe, record):
    for context in (12, 40, 64):
        model = small_model("transformer", bpe, context_length=context).eval()
        document = document_of(record, bpe, FORMAT, whole=False)
        room = max(0, context + 1 - document.counted_from)
        predicted = sum(bin.tokens for bin in calibration(model, bpe, [record], FORMAT))
        assert predicted == min(room, len(document.text_ids))


def test_fields_that_cannot_be_told_end_their_own_text_alone(words_model, bpe):
    fields = [{"title": "\udcff"}, {"title": "The Keeper"}, {"genres": [1, 2]}]
    requests = [Request("After", 1, one) for one in fields]
    written = decode(words_model, Options(bpe, SamplingConfig(max_length=5), format=FORMAT), requests)
    assert [next(written).index for _ in range(2)] in ([1, 2], [2, 1])
    with pytest.raises(PromptError, match="not UTF-8"):
        next(written)


@pytest.mark.parametrize("family", models.families())
def test_a_score_counts_the_text_after_its_fields(family, bpe, record):
    model = small_model(family, bpe).eval()
    found = score(model, bpe, [record], format=FORMAT)
    document = document_of(record, bpe, FORMAT)
    ids, targets = document.ids[:-1], [IGNORED] * (document.counted_from - 1) + document.text_ids
    with torch.no_grad():
        expected, _ = model(torch.tensor([ids]), torch.tensor([targets]))
    assert found.tokens == len(document.text_ids)
    assert found.bytes == [len(record.text.encode())]
    assert found.charges == [[0.0] * len(document.text_ids)]
    assert found.document_nll[0] == pytest.approx(float(expected.sum()), rel=1e-5)
    predicted = sum(bin.tokens for bin in calibration(model, bpe, [record], FORMAT))
    assert predicted == len(bpe.encode(record.text))


def test_a_run_is_told_the_fields_when_it_learns_when_it_is_scored_and_when_it_writes(tmp_path, corpus):
    settings = ["document.format={title}: ", "size=400", "epochs=1", "validation_documents=0"]
    run = api.train(api.experiment("ngram", settings), corpus, tmp_path / "run")
    trained = api.load(run)
    assert trained.format == "{title}: "
    assert run.manifest["experiment"]["document"]["format"] == "{title}: "
    found = api.evaluate(run, corpus.validation)
    assert found.bits_per_byte == pytest.approx(trained.facts["bits_per_byte"])  # as training has validated it
    record = corpus.validation[0]
    fields = {"title": record.metadata["title"]}
    (sample,) = api.generate(
        trained, "", seed=1, sampling=SamplingConfig(max_length=20), fields=fields, longest_copy=None
    )
    requests = [Request("", 1, fields) for fields in (record.metadata, {"title": "?"})]
    config = SamplingConfig(max_length=20)
    one, other = decode(trained.model, Options(trained.tokenizer, config, format=trained.format), requests)
    assert one.completion != other.completion
    assert one.completion == sample.completion
    with pytest.raises(OptionError, match=r"document\.format"):
        api.train(api.experiment("ngram", settings[1:]), corpus, tmp_path / "run", resume=True)
