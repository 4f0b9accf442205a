"""What names a document is among the terms of each of its chunks."""

from rag_search.records import Document
from rag_search.text.names import chunk_terms, name_text
from rag_search.text.terms import terms


def test_names_of_a_document() -> None:
    """File, folders and front matter name a document; other front matter does not."""
    front = {"aliases": ["kelp", "ADR-0042"], "tags": "decision", "id": 7, "author": "Mira", "description": None}
    names = name_text("docs/version-2.x/queue.md", "One queue", front).split("\n")
    assert names == ["One queue", "queue", "docs", "version-2.x", "2.x", "kelp", "ADR-0042", "decision", "7"]


def test_folders_above_the_base_are_no_names() -> None:
    assert name_text("/home/mira/notes/tea.md", "Tea", {}) == "Tea\ntea"


def test_a_name_is_added_once_and_last() -> None:
    """Terms of the passage keep their order, which phrases need."""
    document = Document("a/tea.md", "Tea", "", {"tags": ["tea", "green"]}, "", "")
    assert chunk_terms(document, "Tea\nSteep tea") == "tea steep tea a green"


def test_addresses_that_a_passage_hides_are_terms() -> None:
    """They are there as a query with the address has them, each once."""
    document = Document("a/tea.md", "Tea", "", {}, "", "")
    addresses = ["https://docs.kiln.example/retry-policy?page=2", "https://docs.kiln.example/tea"]
    found = chunk_terms(document, "Tea\nSteep tea", addresses)
    assert found == "tea steep tea a https docs.kiln.example docs kiln example retry-policy retry policy page 2"
    assert set(terms(addresses[0])) <= set(found.split())
