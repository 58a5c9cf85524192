/* SPDX-License-Identifier: Apache-2.0 */
/* lib/client.c - a client's life, its commands, and handles made from it. */
#include <stator/client.h>

#include <string.h>

#include "futures/future.h"
#include "lib/document.h"
#include "lib/handle.h"
#include "lib/request.h"

enum { DRAIN_MS = 30000 };

/* ---- life -------------------------------------------------------------- */

static bool opts_are_sound(const bson_t *opts, const char *subject,
                           bson_error_t *error)
{
    const char *flaw = NULL;
    size_t offset;

    if (opts != NULL)
        flaw = stf_document_flaw(opts, &offset);
    if (flaw == NULL)
        return true;
    bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                   "%s: opts %s at offset %zu", subject, flaw, offset);
    return false;
}

stator_client_t *stator_client_new(const char *uri, const bson_t *opts,
                                   bson_error_t *error)
{
    if (uri == NULL || *uri == '\0') {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "client.new: uri is %s", uri == NULL ? "NULL"
                                                            : "empty");
        return NULL;
    }
    if (!opts_are_sound(opts, "client.new", error))
        return NULL;
    return stc_client_new(uri, NULL, opts, error);
}

stator_client_t *stator_client_new_from_pool(mongoc_client_pool_t *pool,
                                             const bson_t *opts,
                                             bson_error_t *error)
{
    if (pool == NULL) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "client.new_from_pool: pool is NULL");
        return NULL;
    }
    if (!opts_are_sound(opts, "client.new_from_pool", error))
        return NULL;
    return stc_client_new(NULL, pool, opts, error);
}

static stator_future_t *bad_close(const char *what)
{
    return stf_future_failed(STATOR_ERROR_ARGUMENT, "client.close", "%s",
                             what);
}

static bool mode_parse(const bson_iter_t *value, enum stc_close_mode *mode)
{
    static const char *const names[] = {
        [STC_DRAIN] = "drain", [STC_CANCEL] = "cancel", [STC_ABORT] = "abort",
    };

    if (!BSON_ITER_HOLDS_UTF8(value))
        return false;
    for (int m = STC_DRAIN; m <= STC_ABORT; m++)
        if (strcmp(bson_iter_utf8(value, NULL), names[m]) == 0) {
            *mode = (enum stc_close_mode)m;
            return true;
        }
    return false;
}

stator_future_t *stator_client_close(stator_client_t *client,
                                     const bson_t *opts)
{
    enum stc_close_mode mode = STC_DRAIN;
    int64_t timeout_ms = DRAIN_MS;
    bson_iter_t i;
    size_t offset;

    if (client == NULL)
        return bad_close("the client is NULL");
    if (opts != NULL && stf_document_flaw(opts, &offset) != NULL)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, "client.close",
                                 "opts %s at offset %zu",
                                 stf_document_flaw(opts, &offset), offset);
    if (opts != NULL && bson_iter_init(&i, opts))
        while (bson_iter_next(&i)) {
            if (strcmp(bson_iter_key(&i), "mode") == 0) {
                if (!mode_parse(&i, &mode))
                    return bad_close("mode must be drain, cancel or abort");
            } else if (strcmp(bson_iter_key(&i), "timeoutMS") == 0) {
                if (!stl_value_as_int64(&i, &timeout_ms) || timeout_ms < 0)
                    return bad_close(
                        "timeoutMS must be an integer of 0 or more");
            } else {
                return stf_future_failed(STATOR_ERROR_ARGUMENT,
                                         "client.close", "%s is unknown",
                                         bson_iter_key(&i));
            }
        }
    return stc_client_close(client, mode, timeout_ms);
}

stator_client_t *stator_client_ref(stator_client_t *client)
{
    return client == NULL ? NULL : stc_client_ref(client);
}

void stator_client_unref(stator_client_t *client)
{
    if (client != NULL)
        stc_client_unref(client);
}

bool stator_client_resize(stator_client_t *client, int workers,
                          bson_error_t *error)
{
    if (client != NULL)
        return stc_client_resize(client, workers, error);
    bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                   "client.resize: the client is NULL");
    return false;
}

void stator_client_stats(stator_client_t *client, bson_t *out)
{
    if (out == NULL)
        return;
    if (client == NULL)
        bson_init(out);
    else
        stc_client_stats(client, out);
}

void stator_client_config(stator_client_t *client, bson_t *out)
{
    if (out == NULL)
        return;
    if (client == NULL)
        bson_init(out);
    else
        stc_client_config(client, out);
}

stator_future_t *stator_client_room(stator_client_t *client)
{
    if (client == NULL)
        return stf_future_failed(STATOR_ERROR_ARGUMENT, "client.room",
                                 "the client is NULL");
    return stc_client_room(client);
}

/* ---- commands ---------------------------------------------------------- */

/* On the database of a user's choice. */
static void begin_on(struct stl_request *r, const char *subject,
                     const struct stc_verb *verb, stator_client_t *client,
                     const char *db, const bson_t *opts)
{
    const char *fault = stl_name_fault(STL_DATABASE, db);

    stl_request_begin_on_client(r, subject, verb, client,
                                db == NULL ? "" : db, opts, STL_OPERATION);
    if (fault != NULL)
        stl_request_fail(r, STATOR_ERROR_ARGUMENT, "%s", fault);
}

STL_PART stator_future_t *command(stator_client_t *client, const char *subject,
                                  const struct stc_verb *verb, const char *db,
                                  const bson_t *command, const bson_t *opts)
{
    struct stl_request r;

    begin_on(&r, subject, verb, client, db, opts);
    stl_request_command(&r, command);
    return stl_request_submit(&r);
}

stator_future_t *stator_client_command(stator_client_t *client,
                                       const char *db, const bson_t *c,
                                       const bson_t *opts)
{
    return command(client, "client.command", &stc_verb_command, db, c, opts);
}

stator_future_t *stator_client_read_command(stator_client_t *client,
                                            const char *db, const bson_t *c,
                                            const bson_t *opts)
{
    return command(client, "client.read_command", &stc_verb_read_command, db,
                   c, opts);
}

stator_future_t *stator_client_write_command(stator_client_t *client,
                                             const char *db, const bson_t *c,
                                             const bson_t *opts)
{
    return command(client, "client.write_command", &stc_verb_write_command,
                   db, c, opts);
}

stator_future_t *stator_client_read_write_command(stator_client_t *client,
                                                  const char *db,
                                                  const bson_t *c,
                                                  const bson_t *opts)
{
    return command(client, "client.read_write_command",
                   &stc_verb_read_write_command, db, c, opts);
}

stator_future_t *stator_client_ping(stator_client_t *client,
                                    const bson_t *opts)
{
    bson_t ping = BSON_INITIALIZER;

    BSON_APPEND_INT32(&ping, "ping", 1);
    return command(client, "client.ping", &stc_verb_command, "admin", &ping,
                   opts);
}

stator_cursor_t *stator_client_list_databases(stator_client_t *client,
                                              const bson_t *opts)
{
    struct stl_request r;

    stl_request_begin_on_client(&r, "client.list_databases",
                                &stc_verb_list_databases, client, "admin",
                                opts, STL_CURSOR);
    return stl_request_open(&r);
}

stator_future_t *stator_client_list_database_names(stator_client_t *client,
                                                   const bson_t *opts)
{
    struct stl_request r;

    begin_on(&r, "client.list_database_names", &stc_verb_list_database_names,
             client, "admin", opts);
    return stl_request_submit(&r);
}

stator_future_t *stator_client_drop_database(stator_client_t *client,
                                             const char *db,
                                             const bson_t *opts)
{
    struct stl_request r;

    begin_on(&r, "client.drop_database", &stc_verb_drop_database, client, db,
             opts);
    return stl_request_submit(&r);
}

/* ---- the deployment ---------------------------------------------------- */

stator_future_t *stator_client_select_server(stator_client_t *client,
                                             bool for_writes,
                                             const bson_t *opts)
{
    bson_t how = BSON_INITIALIZER;
    struct stl_request r;

    stl_request_begin_on_client(&r, "client.select_server",
                                &stc_verb_select_server, client, "", opts,
                                STL_OPERATION);
    BSON_APPEND_BOOL(&how, "for_writes", for_writes);
    stl_request_document(&r, "for_writes", &how);
    bson_destroy(&how);
    return stl_request_submit(&r);
}

stator_future_t *
stator_client_get_server_descriptions(stator_client_t *client,
                                      const bson_t *opts)
{
    struct stl_request r;

    stl_request_begin_on_client(&r, "client.get_server_descriptions",
                                &stc_verb_get_server_descriptions, client, "",
                                opts, STL_OPERATION);
    return stl_request_submit(&r);
}

stator_future_t *
stator_client_get_handshake_description(stator_client_t *client,
                                        uint32_t server_id,
                                        const bson_t *opts)
{
    bson_t which = BSON_INITIALIZER;
    struct stl_request r;

    stl_request_begin_on_client(&r, "client.get_handshake_description",
                                &stc_verb_get_handshake_description, client,
                                "", opts, STL_OPERATION);
    if (server_id == 0) /* the driver ends the process */
        stl_request_fail(&r, STATOR_ERROR_ARGUMENT,
                         "server_id is 0, which is no server's");
    BSON_APPEND_INT64(&which, "server_id", server_id);
    stl_request_document(&r, "server_id", &which);
    bson_destroy(&which);
    return stl_request_submit(&r);
}

stator_future_t *stator_client_run(stator_client_t *client,
                                   stator_work_fn *fn, void *arg,
                                   const bson_t *opts)
{
    struct stl_request r;

    stl_request_begin_on_client(&r, "client.run", &stc_verb_run, client, "",
                                opts, STL_OPERATION);
    if (fn == NULL)
        stl_request_fail(&r, STATOR_ERROR_ARGUMENT, "fn is NULL");
    r.core.fn = fn;
    r.core.arg = arg;
    return stl_request_submit(&r);
}

/* ---- handles ----------------------------------------------------------- */

stator_collection_t *stator_client_get_collection(stator_client_t *client,
                                                  const char *db,
                                                  const char *name)
{
    const char *fault = client == NULL ? "the client is NULL" : NULL;

    if (fault == NULL)
        fault = stl_name_fault(STL_DATABASE, db);
    if (fault == NULL)
        fault = stl_name_fault(STL_COLLECTION, name);
    return stl_collection_of(stl_handle_new(
        client, db, name == NULL ? "" : name, NULL, fault));
}

stator_database_t *stator_client_get_database(stator_client_t *client,
                                              const char *db)
{
    const char *fault = client == NULL ? "the client is NULL" : NULL;

    if (fault == NULL)
        fault = stl_name_fault(STL_DATABASE, db);
    return stl_database_of(stl_handle_new(client, db, NULL, NULL, fault));
}

stator_database_t *stator_client_get_default_database(stator_client_t *client)
{
    const char *fault = client == NULL ? "the client is NULL" : NULL;
    const char *db = client == NULL ? NULL : stc_client_default_db(client);

    if (fault == NULL && db == NULL)
        fault = "the client's URI names no database";
    if (fault == NULL)
        fault = stl_name_fault(STL_DATABASE, db);
    return stl_database_of(stl_handle_new(client, db, NULL, NULL, fault));
}
