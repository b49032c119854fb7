"""Convert authorisations of suites to messages. A permanent code is in none of them."""

from wecom_broker.v1 import suite_service_pb2 as pb

from broker.domain.suites.authorization import AuthMode, AuthorizedAgent, Edition, SharedFrom
from broker.domain.suites.view import AuthorizationView, ViewState
from broker.server.grpc.messages import SHARE_KINDS_OUT

STATES = {
    ViewState.ACTIVE: pb.AUTHORIZATION_STATE_ACTIVE,
    ViewState.PENDING: pb.AUTHORIZATION_STATE_PENDING,
    ViewState.LOST: pb.AUTHORIZATION_STATE_LOST,
    ViewState.REAUTHORIZATION_REQUIRED: pb.AUTHORIZATION_STATE_REAUTHORIZATION_REQUIRED,
    ViewState.CANCELLED: pb.AUTHORIZATION_STATE_CANCELLED,
}
MODES = {
    None: pb.AUTH_MODE_UNSPECIFIED,
    AuthMode.ADMIN: pb.AUTH_MODE_ADMIN,
    AuthMode.MEMBER: pb.AUTH_MODE_MEMBER,
}


def authorization(view: AuthorizationView) -> pb.Authorization:
    """Return the message of an authorisation, or of a code that has not become one."""
    return pb.Authorization(
        app=view.suite,
        corp_id=view.corp_id,
        corp_name=view.corp_name,
        state=STATES[view.state],
        agents=[_agent(agent) for agent in view.agents],
        auth_mode=MODES[view.auth_mode],
        installer_user_id=view.installer_user_id,
        install_state=view.install_state,
        install_time=view.install_time,
        update_time=view.update_time,
        problem=view.problem,
        installation_id=view.code_hash,
    )


def _agent(agent: AuthorizedAgent) -> pb.AuthorizedAgent:
    return pb.AuthorizedAgent(
        agent_id=agent.agent_id,
        name=agent.name,
        edition=_edition(agent.edition) if agent.edition else None,
        shared_from=_shared_from(agent.shared_from) if agent.shared_from else None,
        permissions=[
            pb.Permission(name=permission.name, expire_time=permission.expires_at)
            for permission in agent.permissions
        ],
    )


def _edition(edition: Edition) -> pb.Edition:
    return pb.Edition(
        edition_id=edition.edition_id,
        edition_name=edition.edition_name,
        app_status=edition.app_status,
        user_limit=edition.user_limit,
        expire_time=edition.expires_at,
        shared_from_other_corp=edition.shared_from_other_corp,
    )


def _shared_from(parent: SharedFrom) -> pb.SharedFrom:
    return pb.SharedFrom(corp_id=parent.corp_id, share_kind=SHARE_KINDS_OUT[parent.share_kind])
