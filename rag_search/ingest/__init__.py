"""Make an index equal to folders or texts."""

from rag_search.ingest.encode import EncodedGroup, Encoder, LocalEncoder
from rag_search.ingest.plan import outdated, plan_sync, require_documents
from rag_search.ingest.reports import Failure, IngestOptions, IngestReport, Plan, Step
from rag_search.ingest.roots import known_roots, recorded_roots
from rag_search.ingest.sync import sync_folders, sync_texts

__all__ = [
    "EncodedGroup",
    "Encoder",
    "Failure",
    "IngestOptions",
    "IngestReport",
    "LocalEncoder",
    "Plan",
    "Step",
    "known_roots",
    "outdated",
    "plan_sync",
    "recorded_roots",
    "require_documents",
    "sync_folders",
    "sync_texts",
]
