"""The pod's token is read again as the kubelet renews it, whatever the time of day says."""

from dataclasses import dataclass, field
from pathlib import Path

from amdgpu_dra.edge.kube.pod_token import PodToken


@dataclass
class Configuration:
    """What a client keeps of its credentials."""

    api_key: dict[str, str] = field(default_factory=dict)


def test_a_renewed_token_is_used_within_a_minute(tmp_path: Path) -> None:
    """Not read for each request, and never older than a minute; a file that is gone or empty leaves the last one."""
    path, configuration, now = tmp_path / "token", Configuration(), [0.0]
    token = PodToken(str(path), lambda: now[0])
    seen = []
    for seconds, text in ((0, "a\n"), (59, "b"), (61, "c"), (122, ""), (123, None), (124, "d")):
        now[0] = seconds
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        token(configuration)
        seen.append(configuration.api_key["BearerToken"])

    assert seen == [f"Bearer {letter}" for letter in "aacccd"]
