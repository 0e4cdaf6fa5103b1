"""Command line of releases. Targets give the first arguments: //images:push, //charts:push, //charts:package."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from amdgpu_dra.api.errors import DriverError, NotReadyError
from amdgpu_dra.apps.release.chart import package, push_chart
from amdgpu_dra.apps.release.images import Image, push_images
from amdgpu_dra.apps.release.options import Options
from amdgpu_dra.edge.release import parse_repository, parse_tag

_EPILOG = """\
Credentials: REGISTRY_USERNAME and REGISTRY_PASSWORD, or docker's config.json in DOCKER_CONFIG or ~/.docker, with its
helpers.
"""


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Exit status: 0, 1 if a registry does not answer, 2 if something has to be corrected."""
    parsed = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        parsed.run(parsed, os.environ if environment is None else environment)
    except DriverError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1 if isinstance(error, NotReadyError) else 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="release", description=__doc__, epilog=_EPILOG, allow_abbrev=False)
    modes = parser.add_subparsers(required=True, metavar="images|chart|package")
    _add_images(modes.add_parser("images", help="push images", epilog=_EPILOG, allow_abbrev=False))
    chart = modes.add_parser("chart", help="push the chart", epilog=_EPILOG, allow_abbrev=False)
    chart.add_argument("--package", type=Path, required=True, help="the .tgz")
    _common(chart)
    chart.set_defaults(run=_chart)
    _add_package(modes.add_parser("package", help="pack the chart", allow_abbrev=False))
    return parser


def _add_images(images: argparse.ArgumentParser) -> None:
    images.add_argument("--image", action="append", default=[], help="TARGET=LAYOUT=END of the repository's name")
    images.add_argument("--debian-lock", type=Path, required=True, help="lock of Debian packages")
    images.add_argument("--wheel-lock", type=Path, required=True, help="lock of wheels")
    images.add_argument("--material", action="append", default=[], help="PATH=FILE that pins what goes in")
    images.add_argument("--source", default="", help="where others find this source, as a URL for git")
    images.add_argument("--builder", default="urn:amdgpu-dra:bazelw", help="who builds, as a URI (%(default)s)")
    _common(images)
    images.add_argument("tag", metavar="TAG")
    images.set_defaults(run=_images)


def _add_package(packed: argparse.ArgumentParser) -> None:
    packed.add_argument("--status", type=Path, required=True, help="Bazel's status file")
    packed.add_argument("--version", default="", help="instead of that of the git tag")
    packed.add_argument("--repository", default="", help="default for image.repository")
    packed.add_argument("--out", type=Path, required=True)
    packed.add_argument("files", nargs="+", type=Path)
    packed.set_defaults(run=_package)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plain-http", action="store_true", help="without TLS, for a test registry")
    parser.add_argument("--ca-file", default="", help="authorities to trust in place of the machine's, as PEM")
    parser.add_argument("--allow-dirty", action="store_true", help="push though files differ from the commit")
    parser.add_argument("repository", metavar="REGISTRY/REPOSITORY")


def _options(parsed: argparse.Namespace, environment: Mapping[str, str]) -> Options:
    return Options(
        repository=parse_repository(parsed.repository),
        plain_http=parsed.plain_http,
        ca_file=parsed.ca_file,
        allow_dirty=parsed.allow_dirty,
        checkout=Path(environment.get("BUILD_WORKSPACE_DIRECTORY", ".")),
        environment=environment,
    )


def _images(parsed: argparse.Namespace, environment: Mapping[str, str]) -> None:
    images = []
    for text in parsed.image:
        target, path, end = text.split("=")
        images.append(Image(target=target, path=Path(path), end=end))
    materials = dict(text.split("=", 1) for text in parsed.material)
    push_images(
        _options(parsed, environment),
        images,
        tag=parse_tag(parsed.tag),
        locks=(parsed.debian_lock, parsed.wheel_lock),
        described={"source": parsed.source, "builder": parsed.builder, "materials": materials},
    )


def _chart(parsed: argparse.Namespace, environment: Mapping[str, str]) -> None:
    push_chart(_options(parsed, environment), parsed.package)


def _package(parsed: argparse.Namespace, _: Mapping[str, str]) -> None:
    parsed.out.write_bytes(
        package(parsed.files, status=parsed.status.read_text(), version=parsed.version, repository=parsed.repository)
    )
