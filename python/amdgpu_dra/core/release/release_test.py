"""Releases as values."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.core.release import (
    INDEX,
    Blob,
    Component,
    Source,
    artifact,
    blob,
    chart_artifact,
    debian_component,
    debian_licences,
    descriptor,
    locked_wheels,
    provenance,
    referrers_tag,
    spdx,
    stamp,
    version_of,
    wheel_component,
    with_referrer,
    with_repository,
    with_version,
)

SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")
SUBJECT = descriptor(blob(INDEX, {"manifests": []}))
LABELS = {"org.opencontainers.image.version": "1.2.3"}
PARTS = st.integers(0, 40)


def _order(version: str) -> tuple[object, ...]:
    """The order of SemVer 2, clause 11: a version before its pre-releases would be higher."""
    core, _, before = version.partition("-")
    numbers = tuple(int(part) for part in core.split("."))
    rank = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".")) if before else ()
    return (numbers, 0 if before else 1, rank)


@pytest.mark.parametrize(
    ("described", "version"),
    [
        ("v1.2.3-0-gabc1234", "1.2.3"),
        ("v1.2.3-rc.1-0-gabc1234", "1.2.3-rc.1"),
        ("v1.2.3-5-gabc1234", "1.2.4-dev.5.gabc1234"),
        ("v1.2.3-rc.1-5-gabc1234", "1.2.3-rc.1.dev.5.gabc1234"),
        ("v1.2.3-0-gabc1234-dirty", "1.2.4-dev.0.gabc1234.dirty"),
        ("abc1234", "0.0.0-dev.gabc1234"),
        ("0123456-dirty", "0.0.0-dev.g0123456.dirty"),
    ],
)
def test_version_of_a_checkout(described: str, version: str) -> None:
    """A tag is the version; what comes after it, or is changed, says so."""
    assert version_of(described) == version


@given(PARTS, PARTS, PARTS, st.integers(0, 99), st.booleans())
def test_versions_stand_in_order(major: int, minor: int, patch: int, since: int, dirty: bool) -> None:  # noqa: FBT001
    """Every version is SemVer without build metadata, not below its tag and below the next one."""
    tag = f"{major}.{minor}.{patch}"
    version = version_of(f"v{tag}-{since}-gabc{'-dirty' if dirty else ''}")

    assert SEMVER.fullmatch(version)
    assert _order(tag) <= _order(version) < _order(f"{major}.{minor}.{patch + 1}")
    assert (version == tag) == (since == 0 and not dirty)


def _image(architecture: str) -> tuple[Blob, Blob]:
    config = blob(
        "application/vnd.oci.image.config.v1+json",
        {"architecture": architecture, "config": {"Env": ["A=1"], "Labels": {"a": "b"}}},
    )
    layer = descriptor(Blob("application/vnd.oci.image.layer.v1.tar+gzip", b"shared"))
    return config, blob("application/vnd.oci.image.manifest.v1+json", {"config": descriptor(config), "layers": [layer]})


def test_stamped_images_have_the_labels_and_the_same_layers() -> None:
    """Every configuration has the labels beside its own, manifests and index name the new blobs, layers stay."""
    pairs = {name: _image(name) for name in ("amd64", "arm64")}
    read = {descriptor(each)["digest"]: json.loads(each.data) for pair in pairs.values() for each in pair}
    index = {"manifests": [descriptor(pair[1], platform={"architecture": name}) for name, pair in pairs.items()]}

    found = stamp(index, read, LABELS, {"V": "2"})

    stamped = json.loads(found.index.data)
    assert [item["platform"]["architecture"] for item in stamped["manifests"]] == ["amd64", "arm64"]
    assert [item["digest"] for item in stamped["manifests"]] == [descriptor(each)["digest"] for each in found.manifests]
    assert stamped["annotations"] == LABELS
    for config, manifest in zip(found.configurations, found.manifests, strict=True):
        assert json.loads(manifest.data)["config"] == descriptor(config)
        assert json.loads(config.data)["config"] == {"Env": ["A=1", "V=2"], "Labels": {"a": "b"} | LABELS}
    assert len(found.layers) == 1
    assert stamp(index, read, LABELS, {"V": "2"}) == found


def test_a_referrer_is_listed_once() -> None:
    """The list under the tag grows by a new referrer, and not by one that it has."""
    manifests = [artifact(blob("application/x", n), subject=SUBJECT, annotations={"n": str(n)}) for n in range(2)]

    first = with_referrer(None, manifests[0])
    assert first is not None
    second = with_referrer(json.loads(first.data), manifests[1])
    assert second is not None

    listed = json.loads(second.data)["manifests"]
    assert [item["digest"] for item in listed] == [descriptor(each)["digest"] for each in manifests]
    assert {item["artifactType"] for item in listed} == {"application/x"}
    assert with_referrer(json.loads(second.data), manifests[0]) is None
    assert referrers_tag(SUBJECT["digest"]) == SUBJECT["digest"].replace(":", "-")


COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Source: x

Files: *
Copyright: someone
License: GPL-2+ and Expat

License: odd name
 Its text.
"""
LOCK = f"Demo_Pkg[extra]==1.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}\nother==2\n"
PACKAGE = {"name": "libfoo++", "version": "1:2+b1", "architecture": "arm64", "path": "pool/f.deb", "sha256": "2" * 64}


def test_components_come_from_locks_and_from_the_packages() -> None:
    """Version, purl and hashes are the lock's; licences are what the package says, in SPDX's names where it has one."""
    deb = debian_component(PACKAGE, "trixie", debian_licences(COPYRIGHT))
    wheel = wheel_component(
        "Name: demo-pkg\nClassifier: License :: OSI Approved :: MIT License\n\n", locked_wheels(LOCK)
    )

    assert deb.licence == "GPL-2.0-or-later AND LicenseRef-odd-name AND MIT"
    assert deb.purl == "pkg:deb/debian/libfoo%2B%2B@1%3A2%2Bb1?arch=arm64&distro=trixie"
    assert (wheel.name, wheel.version, wheel.licence) == ("demo-pkg", "1.0", "MIT")
    assert wheel.hashes == ("0" * 64, "1" * 64)


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("Name: other\nLicense-Expression: MIT OR Apache-2.0\n", "MIT OR Apache-2.0"),
        ("Name: other\nLicense: Apache 2.0\n", "Apache-2.0"),
        ("Name: other\nLicense: My own\n", "LicenseRef-My-own"),
        ("Name: other\n", ""),
    ],
)
def test_licence_of_a_wheel(metadata: str, licence: str) -> None:
    """An expression is taken as it is; a name is translated or kept as a reference; nothing stays nothing."""
    assert wheel_component(metadata, locked_wheels(LOCK)).licence == licence


COMPONENTS = st.lists(
    st.builds(
        Component,
        name=st.from_regex(r"[a-z][a-z0-9+.-]{0,8}", fullmatch=True),
        version=st.just("1"),
        purl=st.uuids().map(lambda each: f"pkg:deb/debian/{each}@1"),
        licence=st.sampled_from(["", "MIT", "MIT AND LicenseRef-x"]),
        hashes=st.just(("0" * 64,)),
        origin=st.just("pool"),
    ),
    max_size=6,
)


@given(COMPONENTS, st.randoms())
def test_sbom_is_whole(components: list[Component], random: object) -> None:
    """Ids are unique, relations name what is there, licences of no list are explained, and order shows nowhere."""

    def make(each: list[Component]) -> Blob:
        return spdx(SUBJECT, each, name="registry.example/x", version="1.2.3", created="2026-01-01T00:00:00Z")

    shuffled = components.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    document = json.loads(make(components).data)

    ids = [each["SPDXID"] for each in document["packages"]]
    assert len(set(ids)) == len(ids) == len(components) + 1
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", each) for each in ids)
    assert {each["relatedSpdxElement"] for each in document["relationships"]} == set(ids)
    used = {n for each in document["packages"] for n in re.findall(r"LicenseRef-\S+", each["licenseDeclared"])}
    assert {each["licenseId"] for each in document["hasExtractedLicensingInfos"]} == used
    assert {each.purl for each in components} <= {
        each["externalRefs"][0]["referenceLocator"] for each in document["packages"]
    }
    assert make(shuffled) == make(components)


def test_provenance_names_what_went_in() -> None:
    """The statement is about the digest, and has commit, builder and every lock."""
    source = Source(
        revision="c" * 40, uri="https://code.example/x", builder="urn:me", clean=True, materials={"a.json": "5" * 64}
    )

    statement = json.loads(provenance(SUBJECT, source, name="r.example/x", target="//x:index", version="1").data)

    assert statement["subject"] == [
        {"name": "r.example/x", "digest": {"sha256": SUBJECT["digest"].removeprefix("sha256:")}}
    ]
    assert statement["predicate"]["buildDefinition"]["resolvedDependencies"] == [
        {"uri": f"git+https://code.example/x@{'c' * 40}", "digest": {"gitCommit": "c" * 40}},
        {"name": "a.json", "digest": {"sha256": "5" * 64}},
    ]
    assert statement["predicate"]["runDetails"]["builder"]["id"] == "urn:me"


CHART = "name: x\nversion: 0.1.0\nappVersion: 0.1.0\nkubeVersion: '>=1'\n"
VALUES = '# top\nimage:\n  # No default.\n  repository: ""\n  tag: ""\nother:\n  image:\n    repository: ""\n'


def test_only_what_is_released_changes_in_a_chart() -> None:
    """Version, appVersion and the plugin's repository are written; every other line stays, comments too."""
    assert with_version(CHART, "1.2.3") == 'name: x\nversion: "1.2.3"\nappVersion: "1.2.3"\nkubeVersion: \'>=1\'\n'
    assert with_repository(VALUES, "r.example/x") == VALUES.replace(
        '  # No default.\n  repository: ""', '  repository: "r.example/x"', 1
    )


def test_a_chart_that_lacks_what_is_written_is_refused() -> None:
    """No version or no empty repository: the message names the file."""
    with pytest.raises(UsageError, match=r"Chart.yaml: expected one line appVersion"):
        with_version("version: 1\n", "1")
    with pytest.raises(UsageError, match=r"values.yaml: expected one empty"):
        with_repository('image:\n  repository: "x"\n', "y")


def test_chart_artifact_has_helms_types() -> None:
    """Configuration and content have the media types that Helm looks for."""
    manifest, config, content = chart_artifact({"name": "x", "version": "1.0.0"}, b"tgz", "2026-01-01T00:00:00Z")

    value = json.loads(manifest.data)
    assert value["config"] == descriptor(config)
    assert value["config"]["mediaType"] == "application/vnd.cncf.helm.config.v1+json"
    assert value["layers"] == [descriptor(content)]
    assert value["layers"][0]["mediaType"] == "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
