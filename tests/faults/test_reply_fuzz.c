/* SPDX-License-Identifier: Apache-2.0 */
/* test_reply_fuzz.c - thousands of replies, each changed a little, on their
 * real way: server, socket, guard, driver, worker, future.
 *
 * Most are such as the guard lets pass: it is the driver and the verbs that
 * read them.  Of those that it refuses some hundreds go out as well; each of
 * these breaks a connection and holds its client up for half a second.
 * (All by itself, the guard is given millions: tests/core, tests/fuzz.)
 *
 * STATOR_FUZZ_SEED is another run; the seed is printed. */
#include <pthread.h>
#include <stdatomic.h>

#include "core/guard.h"
#include "tests/faults/rows.h"

enum {
    REPLIES = UNDER_ASAN || UNDER_TSAN ? 4000 : 20000,
    CLIENTS = 8,
    REFUSED_MAX = CLIENTS * 8,
    TRIES = 40
};

/* ---- on the server's thread --------------------------------------------- */

struct fuzz {
    uint64_t random;
    atomic_int n_changed, n_refused;
};

static uint32_t next_random(struct fuzz *f, uint32_t below)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return (uint32_t)(f->random >> 33) % below;
}

static void put_int32(uint8_t *at, int32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)((uint32_t)value >> 8 * i);
}

/* In the room of `n` bytes: one change, in the body mostly. */
static void change(struct fuzz *f, uint8_t *bytes, uint32_t n)
{
    static const int32_t edges[] = {0, 1, -1, 2, 5, 127, 128, 255, 65536,
                                    INT32_MAX, INT32_MIN, 16777216};
    uint32_t from = next_random(f, 16) == 0 ? 0 : 21;
    uint32_t at;

    if (n < from + 8)
        return;
    at = from + next_random(f, n - from - 4);
    switch (next_random(f, 5)) {
    case 0:
        bytes[at] ^= (uint8_t)(1u << next_random(f, 8));
        break;
    case 1:
        bytes[at] = (uint8_t)next_random(f, 256);
        break;
    case 2: /* as likely a type as not */
        bytes[at] = (uint8_t)(1 + next_random(f, 19));
        break;
    case 3:
        put_int32(bytes + at,
                  edges[next_random(f, sizeof edges / sizeof *edges)]);
        break;
    default: /* another place's bytes */
        memmove(bytes + at, bytes + from + next_random(f, n - from - 4), 4);
    }
}

static bool is_refused(const wire_command_t *command, const uint8_t *bytes,
                       uint32_t n)
{
    struct stc_guard g = {.request_id = command->request_id,
                          .opcode = STC_OP_MSG,
                          .reply = STC_OP_MSG,
                          .awaits_reply = true,
                          .is_ours = true};

    snprintf(g.command, sizeof g.command, "%.31s", command->name);
    return stc_guard_reply(&g, bytes, n) != NULL;
}

/* Try until it passes, or, within their number, as it comes. */
static void spoil(const wire_command_t *command, wire_buffer_t *b, void *arg)
{
    struct fuzz *f = arg;
    uint32_t n = (uint32_t)wire_buffer_size(b);
    uint8_t *bytes = malloc(n);

    for (int i = 0; i < TRIES; i++) {
        bool refused;

        memcpy(bytes, wire_buffer_data(b), n);
        for (uint32_t k = 1 + next_random(f, 3); k > 0; k--)
            change(f, bytes, n);
        refused = is_refused(command, bytes, n);
        if (refused && (i > 0 || next_random(f, 100) != 0 ||
                        atomic_load(&f->n_refused) >= REFUSED_MAX))
            continue;
        memcpy(wire_buffer_data(b), bytes, n);
        atomic_fetch_add(&f->n_changed, 1);
        atomic_fetch_add(&f->n_refused, refused);
        break;
    }
    free(bytes);
}

/* ---- the clients -------------------------------------------------------- */

struct user {
    struct fuzz *fuzz;
    stator_client_t *client;
    stator_collection_t *things;
    pthread_t thread;
    int n_state[4];
};

/* On a thread that is not Check's: what fails ends the process. */
static void tally(struct user *u, stator_future_t *f)
{
    if (stator_future_wait(f, LIB_PATIENCE_MS) != 0) {
        fprintf(stderr, "reply_fuzz: an operation does not settle\n");
        abort();
    }
    u->n_state[stator_future_poll(f)]++;
    stator_future_unref(f);
}

static void read_list(struct user *u, stator_cursor_t *cursor)
{
    tally(u, stator_cursor_next(cursor));
    tally(u, stator_cursor_next_batch(cursor));
    tally(u, stator_cursor_to_list(cursor, 0));
    stator_cursor_unref(cursor);
}

static void use(struct user *u, int i, const bson_t *opts,
                const bson_t *batches, const bson_t *update)
{
    bson_t none = BSON_INITIALIZER, ping = BSON_INITIALIZER;

    BSON_APPEND_INT32(&ping, "ping", 1);
    switch (i % 8) {
    case 0:
        tally(u, stator_collection_find_one(u->things, &none, opts));
        break;
    case 1:
        tally(u, stator_collection_insert_one(u->things, &none, opts));
        break;
    case 2:
        read_list(u, stator_collection_find(u->things, &none, batches));
        break;
    case 3:
        tally(u, stator_client_command(u->client, "fuzzed", &ping, opts));
        break;
    case 4:
        read_list(u, stator_collection_aggregate(u->things, &none, batches));
        break;
    case 5:
        tally(u, stator_collection_update_one(u->things, &none, update,
                                              opts));
        break;
    case 6:
        tally(u, stator_collection_count_documents(u->things, &none, opts));
        break;
    default:
        tally(u, stator_collection_distinct(u->things, "_id", &none, opts));
    }
    bson_destroy(&none);
    bson_destroy(&ping);
}

static void *use_all(void *arg)
{
    struct user *u = arg;
    bson_t opts = BSON_INITIALIZER, batches = BSON_INITIALIZER;
    bson_t *update = BCON_NEW("$set", "{", "a", BCON_INT32(1), "}");

    BSON_APPEND_INT32(&opts, "timeoutMS", 5000);
    BSON_APPEND_INT32(&batches, "timeoutMS", 5000);
    BSON_APPEND_INT32(&batches, "batchSize", 2);
    for (int i = 0; atomic_load(&u->fuzz->n_changed) < REPLIES; i++)
        use(u, i, &opts, &batches, update);
    bson_destroy(update);
    bson_destroy(&batches);
    bson_destroy(&opts);
    return NULL;
}

static uint64_t the_seed(void)
{
    const char *text = getenv("STATOR_FUZZ_SEED");
    uint64_t seed = text == NULL ? 0 : strtoull(text, NULL, 10);

    return seed == 0 ? 20260101 : seed;
}

START_TEST(thousands_of_changed_replies)
{
    uint64_t seed = the_seed();
    struct fuzz fuzz = {.random = seed};
    wire_server_t *server = wire_server_new(
        &(wire_options_t){.documents = 10});
    struct user users[CLIENTS];
    int n[4] = {0}, rule;
    char uri[WIRE_URI_SIZE];

    fprintf(stderr, "reply_fuzz: STATOR_FUZZ_SEED=%" PRIu64 "\n", seed);
    ck_assert_ptr_nonnull(server);
    wire_server_uri(server, "retryReads=false&retryWrites=false", uri,
                    sizeof uri);
    rule = wire_rule_add(server, &(wire_rule_t){.db = "fuzzed",
                                                .action = WIRE_REWRITE,
                                                .rewrite = spoil,
                                                .arg = &fuzz});
    memset(users, 0, sizeof users);
    for (int i = 0; i < CLIENTS; i++) {
        users[i].fuzz = &fuzz;
        users[i].client = new_client(uri, "{'workers': 2}");
        users[i].things = stator_client_get_collection(users[i].client,
                                                       "fuzzed", "things");
        ck_assert_int_eq(pthread_create(&users[i].thread, NULL, use_all,
                                        &users[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(pthread_join(users[i].thread, NULL), 0);
    wire_rule_remove(server, rule);
    for (int i = 0; i < CLIENTS; i++) {
        for (int id = 0; id < 10; id++) /* all is well again */
            ck_reads(users[i].things, id);
        for (int k = 0; k < 4; k++)
            n[k] += users[i].n_state[k];
        stator_collection_unref(users[i].things);
        end_client(users[i].client);
    }
    fprintf(stderr, "reply_fuzz: %d changed, %d of them refused; operations: "
            "%d done, %d failed\n", atomic_load(&fuzz.n_changed),
            atomic_load(&fuzz.n_refused), n[STATOR_FUTURE_DONE],
            n[STATOR_FUTURE_FAILED]);
    ck_assert_int_ge(atomic_load(&fuzz.n_changed), REPLIES);
    ck_assert_int_gt(atomic_load(&fuzz.n_refused), 0);
    ck_assert_int_gt(n[STATOR_FUTURE_DONE], 0);
    ck_assert_int_gt(n[STATOR_FUTURE_FAILED], 0);
    ck_assert_int_eq(n[STATOR_FUTURE_PENDING] + n[STATOR_FUTURE_CANCELLED],
                     0);
    lib_forget();
    wire_server_free(server);
}
END_TEST

SUITE(reply_fuzz)
{
    tcase_add_test(tc, thousands_of_changed_replies);
}
