/* SPDX-License-Identifier: Apache-2.0 */
/* wire_cursor.h - cursors as mongod keeps them: bound to a namespace and to the
 * session they were made in. */
#ifndef WIRE_CURSOR_H
#define WIRE_CURSOR_H

#include "tests/wire/wire_collection.h"

struct wire_request;

typedef enum { WIRE_NO_FEED, WIRE_STREAM, WIRE_TAIL } wire_feed_t;

typedef struct {
    int64_t id;
    wire_feed_t feed; /* its documents are events: see wire_feed.h */
    bool picks;       /* but one: `only` */
    int64_t only;
    char *ns;
    bool has_lsid;
    uint8_t lsid[16];
    int64_t connection;
    wire_content_t content;
    int64_t next;
    int64_t end;
    bool bounded; /* `end` is a limit of the query: no need to look further */
} wire_cursor_t;

typedef struct {
    wire_cursor_t **list;
    size_t size;
    size_t room;
    uint64_t seed; /* of the ids */
} wire_cursors_t;

void wire_cursors_clear(wire_cursors_t *cursors);
/* NULL: there is none such. */
const wire_cursor_t *wire_cursors_find(const wire_cursors_t *cursors,
                                       int64_t id);
int64_t wire_cursors_kill_session(wire_cursors_t *cursors,
                                  const uint8_t *lsid);

/* Reply with the first batch of `query` (id, lsid, connection and ns are
 * filled in here), and keep it open if there may be more.  `batch` < 0: all
 * that fit into a reply. */
void wire_cursor_reply_first(struct wire_request *request,
                             const wire_cursor_t *query, const char *db,
                             const char *name, int64_t batch, bson_t *reply);

/* The commands. */
void wire_cursor_get_more(struct wire_request *request, bson_t *reply);
void wire_cursor_kill(struct wire_request *request, bson_t *reply);

#endif /* WIRE_CURSOR_H */
