"""Method `kubernetes`: a pod proves with its ServiceAccount token who it is, and nothing secret is shared before.

`spec.py` is what a token resource may say, `rules.py` whom it admits, `claims.py` what a ServiceAccount token says,
`judge.py` how it is judged, `proving.py` what the pod shows.
"""

from teleport.join.kubernetes.proving import explain, prove
from teleport.join.method import JoinMethod, Judge, JudgeContext


def build_judge(context: JudgeContext) -> Judge:
    """Return the judging half."""
    from teleport.join.kubernetes.judge import KubernetesJudge  # noqa: PLC0415 - an agent does not carry it in memory

    return KubernetesJudge(context)


METHOD = JoinMethod(build_judge=build_judge, prove=prove, explain=explain)
