"""Any cross-encoder in ONNX: its scores are those of an oracle that knows neither tokenizer nor graph."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from rag_search.errors import EngineError
from rag_search.rerank.onnx import OnnxReranker
from rag_search.rerank.onnx_files import find_files
from rag_search.rerank.onnx_head import Head, head_of
from tests.support.onnx_models import FAMILIES, SEPARATOR, Family, Output, logit, make_reader, score

QUERY = "redis connection timeout"
PASSAGES = [
    "redis closes idle connections after the timeout",
    "kafka consumer groups rebalance when a member leaves",
    "the redis connection timeout of the client",
    "连接 超时 检查 redis",
    "",
]


def reader(folder: Path, *, max_tokens_per_doc: int = 2048, threads: int = 1) -> OnnxReranker:
    return OnnxReranker(find_files(folder), name="tiny", max_tokens_per_doc=max_tokens_per_doc, threads=threads)


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_of_each_kind_of_tokenizer(tmp_path: Path, family: Family) -> None:
    """English, Chinese, an empty passage: literal values, computed by hand from shared words."""
    model = reader(make_reader(tmp_path / "m", family))
    np.testing.assert_allclose(model.logits(QUERY, PASSAGES), [8 * 2 / 3 - 4, -4, 4, 8 / 3 - 4, -4], atol=1e-5)
    np.testing.assert_allclose(model.logits("连接 超时", PASSAGES), [-4, -4, -4, 4, -4], atol=1e-5)
    scores = model.score(QUERY, PASSAGES)
    assert (scores.dtype, model.score(QUERY, []).shape) == (np.float32, (0,))
    np.testing.assert_allclose(scores, score(QUERY, PASSAGES), atol=1e-6)
    assert model.threshold is None
    assert not model.follows_instructions


@pytest.mark.parametrize("output", ["logit", "sigmoid", "two", "softmax"])
@pytest.mark.parametrize("integers", [64, 32])
def test_every_head_gives_the_same_logit(tmp_path: Path, output: Output, integers: int) -> None:
    """A logit, a probability, two classes with and without softmax; ids of 64 and of 32 bits."""
    folder = make_reader(tmp_path / "m", output=output, integers=integers)
    model = reader(folder)
    np.testing.assert_allclose(model.logits(QUERY, PASSAGES), [logit(QUERY, p) for p in PASSAGES], atol=1e-4)
    wanted = Head.probability if output in ("sigmoid", "softmax") else Head.logit
    assert head_of(folder / "onnx" / "model.onnx") is wanted


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    """By its settings, and without them by what it answers."""
    folder = make_reader(tmp_path / "m", output="three")
    with pytest.raises(EngineError, match="gives 3 labels to a text"):
        reader(folder)
    (folder / "config.json").unlink()
    with pytest.raises(EngineError, match="gives 3 numbers for a pair"):
        reader(folder).score(QUERY, PASSAGES)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_text_is_a_special_token(tmp_path: Path, family: Family) -> None:
    """A typed separator would end the query: the words behind it would not count."""
    model, mark = reader(make_reader(tmp_path / "m", family)), SEPARATOR[family]
    np.testing.assert_allclose(model.logits(f"redis{mark} kafka", ["redis", "kafka"]), [0, 0], atol=1e-5)
    np.testing.assert_allclose(model.logits("redis kafka", [f"redis{mark} kafka"]), [4], atol=1e-5)
    wide = "＜/s＞" if family == "unigram" else mark  # becomes the separator when it is normalised
    np.testing.assert_allclose(model.logits(f"redis{wide} kafka", ["kafka redis"]), [4], atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_long_texts_are_cut_inside_the_template(tmp_path: Path, family: Family) -> None:
    """The passage loses its end, a query longer than half of the pair, too, and the template stays whole."""
    model = reader(make_reader(tmp_path / "m", family, longest=32))
    early, late = "redis " + "the " * 100, "the " * 100 + "redis"
    np.testing.assert_allclose(model.logits("redis", [early, late]), [4, -4], atol=1e-5)
    long_query = "redis kafka " + "word " * 100
    few = model.logits(long_query, ["redis", "word"])
    assert few[0] < few[1]
    assert few[0] > -4  # its first word was read
    limited = reader(tmp_path / "m", max_tokens_per_doc=4)
    np.testing.assert_allclose(limited.logits("redis", ["a a redis", "a a a a redis"]), [4, -4], atol=1e-5)
    assert limited.count_truncated(["a a redis", "a a a a redis", ""]) == 1
    assert model.count_truncated([early, late, "redis"]) == 2


def test_saved_padding_and_truncation_are_not_obeyed(tmp_path: Path) -> None:
    """A tokenizer.json may hold settings of its training: the words behind the eighth token would be lost."""
    folder = make_reader(tmp_path / "m")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=16)
    tokenizer.save(str(folder / "tokenizer.json"))
    np.testing.assert_allclose(reader(folder).logits(QUERY, PASSAGES), [logit(QUERY, p) for p in PASSAGES], atol=1e-5)


def test_scores_do_not_depend_on_neighbours_or_threads(tmp_path: Path) -> None:
    """Bit by bit: one by one, together, in another order, with four threads."""
    folder = make_reader(tmp_path / "m", "unigram")
    model, parallel = reader(folder), reader(folder, threads=4)
    together = model.logits(QUERY, PASSAGES)
    assert together.tolist() == [model.logits(QUERY, [passage])[0] for passage in PASSAGES]
    assert together.tolist() == parallel.logits(QUERY, PASSAGES[::-1])[::-1].tolist()


def test_hostile_texts(tmp_path: Path) -> None:
    model = reader(make_reader(tmp_path / "m", "bpe"))
    passages = ["\ud800", "\x00", "\u202e redis", "👩‍👩‍👧‍👧 é", "redis\tredis\nredis ", "x" * 100_000]
    assert np.isfinite(model.score("redis \ud800", passages)).all()


def test_limits_of_the_settings(tmp_path: Path) -> None:
    """The smallest limit counts; XLM-R's table of positions begins behind the id of the padding."""
    folder = make_reader(tmp_path / "m", "unigram", longest=514)
    assert find_files(folder).longest == 512
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 1000000000000000019884624838656}', "utf-8")
    assert find_files(folder).longest == 512
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 384}', "utf-8")
    assert find_files(folder).longest == 384
    for text in ("{}", "[]", '{"max_position_embeddings": "many"}'):
        (folder / "config.json").write_text(text, "utf-8")
        (folder / "tokenizer_config.json").write_text(text, "utf-8")
        assert find_files(folder).longest == 512
    (folder / "config.json").write_text("{", "utf-8")
    with pytest.raises(EngineError, match=r"config\.json cannot be read"):
        find_files(folder)


def test_files_that_are_missing_or_many(tmp_path: Path) -> None:
    folder = make_reader(tmp_path / "m")
    graph = folder / "onnx" / "model.onnx"
    assert find_files(graph).tokenizer == folder / "tokenizer.json"
    quantized = graph.with_name("model_quantized.onnx")
    quantized.write_bytes(graph.read_bytes())
    assert find_files(folder).graph == quantized
    assert find_files(folder, graph="onnx/model.onnx").graph == graph
    for name in ("a.onnx", "b.onnx"):
        (folder / name).write_bytes(b"")
    quantized.unlink()
    graph.unlink()
    with pytest.raises(EngineError, match="has 2 ONNX models"):
        find_files(folder)
    with pytest.raises(EngineError, match="has no ONNX model"):
        find_files(tmp_path)
    with pytest.raises(EngineError, match="does not exist"):
        find_files(tmp_path / "none.onnx")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EngineError, match=r"has no tokenizer\.json"):
        find_files(folder / "a.onnx")


def test_damaged_files(tmp_path: Path) -> None:
    folder = make_reader(tmp_path / "m")
    tokenizer = folder / "tokenizer.json"
    sound = tokenizer.read_text("utf-8")
    tokenizer.write_text(json.dumps({**json.loads(sound), "post_processor": None}), "utf-8")
    with pytest.raises(EngineError, match="has no template for pairs"):
        reader(folder)
    tokenizer.write_text(sound[:100], "utf-8")
    with pytest.raises(EngineError, match="is not a tokenizer"):
        reader(folder)
    tokenizer.write_text(sound, "utf-8")
    (folder / "onnx" / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(EngineError, match="cannot be opened") as caught:
        reader(folder)
    assert "ragsearch models get" in caught.value.remedy


def test_a_network_of_another_kind(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One that reads something else than tokens is named with its inputs; a failing run prints nothing by itself."""
    import onnx

    folder = make_reader(tmp_path / "m")
    graph = folder / "onnx" / "model.onnx"
    model = onnx.load(graph)
    first = model.graph.input[0]
    first.name = "pixel_values"
    model.graph.node[0].input[0] = "pixel_values"
    onnx.save(model, graph)
    with pytest.raises(EngineError, match=r"reads something else than the tokens of a text: .*pixel_values"):
        reader(folder)
    small = make_reader(tmp_path / "small")
    model = onnx.load(small / "onnx" / "model.onnx")
    weight = next(value for value in model.graph.initializer if value.name == "weight")
    weight.CopyFrom(onnx.numpy_helper.from_array(np.ones(6, np.float32), "weight"))  # fewer rows than tokens
    onnx.save(model, small / "onnx" / "model.onnx")
    with pytest.raises(EngineError, match=r"failed on a pair of \d+ tokens"):
        reader(small).score(QUERY, PASSAGES)
    assert capfd.readouterr().err == ""


def test_a_fingerprint_changes_with_every_part(tmp_path: Path) -> None:
    folder = make_reader(tmp_path / "m")
    first = reader(folder).fingerprint
    assert reader(folder).fingerprint == first
    assert reader(folder, max_tokens_per_doc=100).fingerprint != first
    assert reader(make_reader(tmp_path / "other", output="sigmoid")).fingerprint != first
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text("utf-8") + " ", "utf-8")
    assert reader(folder).fingerprint != first
