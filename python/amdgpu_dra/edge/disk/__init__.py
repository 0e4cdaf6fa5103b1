"""What we keep on disk: records of claims, CDI documents, and what instances of the plugin tell each other.

Knows files, fsync, rename and locks. Refuses to know what a record or a document means.
"""

from amdgpu_dra.edge.disk.cdi import CdiDirectory
from amdgpu_dra.edge.disk.instances import InstanceFile
from amdgpu_dra.edge.disk.records import RecordFiles

__all__ = ["CdiDirectory", "InstanceFile", "RecordFiles"]
