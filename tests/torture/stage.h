/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h - a wire server, and a client on it for each run of a sweep. */
#ifndef STATOR_TESTS_TORTURE_STAGE_H
#define STATOR_TESTS_TORTURE_STAGE_H

#include <stator/stator.h>
#include <stdint.h>

/* torture.things has STAGE_DOCUMENTS; finds on torture.held wait at a gate. */
enum { STAGE_DOCUMENTS = 10 };

void stage_open(void);
void stage_shut(void);

typedef void stage_fn(stator_client_t *client);

/* Make a client, run `scenario`, see that the client has taken no harm, close
 * it: it names what leaked, so nothing, or the cursor that was left open.  No
 * client: see that it was for the right reason. */
void stage_client(stage_fn *scenario, bool leaves_a_cursor);

/* Until that find is at the gate, or has settled for want of memory. */
void stage_wait_held_or_settled(stator_future_t *find);
void stage_let_go(void);

/* Until the server has no cursor open. */
void stage_wait_no_cursors(void);
/* How many commands of that name have come in. */
int64_t stage_count(const char *command);

#endif /* STATOR_TESTS_TORTURE_STAGE_H */
