"""The version of a program is what its image says."""

from amdgpu_dra.apps.flags import VERSION_ENV, version_of


def test_the_image_says_it() -> None:
    """As the push has set it; else it is one that no release has."""
    assert version_of({VERSION_ENV: "1.2.3"}) == "1.2.3"
    assert version_of({}) == version_of({VERSION_ENV: ""}) == "0.0.0-dev"
