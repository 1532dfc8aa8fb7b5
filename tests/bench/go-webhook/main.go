// A webhook as a team would write it in Go: controller-runtime's server, the Pod decoded into its type,
// images changed, and the patch made from the difference. The benchmark compares it with harbor-pilot;
// it knows one Harbor, no waves and one exception.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager/signals"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const (
	host       = "registry.test-cluster.agentydragon.com"
	annotation = "harbor-pilot.io/original-images"
	excluded   = "docker.io/library/busybox"
)

var projects = map[string]string{
	"docker.io":       "docker-hub-proxy",
	"ghcr.io":         "ghcr-proxy",
	"quay.io":         "quay-proxy",
	"registry.k8s.io": "registry-k8s-proxy",
}

// rewrite returns what an image is called in Harbor, or false where it stays as it is.
func rewrite(image string) (string, bool) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil || named.Name() == excluded {
		return "", false
	}
	project, ok := projects[reference.Domain(named)]
	if !ok {
		return "", false
	}
	result := host + "/" + project + "/" + reference.Path(named)
	if tagged, ok := named.(reference.Tagged); ok {
		result += ":" + tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		result += "@" + digested.Digest().String()
	}
	return result, true
}

type rewriter struct {
	decoder admission.Decoder
}

func rewriteAll(containers []corev1.Container, originals map[string]string) {
	for i := range containers {
		container := &containers[i]
		if result, ok := rewrite(container.Image); ok {
			originals[container.Name] = container.Image
			container.Image = result
		}
	}
}

func (r *rewriter) Handle(_ context.Context, request admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := r.decoder.Decode(request, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	originals := map[string]string{}
	rewriteAll(pod.Spec.InitContainers, originals)
	rewriteAll(pod.Spec.Containers, originals)
	if len(originals) == 0 {
		return admission.Allowed("")
	}
	value, err := json.Marshal(originals)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[annotation] = string(value)
	changed, err := json.Marshal(pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, changed)
}

func main() {
	port := flag.Int("port", 9443, "the port on 127.0.0.1")
	directory := flag.String("cert-dir", ".", "where tls.crt and tls.key are")
	flag.Parse()
	log.SetLogger(zap.New())
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	server := webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: *port, CertDir: *directory})
	handler := &rewriter{decoder: admission.NewDecoder(scheme)}
	server.Register("/mutate", &webhook.Admission{Handler: handler})
	if err := server.Start(signals.SetupSignalHandler()); err != nil {
		log.Log.Error(err, "the server ended")
		os.Exit(1)
	}
}
