/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c - what the tests of the rows share. */
#include "tests/faults/rows.h"

#include <sched.h>

const char *reason(const stator_future_t *f)
{
    static bson_error_t error;

    error.message[0] = '\0';
    stator_future_error(f, &error);
    return error.message;
}

const char *ck_fails(stator_future_t *f, uint32_t domain, uint32_t code,
                     const char *text)
{
    bson_error_t error = {0};

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_msg(stator_future_error(f, &error), "it is DONE");
    ck_assert_msg(error.domain == domain &&
                      (code == 0 || error.code == code) &&
                      strstr(error.message, text) != NULL,
                  "%u/%u \"%s\", not %u/%u with \"%s\"", error.domain,
                  error.code, error.message, domain, code, text);
    return reason(f);
}

void ck_reads(stator_collection_t *things, int id)
{
    stator_future_t *f =
        stator_collection_find_one(things, J("{'_id': %d}", id), NULL);
    char text[16];

    snprintf(text, sizeof text, "%d", id);
    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    ck_assert_msg(stator_future_poll(f) == STATOR_FUTURE_DONE, "%s",
                  reason(f));
    ck_assert_ptr_nonnull(stator_future_document(f));
    ck_at(stator_future_document(f), "_id", text);
    stator_future_unref(f);
}

int64_t us_to_settle(stator_future_t *f)
{
    int64_t start = now_us();

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    return now_us() - start;
}

int64_t us_to_idle(stator_client_t *client, int64_t from_us)
{
    int64_t until = now_us() + LIB_PATIENCE_MS * (int64_t)1000;

    while (stat_of(client, "busy") > 0 && now_us() < until)
        sched_yield();
    ck_stat(client, "busy", 0);
    return now_us() - from_us;
}

bool memory_is_watched(void)
{
    return UNDER_ASAN || UNDER_TSAN || getenv("STATOR_MEMCHECK") != NULL;
}

stator_client_t *new_client(const char *uri, const char *opts)
{
    bson_error_t error = {0};
    stator_client_t *client = stator_client_new(
        uri, opts == NULL ? NULL : J("%s", opts), &error);

    ck_assert_msg(client != NULL, "%s", error.message);
    return client;
}

void end_client(stator_client_t *client)
{
    stator_future_t *f = stator_client_close(client, NULL);

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    stator_future_unref(f);
    stator_client_unref(client);
}
