"""An auth server that sends the operator away: it is left alone, and joined when it likes."""

from pathlib import Path

from support.cluster import Section
from support.kube_apiserver import KubeApiServer
from support.operator_cluster import ACCOUNT, NAMESPACE, Objects, Operator, find_token, start_auth
from support.operator_specs import build_spec
from support.processes import Processes

IMPATIENT: Section = {"connection_limits": {"refused_joins": {"period": "10s", "average": 1, "burst": 1}}}
LIMITED = "too many refused joins from this address"
TOKEN = "an-operator-s-token"


def test_an_operator_that_was_refused_too_often_waits_as_it_is_told_and_joins(
    kubernetes: KubeApiServer, processes: Processes, tmp_path: Path, objects: Objects, name: str
) -> None:
    auth = start_auth(kubernetes, processes, tmp_path / "limited", teleport=IMPATIENT)
    operator = Operator(processes, tmp_path / "operator", kubernetes, auth, flags=(f"--token={TOKEN}",))
    operator.launch()
    operator.process.wait_for_log(LIMITED)
    allow = [{"service_account": f"{NAMESPACE}:{ACCOUNT}"}]
    spec = {"roles": ["Bot"], "bot_name": "operator", "join_method": "kubernetes", "kubernetes": {"allow": allow}}
    auth.create({"kind": "token", "version": "v2", "metadata": {"name": TOKEN}, "spec": spec})
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    assert find_token(auth, name) is not None
    assert operator.process.log.count(LIMITED) == 1
    operator.process.wait_for_status(200)
    assert operator.process.stop() == 0
