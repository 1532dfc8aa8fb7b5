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
        "requireInHarbor", "pullSecret", "pullPolicy", "0", "1", "2", "3"],
    "harbor-pilot-serve.1": [
        "POST /mutate/enforce", "POST /mutate/audit", "POST /validate/enforce",
        "POST /validate/audit", "GET /livez", "GET /readyz", "GET /metrics", "400", "404", "405",
        "413", "415", "503", "Retry-After: 1", "HARBOR_PILOT_BIND_ADDRESS", "SIGHUP", "SIGTERM",
        "SIGINT", "time", "level", "msg", "event", "ready", "bindAddress", "adminBindAddress",
        "review", "uid", "webhook", "namespace", "pod", "owner", "mode", "applied", "images",
        "durationSeconds", "repeated", "harborpilot_reviews_total", "mutate", "validate", "result",
        "patched", "unchanged", "denied", "invalid", "harborpilot_images_total", "policy",
        "outcome", "reason", "registry", "other", "harborpilot_review_duration_seconds",
        "harborpilot_policy_generation", "harborpilot_policy_last_reload_successful",
        "harborpilot_policy_last_reload_success_timestamp_seconds",
        "harborpilot_certificate_expiry_timestamp_seconds", "harborpilot_connections",
        "harborpilot_build_info"],
    "harbor-pilot-plan.1": [
        "apiVersion", "kind", "Plan", "policies", "images", "document", "namespace", "name",
        "mode", "errors", "message", "warnings", "summary", "rewrite", "keep", "deny", "warn",
        "reasons", "field", "container", "volume", "image", "result", "outcome", "reason",
        "policy", "source", "bucket", "table", "json", "patch", "COLUMNS", "NO_COLOR"],
    "harbor-pilot-explain.1": [
        "policy-invalid", "protected", "no-policy", "policy-disabled", "mirror-pod", "opted-out",
        "owned-by-operator", "pull-policy-never", "placeholder", "unparseable",
        "already-in-harbor", "registry-not-proxied", "excluded", "not-in-rollout", "too-long",
        "pull-secret-missing", "rewritten", "mode", "reference", "domain", "path", "tag", "digest",
        "considered", "policy", "source", "matched", "reason"],
    "harbor-pilot-check.1": [
        "policies", "errors", "file", "line", "column", "message", "warnings", "cases", "passed",
        "failed", "expected", "got", "owner=", "hash=", "keep:"],
    "harbor-pilot-certs.1": [
        "ca.crt", "ca.key", "tls.crt", "tls.key"],
}

NOT_BUILT = {
    "harbor-pilot.1": [
        "discover", "api", "onHarborUnavailable", "findings"],
    "harbor-pilot-serve.1": [
        "POST /harbor/events", "harborpilot_gate_decisions_total"],
    "harbor-pilot-plan.1": [
        "gate", "detail"],
    "harbor-pilot-explain.1": [
        "refused-by-harbor", "harbor-down", "harbor-auth", "not-in-harbor", "outside-proxy-filter",
        "not-known-in-time"],
    "harbor-pilot-check.1": [
        "deny:", "facts="],
}
