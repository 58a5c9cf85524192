/* SPDX-License-Identifier: Apache-2.0 */
/* ears.c - a listener that remembers what it was told. */
#include "tests/core/ears.h"

#include <sys/syscall.h>
#include <unistd.h>

static int64_t this_thread(void)
{
    return (int64_t)syscall(SYS_gettid);
}

static void take_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from == NULL ? "" : from);
}

static bson_t *take_bson(const bson_t *from)
{
    return from == NULL ? bson_new() : bson_copy(from);
}

void ears_hear(const stator_event_t *event, void *arg)
{
    ears_t *e = arg;
    heard_t *h = &e->heard[e->n++];
    const bson_oid_t *id = stator_event_topology_id(event);

    ck_assert_int_lt(e->n, HEARD_MAX);
    e->stray = e->stray || this_thread() != e->thread;
    h->type = stator_event_type(event);
    take_text(h->name, sizeof h->name, stator_event_name(event));
    take_text(h->host, sizeof h->host, stator_event_host(event));
    take_text(h->command_name, sizeof h->command_name,
              stator_event_command_name(event));
    take_text(h->database, sizeof h->database, stator_event_database(event));
    h->time = stator_event_time(event);
    h->request_id = stator_event_request_id(event);
    h->operation_id = stator_event_operation_id(event);
    h->duration = stator_event_duration(event);
    h->dropped = stator_event_dropped(event);
    h->server_connection_id = stator_event_server_connection_id(event);
    h->server_id = stator_event_server_id(event);
    h->awaited = stator_event_awaited(event);
    h->has_error = stator_event_error(event, &h->error);
    h->has_topology_id = id != NULL;
    if (id != NULL)
        h->topology_id = *id;
    h->context = stator_event_context(event);
    h->command = take_bson(stator_event_command(event));
    h->reply = take_bson(stator_event_reply(event));
    h->previous = take_bson(stator_event_previous_description(event));
    h->current = take_bson(stator_event_new_description(event));
    ck_assert_ptr_null(stator_event_service_id(event));
    if (e->stop_at == e->n) {
        stator_listener_unref(e->listener);
        e->listener = NULL;
    }
}

ears_t *ears_deaf(void)
{
    ears_t *e = calloc(1, sizeof *e);

    e->dispatcher = stator_dispatcher_new(NULL);
    ck_assert_ptr_nonnull(e->dispatcher);
    e->thread = this_thread();
    return e;
}

ears_t *ears_new(stator_client_t *client, const char *opts)
{
    ears_t *e = ears_deaf();
    bson_error_t error = {0};

    e->listener =
        stator_client_listen(client, e->dispatcher, ears_hear, e,
                             opts == NULL ? NULL : J("%s", opts), &error);
    ck_assert_msg(e->listener != NULL, "%s", error.message);
    return e;
}

void ears_free(ears_t *e)
{
    ck_assert(!e->stray);
    stator_listener_unref(e->listener);
    stator_dispatcher_unref(e->dispatcher);
    for (int i = 0; i < e->n; i++) {
        bson_destroy(e->heard[i].command);
        bson_destroy(e->heard[i].reply);
        bson_destroy(e->heard[i].previous);
        bson_destroy(e->heard[i].current);
    }
    free(e);
}

void ears_listen(ears_t *e)
{
    while (stator_dispatcher_dispatch(e->dispatcher, 0) > 0)
        continue;
}

const heard_t *ears_find(const ears_t *e, const char *name,
                         const char *command, int n)
{
    for (int i = 0; i < e->n; i++)
        if (strcmp(e->heard[i].name, name) == 0 &&
            (command == NULL ||
             strcmp(e->heard[i].command_name, command) == 0) &&
            n-- == 0)
            return &e->heard[i];
    return NULL;
}

int ears_count(const ears_t *e, const char *name, const char *command)
{
    int n = 0;

    while (ears_find(e, name, command, n) != NULL)
        n++;
    return n;
}

static void hear_more(ears_t *e, int64_t until, const char *name,
                      const char *text)
{
    ck_assert_msg(now_us() < until, "no %s %s came", name, text);
    (void)stator_dispatcher_run_once(e->dispatcher, 100);
}

const heard_t *ears_await(ears_t *e, const char *name, int n)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;

    while (ears_find(e, name, NULL, n) == NULL)
        hear_more(e, until, name, "");
    return ears_find(e, name, NULL, n);
}

const heard_t *ears_await_that(ears_t *e, const char *name, const char *path,
                               const char *text)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;

    for (;;) {
        const heard_t *h;

        for (int i = 0; (h = ears_find(e, name, NULL, i)) != NULL; i++)
            if (strcmp(at(h->current, path), text) == 0)
                return h;
        hear_more(e, until, name, text);
    }
}
