"""The package finds its configurations wherever it was installed from."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml
from places import ROOT

SITE = sysconfig.get_path("purelib")
WORDS = ["run", "experiment=example8_lbfgs", "--cfg", "job"]

# Without `site`, so that a kansweep installed beside the dependencies does not stand in.
SCRIPT = """
import site, sys

place, dependencies, *words = sys.argv[1:]
site.addsitedir(place)
sys.path.append(dependencies)
sys.argv = ["kansweep", *words]

from kansweep.config.loading import config_dir
from kansweep.cli import main

print(config_dir(), file=sys.stderr)
sys.exit(main())
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the package is built from; building leaves its traces there."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("setup.cfg", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, copy)
    for name in ("kansweep", "configs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def pip(*words: str | Path) -> None:
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    command = [sys.executable, "-m", "pip", *map(str, words), *options]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)


def found_configs(place: Path, cwd: Path) -> Path:
    """Where the kansweep in ``place`` found the experiment that it composed."""
    command = [sys.executable, "-S", "-c", SCRIPT, str(place), SITE, *WORDS]
    here = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        command, cwd=cwd, env=here, capture_output=True, text=True, check=True, timeout=120
    )
    assert yaml.safe_load(run.stdout)["name"] == "example8_lbfgs"
    return Path(run.stderr.strip())


def test_a_wheel_carries_its_configurations(checkout: Path, tmp_path: Path) -> None:
    pip("wheel", checkout, "--wheel-dir", tmp_path)
    (wheel,) = tmp_path.glob("kansweep-*.whl")
    place = tmp_path / "site"
    pip("install", wheel, "--target", place)
    assert found_configs(place, tmp_path) == place / "kansweep" / "configs"


def test_an_editable_install_reads_the_checkouts(checkout: Path, tmp_path: Path) -> None:
    pip("install", "--ignore-installed", "--prefix", tmp_path, "--editable", checkout)
    place = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path)}))
    assert found_configs(place, tmp_path) == checkout / "configs"


def test_a_bare_checkout_reads_its_own(checkout: Path, tmp_path: Path) -> None:
    assert found_configs(checkout, tmp_path) == checkout / "configs"


def test_python_m_kansweep_is_the_command(checkout: Path) -> None:
    command = [sys.executable, "-m", "kansweep", "--version"]
    run = subprocess.run(
        command, cwd=checkout, capture_output=True, text=True, check=True, timeout=120
    )
    assert run.stdout.startswith("kansweep ")


def test_every_package_is_listed() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    listed = set(settings["options"]["packages"].split())
    there = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for init in (ROOT / "kansweep").rglob("__init__.py")
    }
    assert listed == there | {"kansweep.configs"}


def test_every_dependency_is_pinned() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    asked = settings["options"]["install_requires"] + settings["options.extras_require"]["dev"]
    pins = [line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines()]
    pinned = {name.lower() for name, _, version in pins if version}
    assert {line.split()[0].lower() for line in asked.split("\n") if line} <= pinned


def test_the_entry_for_bibtex_says_what_the_citation_file_does() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    (entry,) = re.findall(r"^@software\{.*?^\}$", (ROOT / "README.md").read_text(), re.M | re.S)
    told = dict(re.findall(r"^  (\w+) += \{(.*)\},$", entry, re.M))
    assert told.pop("title").replace("{", "").replace("}", "").replace("--", "-") == cited["title"]
    assert told == {
        "author": f"{{{cited['authors'][0]['name']}}}",
        "version": cited["version"],
        "date": cited["date-released"],
        "license": cited["license"],
    }
