"""The table of behaviours, against a set in which one question is answered by a name alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import behaviours

PAGES = {
    "queue.md": "---\naliases: [kelp]\n---\n\n# One queue\n\nA tenant that is noisy waits for its turn.\n",
    "sea.md": "# Plants of the sea\n\nSeaweed and other algae cover the rocks of the coast.\n",
    "oven.md": "# Bread\n\nBake it in a hot oven until the crust is brown.\n",
}
QUESTIONS = {"q1": ("kelp", "queue.md"), "q2": ("baking bread until the crust is brown", "oven.md")}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    root: Path = tmp_path_factory.mktemp("sets") / "small"
    (root / "docs").mkdir(parents=True)
    for name, text in PAGES.items():
        (root / "docs" / name).write_text(text, "utf-8")
    asked = [json.dumps({"_id": name, "text": text}) for name, (text, _) in QUESTIONS.items()]
    (root / "queries.jsonl").write_text("\n".join(asked), "utf-8")
    judged = ["query-id\tcorpus-id\tscore", *(f"{name}\t{page}\t1" for name, (_, page) in QUESTIONS.items())]
    (root / "qrels.tsv").write_text("\n".join(judged), "utf-8")
    name, row = behaviours.measure(f"{root}:")
    return {name: row}


def test_what_finds_a_name_wins_its_question(measured: dict[str, dict[str, object]]) -> None:
    """The alias is searched, and the exact evidence of it lifts the page above one of like meaning."""
    found = measured["small"]["behaviours"]
    assert found["all on"]["top1"] == 1.0  # type: ignore[index]
    assert {name: row["won"] for name, row in found.items()} == {  # type: ignore[attr-defined]
        **dict.fromkeys(behaviours.BEHAVIOURS, 0),
        "names": 1,
        "exact evidence": 1,
    }
    assert all(row["lost"] == [] for row in found.values())  # type: ignore[attr-defined]


def test_a_behaviour_that_costs_too_much_is_bold() -> None:
    row = {"difference": -0.01, "won": 1, "lost": ["q7", "q9"], "ci": [-0.03, 0.01], "p_value": 0.62}
    assert behaviours._cell(row) == "**-0.010, 1/2** (-0.030 to +0.010, p 0.62)"
    assert behaviours._cell(row | {"difference": -0.004}) == "-0.004, 1/2"
