/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt.c - a handler that counts, and an eventfd to poll beside others.
 *
 * A flag alone is lost when the signal comes between its test and a poll. */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int event_fd = -1;
static volatile sig_atomic_t count;
static volatile sig_atomic_t first;
static volatile sig_atomic_t patience = 1;

static void on_signal(int number)
{
    const uint64_t one = 1;
    int saved = errno;

    if (first == 0)
        first = number;
    if (++count > patience)
        _exit(128 + first);
    if (write(event_fd, &one, sizeof one) < 0) {
        /* The counter is full: the descriptor is readable as it is. */
    }
    errno = saved;
}

bool interrupt_install(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};

    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd < 0)
        return false;
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction old;

        /* nohup(1) and shells ask for a signal to be ignored: so be it. */
        if (sigaction(numbers[i], NULL, &old) == 0 &&
            old.sa_handler == SIG_IGN)
            continue;
        sigaction(numbers[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    return true;
}

int interrupt_fd(void)
{
    return event_fd;
}

void interrupt_noted(void)
{
    uint64_t n;

    if (read(event_fd, &n, sizeof n) < 0) {
        /* Nothing new: as good. */
    }
}

int interrupt_count(void)
{
    return count;
}

int interrupt_exit(void)
{
    return 128 + first;
}

void interrupt_has_plan(bool yes)
{
    patience = yes ? 2 : 1;
}
