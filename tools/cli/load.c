/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - reads, gathers, submits; at most `in_flight` batches at a time.
 *
 *   input -> batch -> insert_many -> future -> on_batch -> counts
 *
 * L1  counts.read = written + bad + refused + unknown + not_sent, plus what
 *     is in load->batch and in flight.
 * L2  A batch belongs to load until it is submitted, then to its
 *     continuation, which frees it.
 * L3  After an error in the mode "stop", what came before it in the input is
 *     still submitted, and what is in flight is waited for. */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "interrupt.h"

/* A slow input must not keep a batch waiting for ever. */
enum { IDLE_MS = 200, SERVER_NAMESPACE_NOT_FOUND = 26 };

static const char *name_of(const load_t *load)
{
    return strcmp(load->args->path, "-") == 0 ? "(stdin)" : load->args->path;
}

static void failed(load_t *load, int code)
{
    if (load->code == EX_OK)
        load->code = code;
}

static int drop(load_t *load)
{
    stator_future_t *future = stator_collection_drop(
        load->session.collection, &load->session.opts);
    bson_error_t error;
    int code = EX_OK;

    if (!session_await(&load->session, future)) {
        say_error("interrupted: nothing was read; the collection may have "
                  "been dropped");
        code = interrupt_exit();
    } else if (stator_future_error(future, &error) &&
             error.code != SERVER_NAMESPACE_NOT_FOUND) {
        code = session_explain("--drop", future);
    }
    stator_future_unref(future);
    return code;
}

int load_open(load_t *load, const load_args_t *args, const char *collection)
{
    int code;

    memset(load, 0, sizeof *load);
    load->args = args;
    if (!input_open(&load->input, args->path, args->format, args->infer)) {
        say_error("%s: %s", args->path, strerror(errno));
        load->input.source.fd = -1;
        bson_init(&load->session.opts);
        return EX_NOINPUT;
    }
    interrupt_has_plan(true);
    code = session_open(&load->session, args->settings, collection);
    if (code == EX_OK && args->drop)
        code = drop(load);
    if (code == EX_OK)
        progress_start(&load->progress, name_of(load),
                       load->input.source.total);
    return code;
}

void load_close(load_t *load)
{
    input_close(&load->input);
    batch_free(load->batch);
    session_close(&load->session, load->in_flight > 0);
}

bool load_has_loss(const load_t *load)
{
    const load_counts_t *c = &load->counts;

    return c->read != c->written;
}

static void on_refused(place_t place, const char *reason, void *arg)
{
    load_t *load = arg;

    say_error("%s:%" PRIu64 ":%" PRIu64 ": %s", name_of(load), place.line,
              place.column, reason);
}

static void count(load_t *load, const batch_result_t *result)
{
    load->counts.written += result->written;
    load->counts.replaced += result->replaced;
    load->counts.refused += result->refused;
    load->counts.unknown += result->unknown;
    load->counts.not_sent += result->not_sent;
}

static void on_batch(stator_future_t *future, void *arg)
{
    batch_t *batch = arg;
    load_t *load = batch->owner;
    batch_result_t result =
        batch_settle(batch, future, !load->args->skip, on_refused, load);
    char *lines;

    load->in_flight--;
    load->in_flight_documents -= batch->count;
    count(load, &result);
    if (result.refused > 0) {
        failed(load, EX_DATAERR);
    } else if (stator_future_poll(future) != STATOR_FUTURE_DONE) {
        lines = bson_strdup_printf(
            "%s: lines %" PRIu64 " to %" PRIu64, name_of(load),
            batch->places[0].line, batch->places[batch->count - 1].line);
        failed(load, session_explain(lines, future));
        bson_free(lines);
        /* The next batch would meet the same. */
        load->stopping = true;
    }
    if (!load->args->skip && load->code != EX_OK)
        load->stopping = true;
    batch_free(batch);
}

static void submit(load_t *load)
{
    batch_t *batch = load->batch;
    stator_future_t *future;

    load->batch = NULL;
    if (batch == NULL)
        return;
    if (batch->count == 0) {
        batch_free(batch);
        return;
    }
    batch->owner = load;
    future = batch_submit(batch, load->session.collection,
                          load->args->upsert_field, !load->args->skip,
                          &load->session.opts);
    if (stator_future_then(future, load->session.dispatcher, on_batch,
                           batch) == 0) {
        load->in_flight++;
        load->in_flight_documents += batch->count;
    } else {
        /* Sent, and its answer can not be heard. */
        load->counts.unknown += batch->count;
        failed(load, EX_OSERR);
        load->stopping = true;
        batch_free(batch);
    }
    stator_future_unref(future);
}

static void complain(load_t *load)
{
    const input_t *input = &load->input;

    say_error("%s:%" PRIu64 ":%" PRIu64 ": %s", name_of(load),
              input->place.line, input->place.column, input->reason);
    load->counts.read++;
    load->counts.bad++;
    failed(load, EX_DATAERR);
}

/* What the driver would refuse a whole batch for, and what an upsert can not
 * do without: a document that lacks the field would replace another one that
 * lacks it. */
static bool is_fit(load_t *load, const bson_t *document)
{
    const char *field = load->args->upsert_field;
    input_t *input = &load->input;
    bson_error_t error;
    bson_iter_t at;

    if (!bson_validate_with_error(document,
                                  BSON_VALIDATE_UTF8 |
                                      BSON_VALIDATE_UTF8_ALLOW_NULL |
                                      BSON_VALIDATE_EMPTY_KEYS,
                                  &error)) {
        snprintf(input->reason, sizeof input->reason, "%.256s",
                 error.message);
        return false;
    }
    if (field == NULL || bson_iter_init_find(&at, document, field))
        return true;
    snprintf(input->reason, sizeof input->reason,
             "the document has no field \"%s\"", field);
    return false;
}

/* Read one.  INPUT_DOCUMENT also when it was bad and is skipped. */
static input_result_t read_one(load_t *load)
{
    bson_t *document = bson_new();
    input_result_t result = input_next(&load->input, document);

    if (result == INPUT_DOCUMENT && !is_fit(load, document))
        result = INPUT_BAD;
    if (result == INPUT_DOCUMENT) {
        load->counts.read++;
        batch_add(load->batch, document, load->input.place);
        return result;
    }
    bson_destroy(document);
    if (result == INPUT_BAD || result == INPUT_BROKEN)
        complain(load);
    if (result == INPUT_BAD && load->args->skip)
        return INPUT_DOCUMENT;
    if (result == INPUT_BROKEN && load->args->skip)
        say_error("%s: what follows can not be made sense of: the rest is "
                  "not read", name_of(load));
    if (result == INPUT_FAILED) {
        say_error("%s:%" PRIu64 ": %s", name_of(load),
                  load->input.source.line, strerror(errno));
        failed(load, EX_IOERR);
    }
    return result;
}

/* Read until the batch is full, or there is nothing to read. */
static void fill(load_t *load)
{
    if (load->batch == NULL)
        load->batch = batch_new(load->args->batch);
    if (load->batch == NULL) {
        say_error("out of memory");
        failed(load, EX_OSERR);
        load->stopping = true;
        return;
    }
    while (!batch_is_full(load->batch) && interrupt_count() == 0) {
        input_result_t result = read_one(load);

        if (result == INPUT_WAIT) {
            bool ready = session_turn(&load->session, load->input.source.fd,
                                      POLLIN, IDLE_MS);

            if (!ready && load->in_flight == 0)
                break;
            if (load->stopping)
                break;
            progress_update(&load->progress, load->input.source.taken,
                            load->counts.written);
        } else if (result != INPUT_DOCUMENT) {
            load->stopping = true;
            break;
        }
    }
    if (interrupt_count() == 0)
        submit(load);
}

static void wait_a_turn(load_t *load)
{
    session_turn(&load->session, -1, 0, progress_timeout(&load->progress));
    progress_update(&load->progress, load->input.source.taken,
                    load->counts.written);
}

int load_run(load_t *load)
{
    while (!load->stopping && interrupt_count() == 0) {
        if (load->in_flight < load->args->in_flight)
            fill(load);
        else
            wait_a_turn(load);
    }
    if (load->batch != NULL)
        load->counts.not_sent += load->batch->count;
    if (interrupt_count() > 0 && load->in_flight > 0)
        say_error("interrupted: waiting for what is under way; again to "
                  "give up");
    while (load->in_flight > 0 && interrupt_count() < 2)
        wait_a_turn(load);
    load->counts.unknown += load->in_flight_documents;
    load->seconds = progress_seconds(&load->progress);
    progress_end(&load->progress, load->input.source.taken,
                 load->counts.written);
    return interrupt_count() > 0 ? interrupt_exit() : load->code;
}
