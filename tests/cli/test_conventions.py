"""The habits that users of ripgrep, gh and uv bring along."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rag_search
from tests.support.project import Run

LAG = ["kafka", "consumer", "lag"]


def test_words_need_no_quotes(indexed: Path, run: Run) -> None:
    """Words are one question, and options may follow it."""
    quoted = run("query", "kafka consumer lag", "--format", "files", "--min-score", "0")
    assert run("query", *LAG, "--format", "files", "--min-score", "0").out == quoted.out
    assert run("search", *LAG, "--format", "files", "--min-score", "0").out == quoted.out
    assert quoted.out.startswith("docs/deep/kafka.md:3\n")


def test_a_pipe_gets_one_line_per_hit(indexed: Path, run: Run) -> None:
    """Without a terminal each hit is `path:line: text`, without padding."""
    lines = run("query", *LAG).out.splitlines()
    assert lines
    assert all(re.fullmatch(r"docs/\S+\.md:\d+: \S.*\S", line) for line in lines)
    assert re.match(r"docs/deep/kafka\.md:3:1: Add consumers", run("query", *LAG, "--vimgrep").out)


def test_a_pipe_does_without_rich(indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its console takes 20 ms to import, and a pipe gets plain lines."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    command = [sys.executable, "-X", "importtime", "-m", "rag_search", "query", "--no-server", *LAG]
    done = subprocess.run(command, cwd=indexed, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("docs/deep/kafka.md:3: ")
    assert "rich.console" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="a closed pipe is another error on Windows")
@pytest.mark.parametrize("arguments", [["query", *LAG], ["query", *LAG, "--format", "json"], ["status"], ["--help"]])
def test_a_pipe_that_closes_early_is_no_empty_result(indexed: Path, arguments: list[str]) -> None:
    """1 would say "nothing found" to a script; rich exits with it by itself."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "rag_search", *arguments]
    done = subprocess.run(command, cwd=indexed, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_without_a_hit_a_pipe_gets_nothing(indexed: Path, run: Run) -> None:
    """The reason is on stderr, since a program reads stdout."""
    done = run("query", "best pizza dough hydration for a wood oven")
    assert (done.code, done.out) == (1, "")
    assert "no confident match" in done.err


def test_limit_and_paths_only(indexed: Path, run: Run) -> None:
    """-n and --limit are --top-k; -l prints each document once."""
    everything = ["--min-score", "0", "--format", "files"]
    assert len(run("query", "how", "-n", "2", *everything).out.splitlines()) == 2
    assert run("query", "how", "--limit", "2", *everything).out == run("query", "how", "-k", "2", *everything).out
    done = run("query", "how", "--no-group", "-l", "--min-score", "0")
    assert sorted(done.out.splitlines()) == ["docs/backup.md", "docs/deep/kafka.md", "docs/redis.md"]


def test_paths_with_an_exclamation_mark_are_left_out(indexed: Path, run: Run) -> None:
    """As `rg -g '!GLOB'` and lines of .gitignore."""
    everything = ["query", "how", "--min-score", "0", "-l"]
    assert sorted(run(*everything, "--path", "!docs/deep").out.split()) == ["docs/backup.md", "docs/redis.md"]
    assert run(*everything, "--path", "docs/*", "--path", "!docs/[br]*").out == "docs/deep/kafka.md\n"


def test_quiet_leaves_the_exit_code(indexed: Path, run: Run) -> None:
    done = run("query", *LAG, "-q")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert run("query", "best pizza dough hydration", "-q").code == 1


def test_stdin_is_the_question(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is piped in is the question, with and without `-`."""
    for words in ([], ["-"]):
        monkeypatch.setattr(sys, "stdin", io.StringIO("kafka consumer lag\n"))
        assert run("query", *words, "--format", "files").out.startswith("docs/deep/kafka.md:3\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert "give one question" in run("query").err


def test_json_flag_is_the_json_format(indexed: Path, run: Run) -> None:
    first, second = (json.loads(run("query", *LAG, *form).out) for form in (["--json"], ["--format", "json"]))
    assert [hit["path"] for hit in first["hits"]] == [hit["path"] for hit in second["hits"]]
    assert (first["schema"], first["query"]) == (1, "kafka consumer lag")


def test_two_formats_exclude_each_other(indexed: Path, run: Run) -> None:
    done = run("query", "x", "--json", "--format", "csv")
    assert (done.code, done.err.startswith("error: --json and --format csv exclude each other.")) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "x", "-n", "0"], "error: invalid value for -n: 0 is not in the range 1<=x<=1000."),
        (["query", "x", "--limit=5000"], "error: invalid value for --limit: 5000 is not in the range 1<=x<=1000."),
        (["query", "x", "--profile", "tpu"], "error: invalid value for --profile: 'tpu' is not one of"),
        (["query", "x", "--explian"], "--explain"),
        (["query", "-foo"], "ragsearch query -- -foo"),
        (["qurey", "kafka", "lag"], "Did you mean: ragsearch query kafka lag"),
        (["kafka", "lag"], "To search: ragsearch query kafka lag"),
        (["rerank"], "error: missing argument"),
    ],
)
def test_usage_errors_name_the_flag_and_the_way_out(run: Run, arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert message in done.err


def test_a_question_may_begin_with_a_dash(indexed: Path, run: Run) -> None:
    done = run("query", "--format", "json", "--", "-x", "kafka")
    assert json.loads(done.out)["query"] == "-x kafka"


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], ["query"], ["config"], ["config", "set"]])
def test_help_of_every_level(run: Run, command: list[str], flag: str) -> None:
    done = run(*command, flag)
    assert (done.code, done.out.startswith("Usage: "), done.err) == (0, True, "")


def test_alone_it_prints_its_help(run: Run) -> None:
    done = run()
    assert (done.code, "query" in done.out, done.err) == (0, True, "")


def test_versions(run: Run) -> None:
    assert run("-V").out == run("--version").out
    assert re.fullmatch(r"ragsearch \d+\.\d+\.\d+\n", run("-V").out)


def test_list_and_get(indexed: Path, run: Run) -> None:
    """`list` takes the patterns of --path; `get` prints lines as an editor counts them."""
    assert run("list").out.split() == ["docs/backup.md", "docs/deep/kafka.md", "docs/redis.md"]
    done = run("list", "nothing/*")
    assert (done.code, done.out, done.err) == (1, "", "no indexed document matches nothing/*\n")
    assert json.loads(run("list", "docs/deep", "--json").out) == ["docs/deep/kafka.md"]
    assert run("list", "docs/**/redis.md").out == "docs/redis.md\n"
    assert run("list", "docs/*", "!docs/deep").out.split() == ["docs/backup.md", "docs/redis.md"]
    assert run("list", "!*.md").code == 1
    assert (run("list", "nothing").code, run("list", "nothing").out) == (1, "")
    text = (indexed / "docs" / "backup.md").read_text("utf-8")
    assert run("get", "docs/backup.md").out == text
    assert run("get", "docs/backup.md:7-9").out == "\n".join(text.split("\n")[6:9]) + "\n"
    assert run("get", "docs/backup.md:7").out == "# Backups\n"
    row = json.loads(run("get", "docs/backup.md:7", "--json").out)
    assert (row["path"], row["line_start"], row["line_end"], row["text"]) == ("docs/backup.md", 7, 7, "# Backups")
    assert run("get", "docs/backup.md:7-8", "-N").out == "7:# Backups\n8:\n"
    assert f"{text.count(chr(10))} lines" in run("get", "docs/backup.md:99").err
    assert run("get", "docs/other.md").code == 2


def test_a_folder_that_was_deleted_is_said(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (indexed / "gone").mkdir()
    monkeypatch.chdir(indexed / "gone")
    (indexed / "gone").rmdir()
    for command in (["query", "redis"], ["status"], ["ingest", "docs"]):
        done = run(*command)
        assert (done.code, done.err.split("\n")[0]) == (2, "error: the working folder does not exist any more.")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_of_a_result_is_a_line_of_get(indexed: Path, run: Run, end: str) -> None:
    """Whatever its line ends are, the place of a hit leads to its line."""
    text = end.join(("# Zoo", "", "The okapi eats leaves.", "", "## Birds", "", "The hoatzin eats leaves.", ""))
    (indexed / "docs" / "zoo.md").write_bytes(text.encode())
    run("ingest", "docs")
    (hit,) = json.loads(run("query", "hoatzin", "-n", "1", "--json").out)["hits"]
    assert (hit["path"], hit["line_best"], hit["line_end"]) == ("docs/zoo.md", 7, 7)
    assert run("get", "docs/zoo.md:7").out == "The hoatzin eats leaves.\n"
    assert run("get", "docs/zoo.md:5-").out == "## Birds\n\nThe hoatzin eats leaves.\n"
    assert "7 lines" in run("get", "docs/zoo.md:8").err
    assert run("query", "hoatzin", "-n", "1", "--vimgrep").out.startswith("docs/zoo.md:7:1: ")
    assert run("query", "--like", "docs/zoo.md:7").code == 0
    whole, part = (json.loads(run("get", f"docs/zoo.md{place}", "--json").out) for place in ("", ":2-3"))
    assert (whole["line_end"], whole["text"]) == (7, text)
    assert (part["line_end"], part["text"]) == (3, f"{end}The okapi eats leaves.")


def test_a_path_that_is_not_unicode_is_not_indexed(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a name nor the working folder with an undecodable byte ends in a traceback."""
    folder = indexed / "bad\udcff"
    try:
        folder.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    monkeypatch.chdir(folder)
    for name in ("\udcff.md", "x.md"):
        assert (run("get", name).code, run("query", "--like", f"{name}:1").code) == (2, 2)
        assert "is not an indexed document" in run("get", name).err
    assert run("get", "../docs/redis.md:1").out == "---\n"


def test_get_prints_several_documents(indexed: Path, run: Run) -> None:
    """Paths and patterns, each document with its path above it; JSON has a list then."""
    redis = (indexed / "docs" / "redis.md").read_text("utf-8")
    assert run("get", "docs/backup.md:7", "docs/r*.md").out == (
        f"==> docs/backup.md <==\n# Backups\n==> docs/redis.md <==\n{redis}"
    )
    assert run("get", "docs/r*.md").out == redis
    rows = json.loads(run("get", "*.md", "--json").out)
    assert [row["path"] for row in rows] == ["docs/backup.md", "docs/deep/kafka.md", "docs/redis.md"]
    done = run("get", "docs/backup.md", "no*.md")
    assert (done.code, done.out, "'no*.md' is not an indexed document." in done.err) == (2, "", True)


def test_open_runs_the_editor_at_the_line(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`open N` takes the hits of the last query."""
    monkeypatch.setenv("RAGSEARCH_CACHE_DIR", str(indexed / "cache"))
    (indexed / "cache").mkdir()
    assert "no query was made yet.\n  Run: ragsearch query WORDS" in run("open").err
    run("query", *LAG, "--min-score", "0", "--no-server")
    monkeypatch.setenv("EDITOR", "code --wait")
    monkeypatch.delenv("VISUAL", raising=False)
    assert run("open", "1", "--dry-run").out == f"code --wait -g {indexed}/docs/deep/kafka.md:3\n"
    monkeypatch.setenv("VISUAL", "true")
    assert run("open", "1").code == 0
    assert "the last query found 3 hits.\n  Run: ragsearch open N, N from 1 to 3" in run("open", "9").err
    monkeypatch.setenv("VISUAL", "no-such-editor")
    assert (run("open").code, "cannot be run" in run("open").err) == (2, True)


def test_open_takes_the_nearest_that_were_printed(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a confident match the numbered list of the nearest can be opened; `-o` opens confident hits only."""
    monkeypatch.setenv("RAGSEARCH_CACHE_DIR", str(indexed / "cache"))
    monkeypatch.setenv("VISUAL", "true")
    assert run("query", "zebra", "--no-server", "-o").code == 1
    assert json.loads(run("open", "--json").out)["path"].endswith(".md")
    assert run("query", "zebra", "--no-server", "--strict").code == 1
    assert "the last query found none.\n  Run: ragsearch query WORDS" in run("open").err


@pytest.mark.parametrize("flag", ["--json", "--quiet"])
def test_o_opens_the_hit_of_this_query(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    """Also where the hits of this query are printed for programs, or not at all."""
    monkeypatch.setenv("RAGSEARCH_CACHE_DIR", str(indexed / "cache"))
    run("query", "backup", "--min-score", "0", "--no-server")
    editor = indexed / "editor"
    editor.write_text(f'#!/bin/sh\necho "$@" > {indexed}/opened\n', "utf-8")
    editor.chmod(0o700)
    monkeypatch.setenv("VISUAL", str(editor))
    assert run("query", *LAG, "--min-score", "0", "--no-server", "-o", flag).code == 0
    assert f"{indexed}/docs/deep/kafka.md" in (indexed / "opened").read_text("utf-8")


def test_config_files(project: Path, run: Run) -> None:
    """`init` writes a file that changes nothing, `set` keeps comments, `path` says where."""
    (project / "ragsearch.toml").unlink()
    assert run("config", "init").code == 0
    before = json.loads(run("config", "show", "--changed", "--json").out)
    assert "search.top_k" not in before
    assert run("config", "init").code == 2
    text = (project / "ragsearch.toml").read_text("utf-8")
    assert run("config", "set", "search.top_k", "7").code == 0
    assert json.loads(run("config", "show", "--json").out)["search.top_k"]["value"] == 7
    assert text.splitlines()[0] in (project / "ragsearch.toml").read_text("utf-8")
    assert run("config", "path").out.splitlines()[0] == str(project / "ragsearch.toml")
    for arguments, message in (
        (["search.topk", "7"], "Did you mean search.top_k"),
        (["search.top_k", "many"], "search.top_k cannot be 'many'"),
    ):
        done = run("config", "set", *arguments)
        assert (done.code, message in done.err) == (2, True)
    assert json.loads(run("config", "show", "--json").out)["search.top_k"]["value"] == 7


def test_a_hit_of_a_changed_file_says_so(indexed: Path, run: Run) -> None:
    """Until the next ingest the old passage is marked, in the table, in JSON, and on stderr for a pipe."""
    (indexed / "docs" / "deep" / "kafka.md").write_text("# Kafka\n\nOther words.\n", "utf-8")
    done = run("query", *LAG, "--min-score", "0", "--format", "table", "--no-server")
    assert "docs/deep/kafka.md:3  changed since ingest\n" in done.out
    for arguments in ([], ["-l"], ["--vimgrep"]):
        assert "docs/deep/kafka.md: changed since ingest\n" in run("query", *LAG, "--min-score", "0", *arguments).err
    assert run("query", *LAG, "--min-score", "0", "-q").err == ""
    (indexed / "docs" / "deep" / "kafka.md").unlink()
    hits = json.loads(run("query", *LAG, "--min-score", "0", "--json").out)["hits"]
    assert (hits[0]["path"], hits[0]["changed"]) == ("docs/deep/kafka.md", "gone")
    assert {hit["changed"] for hit in hits[1:]} <= {""}


def test_status_says_what_is_missing(indexed: Path, run: Run) -> None:
    """It compares the folders with the index, as an ingest would."""
    assert "nothing: the index is up to date" in run("status").out
    (indexed / "docs" / "new.md").write_text("# New\n", "utf-8")
    (indexed / "docs" / "backup.md").write_text("# Backups, in other words\n", "utf-8")
    (indexed / "docs" / "redis.md").unlink()
    assert json.loads(run("status", "--json").out)["pending"] == {"new": 1, "changed": 1, "removed": 1}
    assert "1 new, 1 changed, 1 removed; run: ragsearch ingest" in run("status").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_each_shell(run: Run, shell: str) -> None:
    """Each shell gets a script that asks the program."""
    done = run("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert f"_RAGSEARCH_COMPLETE=complete_{shell}" in done.out
    assert run("completion", "csh").code == 2


def test_bash_completes_commands_and_flags(tmp_path: Path) -> None:
    """A real bash, with the script as its start-up file has it."""
    program = tmp_path / "ragsearch"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rag_search "$@"\n', "utf-8")
    program.chmod(0o755)
    script = """
eval "$(ragsearch completion bash)"
for words in "ragsearch comple" "ragsearch query --vim"; do
    COMP_WORDS=($words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _ragsearch_completion ragsearch; echo "${COMPREPLY[@]}"
done
"""
    root = str(Path(rag_search.__file__).parents[1])
    env = {**os.environ, "PYTHONPATH": root, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, check=False)
    assert (done.stdout.split(), done.stderr) == (["completion", "--vimgrep"], "")


@pytest.mark.parametrize("group", ["config", "index", "store"])
def test_a_group_alone_prints_its_help(run: Run, group: str) -> None:
    done = run(group)
    assert (done.code, done.out.startswith(f"Usage: ragsearch {group} "), done.err) == (0, True, "")


def test_remedies_name_the_program(run: Run) -> None:
    """Whatever started it: an option without its value, a value of another type, an unknown command or option."""
    assert "Run ragsearch query -h" in run("query", "-n").err
    assert "'x' is not a whole number." in run("query", "--top-k=x", "words").err
    assert run("config", "sett").err.startswith("error: no such command 'sett'. Did you mean ")
    assert run("--nosuch").err.startswith("error: no such option '--nosuch'.\n")


def test_color_is_forced_or_forbidden(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """--color is stronger than the environment; `always` also gives a pipe what a terminal gets."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;36m" in run("query", *LAG, "--min-score", "0", "--color", "always").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in run("query", *LAG, "--min-score", "0", "--color", "never", "--format", "table").out
    assert run("query", *LAG, "--color", "blue").code == 2


def test_an_editor_is_found_without_settings(
    indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without cli.editor, VISUAL and EDITOR it is one that the machine has, and an error without any."""
    monkeypatch.setenv("RAGSEARCH_CACHE_DIR", str(tmp_path / "own-cache"))
    run("query", *LAG, "--min-score", "0", "--no-server")
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    monkeypatch.setenv("PATH", str(bin_folder))
    assert "no editor is set." in run("open").err
    for editor, problem in ((" ", "no editor is set."), ("it's", 'the editor "it\'s" is not a command')):
        monkeypatch.setenv("EDITOR", editor)
        assert problem in run("open").err
    monkeypatch.delenv("EDITOR")
    (bin_folder / "nano").write_text("#!/bin/sh\n", "utf-8")
    (bin_folder / "nano").chmod(0o755)
    assert run("open", "--dry-run").out == f"nano +3 {indexed}/docs/deep/kafka.md\n"
    row = json.loads(run("open", "--json").out)
    assert (row["line"], row["command"][:2]) == (3, ["nano", "+3"])


def test_limit_of_rerank(run: Run, tmp_path: Path, project: Path) -> None:
    """-n and --limit cut a reranking, as they cut a query."""
    (tmp_path / "p.txt").write_text("Tea.\n\nKafka consumer lag.\n\nRedis.\n", "utf-8")
    rows = json.loads(run("rerank", "kafka lag", str(tmp_path / "p.txt"), "-n", "1", "--json").out)["results"]
    assert [row["index"] for row in rows] == [1]


def test_index_remove_and_trust_as_json(project: Path, run: Run) -> None:
    row = json.loads(run("trust", "--json").out)
    assert (row["path"], row["trusted"], row["settings"]) == (str(project / "ragsearch.toml"), True, {})
    run("ingest", "docs")
    done = run("index", "remove", str(project / "indexes" / "default"), "--yes", "--json")
    assert json.loads(done.out)["removed"]["index"] == str(project / "indexes" / "default")


def test_one_setting_is_printed(project: Path, run: Run) -> None:
    """`config get` prints the value that holds, with its origin in JSON; an unknown name is an error."""
    run("config", "set", "search.top_k", "7")
    assert run("config", "get", "search.top_k").out == "7\n"
    row = json.loads(run("config", "get", "search.top_k", "--json").out)
    assert row == {"key": "search.top_k", "value": 7, "origin": str(project / "ragsearch.toml")}
    done = run("config", "get", "search.topk")
    assert (done.code, done.err) == (2, "error: unknown setting 'search.topk'.\n  Did you mean search.top_k?\n")
    for arguments in (["get", "zzz"], ["set", "zzz", "1"]):
        assert run("config", *arguments).err == "error: unknown setting 'zzz'.\n  All settings: ragsearch config show\n"
