"""Pods that join through a proxy, judged by a real API server."""

from pathlib import Path

import pytest

from support.processes import Processes
from support.public_proxy import PublicProxy
from support.workload import Workload


@pytest.fixture
def front(workload: Workload, processes: Processes, tmp_path: Path) -> PublicProxy:
    return PublicProxy(processes, tmp_path / "public", workload.auth).start()


def test_a_pod_joins_through_a_proxy_by_its_serviceaccount_token_alone(
    workload: Workload, front: PublicProxy, tmp_path: Path
) -> None:
    workload.admit()
    agent = front.make_agent("pod", roles="app")
    (tmp_path / "token").write_text(workload.get_token())
    agent.process.environment["KUBERNETES_TOKEN_PATH"] = str(tmp_path / "token")
    config = agent.configure(
        teleport={
            "join_params": {"method": "kubernetes", "token_name": workload.token_name},
            "proxy_server": front.address,
            "data_dir": str(agent.data_dir),
            "nodename": agent.name,
            "diag_addr": str(agent.process.diag),
        },
        auth_service={"enabled": "no"},
        ssh_service={"enabled": "no"},
        proxy_service={"enabled": "no"},
        app_service={"enabled": "yes", "apps": [{"name": "demo", "uri": "http://localhost:80"}]},
    )
    agent.process.arguments = ("teleport", "start", f"--config={config}")
    agent.process.start()

    agent.wait_until_ready()

    workload.auth.wait_for_record(agent.name, "app_server")
    assert workload.auth.list_joins(agent.name) == [True]
