"""The Secret and the webhook configuration on the API server."""

import base64
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from amdgpu_dra.api.errors import HostError, UsageError
from amdgpu_dra.edge.certificates.make import Pair, make_pair, renewal_reason

_LOG = logging.getLogger("certificate")
_CONFLICT, _MISSING = 409, 404
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the certificate is kept, for which Service, and which configuration names its authority (empty: none)."""

    namespace: str
    secret: str
    service: str
    configuration: str

    @property
    def names(self) -> tuple[str, ...]:
        """What the API server calls the Service by."""
        return (f"{self.service}.{self.namespace}.svc", f"{self.service}.{self.namespace}.svc.cluster.local")


class Cluster:
    """The API server, by the official client."""

    def __init__(self, kubeconfig: str) -> None:
        """Reads the credentials; empty: those of the pod. Raises UsageError."""
        try:
            if kubeconfig:
                config.load_kube_config(config_file=kubeconfig)
            else:
                config.load_incluster_config()
        except (config.ConfigException, OSError, ValueError, TypeError) as error:
            raise UsageError(
                f"kubeconfig {kubeconfig}" if kubeconfig else "credentials of the pod",
                expected="credentials for the API server",
                found=str(error),
                action="name a kubeconfig by --kubeconfig, or run in a pod with a service account",
            ) from error
        self._core, self._admission = client.CoreV1Api(), client.AdmissionregistrationV1Api()

    def ensure(self, target: Target) -> Pair:
        """Brings Secret and configuration to where they fit; does nothing where they do. Raises HostError.

        The configuration is told of a new authority, beside the old one, before any server can get a certificate of it.
        """
        for _ in range(_TRIES):
            try:
                return self._ensure(target)
            except ApiException as error:
                # Another run of the same hook was faster: what it made is read again.
                if error.status != _CONFLICT:
                    raise _refused(target, error) from error
            except HTTPError as error:
                raise HostError(
                    "API server",
                    expected="an answer",
                    found=str(error),
                    action="the job is tried again; if it lasts, look at the network from its pod",
                ) from error
        raise HostError(
            f"Secret {target.namespace}/{target.secret}",
            expected="to be changed by one job at a time",
            found=f"{_TRIES} conflicts",
            action="see what else writes it",
        )

    def _ensure(self, target: Target) -> Pair:
        now = datetime.now(UTC)  # noqa: TID251 - certificates go by the time of day
        secret = self._find(lambda: self._core.read_namespaced_secret(target.secret, target.namespace))
        kept = _pair(secret)
        reason = "there is none" if kept is None else renewal_reason(kept, target.names, now)
        pair = kept
        if pair is None or reason:
            pair = make_pair(target.names, now)
            _LOG.info("a certificate is made for %s: %s", target.names[0], reason)
        old = kept.authority if kept is not None and kept is not pair else b""
        configuration = self._tell(target, pair.authority + old)
        if pair is not kept or not _is_owned(secret, configuration):
            self._keep(target, pair, secret, configuration)
        return pair

    def _keep(self, target: Target, pair: Pair, secret: Any, configuration: Any) -> None:
        """Writes the Secret. It belongs to the configuration, so that it goes when that is uninstalled."""
        named = {"ca.crt": pair.authority, "tls.crt": pair.certificate, "tls.key": pair.key}
        metadata = client.V1ObjectMeta(name=target.secret, namespace=target.namespace)
        body = secret or client.V1Secret(metadata=metadata, type="kubernetes.io/tls")
        body.data = {name: base64.b64encode(value).decode() for name, value in named.items()}
        if configuration is not None:
            body.metadata.owner_references = [
                client.V1OwnerReference(
                    api_version="admissionregistration.k8s.io/v1",
                    kind="ValidatingWebhookConfiguration",
                    name=target.configuration,
                    uid=configuration.metadata.uid,
                )
            ]
        if secret is not None:
            self._core.replace_namespaced_secret(target.secret, target.namespace, body)
        else:
            self._core.create_namespaced_secret(target.namespace, body)

    def _tell(self, target: Target, bundle: bytes) -> Any:
        """Sets the authorities of every webhook of the configuration and gives it; None while it is not there."""
        if not target.configuration:
            return None
        read = self._admission.read_validating_webhook_configuration
        found = self._find(lambda: read(target.configuration))
        if found is None:
            _LOG.info("configuration %s is not there yet", target.configuration)
            return None
        text = base64.b64encode(bundle).decode()
        changes = [
            {"op": "add", "path": f"/webhooks/{place}/clientConfig/caBundle", "value": text}
            for place, hook in enumerate(found.webhooks or ())
            if hook.client_config.ca_bundle != text
        ]
        if changes:
            test = {"op": "test", "path": "/metadata/resourceVersion", "value": found.metadata.resource_version}
            self._admission.patch_validating_webhook_configuration(target.configuration, [test, *changes])
            _LOG.info("configuration %s has the authority", target.configuration)
        return found

    def _find(self, read: Callable[[], Any]) -> Any:
        """None where there is no such object."""
        try:
            return read()
        except ApiException as error:
            if error.status == _MISSING:
                return None
            raise


def _is_owned(secret: Any, configuration: Any) -> bool:
    owners = {item.uid for item in (secret.metadata.owner_references or ())}
    return configuration is None or configuration.metadata.uid in owners


def _pair(secret: Any) -> Pair | None:
    data = {} if secret is None else secret.data or {}
    if not data.keys() >= {"ca.crt", "tls.crt", "tls.key"}:
        return None
    return Pair(
        authority=base64.b64decode(data["ca.crt"]),
        certificate=base64.b64decode(data["tls.crt"]),
        key=base64.b64decode(data["tls.key"]),
    )


def _refused(target: Target, error: ApiException) -> HostError:
    return HostError(
        f"Secret {target.namespace}/{target.secret} and configuration {target.configuration or '-'}",
        expected="to read and write them",
        found=f"HTTP {error.status} {error.reason}",
        action="see that the job's role allows it; the chart makes one",
    )
