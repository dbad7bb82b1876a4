"""Wipes secrets from the process list: every user of a host can read every process's arguments."""

from collections.abc import Sequence

SECRET_FLAGS = ("--token", "--config-string")
HIDDEN = "[hidden]"


def hide_secrets(arguments: Sequence[str]) -> None:
    """Show the process without the values of flags that let somebody in, if it was started with any."""
    masked = mask_arguments(arguments)
    if masked != list(arguments):
        import setproctitle  # noqa: PLC0415 - only a process that has something to hide needs it

        setproctitle.setproctitle(" ".join(masked))


def mask_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the secret ones masked, in both spellings: `--token=X` and `--token X`."""
    masked: list[str] = []
    follows = False
    for argument in arguments:
        name, has_value, _ = argument.partition("=")
        if follows:
            masked.append(HIDDEN)
        elif name in SECRET_FLAGS and has_value:
            masked.append(f"{name}={HIDDEN}")
        else:
            masked.append(argument)
        follows = not follows and argument in SECRET_FLAGS
    return masked
