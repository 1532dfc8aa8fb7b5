#!/usr/bin/env bash
# Installs harbor-pilot in the cluster that kubectl talks to, or brings what is there up to date. Running it again
# changes only what is different.
#
#   deploy/install.sh [--image IMAGE] [--policies DIRECTORY] [--renew-certificate] [--harbor-address CIDR]... [--dry-run]
#   deploy/install.sh --uninstall
#
#   --image IMAGE          what the nodes pull (default harbor-pilot:VERSION); see deploy/image.sh
#   --policies DIRECTORY   the *.yaml in it become the ConfigMap harbor-pilot-policies (default: policies/), once
#                          `harbor-pilot check` finds no error. Running Pods take up changes within about a minute
#   --renew-certificate    a new authority and certificate, although the present one is good for 30 days and more
#   --harbor-address CIDR  where Harbor's API is: the NetworkPolicy lets calls out to nobody else. May be repeated
#   --dry-run              shows what would change, and changes nothing
#   --uninstall            takes all of it away, in seconds; namespaces keep their labels
#
# It makes the Secret harbor-pilot-tls with `harbor-pilot certs init` (the authority's key is thrown away: a new
# certificate comes with a new authority), the ConfigMap, what kustomization.yaml names, and sets the caBundle in both
# webhook configurations. Then it lets only the API servers' addresses in, if a review comes through like that. No namespace is
# labelled: nothing happens to any Pod until you do that. Environment: HARBOR_PILOT (the program, default
# build/harbor-pilot), KUBECTL (default kubectl), KUBECONFIG.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
image=harbor-pilot:$(cat "$here/../VERSION") policies=$here/../policies renew="" dry_run="" uninstall=""
harbor_addresses=()
program=${HARBOR_PILOT:-$here/../build/harbor-pilot}
kubectl=${KUBECTL:-kubectl}
namespace=harbor-pilot

fail() { echo "install.sh: $*" >&2; exit 1; }
say() { echo "install.sh: $*" >&2; }

usage() { sed -n '/^#   /s/^# *//p' "$0"; }
wants_value() { [ "$1" -ge 2 ] || fail "$2 needs a value"; }

while [ $# -gt 0 ]; do
  case $1 in
    --image) wants_value $# "$1"; image=$2; shift 2 ;;
    --policies) wants_value $# "$1"; policies=$2; shift 2 ;;
    --harbor-address) wants_value $# "$1"; harbor_addresses+=("$2"); shift 2 ;;
    --renew-certificate) renew=1; shift ;;
    --dry-run) dry_run=1; shift ;;
    --uninstall) uninstall=1; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install.sh: \`$1\` is unknown" >&2; usage >&2; exit 2 ;;
  esac
done
[[ $image =~ ^[A-Za-z0-9][A-Za-z0-9._/:@-]*$ ]] || fail "--image is \`$image\`, expected a reference such as registry.example.com/harbor-pilot:1"
for cidr in ${harbor_addresses[@]+"${harbor_addresses[@]}"}; do
  [[ $cidr =~ ^[0-9a-fA-F.:]+/[0-9]+$ ]] || fail "--harbor-address is \`$cidr\`, expected a range such as 192.0.2.7/32"
done
command -v "$kubectl" >/dev/null || fail "kubectl is not here; KUBECTL can name one"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# apply: what is on stdin. Server-side: no copy of it is kept in an annotation, which a Secret and a large ConfigMap would
# rather not have.
apply() { "$kubectl" apply --server-side --force-conflicts --field-manager=harbor-pilot-install -f - >/dev/null; }

secret_key() { # KEY, decoded
  "$kubectl" -n $namespace get secret harbor-pilot-tls --ignore-not-found -o "go-template={{index .data \"$1\"}}" 2>/dev/null |
    base64 -d 2>/dev/null || true
}

# set_ca FILE: that bundle in every entry of both configurations.
set_ca() {
  local kind name count bundle patch i
  bundle=$(base64 <"$1" | tr -d '\n')
  while read -r kind name; do
    count=$("$kubectl" get "$kind" "$name" -o 'go-template={{len .webhooks}}')
    patch=""
    for ((i = 0; i < count; i++)); do
      patch+=${patch:+,}"{\"op\":\"add\",\"path\":\"/webhooks/$i/clientConfig/caBundle\",\"value\":\"$bundle\"}"
    done
    "$kubectl" patch "$kind" "$name" --type=json --patch "[$patch]" >/dev/null
  done <<'CONFIGURATIONS'
mutatingwebhookconfiguration zz-harbor-pilot
validatingwebhookconfiguration harbor-pilot
CONFIGURATIONS
}

# labelled MODE: the namespaces that carry it, in one line.
labelled() { "$kubectl" get namespaces --selector "harbor-pilot.io/mode=$1" -o 'go-template={{range .items}}{{.metadata.name}} {{end}}'; }

# The configurations first, so that nobody calls any more. Then the Pods need not wait until the API servers have closed
# the connections that they keep for 90 s.
uninstall() {
  local left
  "$kubectl" delete --ignore-not-found mutatingwebhookconfiguration/zz-harbor-pilot validatingwebhookconfiguration/harbor-pilot
  if "$kubectl" get namespace $namespace >/dev/null 2>&1; then
    sleep 2 # until every API server has noticed
    "$kubectl" -n $namespace delete --ignore-not-found --cascade=orphan deployment/harbor-pilot
    "$kubectl" -n $namespace delete --ignore-not-found replicasets --selector app.kubernetes.io/name=harbor-pilot --cascade=orphan
    "$kubectl" -n $namespace delete --ignore-not-found pods --selector app.kubernetes.io/name=harbor-pilot --grace-period=1
    say "waiting for the namespace $namespace and what else is in it"
    "$kubectl" delete namespace $namespace
  fi
  left="$(labelled enforce)$(labelled audit)"
  say "removed. What runs from Harbor goes on running, and is created with its own image next time."
  [ -z "$left" ] || say "these namespaces keep the label harbor-pilot.io/mode, for another installation: $left"
}

# check_policies: an error would be half in force, from the first Pod that restarts.
check_policies() {
  local said status=0
  said=$(HARBOR_PILOT_NAMESPACE=$namespace "$program" check --policies "$policies" 2>&1) || status=$?
  [ $status = 0 ] || { echo "$said" >&2; fail "\`harbor-pilot check\` refuses the policies in $policies; nothing was changed"; }
}

# from copies: a path with \`=\` in it is no path to kubectl.
config_map() {
  mkdir -p "$work/policies"
  cp -- "${files[@]}" "$work/policies/"
  "$kubectl" -n $namespace create configmap harbor-pilot-policies --dry-run=client -o yaml "--from-file=$work/policies"
}

# the manifests as they are, but for the image's name
manifests() { "$kubectl" kustomize "$here" | sed "s|^\( *image: \)harbor-pilot:.*|\1$image|"; }

# differences ARGUMENT...: of what is on stdin; kubectl's 1 means that there are some.
differences() {
  local status=0
  "$kubectl" diff "$@" -f - || status=$?
  [ $status -le 1 ] || fail "kubectl diff failed"
  [ $status = 0 ] || changes=1
}

show_changes() {
  local changes=""
  if ! "$kubectl" get namespace $namespace >/dev/null 2>&1; then
    say "not installed yet: all of this would be made"
    config_map && echo --- && manifests
    return
  fi
  differences --server-side --force-conflicts --field-manager=harbor-pilot-install < <(config_map)
  # whom the NetworkPolicy names is found out at an installation, and is no change
  differences < <(manifests | without_network_policy)
  [ -n "$changes" ] || say "nothing would change"
}
without_network_policy() { awk 'BEGIN { RS = "---\n"; ORS = "---\n" } !/kind: NetworkPolicy/'; }

# ---- whom the NetworkPolicy lets in and out ----

api_servers() { # their addresses, as far as the cluster says
  "$kubectl" -n default get endpoints kubernetes -o 'go-template={{range .subsets}}{{range .addresses}}{{.ip}}{{"\n"}}{{end}}{{end}}' 2>/dev/null
}
range_of() { case $1 in *:*) echo "$1/128" ;; *) echo "$1/32" ;; esac; }

blocks() { # CIDR...: as JSON
  local cidr text=""
  for cidr in "$@"; do text+=${text:+,}"{\"ipBlock\":{\"cidr\":\"$cidr\"}}"; done
  echo "[$text]"
}
patch_network_policy() { "$kubectl" -n $namespace patch networkpolicy harbor-pilot --type=json --patch "$1" >/dev/null; }

# review_arrives: a Pod of a namespace made for it is created for show, behind a configuration that fails closed. The text in
# its bundle makes the API server take a connection of its own, which the NetworkPolicy has to let in.
review_arrives() {
  local probe=harbor-pilot-probe-$RANDOM status=0 bundle # the last one's may still be on its way out
  bundle=$({ echo "probe $RANDOM$RANDOM"; cat "$work/ca.crt"; } | base64 | tr -d '\n')
  "$kubectl" create namespace $probe >/dev/null
  "$kubectl" create -f - >/dev/null <<YAML
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: $probe}
webhooks:
  - name: probe.harbor-pilot.io
    clientConfig: {service: {namespace: $namespace, name: harbor-pilot, port: 443, path: /mutate/audit}, caBundle: $bundle}
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $probe}}
    rules: [{apiGroups: [""], apiVersions: [v1], resources: [configmaps], operations: [CREATE], scope: Namespaced}]
    failurePolicy: Fail
    timeoutSeconds: 5
    sideEffects: NoneOnDryRun
    admissionReviewVersions: [v1]
YAML
  sleep 2 # until every API server has noticed both
  "$kubectl" -n $probe create configmap probe --dry-run=server >/dev/null 2>"$work/probe.log" || status=1
  "$kubectl" delete mutatingwebhookconfiguration $probe >/dev/null
  "$kubectl" delete namespace $probe --wait=false >/dev/null
  return $status
}

narrow_ingress() {
  local address ranges=()
  while read -r address; do ranges+=("$(range_of "$address")"); done < <(api_servers)
  [ ${#ranges[@]} -gt 0 ] || { say "the API servers' addresses are not known: anybody in the cluster may call"; return; }
  patch_network_policy "[{\"op\":\"add\",\"path\":\"/spec/ingress/0/from\",\"value\":$(blocks "${ranges[@]}")}]"
  if review_arrives; then
    say "only the API servers may call: ${ranges[*]}"
  else
    patch_network_policy '[{"op":"remove","path":"/spec/ingress/0/from"}]'
    say "no review arrives from ${ranges[*]}, the addresses of the API servers' endpoints: anybody in the cluster may call, as before"
    sed 's/^/install.sh:   /' "$work/probe.log" >&2
  fi
}

narrow_egress() {
  [ ${#harbor_addresses[@]} -eq 0 ] ||
    patch_network_policy "[{\"op\":\"add\",\"path\":\"/spec/egress/0/to\",\"value\":$(blocks "${harbor_addresses[@]}")}]"
}

say_what_is_in_force() {
  local enforced audited
  enforced=$(labelled enforce) audited=$(labelled audit)
  if [ -z "$enforced$audited" ]; then
    say "installed. Nothing is rewritten yet. To see what would be, for one namespace:"
    say "  kubectl label namespace NAME harbor-pilot.io/mode=audit"
    say "and to move it: the same with enforce and --overwrite; to go back: harbor-pilot.io/mode-"
  else
    say "installed, and in force where a Policy claims the namespace too:"
    say "  enforce: ${enforced:-none}"
    say "  audit:   ${audited:-none}"
  fi
}

if [ -n "$uninstall" ]; then uninstall; exit 0; fi
command -v openssl >/dev/null || fail "openssl is needed, to look at the certificate that is there"
command -v "$program" >/dev/null || fail "$program is not there: run make first, or name one with HARBOR_PILOT"
shopt -s nullglob
files=("$policies"/*.yaml "$policies"/*.yml)
[ ${#files[@]} -gt 0 ] || fail "no *.yaml in $policies: without a policy there is nothing to install"
check_policies
if [ -n "$dry_run" ]; then show_changes; exit 0; fi

"$kubectl" apply -f "$here/00-namespace.yaml" >/dev/null
config_map | apply

secret_key ca.crt >"$work/old.crt"
secret_key tls.crt >"$work/old-leaf.crt"
if [ -z "$renew" ] && openssl x509 -checkend $((30 * 86400)) -noout <"$work/old-leaf.crt" >/dev/null 2>&1; then
  cp "$work/old.crt" "$work/ca.crt"
  renewed=""
else
  say "making a certificate"
  service=harbor-pilot.$namespace
  "$program" certs init --directory "$work/new" --dns-name "$service.svc" --dns-name "$service.svc.cluster.local" >&2
  cp "$work/new/ca.crt" "$work/ca.crt"
  renewed=1
  # both authorities are trusted before any Pod shows the new certificate, and until none shows the old one
  if [ -s "$work/old.crt" ] && "$kubectl" get mutatingwebhookconfiguration zz-harbor-pilot >/dev/null 2>&1; then
    cat "$work/old.crt" "$work/ca.crt" >"$work/both.crt"
    set_ca "$work/both.crt"
  fi
  "$kubectl" -n $namespace create secret generic harbor-pilot-tls --type=kubernetes.io/tls --dry-run=client -o yaml \
    --from-file=ca.crt="$work/new/ca.crt" --from-file=tls.crt="$work/new/tls.crt" --from-file=tls.key="$work/new/tls.key" | apply
fi

manifests >"$work/manifests.yaml"
"$kubectl" apply -f "$work/manifests.yaml"
if [ -n "$renewed" ] && [ -s "$work/old.crt" ]; then
  "$kubectl" -n $namespace rollout restart deployment/harbor-pilot >/dev/null
else
  set_ca "$work/ca.crt"
fi
"$kubectl" -n $namespace rollout status deployment/harbor-pilot --timeout=180s >&2 ||
  fail "harbor-pilot did not get ready; see: kubectl -n $namespace describe pods; kubectl -n $namespace logs deployment/harbor-pilot"
set_ca "$work/ca.crt"

narrow_egress
narrow_ingress
say_what_is_in_force
