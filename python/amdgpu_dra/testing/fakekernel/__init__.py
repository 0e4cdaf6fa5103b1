"""A fake kernel in a process of its own, as users run it: mounted, told what fails, killed, mounted again."""

from amdgpu_dra.testing.fakekernel.mounted import Mounted, mounted, need_fuse, need_mounts

__all__ = ["Mounted", "mounted", "need_fuse", "need_mounts"]
