"""From a ServiceAccount token and the token resources of a cluster, or of a file, to what would become of a join."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from teleport.cli.output import render_documents, render_json
from teleport.cli.tctl.cluster import ApiClient, ask, list_tokens, ping
from teleport.cli.tctl.join_rehearsal import Attempt, Verdict, build_candidate, rehearse
from teleport.cli.tctl.join_verdicts import render_text, to_plain
from teleport.cli.tctl.session import Session
from teleport.errors import NotFound
from teleport.join.kubernetes.explaining import View, guess_api_audiences
from teleport.pki.jwt import parse_jwt
from teleport.resources.codec import parse_resources
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, fill_defaults, safe_name


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody wants to know."""

    proof: str = field(repr=False)
    name: str | None
    """Of the one token resource that is meant; None means all."""
    role: SystemRole | None
    api_audiences: tuple[str, ...]
    """Empty means: guess."""
    rules: str | None = field(repr=False)
    """Token resources as YAML; None means those of the cluster."""
    cluster_name: str
    """Goes with `rules`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What would become of the join."""

    attempt: Attempt
    verdicts: Sequence[Verdict]

    @property
    def is_admitted(self) -> bool:
        """Tell whether a token resource would admit the pod."""
        return any(verdict.admits for verdict in self.verdicts)

    def render(self, output_format: str) -> str:
        """Return the answer as text, JSON or YAML."""
        if output_format == "text":
            return render_text(self.attempt, self.verdicts)
        plain = to_plain(self.attempt, self.verdicts)
        return render_json(plain) + "\n" if output_format == "json" else render_documents([plain])


def explain(session: Session, query: Query) -> Answer:
    """Judge the token by each token resource that is meant.

    Raises:
        JwtError: it is no ServiceAccount token, so that nothing would admit it.
        NotFound: there is no such token resource.
        BadParameter: the rules cannot be read.
        TeleportError: the cluster is not found, does not answer, or refuses.
    """
    proof = parse_jwt(query.proof)
    now = session.clock.now()
    if query.rules is None:
        cluster_name, tokens = _fetch(session)
    else:
        found = [each for each in parse_resources(query.rules) if isinstance(each, Token)]
        cluster_name, tokens = query.cluster_name, [fill_defaults(each, now) for each in found]
    view = View(proof, cluster_name, query.api_audiences or guess_api_audiences(proof.claims), now)
    attempt = Attempt(view, query.role)
    return Answer(attempt, [rehearse(build_candidate(token), attempt) for token in _choose(tokens, query.name)])


def _fetch(session: Session) -> tuple[str, list[Token]]:
    async def work(client: ApiClient) -> tuple[str, list[Token]]:
        return (await ping(client)).cluster_name, await list_tokens(client)

    return ask(session, work)


def _choose(tokens: Sequence[Token], name: str | None) -> list[Token]:
    """Return the tokens that are meant; a secret one may be named in full, or as lists show it."""
    typed = {name, safe_name(name)} if name is not None else set()
    chosen = [token for token in tokens if name is None or typed & {token.name, token.safe_name}]
    if not chosen:
        raise NotFound("there is no join token" + (" of this name; see `tctl tokens ls`" if name is not None else ""))
    return sorted(chosen, key=lambda token: token.safe_name)
