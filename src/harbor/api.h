/* Harbor's HTTP API as text: which path asks for what, and what an answer says. No transport:
 * Harbor 2.11 to 2.16, by the recordings in tests/data/harbor. */
#pragma once

#include "base/buffer.h"
#include "base/memory.h"
#include "harbor/fact.h"
#include "harbor/scan.h"

#include <stddef.h>

/* /api/v2.0/projects/P/repositories/R/artifacts/REF: the repository's slash encoded twice, since
 * Harbor's front decodes once (docs/contracts.md#artifact). Nothing else in it can leave its path
 * segment. */
void harbor_artifact_path(const struct artifact_key *key, struct buffer *out);

/* The same with ?with_scan_overview=true: for artifact_details_read. */
void harbor_artifact_scan_path(const struct artifact_key *key, struct buffer *out);

/* …/additions/vulnerabilities: for vulnerability_report_read. */
void harbor_report_path(const struct artifact_key *key, struct buffer *out);

/* …/scan: POST starts one. */
void harbor_scan_path(const struct artifact_key *key, struct buffer *out);

/* What cve_allowlist_read reads for all projects that reuse it. */
#define HARBOR_SYSTEM_ALLOWLIST_PATH "/api/v2.0/system/CVEAllowlist"

/* /v2/P/R/manifests/REF. */
void harbor_manifest_path(const struct artifact_key *key, struct buffer *out);

/* The path, on Harbor's own host, of a token for pulling from the key's repository. The host that a
 * realm names is not believed: it follows what Harbor was told to call itself, or whoever stands
 * between, and a token is not asked for anywhere else than where the policy says Harbor is. */
void harbor_token_path(struct slice realm, struct slice service, const struct artifact_key *key,
                       struct buffer *out);

/* /api/v2.0/projects/P */
void harbor_project_path(struct slice project, struct buffer *out);

/* What an answer to a question means for us. */
enum harbor_answer {
    ANSWER_YES,          /* it is there */
    ANSWER_NO,           /* it is clearly not */
    ANSWER_UNAUTHORIZED, /* our account may not know */
    ANSWER_REFUSED,      /* 412: the pull gate */
    ANSWER_LATER,        /* 429: ask again later */
    ANSWER_FAILED,       /* anything else: Harbor, or something before it, is ill */
};
enum { ANSWER_COUNT = ANSWER_FAILED + 1 };
extern const char *const harbor_answer_names[ANSWER_COUNT];

/* An HTTP answer, as far as it matters. */
struct harbor_reply {
    long status;            /* 0: none came */
    bool json;              /* Content-Type is JSON */
    bool manifest;          /* Content-Type is application/vnd.…: a manifest's or an index's */
    struct slice challenge; /* Www-Authenticate; several are joined by commas (RFC 9110 5.3) */
    long retry_after;       /* seconds; 0: it does not say */
    struct slice body;
};

/* What a status means of itself, by whichever question: 401, 403, 404, 412, 429; else it is a
 * failure. */
enum harbor_answer harbor_answer_by_status(long status);

/* What an answer means that should have been a 200: UNAUTHORIZED, LATER or FAILED. */
enum harbor_answer harbor_read_failure(const struct harbor_reply *reply);

/* GET of an artifact. Only a 404 with Harbor's own NOT_FOUND counts as a no: a proxy's page does
 * not. */
enum harbor_answer harbor_read_artifact(const struct harbor_reply *reply);

/* HEAD of a manifest. 401 with an empty challenge is Harbor's database or a missing project (5037,
 * 1116): a failure, not our account's. HEAD has no body, so the Content-Type tells Harbor's own yes
 * and no (5025, 5033) from the page of a portal or an ingress. */
enum harbor_answer harbor_read_manifest(const struct harbor_reply *reply);

/* Whether the body of a 404 to a manifest says that the project's proxy filter refuses the
 * repository (Harbor 2.16, src/server/middleware/repoproxy/proxy.go checkRepositoryFilter). */
bool harbor_says_filtered(const struct harbor_reply *reply);

/* GET /health. Healthy when core, registry and database are: what pulling needs. False where
 * the body is no health report. */
bool harbor_read_health(const struct harbor_reply *reply, bool *ret_healthy);

/* Which of them are not, of a report: "database and registry". In the arena. */
struct slice harbor_read_ill_parts(const struct harbor_reply *reply, struct arena *arena);

/* Whether a report says that its redis is ill: pulls go all the same, and slowly. */
bool harbor_lacks_redis(const struct harbor_reply *reply);

/* /api/v2.0/projects?project_name=P: HEAD says 200 or 404 to every account that lives, also about
 * projects that it may not read (src/server/v2.0/handler/project.go HeadProject, 2.11 to 2.16). */
void harbor_existence_path(struct slice project, struct buffer *out);

/* The answer to it. Like a manifest's it has no body: its type tells Harbor's own no from a page.
 */
enum harbor_answer harbor_read_existence(const struct harbor_reply *reply);

/* What a project says of itself. */
struct harbor_project {
    enum truth public_;
    bool is_proxy;
    bool
        local_on_not_found; /* it serves its copy of a tag that its upstream has not got any more */
    struct slice filter,
        filter_kind; /* proxy_cache_filter_pattern, …_kind; empty: none. In the arena */
    bool prevent_vul, auto_scan;
    bool reuse_system_allowlist;    /* also where it does not say: Harbor's ReuseSysCVEAllowlist */
    struct cve_allowlist allowlist; /* its own, set or not reused; empty where it cannot be read */
};

enum harbor_answer harbor_read_project(const struct harbor_reply *reply, struct arena *arena,
                                       struct harbor_project *ret);

/* GET of a page of the projects that the account sees. */
#define HARBOR_PROJECTS_PATH "/api/v2.0/projects?page_size=100&page="
enum { HARBOR_PROJECTS_PAGE = 100 };

/* Names of those on the page that are proxy-cache projects for a whole registry, in the arena;
 * `ret_on_page` counts all.
 * False for what is no such page. */
bool harbor_read_projects(const struct harbor_reply *reply, struct arena *arena,
                          struct slice **ret_names, size_t *ret_count, size_t *ret_on_page);

/* /api/v2.0/projects/P/summary: it shows the endpoint also to accounts that may not read endpoints
 * (3045, 4082). */
void harbor_summary_path(struct slice project, struct buffer *out);

/* What a proxy-cache project stands for. */
struct harbor_upstream {
    struct slice domain; /* as it stands in front of images: "docker.io", "registry:5000" */
    enum truth healthy;  /* as Harbor's own probe, every five minutes, has it */
};

/* False where the answer names no endpoint with a URL. In the arena. */
bool harbor_read_summary(const struct harbor_reply *reply, struct arena *arena,
                         struct harbor_upstream *ret);

/* POST of …/scan. */
enum scan_request_answer {
    SCAN_REQUEST_ACCEPTED,
    SCAN_REQUEST_UNDER_WAY,    /* 409: there is one that has not ended */
    SCAN_REQUEST_UNSUPPORTED,  /* 400, 422: not for this scanner, or it is away (1028, 6019) */
    SCAN_REQUEST_NO_SCANNER,   /* 412: none is set, or it is deactivated */
    SCAN_REQUEST_UNAUTHORIZED, /* our account may not */
    SCAN_REQUEST_NOT_FOUND,    /* no such artifact */
    SCAN_REQUEST_FAILED,       /* anything else: ask again later. Also Harbor's read-only mode */
};

/* Other answers than 202, 401 and 403 count only with an error of Harbor's own as their body. */
enum scan_request_answer harbor_read_scan_request(const struct harbor_reply *reply);

/* GET /systeminfo: whether Harbor knows our account. Its own addresses are there only for one that
 * is alive (4028, 4035), and not while the database is down (1107); the version, which may be
 * empty, 2.11 and 2.12 show to everybody. */
bool harbor_read_systeminfo(const struct harbor_reply *reply, struct arena *arena, bool *ret_known,
                            struct slice *ret_version);

/* A notification of Harbor's (docs/contracts.md#notifications): "PROJECT/REPOSITORY" of what
 * changed, in its Default
 * or CloudEvents form; also of scans (SCANNING_COMPLETED, harbor.scan.failed, …). A hint to ask
 * again, never an answer. False where the body is none. */
bool harbor_read_event(struct slice body, struct arena *arena, struct slice *ret_repository);

/* The first Bearer challenge with a realm, of however many: realm and service. False where there is
 * none, also for the empty challenge. */
bool harbor_read_challenge(struct slice header, struct arena *arena, struct slice *ret_realm,
                           struct slice *ret_service);

/* The token of a token service's answer, and how many seconds it lives (60 where it does not say,
 * as the distribution specification has it). */
bool harbor_read_token(const struct harbor_reply *reply, struct arena *arena,
                       struct slice *ret_token, long *ret_seconds);
