"""Check a cross-encoder that is on this machine: its files, its loading, and answers that are known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rag_search.engines import known_answers
from rag_search.engines.doctor import Finding
from rag_search.engines.models.getting import check_files, read_record
from rag_search.engines.models.known import KnownModel, known_model
from rag_search.engines.models.local import FoundModel, find_folder, find_model, is_place
from rag_search.engines.table import READER_REMEDY
from rag_search.errors import EngineError, RagSearchError
from rag_search.rerank.onnx import OnnxReranker


def verify_model(model: str, cache_dir: Path) -> list[Finding]:
    """Return what was found, the cheapest check first. Raises EngineError if the model is not here."""
    folder = None if is_place(model) else find_folder(model, cache_dir)
    if folder is None and not is_place(model):
        raise EngineError(f"the model {model!r} is not on this machine.", remedy=f"Run: ragsearch models get {model}")
    findings = [] if folder is None else list(_files(folder))
    known = known_model(model)
    if known is not None and known.kind != "reranker":
        return findings
    try:
        findings += _answers(find_model(model, cache_dir), known)
    except RagSearchError as error:
        findings.append(Finding("answers", "fail", error.message, error.remedy))
    return findings


def _files(folder: Path) -> Iterator[Finding]:
    """Compare the files with their digests."""
    if not read_record(folder):
        yield Finding("files", "warn", f"{folder} was fetched by another program, so no digests are recorded")
        return
    problems = check_files(folder)
    for problem in problems:
        yield Finding("files", "fail", f"{problem.path}: {problem.detail}", f"Remove {folder}, and get it again.")
    if not problems:
        yield Finding("files", "ok", f"{folder}: all digests are right")


def _answers(found: FoundModel, known: KnownModel | None) -> Iterator[Finding]:
    """Load the model and ask it. Raises EngineError."""
    reranker = OnnxReranker(found.files, name=found.name, longest=found.longest)
    known_answers.check_reranker(reranker, known_answers.load_answers(), remedy=READER_REMEDY)
    yield Finding("answers", "ok", f"{reranker.name}: the passage that answers comes first (not calibrated)")
    if known is None or not known.answers:
        return
    logits = [float(reranker.logits(query, [passage])[0]) for query, passage, _ in known.answers]
    published = [logit for _, _, logit in known.answers]
    worst = max(abs(ours - theirs) for ours, theirs in zip(logits, published, strict=True))
    order = sorted(range(len(logits)), key=lambda row: -logits[row])
    same = order == sorted(range(len(logits)), key=lambda row: -published[row])
    detail = f"logits {', '.join(f'{logit:.4f}' for logit in logits)}, at most {worst:.4f} from those of the model card"
    yield Finding("card", "ok" if same else "fail", detail, "" if same else "Get the model again.")
