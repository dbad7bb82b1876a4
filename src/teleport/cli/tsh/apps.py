"""The commands of `tsh apps`."""

from teleport.cli.lazy import LazyGroup

_HERE = "teleport.cli.tsh"

apps = LazyGroup(
    name="apps",
    help="Open web applications and other services behind the proxy.",
    commands_at={
        "ls": f"{_HERE}.app_list:list_apps",
        "login": f"{_HERE}.app_login:login",
        "logout": f"{_HERE}.app_logout:logout",
        "config": f"{_HERE}.app_config:config",
    },
)
