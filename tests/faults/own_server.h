/* SPDX-License-Identifier: Apache-2.0 */
/* own_server.h - an embedded server of the test's own, to be killed or stopped.
 *
 * Its files are below build/; it dies with the test. */
#ifndef STATOR_TESTS_FAULTS_OWN_SERVER_H
#define STATOR_TESTS_FAULTS_OWN_SERVER_H

#include <stdbool.h>

/* Is there one in build/venv? */
bool own_server_is_there(void);

/* Start it, on `port` (0: any), with what it stored before and these options.
 * Returns its port when it listens. */
int own_server_start(int port, const char *options);
/* SIGSTOP, SIGCONT; SIGKILL and SIGTERM wait for its end. */
void own_server_signal(int signal);
/* End it and take its files away. */
void own_server_free(void);

#endif /* STATOR_TESTS_FAULTS_OWN_SERVER_H */
