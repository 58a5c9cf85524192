/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_admin.c - deleting and renaming files, dropping a bucket. */
#include <string.h>

#include "lib/gridfs_call.h"

enum {
    NAMED_AT_A_TIME = 1000,
    NAMESPACE_NOT_FOUND = 26 /* an error of the server's */
};

struct admin {
    struct stl_call call; /* first */
    unsigned n_steps;
    bson_value_t id;
    char *filename, *new_filename;
    bson_t *ids; /* [_id, ..], of delete_by_name */
    int64_t n_files;
};

static struct admin *admin_of(struct stf_steps *s)
{
    return stf_container_of(s, struct admin, call.steps);
}

static void admin_release(stator_future_t *f)
{
    struct admin *a = admin_of(stf_steps_of(f));

    if (a->id.value_type != BSON_TYPE_EOD)
        bson_value_destroy(&a->id);
    bson_free(a->filename);
    bson_free(a->new_filename);
    if (a->ids != NULL)
        bson_destroy(a->ids);
    stl_call_destroy(&a->call);
}

static const struct stf_kind admin_kind = {
    .cancel = stl_call_cancel,
    .cancelled = stl_call_cancelled,
    .release = admin_release,
};

struct arguments {
    const bson_value_t *id;
    const char *filename, *new_filename;
};

/* What is wrong, or NULL. */
static const char *fault_of(const struct arguments *a, bool has_id,
                            bool has_name, bool has_new_name)
{
    const char *fault = has_id ? stl_file_id_fault(a->id) : NULL;

    if (fault == NULL && has_name)
        fault = stl_file_name_fault(a->filename);
    if (fault == NULL && has_new_name)
        fault = stl_file_name_fault(a->new_filename);
    return fault;
}

static stator_future_t *start(const char *subject,
                              stator_gridfs_bucket_t *bucket,
                              const struct arguments *arguments,
                              const char *fault, const bson_t *opts,
                              stf_step_fn *step, const void *site)
{
    stator_future_t *refusal = stl_bucket_refusal(bucket, subject);
    char problem[STL_PROBLEM_SIZE];
    struct stl_bucket_opts parsed;
    struct stl_call *c;
    struct admin *a;

    if (refusal != NULL)
        return refusal;
    if (fault != NULL)
        return stl_bad_argument(subject, fault);
    if (!stl_bucket_opts_parse(opts, STL_OF_CALL, &parsed, problem))
        return stl_bad_argument(subject, problem);
    c = stl_call_new(&admin_kind, subject, sizeof *a, step, bucket,
                     parsed.of_operations, parsed.timeout_ms, site);
    bson_destroy(parsed.of_operations);
    if (c == NULL)
        return stf_future_no_memory();
    a = admin_of(&c->steps);
    if (arguments->id != NULL)
        bson_value_copy(arguments->id, &a->id);
    a->filename = bson_strdup(arguments->filename);
    a->new_filename = bson_strdup(arguments->new_filename);
    return stl_call_start(c, NULL);
}

static bson_value_t text_value(char *text)
{
    bson_value_t v = {.value_type = BSON_TYPE_UTF8};

    v.value.v_utf8.str = text;
    v.value.v_utf8.len = (uint32_t)strlen(text);
    return v;
}

/* ---- delete ------------------------------------------------------------ */

/* The file's document first: no reader finds a file without chunks. */
static stator_future_t *delete_by_id(struct stf_steps *s,
                                     stator_future_t *settled)
{
    struct admin *a = admin_of(s);
    struct stl_call *c = &a->call;
    struct stl_request r;

    if (settled != NULL && !stl_is_done(settled))
        return stl_call_fail_as(c, settled);
    switch (a->n_steps++) {
    case 0:
        stl_call_begin(c, &r, &stc_verb_delete_one, c->bucket->files, NULL,
                       STL_OPERATION);
        stl_request_value(&r, "_id", &a->id);
        return stl_call_submit(c, &r);
    case 1:
        a->n_files = stator_future_count(settled);
        stl_call_begin(c, &r, &stc_verb_delete_many, c->bucket->chunks, NULL,
                       STL_OPERATION);
        stl_request_value(&r, "files_id", &a->id);
        return stl_call_submit(c, &r);
    default:
        if (a->n_files == 0 &&
            stator_future_outcome(settled) == STATOR_ANSWERED)
            return stl_call_not_found(c, "_id", &a->id);
        return stl_call_done(c, NULL, a->n_files);
    }
}

static void collect_ids(struct admin *a, const stator_future_t *found)
{
    int64_t n = stator_future_count(found);
    bson_iter_t i;
    char key[16];

    bson_reinit(a->ids);
    for (int64_t k = 0; k < n; k++) {
        const bson_t *file = stator_future_document_at(found, (size_t)k);

        snprintf(key, sizeof key, "%d", (int)k);
        if (bson_iter_init_find(&i, file, "_id"))
            bson_append_value(a->ids, key, -1, bson_iter_value(&i));
    }
}

static stator_future_t *find_named(struct admin *a)
{
    bson_value_t name = text_value(a->filename);
    bson_t more = BSON_INITIALIZER, projection;
    struct stl_request r;

    BSON_APPEND_DOCUMENT_BEGIN(&more, "projection", &projection);
    BSON_APPEND_INT32(&projection, "_id", 1);
    bson_append_document_end(&more, &projection);
    BSON_APPEND_INT32(&more, "limit", NAMED_AT_A_TIME);
    BSON_APPEND_INT32(&more, "batchSize", NAMED_AT_A_TIME);
    BSON_APPEND_BOOL(&more, "singleBatch", true);
    stl_call_begin(&a->call, &r, &stc_verb_find, a->call.bucket->files, &more,
                   STL_CURSOR);
    bson_destroy(&more);
    stl_request_value(&r, "filename", &name);
    return stl_call_fetch(&a->call, &r);
}

static stator_future_t *delete_found(struct admin *a, struct stl_handle *on,
                                     const char *key)
{
    struct stl_request r;

    stl_call_begin(&a->call, &r, &stc_verb_delete_many, on, NULL,
                   STL_OPERATION);
    stl_request_in(&r, key, a->ids);
    return stl_call_submit(&a->call, &r);
}

/* In rounds: find some, delete these, delete their chunks. */
static stator_future_t *delete_by_name(struct stf_steps *s,
                                       stator_future_t *settled)
{
    struct admin *a = admin_of(s);
    struct stl_call *c = &a->call;
    bson_value_t name;

    if (settled != NULL && !stl_is_done(settled))
        return stl_call_fail_as(c, settled);
    if (a->ids == NULL)
        a->ids = bson_new();
    switch (a->n_steps++ % 3) {
    case 0:
        if (settled != NULL && bson_count_keys(a->ids) < NAMED_AT_A_TIME)
            return stl_call_done(c, NULL, a->n_files);
        return find_named(a);
    case 1:
        collect_ids(a, settled);
        if (!bson_empty(a->ids))
            return delete_found(a, c->bucket->files, "_id");
        if (a->n_files > 0)
            return stl_call_done(c, NULL, a->n_files);
        name = text_value(a->filename);
        return stl_call_not_found(c, "filename", &name);
    default:
        a->n_files += stator_future_count(settled);
        return delete_found(a, c->bucket->chunks, "files_id");
    }
}

stator_future_t *
stator_gridfs_bucket_delete_by_id(stator_gridfs_bucket_t *bucket,
                                  const bson_value_t *id, const bson_t *opts)
{
    struct arguments a = {.id = id};

    return start("gridfs_bucket.delete_by_id", bucket, &a,
                 fault_of(&a, true, false, false), opts, delete_by_id,
                 __builtin_return_address(0));
}

stator_future_t *
stator_gridfs_bucket_delete_by_name(stator_gridfs_bucket_t *bucket,
                                    const char *filename, const bson_t *opts)
{
    struct arguments a = {.filename = filename};

    return start("gridfs_bucket.delete_by_name", bucket, &a,
                 fault_of(&a, false, true, false), opts, delete_by_name,
                 __builtin_return_address(0));
}

/* ---- rename ------------------------------------------------------------ */

static stator_future_t *rename_files(struct stf_steps *s,
                                     stator_future_t *settled)
{
    struct admin *a = admin_of(s);
    bool by_name = a->filename != NULL;
    bson_value_t name = {0};
    bson_t update = BSON_INITIALIZER, set;
    struct stl_request r;

    if (by_name)
        name = text_value(a->filename);
    if (settled != NULL && !stl_is_done(settled))
        return stl_call_fail_as(&a->call, settled);
    if (settled != NULL && stator_future_count(settled) == 0 &&
        stator_future_outcome(settled) == STATOR_ANSWERED)
        return stl_call_not_found(&a->call, by_name ? "filename" : "_id",
                                  by_name ? &name : &a->id);
    if (settled != NULL)
        return stl_call_done(&a->call, NULL, stator_future_count(settled));
    stl_call_begin(&a->call, &r,
                   by_name ? &stc_verb_update_many : &stc_verb_update_one,
                   a->call.bucket->files, NULL, STL_OPERATION);
    stl_request_value(&r, by_name ? "filename" : "_id",
                      by_name ? &name : &a->id);
    BSON_APPEND_DOCUMENT_BEGIN(&update, "$set", &set);
    BSON_APPEND_UTF8(&set, "filename", a->new_filename);
    bson_append_document_end(&update, &set);
    stl_request_copy(&r, &update);
    bson_destroy(&update);
    return stl_call_submit(&a->call, &r);
}

stator_future_t *stator_gridfs_bucket_rename(stator_gridfs_bucket_t *bucket,
                                             const bson_value_t *id,
                                             const char *new_filename,
                                             const bson_t *opts)
{
    struct arguments a = {.id = id, .new_filename = new_filename};

    return start("gridfs_bucket.rename", bucket, &a,
                 fault_of(&a, true, false, true), opts, rename_files,
                 __builtin_return_address(0));
}

stator_future_t *
stator_gridfs_bucket_rename_by_name(stator_gridfs_bucket_t *bucket,
                                    const char *filename,
                                    const char *new_filename,
                                    const bson_t *opts)
{
    struct arguments a = {.filename = filename, .new_filename = new_filename};

    return start("gridfs_bucket.rename_by_name", bucket, &a,
                 fault_of(&a, false, true, true), opts, rename_files,
                 __builtin_return_address(0));
}

/* ---- drop -------------------------------------------------------------- */

static stator_future_t *drop(struct stf_steps *s, stator_future_t *settled)
{
    struct admin *a = admin_of(s);
    struct stl_call *c = &a->call;
    struct stl_request r;

    if (settled != NULL && !stl_is_done(settled) &&
        stl_server_code(settled) != NAMESPACE_NOT_FOUND)
        return stl_call_fail_as(c, settled);
    if (a->n_steps == 2) {
        /* The next upload finds no files and makes the indexes again. */
        atomic_store(&c->bucket->is_indexed, false);
        return stl_call_done(c, NULL, 0);
    }
    stl_call_begin(c, &r, &stc_verb_drop_collection,
                   a->n_steps++ == 0 ? c->bucket->files : c->bucket->chunks,
                   NULL, STL_OPERATION);
    return stl_call_submit(c, &r);
}

stator_future_t *stator_gridfs_bucket_drop(stator_gridfs_bucket_t *bucket,
                                           const bson_t *opts)
{
    struct arguments a = {0};

    return start("gridfs_bucket.drop", bucket, &a, NULL, opts, drop,
                 __builtin_return_address(0));
}
