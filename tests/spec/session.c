/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - session entities. */
#include "tests/spec/session.h"

#include <string.h>

#include "tests/spec/options.h"
#include "tests/spec/value.h"

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
        return verdict_skip(verdict, "libmongoc 1.23 has no session option "
                                     "%s",
                            key);
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
    return fine;
}

bool session_make(entity_t *entity, const setup_t *setup,
                  const bson_t *options, verdict_t *verdict)
{
    if (setup->driver == DRIVER_STATOR)
        return verdict_skip(verdict, "Stator has no sessions");
    if (!make_raw(entity, options, verdict))
        return false;
    bson_destroy(&entity->value);
    bson_copy_to(mongoc_client_session_get_lsid(entity->raw.session),
                 &entity->value);
    return true;
}

void session_end(entity_t *entity)
{
    if (entity->raw.session != NULL)
        mongoc_client_session_destroy(entity->raw.session);
    entity->raw.session = NULL;
}
