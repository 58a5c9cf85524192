/* SPDX-License-Identifier: Apache-2.0 */
/* core/guard.h - what a server may answer, before the driver sees it.
 *
 *   request ──> stc_guard_request                        who may answer, how
 *   16 bytes ──> stc_guard_header                        whose is it, how long
 *   the rest ──> stc_guard_unpack ──> stc_guard_reply    may it be handed on
 *                                     its BSON, its answer
 *
 * The driver asks little of a reply: it takes one for another request, and a
 * length that lies takes it out of its buffer.  What passes here is for this
 * request, tiles its message exactly and is BSON that libbson reads to its
 * end.  Text is not looked at: servers hold what is not UTF-8.
 *
 * Pure: no I/O, no locks, no memory but for what is unpacked.  A guard is its
 * connection's; who uses the connection uses it.  What is wrong is said in a
 * static text, as "the reply is for another request". */
#ifndef STC_GUARD_H
#define STC_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* STC_GUARD_MAX: what servers and the driver take for a message.
 * STC_GUARD_LEVELS: a server nests 200 levels, 250 at most if told so, and a
 * cursor's answer puts three around a document. */
enum {
    STC_GUARD_HEADER = 16,
    STC_GUARD_MAX = 48000000,
    STC_GUARD_LEVELS = 256
};

/* What was sent last, and so what may come back. */
struct stc_guard {
    int32_t request_id;
    int32_t opcode;    /* as on the wire */
    int32_t reply;     /* the opcode of its plain reply */
    int32_t reply_id;  /* of the last one, while a stream goes on */
    bool awaits_reply; /* one is due; false after the last one too */
    bool may_stream;   /* it asked for as many replies as there are */
    bool is_streaming; /* the last reply said that another follows */
    bool is_one;       /* an OP_REPLY must hold one document */
    /* A command of an operation, not one by which the driver opens, watches
     * or authenticates a connection.  Of what is compressed nothing is known
     * but that it is ours: the driver never compresses the others. */
    bool is_ours;
    bool has_lsid;
    uint8_t lsid[16]; /* the session, for killSessions */
    char command[32]; /* its first key, cut; "" if not known */
};

/* Reads an outgoing message.  False: it is none, and must not be sent. */
bool stc_guard_request(struct stc_guard *g, const struct iovec *iov,
                       size_t n_iov);

/* The first STC_GUARD_HEADER bytes of a reply: NULL and its whole `*length`,
 * or what is wrong. */
const char *stc_guard_header(const struct stc_guard *g, const uint8_t *header,
                             uint32_t *length);

/* An OP_COMPRESSED of `length` bytes, whose header has passed, as the plain
 * message that it stands for, malloc'ed: the driver takes that as well.  Any
 * other message: NULL and no `*plain`.  Or what is wrong, "no memory"
 * included. */
const char *stc_guard_unpack(const uint8_t *message, uint32_t length,
                             uint8_t **plain, uint32_t *plain_length);

/* A whole plain reply.  NULL: the driver may have it, and `g` knows whether
 * another one may follow.  Or what is wrong. */
const char *stc_guard_reply(struct stc_guard *g, const uint8_t *message,
                            uint32_t length);

/* The document at the beginning of `room` bytes, all the way down.  NULL, its
 * `*length` and the initials of its own keys; or what is wrong. */
const char *stc_guard_bson(const uint8_t *document, size_t room,
                           uint32_t *length, uint32_t *initials);

/* A command's answer, which is BSON: has it the shape that the driver counts
 * on?  NULL, or what is wrong. */
const char *stc_guard_answer(const struct stc_guard *g,
                             const uint8_t *document, uint32_t length,
                             uint32_t initials);

/* In a set of letters that knows no case; a digit or a sign is in none. */
#define STC_INITIAL(c) ((uint32_t)((c) >> 6 & 1) << ((c) & 31))

/* ---- the wire, for guard_*.c ------------------------------------- */

enum stc_opcode {
    STC_OP_REPLY = 1,
    STC_OP_UPDATE = 2001,
    STC_OP_INSERT = 2002,
    STC_OP_QUERY = 2004,
    STC_OP_GET_MORE = 2005,
    STC_OP_DELETE = 2006,
    STC_OP_KILL_CURSORS = 2007,
    STC_OP_COMPRESSED = 2012,
    STC_OP_MSG = 2013
};

static inline uint32_t stc_get_uint32(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static inline int32_t stc_get_int32(const uint8_t *from)
{
    return (int32_t)stc_get_uint32(from);
}

#endif /* STC_GUARD_H */
