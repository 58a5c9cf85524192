/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_bucket.c - buckets: made, counted; their options; their files. */
#include "lib/gridfs_bucket.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "futures/document.h"
#include "lib/document.h"
#include "lib/problem.h"
#include "lib/request.h"

enum {
    CHUNK_SIZE = 255 * 1024,
    CHUNK_SIZE_MAX = (16 * 1024 - 16) * 1024, /* a document's, less the rest */
    NAME_MAX_BYTES = 192
};

/* ---- options ----------------------------------------------------------- */

bool stl_chunk_size_parse(const bson_iter_t *i, int32_t *out, char *problem)
{
    int64_t n;

    if (!stl_value_as_int64(i, &n) || n < 1 || n > CHUNK_SIZE_MAX)
        return FAULT("chunkSizeBytes must be an integer from 1 to %d",
                     CHUNK_SIZE_MAX);
    *out = (int32_t)n;
    return true;
}

static bool metadata_parse(const bson_iter_t *i, struct stl_bucket_opts *out,
                           char *problem)
{
    out->has_metadata = BSON_ITER_HOLDS_DOCUMENT(i) &&
                        stl_value_as_document(i, &out->metadata);
    return out->has_metadata || FAULT("metadata must be a document");
}

static bool revision_parse(const bson_iter_t *i, struct stl_bucket_opts *out,
                           char *problem)
{
    int64_t n;

    if (!stl_value_as_int64(i, &n) || n < -INT32_MAX || n > INT32_MAX)
        return FAULT("revision must be an integer");
    out->revision = (int32_t)n;
    return true;
}

static bool is_of_operations(const char *key)
{
    return strcmp(key, "priority") == 0 || strcmp(key, "leaseId") == 0 ||
           strcmp(key, "sessionId") == 0 || strcmp(key, "context") == 0;
}

static bool key_parse(const bson_iter_t *i, enum stl_bucket_use use,
                      struct stl_bucket_opts *out, char *problem)
{
    const char *key = bson_iter_key(i);

    if (strcmp(key, "timeoutMS") == 0)
        return true; /* stl_opts_parse has it */
    if (is_of_operations(key)) {
        bson_append_iter(out->of_operations, NULL, -1, i);
        return true;
    }
    if (use == STL_OF_UPLOAD && strcmp(key, "chunkSizeBytes") == 0)
        return stl_chunk_size_parse(i, &out->chunk_size, problem);
    if (use == STL_OF_UPLOAD && strcmp(key, "metadata") == 0)
        return metadata_parse(i, out, problem);
    if (use == STL_BY_NAME && strcmp(key, "revision") == 0)
        return revision_parse(i, out, problem);
    return FAULT("%s is unknown; it takes %stimeoutMS, priority, leaseId, "
                 "sessionId and context", key,
                 use == STL_OF_UPLOAD ? "chunkSizeBytes, metadata, "
                 : use == STL_BY_NAME ? "revision, "
                                      : "");
}

bool stl_bucket_opts_parse(const bson_t *opts, enum stl_bucket_use use,
                           struct stl_bucket_opts *out, char *problem)
{
    struct stl_opts parsed;
    const char *flaw;
    bson_iter_t i;
    size_t offset;
    bool ok = true;

    *out = (struct stl_bucket_opts){.revision = -1};
    flaw = opts == NULL ? NULL : stf_document_flaw(opts, &offset);
    if (flaw != NULL)
        return FAULT("opts %s at offset %zu", flaw, offset);
    if (!stl_opts_parse(opts, false, &parsed, problem))
        return false;
    out->timeout_ms = parsed.timeout_ms;
    out->of_operations = bson_new();
    if (opts != NULL && bson_iter_init(&i, opts))
        while (ok && bson_iter_next(&i))
            ok = key_parse(&i, use, out, problem);
    if (!ok)
        bson_destroy(out->of_operations);
    return ok;
}

/* {$gt: ..}: no _id, but in a filter a query, that matches other files. */
static bool is_query(const bson_t *b)
{
    bson_iter_t i, first;

    return bson_iter_init_find(&i, b, "_id") &&
           BSON_ITER_HOLDS_DOCUMENT(&i) && bson_iter_recurse(&i, &first) &&
           bson_iter_next(&first) && *bson_iter_key(&first) == '$' &&
           strcmp(bson_iter_key(&first), "$ref") != 0;
}

const char *stl_file_id_fault(const bson_value_t *id)
{
    const char *fault = NULL;
    size_t offset;
    bson_t b;

    if (id == NULL)
        return "the id is NULL";
    if (id->value_type == BSON_TYPE_EOD || id->value_type == BSON_TYPE_ARRAY ||
        id->value_type == BSON_TYPE_REGEX ||
        id->value_type == BSON_TYPE_UNDEFINED)
        return "the id is of a type that no _id can have";
    bson_init(&b);
    if (!bson_append_value(&b, "_id", -1, id) ||
        stf_document_flaw(&b, &offset) != NULL)
        fault = "the id is corrupt";
    else if (is_query(&b))
        fault = "the id is a query";
    bson_destroy(&b);
    return fault;
}

const char *stl_file_name_fault(const char *filename)
{
    if (filename == NULL)
        return "the filename is NULL";
    return bson_utf8_validate(filename, strlen(filename), false)
               ? NULL
               : "the filename is not valid UTF-8";
}

/* ---- the handle -------------------------------------------------------- */

struct bucket_options {
    const char *name;
    int32_t chunk_size;
    bson_t of_handle; /* to be destroyed */
};

/* All but readConcern, writeConcern, readPreference, context. */
static bool own_options(const bson_t *opts, struct bucket_options *out,
                        char *problem)
{
    bson_iter_t i;

    if (opts == NULL || !bson_iter_init(&i, opts))
        return true;
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);

        if (strcmp(key, "bucketName") == 0) {
            uint32_t n = 0;

            if (!BSON_ITER_HOLDS_UTF8(&i) ||
                strlen(bson_iter_utf8(&i, &n)) != n || n == 0 ||
                n > NAME_MAX_BYTES)
                return FAULT("bucketName must be a string of 1 to %d bytes, "
                             "none of them 0", NAME_MAX_BYTES);
            out->name = bson_iter_utf8(&i, NULL);
        } else if (strcmp(key, "chunkSizeBytes") == 0) {
            if (!stl_chunk_size_parse(&i, &out->chunk_size, problem))
                return false;
        } else if (strcmp(key, "readConcern") == 0 ||
                   strcmp(key, "writeConcern") == 0 ||
                   strcmp(key, "readPreference") == 0 ||
                   strcmp(key, "context") == 0) {
            bson_append_iter(&out->of_handle, NULL, -1, &i);
        } else {
            return FAULT("%s is unknown; a bucket takes bucketName, "
                         "chunkSizeBytes, readConcern, writeConcern, "
                         "readPreference and context", key);
        }
    }
    return true;
}

static struct stl_handle *collection(struct stl_handle *database,
                                     const char *bucket, const char *what,
                                     const bson_t *options)
{
    char name[NAME_MAX_BYTES + 16];

    snprintf(name, sizeof name, "%s.%s", bucket, what);
    return stl_handle_new(database->client, stc_target_db(database->target),
                          name, options, NULL);
}

static stator_gridfs_bucket_t *make(struct stl_handle *database,
                                    const struct bucket_options *o,
                                    const bson_t *options)
{
    stator_gridfs_bucket_t *b = malloc(sizeof *b);

    if (b == NULL)
        return NULL;
    b->files = collection(database, o->name, "files", options);
    b->chunks = collection(database, o->name, "chunks", options);
    if (b->files->target == NULL || b->chunks->target == NULL) {
        stl_handle_unref(b->files);
        stl_handle_unref(b->chunks);
        free(b);
        return NULL;
    }
    atomic_init(&b->refs, 1);
    atomic_init(&b->is_indexed, false);
    b->chunk_size = o->chunk_size;
    return b;
}

/* False: `problem`, or "" when there is no memory. */
static bool new_bucket(struct stl_handle *database, const bson_t *opts,
                       stator_gridfs_bucket_t **out, char *problem)
{
    struct bucket_options o = {.name = "fs", .chunk_size = CHUNK_SIZE};
    bson_t old, options;
    const char *flaw;
    size_t offset;
    bool ok;

    problem[0] = '\0';
    if (database == NULL)
        return FAULT("the database is NULL");
    if (database->target == NULL)
        return false;
    if (stc_target_fault(database->target) != NULL)
        return FAULT("%s", stc_target_fault(database->target));
    flaw = opts == NULL ? NULL : stf_document_flaw(opts, &offset);
    if (flaw != NULL)
        return FAULT("opts %s at offset %zu", flaw, offset);
    bson_init(&o.of_handle);
    stc_target_options(database->target, &old);
    ok = own_options(opts, &o, problem) &&
         stl_handle_options(&old, &o.of_handle, &options, problem);
    if (ok) {
        *out = make(database, &o, &options);
        bson_destroy(&options);
    }
    bson_destroy(&o.of_handle);
    return ok && *out != NULL;
}

stator_gridfs_bucket_t *stator_gridfs_bucket_new(stator_database_t *database,
                                                 const bson_t *opts,
                                                 bson_error_t *error)
{
    stator_gridfs_bucket_t *bucket = NULL;
    char problem[STL_PROBLEM_SIZE];

    if (!new_bucket(database == NULL ? NULL : &database->handle, opts,
                    &bucket, problem))
        bson_set_error(error, STATOR_ERROR_DOMAIN,
                       problem[0] == '\0' ? STATOR_ERROR_MEMORY
                                          : STATOR_ERROR_ARGUMENT,
                       "gridfs_bucket.new: %s",
                       problem[0] == '\0' ? "no memory" : problem);
    return bucket;
}

stator_gridfs_bucket_t *
stator_gridfs_bucket_ref(stator_gridfs_bucket_t *bucket)
{
    if (bucket != NULL)
        atomic_fetch_add_explicit(&bucket->refs, 1, memory_order_relaxed);
    return bucket;
}

void stator_gridfs_bucket_unref(stator_gridfs_bucket_t *bucket)
{
    if (bucket == NULL || atomic_fetch_sub_explicit(&bucket->refs, 1,
                                                    memory_order_acq_rel) != 1)
        return;
    stl_handle_unref(bucket->chunks);
    stl_handle_unref(bucket->files);
    free(bucket);
}

/* ---- its files --------------------------------------------------------- */

stator_cursor_t *stator_gridfs_bucket_find(stator_gridfs_bucket_t *bucket,
                                           const bson_t *filter,
                                           const bson_t *opts)
{
    struct stl_request r;

    stl_request_begin(&r, "gridfs_bucket.find", &stc_verb_find,
                      bucket == NULL ? NULL : bucket->files, opts,
                      STL_CURSOR);
    stl_request_filter(&r, filter);
    return stl_request_open(&r);
}

stator_future_t *stator_gridfs_bucket_find_one(stator_gridfs_bucket_t *bucket,
                                               const bson_t *filter,
                                               const bson_t *opts)
{
    struct stl_request r;

    stl_request_begin(&r, "gridfs_bucket.find_one", &stc_verb_find_one,
                      bucket == NULL ? NULL : bucket->files, opts,
                      STL_OPERATION);
    stl_request_filter(&r, filter);
    return stl_request_submit(&r);
}
