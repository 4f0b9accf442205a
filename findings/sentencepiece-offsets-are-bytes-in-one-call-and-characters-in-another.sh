#!/usr/bin/env bash
# One would guess: `begin` and `end` of the pieces that SentencePieceProcessor.encode(text, return_type="proto") gives for
#   a str are places in that str, so that text[begin:end] is the piece's surface, as the offsets of
#   return_type="offset_mapping" and of normalize(text, with_offsets=True) of the same object are places in it.
# What happens: "proto" counts bytes of UTF-8, the other two count characters. In ASCII all are the same, so tests pass;
#   after the first character that is not, a highlight or a cut by these places is shifted, by two for each Chinese
#   character, and may be behind the end, where a slice is empty and no error tells. Slices of text.encode() are right.
#   The return type immutable_proto of older versions is refused, and its error advises "proto" in its place.
# Versions: sentencepiece 0.2.3, protobuf 7.36.2, Python 3.11. We take ids and no places from a tokenizer.
# Source: sentencepiece/__init__.py (_to_spt reads the serialised C++ message as it is).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check sentencepiece==0.2.3 protobuf==7.36.2
"$work/venv/bin/python" - <<'PY'
import io
from importlib.metadata import version

import sentencepiece

print("sentencepiece", version("sentencepiece"), "protobuf", version("protobuf"))
LINES = [f"{a} {b}，{c}" for a in ("数据库", "服务器") for b in ("redis", "timeout") for c in ("连接超时", "重新启动")] * 50
model = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(LINES), model_writer=model, vocab_size=60, hard_vocab_limit=False, minloglevel=2
)
processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def places(text):
    """Return for each piece its surface, and the slices of the text and of its bytes that begin and end name."""
    pieces = processor.encode(text, return_type="proto").pieces
    raw = text.encode()
    return [(p.surface, text[p.begin : p.end], raw[p.begin : p.end].decode()) for p in pieces]


def normalised(text):
    """Return the normalised characters beside those of the text at their offsets."""
    form, offsets = processor.normalize(text, with_offsets=True)
    return [(char, text[at : at + 1]) for char, at in zip(form, offsets)]


for text in ("redis timeout", "数据库 redis 连接超时"):
    found = places(text)
    print(text, "- surface and text[begin:end]:", [(surface, cut) for surface, cut, _ in found])
    assert all(surface == of_bytes for surface, _, of_bytes in found)
    assert all(surface == cut for surface, cut, _ in found) == text.isascii()
    shown = [(char, at) for char, at in normalised(text) if char != "▁"]
    assert all(char == at for char, at in shown) and len(shown) == len(text.replace(" ", ""))
    mapping = processor.encode(text, return_type="offset_mapping")
    cuts = [text[begin:end].strip() for begin, end in mapping["offsets"]]
    assert cuts == [piece.strip("▁") for piece in mapping["pieces"]], mapping
assert found[-1][1] == "" and found[-1][0]
try:
    processor.encode("redis", return_type="immutable_proto")
    raise SystemExit("immutable_proto is taken")
except ValueError as error:
    print("immutable_proto:", error)
PY
