"""The commands as a person meets them, with the real builtin engine."""

import hashlib
import importlib.util
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_search import ingest, query, searching
from rag_search.config import load_config
from rag_search.errors import InputError
from rag_search.records import SearchOptions
from rag_search.server.discovery import advertise
from tests.support.http_server import QuietHandler, listening
from tests.support.project import Run


def test_two_commands_put_the_answer_first(project: Path, run: Run) -> None:
    done = run("ingest", "docs")
    assert done.code == 0
    assert done.out.startswith("3 new, 0 changed, 0 unchanged, 0 removed, 0 failed; ")
    again = run("ingest", "docs").out.split(" in ")[0]
    assert again == "0 new, 0 changed, 3 unchanged, 0 removed, 0 failed"  # and no rate of no tokens
    found = run("query", "如何解决Redis连接超时", "--format", "table")
    assert found.code == 0
    first = found.out.split("\n")[3]
    assert "连接池配置指南" in first
    assert "docs/redis.md:" in found.out


def test_json_of_a_query(indexed: Path, run: Run) -> None:
    done = run("query", "[面向新手] 如何解决Redis连接超时", "--format", "json", "-k", "1")
    document = json.loads(done.out)
    assert (done.code, document["schema"]) == (0, 1)
    assert (document["query"], document["instruction"]) == ("如何解决Redis连接超时", "面向新手")
    assert [hit["path"] for hit in document["hits"]] == ["docs/redis.md"]
    assert 0 <= document["hits"][0]["score"] <= 1
    assert any("was read as an instruction" in note for note in document["notes"])
    done = run("query", "如何解决Redis连接超时", "--instruct", "面向新手", "--format", "json", "-k", "1")
    (note,) = json.loads(done.out)["notes"]
    assert note.startswith("instruction '面向新手': preferred documents")


def test_python_searches_as_the_settings_say(indexed: Path) -> None:
    (indexed / "ragsearch.toml").write_text("[search]\ntop_k = 2\nmin_score = 0.0\n", "utf-8")
    assert len(query("how").hits) == 2
    assert query("how", settings={"search.min_score": 2.0}).hits == ()
    with searching(settings={"search.top_k": 1}) as searcher:
        assert len(searcher.search("how").hits) == 1
        assert len(searcher.search("how", SearchOptions(top_k=3, min_score=0.0)).hits) == 3


def test_no_confident_match_is_exit_code_1_and_valid_json(indexed: Path, run: Run) -> None:
    done = run("query", "best pizza dough hydration for a wood oven", "--format", "json")
    assert (done.code, json.loads(done.out)["hits"]) == (1, [])
    table = run("query", "best pizza dough hydration for a wood oven", "--format", "table").out
    assert table.startswith("No confident match. Nearest:")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--path", "docs/deep/*"], {"docs/deep/kafka.md"}),
        (["--where", "category=ops"], {"docs/backup.md"}),
        (["--since", "2024-01-01", "--where", "category=api"], {"docs/redis.md"}),
    ],
)
def test_filters(indexed: Path, run: Run, filters: list[str], expected: set[str]) -> None:
    done = run("query", "how", "--min-score", "0", "--format", "files", *filters)
    assert {line.rsplit(":", 1)[0] for line in done.out.split()} == expected


def test_a_path_is_meant_from_here_also_without_a_project_file(project: Path, run: Run) -> None:
    (project / "ragsearch.toml").unlink()
    place = ["--index", str(project.parent / "elsewhere")]  # paths are stored absolute then
    assert run("ingest", "docs", *place).code == 0
    for pattern in ("docs/deep/*", "docs/**/kafka.md", "**/kafka.md", "docs/deep", str(project / "docs" / "deep")):
        done = run("query", "how", "--min-score", "0", "--format", "files", *place, "--path", pattern)
        assert {line.rsplit(":", 1)[0] for line in done.out.split()} == {"docs/deep/kafka.md"}


def test_stdin_batch_and_trec(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("kafka consumer lag\n"))
    assert "docs/deep/kafka.md" in run("query", "-", "--format", "files").out
    Path("q.jsonl").write_text('{"_id": "a", "text": "kafka lag"}\nRedis 连接超时\n', "utf-8")
    done = run("query", "--batch", "q.jsonl", "--trec", "out.run", "--format", "json", "--min-score", "0")
    assert [document["query"] for document in json.loads(done.out)] == ["kafka lag", "Redis 连接超时"]
    lines = [line.split() for line in Path("out.run").read_text("utf-8").splitlines()]
    assert {line[0] for line in lines} == {"a", "2"}
    assert all(len(line) == 6 and line[1] == "Q0" for line in lines)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["ingest", "dosc"], "docs"),
        (["query", ""], "empty"),
        (["query"], "give one question"),
        (["query", "x", "--index", "none"], "ragsearch ingest"),
        (["query", "x", "--where", "novalue"], "KEY=VALUE"),
        (["query", "x", "--since", "some day"], "date"),
        (["query", "x", "--profile", "tpu"], "profile"),
        (["query", "--batch", "missing.txt"], "cannot be read"),
        (["evaluate", "nowhere"], "not a folder"),
        (["rerank", "x", "missing.txt"], "cannot be read"),
        (["status", "--index", "none"], "ragsearch ingest"),
    ],
)
def test_bad_input_is_one_clear_error_and_exit_code_2(indexed: Path, run: Run, args: list[str], message: str) -> None:
    done = run(*args)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert message in done.err
    assert done.out == ""
    assert "Traceback" not in done.err


@pytest.mark.parametrize("arguments", [["-"], ["--batch", "-"], ["--batch", "bad.txt"]])
def test_a_question_that_is_no_utf8_is_an_error(
    indexed: Path, run: Run, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("bad.txt").write_bytes(b"redis \xff")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"redis \xff"), "utf-8"))
    done = run("query", *arguments)
    assert (done.code, "Traceback" in done.err, "cannot be read" in done.err) == (2, False, True)


def test_rerank_tells_what_it_cannot_follow(project: Path, run: Run) -> None:
    """The builtin reranker follows instructions over an index only: alone it says so, in data and to people."""
    (project / "p.txt").write_text("redis times out\n\nkafka lags\n", "utf-8")
    note = "late interaction (builtin) cannot follow the instruction 'for experts'"
    assert json.loads(run("rerank", "[for experts] redis", "p.txt", "--json").out)["notes"] == [note]
    assert note in run("rerank", "[for experts] redis", "p.txt").err
    assert json.loads(run("rerank", "redis", "p.txt", "--json").out)["notes"] == []


def test_a_folder_without_markdown(project: Path, run: Run) -> None:
    (project / "empty").mkdir()
    done = run("ingest", "empty")
    assert (done.code, f"no documents under {project / 'empty'}." in done.err) == (2, True)
    for name in ("a.png", "b.png", "c.xlsx"):
        (project / "empty" / name).touch()
    assert (
        f"no documents under {project / 'empty'}, only files of other kinds: .png .xlsx." in run("ingest", "empty").err
    )


def test_a_failed_file_makes_the_exit_code_2(project: Path, run: Run) -> None:
    """One bad file makes the exit code 2, and the others are in the index."""
    (project / "docs" / "bad.md").write_bytes(b"\xff\xfe\xfa")
    done = run("ingest", "docs")
    assert (done.code, "docs/bad.md" in done.err) == (2, True)
    assert "3 new" in done.out
    assert "1 failed" in done.out


def test_dry_run_changes_nothing(project: Path, run: Run) -> None:
    done = run("ingest", "docs", "--dry-run")
    assert (done.code, "new      docs/redis.md" in done.out) == (0, True)
    assert run("status").code == 2


def test_a_rebuild_of_nothing_leaves_the_index(indexed: Path, run: Run) -> None:
    """A mistyped path or an empty mount is an error before the index is emptied."""
    (indexed / "empty").mkdir()
    for folder, problem in (("docz", "does not exist"), ("empty", "there are no documents under")):
        done = run("ingest", folder, "--rebuild")
        assert (done.code, problem in done.err) == (2, True)
        with pytest.raises(InputError, match=problem):
            ingest([folder], rebuild=True)
        assert len(run("list").out.split()) == 3


def test_a_rebuild_misses_a_folder_that_is_empty_now(indexed: Path, run: Run) -> None:
    """One of several folders may be a mount that is not there."""
    (indexed / "more").mkdir()
    (indexed / "more" / "x.md").write_text("# More\n", "utf-8")
    run("ingest", "more")
    (indexed / "more" / "x.md").unlink()
    done = run("ingest", "--rebuild")
    assert (done.code, done.err.split("\n")[0]) == (2, "error: more has no documents any more.")
    assert len(run("list").out.split()) == 4
    assert run("ingest", "--rebuild", "--allow-empty").code == 0
    assert len(run("list").out.split()) == 3


def test_one_folder_is_ingested_without_a_list(project: Path) -> None:
    """A text is a path, and not its characters."""
    assert ingest("docs").new == 3
    assert ingest(Path("docs")).unchanged == 3
    with pytest.raises(InputError, match="no folder is named"):
        ingest([])


def test_a_dry_run_of_a_rebuild_says_that_everything_is_new(indexed: Path, run: Run) -> None:
    plan = json.loads(run("ingest", "docs", "--rebuild", "--dry-run", "--json").out)
    assert (len(plan["new"]), plan["unchanged"]) == (3, 0)


@pytest.mark.skipif(importlib.util.find_spec("sentence_transformers") is not None, reason="the extra is installed")
@pytest.mark.parametrize(("args", "extra"), [
    (["--profile", "gpu"], "gpu"),
    (["--profile", "served"], "st"),
])  # fmt: skip
def test_a_missing_extra_is_that_of_the_profile(
    indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch, args: list[str], extra: str
) -> None:
    monkeypatch.setenv("RAGSEARCH_EMBEDDER__BACKEND", "sentence-transformers")
    assert f"pip install 'ragsearch-local[{extra}]'" in run("query", "x", *args).err


def test_ingest_without_a_path_syncs_the_known_folders(indexed: Path, run: Run) -> None:
    (indexed / "docs" / "backup.md").unlink()
    done = run("ingest", "--json")
    report = json.loads(done.out)
    assert (report["removed"], report["unchanged"]) == (1, 2)


def test_a_deleted_index_is_said_and_a_damaged_one_too(indexed: Path, run: Run) -> None:
    database = indexed / "indexes" / "default" / "meta.db"
    database.write_bytes(b"garbage" * 1000)
    for extra in database.parent.glob("meta.db-*"):
        extra.unlink()
    done = run("query", "redis")
    assert (done.code, "Traceback" in done.err) == (2, False)
    assert "--rebuild" in done.err
    assert run("ingest", "docs", "--rebuild").code == 0
    assert run("query", "Redis 连接超时").code == 0


def test_status_verify_doctor_and_config(indexed: Path, run: Run) -> None:
    status = json.loads(run("status", "--json").out)
    assert (status["documents"], status["roots"]) == (3, [str(indexed / "docs")])
    assert run("verify").out == "the index is sound\n"
    findings = json.loads(run("doctor", "--json").out)
    assert {"python", "sqlite", "faiss", "embedder", "index"} <= {finding["check"] for finding in findings}
    shown = json.loads(run("config", "show", "--json").out)
    assert shown["cache_dir"]["origin"] == "RAGSEARCH_CACHE_DIR"


def test_doctor_tells_a_right_embedder_from_an_index_of_another(indexed: Path, run: Run) -> None:
    (indexed / "ragsearch.toml").write_text('[embedder]\nmodel = "zero-shot"\n', "utf-8")
    done = run("doctor", "--json")
    states = {finding["check"]: finding["state"] for finding in json.loads(done.out)}
    assert (done.code, states["embedder"], states["index"]) == (2, "ok", "fail")


def test_doctor_sees_a_network_that_cannot_be_opened(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSEARCH_CACHE_DIR", str(indexed / "cache"))
    assert run("query", "redis").code == 0
    (graph,) = (indexed / "cache").glob("*/encoder.onnx")
    graph.write_bytes(graph.read_bytes()[:1000])
    digests = graph.with_name("sha256.json")  # a damage that its digest does not show
    noted = json.loads(digests.read_text("utf-8")) | {graph.name: hashlib.sha256(graph.read_bytes()).hexdigest()}
    digests.write_text(json.dumps(noted), "utf-8")
    done = run("doctor", "--json")
    states = {finding["check"]: finding["state"] for finding in json.loads(done.out)}
    assert (done.code, states["embedder"], states["reranker"]) == (2, "fail", "fail")
    assert f"Remove {graph.parent}" in run("query", "redis").err


def test_rerank_scores_passages_from_a_file(project: Path, run: Run) -> None:
    Path("p.txt").write_text("weather is fine\n\nRedis 连接超时时调大 maxTotal\n", "utf-8")
    document = json.loads(run("rerank", "如何解决Redis连接超时", "p.txt", "--json").out)
    assert [row["index"] for row in document["results"]] == [1, 0]
    assert document["results"][0]["score"] > document["results"][1]["score"]


def test_hostile_documents_reach_no_terminal(project: Path, run: Run) -> None:
    text = "# \x1b]0;pwn\x07Title [red]x[/]\n\nzebra \x1b[2J \u202e stripes\n"
    (project / "docs" / "evil.md").write_text(text, "utf-8")
    assert run("ingest", "docs").code == 0
    done = run("query", "zebra stripes", "--min-score", "0", "-k", "1", "--format", "table")
    assert not set(done.out) & {"\x1b", "\x07", "\u202e"}
    assert "[red]x[/]" in done.out


@pytest.fixture
def hostile_server() -> Iterator[str]:
    """The address of a server that refuses everything, in words that a terminal would obey."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            said = json.dumps({"error": {"message": "no \x1b]0;pwn\x07\x1b[2J\u202e model"}}).encode()
            self.send_response(404 if self.command == "GET" else 401)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST

    with listening(Handler) as address:
        yield address


def test_hostile_servers_reach_no_terminal(
    indexed: Path, run: Run, hostile_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with advertise(load_config({}), hostile_server):
        done = run("query", "kafka", "--format", "files")
    assert "was not used: no  model" in done.err
    monkeypatch.setenv("RAGSEARCH_EMBEDDER__URL", f"{hostile_server}/v1")
    monkeypatch.setenv("RAGSEARCH_EMBEDDER__MODEL", "\x1b[31mred")
    shown = [done, *(run(*c, "--profile", "served") for c in (["query", "x"], ["doctor"], ["config", "show"]))]
    assert "answered 401: no  model" in shown[1].err
    assert "answered 401: no  model" in shown[2].out
    assert "red" in shown[3].out
    assert not set("".join(each.out + each.err for each in shown)) & {"\x1b", "\x07", "\u202e"}


def test_hostile_paths_reach_no_terminal(project: Path, run: Run) -> None:
    for command in (["ingest", "docs"], ["status"], ["query", "kafka lag", "--explain"], ["verify"]):
        done = run(*command, "--index", "./\x1b[31mred/\x1b]0;pwn\x07")
        assert (done.code, "\x1b" in done.out + done.err) == (0, False)
    assert "\x1b" not in run("status", "--index", "./\x1b[31mnowhere").err


@pytest.mark.parametrize("args", [["--help"], ["query", "--help"], ["ingest", "--help"], ["evaluate", "--help"]])
def test_help_has_an_example(run: Run, args: list[str]) -> None:
    done = run(*args)
    assert done.code == 0
    assert "ragsearch" in done.out


def test_typos_in_options_are_usage_errors(run: Run) -> None:
    assert run("query", "x", "--explian").code == 2


def test_passages_like_another_one(indexed: Path, run: Run) -> None:
    """The passage at a place is the question, and its own document is not an answer."""
    best = json.loads(run("query", "redis timeout", "--format", "json", "-k", "1").out)["hits"][0]
    done = run("query", "--like", f"{best['path']}:{best['line_best']}", "--format", "json", "-k", "2")
    hits = json.loads(done.out)["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2]
    assert best["path"] not in [hit["path"] for hit in hits]
    (indexed / "docs" / "[copy]!.md").write_bytes((indexed / best["path"]).read_bytes())
    run("ingest", "docs")
    place = f"docs/[copy]!.md:{best['line_best']}"
    copied = json.loads(run("query", "--like", place, "--format", "json", "-k", "2", "--no-group").out)["hits"]
    assert (len(copied), copied[0]["path"]) == (2, best["path"])  # the same text, and other passages are not used up
    both = run("query", "redis", "--like", "docs/redis.md:1")
    assert (both.code, "not both" in both.err) == (2, True)
    assert run("query", "--like", "docs/none.md:1").code == 2


def test_a_correction_is_told_beside_hits(indexed: Path, run: Run) -> None:
    """Whoever reads the hits reads what was searched for; data has it in `notes`."""
    for name in ("mail", "phone"):
        text = f"# {name.title()}\n\nEach notification is sent by {name}.\n"
        (indexed / "docs" / f"{name}.md").write_text(text, "utf-8")
    run("ingest", "docs")
    for form in ("lines", "table"):
        done = run("query", "each notificaton by mail", "--all", "--format", form)
        assert done.code == 0
        assert "searched for 'each notification by mail'" in (done.err if form == "lines" else done.out)


def test_strict_and_all_exclude_each_other(indexed: Path, run: Run) -> None:
    done = run("query", "redis", "--strict", "--all")
    assert (done.code, "exclude each other" in done.err) == (2, True)
    nothing = run("query", "best pizza dough hydration for a wood oven", "--strict", "--format", "table")
    assert (nothing.code, nothing.out.strip()) == (1, "No confident match.")


def test_a_filter_that_selects_nothing_is_named(indexed: Path, run: Run) -> None:
    done = run("query", "redis", "--path", "nowhere", "--format", "table")
    assert done.code == 1
    assert "no document matches --path nowhere" in done.out


def test_up_prints_its_commands_without_a_card(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flags are the same on any machine; a card adds its shares of memory."""
    monkeypatch.setenv("PATH", "")  # no nvidia-smi
    done = run("up", "--dry-run")
    embedder, reranker = done.out.strip().split("\n")
    assert "--runner pooling" in embedder
    assert "--chat-template" in reranker
    assert "--gpu-memory-utilization" not in done.out
    assert "no NVIDIA GPU here" in done.err
    refused = run("up")
    assert (refused.code, "no NVIDIA GPU" in refused.err) == (2, True)
