"""`load`: our images into the nodes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from amdgpu_dra.api.errors import UsageError
from harness.commands.session import Session, Teller, hint
from harness.driver import load_image

IMAGES = tuple(f"images/{name}/load/tarball.tar" for name in ("kubelet_plugin", "fakegpu", "webhook"))


def load(session: Session, teller: Teller, archives: Sequence[str] = IMAGES) -> None:
    """Puts archives of this build into the nodes; what was there of the same name is replaced.

    Raises:
        UsageError: the nodes are not kind's.
    """
    if not session.cluster.has_nodes:
        raise UsageError(
            f"cluster {session.name}",
            expected="nodes of kind",
            found="the cluster that KUBECONFIG names, whose nodes pull their images from a registry",
            action="push them by ./bazelw run //images:push -- REGISTRY/REPOSITORY TAG, then "
            + hint("install", session.name, "--image=REGISTRY/REPOSITORY:TAG"),
        )
    for archive in archives:
        path = Path(archive).resolve()
        teller.step(f"{path.parent.parent.name}: {path.stat().st_size / 1e6:.0f} MB into the nodes")
        load_image(session.cluster, path)
    session.place.write(replace(session.state, images=tuple(archives)))
    teller.step("done")
    teller.say(f"\nNext: install the driver        {hint('install', session.name)}")
