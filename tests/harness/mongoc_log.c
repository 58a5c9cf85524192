/* SPDX-License-Identifier: Apache-2.0 */
/* mongoc_log.c - the driver's log goes to stderr.
 *
 * Its own handler writes to stdout, among the results.  The handler is global,
 * hence the application's to set, and never the library's; in a test program
 * the application is the harness.  Its debugging lines are left out. */
#include <mongoc/mongoc.h>
#include <stdio.h>

static void to_stderr(mongoc_log_level_t level, const char *domain,
                      const char *message, void *arg)
{
    (void)arg;
    if (level >= MONGOC_LOG_LEVEL_DEBUG)
        return;
    fprintf(stderr, "%s: %s: %s\n", mongoc_log_level_str(level), domain,
            message);
}

__attribute__((constructor)) static void set_log_handler(void)
{
    mongoc_log_set_handler(to_stderr, NULL);
}
