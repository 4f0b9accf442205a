#!/usr/bin/env bash
# One would guess: the default text field of Tantivy cannot cut Chinese into words, so a run of characters is one term,
#   and a page is found at least by the run that stands in it, as in other engines without a Chinese tokenizer.
# What happens: the default tokenizer drops every term of 40 bytes or more after it was cut, of documents and of queries.
#   A Chinese character has three bytes, so a run of 13 characters is a term and one of 14 is nothing: a page of plain
#   Chinese clauses has no terms at all. It is stored, counted, and found by no query, and the query is no error. A
#   Latin name of 40 letters goes the same way. An analyzer without that filter finds all of them, by the whole run only.
# Versions: tantivy 0.27.0 from PyPI (the search library behind several vector databases), Python 3.11.
# Source: tantivy/src/tokenizer/tokenizer_manager.rs ("default": SimpleTokenizer, RemoveLongFilter of 40, LowerCaser).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check tantivy==0.27.0
"$work/venv/bin/python" - <<'PY'
import tantivy

CLAUSE = "连接池的最大连接数决定超时重试次数上限"
TEXTS = [CLAUSE[:12], CLAUSE[:13], CLAUSE[:14], CLAUSE, "x" * 39, "x" * 40]


def found(tokenizer):
    """Return how many documents each text finds in an index of all of them."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("body", stored=True, tokenizer_name=tokenizer)
    index = tantivy.Index(builder.build())
    cut = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(tantivy.Filter.lowercase()).build()
    index.register_tokenizer("without_limit", cut)
    writer = index.writer()
    for text in TEXTS:
        writer.add_document(tantivy.Document(body=text))
    writer.commit()
    index.reload()
    searcher = index.searcher()
    assert searcher.num_docs == len(TEXTS)
    return [len(searcher.search(index.parse_query(text, ["body"]), 10).hits) for text in TEXTS]


print(tantivy.__version__)
default, without_limit = found("default"), found("without_limit")
for text, one, other in zip(TEXTS, default, without_limit):
    print(f"{len(text):3} characters, {len(text.encode()):3} bytes: found by itself {one} time(s), without the limit {other}")
assert default == [1, 1, 0, 0, 1, 0], default
assert without_limit == [1] * len(TEXTS), without_limit
PY
