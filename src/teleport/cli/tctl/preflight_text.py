"""How the report of `tctl kube preflight` is shown."""

from typing import Any

from teleport.auth.preflight.check import Check, Plan
from teleport.auth.preflight.report import PreflightReport
from teleport.cli.escaping import escape
from teleport.cli.output import render_documents
from teleport.kube.grants import build_all_manifests

_STATUS_WIDTH = 9


def render_report(report: PreflightReport) -> str:
    """Return a line a check, each remedy below it, and the objects to apply at the end."""
    width = max(len(check.name) for check in report.checks) + 1
    lines = "".join(_render_check(check, width) for check in report.checks)
    manifests = build_all_manifests(report.grants)
    return lines + (f"\nThe same RBAC as YAML:\n---\n{render_documents(manifests)}" if manifests else "")


def to_plain(report: PreflightReport, plan: Plan) -> dict[str, Any]:
    """Return the report for programs."""
    return {
        "ready": report.is_ready,
        "verification": plan.verification.value,
        "cluster_name": plan.cluster_name,
        "api_server_audiences": list(report.audiences),
        "issuer": report.issuer,
        "checks": [_check_to_plain(check) for check in report.checks],
        "rbac": build_all_manifests(report.grants),
    }


def _render_check(check: Check, width: int) -> str:
    indent = " " * (_STATUS_WIDTH + width)
    lines = [f"{check.status:<{_STATUS_WIDTH}}{check.name:<{width}}{escape(check.finding)}"]
    lines += [f"{indent}{escape(check.remedy)}"] if check.remedy else []
    lines += [f"{indent}to grant it: {check.grant.command}"] if check.grant is not None else []
    return "".join(f"{line}\n" for line in lines)


def _check_to_plain(check: Check) -> dict[str, Any]:
    command = check.grant.command if check.grant is not None else ""
    return {
        "name": check.name,
        "status": check.status.value,
        "finding": check.finding,
        "remedy": check.remedy,
        "command": command,
    }
