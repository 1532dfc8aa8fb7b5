/* The table of kinds, one row each template, and the way into their objects. */
#include "kube/pod_kinds.h"

#include "base/buffer.h"
#include "json/pointer.h"

const struct pod_kind pod_kinds[] = {
    {"apps.openshift.io", "DeploymentConfig", "/spec/template", HOLDS_TEMPLATE,
     "core/ReplicationController"},
    {"argoproj.io", "Rollout", "/spec/template", HOLDS_TEMPLATE, "apps/ReplicaSet"},
    {"argoproj.io", "Experiment", "/spec/templates/*/template", HOLDS_TEMPLATE, "apps/ReplicaSet"},
    {"argoproj.io", "Workflow", "/spec/templates/*/container", HOLDS_CONTAINER, NULL},
    {"argoproj.io", "Workflow", "/spec/templates/*/script", HOLDS_CONTAINER, NULL},
    {"argoproj.io", "Workflow", "/spec/templates/*/initContainers", HOLDS_CONTAINERS, NULL},
    {"argoproj.io", "Workflow", "/spec/templates/*/sidecars", HOLDS_CONTAINERS, NULL},
    {"argoproj.io", "Workflow", "/spec/templates/*/containerSet/containers", HOLDS_CONTAINERS,
     NULL},
    {"argoproj.io", "WorkflowTemplate", "/spec/templates/*/container", HOLDS_CONTAINER,
     "argoproj.io/Workflow"},
    {"argoproj.io", "WorkflowTemplate", "/spec/templates/*/script", HOLDS_CONTAINER,
     "argoproj.io/Workflow"},
    {"argoproj.io", "WorkflowTemplate", "/spec/templates/*/initContainers", HOLDS_CONTAINERS,
     "argoproj.io/Workflow"},
    {"argoproj.io", "WorkflowTemplate", "/spec/templates/*/sidecars", HOLDS_CONTAINERS,
     "argoproj.io/Workflow"},
    {"argoproj.io", "WorkflowTemplate", "/spec/templates/*/containerSet/containers",
     HOLDS_CONTAINERS, "argoproj.io/Workflow"},
    {"argoproj.io", "ClusterWorkflowTemplate", "/spec/templates/*/container", HOLDS_CONTAINER,
     "argoproj.io/Workflow"},
    {"argoproj.io", "ClusterWorkflowTemplate", "/spec/templates/*/script", HOLDS_CONTAINER,
     "argoproj.io/Workflow"},
    {"argoproj.io", "ClusterWorkflowTemplate", "/spec/templates/*/initContainers", HOLDS_CONTAINERS,
     "argoproj.io/Workflow"},
    {"argoproj.io", "ClusterWorkflowTemplate", "/spec/templates/*/sidecars", HOLDS_CONTAINERS,
     "argoproj.io/Workflow"},
    {"argoproj.io", "ClusterWorkflowTemplate", "/spec/templates/*/containerSet/containers",
     HOLDS_CONTAINERS, "argoproj.io/Workflow"},
    {"argoproj.io", "CronWorkflow", "/spec/workflowSpec/templates/*/container", HOLDS_CONTAINER,
     "argoproj.io/Workflow"},
    {"argoproj.io", "CronWorkflow", "/spec/workflowSpec/templates/*/script", HOLDS_CONTAINER,
     "argoproj.io/Workflow"},
    {"argoproj.io", "CronWorkflow", "/spec/workflowSpec/templates/*/initContainers",
     HOLDS_CONTAINERS, "argoproj.io/Workflow"},
    {"argoproj.io", "CronWorkflow", "/spec/workflowSpec/templates/*/sidecars", HOLDS_CONTAINERS,
     "argoproj.io/Workflow"},
    {"argoproj.io", "CronWorkflow", "/spec/workflowSpec/templates/*/containerSet/containers",
     HOLDS_CONTAINERS, "argoproj.io/Workflow"},
    {"leaderworkerset.x-k8s.io", "LeaderWorkerSet", "/spec/leaderWorkerTemplate/leaderTemplate",
     HOLDS_TEMPLATE, "apps/StatefulSet"},
    {"leaderworkerset.x-k8s.io", "LeaderWorkerSet", "/spec/leaderWorkerTemplate/workerTemplate",
     HOLDS_TEMPLATE, "apps/StatefulSet"},
    {"jobset.x-k8s.io", "JobSet", "/spec/replicatedJobs/*/template/spec/template", HOLDS_TEMPLATE,
     "batch/Job"},
    {"workload.codeflare.dev", "AppWrapper", "/spec/components/*/template", HOLDS_OBJECT, NULL},
    {"apps.kruise.io", "CloneSet", "/spec/template", HOLDS_TEMPLATE, NULL},
    {"apps.kruise.io", "StatefulSet", "/spec/template", HOLDS_TEMPLATE, NULL},
    {"apps.kruise.io", "DaemonSet", "/spec/template", HOLDS_TEMPLATE, NULL},
    {"apps.kruise.io", "BroadcastJob", "/spec/template", HOLDS_TEMPLATE, NULL},
    {"apps.kruise.io", "AdvancedCronJob", "/spec/template/jobTemplate/spec/template",
     HOLDS_TEMPLATE, "batch/Job"},
    {"apps.kruise.io", "AdvancedCronJob", "/spec/template/broadcastJobTemplate/spec/template",
     HOLDS_TEMPLATE, "apps.kruise.io/BroadcastJob"},
    {"apps.kruise.io", "UnitedDeployment", "/spec/template/statefulSetTemplate/spec/template",
     HOLDS_TEMPLATE, "apps/StatefulSet"},
    {"apps.kruise.io", "UnitedDeployment",
     "/spec/template/advancedStatefulSetTemplate/spec/template", HOLDS_TEMPLATE,
     "apps.kruise.io/StatefulSet"},
    {"apps.kruise.io", "UnitedDeployment", "/spec/template/cloneSetTemplate/spec/template",
     HOLDS_TEMPLATE, "apps.kruise.io/CloneSet"},
    {"apps.kruise.io", "UnitedDeployment", "/spec/template/deploymentTemplate/spec/template",
     HOLDS_TEMPLATE, "apps/ReplicaSet"},
    {"serving.knative.dev", "Service", "/spec/template", HOLDS_TEMPLATE, "apps/ReplicaSet"},
    {"serving.knative.dev", "Configuration", "/spec/template", HOLDS_TEMPLATE, "apps/ReplicaSet"},
    {"serving.kserve.io", "InferenceService", "/spec/predictor", HOLDS_SPEC, "apps/ReplicaSet"},
    {"serving.kserve.io", "InferenceService", "/spec/transformer", HOLDS_SPEC, "apps/ReplicaSet"},
    {"serving.kserve.io", "InferenceService", "/spec/explainer", HOLDS_SPEC, "apps/ReplicaSet"},
    {"keda.sh", "ScaledJob", "/spec/jobTargetRef/template", HOLDS_TEMPLATE, "batch/Job"},
    {"tekton.dev", "TaskRun", "/spec/taskSpec/steps", HOLDS_CONTAINERS, NULL},
    {"tekton.dev", "TaskRun", "/spec/taskSpec/sidecars", HOLDS_CONTAINERS, NULL},
    {"tekton.dev", "Task", "/spec/steps", HOLDS_CONTAINERS, "tekton.dev/TaskRun"},
    {"tekton.dev", "Task", "/spec/sidecars", HOLDS_CONTAINERS, "tekton.dev/TaskRun"},
    {"tekton.dev", "PipelineRun", "/spec/pipelineSpec/tasks/*/taskSpec/steps", HOLDS_CONTAINERS,
     "tekton.dev/TaskRun"},
    {"tekton.dev", "PipelineRun", "/spec/pipelineSpec/tasks/*/taskSpec/sidecars", HOLDS_CONTAINERS,
     "tekton.dev/TaskRun"},
    {"tekton.dev", "Pipeline", "/spec/tasks/*/taskSpec/steps", HOLDS_CONTAINERS,
     "tekton.dev/TaskRun"},
    {"tekton.dev", "Pipeline", "/spec/tasks/*/taskSpec/sidecars", HOLDS_CONTAINERS,
     "tekton.dev/TaskRun"},
    {"batch.volcano.sh", "Job", "/spec/tasks/*/template", HOLDS_TEMPLATE, NULL},
    {"batch.volcano.sh", "CronJob", "/spec/jobTemplate/spec/tasks/*/template", HOLDS_TEMPLATE,
     "batch.volcano.sh/Job"},
    {"kubeflow.org", "PyTorchJob", "/spec/pytorchReplicaSpecs/*/template", HOLDS_TEMPLATE, NULL},
    {"kubeflow.org", "TFJob", "/spec/tfReplicaSpecs/*/template", HOLDS_TEMPLATE, NULL},
    {"kubeflow.org", "MPIJob", "/spec/mpiReplicaSpecs/*/template", HOLDS_TEMPLATE, NULL},
    {"kubeflow.org", "XGBoostJob", "/spec/xgbReplicaSpecs/*/template", HOLDS_TEMPLATE, NULL},
    {"kubeflow.org", "PaddleJob", "/spec/paddleReplicaSpecs/*/template", HOLDS_TEMPLATE, NULL},
    {"kubeflow.org", "JAXJob", "/spec/jaxReplicaSpecs/*/template", HOLDS_TEMPLATE, NULL},
    {"kubeflow.org", "Notebook", "/spec/template", HOLDS_TEMPLATE, "apps/StatefulSet"},
    {"trainer.kubeflow.org", "TrainingRuntime",
     "/spec/template/spec/replicatedJobs/*/template/spec/template", HOLDS_TEMPLATE, "batch/Job"},
    {"trainer.kubeflow.org", "ClusterTrainingRuntime",
     "/spec/template/spec/replicatedJobs/*/template/spec/template", HOLDS_TEMPLATE, "batch/Job"},
    {"sparkoperator.k8s.io", "SparkApplication", "/spec/driver/template", HOLDS_TEMPLATE, NULL},
    {"sparkoperator.k8s.io", "SparkApplication", "/spec/executor/template", HOLDS_TEMPLATE,
     "core/Pod"},
    {"sparkoperator.k8s.io", "ScheduledSparkApplication", "/spec/template/driver/template",
     HOLDS_TEMPLATE, "sparkoperator.k8s.io/SparkApplication"},
    {"sparkoperator.k8s.io", "ScheduledSparkApplication", "/spec/template/executor/template",
     HOLDS_TEMPLATE, "core/Pod"},
    {"ray.io", "RayCluster", "/spec/headGroupSpec/template", HOLDS_TEMPLATE, NULL},
    {"ray.io", "RayCluster", "/spec/workerGroupSpecs/*/template", HOLDS_TEMPLATE, NULL},
    {"ray.io", "RayJob", "/spec/rayClusterSpec/headGroupSpec/template", HOLDS_TEMPLATE,
     "ray.io/RayCluster"},
    {"ray.io", "RayJob", "/spec/rayClusterSpec/workerGroupSpecs/*/template", HOLDS_TEMPLATE,
     "ray.io/RayCluster"},
    {"ray.io", "RayService", "/spec/rayClusterConfig/headGroupSpec/template", HOLDS_TEMPLATE,
     "ray.io/RayCluster"},
    {"ray.io", "RayService", "/spec/rayClusterConfig/workerGroupSpecs/*/template", HOLDS_TEMPLATE,
     "ray.io/RayCluster"},
    {"ray.io", "RayJob", "/spec/submitterPodTemplate", HOLDS_TEMPLATE, "batch/Job"},
    {"core.strimzi.io", "StrimziPodSet", "/spec/pods/*", HOLDS_TEMPLATE, NULL},
    {"actions.github.com", "AutoscalingRunnerSet", "/spec/template", HOLDS_TEMPLATE,
     "actions.github.com/EphemeralRunner"},
    {"actions.github.com", "EphemeralRunnerSet", "/spec/ephemeralRunnerSpec", HOLDS_TEMPLATE,
     "actions.github.com/EphemeralRunner"},
    {"agones.dev", "Fleet", "/spec/template/spec/template", HOLDS_TEMPLATE,
     "agones.dev/GameServer"},
    {"agones.dev", "GameServer", "/spec/template", HOLDS_TEMPLATE, NULL},
};
const size_t pod_kinds_count = sizeof(pod_kinds) / sizeof(*pod_kinds);

/* How what stands at a pointer becomes `{"t": TEMPLATE}`. */
static const struct {
    const char *before, *after;
    size_t skip; /* of a field's pointer: what was put around it */
} wrappings[] = {
    [HOLDS_TEMPLATE] = {"{\"t\":", "}", 0},
    [HOLDS_SPEC] = {"{\"t\":{\"spec\":", "}}", sizeof("/spec") - 1},
    [HOLDS_CONTAINERS] = {"{\"t\":{\"spec\":{\"containers\":", "}}}",
                          sizeof("/spec/containers") - 1},
    [HOLDS_CONTAINER] = {"{\"t\":{\"spec\":{\"containers\":[", "]}}}",
                         sizeof("/spec/containers/0") - 1},
};

struct search {
    const struct object *object;
    const struct pod_kind *row;
    struct arena *arena;
    void (*handle)(void *context, const struct found_pod *found, struct arena *arena);
    void *context;
    size_t count;
};

/* A Rollout's ReplicaSet is there already, with its hash. */
static void set_owner(const struct pod_kind *row, struct pod *pod)
{
    struct slice owner = slice_from(row->owner);
    size_t slash = slice_find(owner, '/');
    struct slice group = slice_head(owner, slash), kind = slice_from_index(owner, slash + 1);
    if (kind.len && !slice_equal(pod->controller.kind, kind)) {
        pod->controller.group = slice_equal(group, SLICE("core")) ? (struct slice){0} : group;
        pod->controller.kind = kind;
    }
}

static bool is_of(const struct object *object, const struct pod_kind *row)
{
    return slice_equal(object->group, slice_from(row->group)) &&
           slice_equal(object->kind, slice_from(row->kind));
}

static const struct pod_kind *find_row(const struct object *object)
{
    for (size_t i = 0; i < pod_kinds_count; i++)
        if (is_of(object, &pod_kinds[i]))
            return &pod_kinds[i];
    return NULL;
}

bool pod_kinds_knows(const struct object *object)
{
    return find_row(object) != NULL;
}

void pod_kinds_set_owner(const struct object *object, struct pod *pod)
{
    const struct pod_kind *row = find_row(object);
    if (row)
        set_owner(row, pod);
}

static void take(struct search *s, struct slice json, struct slice pointer)
{
    struct found_pod found = {.pointer = pointer, .json = json};
    s->count++;
    if (s->row->holds == HOLDS_OBJECT) {
        found.is_object = true;
        s->handle(s->context, &found, s->arena);
        return;
    }
    struct template_path path = {s->object->group, s->object->kind, SLICE("/t")};
    struct slice before = slice_from(wrappings[s->row->holds].before),
                 after = slice_from(wrappings[s->row->holds].after);
    struct object wrapped = *s->object;
    struct workload workload;
    bool missing;
    wrapped.json = arena_join(s->arena, (struct slice[]){before, json, after}, 3);
    if (!workload_read(&wrapped, &path, 1, s->arena, &workload, &missing))
        return;
    found.json = wrapped.json;
    found.template_pointer = path.pointer;
    found.pod = workload.pod;
    found.skip = wrappings[s->row->holds].skip;
    set_owner(s->row, &found.pod);
    s->handle(s->context, &found, s->arena);
}

static void descend(struct search *s, struct slice json, struct slice rest, struct slice pointer);

/* RFC 6901: a key as a part of a pointer. */
static struct slice escape_key(struct slice key, struct arena *arena)
{
    CLEANUP(buffer_done) struct buffer escaped = {0};
    for (size_t i = 0; i < key.len; i++)
        if (key.base[i] == '~' || key.base[i] == '/')
            buffer_append_text(&escaped, key.base[i] == '~' ? "~0" : "~1");
        else
            buffer_append_char(&escaped, key.base[i]);
    return arena_copy(arena, buffer_slice(&escaped));
}

static void each_of_list(struct search *s, struct json_scanner *list, struct slice rest,
                         struct slice pointer)
{
    struct slice value;
    json_array_begin(list);
    for (size_t i = 0; json_array_next(list) && json_skip_slice(list, &value); i++)
        descend(s, value, rest, arena_format(s->arena, "%.*s/%zu", SLICE_ARGS(pointer), i));
}

static void each_of_map(struct search *s, struct json_scanner *map, struct slice rest,
                        struct slice pointer)
{
    struct json_string key;
    struct slice value;
    json_object_begin(map);
    while (json_object_next(map, &key) && json_skip_slice(map, &value)) {
        struct slice part = escape_key(json_string_decode(key, s->arena), s->arena);
        descend(s, value, rest,
                arena_join(s->arena, (struct slice[]){pointer, SLICE("/"), part}, 3));
    }
}

/* Follows `rest` of the row's pointer from `json` on, which is at `pointer` of the object. */
static void descend(struct search *s, struct slice json, struct slice rest, struct slice pointer)
{
    struct json_scanner scanner;
    struct slice found;
    size_t star = slice_find(rest, '*');
    bool every = star < rest.len;
    struct slice head = slice_head(rest, every ? star - 1 : rest.len);
    if (!json_find(json, head, &found))
        return;
    pointer = arena_join(s->arena, (struct slice[]){pointer, head}, 2);
    json_scanner_init(&scanner, found);
    enum scan_type type = json_peek(&scanner);
    rest = slice_from_index(rest, star + 1);
    if (every && type == SCAN_ARRAY)
        each_of_list(s, &scanner, rest, pointer);
    else if (every && type == SCAN_OBJECT)
        each_of_map(s, &scanner, rest, pointer);
    else if (!every && (type == SCAN_ARRAY || type == SCAN_OBJECT))
        take(s, found, pointer);
}

size_t pod_kinds_each(const struct object *object, struct arena *arena,
                      void (*handle)(void *context, const struct found_pod *found,
                                     struct arena *arena),
                      void *context)
{
    struct search s = {.object = object, .arena = arena, .handle = handle, .context = context};
    for (size_t i = 0; i < pod_kinds_count; i++) {
        s.row = &pod_kinds[i];
        if (is_of(object, s.row))
            descend(&s, object->json, slice_from(s.row->pointer), (struct slice){0});
    }
    return s.count;
}
