"""What we keep on disk: records of claims, and CDI documents.

Knows files, fsync and rename. Refuses to know what a record or a document means.
"""

from amdgpu_dra.edge.disk.cdi import CdiDirectory
from amdgpu_dra.edge.disk.records import RecordFiles

__all__ = ["CdiDirectory", "RecordFiles"]
