/* SPDX-License-Identifier: Apache-2.0 */
/* wire_feed.h - events, as change streams and tailable finds see them. */
#ifndef WIRE_FEED_H
#define WIRE_FEED_H

#include "tests/wire/wire_cursor.h"

/* Is `request`, a find or an aggregate, to be answered out of the feed?  Then
 * `query` stands where it begins. */
bool wire_feed_opens(const struct wire_request *request,
                     wire_cursor_t *query);

/* Let it see what has happened since. */
void wire_feed_follow(const wire_server_t *server, wire_cursor_t *cursor);

/* How long a getMore has to wait for what is to come; 0: not at all. */
int64_t wire_feed_wait_us(const struct wire_request *request);

/* What a reply says beside the documents: in its cursor, and behind it. */
void wire_feed_append_end(const wire_cursor_t *cursor, bson_t *out);
void wire_feed_append_time(const struct wire_request *request,
                           const wire_cursor_t *cursor, bson_t *reply);

#endif /* WIRE_FEED_H */
