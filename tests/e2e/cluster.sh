#!/usr/bin/env bash
# A real Kubernetes on this machine for the end-to-end tests: etcd, kube-apiserver, kube-controller-manager and
# kube-scheduler and, with --node, containerd, a kubelet and three registries, so that a Pod whose image was
# rewritten is really pulled and really starts. No container engine is needed, and nothing that is installed
# starts by itself. README.md beside this file says more.
#
#   cluster.sh build              what is missing, into the cache: about 15 minutes from nothing on two cores, 0 s later
#   cluster.sh up [--node]        starts it and prints the KUBECONFIG to use: about 5 s
#   cluster.sh image REF...       pushes a tiny image for each REF that runs until told to stop (argument "once": ends)
#   cluster.sh load ARCHIVE...    imports image archives (OCI or docker) into the node
#   cluster.sh registry NAME DO   what goes wrong with a registry and is over again: stop, start; hang, resume
#   cluster.sh env                prints where things are, as shell assignments
#   cluster.sh down               ends all of it, leaves the logs
#
# Exit status 75 means "cannot run here", with the reason in the one line on stderr; 1 is a failure.
# Environment: KUBEBUILDER_ASSETS (a folder with ready binaries: used for those it has), APISERVER_FLAGS (added).
set -euo pipefail

readonly KUBERNETES=1.36.3 ETCD=3.6.16 CONTAINERD=2.4.2 REGISTRY=3.0.0 CRANE=0.20.6 GO_MINIMUM=1.26.6 GO_FETCHED=1.26.8

self=$(readlink -f "${BASH_SOURCE[0]}")
here=$(dirname "$self")
base=${XDG_CACHE_HOME:-$HOME/.cache}/harbor-pilot
cache=$base/kubernetes-$KUBERNETES-etcd-$ETCD-containerd-$CONTAINERD-registry-$REGISTRY
bin=$cache/bin
run=$base/run
logs=$run/logs
node=$run/node

# Everything listens on loopback. Ports and the Pods' network are unusual ones, so that this cluster does not meet
# another on the same machine.
readonly API_PORT=17443 ETCD_PORT=27379 ETCD_PEER_PORT=27380 KUBELET_PORT=17250 KUBELET_HEALTH_PORT=17248
# The node is named by its address, so that the API server finds it there (kubectl logs, exec).
readonly NODE_NAME=127.0.0.1
readonly POD_NETWORK=10.213.72.0/22 SERVICE_NETWORK=10.213.78.0/24 BRIDGE=hp-e2e0
# this machine as Pods reach it; the bridge has it from the first Pod on
readonly GATEWAY=10.213.72.1
# "harbor" stands in for Harbor, "upstream" for docker.io, ghcr.io, quay.io and registry.k8s.io as the node reaches
# them, "private" for a Harbor that wants a password.
readonly HARBOR=127.0.0.1:25000 UPSTREAM=127.0.0.1:25001 PRIVATE=127.0.0.1:25002
readonly PRIVATE_USER=puller PRIVATE_PASSWORD=end-to-end
# bcrypt of that password, as distribution's htpasswd wants it (it guards throw-away images on loopback)
# shellcheck disable=SC2016  # the dollars are bcrypt's own
readonly PRIVATE_HTPASSWD='puller:$2a$05$C6UzMDM.H6dfI/f/IKcEeO2Dfrj/krNvVLrE6hwaomNwYsO20sxja'

readonly KUBERNETES_PROGRAMS="kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl"

say() { echo "cluster.sh: $*" >&2; }
fail() { say "$*"; exit 1; }
cannot() { say "cannot run here: $*"; exit 75; }

# have NAME: the program is there; links the one in KUBEBUILDER_ASSETS.
have() {
  local ready=${KUBEBUILDER_ASSETS:+$KUBEBUILDER_ASSETS/$1}
  if [ -n "$ready" ] && [ -x "$ready" ]; then ln -sfn "$(readlink -f "$ready")" "$bin/$1"; fi
  [ -x "$bin/$1" ]
}

# install_debian PACKAGE...: none of those used here starts a daemon.
install_debian() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    cannot "it needs $*; install with: apt-get install -y --no-install-recommends $*"
  fi
  say "installing $*"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get install -y -qq --no-install-recommends "$@" ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; }; } >>"$cache/build.log" 2>&1 ||
    not_built "Debian's $*"
}

# need_go: sets $go to one that is new enough; Debian's own fetches that as a module.
need_go() {
  export GOFLAGS=-buildvcs=false GOWORK=off GOTOOLCHAIN=local
  [ -z "${go:-}" ] || return 0
  go=$(command -v go || true)
  if [ -z "$go" ]; then install_debian golang-go ca-certificates; go=$(command -v go); fi
  local have_version
  have_version=$("$go" env GOVERSION | sed 's/^go//')
  if [ "$(printf '%s\n' "$GO_MINIMUM" "$have_version" | sort -V | head -n 1)" = "$GO_MINIMUM" ]; then return; fi

  local platform root
  platform=$("$go" env GOOS)-$("$go" env GOARCH)
  say "go $have_version is older than $GO_MINIMUM: fetching $GO_FETCHED"
  # in an empty folder: the older go must not read this project's go.mod
  root=$(mkdir -p "$cache/fetch" && cd "$cache/fetch" && rm -f go.mod && "$go" mod init fetch >/dev/null 2>&1 &&
    "$go" mod download -json "golang.org/toolchain@v0.0.1-go$GO_FETCHED.$platform" >answer.json 2>>"$cache/build.log" &&
    sed -n 's/.*"Dir": "\(.*\)",*/\1/p' answer.json) || root=
  if [ -z "$root" ] || [ ! -d "$root" ]; then
    sed -n 's/.*"Error": "\(.*\)",*/\1/p' "$cache/fetch/answer.json" >>"$cache/build.log"
    not_built "Go $GO_MINIMUM or newer is not here, and $GO_FETCHED"
  fi
  # a module carries no execute bits
  chmod -R u+w "$root/bin" "$root/pkg/tool" && chmod -R +x "$root/bin" "$root/pkg/tool"
  go=$root/bin/go
  unset GOROOT
}

# logged WHAT COMMAND...: runs it with its output in the log of the build, and says every half minute that it goes on.
logged() {
  local what=$1 status=0 watcher
  shift
  echo "== $what" >>"$cache/build.log"
  say "  $what"
  say_progress "$what" 8>&- &
  watcher=$!
  "$@" >>"$cache/build.log" 2>&1 8>&- || status=$?
  kill $watcher 2>/dev/null || true
  return $status
}
say_progress() {
  local seconds=0
  while sleep 1 && kill -0 $$ 2>/dev/null; do
    seconds=$((seconds + 1))
    [ $((seconds % 30)) != 0 ] || say "  $1: $seconds s; now: $(tail -n 1 "$cache/build.log" | cut -c 1-100)"
  done
}

# not_built WHAT: without a network there is nothing to build from, which is no failure of the tests.
not_built() {
  cp "$cache/build.log" "$cache/build-failed.log"
  cannot "$1 could not be built: $(grep -v '^go: downloading' "$cache/build.log" | tail -n 1) (all of it in $cache/build-failed.log)"
}

build_kubernetes() {
  local program missing=() flags
  for program in $KUBERNETES_PROGRAMS; do have "$program" || missing+=("k8s.io/kubernetes/cmd/$program"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  need_go
  say "building $(printf '%s ' "${missing[@]##*/}")$KUBERNETES (once, some minutes)"
  flags="-s -w -X k8s.io/component-base/version.gitVersion=v$KUBERNETES -X k8s.io/component-base/version.gitMajor=1"
  flags+=" -X k8s.io/component-base/version.gitMinor=36"
  # in a copy: the sums are the project's and stay as they are
  mkdir -p "$cache/kubernetes" && cp "$here/kubernetes/go.mod" "$here/kubernetes/go.sum" "$cache/kubernetes/"
  logged "fetching Kubernetes' modules" in_folder "$cache/kubernetes" "$go" mod download || not_built Kubernetes
  for program in "${missing[@]}"; do
    logged "compiling ${program##*/}" in_folder "$cache/kubernetes" env CGO_ENABLED=0 \
      "$go" build -v -ldflags "$flags" -o "$bin/" "$program" || not_built "${program##*/}"
  done
}
in_folder() { (cd "$1" && "${@:2}"); }

# build_tool NAME MODULE-PATH@VERSION
build_tool() {
  if have "$1"; then return; fi
  need_go
  say "building $1"
  logged "compiling $1" env GOBIN="$bin" CGO_ENABLED=0 "$go" install -v -ldflags "-s -w" "$2" || not_built "$1"
}

build_etcd() { # etcd's module has replacements, which go install refuses; as a dependency it builds
  if have etcd; then return; fi
  need_go
  say "building etcd"
  mkdir -p "$cache/etcd"
  (cd "$cache/etcd" && { [ -f go.mod ] || "$go" mod init etcd; } && "$go" get -tool "go.etcd.io/etcd/server/v3@v$ETCD" &&
    CGO_ENABLED=0 "$go" build -ldflags "-s -w" -o "$bin/etcd" go.etcd.io/etcd/server/v3) >>"$cache/build.log" 2>&1 || not_built etcd
}

# What runs in the test's Pods: one static program, so that an image is one file.
build_sleeper() {
  if [ -x "$bin/sleeper" ]; then return; fi
  need_go
  mkdir -p "$cache/sleeper"
  cat >"$cache/sleeper/main.go" <<'GO'
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "once" {
		return
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	<-told
}
GO
  (cd "$cache/sleeper" && { [ -f go.mod ] || "$go" mod init sleeper 2>/dev/null; } &&
    CGO_ENABLED=0 "$go" build -ldflags "-s -w" -o "$bin/sleeper" .) || fail "the test's own image could not be built"
}

build() {
  mkdir -p "$bin"
  # two builds at once would only be slower
  exec 8>"$cache/build.lock" && flock 8
  : >"$cache/build.log"
  local program packages=()
  command -v runc >/dev/null || packages+=(runc)
  [ -x /usr/lib/cni/bridge ] || packages+=(containernetworking-plugins)
  command -v openssl >/dev/null || packages+=(openssl)
  command -v ip >/dev/null || packages+=(iproute2)
  # deploy/image.sh makes harbor-pilot's image with one of these
  command -v buildah >/dev/null || command -v podman >/dev/null || command -v docker >/dev/null || packages+=(buildah)
  [ ${#packages[@]} = 0 ] || install_debian "${packages[@]}"
  build_kubernetes
  build_etcd
  build_tool crane "github.com/google/go-containerregistry/cmd/crane@v$CRANE"
  build_tool registry "github.com/distribution/distribution/v3/cmd/registry@v$REGISTRY"
  for program in containerd containerd-shim-runc-v2 ctr; do
    build_tool $program "github.com/containerd/containerd/v2/cmd/$program@v$CONTAINERD"
  done
  build_sleeper
  exec 8>&-
}

# start NAME COMMAND...: in a session of its own, so that Ctrl-C in the tests does not end it before `down` does. The
# pid file holds the start time too: after a reboot the pid may be someone else's.
start() {
  local name=$1
  shift
  setsid "$@" >>"$logs/$name.log" 2>&1 8>&- 9>&- &
  echo "$! $(started $!)" >"$run/$name.pid"
}
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# alive NAME: the process that we started under that name still runs; its pid is in $pid.
alive() {
  local since
  [ -f "$run/$1.pid" ] && read -r pid since <"$run/$1.pid" && [ "$(started "$pid")" = "$since" ]
}

# stop NAME...: their data is thrown away, so there is nothing that they should do first.
stop() {
  local name pid first
  for name in "$@"; do
    alive "$name" || continue
    # The node: its namespaces' first process, whose end is complete when that of all others in there is; unshare waits
    # for it.
    if [ "$name" = node ] && read -r first _ <"/proc/$pid/task/$pid/children"; then pid=$first; fi 2>/dev/null
    kill -s KILL "$pid" 2>/dev/null || true
  done
  for name in "$@"; do
    for _ in $(seq 200); do alive "$name" || break; sleep 0.05; done
    rm -f "$run/$name.pid"
  done
}

# wait_for WHAT SECONDS COMMAND...
wait_for() {
  local what=$1 until=$((SECONDS + $2))
  shift 2
  while ! "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || fail "$what did not get ready; see $logs"
    sleep 0.05
  done
}
answers() { (exec 3<>"/dev/tcp/${1/:/\/}") 2>/dev/null; }

up() {
  local program
  [ "${1:-}" != --node ] || [ "$(id -u)" = 0 ] || cannot "a node needs root"
  for program in kube-apiserver etcd; do have $program || fail "not built yet: run $0 build"; done
  if alive apiserver; then fail "a cluster is up already: take it down with $0 down"; fi
  if answers 127.0.0.1:$API_PORT; then fail "port $API_PORT is taken by another program"; fi
  rm -rf "$run" && mkdir -p "$logs" && chmod 700 "$run"
  # whatever goes wrong from here on, nothing is left running
  trap 'say "taking down what was started"; down' EXIT
  control_plane
  [ "${1:-}" != --node ] || start_node
  trap - EXIT
  echo "KUBECONFIG=$run/kubeconfig"
}

control_plane() {
  cd "$run"
  openssl genrsa -out sa.key 2048 2>/dev/null && openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
  local token
  token=$(openssl rand -hex 16)
  echo "$token,admin,1,\"system:masters\"" >tokens.csv
  start etcd "$bin/etcd" --data-dir etcd --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:$ETCD_PORT --advertise-client-urls http://127.0.0.1:$ETCD_PORT \
    --listen-peer-urls http://127.0.0.1:$ETCD_PEER_PORT --initial-advertise-peer-urls http://127.0.0.1:$ETCD_PEER_PORT \
    --initial-cluster default=http://127.0.0.1:$ETCD_PEER_PORT
  wait_for etcd 20 answers 127.0.0.1:$ETCD_PORT
  # aggregator routing: a webhook's clientConfig.service reaches its Pods without kube-proxy
  # shellcheck disable=SC2086  # APISERVER_FLAGS are words
  start apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:$ETCD_PORT --secure-port=$API_PORT \
    --bind-address=127.0.0.1 --cert-dir="$run/certs" --service-cluster-ip-range=$SERVICE_NETWORK \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=sa.pub \
    --service-account-signing-key-file=sa.key --token-auth-file=tokens.csv --authorization-mode=RBAC \
    --enable-aggregator-routing=true --kubelet-preferred-address-types=Hostname --allow-privileged=true ${APISERVER_FLAGS:-}
  wait_for "the API server's certificate" 20 test -s certs/apiserver.crt
  cat >kubeconfig <<YAML
apiVersion: v1
kind: Config
clusters: [{name: e2e, cluster: {server: "https://127.0.0.1:$API_PORT", certificate-authority: "$run/certs/apiserver.crt"}}]
users: [{name: admin, user: {token: $token}}]
contexts: [{name: e2e, context: {cluster: e2e, user: admin}}]
current-context: e2e
YAML
  export KUBECONFIG=$run/kubeconfig
  wait_for "the API server" 60 "$bin/kubectl" get --raw /readyz
  # Without the higher rates Pods are created at 20 a second; without --root-ca-file no token is mounted; with
  # credentials of their own the controllers call as themselves, as they do in a real cluster.
  start controller-manager "$bin/kube-controller-manager" --kubeconfig=kubeconfig --use-service-account-credentials=true \
    --service-account-private-key-file=sa.key --root-ca-file=certs/apiserver.crt --leader-elect=false \
    --kube-api-qps=500 --kube-api-burst=1000 --secure-port=0
  start scheduler "$bin/kube-scheduler" --kubeconfig=kubeconfig --leader-elect=false \
    --kube-api-qps=500 --kube-api-burst=1000 --secure-port=0
}

# start_registry NAME ADDRESS [HTPASSWD-FILE]
start_registry() {
  {
    printf 'version: 0.1\nlog: {level: warn, accesslog: {disabled: false}}\nstorage: {filesystem: {rootdirectory: "%s"}}\n' "$node/$1"
    printf 'http: {addr: "%s", secret: none}\n' "$2"
    [ -z "${3:-}" ] || printf 'auth: {htpasswd: {realm: "%s", path: "%s"}}\n' "$1" "$3"
  } >"$node/$1.yaml"
  serve_registry "$1"
}
serve_registry() { start "$1" env OTEL_TRACES_EXPORTER=none "$bin/registry" serve "$node/$1.yaml"; }

# registry NAME stop|start|hang|resume: a registry that hangs accepts connections, since the kernel does, and never answers.
registry() {
  local address pid=""
  case ${1:-} in harbor) address=$HARBOR ;; upstream) address=$UPSTREAM ;; private) address=$PRIVATE ;; *) fail "no registry ${1:-}" ;; esac
  alive "$1" || [ "${2:-}" = start ] || fail "the registry $1 does not run"
  case ${2:-} in
    stop) stop "$1" ;;
    start)
      if alive "$1"; then fail "the registry $1 runs"; fi
      serve_registry "$1"
      wait_for "the registry on $address" 30 answers "$address"
      ;;
    hang) kill -s STOP "$pid" ;;
    resume) kill -s CONT "$pid" ;;
    *) fail "registry ${1:-}: stop, start, hang or resume" ;;
  esac
}

start_node() {
  # the kernel's limit for a socket's path is 107
  [ ${#node} -lt 80 ] || fail "$node is too long a path for sockets: name a shorter folder with XDG_CACHE_HOME"
  mkdir -p "$node/cni" "$node/certs.d"
  echo "$PRIVATE_HTPASSWD" >"$node/htpasswd"
  start_registry harbor $HARBOR
  start_registry upstream $UPSTREAM
  start_registry private $PRIVATE "$node/htpasswd"
  local address domain
  for address in $HARBOR $UPSTREAM $PRIVATE; do wait_for "the registry on $address" 10 answers "$address"; done
  image $HARBOR/node/pause:1
  for domain in docker.io ghcr.io quay.io registry.k8s.io; do
    mkdir -p "$node/certs.d/$domain"
    printf 'server = "http://%s"\n[host."http://%s"]\ncapabilities = ["pull", "resolve"]\n' $UPSTREAM $UPSTREAM \
      >"$node/certs.d/$domain/hosts.toml"
  done
  cat >"$node/cni/10-bridge.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "e2e", "plugins": [{"type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "ipMasq": false,
 "ipam": {"type": "host-local", "dataDir": "$node/ipam", "ranges": [[{"subnet": "$POD_NETWORK"}]]}}]}
JSON
  # overlayfs does not work on top of itself, as in a container whose own root is one
  local snapshotter=overlayfs
  mkdir -p "$node/try/lower" "$node/try/upper" "$node/try/work" "$node/try/merged"
  (cd "$node/try" && unshare --mount mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged) \
    2>/dev/null || snapshotter=native
  cat >"$node/containerd.toml" <<TOML
version = 3
root = "$node/root"
state = "$node/state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$node/containerd.sock"
[ttrpc]
  address = "$node/containerd.ttrpc"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "$snapshotter"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "$HARBOR/node/pause:1"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "$node/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "$node/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
TOML
  echo "nameserver 127.0.0.1" >"$node/resolv.conf"
  # syncFrequency: a changed ConfigMap is in its Pods after seconds, where it is a minute by default
  cat >"$node/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: $KUBELET_PORT
readOnlyPort: 0
healthzBindAddress: 127.0.0.1
healthzPort: $KUBELET_HEALTH_PORT
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://$node/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /harbor-pilot-e2e
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
maxPods: 500
podLogsDir: $node/podlogs
volumePluginDir: $node/volumeplugins
resolvConf: $node/resolv.conf
syncFrequency: 3s
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
YAML
  # A pid namespace: when its first process is killed, kubelet, containerd, shims and containers all are. A mount
  # namespace: what they mount is never seen outside, and is gone with them.
  start node unshare --mount --pid --fork --kill-child --mount-proc bash "$self" inside
  wait_for "the node" 40 node_ready
}
node_ready() {
  [ "$("$bin/kubectl" get node $NODE_NAME -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ] &&
    "$bin/kubectl" -n default get serviceaccount default
}

# inside: the first process of the node's namespaces.
inside() {
  local setting
  mkdir -p /var/lib/kubelet /var/lib/cni
  for setting in /run /var/log /var/lib/kubelet /var/lib/cni; do mount -t tmpfs e2e "$setting"; done
  # The kubelet and the bridge plugin would set these for the whole machine. They find them as they want them, in a
  # file of their own, and the machine's stay as they are.
  while read -r setting value; do
    echo "$value" >"$node/${setting##*/}" && mount --bind "$node/${setting##*/}" "/proc/sys/$setting"
  done <<'SETTINGS'
vm/overcommit_memory 1
kernel/panic 10
kernel/panic_on_oops 1
net/ipv4/ip_forward 1
SETTINGS
  export PATH=$bin:$PATH
  containerd -c "$node/containerd.toml" >"$logs/containerd.log" 2>&1 &
  wait_for containerd 20 ctr -a "$node/containerd.sock" version
  kubelet --config="$node/kubelet.yaml" --kubeconfig="$run/kubeconfig" --root-dir="$node/kubelet" \
    --cert-dir="$node/kubelet/pki" --hostname-override=$NODE_NAME >"$logs/kubelet.log" 2>&1 &
  # as the first process it also takes in the shims' orphans
  wait
}

# image REF...: each of them differs (a label holds its name), so that the registry sees each being pulled.
image() {
  local work ref
  work=$(mktemp -d)
  cp "$bin/sleeper" "$work/sleeper"
  tar -C "$work" --owner 0 --group 0 -cf "$work/layer.tar" sleeper
  export DOCKER_CONFIG=$work
  printf '{"auths": {"%s": {"auth": "%s"}}}' $PRIVATE "$(printf %s "$PRIVATE_USER:$PRIVATE_PASSWORD" | base64)" >"$work/config.json"
  "$bin/crane" append --insecure -f "$work/layer.tar" -t $HARBOR/node/base:1 >/dev/null 2>"$work/log" ||
    { cat "$work/log" >&2; rm -rf "$work"; fail "no image could be pushed to $HARBOR"; }
  for ref in "$@"; do
    "$bin/crane" mutate --insecure --set-platform "linux/$(architecture)" --entrypoint /sleeper --label "name=$ref" \
      -t "$ref" $HARBOR/node/base:1 >/dev/null 2>"$work/log" ||
      { cat "$work/log" >&2; rm -rf "$work"; fail "$ref could not be pushed"; }
  done
  rm -rf "$work"
}
architecture() { case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac }

load() {
  local archive
  for archive in "$@"; do "$bin/ctr" -a "$node/containerd.sock" -n k8s.io images import "$archive" >/dev/null; done
}

# env: for the tests, which take no value from their own knowledge of this file.
print_env() {
  cat <<ENV
BIN=$bin
LOGS=$logs
KUBECONFIG=$run/kubeconfig
GATEWAY=$GATEWAY
HARBOR=$HARBOR
UPSTREAM=$UPSTREAM
PRIVATE=$PRIVATE
PRIVATE_USER=$PRIVATE_USER
PRIVATE_PASSWORD=$PRIVATE_PASSWORD
KUBERNETES=$KUBERNETES
ENV
}

down() {
  trap - EXIT
  stop node scheduler controller-manager apiserver etcd harbor upstream private
  # what outlives the node's namespaces: its bridge and its (now empty) control groups
  ip link delete $BRIDGE 2>/dev/null || true
  find /sys/fs/cgroup -depth -type d -path '*/harbor-pilot-e2e*' -exec rmdir {} + 2>/dev/null || true
  rm -rf "$run/etcd" "$node"
}

case ${1:-} in
  build | up | image | load | registry | down | inside) "$@" ;;
  env) print_env ;;
  *) sed -n '/^#   cluster.sh/s/^# *//p' "$self" >&2; exit 2 ;;
esac
