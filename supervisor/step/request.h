/* A request of the server: what a step is, or which step to follow. */
#ifndef DANUBE_REQUEST_H
#define DANUBE_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#define KEY_BYTES 32

struct spec {
    char id[128];
    uint32_t attempt;
    uint8_t key[KEY_BYTES];
    char *command; /* NULL: follow only */
    char **env;    /* NAME=VALUE */
    size_t env_count;
    char *workdir;
    char *shell; /* NULL: /bin/sh -e */
    uint64_t timeout_ms; /* 0: none */
    uint64_t grace_ms;   /* between TERM and KILL */
    uint64_t from_offset;
    char user[32]; /* UID:GID, or empty */
    int kill;
};

enum request_result { REQUEST_OK, REQUEST_MALFORMED, REQUEST_OTHER_VERSION };

/* Parses a request's body and copies what is in it. grace_ms: used when the request has none. The caller frees `out` with
 * spec_free, whatever the result. */
enum request_result request_parse(const uint8_t *body, size_t size, uint64_t grace_ms, struct spec *out);

/* Overwrites and frees what the spec points to; id, attempt, key and numbers stay. */
void spec_free(struct spec *s);

#endif
