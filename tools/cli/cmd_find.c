/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_find.c - `stator find` and `stator aggregate`: JSON lines out.
 *
 *   next_batch -> write it all -> next_batch -> ..
 *
 * Nothing is asked of the server that the reader has not made room for, so
 * memory holds one batch, however slow the reader is. */
#include <stdlib.h>

#include "cli.h"
#include "interrupt.h"
#include "output.h"
#include "session.h"

enum {
    KEY_SORT = 0x500,
    KEY_PROJECTION,
    KEY_LIMIT,
    KEY_SKIP,
    KEY_BATCH_SIZE,
    KEY_HINT,
    KEY_ALLOW_DISK_USE,
    KEY_CANONICAL
};

typedef struct find_args {
    settings_t *settings;
    bool is_aggregate;
    bson_t *query; /* filter or pipeline */
    bson_t opts;
    bool canonical;
} find_args_t;

static void add_json(find_args_t *args, const struct argp_state *state,
                     const char *key, const char *what, const char *text)
{
    bson_t *document = settings_json(state, what, text);

    BSON_APPEND_DOCUMENT(&args->opts, key, document);
    bson_destroy(document);
}

static void add_number(find_args_t *args, const struct argp_state *state,
                       const char *key, const char *what, const char *text)
{
    BSON_APPEND_INT64(&args->opts, key,
                      settings_number(state, what, text, 0, INT32_MAX));
}

static error_t take_query(find_args_t *args, const struct argp_state *state,
                          const char *text)
{
    if (args->query != NULL)
        argp_error(state, "\"%s\" is one argument too many: quote the JSON",
                   text);
    args->query = settings_json(
        state, args->is_aggregate ? "PIPELINE" : "FILTER", text);
    return 0;
}

/* What both commands take. */
static error_t parse_both(int key, char *arg, struct argp_state *state)
{
    find_args_t *args = state->input;

    switch (key) {
    case KEY_HINT:
        add_json(args, state, "hint", "--hint", arg);
        return 0;
    case KEY_BATCH_SIZE:
        add_number(args, state, "batchSize", "--batch-size", arg);
        return 0;
    case KEY_ALLOW_DISK_USE:
        BSON_APPEND_BOOL(&args->opts, "allowDiskUse", true);
        return 0;
    case KEY_CANONICAL:
        args->canonical = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    find_args_t *args = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = args->settings;
        state->child_inputs[1] = args;
        return 0;
    case KEY_SORT:
        add_json(args, state, "sort", "--sort", arg);
        return 0;
    case KEY_PROJECTION:
        add_json(args, state, "projection", "--projection", arg);
        return 0;
    case KEY_LIMIT:
        add_number(args, state, "limit", "--limit", arg);
        return 0;
    case KEY_SKIP:
        add_number(args, state, "skip", "--skip", arg);
        return 0;
    case ARGP_KEY_ARG:
        return take_query(args, state, arg);
    case ARGP_KEY_END:
        if (args->is_aggregate && args->query == NULL)
            argp_error(state, "PIPELINE is missing, '[{\"$count\": \"n\"}]' "
                              "say");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option both_options[] = {
    {"batch-size", KEY_BATCH_SIZE, "N", 0, "Documents a reply", 1},
    {"hint", KEY_HINT, "JSON", 0, "The index to use", 1},
    {"allow-disk-use", KEY_ALLOW_DISK_USE, 0, 0,
     "The server may use temporary files", 1},
    {"canonical", KEY_CANONICAL, 0, 0,
     "Canonical extended JSON: every type can be told", 1},
    {0}};

static const struct argp_option find_options[] = {
    {"sort", KEY_SORT, "JSON", 0, "Order, '{\"name\": 1}' say", 1},
    {"projection", KEY_PROJECTION, "JSON", 0, "Which fields", 1},
    {"limit", KEY_LIMIT, "N", 0, "At the most so many", 1},
    {"skip", KEY_SKIP, "N", 0, "Without the first N", 1},
    {0}};

static const struct argp both_argp = {.options = both_options,
                                      .parser = parse_both};

static const struct argp_child children[] = {
    {&settings_argp, 0, 0, 0}, {&both_argp, 0, 0, 1}, {0}};

static const struct argp find_argp = {
    .options = find_options,
    .parser = parse,
    .args_doc = "[FILTER]",
    .doc = "Print the documents of a collection that match FILTER (all), a "
           "line of JSON each.\v"
           "The server is asked for more only as fast as the output is read. "
           "When the reader goes away, `stator find | head -1' say, the "
           "cursor is closed and the exit status is 141.",
    .children = children};

static const struct argp aggregate_argp = {
    .parser = parse,
    .args_doc = "PIPELINE",
    .doc = "Print the result of PIPELINE, a JSON array, a line of JSON "
           "each.\v"
           "The server is asked for more only as fast as the output is "
           "read.",
    .children = children};

/* Wait for a batch; a reader that goes away meanwhile ends it. */
static int await_batch(session_t *session, stator_future_t *future)
{
    enum { LOOK_MS = 500 };

    session_watch(session, future);
    while (stator_future_poll(future) == STATOR_FUTURE_PENDING) {
        if (interrupt_count() > 0 || output_is_broken()) {
            stator_future_cancel(future);
            return interrupt_count() > 0 ? interrupt_exit() : EXIT_PIPE;
        }
        session_turn(session, -1, 0, LOOK_MS);
    }
    return EX_OK;
}

/* One batch: fetch, write.  `more` tells whether there may be another. */
static int print_batch(session_t *session, stator_cursor_t *cursor,
                       output_t *output, const char *what, bool *more)
{
    stator_future_t *future = stator_cursor_next_batch(cursor);
    int code = await_batch(session, future);

    if (code == EX_OK)
        code = session_explain(what, future);
    *more = code == EX_OK && stator_future_count(future) > 0;
    for (int64_t i = 0; code == EX_OK && i < stator_future_count(future); i++)
        code = output_add(output,
                          stator_future_document_at(future, (size_t)i));
    stator_future_unref(future);
    return code == EX_OK ? output_flush(output) : code;
}

static int print_all(session_t *session, const find_args_t *args,
                     stator_cursor_t *cursor)
{
    output_t output;
    bool more = true;
    int code = EX_OK;

    output_init(&output, session, args->canonical);
    while (more && code == EX_OK)
        code = print_batch(session, cursor, &output,
                           args->is_aggregate ? "aggregate" : "find", &more);
    if (code != EX_OK && code != EXIT_PIPE && output.documents > 0)
        say_error("the output is not complete: it ends after %llu documents",
                  (unsigned long long)output.documents);
    say_detail("%llu documents", (unsigned long long)output.documents);
    output_clear(&output);
    return code;
}

/* Tell the server that nobody reads on, but not for long. */
static void close_cursor(session_t *session, stator_cursor_t *cursor)
{
    stator_future_t *closed = stator_cursor_close(cursor);

    stator_dispatcher_run_until(session->dispatcher, closed, 1000);
    stator_future_unref(closed);
}

static int query(find_args_t *args)
{
    bson_t none = BSON_INITIALIZER;
    const bson_t *filter = args->query != NULL ? args->query : &none;
    stator_cursor_t *cursor;
    session_t session;
    int code = session_open(&session, args->settings, "");

    if (code == EX_OK) {
        bson_concat(&args->opts, &session.opts);
        cursor = args->is_aggregate
                     ? stator_collection_aggregate(session.collection,
                                                   filter, &args->opts)
                     : stator_collection_find(session.collection, filter,
                                              &args->opts);
        code = print_all(&session, args, cursor);
        if (code != EX_OK)
            close_cursor(&session, cursor);
        stator_cursor_unref(cursor);
    }
    session_close(&session, code != EX_OK);
    bson_destroy(&none);
    return code;
}

static int find(settings_t *settings, int argc, char **argv,
                bool is_aggregate)
{
    find_args_t args = {.settings = settings, .is_aggregate = is_aggregate};
    int code;

    bson_init(&args.opts);
    settings_parse(settings, is_aggregate ? &aggregate_argp : &find_argp, 0,
                   argc, argv, NULL, &args);
    code = query(&args);
    if (args.query != NULL)
        bson_destroy(args.query);
    bson_destroy(&args.opts);
    return code;
}

int cmd_find(settings_t *settings, int argc, char **argv)
{
    return find(settings, argc, argv, false);
}

int cmd_aggregate(settings_t *settings, int argc, char **argv)
{
    return find(settings, argc, argv, true);
}
