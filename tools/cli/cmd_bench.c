/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_bench.c - `stator bench`: a closed loop of small operations.
 *
 * So many are in flight at any time: each continuation submits the next. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "clock.h"
#include "interrupt.h"
#include "latency.h"
#include "session.h"
#include "table.h"

enum { KEY_SECONDS = 0x500, KEY_IN_FLIGHT, DOCUMENTS = 1000 };

enum { OP_PING, OP_INSERT, OP_FIND_ONE, OPS };

static const char *const names[OPS] = {"ping", "insert", "find_one"};

typedef struct bench_args {
    settings_t *settings;
    int64_t seconds;
    int64_t in_flight;
    bool wanted[OPS];
    bool chosen;
} bench_args_t;

typedef struct bench {
    session_t session;
    const bench_args_t *args;
    int op;
    bool stopping;
    int64_t in_flight;
    int64_t failed;
    int code;
    unsigned random;
    latency_t latency;
} bench_t;

/* One place of those in flight. */
typedef struct slot {
    bench_t *bench;
    int64_t start;
} slot_t;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    bench_args_t *args = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = args->settings;
        return 0;
    case KEY_SECONDS:
        args->seconds = settings_number(state, "--seconds", arg, 1, 3600);
        return 0;
    case KEY_IN_FLIGHT:
        args->in_flight =
            settings_number(state, "--in-flight", arg, 1, 100000);
        return 0;
    case ARGP_KEY_ARG:
        for (int op = 0; op < OPS; op++) {
            if (strcmp(arg, names[op]) == 0) {
                args->wanted[op] = args->chosen = true;
                return 0;
            }
        }
        argp_error(state, "\"%s\" is not ping, insert or find_one", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = (const struct argp_option[]){
        {"seconds", KEY_SECONDS, "N", 0, "How long each takes (3)", 1},
        {"in-flight", KEY_IN_FLIGHT, "N", 0,
         "Operations submitted and not yet answered (64)", 1},
        {0}},
    .parser = parse,
    .args_doc = "[ping] [insert] [find_one]",
    .doc = "Measure operations a second and how long they take, from submit "
           "to continuation.\v"
           "Without an argument, all three.  insert and find_one use a "
           "collection of their own, \"stator_bench\" unless --collection "
           "says otherwise, which must not exist and is dropped at the end.",
    .children = (const struct argp_child[]){{&settings_argp, 0, 0, 0}, {0}}};

static stator_future_t *submit(bench_t *bench)
{
    session_t *session = &bench->session;
    bson_t document = BSON_INITIALIZER;
    stator_future_t *future;

    switch (bench->op) {
    case OP_PING:
        future = stator_client_ping(session->client, &session->opts);
        break;
    case OP_INSERT:
        BSON_APPEND_INT64(&document, "at", clock_us());
        BSON_APPEND_UTF8(&document, "text", "a short line of some text");
        future = stator_collection_insert_one(session->collection, &document,
                                              &session->opts);
        break;
    default:
        bench->random = bench->random * 1103515245u + 12345u;
        BSON_APPEND_INT32(&document, "_id",
                          (int)(bench->random >> 8) % DOCUMENTS);
        future = stator_collection_find_one(session->collection, &document,
                                            &session->opts);
        break;
    }
    bson_destroy(&document);
    return future;
}

static void on_answer(stator_future_t *future, void *arg);

static void start(slot_t *slot)
{
    bench_t *bench = slot->bench;
    stator_future_t *future;

    slot->start = clock_us();
    future = submit(bench);
    if (stator_future_then(future, bench->session.dispatcher, on_answer,
                           slot) == 0)
        bench->in_flight++;
    else
        bench->failed++;
    stator_future_unref(future);
}

static void on_answer(stator_future_t *future, void *arg)
{
    slot_t *slot = arg;
    bench_t *bench = slot->bench;

    bench->in_flight--;
    if (stator_future_poll(future) == STATOR_FUTURE_DONE) {
        latency_add(&bench->latency, clock_us() - slot->start);
    } else if (bench->failed++ == 0) {
        bench->code = session_explain(names[bench->op], future);
        /* A server that is away would only be asked faster and faster. */
        bench->stopping = true;
    }
    if (!bench->stopping)
        start(slot);
}

static void measure(bench_t *bench, table_t *table)
{
    int64_t n = bench->args->in_flight;
    slot_t *slots = calloc((size_t)n, sizeof *slots);
    int64_t began = clock_us();
    int64_t end = began + bench->args->seconds * 1000000;
    double seconds;

    if (slots == NULL) {
        say_error("out of memory");
        bench->code = EX_OSERR;
        return;
    }
    memset(&bench->latency, 0, sizeof bench->latency);
    bench->failed = 0;
    bench->stopping = false;
    for (int64_t i = 0; i < n; i++) {
        slots[i].bench = bench;
        start(&slots[i]);
    }
    while (bench->in_flight > 0) {
        session_turn(&bench->session, -1, 0, 100);
        if (clock_us() >= end || interrupt_count() > 0)
            bench->stopping = true;
    }
    seconds = (double)(clock_us() - began) / 1e6;
    free(slots);
    table_add(table, names[bench->op],
              table_number((double)bench->latency.count / seconds, 0),
              table_ms(latency_percentile(&bench->latency, 50)),
              table_ms(latency_percentile(&bench->latency, 99)),
              table_ms(bench->latency.max),
              table_number((double)bench->failed, 0));
}

/* Refuse to touch what is somebody's, then put the documents in. */
static int prepare(bench_t *bench)
{
    session_t *session = &bench->session;
    bson_t all = BSON_INITIALIZER;
    bson_t *documents[DOCUMENTS];
    stator_future_t *future;
    bool is_empty = false;
    int code;

    future = stator_collection_find_one(session->collection, &all,
                                        &session->opts);
    stator_future_ref(future);
    code = session_finish(session, "bench", future);
    is_empty = stator_future_document(future) == NULL;
    stator_future_unref(future);
    bson_destroy(&all);
    if (code != EX_OK)
        return code;
    if (!is_empty) {
        say_error("%s.%s holds documents: bench wants a collection of its "
                  "own; see --collection", session->db,
                  session->collection_name);
        return EX_USAGE;
    }
    for (int i = 0; i < DOCUMENTS; i++)
        documents[i] = BCON_NEW("_id", BCON_INT32(i), "text",
                                "a short line of some text");
    future = stator_collection_insert_many(session->collection,
                                           (const bson_t **)documents,
                                           DOCUMENTS, &session->opts);
    for (int i = 0; i < DOCUMENTS; i++)
        bson_destroy(documents[i]);
    return session_finish(session, "bench", future);
}

/* Also after Ctrl-C, so session_finish would not do. */
static void tidy(session_t *session)
{
    stator_future_t *future =
        stator_collection_drop(session->collection, &session->opts);

    if (stator_dispatcher_run_until(session->dispatcher, future, 3000) != 0)
        say_error("%s.%s could not be dropped", session->db,
                  session->collection_name);
    stator_future_unref(future);
}

static int run(bench_t *bench)
{
    const bench_args_t *args = bench->args;
    table_t table;
    int code = prepare(bench);

    if (code == EX_USAGE || code == EX_UNAVAILABLE)
        return code;
    table_init(&table, "lrrrrr");
    table_add(&table, "operation", "ops/s", "p50", "p99", "longest",
              "failed");
    bench->code = code;
    for (int op = 0; op < OPS && bench->code == EX_OK; op++) {
        if ((args->chosen && !args->wanted[op]) || interrupt_count() > 0)
            continue;
        bench->op = op;
        measure(bench, &table);
    }
    table_print(&table, stdout);
    tidy(&bench->session);
    return interrupt_count() > 0 ? interrupt_exit() : bench->code;
}

int cmd_bench(settings_t *settings, int argc, char **argv)
{
    bench_args_t args = {.settings = settings, .seconds = 3, .in_flight = 64};
    static bench_t one; /* large, and aligned as a bson_t has to be */
    bench_t *bench = &one;
    int code;

    settings_parse(settings, &argp, 0, argc, argv, NULL, &args);
    bench->args = &args;
    bench->random = 1;
    code = session_open(&bench->session, settings, "stator_bench");
    if (code == EX_OK)
        code = run(bench);
    session_close(&bench->session, code != EX_OK);
    return code;
}
