#!/usr/bin/env bash
# Installs harbor-pilot in the cluster that kubectl talks to, or brings what is there up to date. Running it again
# changes only what is different.
#
#   deploy/install.sh [--image IMAGE] [--policies DIRECTORY] [--renew-certificate]
#
#   --image IMAGE         what the nodes pull (default harbor-pilot:VERSION); see deploy/image.sh
#   --policies DIRECTORY  the *.yaml in it become the ConfigMap harbor-pilot-policies (default: policies/). Running Pods
#                         take up changes by themselves, within about a minute
#   --renew-certificate   a new authority and certificate, although the present one is good for 30 days and more
#
# It makes the Secret harbor-pilot-tls with `harbor-pilot certs init` (the authority's key is thrown away: a new
# certificate comes with a new authority), the ConfigMap, what kustomization.yaml names, and sets the caBundle in both
# webhook configurations. No namespace is labelled: nothing happens to any Pod until you do that. Environment:
# HARBOR_PILOT (the program, default build/harbor-pilot), KUBECTL (default kubectl), KUBECONFIG.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
image=harbor-pilot:$(cat "$here/../VERSION") policies=$here/../policies renew=""
program=${HARBOR_PILOT:-$here/../build/harbor-pilot}
kubectl=${KUBECTL:-kubectl}
namespace=harbor-pilot

fail() { echo "install.sh: $*" >&2; exit 1; }
say() { echo "install.sh: $*" >&2; }

while [ $# -gt 0 ]; do
  case $1 in
    --image | --policies) [ $# -ge 2 ] || fail "$1 needs a value"; declare "${1#--}=$2"; shift 2 ;;
    --renew-certificate) renew=1; shift ;;
    *) sed -n '/^#   deploy/s/^# *//p' "$0" >&2; exit 2 ;;
  esac
done
command -v "$kubectl" >/dev/null || fail "kubectl is not here; KUBECTL can name one"
command -v openssl >/dev/null || fail "openssl is needed, to look at the certificate that is there"
command -v "$program" >/dev/null || fail "$program is not there: run make first, or name one with HARBOR_PILOT"

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

shopt -s nullglob
files=("$policies"/*.yaml)
[ ${#files[@]} -gt 0 ] || fail "no *.yaml in $policies: without a policy there is nothing to install"

"$kubectl" apply -f "$here/00-namespace.yaml" >/dev/null
"$kubectl" -n $namespace create configmap harbor-pilot-policies --dry-run=client -o yaml \
  "${files[@]/#/--from-file=}" | apply

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

# the manifests as they are, but for the image's name
"$kubectl" kustomize "$here" | sed "s|^\( *image: \)harbor-pilot:.*|\1$image|" >"$work/manifests.yaml"
"$kubectl" apply -f "$work/manifests.yaml"
if [ -n "$renewed" ] && [ -s "$work/old.crt" ]; then
  "$kubectl" -n $namespace rollout restart deployment/harbor-pilot >/dev/null
else
  set_ca "$work/ca.crt"
fi
"$kubectl" -n $namespace rollout status deployment/harbor-pilot --timeout=180s >&2 ||
  fail "harbor-pilot did not get ready; see: kubectl -n $namespace describe pods; kubectl -n $namespace logs deployment/harbor-pilot"
set_ca "$work/ca.crt"

say "installed. Nothing is rewritten yet. To see what would be, for one namespace:"
say "  kubectl label namespace NAME harbor-pilot.io/mode=audit"
say "and to move it: the same with enforce and --overwrite; to go back: harbor-pilot.io/mode-"
