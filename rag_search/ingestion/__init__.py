"""Folders and texts into the index."""

from rag_search.ingestion.ingest import ingest, ingest_texts
from rag_search.ingestion.plan import outdated, plan_sync
from rag_search.ingestion.reports import Failure, IngestOptions, IngestReport, Plan, Step
from rag_search.ingestion.roots import known_roots

__all__ = [
    "Failure",
    "IngestOptions",
    "IngestReport",
    "Plan",
    "Step",
    "ingest",
    "ingest_texts",
    "known_roots",
    "outdated",
    "plan_sync",
]
