/* SPDX-License-Identifier: Apache-2.0 */
/* core/apm.c - the driver's monitoring of one client: asked for, given to its
 * pool, counted.  The invariants are in apm.h, the callbacks in apm_command.c
 * and apm_topology.c. */
#include "core/apm.h"

#include <stdlib.h>

#include "core/client.h"
#include "futures/base.h"
#include "futures/dispatcher.h"

/* ---- made, installed ---------------------------------------------- */

struct stc_events *stc_events_new(enum stc_telling telling)
{
    struct stc_events *e = calloc(1, sizeof *e);

    if (e == NULL)
        return NULL;
    stc_listeners_init(&e->listeners);
    pthread_mutex_init(&e->lock, NULL);
    e->wants_commands = telling == STC_TELLS_COMMANDS;
    atomic_init(&e->holders, 1);
    return e;
}

void stc_events_release(struct stc_events *e)
{
    if (e == NULL || atomic_fetch_sub(&e->holders, 1) != 1)
        return;
    stc_listeners_destroy(&e->listeners);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

bool stc_events_install(struct stc_events *e, mongoc_client_pool_t *pool)
{
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    bool has_commands, ok;

    pthread_mutex_lock(&e->lock);
    has_commands = e->has_commands = e->wants_commands;
    e->is_installed = true;
    pthread_mutex_unlock(&e->lock);
    stc_apm_set_topology(callbacks);
    if (has_commands)
        stc_apm_set_command(callbacks);
    atomic_fetch_add(&e->holders, 1);
    ok = mongoc_client_pool_set_apm_callbacks(pool, callbacks, e);
    mongoc_apm_callbacks_destroy(callbacks);
    if (!ok)
        stc_events_release(e);
    return ok;
}

/* ---- asked for ---------------------------------------------------- */

enum {
    COMMANDS = 1u << STATOR_EVENT_COMMAND_STARTED |
               1u << STATOR_EVENT_COMMAND_SUCCEEDED |
               1u << STATOR_EVENT_COMMAND_FAILED,
    EVERYTHING = (1u << STATOR_EVENT_EVENTS_DROPPED) - 1
};

/* Are there such, from now on?  `*types` 0 becomes all that there are. */
static bool agree(struct stc_events *e, bool is_adopted, uint32_t *types,
                  const char **problem)
{
    uint32_t wanted = *types == 0 ? EVERYTHING : *types;
    bool may_have, is_told;

    pthread_mutex_lock(&e->lock);
    is_told = e->is_installed || !is_adopted;
    may_have = is_told && (e->has_commands || !e->is_installed);
    if (!may_have && *types == 0)
        wanted &= ~(uint32_t)COMMANDS;
    if (may_have && (wanted & COMMANDS) != 0)
        e->wants_commands = true;
    pthread_mutex_unlock(&e->lock);
    *types = wanted;
    if (!is_told)
        *problem = "the pool is a user's own, and so are its callbacks, unless "
                   "the client's option \"events\" says otherwise";
    else if ((wanted & COMMANDS) != 0 && !may_have)
        *problem = "command events have to be asked for before the first "
                   "operation, or by the client's option \"events\": "
                   "\"command\"";
    return *problem == NULL;
}

stator_listener_t *stc_client_listen(stator_client_t *client,
                                     const struct stc_listening *how,
                                     bson_error_t *error)
{
    const stator_dispatcher_t *d = how->dispatcher;
    struct stc_listening agreed = *how;
    stator_error_code_t code = STATOR_ERROR_REFUSED;
    const char *problem = NULL;

    if (stc_client_is_inherited(client) ||
        d->generation != stf_generation()) {
        code = STATOR_ERROR_FORKED;
        problem = "the client or the dispatcher is from before the fork";
    } else if (stf_dispatcher_is_closed(how->dispatcher)) {
        code = STATOR_ERROR_CLOSED;
        problem = "the dispatcher is closed";
    } else if (agree(client->events, client->pool.uri == NULL,
                     &agreed.types, &problem)) {
        return stc_listener_new(client, &agreed, error);
    }
    bson_set_error(error, STATOR_ERROR_DOMAIN, code, "client.listen: %s",
                   problem);
    return NULL;
}
