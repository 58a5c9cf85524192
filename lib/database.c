/* SPDX-License-Identifier: Apache-2.0 */
/* lib/database.c - the verbs of a database: check, copy, submit. */
#include <stator/database.h>

#include "lib/handle.h"
#include "lib/models.h"
#include "lib/request.h"

static void begin(struct stl_request *r, const char *subject,
                  const struct stc_verb *verb, stator_database_t *database,
                  const bson_t *opts, enum stl_shape shape)
{
    stl_request_begin(r, subject, verb,
                      database == NULL ? NULL : &database->handle, opts,
                      shape);
}

/* ---- the handle -------------------------------------------------------- */

stator_database_t *stator_database_ref(stator_database_t *database)
{
    if (database != NULL)
        stl_handle_ref(&database->handle);
    return database;
}

void stator_database_unref(stator_database_t *database)
{
    if (database != NULL)
        stl_handle_unref(&database->handle);
}

stator_database_t *stator_database_with_opts(stator_database_t *database,
                                             const bson_t *opts,
                                             bson_error_t *error)
{
    struct stl_handle *h = stl_handle_with_opts(
        database == NULL ? NULL : &database->handle, "database.with_opts",
        opts, error);

    return stl_database_of(h);
}

stator_collection_t *
stator_database_get_collection(stator_database_t *database, const char *name)
{
    const char *fault = stl_name_fault(STL_COLLECTION, name);
    struct stl_handle *h = database == NULL ? NULL : &database->handle;
    bson_t options;

    if (h == NULL)
        return stl_collection_of(
            stl_handle_new(NULL, "", "", NULL, "the database is NULL"));
    if (h->target == NULL)
        return stl_collection_of(stl_handle_ref(h)); /* the static one */
    if (stc_target_fault(h->target) != NULL)
        fault = stc_target_fault(h->target);
    stc_target_options(h->target, &options);
    return stl_collection_of(stl_handle_new(h->client,
                                            stc_target_db(h->target),
                                            name == NULL ? "" : name,
                                            &options, fault));
}

const char *stator_database_get_name(const stator_database_t *database)
{
    if (database == NULL || database->handle.target == NULL)
        return "";
    return stc_target_db(database->handle.target);
}

/* ---- commands ---------------------------------------------------------- */

STL_PART stator_future_t *command(stator_database_t *database,
                                  const char *subject,
                                  const struct stc_verb *verb,
                                  const bson_t *command, const bson_t *opts)
{
    struct stl_request r;

    begin(&r, subject, verb, database, opts, STL_OPERATION);
    stl_request_command(&r, command);
    return stl_request_submit(&r);
}

stator_future_t *stator_database_command(stator_database_t *database,
                                         const bson_t *c, const bson_t *opts)
{
    return command(database, "database.command", &stc_verb_command, c, opts);
}

stator_future_t *stator_database_read_command(stator_database_t *database,
                                              const bson_t *c,
                                              const bson_t *opts)
{
    return command(database, "database.read_command", &stc_verb_read_command,
                   c, opts);
}

stator_future_t *stator_database_write_command(stator_database_t *database,
                                               const bson_t *c,
                                               const bson_t *opts)
{
    return command(database, "database.write_command",
                   &stc_verb_write_command, c, opts);
}

stator_future_t *
stator_database_read_write_command(stator_database_t *database,
                                   const bson_t *c, const bson_t *opts)
{
    return command(database, "database.read_write_command",
                   &stc_verb_read_write_command, c, opts);
}

stator_cursor_t *
stator_database_run_cursor_command(stator_database_t *database,
                                   const bson_t *c, const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "database.run_cursor_command", &stc_verb_run_cursor_command,
          database, opts, STL_CURSOR);
    stl_request_command(&r, c);
    return stl_request_open(&r);
}

stator_cursor_t *stator_database_aggregate(stator_database_t *database,
                                           const bson_t *pipeline,
                                           const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "database.aggregate", &stc_verb_aggregate, database, opts,
          STL_CURSOR);
    stl_request_pipeline(&r, pipeline);
    return stl_request_open(&r);
}

/* ---- collections, and the database itself ------------------------------ */

STL_PART stator_future_t *with_name(stator_database_t *database,
                                    const char *subject,
                                    const struct stc_verb *verb,
                                    const char *name, const bson_t *opts)
{
    struct stl_request r;

    begin(&r, subject, verb, database, opts, STL_OPERATION);
    stl_request_text(&r, "name", "name", name);
    return stl_request_submit(&r);
}

stator_future_t *
stator_database_create_collection(stator_database_t *database,
                                  const char *name, const bson_t *opts)
{
    return with_name(database, "database.create_collection",
                     &stc_verb_create_collection, name, opts);
}

stator_future_t *stator_database_has_collection(stator_database_t *database,
                                                const char *name,
                                                const bson_t *opts)
{
    return with_name(database, "database.has_collection",
                     &stc_verb_has_collection, name, opts);
}

stator_cursor_t *
stator_database_list_collections(stator_database_t *database,
                                 const bson_t *opts)
{
    struct stl_request r;

    begin(&r, "database.list_collections", &stc_verb_list_collections,
          database, opts, STL_CURSOR);
    return stl_request_open(&r);
}

STL_PART stator_future_t *plain(stator_database_t *database,
                                const char *subject,
                                const struct stc_verb *verb, const bson_t *opts)
{
    struct stl_request r;

    begin(&r, subject, verb, database, opts, STL_OPERATION);
    return stl_request_submit(&r);
}

stator_future_t *
stator_database_list_collection_names(stator_database_t *database,
                                      const bson_t *opts)
{
    return plain(database, "database.list_collection_names",
                 &stc_verb_list_collection_names, opts);
}

stator_future_t *stator_database_drop(stator_database_t *database,
                                      const bson_t *opts)
{
    return plain(database, "database.drop", &stc_verb_drop_database, opts);
}
