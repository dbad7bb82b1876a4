"""`tctl tokens test`."""

from typing import TYPE_CHECKING, Any, BinaryIO

import click

from teleport.cli.escaping import escape
from teleport.cli.input import read_text
from teleport.cli.output import render_documents, render_json, render_table
from teleport.cli.params import format_option
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.errors import BadParameter
from teleport.resources.strict_yaml import MAX_BYTES

if TYPE_CHECKING:
    from teleport.cli.tctl.token_testing import Report, Result

MAX_FILES = 64
STDIN = "<stdin>"
HELP = """\
    Check that token resources admit and refuse the pods that they should.

    Nobody is asked: this is for a CI, before `tctl create`. The files hold token resources as `tctl create` takes them,
    and documents with cases:

    \b
      cases:
      - name: the app joins
        given: {service_account: "teleport-agent:teleport-app-service", role: App}
        expect: admitted
      - name: the same name elsewhere does not
        given: {service_account: "default:teleport-app-service"}
        expect: refused
        reason: no_rule_matched

    The exit status is 0 if all cases pass, 1 if one fails, 2 if the files cannot be read.
    """
HEADER = ("Case", "Result", "Expected", "Got")


@click.command(
    "test",
    cls=TctlCommand,
    help=HELP,
    examples=["tctl tokens test -f rules.yaml -f cases.yaml", "tctl tokens test -f tokens.yaml --format=json"],
)
@click.option(
    "-f", "--file", "files", type=click.File("rb"), multiple=True, required=True, help="Tokens, cases, or both."
)
@format_option("text", "json", "yaml")
@click.pass_context
def test(ctx: click.Context, *, files: tuple[BinaryIO, ...], output_format: str) -> None:
    """Check that token resources admit and refuse the pods that they should."""
    from teleport.cli.tctl.token_files import parse_files  # noqa: PLC0415 - `--help` does not wait for it
    from teleport.cli.tctl.token_testing import run_suites  # noqa: PLC0415 - the same

    if len(files) > MAX_FILES:
        raise click.UsageError(f"more than {MAX_FILES} files", ctx)
    now = ctx.ensure_object(Session).clock.now()
    try:
        texts = [(getattr(file, "name", STDIN), read_text(file, MAX_BYTES)) for file in files]
        report = run_suites(parse_files(texts, now), now)
    except BadParameter as error:
        raise click.UsageError(escape(error.message), ctx) from error
    click.echo(_render(report, output_format), nl=False)
    ctx.exit(1 if report.failed else 0)


def _render(report: "Report", output_format: str) -> str:
    if output_format == "text":
        return _render_text(report)
    plain = {
        "passed": len(report.results) - report.failed,
        "failed": report.failed,
        "cases": [_to_plain(result) for result in report.results],
        "not_testable": [
            {"token": token.safe_name, "join_method": token.spec.join_method} for token in report.not_testable
        ],
    }
    return render_json(plain) + "\n" if output_format == "json" else render_documents([plain])


def _render_text(report: "Report") -> str:
    rows = [
        (result.case.name, "passed" if result.passed else "FAILED", _expected(result), _got(result))
        for result in report.results
    ]
    others = [
        f"Not testable: token {escape(token.safe_name)} is of method {token.spec.join_method}\n"
        for token in report.not_testable
    ]
    summary = f"\n{len(report.results) - report.failed} passed, {report.failed} failed\n"
    details = "".join(_render_details(result) for result in report.results if not result.passed)
    return "".join([render_table(HEADER, rows), details, summary, *others])


def _render_details(result: "Result") -> str:
    """Say of a failed case what each token resource made of it."""
    findings = [(verdict.name, each.detail) for verdict in result.verdicts for each in verdict.findings]
    lines = "".join(f"  {escape(name)}: {escape(detail)}\n" for name, detail in findings)
    return f"\n{escape(result.case.name)}:\n{lines}" if lines else ""


def _expected(result: "Result") -> str:
    case = result.case
    detail = case.reason or ", ".join(sorted(case.by))
    return f"{case.expect} ({detail})" if detail else str(case.expect)


def _got(result: "Result") -> str:
    admitting = sorted(verdict.name for verdict in result.verdicts if verdict.admits)
    if admitting:
        return f"admitted ({', '.join(admitting)})"
    reasons = sorted({verdict.findings[0].reason for verdict in result.verdicts})
    return f"refused ({', '.join(reasons)})" if reasons else "refused (there is no token of method kubernetes)"


def _to_plain(result: "Result") -> dict[str, Any]:
    return {
        "name": result.case.name,
        "passed": result.passed,
        "expected": _expected(result),
        "got": _got(result),
        "tokens": [
            {
                "token": verdict.name,
                "admits": verdict.admits,
                "findings": [{"reason": each.reason, "detail": each.detail} for each in verdict.findings],
            }
            for verdict in result.verdicts
        ],
    }
