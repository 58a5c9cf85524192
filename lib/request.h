/* SPDX-License-Identifier: Apache-2.0 */
/* lib/request.h - from a call's arguments to what core takes.
 *
 *   begin ─> document, text, .. ─> submit (a future) or open (a cursor)
 *
 * Everything that core keeps of a call is copied into one run of bytes.  The
 * first thing that is wrong is remembered, all later steps do nothing, and
 * the future that submit makes has failed with it: so a verb is written as
 * if nothing could go wrong. */
#ifndef STL_REQUEST_H
#define STL_REQUEST_H

#include "lib/handle.h"
#include "lib/opts.h"

struct stl_request {
    struct stc_request core;
    size_t capacity;     /* of core.bytes */
    const char *subject; /* static: "collection.find", for messages */
    stator_client_t *client;
    struct stc_target *target; /* a reference */
    stator_error_code_t code;  /* of what is wrong, or 0 */
    char problem[STL_PROBLEM_SIZE];
};

enum stl_shape { STL_OPERATION, STL_CURSOR };

/* On a database or a collection. */
void stl_request_begin(struct stl_request *r, const char *subject,
                       const struct stc_verb *verb, struct stl_handle *handle,
                       const bson_t *opts, enum stl_shape shape);
/* On a client; `db` "" when the verb needs none. */
void stl_request_begin_on_client(struct stl_request *r, const char *subject,
                                 const struct stc_verb *verb,
                                 stator_client_t *client, const char *db,
                                 const bson_t *opts, enum stl_shape shape);

/* On what a lease or a session stands for, which opts must not name again. */
void stl_request_on_lease(struct stl_request *r, struct stc_lease *lease);
void stl_request_on_session(struct stl_request *r,
                            struct stc_session *session);

void stl_request_fail(struct stl_request *r, stator_error_code_t code,
                      const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Nothing is wrong yet. */
static inline bool stl_request_is_sound(const struct stl_request *r)
{
    return r->code == 0;
}

/* "filter", or "documents[3]". */
struct stl_label {
    const char *name;
    int64_t index; /* -1: none */
};
#define STL_LABEL(name) ((struct stl_label){(name), -1})

/* Is it there, and sound?  Else the request fails and names it. */
bool stl_request_check(struct stl_request *r, struct stl_label label,
                       const bson_t *document);
bool stl_request_check_text(struct stl_request *r, const char *name,
                            const char *text);
/* The array of a call with `n` members. */
bool stl_request_check_array(struct stl_request *r, const char *name,
                             const bson_t **members, size_t n);

/* Append one document.  These copy what was checked. */
void stl_request_copy(struct stl_request *r, const bson_t *document);
/* With an _id in front, if it has none. */
void stl_request_copy_with_id(struct stl_request *r, const bson_t *document);
/* Room for one more document of `size` bytes, to be written; NULL. */
uint8_t *stl_request_room(struct stl_request *r, size_t size);
/* Make room for all that is to come. */
void stl_request_reserve(struct stl_request *r, size_t size);

/* Check and copy.  `filter` may be NULL: {}. */
void stl_request_document(struct stl_request *r, const char *name,
                          const bson_t *document);
/* Not empty: its first key is what is to be done. */
void stl_request_command(struct stl_request *r, const bson_t *command);
void stl_request_filter(struct stl_request *r, const bson_t *filter);
/* {key: text} */
void stl_request_text(struct stl_request *r, const char *key,
                      const char *name, const char *text);

size_t stl_document_size_with_id(const bson_t *document);
uint8_t *stl_document_write_with_id(uint8_t *to, const bson_t *document);

/* The failed future of a call on a handle that is NULL. */
stator_future_t *stl_null_handle(const char *subject, const char *what);
/* {key: id} to a user's opts, for a lease or a session of `client` (NULL: the
 * handle is). */
bool stl_append_id(stator_client_t *client, const char *what, const char *key,
                   int64_t id, bson_t *opts, bson_error_t *error);

/* The end of it: the request is used up.  What core keeps knows where the
 * user called from, for a close that finds it open: the return address of the
 * public function.  So what these stand in is that function itself, or an
 * STL_PART of it. */
#define stl_request_submit(r) \
    stl_request_submit_from((r), __builtin_return_address(0))
#define stl_request_open(r) \
    stl_request_open_from((r), __builtin_return_address(0))
#define STL_PART static inline __attribute__((always_inline))
stator_future_t *stl_request_submit_from(struct stl_request *r,
                                         const void *site);
stator_cursor_t *stl_request_open_from(struct stl_request *r,
                                       const void *site);

#endif /* STL_REQUEST_H */
