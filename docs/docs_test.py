"""What the pages say of the repository is so: links, targets of Bazel, values of the chart, blocks of YAML and JSON."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

# The checkout itself: pages name files that no target lists.
ROOT = Path("pyproject.toml").resolve().parent
PAGES = sorted(path for path in ROOT.rglob("*.md") if not any(part.startswith(("bazel-", ".")) for part in path.parts))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
LABEL = re.compile(r"bazelw (?:run|test|build) (?:--\S+ )*(//(?:[\w.-]+/)*(?:\.\.\.|[\w-]*(?::[\w.-]*\w)?))")
SET = re.compile(r"--set(?:-file|-string)? ([A-Za-z0-9.]+)=")
VALUE = re.compile(
    r"`((?:kubeletPlugin|webhook|deviceClass|image|cdi|serviceAccount|featureGates|rbac|networkPolicy|monitoring|openshift)"
    r"\.[A-Za-z0-9.]+)"
)
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# A word of a command that names a file or folder of the repository; `…`, capitals and patterns stand for others.
PATHS = re.compile(r"(?<![\w/.$-])((?:charts|docs|e2e|images|proto|python)/[\w./-]+)(?![\w…*{(])")
# Values that are Kubernetes' own objects, handed on as they are.
OF_KUBERNETES = {"affinity", "podSecurityContext", "resources", "securityContext", "updateStrategy"}
# Targets that a macro of bazel/image makes.
OF_IMAGES = {"image", "image_arm64", "index", "load", "tarball"}


def _where(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _text(page: Path) -> str:
    """The page without its code blocks."""
    return BLOCK.sub("", page.read_text())


def _anchors(page: Path) -> set[str]:
    """Slugs of the headings, as code hosts make them."""
    heads = re.findall(r"^#+ (.+)$", _text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def _links(page: Path) -> Iterator[tuple[Path, str]]:
    """The files that a page links to, and the anchors in them."""
    for target in LINK.findall(_text(page)):
        if not re.match(r"[a-z]+:", target):
            name, _, anchor = target.partition("#")
            yield (page.parent / name).resolve() if name else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=_where)
def test_links_lead_somewhere(page: Path) -> None:
    """Every file that a page links to is there, and has the heading that the link names."""
    for target, anchor in _links(page):
        assert target.exists(), f"{_where(page)} links to {target}"
        assert not anchor or anchor in _anchors(target), f"{_where(page)}: no heading #{anchor} in {target.name}"


def test_every_page_can_be_found() -> None:
    """Each page of docs can be reached from the README, but for the fragments of the change log."""
    seen, next_ones = set[Path](), [ROOT / "README.md"]
    while next_ones:
        page = next_ones.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            next_ones += [target for target, _ in _links(page)]

    expected = {page for page in PAGES if page.is_relative_to(ROOT / "docs") and page.parent.name != "changes"}
    assert sorted(_where(page) for page in expected - seen) == []


def _has_target(label: str) -> bool:
    package, colon, name = label.removeprefix("//").partition(":")
    if package.endswith("..."):
        return (ROOT / package.removesuffix("...")).is_dir()
    build = ROOT / package / "BUILD.bazel"
    if not build.is_file():
        return False
    name = name if colon else package.rpartition("/")[2]
    text = build.read_text()
    named = {name, name.removesuffix(".update")}
    return any(f'name = "{each}"' in text for each in named) or (name in OF_IMAGES and "python_image(" in text)


@pytest.mark.parametrize("page", PAGES, ids=_where)
def test_targets_exist(page: Path) -> None:
    """Every target that a page tells to build, run or test is there."""
    for label in LABEL.findall(page.read_text()):
        assert _has_target(label), f"{_where(page)}: {label}"


@pytest.mark.parametrize("page", PAGES, ids=_where)
def test_files_of_commands_exist(page: Path) -> None:
    """Every file of the repository that a command of a page names is there."""
    for kind, text in BLOCK.findall(page.read_text()):
        for path in () if kind else PATHS.findall(text):
            assert (ROOT / path).exists(), f"{_where(page)}: {path}"


def _has_value(values: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(values, dict):
            return False
        if name not in values:
            # A map that users fill, such as featureGates.
            return values == {}
        if name in OF_KUBERNETES:
            return True
        values = values[name]
    return True


@pytest.mark.parametrize("page", PAGES, ids=_where)
def test_values_of_the_chart_exist(page: Path) -> None:
    """Every value that a page names, or sets by `--set`, is in the chart's values.yaml."""
    values = yaml.safe_load((ROOT / "charts/k8s-gpu-dra-driver/values.yaml").read_text())
    text = page.read_text()

    for path in {*SET.findall(text), *(found.rstrip(".") for found in VALUE.findall(text))}:
        assert _has_value(values, path), f"{_where(page)}: {path}"


@pytest.mark.parametrize("page", PAGES, ids=_where)
def test_blocks_can_be_read(page: Path) -> None:
    """Every block that says it is YAML or JSON is."""
    for kind, text in BLOCK.findall(page.read_text()):
        if kind == "yaml":
            list(yaml.safe_load_all(text))
        elif kind == "json":
            json.loads(text)


def test_every_command_is_listed() -> None:
    """CONTRIBUTING names each program that the root's BUILD file has."""
    programs = re.findall(r'^alias\(\n    name = "(\w+)"', (ROOT / "BUILD.bazel").read_text(), re.MULTILINE)
    text = (ROOT / "CONTRIBUTING.md").read_text()

    assert [name for name in programs if f"//:{name} " not in text] == []
    assert len(programs) > 1


def test_the_way_in_is_short() -> None:
    """README and index can be read in one go."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
    assert len((ROOT / "docs/index.md").read_text().splitlines()) <= 60
