/* SPDX-License-Identifier: Apache-2.0 */
/* setup.h - how the runner was asked to run: the same for all tests. */
#ifndef TESTS_SPEC_SETUP_H
#define TESTS_SPEC_SETUP_H

#include <stator/dispatcher.h>

typedef enum { DRIVER_STATOR, DRIVER_RAW } driver_t;

typedef enum {
    MODE_POLL,
    MODE_WAIT,
    MODE_THEN,
    MODE_MIXED /* one after the other, operation by operation */
} wait_mode_t;

typedef struct setup {
    const char *uri;
    char set_name[128]; /* to be added to the URI; "": it is as it should be */
    driver_t driver;
    wait_mode_t mode;
    const char *transport; /* of Stator's clients: "stator", "driver" */
    int jobs;
    stator_dispatcher_t *dispatcher; /* of the program's loop */
} setup_t;

#endif
