/* SPDX-License-Identifier: Apache-2.0 */
/* futures/future.c - a future's life: made, settled, read, freed.  Its state
 * machine is state.h; who may own it stands in future.h. */
#include "futures/future.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "futures/base.h"

static struct stator_future no_memory = {
    .state = {.word = STATOR_FUTURE_FAILED, .links = STF_CLOSED},
    .immortal = true,
    .code = STATOR_ERROR_MEMORY,
    .subject = "future",
    .note = "no memory for it",
};

stator_future_t *stf_future_no_memory(void)
{
    return &no_memory;
}

stator_future_t *stf_future_new(const struct stf_kind *kind,
                                const char *subject, size_t size)
{
    stator_future_t *f = calloc(1, size);

    if (f == NULL)
        return NULL;
    stf_state_init(&f->state);
    STF_INIT(&f->refs, 1u);
    STF_INIT(&f->producers, 0u);
    STF_INIT(&f->phase, (uint32_t)STATOR_PHASE_QUEUED);
    STF_INIT(&f->first_taken, 0u);
    f->generation = stf_generation();
    f->kind = kind;
    f->subject = subject;
    return f;
}

stator_future_t *stf_future_new_plain(const char *subject)
{
    static const struct stf_kind plain = {0};

    return stf_future_new(&plain, subject, sizeof(struct stator_future));
}

stator_future_t *stf_future_failed(stator_error_code_t code,
                                   const char *subject, const char *format,
                                   ...)
{
    stator_future_t *f = stf_future_new_plain(subject);
    struct stf_result *result = stf_result_new();
    va_list args;
    int n;

    if (f == NULL || result == NULL) {
        free(f);
        stf_result_free(result);
        return &no_memory;
    }
    result->error.domain = STATOR_ERROR_DOMAIN;
    result->error.code = code;
    n = snprintf(result->error.message, sizeof result->error.message, "%s: ",
                 subject);
    va_start(args, format);
    vsnprintf(result->error.message + n, sizeof result->error.message - n,
              format, args);
    va_end(args);
    result->has_error = true;
    stf_settle(f, STATOR_FUTURE_FAILED, result, STATOR_NOT_SENT);
    return f; /* NOLINT(clang-analyzer-unix.Malloc): references are counted */
}

stator_future_t *stator_future_ref(stator_future_t *f)
{
    if (f != NULL && !f->immortal)
        STF_ADD(&f->refs, 1u, relaxed);
    return f;
}

void stator_future_unref(stator_future_t *f)
{
    if (f == NULL || f->immortal || STF_SUB(&f->refs, 1u, acq_rel) != 1)
        return;
    if (f->kind->release != NULL)
        f->kind->release(f);
    stf_result_free(f->result);
    stator_future_unref(f->alias);
    free(f);
}

/* ---- settling ---------------------------------------------------- */

bool stf_claim(stator_future_t *f, stator_future_state_t final)
{
    return !f->immortal && !stf_inherited(f) &&
           stf_state_claim(&f->state, (uint32_t)final);
}

static void tell(stator_future_t *f)
{
    struct stf_link *link = stf_state_close(&f->state);

    while (link != NULL) {
        struct stf_link *next = link->next; /* `link` goes in settled */

        link->settled(link);
        link = next;
    }
}

/* One settling can settle others (a chain, say), and these yet others: they
 * take turns in a list of the thread, so that the stack stays flat however
 * long the chain is.  Each keeps a reference while it waits for its turn. */
void stf_finish(stator_future_t *f, stator_future_state_t final)
{
    struct stf_thread *thread = stf_thread();

    if (final == STATOR_FUTURE_DONE)
        stf_enter_phase(f, STATOR_PHASE_DONE);
    if (f->kind->settling != NULL)
        f->kind->settling(f, final);
    if (stf_state_publish(&f->state, (uint32_t)final))
        stf_futex_wake(&f->state.word, INT_MAX);

    stator_future_ref(f);
    f->next_settling = NULL;
    if (thread->settling != NULL) {
        *thread->settling_last = f;
        thread->settling_last = &f->next_settling;
        return;
    }
    thread->settling = f;
    thread->settling_last = &f->next_settling;
    while (f != NULL) {
        stator_future_t *next;

        tell(f);
        if (f->kind->cancelled != NULL && f->alias == NULL &&
            stator_future_poll(f) == STATOR_FUTURE_CANCELLED)
            f->kind->cancelled(f);
        next = f->next_settling;
        thread->settling = next;
        stator_future_unref(f);
        f = next;
    }
}

bool stf_settle(stator_future_t *f, stator_future_state_t final,
                struct stf_result *result, stator_outcome_t outcome)
{
    if (!stf_claim(f, final))
        return false;
    f->result = result;
    f->outcome = (uint8_t)outcome;
    stf_finish(f, final);
    return true;
}

bool stf_settle_code(stator_future_t *f, stator_future_state_t final,
                     stator_error_code_t code, const char *note,
                     stator_outcome_t outcome)
{
    if (!stf_claim(f, final))
        return false;
    f->code = (uint8_t)code;
    f->note = note;
    f->outcome = (uint8_t)outcome;
    stf_finish(f, final);
    return true;
}

bool stf_settle_as(stator_future_t *f, stator_future_t *other)
{
    stator_future_state_t final = stator_future_poll(other);

    if (!stf_settled(other))
        return stf_settle_code(f, STATOR_FUTURE_FAILED, STATOR_ERROR_FORKED,
                               "what it waits for was pending when the "
                               "process forked",
                               STATOR_NOT_SENT);
    if (!stf_claim(f, final))
        return false;
    if (other->alias != NULL) /* so aliases never form a chain */
        other = other->alias;
    f->alias = stator_future_ref(other);
    stf_finish(f, final);
    return true;
}

void stf_attach(stator_future_t *f, struct stf_link *link)
{
    if (stf_inherited(f) || !stf_state_attach(&f->state, link))
        link->settled(link);
}

bool stator_future_cancel(stator_future_t *f)
{
    if (f == NULL)
        return false;
    if (stf_inherited(f)) /* whoever has claimed it is not here */
        return stator_future_poll(f) == STATOR_FUTURE_CANCELLED;
    if (stf_state_word(&f->state) == STF_PENDING) {
        if (f->kind->cancel != NULL)
            f->kind->cancel(f);
        else
            stf_settle_code(f, STATOR_FUTURE_CANCELLED,
                            STATOR_ERROR_CANCELLED, "cancelled",
                            STATOR_NOT_SENT);
    }
    return (stf_state_word(&f->state) & STF_FINAL_MASK) ==
           STATOR_FUTURE_CANCELLED;
}

/* ---- reading ----------------------------------------------------- */

stator_future_state_t stator_future_poll(const stator_future_t *f)
{
    uint32_t word;

    if (f == NULL)
        return STATOR_FUTURE_FAILED;
    word = stf_state_word(&f->state);
    if (stf_word_is_final(word))
        return (stator_future_state_t)word;
    return stf_inherited(f) ? STATOR_FUTURE_FAILED : STATOR_FUTURE_PENDING;
}

/* The settled future to ask in f's place; NULL while there is none. */
static const stator_future_t *settled(const stator_future_t *f)
{
    if (f == NULL || !stf_settled(f))
        return NULL;
    return f->alias != NULL ? f->alias : f;
}

static const struct stf_result *result_of(const stator_future_t *f)
{
    f = settled(f);
    return f == NULL ? NULL : f->result;
}

void *stf_future_handle(const stator_future_t *f,
                        void (*release)(void *handle))
{
    const struct stf_result *r = result_of(f);

    return r != NULL && r->handle != NULL && r->release_handle == release
               ? r->handle
               : NULL;
}

bool stator_future_error(const stator_future_t *f, bson_error_t *error)
{
    const stator_future_t *s;
    stator_future_state_t state = stator_future_poll(f);

    if (state != STATOR_FUTURE_FAILED && state != STATOR_FUTURE_CANCELLED)
        return false;
    if (error == NULL)
        return true;
    s = settled(f);
    if (f == NULL)
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_ARGUMENT,
                       "future: NULL");
    else if (s == NULL)
        bson_set_error(error, STATOR_ERROR_DOMAIN, STATOR_ERROR_FORKED,
                       "%s: was pending when the process forked", f->subject);
    else if (s->result != NULL && s->result->has_error)
        *error = s->result->error;
    else
        bson_set_error(error, STATOR_ERROR_DOMAIN, s->code, "%s: %s",
                       s->subject, s->note);
    return true;
}

bool stator_future_has_error_label(const stator_future_t *f,
                                   const char *label)
{
    const struct stf_result *r = result_of(f);

    return r != NULL && label != NULL && stator_future_error(f, NULL) &&
           stf_result_has_label(r, label);
}

stator_origin_t stator_future_origin(const stator_future_t *f)
{
    bson_error_t error;

    if (!stator_future_error(f, &error))
        return STATOR_ORIGIN_NONE;
    if (error.domain == STATOR_ERROR_DOMAIN)
        return STATOR_ORIGIN_STATOR;
    if (error.domain == 16 || error.domain == 17) /* MONGOC_ERROR_SERVER.. */
        return STATOR_ORIGIN_SERVER;
    return error.domain > 0 && error.domain < 21 ? STATOR_ORIGIN_DRIVER
                                                 : STATOR_ORIGIN_USER;
}

stator_phase_t stator_future_phase(const stator_future_t *f)
{
    const stator_future_t *s = settled(f);

    if (s == NULL)
        s = f;
    return s == NULL ? STATOR_PHASE_QUEUED : stf_phase(s);
}

stator_outcome_t stator_future_outcome(const stator_future_t *f)
{
    const stator_future_t *s = settled(f);

    if (s != NULL)
        return (stator_outcome_t)s->outcome;
    return stator_future_phase(f) >= STATOR_PHASE_SENT ? STATOR_MAYBE_SENT
                                                       : STATOR_NOT_SENT;
}

const bson_t *stator_future_reply(const stator_future_t *f)
{
    const struct stf_result *r = result_of(f);

    return r != NULL && r->has_reply ? &r->reply : NULL;
}

const bson_t *stator_future_document(const stator_future_t *f)
{
    const struct stf_result *r = result_of(f);

    return r == NULL ? NULL : r->document;
}

int64_t stator_future_count(const stator_future_t *f)
{
    const struct stf_result *r = result_of(f);

    return r == NULL ? 0 : r->count;
}

const bson_t *stator_future_document_at(const stator_future_t *f, size_t i)
{
    const struct stf_result *r = result_of(f);

    return r == NULL ? NULL : stf_result_document_at(r, i);
}
