"""A tunnel ends with the pod to whose life its member is bound, though the member itself does nothing about it."""

import signal
from pathlib import Path

import pytest

from support.cluster import AgentFactory
from support.kube_apiserver import KubeApiServer
from support.processes import Processes
from support.proxy import Proxy
from support.tunnel_counts import wait_for_tunnels
from support.workload import Workload

ROLE = "pod-watcher"


@pytest.fixture(scope="module", autouse=True)
def _may_watch(kubernetes: KubeApiServer) -> None:
    kubernetes.create_cluster_role(ROLE, "pods,serviceaccounts", "get,list,watch")
    kubernetes.bind(ROLE, "teleport", "auth")


def test_hostile_65_the_tunnel_of_a_pod_that_is_deleted_is_cut_though_its_agent_stands_still(
    kubernetes: KubeApiServer, workload: Workload, make_agent: AgentFactory, processes: Processes, tmp_path: Path
) -> None:
    workload.admit(bind_to_pod=True)
    token_file = tmp_path / "token"
    token_file.write_text(workload.get_token())
    proxy = Proxy(processes, tmp_path / "front", workload.auth).start()
    agent = make_agent(workload.auth, name="pod", roles="app")
    agent.process.environment["TELEPORT_TUNNEL_PUBLIC_ADDR"] = str(proxy.address)
    workload.start_agent(agent, token_file)
    wait_for_tunnels(1, [proxy])

    agent.process.send(signal.SIGSTOP)
    kubernetes.delete_pod(workload.namespace, "app-0")
    wait_for_tunnels(0, [proxy])
    assert "the pod to which its membership was bound has ended" in proxy.process.log
    agent.process.send(signal.SIGCONT)
