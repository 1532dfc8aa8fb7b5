/* References. The vectors are those of distribution/reference v0.6.0 (reference_test.go and
 * normalize_test.go) and more around the edges, with what ParseNormalizedNamed gave for each. */
#include "image/reference.h"

#include "tests/unit/check.h"

#define X8(c)   c c c c c c c c
#define X32(c)  X8(c) X8(c) X8(c) X8(c)
#define X64(c)  X8(X8(c))
#define X128(c) X64(c) X64(c)

struct vector {
    const char *text, *domain, *path, *tag, *digest;
};

static const struct vector accepted[] = {
    {"test_com", "docker.io", "library/test_com", "", ""},
    {"test.com:tag", "docker.io", "library/test.com", "tag", ""},
    {"test.com:5000", "docker.io", "library/test.com", "5000", ""},
    {"test.com/repo:tag", "test.com", "repo", "tag", ""},
    {"test:5000/repo", "test:5000", "repo", "", ""},
    {"test:5000/repo:tag", "test:5000", "repo", "tag", ""},
    {"test:5000/repo@sha256:" X64("f"), "test:5000", "repo", "", "sha256:" X64("f")},
    {"test:5000/repo:tag@sha256:" X64("f"), "test:5000", "repo", "tag", "sha256:" X64("f")},
    {"Uppercase/lowercase:tag", "Uppercase", "lowercase", "tag", ""},
    {"lowercase:Uppercase", "docker.io", "library/lowercase", "Uppercase", ""},
    {"sub-dom1.foo.com/bar/baz/quux", "sub-dom1.foo.com", "bar/baz/quux", "", ""},
    {"sub-dom1.foo.com/bar/baz/quux:some-long-tag", "sub-dom1.foo.com", "bar/baz/quux",
     "some-long-tag", ""},
    {"b.gcr.io/test.example.com/my-app:test.example.com", "b.gcr.io", "test.example.com/my-app",
     "test.example.com", ""},
    {"xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", "xn--n3h.com", ""},
    {"xn--7o8h.com/myimage:xn--7o8h.com@sha512:" X128("f"), "xn--7o8h.com", "myimage",
     "xn--7o8h.com", "sha512:" X128("f")},
    {"foo_bar.com:8080", "docker.io", "library/foo_bar.com", "8080", ""},
    {"foo/foo_bar.com:8080", "docker.io", "foo/foo_bar.com", "8080", ""},
    {"192.168.1.1", "docker.io", "library/192.168.1.1", "", ""},
    {"192.168.1.1:tag", "docker.io", "library/192.168.1.1", "tag", ""},
    {"192.168.1.1:5000", "docker.io", "library/192.168.1.1", "5000", ""},
    {"192.168.1.1/repo", "192.168.1.1", "repo", "", ""},
    {"192.168.1.1:5000/repo", "192.168.1.1:5000", "repo", "", ""},
    {"192.168.1.1:5000/repo:5050", "192.168.1.1:5000", "repo", "5050", ""},
    {"[2001:db8::1]/repo", "[2001:db8::1]", "repo", "", ""},
    {"[2001:db8:1:2:3:4:5:6]/repo:tag", "[2001:db8:1:2:3:4:5:6]", "repo", "tag", ""},
    {"[2001:db8::1]:5000/repo", "[2001:db8::1]:5000", "repo", "", ""},
    {"[2001:db8::1]:5000/repo:tag", "[2001:db8::1]:5000", "repo", "tag", ""},
    {"[2001:db8::1]:5000/repo@sha256:" X64("f"), "[2001:db8::1]:5000", "repo", "",
     "sha256:" X64("f")},
    {"[2001:db8::1]:5000/repo:tag@sha256:" X64("f"), "[2001:db8::1]:5000", "repo", "tag",
     "sha256:" X64("f")},
    {"[2001:db8::]:5000/repo", "[2001:db8::]:5000", "repo", "", ""},
    {"[::1]:5000/repo", "[::1]:5000", "repo", "", ""},
    {"example.com/repo:tag", "example.com", "repo", "tag", ""},
    {"test.com/foo", "test.com", "foo", "", ""},
    {"test_com/foo", "docker.io", "test_com/foo", "", ""},
    {"test:8080/foo", "test:8080", "foo", "", ""},
    {"test.com:8080/foo", "test.com:8080", "foo", "", ""},
    {"test-com:8080/foo", "test-com:8080", "foo", "", ""},
    {"xn--n3h.com:18080/foo", "xn--n3h.com:18080", "foo", "", ""},
    {"example.com:8000/named", "example.com:8000", "named", "", ""},
    {"example.com:8000/named:tagged", "example.com:8000", "named", "tagged", ""},
    {"other.com/named@sha256:1234567890098765432112345667890098765432112345667890098765432112",
     "other.com", "named", "",
     "sha256:1234567890098765432112345667890098765432112345667890098765432112"},
    {"test.com", "docker.io", "library/test.com", "", ""},
    {"foo", "docker.io", "library/foo", "", ""},
    {"library/foo", "docker.io", "library/foo", "", ""},
    {"docker.io/library/foo", "docker.io", "library/foo", "", ""},
    {"docker.io/foo", "docker.io", "library/foo", "", ""},
    {"docker/docker", "docker.io", "docker/docker", "", ""},
    {"library/debian", "docker.io", "library/debian", "", ""},
    {"debian", "docker.io", "library/debian", "", ""},
    {"localhost/library/debian", "localhost", "library/debian", "", ""},
    {"localhost/debian", "localhost", "debian", "", ""},
    {"LOCALDOMAIN/library/debian", "LOCALDOMAIN", "library/debian", "", ""},
    {"LOCALDOMAIN/debian", "LOCALDOMAIN", "debian", "", ""},
    {"docker.io/docker/docker", "docker.io", "docker/docker", "", ""},
    {"docker.io/library/debian", "docker.io", "library/debian", "", ""},
    {"docker.io/debian", "docker.io", "library/debian", "", ""},
    {"index.docker.io/docker/docker", "docker.io", "docker/docker", "", ""},
    {"index.docker.io/library/debian", "docker.io", "library/debian", "", ""},
    {"index.docker.io/debian", "docker.io", "library/debian", "", ""},
    {"127.0.0.1:5000/docker/docker", "127.0.0.1:5000", "docker/docker", "", ""},
    {"127.0.0.1:5000/library/debian", "127.0.0.1:5000", "library/debian", "", ""},
    {"127.0.0.1:5000/debian", "127.0.0.1:5000", "debian", "", ""},
    {"192.168.0.1", "docker.io", "library/192.168.0.1", "", ""},
    {"192.168.0.1:80", "docker.io", "library/192.168.0.1", "80", ""},
    {"192.168.0.1:8/debian", "192.168.0.1:8", "debian", "", ""},
    {"192.168.0.2:25000/debian", "192.168.0.2:25000", "debian", "", ""},
    {"thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev", "docker.io",
     "library/thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev", "", ""},
    {"[fc00::1]:5000/docker", "[fc00::1]:5000", "docker", "", ""},
    {"[fc00::1]:5000/docker/docker", "[fc00::1]:5000", "docker/docker", "", ""},
    {"[fc00:1:2:3:4:5:6:7]:5000/library/debian", "[fc00:1:2:3:4:5:6:7]:5000", "library/debian", "",
     ""},
    {"docker.io/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a", "docker.io",
     "library/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a", "", ""},
    {"Docker/docker", "Docker", "docker", "", ""},
    {"DOCKER/docker", "DOCKER", "docker", "", ""},
    {"docker-rules/docker", "docker.io", "docker-rules/docker", "", ""},
    {"docker---rules/docker", "docker.io", "docker---rules/docker", "", ""},
    {"doc/docker", "docker.io", "doc/docker", "", ""},
    {"d/docker", "docker.io", "d/docker", "", ""},
    {"jess/t", "docker.io", "jess/t", "", ""},
    {"dock__er/docker", "docker.io", "dock__er/docker", "", ""},
    {"fooo", "docker.io", "library/fooo", "", ""},
    {"localhost/fooo", "localhost", "fooo", "", ""},
    {"fooo/bar", "docker.io", "fooo/bar", "", ""},
    {"localhost/fooo/bar", "localhost", "fooo/bar", "", ""},
    {"LOCALDOMAIN/fooo", "LOCALDOMAIN", "fooo", "", ""},
    {"LOCALDOMAIN/fooo/bar", "LOCALDOMAIN", "fooo/bar", "", ""},
    {"docker.io/fooo/bar", "docker.io", "fooo/bar", "", ""},
    {"index.docker.io/fooo/bar", "docker.io", "fooo/bar", "", ""},
    {"library/ubuntu", "docker.io", "library/ubuntu", "", ""},
    {"ubuntu", "docker.io", "library/ubuntu", "", ""},
    {"docker.io/library/ubuntu", "docker.io", "library/ubuntu", "", ""},
    {"nonlibrary/ubuntu", "docker.io", "nonlibrary/ubuntu", "", ""},
    {"docker.io/nonlibrary/ubuntu", "docker.io", "nonlibrary/ubuntu", "", ""},
    {"other/library", "docker.io", "other/library", "", ""},
    {"docker.io/other/library", "docker.io", "other/library", "", ""},
    {"private/moonbase", "docker.io", "private/moonbase", "", ""},
    {"127.0.0.1:8000/private/moonbase", "127.0.0.1:8000", "private/moonbase", "", ""},
    {"privatebase", "docker.io", "library/privatebase", "", ""},
    {"127.0.0.1:8000/privatebase", "127.0.0.1:8000", "privatebase", "", ""},
    {"example.com/private/moonbase", "example.com", "private/moonbase", "", ""},
    {"example.com/privatebase", "example.com", "privatebase", "", ""},
    {"example.com:8000/private/moonbase", "example.com:8000", "private/moonbase", "", ""},
    {"privatebasee", "docker.io", "library/privatebasee", "", ""},
    {"example.com:8000/privatebasee", "example.com:8000", "privatebasee", "", ""},
    {"library/ubuntu-12.04-base", "docker.io", "library/ubuntu-12.04-base", "", ""},
    {"ubuntu-12.04-base", "docker.io", "library/ubuntu-12.04-base", "", ""},
    {"docker.io/library/ubuntu-12.04-base", "docker.io", "library/ubuntu-12.04-base", "", ""},
    {"index.docker.io/library/ubuntu-12.04-base", "docker.io", "library/ubuntu-12.04-base", "", ""},
    {"library/foo/bar", "docker.io", "library/foo/bar", "", ""},
    {"docker.io/library/foo/bar", "docker.io", "library/foo/bar", "", ""},
    {"store/foo/bar", "docker.io", "store/foo/bar", "", ""},
    {"docker.io/store/foo/bar", "docker.io", "store/foo/bar", "", ""},
    {"bar", "docker.io", "library/bar", "", ""},
    {"Foo/bar", "Foo", "bar", "", ""},
    {"FOO/bar", "FOO", "bar", "", ""},
    {"redis", "docker.io", "library/redis", "", ""},
    {"docker.io/library/redis", "docker.io", "library/redis", "", ""},
    {"redis:latest", "docker.io", "library/redis", "latest", ""},
    {"docker.io/library/redis:latest", "docker.io", "library/redis", "latest", ""},
    {"redis@sha256:dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c", "docker.io",
     "library/redis", "",
     "sha256:dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c"},
    {"docker.io/library/"
     "redis@sha256:dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c",
     "docker.io", "library/redis", "",
     "sha256:dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c"},
    {"dmcgowan/myapp", "docker.io", "dmcgowan/myapp", "", ""},
    {"docker.io/dmcgowan/myapp", "docker.io", "dmcgowan/myapp", "", ""},
    {"dmcgowan/myapp:latest", "docker.io", "dmcgowan/myapp", "latest", ""},
    {"docker.io/dmcgowan/myapp:latest", "docker.io", "dmcgowan/myapp", "latest", ""},
    {"docker.io/mcgowan/myapp:latest", "docker.io", "mcgowan/myapp", "latest", ""},
    {"dmcgowan/myapp@sha256:dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c",
     "docker.io", "dmcgowan/myapp", "",
     "sha256:dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c"},
    {"docker.io/dmcgowan/"
     "myapp@sha256:dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c",
     "docker.io", "dmcgowan/myapp", "",
     "sha256:dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c"},
    {"sha256:dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c", "docker.io",
     "library/sha256", "dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c", ""},
    {"dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9", "docker.io",
     "library/dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9", "", ""},
    {"docker.io/library/dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9",
     "docker.io", "library/dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9", "",
     ""},
    {"dbcc1", "docker.io", "library/dbcc1", "", ""},
    {"docker.io/library/dbcc1", "docker.io", "library/dbcc1", "", ""},
    {"docker/migrator", "docker.io", "docker/migrator", "", ""},
    {"xn--n3h.com/foo", "xn--n3h.com", "foo", "", ""},
    {"nothing", "docker.io", "library/nothing", "", ""},
    {"busybox", "docker.io", "library/busybox", "", ""},
    {"busybox:latest", "docker.io", "library/busybox", "latest", ""},
    {"busybox@sha256:e6693c20186f837fc393390135d8a598a96a833917917789d63766cab6c59582", "docker.io",
     "library/busybox", "",
     "sha256:e6693c20186f837fc393390135d8a598a96a833917917789d63766cab6c59582"},
    {"library/busybox", "docker.io", "library/busybox", "", ""},
    {"docker.io/busybox", "docker.io", "library/busybox", "", ""},
    {"docker.io/library/busybox", "docker.io", "library/busybox", "", ""},
    {"docker.io/busybox:latest", "docker.io", "library/busybox", "latest", ""},
    {"library/busybox:latest", "docker.io", "library/busybox", "latest", ""},
    {"docker.io/library/busybox:latest", "docker.io", "library/busybox", "latest", ""},
    {"gcr.io/library/busybox", "gcr.io", "library/busybox", "", ""},
    {"gcr.io/library/"
     "busybox:latest@sha256:e6693c20186f837fc393390135d8a598a96a833917917789d63766cab6c59582",
     "gcr.io", "library/busybox", "latest",
     "sha256:e6693c20186f837fc393390135d8a598a96a833917917789d63766cab6c59582"},
    {"busybox:latest@sha256:86e0e091d0da6bde2456dbb48306f3956bbeb2eae1b5b9a43045843f69fe4aaa",
     "docker.io", "library/busybox", "latest",
     "sha256:86e0e091d0da6bde2456dbb48306f3956bbeb2eae1b5b9a43045843f69fe4aaa"},
    {"a_b.c/x", "", "a_b.c/x", "", ""},
    {"a_b.c/x:1", "", "a_b.c/x", "1", ""},
    {"1.2/x", "1.2", "x", "", ""},
    {"a.b:080/x", "a.b:080", "x", "", ""},
    {"QUAY.IO/x/y", "QUAY.IO", "x/y", "", ""},
    {"Registry-1.docker.io/x", "Registry-1.docker.io", "x", "", ""},
    {"registry-1.docker.io/library/postgres:16", "registry-1.docker.io", "library/postgres", "16",
     ""},
    {"INDEX.docker.io/x", "INDEX.docker.io", "x", "", ""},
    {"index.docker.io/postgres:16", "docker.io", "library/postgres", "16", ""},
    {"index.docker.io:443/x", "index.docker.io:443", "x", "", ""},
    {"docker.io:443/x", "docker.io:443", "x", "", ""},
    {"docker.io.evil/x", "docker.io.evil", "x", "", ""},
    {"index.docker.io", "docker.io", "library/index.docker.io", "", ""},
    {"docker.io", "docker.io", "library/docker.io", "", ""},
    {"localhost", "docker.io", "library/localhost", "", ""},
    {"localhost/x", "localhost", "x", "", ""},
    {"LOCALHOST/x", "LOCALHOST", "x", "", ""},
    {"localhost:5000/x", "localhost:5000", "x", "", ""},
    {"localhost:5000", "docker.io", "library/localhost", "5000", ""},
    {"[::1]/x", "[::1]", "x", "", ""},
    {"[::FFFF]/x", "[::FFFF]", "x", "", ""},
    {"x@sha384:" X64("0") X32("0"), "docker.io", "library/x", "", "sha384:" X64("0") X32("0")},
    {"x@sha512:" X128("0"), "docker.io", "library/x", "", "sha512:" X128("0")},
    {"x:" X128("a"), "docker.io", "library/x", X128("a"), ""},
    {"x:_", "docker.io", "library/x", "_", ""},
    {"x:a.-_B9", "docker.io", "library/x", "a.-_B9", ""},
    {"a", "docker.io", "library/a", "", ""},
    {"9", "docker.io", "library/9", "", ""},
    {"a__b", "docker.io", "library/a__b", "", ""},
    {"a.b", "docker.io", "library/a.b", "", ""},
    {"a-b", "docker.io", "library/a-b", "", ""},
    {"a--b", "docker.io", "library/a--b", "", ""},
    {"a/b/c/d/e/f", "docker.io", "a/b/c/d/e/f", "", ""},
    {"xn--n3h.com/x", "xn--n3h.com", "x", "", ""},
    {"a.b/x__y---z.w", "a.b", "x__y---z.w", "", ""},
    {X32("f") "fffffffffffffffffffffffffffffff", "docker.io",
     "library/" X32("f") "fffffffffffffffffffffffffffffff", "", ""},
    {X64("f") "f", "docker.io", "library/" X64("f") "f", "", ""},
    {X64("0") ":t", "docker.io", "library/" X64("0"), "t", ""},
    {"x/" X64("0"), "docker.io", "x/" X64("0"), "", ""},
    {"postgres:16", "docker.io", "library/postgres", "16", ""},
    {"docker.io/library/postgres:16", "docker.io", "library/postgres", "16", ""},
    {"ghcr.io/org/app@sha256:" X64("0"), "ghcr.io", "org/app", "", "sha256:" X64("0")},
    {"registry.k8s.io/pause:3.9", "registry.k8s.io", "pause", "3.9", ""},
    {"auto", "docker.io", "library/auto", "", ""},
    {"busybox:1.36", "docker.io", "library/busybox", "1.36", ""},
    {"localhost:5000/x/y:z", "localhost:5000", "x/y", "z", ""},
};

static const struct slice refused[] = {
    SLICE(""),
    SLICE(":justtag"),
    SLICE("@sha256:" X64("f")),
    SLICE("repo@sha256:ffffffffffffffffffffffffffffffffff"),
    SLICE("validname@invaliddigest:" X64("f")),
    SLICE("Uppercase:tag"),
    SLICE("test:5000/Uppercase/lowercase:tag"),
    SLICE("aa/asdf$$^/aa"),
    SLICE("[2001:db8::1]"),
    SLICE("[2001:db8::1]:5000"),
    SLICE("[2001:db8::1]:tag"),
    SLICE("[fe80::1%eth0]:5000/repo"),
    SLICE("[fe80::1%@invalidzone]:5000/repo"),
    SLICE("example.com/"),
    SLICE("https://github.com/docker/docker"),
    SLICE("docker/Docker"),
    SLICE("-docker"),
    SLICE("-docker/docker"),
    SLICE("-docker.io/docker/docker"),
    SLICE("docker///docker"),
    SLICE("docker.io/docker/Docker"),
    SLICE("docker.io/docker///docker"),
    SLICE("[fc00::1]"),
    SLICE("[fc00::1]:5000"),
    SLICE("fc00::1:5000/debian"),
    SLICE("[fe80::1%eth0]:5000/debian"),
    SLICE("[2001:db8:3:4::192.0.2.33]:5000/debian"),
    SLICE("1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a"),
    SLICE("docker-/docker"),
    SLICE("-docker-/docker"),
    SLICE("____/____"),
    SLICE("_docker/_docker"),
    SLICE("dock..er/docker"),
    SLICE("dock_.er/docker"),
    SLICE("dock-.er/docker"),
    SLICE("docker/"),
    SLICE("this_is_not_a_valid_namespace_because_its_lenth_is_greater_than_255_this_is_not_a_valid_"
          "namespace_because_its_lenth_is_greater_than_255_this_is_not_a_valid_namespace_because_"
          "its_lenth_is_greater_than_255_this_is_not_a_valid_namespace_because_its_lenth_is_"
          "greater_than_255/docker"),
    SLICE("dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c"),
    SLICE("-foo"),
    SLICE("A_b/x"),
    SLICE("a_b.c:80/x"),
    SLICE("a..b/x"),
    SLICE(".a/x"),
    SLICE("a./x"),
    SLICE("-a.b/x"),
    SLICE("a-.b/x"),
    SLICE("a.b-/x"),
    SLICE("a.-b/x"),
    SLICE("a.b:/x"),
    SLICE("a.b:x/y"),
    SLICE("a.b:80:90/x"),
    SLICE("docker.io/"),
    SLICE("index.docker.io/"),
    SLICE("docker.io/library/"),
    SLICE("/x"),
    SLICE("x/"),
    SLICE("x//y"),
    SLICE("library/x/"),
    SLICE("localhost/"),
    SLICE("[]/x"),
    SLICE("[::1]x/y"),
    SLICE("[::1]:/x"),
    SLICE("[::1]:a/x"),
    SLICE("[g]/x"),
    SLICE("[::1/x"),
    SLICE("::1]/x"),
    SLICE("[::1]"),
    SLICE("[1]/x"),
    SLICE("x:"),
    SLICE("x@"),
    SLICE("x:@sha256:" X64("0")),
    SLICE(":x"),
    SLICE("@x"),
    SLICE("x:t@"),
    SLICE("x:t:u"),
    SLICE("x:t@sha256:" X64("0") "@sha256:" X64("0")),
    SLICE("x@sha256:" X64("0") ":t"),
    SLICE("x@sha256:" X32("0") "0000000000000000000000000000000"),
    SLICE("x@sha256:" X64("0") "0"),
    SLICE("x@sha256:" X64("A")),
    SLICE("x@SHA256:" X64("0")),
    SLICE("x@sha256:" X64("g")),
    SLICE("x@sha384:" X64("0")),
    SLICE("x@sha512:" X64("0") X32("0") "0000000000000000000000000000000"),
    SLICE("x@md5:00000000000000000000000000000000"),
    SLICE("x@sha256"),
    SLICE("x@sha256:"),
    SLICE("x@sha256+b64:" X64("0")),
    SLICE("x:" X128("a") "a"),
    SLICE("x:-a"),
    SLICE("x:.a"),
    SLICE("x:a/b"),
    SLICE("x/y:a/b"),
    SLICE("x:\303\274"),
    SLICE("x:a b"),
    SLICE("x:a+b"),
    SLICE("x y"),
    SLICE(" x"),
    SLICE("x "),
    SLICE("x\n"),
    SLICE("x\t"),
    SLICE("x\000"),
    SLICE("x\000:y"),
    SLICE("\303\274"),
    SLICE("x/\303\274"),
    SLICE("x.y/\303\274"),
    SLICE("user@host.com/x"),
    SLICE("user:pw@host.com/x"),
    SLICE("https://x.y/z"),
    SLICE("x?"),
    SLICE("x#y"),
    SLICE("x%20y"),
    SLICE("x\\y"),
    SLICE("_a"),
    SLICE("a_"),
    SLICE("a___b"),
    SLICE("a..b"),
    SLICE("a-"),
    SLICE("a."),
    SLICE("a._b"),
    SLICE("a-_b"),
    SLICE("a.-b"),
    SLICE("a/B"),
    SLICE("a/b_"),
    SLICE("A"),
    SLICE("a.b/A"),
    SLICE("a.b/C/d"),
    SLICE(X64("0")),
    SLICE(X64("f")),
    SLICE(X64("F")),
};

static void test_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++) {
        const struct vector *v = &accepted[i];
        struct slice text = copy_exact(slice_from(v->text));
        struct arena arena = {0};
        struct reference r;
        if (!reference_parse(text, &arena, &r))
            CHECK_FAIL("`%s` was refused", v->text);
        check_text(v->text, "the domain", r.domain, v->domain);
        check_text(v->text, "the path", r.path, v->path);
        check_text(v->text, "the tag", r.tag, v->tag);
        check_text(v->text, "the digest", r.digest, v->digest);
        struct slice suffix = arena_format(&arena, "%s%s%s%s", *v->tag ? ":" : "", v->tag,
                                           *v->digest ? "@" : "", v->digest);
        struct slice name =
            arena_format(&arena, "%s%s%s", v->domain, *v->domain ? "/" : "", v->path);
        check_slice(v->text, "the suffix", r.suffix, suffix);
        check_slice(v->text, "the normalised text", reference_format(&r, &arena),
                    arena_join(&arena, (struct slice[]){name, suffix}, 2));
        arena_done(&arena);
        free((char *)text.base);
    }
}

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct slice text = copy_exact(refused[i]);
        struct arena arena = {0};
        struct reference r, untouched;
        memset(&r, 0x5a, sizeof(r));
        memset(&untouched, 0x5a, sizeof(untouched));
        if (reference_parse(text, &arena, &r))
            CHECK_FAIL("`%.*s` was accepted", SLICE_ARGS(text));
        assert_memory_equal(&r, &untouched, sizeof(r));
        arena_done(&arena);
        free((char *)text.base);
    }
}

/* What is written whole is read as the same, and every part of a text ends where it says. */
static void test_normal_form_is_stable(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++) {
        struct arena arena = {0};
        struct reference r, again;
        assert_true(reference_parse(slice_from(accepted[i].text), &arena, &r));
        struct slice normal = reference_format(&r, &arena);
        if (!reference_parse(normal, &arena, &again))
            CHECK_FAIL("`%s`: `%.*s` was refused", accepted[i].text, SLICE_ARGS(normal));
        check_slice(accepted[i].text, "read again", reference_format(&again, &arena), normal);
        check_slice(accepted[i].text, "the domain read again", again.domain, r.domain);
        arena_done(&arena);
    }
}

/* --- lengths: 255 for domain, '/' and path together (containerd 1.6), in all spellings --- */

static struct slice repeated(struct arena *arena, const char *before, size_t count,
                             const char *after)
{
    struct buffer b = {0};
    buffer_append_text(&b, before);
    for (size_t i = 0; i < count; i++)
        buffer_append_char(&b, 'a');
    buffer_append_text(&b, after);
    struct slice all = arena_copy(arena, buffer_slice(&b));
    buffer_done(&b);
    return all;
}

static void test_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        size_t most; /* a's, so that the whole name has 255 */
    } cases[] = {
        {"quay.io/", "", 255 - 8},
        {"quay.io/", ":tag-does-not-count", 255 - 8},
        {"quay.io/", "@sha256:" X64("0"), 255 - 8},
        {"docker.io/library/", "", 255 - 18},
        {"docker.io/", "", 255 - 18},       /* library/ is counted */
        {"index.docker.io/", "", 255 - 18}, /* and the domain as it is read */
        {"", "", 255 - 18},
        {"x/", ":1", 255 - 12},
        {"a_b.c/", "", 255 - 6}, /* no domain at all */
        {"docker.io/x/", "", 255 - 12},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct reference r;
        struct slice fits = repeated(&arena, cases[i].before, cases[i].most, cases[i].after);
        struct slice over = repeated(&arena, cases[i].before, cases[i].most + 1, cases[i].after);
        if (!reference_parse(fits, &arena, &r))
            CHECK_FAIL("%s…%s of 255 was refused", cases[i].before, cases[i].after);
        check_number(cases[i].before, "the length",
                     (long long)(reference_format(&r, &arena).len - r.suffix.len), 255);
        if (reference_parse(over, &arena, &r))
            CHECK_FAIL("%s…%s of 256 was accepted", cases[i].before, cases[i].after);
        arena_done(&arena);
    }
}

static void test_truncated_at_every_byte(void **state)
{
    (void)state;
    static const char whole[] = "registry.example.com:5000/a/b__c---d.e:v1.2_3@sha256:" X64("e");
    static const char v6[] = "[2001:db8::1]:5000/repo:tag@sha512:" X128("f");
    const char *texts[] = {whole, v6};
    for (size_t t = 0; t < COUNT(texts); t++)
        for (size_t len = 0; len <= strlen(texts[t]); len++) {
            struct slice text = copy_exact(slice_of(texts[t], len));
            struct arena arena = {0};
            struct reference r;
            bool ok = reference_parse(text, &arena, &r);
            if (len == strlen(texts[t]))
                assert_true(ok);
            else if (ok && r.digest.len)
                CHECK_FAIL("a cut digest was taken: %.*s", SLICE_ARGS(text));
            arena_done(&arena);
            free((char *)text.base);
        }
}

static void test_is_domain(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool domain;
    } cases[] = {
        {"docker.io", true},
        {"quay.io", true},
        {"registry-1.docker.io", true},
        {"QUAY.IO", true},
        {"localhost", true},
        {"localhost:5000", true},
        {"harbor:443", true},
        {"Harbor", true}, /* an upper-case letter makes it one */
        {"192.168.1.1", true},
        {"192.168.1.1:80", true},
        {"[::1]", true},
        {"[::1]:5000", true},
        {"harbor", false},          /* would be a path of docker.io */
        {"index.docker.io", false}, /* is read as docker.io */
        {"", false},
        {"a_b.c", false},
        {"harbor.example.com/", false},
        {"harbor.example.com/x", false},
        {"https://harbor.example.com", false},
        {"harbor.example.com:", false},
        {"harbor.example.com:x", false},
        {"harbor..com", false},
        {".com", false},
        {"com.", false},
        {"-a.com", false},
        {"a-.com", false},
        {"::1", false},
        {"[]:1", false},
        {"[::1]:", false},
        {"a.b c", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct reference r;
        struct slice text = copy_exact(slice_from(cases[i].text));
        check_number(cases[i].text, "is a domain", reference_is_domain(text), cases[i].domain);
        struct slice image = arena_format(&arena, "%s/x", cases[i].text);
        bool leads = slice_find(text, '/') == text.len && reference_parse(image, &arena, &r) &&
                     slice_equal(r.domain, text);
        check_number(cases[i].text, "stands as the domain of an image", leads, cases[i].domain);
        arena_done(&arena);
        free((char *)text.base);
    }
}

static void test_is_path(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool path;
    } cases[] = {
        {"a", true},
        {"a/b", true},
        {"docker-hub-proxy", true},
        {"a.b_c__d-e---f", true},
        {"", false},
        {"/", false},
        {"a/", false},
        {"/a", false},
        {"a//b", false},
        {"A", false},
        {"a:b", false},
        {"a@b", false},
        {"a___b", false},
        {"a..b", false},
        {"a b", false},
        {"-a", false},
        {"a.", false},
        {"1/2/3", true},
        {"a._b", false},
        {"a/b_", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct slice text = copy_exact(slice_from(cases[i].text));
        check_number(cases[i].text, "is a path", reference_is_path(text), cases[i].path);
        free((char *)text.base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_normal_form_is_stable),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_is_domain),
        cmocka_unit_test(test_is_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
