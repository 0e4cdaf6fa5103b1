"""The HTTPS server of the webhook, and its certificate.

Knows HTTP, TLS, limits and files. Refuses to know what a review means: `core/admission` answers.
"""

from amdgpu_dra.edge.admission.certificate import Certificate
from amdgpu_dra.edge.admission.server import PATH, AdmissionServer, Limits

__all__ = ["PATH", "AdmissionServer", "Certificate", "Limits"]
