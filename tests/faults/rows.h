/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h - the tests of the rows, by what the fault befalls. */
#ifndef STATOR_TESTS_FAULTS_ROWS_H
#define STATOR_TESTS_FAULTS_ROWS_H

#include "tests/core/support.h"
#include "tests/faults/table.h"

void add_network_faults(TCase *tc); /* connections and what they bring */
void add_server_faults(TCase *tc);  /* the server's doings */
void add_peer_faults(TCase *tc);    /* peers that hang, names, TLS */
void add_process_faults(TCase *tc); /* what the system refuses */
void add_loop_faults(TCase *tc);    /* forks, signals, the loop's end */
void add_call_faults(TCase *tc);    /* what callers do */
void add_client_faults(TCase *tc);  /* what they do to a client */

/* FAILED with that domain and code (0: any), and `text` in why; lent. */
const char *ck_fails(stator_future_t *future, uint32_t domain, uint32_t code,
                     const char *text);
/* Its error, "" if there is none; until the next call. */
const char *reason(const stator_future_t *future);
/* ck_assert that find_one of {_id: id} in `things` brings that document. */
void ck_reads(stator_collection_t *things, int id);
/* Wait; how long it took, in microseconds. */
int64_t us_to_settle(stator_future_t *future);
/* Wait until no worker is busy; since `from_us`. */
int64_t us_to_idle(stator_client_t *client, int64_t from_us);
/* A sanitizer, or valgrind: what is given back is not free at once. */
bool memory_is_watched(void);
/* A client of the test's own on `uri`; closed and given back by end_client. */
stator_client_t *new_client(const char *uri, const char *opts);
void end_client(stator_client_t *client);

#endif /* STATOR_TESTS_FAULTS_ROWS_H */
