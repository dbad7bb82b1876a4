"""Which namespaces may declare which tokens. Pure."""

from teleport_operator.declaration import Declaration


class Delegation:
    """What namespaces may declare."""

    def find_refusal(self, declaration: Declaration) -> str:
        """Return why a namespace may not declare this, or nothing where it may."""
        del declaration
        return ""
