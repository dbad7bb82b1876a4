from click.testing import CliRunner, Result

from support.configurations import PIN, load
from teleport.cli.teleport.node_configure import node_configure
from teleport.config.settings import JoinParams
from teleport.resources.address import Address
from teleport.resources.role import SystemRole

OTHER_PIN = "sha256:" + "f" * 64


def run(*args: str) -> Result:
    return CliRunner().invoke(node_configure, list(args))


def test_a_node_is_configured_in_one_go() -> None:
    result = run(
        "--token=kubernetes-token",
        "--join-method=kubernetes",
        "--auth-server=auth",
        f"--ca-pin={PIN},{OTHER_PIN}",
        "--labels=env=prod",
        "--node-name=graviton",
        "--public-addr=node.example.com:3022",
    )
    assert result.stderr == ""
    settings = load(result.stdout)
    assert settings.nodename == "graviton"
    assert settings.join_params == JoinParams("kubernetes", "kubernetes-token")
    assert settings.ca_pins == (PIN, OTHER_PIN)
    (node,) = settings.services
    assert (node.role, node.labels) == (SystemRole.NODE, {"env": "prod"})
    assert node.public_addrs == (Address("node.example.com", 3022),)
    assert node.commands[0].name == "hostname"


def test_a_node_without_a_pin_keeps_the_line_for_it() -> None:
    result = run("--token=a-join-token-of-mine", "--auth-server=auth")
    assert '  ca_pin: ""\n' in result.stdout
    assert "no CA pin" in result.stderr


def test_what_cannot_be_is_a_usage_error() -> None:
    for args in [["--ca-pin=abc"], ["--join-method=magic"], ["--roles=node"], ["--labels=x"]]:
        assert run(*args).exit_code == 2
