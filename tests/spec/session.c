/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - session entities. */
#include "tests/spec/session.h"

#include <string.h>
#include <unistd.h>

#include "tests/spec/await.h"
#include "tests/spec/options.h"
#include "tests/spec/value.h"

#define NO_OPTION "libmongoc 1.23 has no session option %s"

enum { PATIENCE_MS = 10000 };

/* ---- the raw driver -------------------------------------------------- */

mongoc_transaction_opt_t *session_transaction(const bson_t *from, bool *fine,
                                              verdict_t *verdict)
{
    mongoc_transaction_opt_t *opts;
    bson_iter_t at;
    bson_t view;

    if (bson_empty(from))
        return NULL;
    opts = mongoc_transaction_opts_new();
    if (value_view(from, "readConcern", &view)) {
        mongoc_read_concern_t *concern = options_read_concern(&view);

        mongoc_transaction_opts_set_read_concern(opts, concern);
        mongoc_read_concern_destroy(concern);
    }
    if (value_view(from, "writeConcern", &view)) {
        mongoc_write_concern_t *concern = options_write_concern(&view);

        mongoc_transaction_opts_set_write_concern(opts, concern);
        mongoc_write_concern_destroy(concern);
    }
    if (value_view(from, "readPreference", &view)) {
        mongoc_read_prefs_t *prefs = options_read_prefs(&view, verdict);

        *fine = prefs != NULL;
        if (*fine)
            mongoc_transaction_opts_set_read_prefs(opts, prefs);
        mongoc_read_prefs_destroy(prefs);
    }
    if (value_find(from, "maxCommitTimeMS", &at))
        mongoc_transaction_opts_set_max_commit_time_ms(
            opts, bson_iter_as_int64(&at));
    return opts;
}

static bool read_option(mongoc_session_opt_t *opts, const bson_iter_t *at,
                        verdict_t *verdict)
{
    const char *key = bson_iter_key(at);
    mongoc_transaction_opt_t *transaction;
    bool fine = true;
    bson_t view;

    if (strcmp(key, "causalConsistency") == 0) {
        mongoc_session_opts_set_causal_consistency(opts, bson_iter_bool(at));
    } else if (strcmp(key, "snapshot") == 0) {
        mongoc_session_opts_set_snapshot(opts, bson_iter_bool(at));
    } else if (strcmp(key, "defaultTransactionOptions") == 0) {
        value_look(at, &view);
        transaction = session_transaction(&view, &fine, verdict);
        if (transaction != NULL && fine)
            mongoc_session_opts_set_default_transaction_opts(opts,
                                                             transaction);
        if (transaction != NULL)
            mongoc_transaction_opts_destroy(transaction);
    } else {
        return verdict_skip(verdict, NO_OPTION, key);
    }
    return fine;
}

static bool make_raw(entity_t *entity, const bson_t *options,
                     verdict_t *verdict)
{
    mongoc_session_opt_t *opts = mongoc_session_opts_new();
    bson_error_t error;
    bson_iter_t at;
    bool fine = true;

    bson_iter_init(&at, options);
    while (fine && bson_iter_next(&at))
        fine = read_option(opts, &at, verdict);
    if (fine) {
        entity->raw.session = mongoc_client_start_session(
            entity->client->raw.client, opts, &error);
        fine = entity->raw.session != NULL ||
               verdict_fail(verdict, "mongoc_client_start_session: %s",
                            error.message);
    }
    mongoc_session_opts_destroy(opts);
    if (fine) {
        bson_destroy(&entity->value);
        bson_copy_to(mongoc_client_session_get_lsid(entity->raw.session),
                     &entity->value);
    }
    return fine;
}

/* ---- Stator ---------------------------------------------------------- */

/* The options in Stator's words, which are the driver's. */
static bool stator_options(const bson_t *options, bson_t *opts,
                           verdict_t *verdict)
{
    bson_iter_t at;
    bson_t view, inner;

    bson_iter_init(&at, options);
    while (bson_iter_next(&at)) {
        const char *key = bson_iter_key(&at);

        if (strcmp(key, "defaultTransactionOptions") == 0) {
            value_look(&at, &view);
            bson_append_document_begin(opts, key, -1, &inner);
            options_append_all(&inner, &view);
            bson_append_document_end(opts, &inner);
        } else if (strcmp(key, "causalConsistency") == 0 ||
                   strcmp(key, "snapshot") == 0) {
            value_put(opts, key, &at);
        } else {
            return verdict_skip(verdict, NO_OPTION, key);
        }
    }
    return true;
}

/* Takes `future`. */
static bool take_made(entity_t *entity, stator_future_t *future,
                      const setup_t *setup, verdict_t *verdict)
{
    bson_error_t error;
    bool fine =
        await_future(future, setup->mode, setup->dispatcher, verdict);

    if (fine && stator_future_error(future, &error))
        fine = verdict_fail(verdict, "stator_client_start_session: %s",
                            error.message);
    if (fine) {
        entity->stator.session = stator_future_session(future);
        bson_destroy(&entity->value);
        stator_session_lsid(entity->stator.session, &entity->value);
    }
    stator_future_unref(future);
    return fine;
}

static bool make_stator(entity_t *entity, const setup_t *setup,
                        const bson_t *options, verdict_t *verdict)
{
    bson_t opts = BSON_INITIALIZER;
    bool fine = stator_options(options, &opts, verdict) &&
                take_made(entity,
                          stator_client_start_session(
                              entity->client->stator.client, &opts),
                          setup, verdict);

    bson_destroy(&opts);
    return fine;
}

/* Connections that are kept for somebody. */
static int64_t count_leases(const entity_t *client)
{
    bson_t stats;
    int64_t n;

    stator_client_stats(client->stator.client, &stats);
    n = value_int(&stats, "leases", 0);
    bson_destroy(&stats);
    return n;
}

/* ---- both ------------------------------------------------------------ */

bool session_make(entity_t *entity, const setup_t *setup,
                  const bson_t *options, verdict_t *verdict)
{
    return setup->driver == DRIVER_RAW
               ? make_raw(entity, options, verdict)
               : make_stator(entity, setup, options, verdict);
}

bool session_is_open(const entity_t *entity)
{
    return entity->raw.session != NULL || entity->stator.session != NULL;
}

bool session_append(const entity_t *entity, bson_t *opts, verdict_t *verdict)
{
    bson_error_t error;
    bool fine;

    if (!session_is_open(entity))
        return verdict_fail(verdict, "the session has ended");
    if (entity->raw.session != NULL)
        fine = mongoc_client_session_append(entity->raw.session, opts, &error);
    else
        fine = stator_session_append(entity->stator.session, opts, &error);
    return fine || verdict_fail(verdict, "session: %s", error.message);
}

void session_end(entity_t *entity)
{
    if (entity->raw.session != NULL)
        mongoc_client_session_destroy(entity->raw.session);
    entity->raw.session = NULL;
    stator_session_unref(entity->stator.session);
    entity->stator.session = NULL;
}

/* It has a lease of its own, which goes when it has ended. */
bool session_end_and_wait(entity_t *entity, verdict_t *verdict)
{
    int64_t before;
    int i;

    if (entity->stator.session == NULL) {
        session_end(entity);
        return true;
    }
    before = count_leases(entity->client);
    session_end(entity);
    for (i = 0; i < PATIENCE_MS; i++) {
        if (count_leases(entity->client) < before)
            return true;
        usleep(1000);
    }
    return verdict_fail(verdict, "a session did not end in %d s",
                        PATIENCE_MS / 1000);
}
