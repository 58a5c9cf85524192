/* SPDX-License-Identifier: Apache-2.0 */
/* monitors.c - the driver's monitors, made impatient.
 *
 * After a connection that failed the driver takes the server for unknown until
 * a monitor has looked at it again, which it does after half a second.  Here
 * there are thousands of such connections, so that nap is made a short one: a
 * time-out that comes early, to these threads only. */
#include <dlfcn.h>
#include <pthread.h>
#include <time.h>

#include "tests/torture/calls.h"

enum { NAP_NS = 2000000 };

typedef int wait_fn(pthread_cond_t *, pthread_mutex_t *,
                    const struct timespec *);

/* The driver's too. */
__attribute__((visibility("default"))) int
pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                       const struct timespec *until)
{
    static _Atomic(wait_fn *) real;
    wait_fn *wait = real;
    struct timespec soon;

    if (wait == NULL) {
        *(void **)&wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
        real = wait;
    }
    if (!calls_is_monitor())
        return wait(cond, mutex, until);
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += NAP_NS;
    if (soon.tv_nsec >= 1000000000) {
        soon.tv_nsec -= 1000000000;
        soon.tv_sec++;
    }
    return wait(cond, mutex, &soon);
}
