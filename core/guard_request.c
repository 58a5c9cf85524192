/* SPDX-License-Identifier: Apache-2.0 */
/* core/guard_request.c - a message that the driver sends, read on its way.
 *
 * It comes in pieces, one for each field, and it is trusted: this looks for
 * what a reply will be held against, and for whom a worker sends it. */
#include "core/guard.h"

#include <string.h>

#include <bson/bson.h>

enum { /* flags */
    MSG_MORE_TO_COME = 1 << 1,
    MSG_EXHAUST_ALLOWED = 1 << 16,
    QUERY_EXHAUST = 1 << 6
};

/* What is left of a message. */
struct reader {
    const struct iovec *iov;
    size_t n_iov;
    size_t at; /* in iov[0] */
};

/* `to` NULL skips. */
static bool take(struct reader *r, void *to, size_t n)
{
    uint8_t *out = to;

    while (n > 0) {
        size_t here;

        if (r->n_iov == 0)
            return false;
        here = r->iov->iov_len - r->at;
        if (here > n)
            here = n;
        if (out != NULL && here > 0) {
            memcpy(out, (const uint8_t *)r->iov->iov_base + r->at, here);
            out += here;
        }
        n -= here;
        r->at += here;
        if (r->at == r->iov->iov_len) {
            r->iov++;
            r->n_iov--;
            r->at = 0;
        }
    }
    return true;
}

static bool take_uint32(struct reader *r, uint32_t *out)
{
    uint8_t bytes[4];

    if (!take(r, bytes, sizeof bytes))
        return false;
    *out = stc_get_uint32(bytes);
    return true;
}

static void read_lsid(struct stc_guard *g, const bson_iter_t *lsid)
{
    bson_subtype_t subtype;
    const uint8_t *id;
    bson_iter_t i;
    uint32_t n;

    if (!bson_iter_recurse(lsid, &i) || !bson_iter_find(&i, "id") ||
        !BSON_ITER_HOLDS_BINARY(&i))
        return;
    bson_iter_binary(&i, &subtype, &n, &id);
    if (subtype != BSON_SUBTYPE_UUID || n != sizeof g->lsid)
        return;
    memcpy(g->lsid, id, n);
    g->has_lsid = true;
}

/* The driver's own commands that open, watch and authenticate. */
static bool is_of_connection(const char *command)
{
    static const char *const names[] = {
        "hello",        "isMaster", "ismaster", "saslStart",
        "saslContinue", "getnonce", "logout",   "authenticate"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(command, names[i]) == 0)
            return true;
    return false;
}

/* A command.  The driver sends it in one piece; nothing is known of one in
 * more. */
static bool read_command(struct stc_guard *g, struct reader *r)
{
    struct reader begin = *r;
    const uint8_t *data;
    bson_iter_t i;
    uint32_t length;

    if (!take_uint32(r, &length) || length < 5 || !take(r, NULL, length - 4))
        return false;
    while (begin.n_iov > 0 && begin.iov->iov_len == begin.at) {
        begin.iov++;
        begin.n_iov--;
        begin.at = 0;
    }
    data = (const uint8_t *)begin.iov->iov_base + begin.at;
    if (begin.iov->iov_len - begin.at < length ||
        !bson_iter_init_from_data(&i, data, length) || !bson_iter_next(&i))
        return true;
    (void)bson_strncpy(g->command, bson_iter_key(&i), sizeof g->command);
    g->is_ours = !is_of_connection(g->command);
    if (bson_iter_find(&i, "lsid"))
        read_lsid(g, &i);
    return true;
}

/* Sections until the command: the driver puts it first. */
static bool read_msg(struct stc_guard *g, struct reader *r)
{
    uint32_t flags, size;
    uint8_t kind;

    if (!take_uint32(r, &flags))
        return false;
    g->reply = STC_OP_MSG;
    g->awaits_reply = (flags & MSG_MORE_TO_COME) == 0;
    g->may_stream = (flags & MSG_EXHAUST_ALLOWED) != 0;
    while (take(r, &kind, 1)) {
        if (kind == 0)
            return read_command(g, r);
        if (kind != 1 || !take_uint32(r, &size) || size < 4 ||
            !take(r, NULL, size - 4))
            return false;
    }
    return false;
}

/* Its namespace ends with .$cmd for a command. */
static bool read_query(struct stc_guard *g, struct reader *r)
{
    static const char suffix[5] = ".$cmd";
    char end[5] = "";
    uint32_t flags;
    char c;

    if (!take_uint32(r, &flags))
        return false;
    for (;;) {
        if (!take(r, &c, 1))
            return false;
        if (c == '\0')
            break;
        memmove(end, end + 1, sizeof end - 1);
        end[sizeof end - 1] = c;
    }
    g->reply = STC_OP_REPLY;
    g->awaits_reply = true;
    g->may_stream = (flags & QUERY_EXHAUST) != 0;
    g->is_one = memcmp(end, suffix, sizeof end) == 0;
    if (!take(r, NULL, 8))
        return false;
    return !g->is_one || read_command(g, r);
}

/* What the original's opcode tells.  A query may have asked for a stream. */
static bool read_compressed(struct stc_guard *g, struct reader *r)
{
    uint32_t original;

    if (!take_uint32(r, &original) || !take(r, NULL, 5))
        return false;
    g->reply = original == STC_OP_MSG ? STC_OP_MSG : STC_OP_REPLY;
    g->awaits_reply = original == STC_OP_MSG || original == STC_OP_QUERY ||
                      original == STC_OP_GET_MORE;
    g->may_stream = g->awaits_reply && original != STC_OP_MSG;
    return true;
}

/* All of the message, or it is none. */
static bool is_whole(const struct iovec *iov, size_t n_iov, uint32_t length)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n_iov; i++)
        sum += iov[i].iov_len;
    return sum == length;
}

bool stc_guard_request(struct stc_guard *g, const struct iovec *iov,
                       size_t n_iov)
{
    struct reader r = {iov, n_iov, 0};
    uint8_t header[STC_GUARD_HEADER];

    memset(g, 0, sizeof *g);
    if (!take(&r, header, sizeof header) ||
        !is_whole(iov, n_iov, stc_get_uint32(header)))
        return false;
    g->request_id = stc_get_int32(header + 4);
    g->opcode = stc_get_int32(header + 12);
    g->is_ours = true;
    switch (g->opcode) {
    case STC_OP_MSG:
        return read_msg(g, &r);
    case STC_OP_QUERY:
        return read_query(g, &r);
    case STC_OP_COMPRESSED:
        return read_compressed(g, &r);
    case STC_OP_GET_MORE: /* of a stream, it is never sent */
        g->reply = STC_OP_REPLY;
        g->awaits_reply = true;
        return true;
    case STC_OP_UPDATE:
    case STC_OP_INSERT:
    case STC_OP_DELETE:
    case STC_OP_KILL_CURSORS:
        g->reply = STC_OP_REPLY;
        return true;
    default:
        return false;
    }
}
