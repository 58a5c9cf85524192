/* SPDX-License-Identifier: Apache-2.0 */
/* core/pool.c - the driver's pool, and its clients while they are out. */
#include "core/pool.h"

#include <stdlib.h>
#include <string.h>

#include <stator/error.h>

#include "core/apm.h"
#include "core/op.h"
#include "core/target.h"
#include "core/verb.h"

void stc_pool_init(struct stc_pool *p, stator_client_t *client,
                   mongoc_uri_t *uri, mongoc_client_pool_t *pool, int max,
                   int reserved)
{
    stc_reach_init(&p->reach, client);
    pthread_mutex_init(&p->opening, NULL);
    pthread_mutex_init(&p->lock, NULL);
    CDS_INIT_LIST_HEAD(&p->all);
    CDS_INIT_LIST_HEAD(&p->idle);
    CDS_INIT_LIST_HEAD(&p->parked);
    p->uri = uri;
    p->pool = pool;
    p->max = max;
    p->reserved = reserved;
    if (pool != NULL)
        mongoc_client_pool_max_size(pool, (uint32_t)max);
    if (uri != NULL)
        stc_network_read(&p->network, uri);
}

void stc_pool_resize(struct stc_pool *p, int max, int reserved)
{
    pthread_mutex_lock(&p->lock);
    p->max = max;
    p->reserved = reserved;
    if (p->pool != NULL)
        mongoc_client_pool_max_size(p->pool, (uint32_t)max);
    pthread_mutex_unlock(&p->lock);
}

/* Can block: an SRV name is resolved in here. */
static bool open_pool(struct stc_pool *p, bson_error_t *error)
{
    mongoc_client_pool_t *pool;

    pthread_mutex_lock(&p->opening);
    pool = p->pool;
    if (pool == NULL) {
        pool = mongoc_client_pool_new_with_error(p->uri, error);
        if (pool != NULL) {
            mongoc_client_pool_set_error_api(pool,
                                             MONGOC_ERROR_API_VERSION_2);
            if (p->server_api != NULL) /* the first time, so it works */
                mongoc_client_pool_set_server_api(pool, p->server_api, error);
            p->reach.wants_tls = p->network.use_tls;
            p->events->reach = &p->reach;
            stc_events_install(p->events, pool);
            stc_network_install(&p->network, pool);
        }
        pthread_mutex_lock(&p->lock);
        p->pool = pool;
        if (pool != NULL)
            mongoc_client_pool_max_size(pool, (uint32_t)p->max);
        pthread_mutex_unlock(&p->lock);
    }
    pthread_mutex_unlock(&p->opening);
    return pool != NULL;
}

/* Under lock: one more. */
static struct stc_connection *make(struct stc_pool *p, bson_error_t *error)
{
    struct stc_connection *c = calloc(1, sizeof *c);

    if (c == NULL) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_MEMORY,
                       "connection: no memory for it");
        return NULL;
    }
    c->client = mongoc_client_pool_try_pop(p->pool);
    if (c->client == NULL) {
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_REFUSED,
                       "connection: all of maxConnections (%d) are out",
                       p->max);
        free(c);
        return NULL;
    }
    if (p->uri == NULL && cds_list_empty(&p->all)) /* an adopted pool's */
        stc_network_read(&p->network, mongoc_client_get_uri(c->client));
    stc_transport_init(&c->transport, &p->network);
    c->is_new = true;
    cds_list_add(&c->in_all, &p->all);
    return c;
}

/* Without lock: the driver tells its log of it, which may be the user's
 * code. */
static struct stc_connection *ready(struct stc_connection *c)
{
    if (c == NULL || !c->is_new)
        return c;
    stc_transport_install(&c->transport, c->client);
    c->is_new = false;
    return c;
}

/* Under lock. */
static struct stc_connection *pop(struct stc_pool *p, bson_error_t *error)
{
    struct stc_connection *c;

    if (cds_list_empty(&p->idle)) {
        c = make(p, error);
    } else {
        c = cds_list_first_entry(&p->idle, struct stc_connection, in_idle);
        cds_list_del(&c->in_idle);
    }
    if (c != NULL)
        atomic_fetch_add(&p->out, 1);
    return c;
}

struct stc_connection *stc_pool_take(struct stc_pool *p, bson_error_t *error)
{
    struct stc_connection *c;

    if (!open_pool(p, error))
        return NULL;
    pthread_mutex_lock(&p->lock);
    c = pop(p, error);
    pthread_mutex_unlock(&p->lock);
    return ready(c);
}

/* Under lock. */
static struct stc_connection *pop_spare(struct stc_pool *p,
                                        bson_error_t *error)
{
    struct stc_connection *c = NULL;

    if (atomic_load(&p->leases) < p->max - p->reserved)
        c = pop(p, error);
    if (c != NULL)
        atomic_fetch_add(&p->leases, 1);
    return c;
}

struct stc_connection *stc_pool_take_spare(struct stc_pool *p)
{
    struct stc_connection *c;
    bson_error_t error;

    pthread_mutex_lock(&p->lock);
    c = pop_spare(p, &error);
    pthread_mutex_unlock(&p->lock);
    return ready(c);
}

/* ---- who waits for one ------------------------------------------- */

struct stc_connection *stc_pool_take_spare_or_park(struct stc_pool *p,
                                                   struct stc_op *op,
                                                   bson_error_t *error)
{
    struct stc_connection *c;

    pthread_mutex_lock(&p->lock);
    c = p->n_parked > 0 ? NULL : pop_spare(p, error);
    if (c == NULL && error->code != STATOR_ERROR_MEMORY) {
        error->code = 0; /* a worker that retires has one to give back */
        op->is_parked = true;
        cds_list_add_tail(&op->listed, &p->parked);
        p->n_parked++;
    }
    pthread_mutex_unlock(&p->lock);
    return ready(c);
}

/* Under lock. */
static void leave_park(struct stc_pool *p, struct stc_op *op)
{
    op->is_parked = false;
    cds_list_del(&op->listed);
    p->n_parked--;
}

bool stc_pool_unpark(struct stc_pool *p, struct stc_op *op)
{
    bool was_parked;

    pthread_mutex_lock(&p->lock);
    was_parked = op->is_parked;
    if (was_parked)
        leave_park(p, op);
    pthread_mutex_unlock(&p->lock);
    return was_parked;
}

/* Under lock; NULL: nobody is. */
static struct stc_op *first_parked(struct stc_pool *p)
{
    return cds_list_empty(&p->parked)
               ? NULL
               : cds_list_first_entry(&p->parked, struct stc_op, listed);
}

struct stc_op *stc_pool_unpark_first(struct stc_pool *p,
                                     struct stc_connection **connection,
                                     bson_error_t *error)
{
    struct stc_op *op;

    pthread_mutex_lock(&p->lock);
    op = first_parked(p);
    *connection = op == NULL ? NULL : pop_spare(p, error);
    if (*connection == NULL && error->code != STATOR_ERROR_MEMORY)
        op = NULL;
    if (op != NULL)
        leave_park(p, op);
    pthread_mutex_unlock(&p->lock);
    *connection = ready(*connection);
    return op;
}

struct stc_op *stc_pool_first_parked(struct stc_pool *p)
{
    struct stc_op *op;

    pthread_mutex_lock(&p->lock);
    op = first_parked(p);
    if (op != NULL)
        stc_op_ref(op);
    pthread_mutex_unlock(&p->lock);
    return op;
}

int64_t stc_pool_count_parked(struct stc_pool *p)
{
    int64_t n;

    pthread_mutex_lock(&p->lock);
    n = p->n_parked;
    pthread_mutex_unlock(&p->lock);
    return n;
}

/* ---- given back -------------------------------------------------- */

static void aim_at_nothing(struct stc_connection *c)
{
    if (c->collection != NULL)
        mongoc_collection_destroy(c->collection);
    if (c->database != NULL)
        mongoc_database_destroy(c->database);
    stc_target_unref(c->target);
    c->collection = NULL;
    c->database = NULL;
    c->target = NULL;
}

void stc_pool_give_back(struct stc_pool *p, struct stc_connection *c,
                        bool was_lease)
{
    aim_at_nothing(c);
    pthread_mutex_lock(&p->lock);
    cds_list_add(&c->in_idle, &p->idle);
    atomic_fetch_sub(&p->out, 1);
    if (was_lease)
        atomic_fetch_sub(&p->leases, 1);
    pthread_mutex_unlock(&p->lock);
}

void stc_pool_explain(struct stc_pool *p, const struct stc_connection *c,
                      bson_error_t *error)
{
    stc_transport_explain(&c->transport, error);
    stc_reach_explain(&p->reach, error);
}

/* ---- ending what runs -------------------------------------------- */

void stc_pool_hang_up(struct stc_pool *p)
{
    struct stc_connection *c;

    pthread_mutex_lock(&p->lock);
    cds_list_for_each_entry(c, &p->all, in_all)
        stc_transport_hang_up(&c->transport);
    pthread_mutex_unlock(&p->lock);
}

uint32_t stc_server_at(mongoc_client_t *client, const char *host)
{
    size_t n = 0;
    uint32_t id = 0;
    mongoc_server_description_t **all =
        mongoc_client_get_server_descriptions(client, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(mongoc_server_description_type(all[i]), "Unknown") != 0 &&
            (host == NULL ||
             strcmp(mongoc_server_description_host(all[i])->host_and_port,
                    host) == 0))
            id = mongoc_server_description_id(all[i]);
    mongoc_server_descriptions_destroy_all(all, n);
    return id;
}

static void kill_session(const struct stc_connection *c, uint32_t server)
{
    bson_t command = BSON_INITIALIZER, opts = BSON_INITIALIZER, list, one;
    bson_error_t error;

    BSON_APPEND_ARRAY_BEGIN(&command, "killSessions", &list);
    bson_append_document_begin(&list, "0", 1, &one);
    BSON_APPEND_BINARY(&one, "id", BSON_SUBTYPE_UUID, c->transport.lsid,
                       sizeof c->transport.lsid);
    bson_append_document_end(&list, &one);
    bson_append_array_end(&command, &list);
    /* Named, it need not be selected, which could take long. */
    BSON_APPEND_INT32(&opts, "serverId", (int32_t)server);
    mongoc_client_command_with_opts(c->client, "admin", &command, NULL, &opts,
                                    NULL, &error);
    bson_destroy(&command);
    bson_destroy(&opts);
}

void stc_pool_stop_server(struct stc_pool *p, struct stc_connection *c)
{
    uint32_t server = 0;

    if (p->stops_server && c->transport.has_lsid)
        server = stc_server_at(c->client, c->transport.lsid_host);
    if (server != 0)
        kill_session(c, server);
}

/* ---- the end ----------------------------------------------------- */

/* Can the server be told of the end, on this very client?  The driver does
 * not connect for that, and warns on stderr when it can not. */
bool stc_connection_reaches_server(struct stc_connection *c)
{
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    /* As the driver itself, when it ends the sessions. */
    mongoc_read_prefs_t *any =
        mongoc_read_prefs_new(MONGOC_READ_PRIMARY_PREFERRED);
    bson_error_t error;
    bool ok;

    stc_events_hush(true); /* nobody has asked for it */
    ok = stc_server_at(c->client, NULL) != 0 &&
         mongoc_client_command_simple(c->client, "admin", ping, any, NULL,
                                      &error);
    stc_events_hush(false);
    mongoc_read_prefs_destroy(any);
    bson_destroy(ping);
    return ok;
}

/* The driver ends its sessions on the client that was pushed last. */
static void push_all(struct stc_pool *p, bool quick)
{
    struct stc_connection *c, *last;
    bson_error_t error;

    pthread_mutex_lock(&p->lock); /* the keeper may be hanging up */
    if (cds_list_empty(&p->idle) && (c = make(p, &error)) != NULL)
        cds_list_add(&c->in_idle, &p->idle);
    pthread_mutex_unlock(&p->lock);
    if (cds_list_empty(&p->idle))
        return;
    last = cds_list_first_entry(&p->idle, struct stc_connection, in_idle);
    /* To reset it forgets the sessions, which else would be ended one by one
     * on a server that can not be reached. */
    if (quick || !stc_connection_reaches_server(last)) {
        mongoc_client_reset(last->client);
        stc_transport_hang_up(&p->network.watch); /* they end sooner */
    }
    cds_list_for_each_entry(c, &p->idle, in_idle)
        if (c != last)
            mongoc_client_pool_push(p->pool, c->client);
    mongoc_client_pool_push(p->pool, last->client);
}

void stc_pool_close(struct stc_pool *p, bool quick)
{
    /* With a client out it would crash or hang; then it is left as it is. */
    if (p->pool != NULL && atomic_load(&p->out) == 0) {
        push_all(p, quick);
        mongoc_client_pool_destroy(p->pool);
        pthread_mutex_lock(&p->lock);
        p->pool = NULL;
        pthread_mutex_unlock(&p->lock);
    }
}

bool stc_pool_destroy(struct stc_pool *p)
{
    struct stc_connection *c, *next;

    if (p->pool != NULL && atomic_load(&p->out) != 0)
        return false;
    cds_list_for_each_entry_safe(c, next, &p->all, in_all)
    {
        stc_transport_destroy(&c->transport);
        free(c);
    }
    if (p->uri != NULL)
        mongoc_uri_destroy(p->uri);
    mongoc_server_api_destroy(p->server_api);
    stc_reach_destroy(&p->reach);
    stc_network_destroy(&p->network);
    pthread_mutex_destroy(&p->opening);
    pthread_mutex_destroy(&p->lock);
    return true;
}

void stc_connection_aim(struct stc_connection *c, struct stc_target *target)
{
    bson_t options;

    if (c->target != NULL && stc_target_is_same(c->target, target))
        return;
    aim_at_nothing(c);
    c->target = stc_target_ref(target);
    if (target->db[0] == '\0')
        return;
    stc_target_options(target, &options);
    if (target->name != NULL) {
        c->collection =
            mongoc_client_get_collection(c->client, target->db, target->name);
        stc_collection_configure(c->collection, &options);
    } else {
        c->database = mongoc_client_get_database(c->client, target->db);
        stc_database_configure(c->database, &options);
    }
}
