/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - the work of `stator load`. */
#ifndef CLI_LOAD_H
#define CLI_LOAD_H

#include "batch.h"
#include "input.h"
#include "progress.h"
#include "session.h"

typedef struct load_args {
    settings_t *settings;
    const char *path;
    input_format_t format;
    bool infer;
    size_t batch;  /* documents */
    int in_flight; /* batches; 0: not given */
    const char *upsert_field;
    bool drop;
    bool skip; /* go on after an error */
} load_args_t;

/* read = written + bad + refused + not_sent + unknown */
typedef struct load_counts {
    uint64_t read;
    uint64_t bad;
    uint64_t written;
    uint64_t replaced; /* of those written */
    uint64_t refused;
    uint64_t unknown;
    uint64_t not_sent;
} load_counts_t;

typedef struct load {
    const load_args_t *args;
    session_t session;
    input_t input;
    progress_t progress;
    batch_t *batch; /* being filled */
    int in_flight;
    uint64_t in_flight_documents;
    bool stopping; /* nothing more is read */
    int code;      /* the first failure's */
    load_counts_t counts;
    double seconds;
} load_t;

/* EX_OK, or an exit code and the reason has been said. */
int load_open(load_t *load, const load_args_t *args, const char *collection);
int load_run(load_t *load);
void load_close(load_t *load);

/* Was anything read that is not known to be written? */
bool load_has_loss(const load_t *load);

#endif
