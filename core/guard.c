/* SPDX-License-Identifier: Apache-2.0 */
/* core/guard.c - a reply: is it for this request, and is it whole?
 *
 *   OP_MSG    header │ flags │ 0 │ document
 *   OP_REPLY  header │ flags │ cursor │ start │ n │ document ... document
 *
 * G1  An OP_MSG is answered by an OP_MSG, all else that has an answer by an
 *     OP_REPLY: the driver reads what it expects, whatever the opcode says.
 * G2  What follows the header tiles the message: the driver reads on while
 *     bytes are left, into an array of two sections.
 * G3  In a stream, a reply is for the one before it, as mongod has it, or for
 *     the request itself, as other servers do.
 *
 * A checksum is refused: no request asks for one, and the driver would take
 * its bytes for a section. */
#include "core/guard.h"

enum { /* of an OP_MSG */
    CHECKSUM_PRESENT = 1 << 0,
    MORE_TO_COME = 1 << 1,
    REQUIRED = 0xffff, /* who does not know one of them must not read on */
    MSG_FLAGS = STC_GUARD_HEADER,
    MSG_KIND = MSG_FLAGS + 4,
    MSG_BODY = MSG_KIND + 1
};

enum { /* of an OP_REPLY */
    CURSOR_NOT_FOUND = 1 << 0,
    QUERY_FAILURE = 1 << 1,
    REPLY_FLAGS = STC_GUARD_HEADER,
    REPLY_CURSOR = REPLY_FLAGS + 4,
    REPLY_COUNT = REPLY_CURSOR + 12,
    REPLY_DOCUMENTS = REPLY_COUNT + 4
};

const char *stc_guard_header(const struct stc_guard *g, const uint8_t *header,
                             uint32_t *length)
{
    int32_t response_to = stc_get_int32(header + 8);
    int32_t opcode = stc_get_int32(header + 12);
    uint32_t n = stc_get_uint32(header);

    if (!g->awaits_reply)
        return "the reply was not asked for";
    if (n < STC_GUARD_HEADER)
        return "the reply is shorter than its header";
    if (n > STC_GUARD_MAX)
        return "the reply is longer than a message may be";
    if (opcode != g->reply && opcode != STC_OP_COMPRESSED)
        return "the reply is of the wrong kind for its request";
    if (response_to != g->request_id &&
        !(g->is_streaming && response_to == g->reply_id))
        return "the reply is for another request";
    *length = n;
    return NULL;
}

static const char *check_msg(const struct stc_guard *g, const uint8_t *message,
                             uint32_t length, bool *goes_on)
{
    const char *flaw;
    uint32_t flags, size, initials;

    if (length <= MSG_BODY)
        return "the reply has no section";
    flags = stc_get_uint32(message + MSG_FLAGS);
    if (flags & CHECKSUM_PRESENT)
        return "the reply has a checksum, which was not asked for";
    if (flags & REQUIRED & ~(uint32_t)MORE_TO_COME)
        return "the reply has a flag that is not known and must be";
    *goes_on = (flags & MORE_TO_COME) != 0;
    if (*goes_on && !g->may_stream)
        return "the reply says that more is to come, unasked";
    if (message[MSG_KIND] != 0)
        return "the reply's first section is not a document";
    flaw = stc_guard_bson(message + MSG_BODY, length - MSG_BODY, &size,
                          &initials);
    if (flaw != NULL)
        return flaw;
    if (size != length - MSG_BODY)
        return "the reply has more than its one section";
    return stc_guard_answer(g, message + MSG_BODY, size, initials);
}

static const char *check_reply(const struct stc_guard *g,
                               const uint8_t *message, uint32_t length,
                               bool *goes_on)
{
    uint32_t at = REPLY_DOCUMENTS;
    uint32_t flags, n, size, initials;

    if (length < REPLY_DOCUMENTS)
        return "the reply is too short";
    flags = stc_get_uint32(message + REPLY_FLAGS);
    n = stc_get_uint32(message + REPLY_COUNT);
    if (g->is_one && n != 1)
        return "the reply to a command is not one document";
    for (uint32_t i = 0; i < n; i++, at += size) {
        const char *flaw;

        if (at == length)
            return "the reply holds fewer documents than it says";
        flaw = stc_guard_bson(message + at, length - at, &size, &initials);
        if (flaw != NULL)
            return flaw;
        if (i == 0 && (g->is_one || flags & QUERY_FAILURE))
            flaw = stc_guard_answer(g, message + at, size, initials);
        if (flaw != NULL)
            return flaw;
    }
    if (at != length)
        return "the reply holds more than the documents it says";
    *goes_on = g->may_stream && !(flags & (CURSOR_NOT_FOUND | QUERY_FAILURE)) &&
               (stc_get_uint32(message + REPLY_CURSOR) |
                stc_get_uint32(message + REPLY_CURSOR + 4)) != 0;
    return NULL;
}

const char *stc_guard_reply(struct stc_guard *g, const uint8_t *message,
                            uint32_t length)
{
    const char *flaw;
    uint32_t whole;
    bool goes_on = false;

    if (length < STC_GUARD_HEADER)
        return "the reply is too short";
    flaw = stc_guard_header(g, message, &whole);
    if (flaw != NULL)
        return flaw;
    if (whole != length)
        return "the reply is not of its length";
    if (stc_get_int32(message + 12) != g->reply)
        return "the reply is not what it says it unpacks to";
    flaw = g->reply == STC_OP_MSG ? check_msg(g, message, length, &goes_on)
                                  : check_reply(g, message, length, &goes_on);
    if (flaw != NULL)
        return flaw;
    g->reply_id = stc_get_int32(message + 4);
    g->is_streaming = g->awaits_reply = goes_on;
    return NULL;
}
