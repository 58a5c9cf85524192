/* SPDX-License-Identifier: Apache-2.0 */
/* forked.c - tests that fork: a child that is watched, and what it may say. */
#include "tests/core/forked.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_a_child;

/* Memory of threads that a child does not have is no leak of its own; the
 * driver's monitors alone own some.  (Asked by LeakSanitizer at exit.) */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return is_a_child;
}

void child_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: in the child: %s\n", file, line, condition);
    _exit(1);
}

void child_begin(void)
{
    is_a_child = true;
    signal(SIGALRM, SIG_DFL);
    alarm(CHILD_SECONDS);
}

void child_must_end_well(pid_t pid)
{
    int status = 0;

    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(!WIFSIGNALED(status), "the child died of signal %d%s",
                  WTERMSIG(status),
                  WTERMSIG(status) == SIGALRM ? ": it hung" : "");
    ck_assert_msg(WEXITSTATUS(status) == 0, "the child left with %d",
                  WEXITSTATUS(status));
}

void in_child(child_fn *fn, void *arg)
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        child_begin();
        fn(arg);
        _exit(0);
    }
    child_must_end_well(pid);
}

bool reads_as_forked(const stator_future_t *f)
{
    bson_error_t error = {0};

    return stator_future_poll(f) == STATOR_FUTURE_FAILED &&
           stator_future_error(f, &error) &&
           error.domain == STATOR_ERROR_DOMAIN &&
           error.code == STATOR_ERROR_FORKED &&
           strstr(error.message, "fork") != NULL;
}

bool is_forked(stator_future_t *f)
{
    bool is = reads_as_forked(f) && stator_future_wait(f, -1) == 0 &&
              !stator_future_cancel(f);

    stator_future_unref(f);
    return is;
}

bool is_forked_cursor(stator_cursor_t *cursor)
{
    bool is = is_forked(stator_cursor_next(cursor)) &&
              is_forked(stator_cursor_next_batch(cursor)) &&
              is_forked(stator_cursor_to_list(cursor, 0)) &&
              is_forked(stator_cursor_close(cursor));

    stator_cursor_unref(cursor);
    return is;
}

static stator_future_t *must_be_done(stator_future_t *f)
{
    bson_error_t error = {0};

    MUST(stator_future_wait(f, LIB_PATIENCE_MS) == 0);
    if (stator_future_error(f, &error))
        fprintf(stderr, "in the child: %s\n", error.message);
    MUST(stator_future_poll(f) == STATOR_FUTURE_DONE);
    return f;
}

void child_starts_anew(const char *uri, int n)
{
    bson_error_t error = {0};
    bson_t one = BSON_INITIALIZER;
    stator_client_t *client = stator_client_new(uri, NULL, &error);
    stator_collection_t *things;
    stator_cursor_t *cursor;
    stator_future_t *f;

    MUST(client != NULL);
    things = stator_client_get_collection(client, "core", "things");
    stator_future_unref(must_be_done(stator_client_ping(client, NULL)));
    for (int i = 0; i < n; i++)
        stator_future_unref(must_be_done(
            stator_collection_insert_one(things, &one, NULL)));
    cursor = stator_collection_find(things, NULL, NULL);
    f = must_be_done(stator_cursor_to_list(cursor, 0));
    MUST(stator_future_count(f) > 0);
    stator_future_unref(f);
    stator_cursor_unref(cursor);
    stator_collection_unref(things);
    stator_future_unref(must_be_done(stator_client_close(client, NULL)));
    stator_client_unref(client);
}
