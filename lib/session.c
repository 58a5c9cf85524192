/* SPDX-License-Identifier: Apache-2.0 */
/* lib/session.c - sessions and the three steps of a transaction.  The handle
 * that a user holds is core's own; with_transaction.c has the loop. */
#include <stator/session.h>

#include <string.h>

#include "lib/document.h"
#include "lib/request.h"
#include "lib/session_opts.h"

static struct stc_session *core_of(stator_session_t *session)
{
    return (struct stc_session *)(void *)session;
}

/* ---- made, named, given back ------------------------------------------- */

stator_future_t *stator_client_start_session(stator_client_t *client,
                                             const bson_t *opts)
{
    struct stl_request r;

    stl_request_begin_on_client(&r, "client.start_session",
                                &stc_verb_start_session, client, "", opts,
                                STL_OPERATION);
    if (stl_request_is_sound(&r) && opts != NULL &&
        !stl_session_options_check(opts, r.problem))
        r.code = STATOR_ERROR_ARGUMENT;
    return stl_request_submit(&r);
}

stator_session_t *stator_future_session(const stator_future_t *future)
{
    return (stator_session_t *)(void *)stc_future_session(future);
}

bool stator_session_append(stator_session_t *session, bson_t *opts,
                           bson_error_t *error)
{
    if (session == NULL)
        return stl_append_id(NULL, "session", "sessionId", 0, opts, error);
    return stl_append_id(stc_session_client(core_of(session)), "session",
                         "sessionId", stc_session_id(core_of(session)), opts,
                         error);
}

stator_session_t *stator_session_ref(stator_session_t *session)
{
    if (session != NULL)
        stc_session_add_handle(core_of(session));
    return session;
}

void stator_session_unref(stator_session_t *session)
{
    if (session != NULL)
        stc_session_drop_handle(core_of(session));
}

/* ---- in its turn ------------------------------------------------------- */

static void begin(struct stl_request *r, const char *subject,
                  const struct stc_verb *verb, stator_session_t *session,
                  const bson_t *opts)
{
    stl_request_begin_on_client(r, subject, verb,
                                stc_session_client(core_of(session)), "",
                                opts, STL_OPERATION);
    stl_request_on_session(r, core_of(session));
}

stator_future_t *stator_session_run(stator_session_t *session,
                                    stator_session_work_fn *fn, void *arg,
                                    const bson_t *opts)
{
    struct stl_request r;

    if (session == NULL)
        return stl_null_handle("session.run", "session");
    begin(&r, "session.run", &stc_verb_session_run, session, opts);
    if (fn == NULL)
        stl_request_fail(&r, STATOR_ERROR_ARGUMENT, "fn is NULL");
    r.core.fn_session = fn;
    r.core.arg = arg;
    return stl_request_submit(&r);
}

stator_future_t *stator_session_start_transaction(stator_session_t *session,
                                                  const bson_t *opts)
{
    struct stl_request r;

    if (session == NULL)
        return stl_null_handle("session.start_transaction", "session");
    begin(&r, "session.start_transaction", &stc_verb_start_transaction,
          session, opts);
    if (stl_request_is_sound(&r) && opts != NULL &&
        !stl_transaction_options_check(opts, true, r.problem))
        r.code = STATOR_ERROR_ARGUMENT;
    return stl_request_submit(&r);
}

/* It takes what every operation does. */
STL_PART stator_future_t *finish(stator_session_t *session,
                                 const char *subject,
                                 const struct stc_verb *verb,
                                 const bson_t *opts)
{
    struct stl_request r;
    bson_iter_t i;

    if (session == NULL)
        return stl_null_handle(subject, "session");
    begin(&r, subject, verb, session, opts);
    if (stl_request_is_sound(&r) && opts != NULL && bson_iter_init(&i, opts))
        while (bson_iter_next(&i))
            if (strcmp(bson_iter_key(&i), "timeoutMS") != 0 &&
                strcmp(bson_iter_key(&i), "priority") != 0 &&
                strcmp(bson_iter_key(&i), "context") != 0)
                stl_request_fail(&r, STATOR_ERROR_ARGUMENT,
                                 "opts: %s is unknown", bson_iter_key(&i));
    return stl_request_submit(&r);
}

stator_future_t *stator_session_commit_transaction(stator_session_t *session,
                                                   const bson_t *opts)
{
    return finish(session, "session.commit_transaction",
                  &stc_verb_commit_transaction, opts);
}

stator_future_t *stator_session_abort_transaction(stator_session_t *session,
                                                  const bson_t *opts)
{
    return finish(session, "session.abort_transaction",
                  &stc_verb_abort_transaction, opts);
}

/* ---- what is known ----------------------------------------------------- */

/* {} and zeros for NULL. */
static void look(stator_session_t *session, struct stc_session_look *out)
{
    if (session != NULL) {
        stc_session_look(core_of(session), out);
        return;
    }
    memset(out, 0, sizeof *out);
    bson_init(&out->lsid);
    bson_init(&out->cluster_time);
}

static void forget(struct stc_session_look *seen)
{
    bson_destroy(&seen->lsid);
    bson_destroy(&seen->cluster_time);
}

stator_transaction_state_t
stator_session_transaction_state(stator_session_t *session)
{
    struct stc_session_look seen;

    look(session, &seen);
    forget(&seen);
    return seen.state;
}

void stator_session_lsid(stator_session_t *session, bson_t *out)
{
    struct stc_session_look seen;

    if (out == NULL)
        return;
    look(session, &seen);
    bson_copy_to(&seen.lsid, out);
    forget(&seen);
}

void stator_session_cluster_time(stator_session_t *session, bson_t *out)
{
    struct stc_session_look seen;

    if (out == NULL)
        return;
    look(session, &seen);
    bson_copy_to(&seen.cluster_time, out);
    forget(&seen);
}

void stator_session_operation_time(stator_session_t *session,
                                   uint32_t *timestamp, uint32_t *increment)
{
    struct stc_session_look seen;

    look(session, &seen);
    forget(&seen);
    if (timestamp != NULL)
        *timestamp = seen.seconds;
    if (increment != NULL)
        *increment = seen.increment;
}

static bool refuse(stator_session_t *session, const char *subject,
                   bson_error_t *error)
{
    if (session == NULL)
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "%s: the session is NULL", subject);
    else if (stc_client_is_inherited(stc_session_client(core_of(session))))
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_FORKED,
                       "%s: the client is from before the fork", subject);
    else
        return false;
    return true;
}

bool stator_session_advance_cluster_time(stator_session_t *session,
                                         const bson_t *cluster_time,
                                         bson_error_t *error)
{
    const char *subject = "session.advance_cluster_time";
    bson_iter_t i;
    size_t offset;

    if (refuse(session, subject, error))
        return false;
    if (cluster_time == NULL ||
        stf_document_flaw(cluster_time, &offset) != NULL ||
        !bson_iter_init_find(&i, cluster_time, "clusterTime") ||
        !BSON_ITER_HOLDS_TIMESTAMP(&i)) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "%s: cluster_time has no timestamp clusterTime",
                       subject);
        return false;
    }
    stc_session_advance_cluster_time(core_of(session), cluster_time);
    return true;
}

bool stator_session_advance_operation_time(stator_session_t *session,
                                           uint32_t timestamp,
                                           uint32_t increment,
                                           bson_error_t *error)
{
    if (refuse(session, "session.advance_operation_time", error))
        return false;
    stc_session_advance_operation_time(core_of(session), timestamp,
                                       increment);
    return true;
}
