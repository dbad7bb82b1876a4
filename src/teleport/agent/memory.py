"""What an agent remembers over a restart; all of it is one document, so that a crash leaves the old or the new."""

from teleport.api.joined import Joined, Keys
from teleport.resources.model import Model


class AgentState(Model):
    """All that an agent remembers over a restart."""

    pending_keys: Keys | None = None
    """Keys that auth was asked to certify and perhaps has: asked again with the same ones, it gives the same answer."""
    joined: Joined | None = None
