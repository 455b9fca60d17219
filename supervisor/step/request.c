/* A request of the server; see the header. A field of the wrong size makes the whole request malformed. */
#define _GNU_SOURCE
#include "request.h"

#include <stdlib.h>
#include <string.h>

#include "../protocol.h"

static uint64_t number(const uint8_t *bytes, size_t size) {
    uint64_t value = 0;
    memcpy(&value, bytes, size);
    return value;
}

/* A string of bounded size without NUL. */
static int text(const uint8_t *value, size_t size, char *out, size_t room) {
    if (size >= room || memchr(value, 0, size))
        return -1;
    memcpy(out, value, size);
    out[size] = 0;
    return 0;
}

/* A string on the heap; NULL when it contains NUL. */
static char *copy(const uint8_t *value, size_t size) {
    char *made = memchr(value, 0, size) ? NULL : malloc(size + 1);
    if (made) {
        memcpy(made, value, size);
        made[size] = 0;
    }
    return made;
}

/* One field of the body. Returns 0, or -1 when it is malformed. */
static int field(uint8_t tag, const uint8_t *value, size_t size, struct spec *out, uint32_t *version) {
    switch (tag) {
    case REQUEST_VERSION:
        return size == 4 ? (*version = (uint32_t)number(value, 4), 0) : -1;
    case REQUEST_STEP_ID:
        return text(value, size, out->id, sizeof out->id);
    case REQUEST_ATTEMPT:
        return size == 4 ? (out->attempt = (uint32_t)number(value, 4), 0) : -1;
    case REQUEST_KEY:
        return size == KEY_BYTES ? (memcpy(out->key, value, KEY_BYTES), 0) : -1;
    case REQUEST_COMMAND:
        return out->command == NULL && (out->command = copy(value, size)) ? 0 : -1;
    case REQUEST_WORKDIR:
        return out->workdir == NULL && (out->workdir = copy(value, size)) ? 0 : -1;
    case REQUEST_SHELL:
        return out->shell == NULL && (out->shell = copy(value, size)) ? 0 : -1;
    case REQUEST_ENV: {
        char **grown = realloc(out->env, (out->env_count + 1) * sizeof *grown);
        if (!grown)
            return -1;
        out->env = grown;
        grown[out->env_count] = copy(value, size);
        return grown[out->env_count++] && memchr(value, '=', size) ? 0 : -1; /* counted, so that spec_free frees it */
    }
    case REQUEST_TIMEOUT_MS:
        return size == 8 ? (out->timeout_ms = number(value, 8), 0) : -1;
    case REQUEST_GRACE_MS:
        return size == 8 ? (out->grace_ms = number(value, 8), 0) : -1;
    case REQUEST_FROM_OFFSET:
        return size == 8 ? (out->from_offset = number(value, 8), 0) : -1;
    case REQUEST_USER:
        return text(value, size, out->user, sizeof out->user);
    case REQUEST_KILL:
        return size == 1 ? (out->kill = value[0] != 0, 0) : -1;
    default:
        return 0; /* fields of later versions are optional */
    }
}

enum request_result request_parse(const uint8_t *body, size_t size, uint64_t grace_ms, struct spec *out) {
    uint32_t version = 0;
    memset(out, 0, sizeof *out);
    out->grace_ms = grace_ms;
    for (size_t at = 0; at < size;) {
        uint32_t length;
        if (size - at < 5)
            return REQUEST_MALFORMED;
        memcpy(&length, body + at + 1, 4);
        if (length > size - at - 5)
            return REQUEST_MALFORMED;
        if (field(body[at], body + at + 5, length, out, &version) < 0)
            return REQUEST_MALFORMED;
        at += 5 + length;
    }
    if (version != PROTOCOL_VERSION)
        return REQUEST_OTHER_VERSION;
    return out->id[0] ? REQUEST_OK : REQUEST_MALFORMED;
}

void spec_free(struct spec *s) {
    if (s->command)
        explicit_bzero(s->command, strlen(s->command));
    for (size_t i = 0; i < s->env_count; i++) {
        if (s->env[i])
            explicit_bzero(s->env[i], strlen(s->env[i]));
        free(s->env[i]);
    }
    free(s->env);
    free(s->command);
    free(s->workdir);
    free(s->shell);
    s->env = NULL;
    s->env_count = 0;
    s->command = s->workdir = s->shell = NULL;
}
