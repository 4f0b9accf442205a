"""The wheel and every command of the README, in new environments. Needs a package index; see .ci/package.sh."""

import os
import re
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from tests.package.readme import LISTENS, START_S, activated, clean_environment, commands_of

ROOT = Path(__file__).parents[2]
MAX_WHEEL_MB = 20
IN_CI = ("make ",)  # .ci/run itself begins with the two of the README
pytestmark = pytest.mark.install


def sh(command: str, *, cwd: Path, env: dict[str, str]) -> str:
    """Run a command line as a newcomer types it and return what it prints; it must succeed."""
    done = subprocess.run(["bash", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, timeout=3600)
    print(f"$ {command}\n{done.stdout}{done.stderr}")
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the repository as committed, with the changes of the working tree."""
    folder = tmp_path_factory.mktemp("clone") / "ragsearch"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    listed = subprocess.run(["git", "ls-files", "-mo", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture(scope="session")
def dist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built wheel and sdist."""
    folder = tmp_path_factory.mktemp("dist")
    env = {**os.environ, "RAGSEARCH_REPOSITORY": "https://example.org/team/ragsearch"}
    subprocess.run(["uv", "build", "--quiet", "--out-dir", folder, source], check=True, env=env)
    return folder


def test_wheel_is_small_and_has_its_licences(dist: Path) -> None:
    """It has the licences of code and weights, absolute links, and nothing of tests and corpus."""
    (wheel,) = dist.glob("*.whl")
    assert wheel.stat().st_size <= MAX_WHEEL_MB * 1_000_000
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"rag_search", wheel.name.rsplit("-", 3)[0] + ".dist-info"}
    assert sum(name.endswith(("licenses/LICENSE", "NOTICE.md")) for name in names) >= 2
    metadata = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "Project-URL: Repository, https://example.org/team/ragsearch" in metadata
    assert re.findall(r"\]\((?!https?://|#)[^)]+\)", metadata) == []
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert {"tests", "corpus", "benchmarks", "training"}.isdisjoint(tops)
    assert sdist.stat().st_size <= 1.1 * wheel.stat().st_size


def test_wheel_runs_as_a_tool(dist: Path, tmp_path: Path) -> None:
    """`uvx --from WHEEL ragsearch` answers over a folder of documents."""
    (wheel,) = dist.glob("*.whl")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "tea.md").write_text("# Tea\n\nGreen tea wants water of 70 degrees.\n", "utf-8")
    env = clean_environment(tmp_path / "home")
    tool = f"uvx --quiet --from '{wheel}[cpu]' ragsearch"
    assert sh(f"{tool} --version", cwd=tmp_path, env=env).startswith("ragsearch ")
    sh(f"{tool} ingest notes", cwd=tmp_path, env=env)
    assert sh(f"{tool} query how hot is green tea", cwd=tmp_path, env=env).startswith("notes/tea.md:")


def test_every_command_of_both_readmes_works(source: Path, tmp_path: Path) -> None:
    """Commands in order, in one environment, with just the extras that the README names above them.

    The Chinese page has the same commands with other questions; both of a place run after each other.
    """
    env = {**clean_environment(tmp_path / "home"), "EDITOR": "true"}
    pages = [commands_of(source / name) for name in ("README.md", "README.zh-CN.md")]
    ran = 0
    for english, chinese in zip(*pages, strict=True):
        for command in dict.fromkeys((english, chinese)):
            if command.startswith(LISTENS):
                listens(command, cwd=source, env=env)
            elif not command.startswith(IN_CI):
                env = stays(command, cwd=source, env=env)
                ran += 1
    assert ran >= 10


def stays(command: str, *, cwd: Path, env: dict[str, str]) -> dict[str, str]:
    """Run a command line and return the environment after it: an activated one stays for the next command."""
    sh(f"{command}\nstatus=$?; env -0 > ~/environment; exit $status", cwd=cwd, env=env)
    return activated(env)


def listens(command: str, *, cwd: Path, env: dict[str, str]) -> None:
    """Start a command that serves and end it as soon as it listens."""
    log = Path(env["HOME"]) / "serving"
    with log.open("w") as output:
        process = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=cwd, env=env, stderr=output)
        try:
            for _ in range(START_S):
                if process.poll() is not None or "listening on " in log.read_text("utf-8"):
                    break
                time.sleep(1)
        finally:
            process.terminate()
            process.wait(60)
    assert "listening on " in log.read_text("utf-8"), f"{command}\n{log.read_text('utf-8')}"
