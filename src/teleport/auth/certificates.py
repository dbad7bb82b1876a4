"""Certificates over mTLS: further services of a joined host, and identities that the administrator signs."""

from datetime import timedelta

from teleport.api.messages import (
    Certificates,
    HostCertificatesRequest,
    UserCertificatesRequest,
    UserCertificatesResponse,
)
from teleport.auth import audit
from teleport.auth.access import Caller, check_service_role
from teleport.auth.audit import AuditLog
from teleport.auth.authority import Authority, HostGrant, Issued
from teleport.auth.join_request import parse_keys
from teleport.auth.roles import RoleTable
from teleport.errors import AccessDenied
from teleport.resources.model import check_name
from teleport.resources.role import SystemRole


class CertificateIssuing:
    """The use case of getting a certificate without joining.

    Args:
        authority: signs.
        roles: those that a user may have.
        audit_log: told of every certificate before it leaves, and of every refusal.
    """

    def __init__(self, *, authority: Authority, roles: RoleTable, audit_log: AuditLog) -> None:
        self._authority = authority
        self._roles = roles
        self._audit = audit_log

    async def issue_host(self, request: HostCertificatesRequest, caller: Caller) -> Certificates:
        """Return certificates for a service, or anew for the process itself, of the host that asks.

        Raises:
            AccessDenied: the host's certificate does not cover the role.
            BadParameter: a key or a name is not acceptable.
        """
        await self._check_role(request.role, caller)
        grant = HostGrant(
            host_id=caller.name,
            role=request.role,
            system_roles=tuple(sorted(caller.system_roles)) if request.role is SystemRole.INSTANCE else (),
            node_name=request.node_name,
            additional_principals=request.additional_principals,
            dns_names=request.dns_names,
            remote_addr=caller.remote_addr,
            pod_uid=caller.pod_uid,
        )
        issued = self._authority.issue_host(grant, parse_keys(request.keys, self._authority.reserved_keys))
        await self._record(issued, caller, role=request.role, host_id=caller.name)
        return issued.certificates

    async def issue_user(self, request: UserCertificatesRequest, caller: Caller) -> UserCertificatesResponse:
        """Return an identity with roles of the cluster.

        Raises:
            BadParameter: the name, a role or a key is not acceptable.
        """
        check_name(request.user, "user name")
        self._roles.check_exist(request.roles)
        issued = self._authority.issue_user(
            user=request.user,
            roles=request.roles,
            ttl=timedelta(seconds=request.ttl_seconds),
            keys=parse_keys(request.keys, self._authority.reserved_keys),
        )
        await self._record(issued, caller, role="User", user=request.user, roles=list(request.roles))
        return UserCertificatesResponse(
            tls_certificate=issued.certificates.tls_certificate,
            ssh_certificate=issued.certificates.ssh_certificate,
            trust=self._authority.trust_bundle,
        )

    async def _check_role(self, role: SystemRole, caller: Caller) -> None:
        if role is SystemRole.INSTANCE:
            return
        try:
            check_service_role(caller, role)
        except AccessDenied as refusal:
            await self._audit.emit(
                audit.CERTIFICATE_REFUSED,
                success=False,
                reason="role_not_covered",
                message=refusal.message,
                host_id=caller.name,
                role=role,
                remote_addr=caller.remote_addr,
            )
            raise

    async def _record(self, issued: Issued, caller: Caller, **fields: object) -> None:
        await self._audit.emit(
            audit.CERTIFICATE_CREATE,
            success=True,
            certificate_serial=issued.serial,
            issued_by=caller.name,
            remote_addr=caller.remote_addr,
            **fields,
        )
