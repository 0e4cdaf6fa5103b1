"""What we keep on disk of a claim: only what cannot be recomputed.

Knows the form of a record, its versions and its checksum. Refuses to know where records are kept.
"""

from amdgpu_dra.api.checkpoint.form import CorruptRecordError, NewerRecordError, decode_record, encode_record
from amdgpu_dra.api.checkpoint.record import HeldDevice, Loaded, LostRecord, Record, State, is_uid

__all__ = [
    "CorruptRecordError",
    "HeldDevice",
    "Loaded",
    "LostRecord",
    "NewerRecordError",
    "Record",
    "State",
    "decode_record",
    "encode_record",
    "is_uid",
]
