/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_load.c - `stator load`: the arguments, and what is said at the end. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "interrupt.h"
#include "load.h"
#include "table.h"

enum {
    KEY_FORMAT = 0x500,
    KEY_TYPES,
    KEY_BATCH,
    KEY_IN_FLIGHT,
    KEY_UPSERT_FIELD,
    KEY_DROP,
    KEY_ON_ERROR
};

static const struct argp_option options[] = {
    {"format", KEY_FORMAT, "auto|lines|array|csv", 0,
     "What the input is (by the name's ending, else its first character)",
     1},
    {"types", KEY_TYPES, "infer|string", 0,
     "CSV values: numbers, true and false by their look, null if empty "
     "(infer), or all strings", 1},
    {"batch", KEY_BATCH, "N", 0, "Documents sent together (1000)", 1},
    {"in-flight", KEY_IN_FLIGHT, "N", 0,
     "Batches sent and not yet answered (4; with --upsert-field 1, so that "
     "of two with the same value the later one stays)", 1},
    {"upsert-field", KEY_UPSERT_FIELD, "FIELD", 0,
     "Replace the document with the same value of FIELD, if there is one",
     1},
    {"drop", KEY_DROP, 0, 0, "Drop the collection first", 1},
    {"on-error", KEY_ON_ERROR, "stop|skip", 0,
     "At a bad line, or a document the server refuses (stop)", 1},
    {0}};

static int choice(const struct argp_state *state, const char *what,
                  const char *text, const char *const *words, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(text, words[i]) == 0)
            return i;
    }
    argp_error(state, "%s: \"%s\" is none of its values; see --help", what,
               text);
    return 0;
}

static const char *const formats[] = {"auto", "lines", "array", "csv"};
static const char *const types[] = {"infer", "string"};
static const char *const reactions[] = {"stop", "skip"};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    load_args_t *args = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = args->settings;
        return 0;
    case KEY_FORMAT:
        args->format =
            (input_format_t)choice(state, "--format", arg, formats, 4);
        return 0;
    case KEY_TYPES:
        args->infer = choice(state, "--types", arg, types, 2) == 0;
        return 0;
    case KEY_ON_ERROR:
        args->skip = choice(state, "--on-error", arg, reactions, 2) == 1;
        return 0;
    case KEY_BATCH:
        args->batch =
            (size_t)settings_number(state, "--batch", arg, 1, 100000);
        return 0;
    case KEY_IN_FLIGHT:
        args->in_flight =
            (int)settings_number(state, "--in-flight", arg, 1, 1000);
        return 0;
    case KEY_UPSERT_FIELD:
        if (*arg == '\0' || *arg == '$')
            argp_error(state, "--upsert-field: \"%s\" is no field", arg);
        args->upsert_field = arg;
        return 0;
    case KEY_DROP:
        args->drop = true;
        return 0;
    case ARGP_KEY_ARG:
        if (args->path != NULL)
            argp_error(state, "\"%s\" is one argument too many", arg);
        args->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (args->path == NULL)
            argp_error(state, "FILE is missing, or - for the standard "
                              "input");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "FILE|-",
    .doc = "Insert the documents of FILE into a collection: JSON lines, one "
           "JSON array, or CSV with a header.\v"
           "A bad line is told as FILE:LINE:COLUMN: REASON.  At the end it "
           "says what was read, written, and not written, on the standard "
           "error; the exit status is 0 only when all was written.  After "
           "Ctrl-C nothing more is read, what is under way is waited for, and "
           "a second Ctrl-C ends that too.\n"
           "\n"
           "Without --collection the name of FILE gives it, up to the first "
           "dot.",
    .children = (const struct argp_child[]){{&settings_argp, 0, 0, 0}, {0}}};

/* "cities" of "data/cities.json"; to be freed. */
static char *collection_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    if (strcmp(path, "-") == 0)
        return strdup("");
    return strndup(name, strcspn(name, "."));
}

static void print_part(bson_string_t *text, uint64_t n, const char *what)
{
    if (n > 0)
        bson_string_append_printf(text, ", %s %s",
                                  table_number((double)n, 0), what);
}

static void print_summary(const load_t *load)
{
    const load_counts_t *c = &load->counts;
    bson_string_t *text = bson_string_new(NULL);

    if (interrupt_count() > 0)
        bson_string_append(text, "interrupted: ");
    bson_string_append_printf(text, "%s read, %s written",
                              table_number((double)c->read, 0),
                              table_number((double)c->written, 0));
    if (c->replaced > 0)
        bson_string_append_printf(text, " (%s replaced)",
                                  table_number((double)c->replaced, 0));
    print_part(text, c->bad, "bad in the input");
    print_part(text, c->refused, "refused by the server");
    print_part(text, c->not_sent, "not tried");
    print_part(text, c->unknown, "sent without an answer (not known)");
    bson_string_append_printf(text, "; %s.%s in %.1f s", load->session.db,
                              load->session.collection_name, load->seconds);
    if (load_has_loss(load))
        say_error("%s", text->str);
    else
        say_note("%s", text->str);
    bson_string_free(text, true);
}

int cmd_load(settings_t *settings, int argc, char **argv)
{
    load_args_t args = {
        .settings = settings, .infer = true, .batch = 1000};
    load_t load;
    char *collection;
    int code;

    settings_parse(settings, &argp, 0, argc, argv, NULL, &args);
    if (args.in_flight == 0)
        args.in_flight = args.upsert_field != NULL ? 1 : 4;
    collection = collection_of(args.path);
    code = load_open(&load, &args, collection);
    if (code == EX_OK) {
        code = load_run(&load);
        print_summary(&load);
    }
    /* A second Ctrl-C: there is no patience left for an orderly close. */
    if (interrupt_count() > 1)
        _Exit(interrupt_exit());
    load_close(&load);
    free(collection);
    return code;
}
