/* The service account of a Pod. */
#include "webhook/kube/way.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "webhook/common/clock.h"
#include "webhook/common/files.h"
#include "webhook/common/log.h"

#include <string.h>
#include <unistd.h>

enum { TOKEN_MAX_SIZE = 64 * 1024 };

static char *join(const char *directory, const char *name)
{
    struct buffer path = {0};
    buffer_append_format(&path, "%s/%s", directory, name);
    return path.base;
}

bool account_is_there(const char *directory)
{
    CLEANUP_FREE char *token = join(directory, "token");
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    return host && *host && access(token, R_OK) == 0;
}

static MUST_CHECK bool read_token(struct account *account, struct error *reterr)
{
    CLEANUP_BUFFER struct buffer token = {0};
    CLEANUP_FREE char *path = join(account->directory, "token");
    struct buffer header = {0};
    struct error error;
    if (!file_read(path, TOKEN_MAX_SIZE, &token, &error))
        return error_set(reterr, "%s: %s", path, error.text);
    while (token.len && (unsigned char)token.base[token.len - 1] <= ' ')
        token.len--;
    if (token.len == 0 || memchr(token.base, '\n', token.len))
        return error_set(reterr, "%s: expected a token on one line", path);
    buffer_append_format(&header, "Authorization: Bearer %.*s", (int)token.len, token.base);
    explicit_bzero(token.base, token.len);
    free(account->authorization);
    account->authorization = header.base;
    return true;
}

bool account_open(struct account *account, const char *directory, const char *host,
                  const char *port, struct error *reterr)
{
    struct buffer url = {0};
    *account = (struct account){.directory = directory};
    buffer_append_format(&url, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
                         port && *port ? port : "443");
    account->url = url.base;
    account->ca_file = join(directory, "ca.crt");
    account->read_ms = clock_monotonic_ms();
    if (read_token(account, reterr))
        return true;
    account_done(account);
    return false;
}

void account_refresh(struct account *account, long long now_ms)
{
    struct error error;
    if (now_ms < account->read_ms + ACCOUNT_TOKEN_MS)
        return;
    account->read_ms = now_ms;
    if (!read_token(account, &error))
        log_message(LOG_WARNING, EVENT_KUBE_TOKEN, "%s", error.text);
}

void account_done(struct account *account)
{
    if (account->authorization)
        explicit_bzero(account->authorization, strlen(account->authorization));
    free(account->authorization);
    free(account->url);
    free(account->ca_file);
    *account = (struct account){0};
}
