"""Every name that the project promises to users, by the man page in which it stands. A name that is
promised and not built yet is in NOT_BUILT; the pages that mention it say so."""

COMMANDS = ["serve", "check", "plan", "explain", "certs", "version"]

NAMES = {
    "harbor-pilot.1": [
        "harbor-pilot.io/v1alpha1", "harbor-pilot.io/mode", "audit", "enforce", "disabled",
        "harbor-pilot.io/original-images", "volume/", "policy", "image-", "volume-",
        "mutate-enforce.harbor-pilot.io", "mutate-audit.harbor-pilot.io",
        "validate-enforce.harbor-pilot.io", "validate-audit.harbor-pilot.io", "harbor-pilot",
        "harbor-pilot-tls", "ca.crt", "tls.crt", "tls.key", "zz-harbor-pilot",
        "HARBOR_PILOT_NAMESPACE", "host", "registries", "protected", "nodesHaveCredentials",
        "trustedControllers", "namespaces", "priority", "mode", "rollout", "exclude", "owners",
        "requireInHarbor", "onHarborUnavailable", "discover", "findings", "severity", "action",
        "enforceOn", "workloads", "pods", "fixableOnly", "unscanned", "unproxied", "unavailable",
        "maxAge", "allow", "warn", "deny", "Low", "Medium", "High", "Critical", "id", "until", "api", "url", "credentialsDirectory", "caFile",
        "username", "password", "never", "cached", "servable", "pullSecret", "pullPolicy", "0",
        "1", "2", "3"],
    "harbor-pilot-serve.1": [
        "POST /mutate/enforce", "POST /mutate/audit", "POST /validate/enforce",
        "POST /validate/audit", "POST /harbor/events", "401", "Authorization", "GET /livez",
        "GET /readyz", "GET /metrics", "400", "404", "405",
        "413", "415", "503", "Retry-After: 1", "HARBOR_PILOT_BIND_ADDRESS", "SIGHUP", "SIGTERM",
        "SIGINT", "time", "level", "msg", "event", "ready", "bindAddress", "adminBindAddress",
        "review", "uid", "webhook", "namespace", "pod", "owner", "mode", "applied", "images",
        "durationSeconds", "repeated", "pullSecret", "harbor-health", "harbor", "healthy", "detail",
        "harbor-account", "version", "not-known-in-time", "harborpilot_harbor_up",
        "harborpilot_harbor_questions_total", "answer", "harborpilot_harbor_questions_pending",
        "child", "report", "pull-gate", "allowlist", "scan", "filter", "projects", "summary",
        "harborpilot_harbor_upstream_up", "project", "harborpilot_gate_decisions_total",
        "allow", "warn", "deny", "kind", "harbor-projects", "registries", "harborpilot_facts_cached", "harborpilot_fact_hits_total", "harborpilot_fact_misses_total",
        "harborpilot_reviews_waited_total", "harborpilot_reviews_late_total",
        "harborpilot_reviews_suspended", "harborpilot_reviews_total", "mutate", "validate",
        "result", "patched", "unchanged", "denied", "invalid", "harborpilot_images_total", "policy",
        "outcome", "reason", "registry", "other", "harborpilot_review_duration_seconds",
        "harborpilot_policy_generation", "harborpilot_policy_last_reload_successful",
        "harborpilot_policy_last_reload_success_timestamp_seconds",
        "harborpilot_certificate_expiry_timestamp_seconds", "harborpilot_connections",
        "harborpilot_connections_closed_total", "connections-closed", "client-refused", "client-ca-invalid", "wrong-secret",
        "--client-ca-file", "--metrics-token-file", "imagesLeftOut", "late", "crowded", "large",
        "harborpilot_build_info"],
    "harbor-pilot-plan.1": [
        "apiVersion", "kind", "Plan", "policies", "images", "document", "namespace", "name",
        "mode", "errors", "message", "warnings", "summary", "rewrite", "keep", "deny", "warn",
        "reasons", "field", "container", "volume", "image", "result", "outcome", "reason",
        "policy", "source", "bucket", "detail", "table", "json", "patch", "COLUMNS", "NO_COLOR",
        "harbors", "healthy", "authorized", "artifacts", "present", "servable", "public",
        "gate", "digest", "scanned", "counts", "cves", "id", "severity", "package", "fix", "allow",
        "recorded", "registries", "scan", "status", "finished", "partial", "findings",
        "allowlisted", "allowlist", "counts", "Unknown", "None", "scannable", "unavailable", "1", "inProxyFilter", "pullGate", "refused", "passed", "not-known-in-time", "3"],
    "harbor-pilot-explain.1": [
        "policy-invalid", "protected", "no-policy", "policy-disabled", "mirror-pod", "opted-out",
        "owned-by-operator", "pull-policy-never", "placeholder", "unparseable",
        "already-in-harbor", "registry-not-proxied", "excluded", "not-in-rollout", "too-long",
        "pull-secret-missing", "harbor-down", "harbor-auth", "refused-by-harbor",
        "outside-proxy-filter", "not-in-harbor", "not-known-in-time", "rewritten", "1", "3",
        "allow", "warn", "deny", "clean", "below-threshold", "allowlisted", "findings",
        "unscanned", "scanning", "scan-failed", "not-scannable", "too-old", "unproxied",
        "unavailable", "mode", "reference", "domain", "path", "tag", "digest",
        "considered", "policy", "source", "matched", "reason"],
    "harbor-pilot-check.1": [
        "policies", "errors", "file", "line", "column", "message", "warnings", "cases", "passed",
        "failed", "expected", "got", "owner=", "hash=", "facts=", "keep:", "deny:"],
    "harbor-pilot-certs.1": [
        "ca.crt", "ca.key", "tls.crt", "tls.key"],
}

NOT_BUILT = {
}
