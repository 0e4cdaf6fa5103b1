"""How a registry is told who asks: by user and password, or by a token that it sends us for."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import urllib3

from amdgpu_dra.edge.release.credentials import Credentials
from amdgpu_dra.edge.release.failures import refused, unreachable

_FIELD = re.compile(r'(\w+)="([^"]*)"')


class Authorizer:
    """Answers challenges; keeps the token of each repository."""

    def __init__(self, host: str, credentials: Credentials, pool: urllib3.PoolManager) -> None:
        self._host, self._credentials, self._pool = host, credentials, pool
        self._basic = False
        self._tokens: dict[str, str] = {}

    @property
    def source(self) -> str:
        """Where the credentials come from, for messages."""
        return self._credentials.source

    def headers(self, repository: str) -> dict[str, str]:
        """What a request about a repository carries."""
        if self._basic:
            return urllib3.make_headers(basic_auth=self._pair())
        token = self._tokens.get(repository)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def answer(self, headers: Mapping[str, str], repository: str) -> bool:
        """Takes up a challenge; whether another try has something new to say.

        Raises:
            UsageError, NotReadyError: the token's server refuses or does not answer.
        """
        scheme, _, rest = headers.get("WWW-Authenticate", "").partition(" ")
        fields = dict(_FIELD.findall(rest))
        if scheme.lower() == "bearer" and "realm" in fields and repository not in self._tokens:
            self._tokens[repository] = self._token(fields, repository)
            return True
        if scheme.lower() == "basic" and not self._basic and self._credentials.password:
            self._basic = True
            return True
        return False

    def _token(self, fields: Mapping[str, str], repository: str) -> str:
        asked = {"service": fields.get("service", ""), "scope": f"repository:{repository}:pull,push"}
        try:
            if identity := self._credentials.identity_token:
                form = asked | {"grant_type": "refresh_token", "refresh_token": identity, "client_id": "amdgpu-dra"}
                answer = self._pool.request("POST", fields["realm"], fields=form, encode_multipart=False)
            else:
                headers = urllib3.make_headers(basic_auth=self._pair()) if self._credentials.given else {}
                answer = self._pool.request("GET", fields["realm"], fields=asked, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(self._host, fields["realm"], error) from error
        if answer.status != HTTPStatus.OK:
            raise refused(self._host, f"token for {repository}", answer, self.source)
        found: dict[str, Any] = json.loads(answer.data)
        return str(found.get("token") or found["access_token"])

    def _pair(self) -> str:
        return f"{self._credentials.user}:{self._credentials.password}"
