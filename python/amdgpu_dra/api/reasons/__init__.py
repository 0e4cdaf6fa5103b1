"""Reason codes: why a device is withheld, tainted or not offered. The same word wherever it is told.

Knows the words and what to do about them. Refuses to know when one applies.
"""

from enum import StrEnum

__all__ = ["HELP", "Reason"]


class Reason(StrEnum):
    """A code, as logs, Events and metrics write it."""

    NO_KFD_NODE = "NoKfdNode"
    NO_PCI_DEVICE = "NoPciDevice"
    UNKNOWN_MODE = "UnknownMode"
    NO_KFD_DEVICE = "NoKfdDevice"
    NO_RENDER_NODE = "NoRenderNode"
    NO_WHOLE_GPU = "NoWholeGpu"
    NO_DRM_NODE = "NoDrmNode"
    MODE_FAILED = "ModeFailed"
    NOT_WRITABLE = "NotWritable"
    NOT_PLANNABLE = "NotPlannable"
    REPARTITION_OFF = "RepartitionOff"
    NO_PER_GPU_CONFIG = "NoPerGpuConfig"
    NO_COUNTERS = "NoCounters"
    SWITCH_BLOCKED = "SwitchBlocked"
    DOCUMENT_REWRITTEN = "DocumentRewritten"
    DOCUMENT_REMOVED = "DocumentRemoved"
    RECORD_REBUILT = "RecordRebuilt"
    CLAIM_GONE = "ClaimGone"
    MODE_LOST = "ModeLost"
    CLAIM_QUARANTINED = "ClaimQuarantined"
    PREPARE_REFUSED = "PrepareRefused"
    PREPARE_DELAYED = "PrepareDelayed"
    PREPARE_FAILED = "PrepareFailed"
    UNPREPARE_FAILED = "UnprepareFailed"
    REGISTRATION_REFUSED = "RegistrationRefused"
    RECORD_LOST = "RecordLost"
    RECORD_NEWER = "RecordNewer"
    RECORDS_UNREADABLE = "RecordsUnreadable"
    CLAIMS_NOT_LISTED = "ClaimsNotListed"
    SLICES_REPAIRED = "SlicesRepaired"
    FIELDS_DROPPED = "FieldsDropped"
    SLICES_REFUSED = "SlicesRefused"


HELP = {
    Reason.NO_KFD_NODE: "amdgpu drives the GPU and KFD does not show it, or not this partition: see dmesg for amdgpu "
    "and kfd",
    Reason.NO_PCI_DEVICE: "KFD shows the GPU and its PCI folder is not there or not bound to amdgpu: see --sysfs-root",
    Reason.UNKNOWN_MODE: "KFD shows several partitions and current_compute_partition cannot be read, or says SPX: the "
    "next reading often has it",
    Reason.NO_KFD_DEVICE: "class/kfd/kfd/dev states no device number: amdgpu was loaded without KFD",
    Reason.NO_RENDER_NODE: "DRM has no render node for the partition: the kernel's 64 legacy minors are used up; a "
    "board management controller's VGA card takes one of them (unload `ast`)",
    Reason.NO_WHOLE_GPU: "under this memory mode no compute mode leaves the GPU whole: drain the node and set NPS1",
    Reason.NO_DRM_NODE: "the partition would have no DRM node, as with NoRenderNode: the kernel makes all of them when "
    "it finds the GPU",
    Reason.MODE_FAILED: "the kernel could not complete this compute mode: see dmesg, then reload amdgpu or restart the "
    "node",
    Reason.NOT_WRITABLE: "the GPU's compute mode cannot be written (a virtual function, or sysfs mounted read-only): "
    "its partitions of now are published",
    Reason.NOT_PLANNABLE: "sysfs does not tell what the GPU's other modes would have (XCCs, or the modes themselves): "
    "its partitions of now are published",
    Reason.REPARTITION_OFF: "--repartition=off: the partitions of now are published",
    Reason.NO_PER_GPU_CONFIG: "the kernel switches a GPU only while nothing on the node uses KFD: the partitions of "
    "now are published; --repartition=per-gpu tries all the same",
    Reason.NO_COUNTERS: "the cluster does not keep counters of ResourceSlices: use Kubernetes 1.36 or newer, or turn "
    "on the feature gate DRAPartitionableDevices; the partitions of now are published",
    Reason.SWITCH_BLOCKED: "this kernel refused to switch a GPU that nobody uses while another one was in use: no mode "
    "is switched until all GPUs of the node are free",
    Reason.DOCUMENT_REWRITTEN: "the CDI document of a prepared claim was lost or named device nodes of before, and is "
    "written again: nothing to do",
    Reason.DOCUMENT_REMOVED: "a CDI document was left of a claim that no pod of this node has, and is removed: nothing "
    "to do",
    Reason.RECORD_REBUILT: "the record of a claim that pods have was lost or corrupt, and is made anew from the API "
    "server: look at the node's disk if it comes again",
    Reason.CLAIM_GONE: "a prepared claim was deleted or deallocated without the kubelet's Unprepare, and is "
    "unprepared: nothing to do",
    Reason.MODE_LOST: "the GPU of a prepared claim is in another compute mode, so its CDI document is withdrawn: the "
    "next Prepare switches the GPU; delete the pod if it does not start",
    Reason.CLAIM_QUARANTINED: "a device of a prepared claim is gone or another GPU stands in its place; its CDI "
    "document is withdrawn and its devices stay held: bring the GPU back, or delete the pod",
    Reason.PREPARE_REFUSED: "the claim cannot be prepared as it is: its allocation, its configuration, or another "
    "claim that has its device; the message says what to change",
    Reason.PREPARE_DELAYED: "the claim cannot be prepared now, as while its GPU is switched or somebody uses it: it is "
    "tried again",
    Reason.PREPARE_FAILED: "the node cannot prepare the claim: a device is gone, a device node or the disk refuses; it "
    "is tried again",
    Reason.UNPREPARE_FAILED: "what was made for the claim cannot be removed, as on a read-only disk: it is tried "
    "again, and the pod terminates until then",
    Reason.REGISTRATION_REFUSED: "the kubelet does not take the plugin; its message says why, and it tries again",
    Reason.RECORD_LOST: "the record of a claim is corrupt or cannot be read; the claim is looked up to make it anew, "
    "and the file is kept beside it as *.corrupt: look at the node's disk",
    Reason.RECORD_NEWER: "the record of a claim was written by a newer version of the driver in a form that this one "
    "does not know; its devices stay held: upgrade the driver again, or drain the node before a downgrade",
    Reason.RECORDS_UNREADABLE: "the folder of claim records cannot be read, so no claim is prepared or unprepared; it "
    "is tried again every few seconds: look at the node's disk and at the folder's permissions",
    Reason.CLAIMS_NOT_LISTED: "claims whose records and documents were lost cannot be looked up: give the plugin's "
    "ClusterRole the right to list resourceclaims, or delete the pods of this node that do not start",
    Reason.SLICES_REPAIRED: "others changed or deleted ResourceSlices of this node, as a kubelet does at its start, "
    "and they are as they should be again: nothing to do",
    Reason.FIELDS_DROPPED: "the API server stored a ResourceSlice without some of its fields: a feature gate of the "
    "cluster is off",
    Reason.SLICES_REFUSED: "the API server does not take or give the ResourceSlices of this node, and trying again "
    "will not help: its message says why; look at the plugin's ClusterRole, its ValidatingAdmissionPolicy, and at what "
    "other admission the cluster has",
}
"""What to do, by code; `docs/reference/reasons.md` is generated from it."""
