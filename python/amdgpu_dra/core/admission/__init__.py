"""What an admission webhook answers: AdmissionReview in, AdmissionReview out (admission.k8s.io/v1).

Knows claims, templates and classes of every served version, our configurations, and what selectors can read of our
devices. Refuses to know HTTP, certificates and clusters.
"""

from amdgpu_dra.core.admission.review import ReviewError, answer, find_defect, judge
from amdgpu_dra.core.admission.selectors import check_class, check_request

__all__ = ["ReviewError", "answer", "check_class", "check_request", "find_defect", "judge"]
