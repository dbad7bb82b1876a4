"""How it is shown what a ServiceAccount token says, and what would become of a join with it; never the token itself."""

from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import Any

from teleport.cli.escaping import escape
from teleport.cli.output import render_pairs, render_table
from teleport.cli.tctl.join_rehearsal import METHOD, Attempt, Verdict
from teleport.cli.tctl.join_remedies import Remedy, find_remedy
from teleport.join.kubernetes.explaining import Finding
from teleport.pki.jwt import JwtError, UnverifiedJwt, read_time
from teleport.resources.model import render_time

NOT_VERIFIED = (
    "The ServiceAccount token is read and not verified: nobody was asked whether it is genuine. Only where a token\n"
    "resource has static_jwks, its signature was tried by those keys."
)
HEADER = ("Token", "Admits", "Why")
MAX_SHOWN = 256


def summarize_claims(proof: UnverifiedJwt) -> dict[str, str]:
    """Return what the token says of itself, as far as that is no secret; of a claim of the wrong shape nothing."""
    claims = proof.claims
    bound = claims.get("kubernetes.io")
    pod = bound.get("pod") if isinstance(bound, Mapping) else None
    audiences = claims.get("aud")
    shown = {
        "subject": claims.get("sub"),
        "pod": pod.get("name") if isinstance(pod, Mapping) else None,
        "audience": ", ".join(map(str, audiences)) if isinstance(audiences, list) else audiences,
        "issuer": claims.get("iss"),
        "issued": _read_time(claims, "iat"),
        "expires": _read_time(claims, "exp"),
        "key": proof.key_id,
    }
    return {name: text[:MAX_SHOWN] for name, text in shown.items() if isinstance(text, str)}


def to_plain(attempt: Attempt, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return everything as plain data."""
    return {
        "verified": False,
        "claims": summarize_claims(attempt.view.proof),
        "admitted": any(verdict.admits for verdict in verdicts),
        "tokens": [_to_plain(verdict, attempt) for verdict in verdicts],
    }


def render_text(attempt: Attempt, verdicts: Sequence[Verdict]) -> str:
    """Return everything as a person reads it: what the token says, a table, and what to know or do for each row."""
    summary = summarize_claims(attempt.view.proof)
    claims = render_pairs((f"{name.capitalize()}:", text) for name, text in summary.items())
    rows = [(verdict.name, "yes" if verdict.admits else "no", _summarize(verdict)) for verdict in verdicts]
    details = (_render_verdict(verdict, attempt) for verdict in verdicts if _is_worth_a_word(verdict, verdicts))
    return "\n".join([claims, NOT_VERIFIED + "\n", render_table(HEADER, rows), *details])


def _is_worth_a_word(verdict: Verdict, verdicts: Sequence[Verdict]) -> bool:
    """Pass over tokens of other methods, of which there may be hundreds, unless there is nothing else."""
    return verdict.candidate.token.spec.join_method == METHOD or len(verdicts) == 1


def _summarize(verdict: Verdict) -> str:
    if verdict.admits:
        return _describe_rule(verdict)
    return ", ".join(dict.fromkeys(finding.reason for finding in verdict.findings))


def _render_verdict(verdict: Verdict, attempt: Attempt) -> str:
    if verdict.admits:
        conditions = "".join(f"- {escape(each)}\n" for each in verdict.explanation.conditions)
        return f"{escape(verdict.name)} admits it, if\n{indent(conditions, '  ')}"
    shown: set[Remedy] = set()
    findings = ""
    for finding in verdict.findings:
        remedy = find_remedy(finding, verdict.candidate, attempt)
        findings += f"- {finding.check}: {escape(finding.detail)} ({finding.reason})\n"
        if remedy is not None and remedy not in shown:
            findings += _render_remedy(remedy)
            shown.add(remedy)
    return f"{escape(verdict.name)} does not admit it:\n{indent(findings, '  ')}"


def _render_remedy(remedy: Remedy) -> str:
    text = remedy.yaml and f"\n{indent(remedy.yaml, '      ')}\n"
    return f"  What helps: {remedy.advice}{':' if text else ''}\n{text}"


def _describe_rule(verdict: Verdict) -> str:
    spec, number = verdict.candidate.spec, verdict.explanation.rule
    if spec is None or number is None:
        return ""
    fields = spec.allow[number - 1].model_dump(exclude_defaults=True)
    return f"rule {number}: {', '.join(f'{name}={value}' for name, value in fields.items())}"


def _to_plain(verdict: Verdict, attempt: Attempt) -> dict[str, Any]:
    return {
        "token": verdict.name,
        "admits": verdict.admits,
        "rule": verdict.explanation.rule,
        "conditions": list(verdict.explanation.conditions),
        "findings": [_finding_to_plain(each, verdict, attempt) for each in verdict.findings],
    }


def _finding_to_plain(finding: Finding, verdict: Verdict, attempt: Attempt) -> dict[str, Any]:
    remedy = find_remedy(finding, verdict.candidate, attempt)
    return {
        "check": finding.check,
        "reason": finding.reason,
        "detail": finding.detail,
        "advice": remedy.advice if remedy is not None else "",
        "yaml": remedy.yaml if remedy is not None else "",
    }


def _read_time(claims: Mapping[str, Any], name: str) -> str | None:
    try:
        time = read_time(claims, name)
    except JwtError:
        return None
    return render_time(time) if time is not None else None
