"""Keys of the original's configuration that have no effect here, by the section they stand in.

A key whose silent loss would leave somebody less safe than they believe is refused with the reason; the others are
warned of by name. `name[]` is the path of a list's entries.
"""

from collections.abc import Mapping

_NO_SESSIONS = "this cluster serves no sessions yet, so the rule would protect nothing"
_NO_USERS = "this cluster has no user logins yet, so the rule would protect nothing"
_FIXED_ALGORITHMS = "algorithms are fixed: TLS 1.3 with its own cipher suites, P-256 and Ed25519 keys"
_NO_PROXY_PROTOCOL = (
    "PROXY headers are never believed; the address of the load balancer would be taken for the caller's"
)
_NO_HOST_RULES = "only what stands under apps is served, so that there is nothing to choose from"

REFUSED: Mapping[str, Mapping[str, str]] = {
    "teleport": {
        "ciphers": _FIXED_ALGORITHMS,
        "kex_algos": _FIXED_ALGORITHMS,
        "mac_algos": _FIXED_ALGORITHMS,
        "ciphersuites": _FIXED_ALGORITHMS,
        "ca_signature_algo": _FIXED_ALGORITHMS,
    },
    "teleport.storage": {
        "audit_events_uri": "audit events go to the data directory and the store, and would not arrive elsewhere",
        "audit_sessions_uri": "sessions are not recorded, and nothing would arrive there",
    },
    "auth_service": {
        "session_recording": _NO_SESSIONS,
        "proxy_checks_host_keys": _NO_SESSIONS,
        "client_idle_timeout": _NO_SESSIONS,
        "disconnect_expired_cert": _NO_SESSIONS,
        "web_idle_timeout": _NO_SESSIONS,
        "session_control_timeout": _NO_SESSIONS,
        "proxy_protocol": _NO_PROXY_PROTOCOL,
        "ca_key_params": "CA keys are kept in the store, sealed; they cannot be kept in a key module",
    },
    "auth_service.authentication": {
        "second_factor": _NO_USERS,
        "second_factors": _NO_USERS,
        "webauthn": _NO_USERS,
        "u2f": _NO_USERS,
        "require_session_mfa": _NO_USERS,
        "locking_mode": _NO_USERS,
        "device_trust": _NO_USERS,
        "hardware_key": _NO_USERS,
        "default_session_ttl": _NO_USERS,
        "max_session_ttl": _NO_USERS,
        "signature_algorithm_suite": _FIXED_ALGORITHMS,
    },
    "ssh_service": {
        "pam": _NO_SESSIONS,
        "enhanced_recording": _NO_SESSIONS,
        "restricted_session": _NO_SESSIONS,
    },
    "proxy_service": {
        "proxy_protocol": _NO_PROXY_PROTOCOL,
    },
    "app_service": {
        "allowed_hosts": _NO_HOST_RULES,
        "denied_hosts": _NO_HOST_RULES,
        "debug_app": "there is no application to look at requests with; name one of your own under apps",
    },
}

IGNORED: Mapping[str, frozenset[str]] = {
    "": frozenset(
        {
            "debug_service",
            "jamf_service",
            "metrics_service",
            "okta_service",
            "plugins",
            "relay_service",
            "tracing_service",
        }
    ),
    "teleport": frozenset(
        {
            "auth_connection_config",
            "cache",
            "keys",
            "relay_server",
            "seed_config",
            "shutdown_delay",
        }
    ),
    "teleport.join_params": frozenset({"azure", "bound_keypair", "env0", "gitlab", "terraform_cloud", "token_secret"}),
    "teleport.connection_limits": frozenset({"max_users"}),
    "teleport.log.format": frozenset({"extra_fields"}),
    "teleport.storage": frozenset({"journal", "poll_stream_period", "retention_period", "sync"}),
    "auth_service": frozenset(
        {
            "access_monitoring",
            "case_insensitive_routing",
            "client_idle_timeout_message",
            "hosted_plugins",
            "keep_alive_count_max",
            "keep_alive_interval",
            "kubeconfig_file",
            "license_file",
            "load_all_cas",
            "message_of_the_day",
            "proxy_listener_mode",
            "proxy_ping_interval",
            "routing_strategy",
            "ssh_dial_timeout",
            "tunnel_strategy",
        }
    ),
    "auth_service.authentication": frozenset(
        {"allow_browser_authentication", "connector_name", "headless", "local_auth", "passwordless"}
    ),
    "ssh_service": frozenset(
        {
            "disable_create_host_user",
            "force_listen",
            "namespace",
            "permit_user_env",
            "port_forwarding",
            "ssh_file_copy",
            "x11",
        }
    ),
    "proxy_service": frozenset(
        {
            "acme",
            "assist",
            "automatic_upgrades_channels",
            "https_cert_file",
            "https_key_file",
            "idp",
            "kube_listen_addr",
            "kube_public_addr",
            "kubernetes",
            "listen_addr",
            "mongo_listen_addr",
            "mongo_public_addr",
            "mysql_listen_addr",
            "mysql_public_addr",
            "mysql_server_version",
            "peer_listen_addr",
            "peer_public_addr",
            "postgres_listen_addr",
            "postgres_public_addr",
            "proxy_group_generation",
            "proxy_group_id",
            "ssh_public_addr",
            "tunnel_listen_addr",
            "ui",
        }
    ),
    "app_service": frozenset({"mcp_demo_server", "resources"}),
    "app_service.apps[]": frozenset(
        {
            "aws",
            "cloud",
            "cors",
            "integration",
            "mcp",
            "required_apps",
            "tcp_ports",
            "use_any_proxy_public_addr",
        }
    ),
    "db_service": frozenset({"aws", "azure", "resources"}),
    "db_service.databases[]": frozenset(
        {"ad", "admin_user", "aws", "azure", "ca_cert_file", "gcp", "mongodb", "mysql", "oracle", "tls"}
    ),
    "kubernetes_service": frozenset({"kubeconfig_file", "resources"}),
    "discovery_service": frozenset(
        {"access_graph", "aws", "azure", "discovery_group", "gcp", "kubernetes", "poll_interval"}
    ),
    "windows_desktop_service": frozenset(
        {
            "discovery",
            "discovery_configs",
            "discovery_interval",
            "host_labels",
            "hosts",
            "kdc_address",
            "ldap",
            "non_ad_hosts",
            "pki_domain",
            "publish_crl_interval",
            "resources",
            "show_desktop_wallpaper",
            "static_hosts",
        }
    ),
}
