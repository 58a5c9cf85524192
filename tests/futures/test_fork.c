/* SPDX-License-Identifier: Apache-2.0 */
/* test_fork.c - what a child process makes of inherited handles.
 *
 * The child checks with expect(), which ends it with a line on stderr and a
 * status that the parent sees; an alarm ends one that hangs. */
#include "tests/futures/support.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_SECONDS = 120 };

#define expect(condition)                                                      \
    do {                                                                       \
        if (!(condition))                                                      \
            child_failed(__LINE__, #condition);                                \
    } while (0)

static void child_failed(int line, const char *condition)
{
    fprintf(stderr, "%s:%d: in the child: %s\n", __FILE__, line, condition);
    _exit(1);
}

typedef void child_fn(void *arg);

/* Run `fn` in a child and wait for its end; any failure fails the test. */
static void in_child(child_fn *fn, void *arg)
{
    int status = 0;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0) { /* no assertion in here: another thread may have one */
        signal(SIGALRM, SIG_DFL);
        alarm(CHILD_SECONDS);
        fn(arg);
        _exit(0);
    }
    ck_assert_int_ge(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(!WIFSIGNALED(status), "the child died of signal %d%s",
                  WTERMSIG(status),
                  WTERMSIG(status) == SIGALRM ? ": it hung" : "");
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static bool is_forked(const stator_future_t *future)
{
    bson_error_t error = {0};

    return stator_future_poll(future) == STATOR_FUTURE_FAILED &&
           stator_future_error(future, &error) &&
           error.domain == STATOR_ERROR_DOMAIN &&
           error.code == STATOR_ERROR_FORKED && error.message[0] != '\0' &&
           stator_future_origin(future) == STATOR_ORIGIN_STATOR;
}

/* ---- futures --------------------------------------------------------- */

static void child_pending(void *arg)
{
    pair_t *p = arg;

    expect(is_forked(p->future));
    expect(stator_future_wait(p->future, -1) == 0);
    expect(stator_future_wait(p->future, 0) == 0);
    expect(!stator_future_cancel(p->future));
    expect(is_forked(p->future));
    expect(stator_future_reply(p->future) == NULL);
    expect(stator_future_document(p->future) == NULL);
    expect(stator_future_document_at(p->future, 0) == NULL);
    expect(stator_future_count(p->future) == 0);
    expect(!stator_future_has_error_label(p->future, "x"));
    expect(stator_future_outcome(p->future) != STATOR_ANSWERED);
    expect(stator_future_ref(p->future) == p->future);
    stator_future_unref(p->future);
    pair_free(p);
}

START_TEST(pending_reads_as_forked)
{
    pair_t p = pair_new(), copy = p;

    in_child(child_pending, &copy);
    assert_state(p.future, STATOR_FUTURE_PENDING);
    ck_assert(pair_resolve(&p, 1));
    assert_done(p.future, 1);
    pair_free(&p);
}
END_TEST

static void child_settled(void *arg)
{
    stator_future_t **f = arg;

    expect(stator_future_poll(f[0]) == STATOR_FUTURE_DONE);
    expect(document_value(f[0]) == 21);
    expect(reply_value(f[0]) == 21);
    expect(stator_future_count(f[0]) == 1);
    expect(stator_future_wait(f[0], -1) == 0);
    expect(!stator_future_cancel(f[0]));
    expect(stator_future_poll(f[1]) == STATOR_FUTURE_FAILED);
    expect(error_code(f[1], NULL) == 22);
    expect(stator_future_has_error_label(f[1], "L22"));
    expect(stator_future_poll(f[2]) == STATOR_FUTURE_CANCELLED);
    expect(error_code(f[2], NULL) == STATOR_ERROR_CANCELLED);
    expect(stator_future_cancel(f[2]));
    for (int i = 0; i < 3; i++)
        stator_future_unref(f[i]);
}

START_TEST(settled_keeps_its_result)
{
    stator_future_t *f[3] = {future_done(21), future_failed(22),
                             future_cancelled()};

    in_child(child_settled, f);
    assert_done(f[0], 21);
    for (int i = 0; i < 3; i++)
        stator_future_unref(f[i]);
}
END_TEST

static void child_promise(void *arg)
{
    pair_t *p = arg;

    pair_resolve(p, 1);
    expect(is_forked(p->future));
    pair_fail(p, 1);
    expect(is_forked(p->future));
    expect(!stator_promise_cancelled(p->promise));
    stator_promise_unref(stator_promise_ref(p->promise));
    stator_future_unref(stator_promise_future(p->promise));
    stator_promise_unref(p->promise);
    expect(is_forked(p->future));
    stator_future_unref(p->future);
}

START_TEST(inherited_promise_settles_nothing)
{
    pair_t p = pair_new(), copy = p;
    stator_dispatcher_t *d = dispatcher_new();
    probe_t probe = {0};

    ck_assert_int_eq(stator_future_then(p.future, d, probe_then, &probe), 0);
    in_child(child_promise, &copy);
    assert_state(p.future, STATOR_FUTURE_PENDING);
    ck_assert(!readable(stator_dispatcher_fd(d)));
    ck_assert(pair_resolve(&p, 2));
    ck_assert_int_eq(dispatch_all(d), 1);
    ck_assert_int_eq(probe.ran, 1);
    pair_free(&p);
    stator_dispatcher_unref(d);
}
END_TEST

/* ---- dispatchers ----------------------------------------------------- */

typedef struct heir {
    stator_dispatcher_t *dispatcher;
    stator_future_t *done;
    pair_t pending;
    stator_future_t *chain[4];
    stator_future_t *combined[4];
    probe_t *ready;   /* attached to `done` before the fork */
    probe_t *waiting; /* attached to `pending` before the fork */
    int fd;
} heir_t;

static void child_dispatcher(void *arg)
{
    heir_t *h = arg;
    probe_t probe = {0};
    int slot;
    stator_future_t *f;

    expect(stator_dispatcher_fd(h->dispatcher) == -1);
    expect(stator_dispatcher_dispatch(h->dispatcher, 0) == -ECHILD);
    expect(stator_dispatcher_run_once(h->dispatcher, -1) == -ECHILD);
    expect(stator_dispatcher_run_until(h->dispatcher, h->pending.future, -1) <=
           0);
    expect(stator_dispatcher_set_adapter(h->dispatcher, &slot, NULL) ==
           ESHUTDOWN);
    expect(stator_future_then(h->done, h->dispatcher, probe_then, &probe) ==
           ESHUTDOWN);
    expect(stator_future_then_full(h->done, h->dispatcher, probe_then, &probe,
                                   probe_free) == ESHUTDOWN);
    expect(probe.freed == 1);
    expect(stator_future_then_full(h->pending.future, h->dispatcher,
                                   probe_then, &probe,
                                   probe_free) == ESHUTDOWN);
    expect(probe.freed == 2);

    f = stator_future_chain(h->done, h->dispatcher, link_fn, NULL);
    expect(is_forked(f));
    stator_future_unref(f);
    f = stator_future_recover(h->done, h->dispatcher, link_fn, NULL);
    expect(is_forked(f));
    stator_future_unref(f);
    f = stator_future_finally(h->pending.future, h->dispatcher, link_fn, NULL);
    expect(is_forked(f));
    stator_future_unref(f);

    expect(stator_dispatcher_ref(h->dispatcher) == h->dispatcher);
    stator_dispatcher_unref(h->dispatcher);
    stator_dispatcher_unref(h->dispatcher);
    stator_future_unref(h->done);
    pair_free(&h->pending);
    expect(probe.ran == 0);
    expect(h->ready->ran == 0);
    expect(h->waiting->ran == 0);
    expect(h->ready->freed <= 1);
    expect(h->waiting->freed <= 1);
}

START_TEST(inherited_dispatcher_is_refused)
{
    probe_t ready = {0}, waiting = {0};
    heir_t h = {.dispatcher = dispatcher_new(),
                .done = future_done(1),
                .pending = pair_new(),
                .ready = &ready,
                .waiting = &waiting},
           copy;
    int fd = stator_dispatcher_fd(h.dispatcher);

    ck_assert_int_eq(stator_future_then_full(h.done, h.dispatcher, probe_then,
                                             &ready, probe_free),
                     0);
    ck_assert_int_eq(stator_future_then_full(h.pending.future, h.dispatcher,
                                             probe_then, &waiting, probe_free),
                     0);
    copy = h;
    in_child(child_dispatcher, &copy);

    /* The counter is shared with the child: it must not have been read. */
    ck_assert(readable(fd));
    ck_assert_int_eq(stator_dispatcher_dispatch(h.dispatcher, 0), 1);
    ck_assert(!readable(fd));
    ck_assert(pair_resolve(&h.pending, 2));
    ck_assert_int_eq(stator_dispatcher_dispatch(h.dispatcher, 0), 1);
    ck_assert_int_eq(ready.ran + waiting.ran, 2);
    ck_assert_int_eq(ready.freed + waiting.freed, 2);
    stator_future_unref(h.done);
    pair_free(&h.pending);
    stator_dispatcher_unref(h.dispatcher);
}
END_TEST

static void child_quiet(void *arg)
{
    heir_t *h = arg;

    pair_resolve(&h->pending, 1);
    stator_future_cancel(h->pending.future);
    pair_free(&h->pending);
    stator_future_unref(h->done);
    stator_dispatcher_unref(h->dispatcher);
}

/* Nor written: the parent's loop must not be woken by the child. */
START_TEST(child_wakes_nobody)
{
    heir_t h = {.dispatcher = dispatcher_new(),
                .done = future_done(1),
                .pending = pair_new()},
           copy;
    struct epoll_event event = {.events = EPOLLIN};
    int fd = stator_dispatcher_fd(h.dispatcher);
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    probe_t probe = {0};

    ck_assert_int_eq(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event), 0);
    ck_assert_int_eq(stator_future_then_full(h.pending.future, h.dispatcher,
                                             probe_then, &probe, probe_free),
                     0);
    copy = h;
    in_child(child_quiet, &copy);
    ck_assert_int_eq(epoll_wait(epfd, &event, 1, 0), 0);

    /* It is still in the parent's set. */
    ck_assert(pair_resolve(&h.pending, 1));
    ck_assert_int_eq(epoll_wait(epfd, &event, 1, 0), 1);
    ck_assert_int_eq(dispatch_all(h.dispatcher), 1);
    ck_assert_int_eq(probe.freed, 1);
    close(epfd);
    stator_future_unref(h.done);
    pair_free(&h.pending);
    stator_dispatcher_unref(h.dispatcher);
}
END_TEST

static void count_adapter(void *arg)
{
    (*(int *)arg)++;
}

static void child_drops_dispatcher(void *arg)
{
    stator_dispatcher_unref(arg);
}

START_TEST(parents_adapter_stays)
{
    stator_dispatcher_t *d = dispatcher_new();
    int freed = 0;

    ck_assert_int_eq(stator_dispatcher_set_adapter(d, &freed, count_adapter),
                     0);
    in_child(child_drops_dispatcher, d);
    ck_assert_ptr_eq(stator_dispatcher_get_adapter(d), &freed);
    ck_assert_int_eq(freed, 0);
    stator_dispatcher_unref(d);
    ck_assert_int_eq(freed, 1);
}
END_TEST

/* ---- composed -------------------------------------------------------- */

static compose_fn *const kinds[] = {
    stator_future_chain, stator_future_recover, stator_future_finally,
    stator_future_chain};

static combine_fn *const combiners[] = {
    stator_future_all, stator_future_any, stator_future_race,
    stator_future_settled};

static void child_composed(void *arg)
{
    heir_t *h = arg;

    for (int i = 0; i < 4; i++) {
        expect(is_forked(h->chain[i]));
        expect(is_forked(h->combined[i]));
        expect(stator_future_wait(h->chain[i], -1) == 0);
        expect(stator_future_wait(h->combined[i], -1) == 0);
        expect(!stator_future_cancel(h->chain[i]));
        expect(!stator_future_cancel(h->combined[i]));
    }
    /* In any order: parts before wholes, wholes before parts. */
    stator_future_unref(h->chain[0]);
    stator_future_unref(h->combined[0]);
    stator_dispatcher_unref(h->dispatcher);
    stator_future_unref(h->combined[1]);
    stator_future_unref(h->chain[1]);
    pair_free(&h->pending);
    for (int i = 2; i < 4; i++) {
        stator_future_unref(h->combined[i]);
        stator_future_unref(h->chain[i]);
    }
    stator_future_unref(h->done);
}

START_TEST(inherited_composed_ones_read_as_forked)
{
    heir_t h = {.dispatcher = dispatcher_new(),
                .done = future_done(1),
                .pending = pair_new()},
           copy;
    link_t links[4] = {{0}};

    for (int i = 0; i < 4; i++) {
        stator_future_t *members[2] = {h.pending.future, h.pending.future};

        /* The last one is ready: only its dispatch is still to come. */
        h.chain[i] = kinds[i](i == 3 ? h.done : h.pending.future, h.dispatcher,
                              link_fn, &links[i]);
        h.combined[i] = combiners[i](members, 2);
    }
    copy = h;
    in_child(child_composed, &copy);
    ck_assert(pair_resolve(&h.pending, 3));
    for (int i = 0; i < 4; i++) {
        settle_on(h.dispatcher, h.chain[i]);
        assert_state(h.chain[i], STATOR_FUTURE_DONE);
        assert_state(h.combined[i], STATOR_FUTURE_DONE);
        stator_future_unref(h.chain[i]);
        stator_future_unref(h.combined[i]);
    }
    stator_future_unref(h.done);
    pair_free(&h.pending);
    stator_dispatcher_unref(h.dispatcher);
}
END_TEST

/* ---- new ones in the child ------------------------------------------- */

static void child_new(void *arg)
{
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_promise_t *promise = stator_promise_new();
    stator_future_t *f = stator_promise_future(promise), *chain;
    bson_t *document = BCON_NEW("x", BCON_INT32(5));
    probe_t probe = {0};
    link_t link = {0};

    (void)arg;
    expect(d != NULL);
    expect(stator_dispatcher_fd(d) >= 0);
    expect(stator_future_poll(f) == STATOR_FUTURE_PENDING);
    expect(stator_future_wait(f, 1) == ETIMEDOUT);
    expect(stator_future_then_full(f, d, probe_then, &probe, probe_free) == 0);
    chain = stator_future_chain(f, d, link_fn, &link);
    expect(stator_promise_resolve(promise, document, NULL));
    bson_destroy(document);
    expect(stator_dispatcher_run_until(d, chain, PATIENCE_MS) == 0);
    expect(stator_dispatcher_dispatch(d, 0) >= 0);
    expect(probe.ran == 1 && probe.freed == 1 && link.ran == 1);
    expect(document_value(chain) == 5);
    stator_future_unref(chain);
    stator_future_unref(f);
    stator_promise_unref(promise);
    stator_dispatcher_unref(d);
}

START_TEST(child_makes_its_own)
{
    stator_dispatcher_t *d = dispatcher_new();

    in_child(child_new, NULL);
    stator_dispatcher_unref(d);
}
END_TEST

/* A forked future is a failed one: new things in the child can be built on
 * it, and they must not wait for the parent. */
static void child_builds(void *arg)
{
    pair_t *p = arg;
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_future_t *members[2] = {p->future, p->future}, *f;
    probe_t probe = {0};
    link_t skipped = {0}, rescue = {0};

    expect(d != NULL);
    expect(stator_future_then_full(p->future, d, probe_then, &probe,
                                   probe_free) == 0);
    expect(stator_dispatcher_run_once(d, PATIENCE_MS) == 1);
    expect(probe.ran == 1 && probe.freed == 1);
    expect(probe.state == STATOR_FUTURE_FAILED);

    f = stator_future_chain(p->future, d, link_fn, &skipped);
    expect(stator_dispatcher_run_until(d, f, PATIENCE_MS) == 0);
    expect(is_forked(f));
    stator_future_unref(f);
    f = stator_future_recover(p->future, d, link_fn, &rescue);
    expect(stator_dispatcher_run_until(d, f, PATIENCE_MS) == 0);
    expect(is_forked(f));
    stator_future_unref(f);
    expect(skipped.ran == 0 && rescue.ran == 1);
    expect(rescue.state == STATOR_FUTURE_FAILED);

    for (int i = 0; i < 4; i++) {
        f = combiners[i](members, 2);
        if (i == 3)
            expect(stator_future_poll(f) == STATOR_FUTURE_DONE);
        else
            expect(is_forked(f));
        stator_future_unref(f);
    }
    expect(stator_dispatcher_run_until(d, p->future, -1) == 0);
    pair_free(p);
    stator_dispatcher_unref(d);
}

START_TEST(child_builds_on_a_forked_one)
{
    pair_t p = pair_new(), copy = p;

    in_child(child_builds, &copy);
    assert_state(p.future, STATOR_FUTURE_PENDING);
    pair_free(&p);
}
END_TEST

static void child_attaches_to_settled(void *arg)
{
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    stator_future_t *done = arg, *f;
    probe_t probe = {0};
    link_t link = {0};

    expect(stator_future_then(done, d, probe_then, &probe) == 0);
    f = stator_future_chain(done, d, link_fn, &link);
    expect(stator_dispatcher_run_until(d, f, PATIENCE_MS) == 0);
    expect(document_value(f) == 31);
    expect(probe.ran == 1 && link.ran == 1);
    stator_future_unref(f);
    stator_future_unref(done);
    stator_dispatcher_unref(d);
}

START_TEST(child_builds_on_a_settled_one)
{
    stator_future_t *done = future_done(31);

    in_child(child_attaches_to_settled, done);
    assert_done(done, 31);
    stator_future_unref(done);
}
END_TEST

static void child_new_pending(void *arg)
{
    pair_t *p = arg;

    expect(is_forked(p->future));
    pair_free(p);
}

static void child_forks(void *arg)
{
    pair_t *old = arg;
    stator_promise_t *promise = stator_promise_new();
    pair_t mine = {promise, stator_promise_future(promise)}, copy = mine;
    int status = 0;
    pid_t pid;

    expect(is_forked(old->future));
    expect(stator_future_poll(mine.future) == STATOR_FUTURE_PENDING);
    pid = fork();
    expect(pid >= 0);
    if (pid == 0) {
        alarm(CHILD_SECONDS);
        expect(is_forked(old->future));
        child_new_pending(&copy);
        _exit(0);
    }
    expect(waitpid(pid, &status, 0) == pid);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect(stator_future_poll(mine.future) == STATOR_FUTURE_PENDING);
    expect(pair_resolve(&mine, 1));
    expect(document_value(mine.future) == 1);
    pair_free(&mine);
    pair_free(old);
}

START_TEST(grandchild_inherits_from_both)
{
    pair_t p = pair_new(), copy = p;

    in_child(child_forks, &copy);
    assert_state(p.future, STATOR_FUTURE_PENDING);
    pair_free(&p);
}
END_TEST

/* ---- at awkward moments ---------------------------------------------- */

static void child_inside(void *arg)
{
    heir_t *h = arg;

    expect(stator_dispatcher_dispatch(h->dispatcher, 0) == -ECHILD);
    expect(is_forked(h->chain[0]));
    expect(stator_future_wait(h->chain[0], -1) == 0);
    child_new(NULL);
}

static void then_fork(stator_future_t *future, void *arg)
{
    (void)future;
    in_child(child_inside, arg);
}

START_TEST(fork_inside_a_continuation)
{
    heir_t h = {.dispatcher = dispatcher_new(),
                .done = future_done(1),
                .pending = pair_new()};
    link_t link = {0};

    h.chain[0] = stator_future_chain(h.pending.future, h.dispatcher, link_fn,
                                     &link);
    ck_assert_int_eq(stator_future_then(h.done, h.dispatcher, then_fork, &h),
                     0);
    ck_assert_int_eq(stator_dispatcher_dispatch(h.dispatcher, 0), 1);
    ck_assert(pair_resolve(&h.pending, 2));
    settle_on(h.dispatcher, h.chain[0]);
    assert_done(h.chain[0], 2);
    stator_future_unref(h.chain[0]);
    stator_future_unref(h.done);
    pair_free(&h.pending);
    stator_dispatcher_unref(h.dispatcher);
}
END_TEST

/* The child of such a fork goes on as the parent does: it returns from its
 * continuation into a dispatch that is not its own. */
typedef struct stray {
    stator_dispatcher_t *dispatcher;
    probe_t behind[100]; /* continuations queued behind the fork */
    pid_t pid;           /* 0: in the child */
    int fd;
} stray_t;

static void then_stray(stator_future_t *future, void *arg)
{
    stray_t *stray = arg;

    (void)future;
    fflush(NULL);
    stray->pid = fork();
    if (stray->pid == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(CHILD_SECONDS);
    }
}

static stator_future_t *stray_fn(stator_future_t *future, void *arg)
{
    then_stray(future, arg);
    return stator_future_ref(future);
}

static int dispatch_as(int how, stator_dispatcher_t *d, stator_future_t *f)
{
    if (how == 0)
        return stator_dispatcher_dispatch(d, 0);
    if (how == 1)
        return stator_dispatcher_run_once(d, PATIENCE_MS);
    return stator_dispatcher_run_until(d, f, PATIENCE_MS);
}

static void child_strayed(stray_t *stray, stator_future_t *f, int ran)
{
    expect(ran == -ECHILD);
    for (int i = 0; i < 100; i++)
        expect(stray->behind[i].ran == 0);
    expect(stator_dispatcher_dispatch(stray->dispatcher, 0) == -ECHILD);
    expect(is_forked(f));
    expect(stator_future_wait(f, -1) == 0);
    child_new(NULL); /* no dispatch is thought to be under way */
    stator_future_unref(f);
    stator_dispatcher_unref(stray->dispatcher);
    _exit(0);
}

START_TEST(a_child_may_return_from_the_continuation)
{
    int how = _i / 2, status = 0;
    bool in_chain = _i % 2 == 1;
    stray_t stray = {.dispatcher = dispatcher_new(), .pid = -1};
    stator_future_t *done = future_done(1), *last;
    link_t link = {0};
    int ran;

    stray.fd = stator_dispatcher_fd(stray.dispatcher);
    last = in_chain ? stator_future_chain(done, stray.dispatcher, stray_fn,
                                          &stray)
                    : NULL;
    if (!in_chain)
        ck_assert_int_eq(stator_future_then(done, stray.dispatcher,
                                            then_stray, &stray),
                         0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(stator_future_then_full(done, stray.dispatcher,
                                                 probe_then, &stray.behind[i],
                                                 probe_free),
                         0);
    if (last == NULL)
        last = stator_future_chain(done, stray.dispatcher, link_fn,
                                   &link);
    ran = dispatch_as(how, stray.dispatcher, last);
    if (stray.pid == 0)
        child_strayed(&stray, last, ran);
    ck_assert_int_gt(stray.pid, 0);
    ck_assert_int_ge(ran, 0);
    ck_assert_int_eq(waitpid(stray.pid, &status, 0), stray.pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "the child: %x", (unsigned)status);
    dispatch_all(stray.dispatcher);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(stray.behind[i].ran, 1);
        ck_assert_int_eq(stray.behind[i].freed, 1);
    }
    assert_done(last, 1);
    ck_assert(!readable(stray.fd));
    stator_future_unref(last);
    stator_future_unref(done);
    stator_dispatcher_unref(stray.dispatcher);
}
END_TEST

/* The outer dispatch is another dispatcher's, and ends like the inner. */
static void then_nest(stator_future_t *future, void *arg)
{
    stray_t *stray = arg;
    int ran = stator_dispatcher_dispatch(stray->dispatcher, 0);

    (void)future;
    if (stray->pid == 0)
        expect(ran == -ECHILD);
}

START_TEST(a_child_may_return_from_nested_dispatches)
{
    stray_t stray = {.dispatcher = dispatcher_new(), .pid = -1};
    stator_dispatcher_t *outer = dispatcher_new();
    stator_future_t *done = future_done(1);
    int ran, status = 0;

    ck_assert_int_eq(
        stator_future_then(done, stray.dispatcher, then_stray, &stray), 0);
    ck_assert_int_eq(stator_future_then(done, outer, then_nest, &stray), 0);
    ck_assert_int_eq(
        stator_future_then(done, outer, probe_then, &stray.behind[0]), 0);
    ran = stator_dispatcher_dispatch(outer, 0);
    if (stray.pid == 0) {
        expect(ran == -ECHILD);
        expect(stray.behind[0].ran == 0);
        child_new(NULL);
        _exit(0);
    }
    ck_assert_int_eq(ran, 2);
    ck_assert_int_eq(waitpid(stray.pid, &status, 0), stray.pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(stray.behind[0].ran, 1);
    stator_future_unref(done);
    stator_dispatcher_unref(outer);
    stator_dispatcher_unref(stray.dispatcher);
}
END_TEST

typedef struct waiter {
    stator_future_t *future;
    atomic_int tid;
    int rc;
} waiter_t;

static void *wait_main(void *arg)
{
    waiter_t *waiter = arg;

    tell_tid(&waiter->tid);
    waiter->rc = stator_future_wait(waiter->future, -1);
    return NULL;
}

START_TEST(fork_while_a_thread_waits)
{
    pair_t p = pair_new(), copy = p;
    waiter_t waiter = {.future = p.future, .rc = -1};
    pthread_t thread = thread_start(wait_main, &waiter);

    until_asleep(&waiter.tid);
    in_child(child_pending, &copy);
    assert_state(p.future, STATOR_FUTURE_PENDING);
    ck_assert(pair_resolve(&p, 1));
    thread_join(thread);
    ck_assert_int_eq(waiter.rc, 0);
    pair_free(&p);
}
END_TEST

/* Threads that take every lock there is, again and again; a child that needed
 * one of them would hang, and its alarm tells. */
typedef struct churn {
    stator_dispatcher_t *dispatcher;
    pair_t pending;
    stator_future_t *chain;    /* of pending, on the dispatcher */
    stator_future_t *combined; /* of chain */
    atomic_bool stop;
} churn_t;

/* The search for a deadlock looks into chain and combined. */
static void then_churn(stator_future_t *future, void *arg)
{
    churn_t *churn = arg;

    (void)future;
    stator_future_wait(churn->combined, 0);
}

static void *churn_main(void *arg)
{
    churn_t *churn = arg;

    while (!atomic_load(&churn->stop)) {
        pair_t p = pair_new();

        stator_future_then(p.future, churn->dispatcher, then_churn, churn);
        pair_resolve(&p, 1);
        stator_dispatcher_dispatch(churn->dispatcher, 0);
        pair_free(&p);
    }
    return NULL;
}

static void child_of_churn(void *arg)
{
    churn_t *churn = arg;

    expect(is_forked(churn->chain));
    expect(is_forked(churn->combined));
    expect(stator_future_wait(churn->combined, -1) == 0);
    expect(!stator_future_cancel(churn->combined));
    expect(!stator_future_cancel(churn->chain));
    pair_resolve(&churn->pending, 1);
    expect(stator_dispatcher_dispatch(churn->dispatcher, 0) == -ECHILD);
    expect(stator_future_then(churn->chain, churn->dispatcher, probe_then,
                              NULL) == ESHUTDOWN);
    child_new(NULL);
    pair_free(&churn->pending);
    stator_future_unref(churn->chain);
    stator_future_unref(churn->combined);
    stator_dispatcher_unref(churn->dispatcher);
}

START_TEST(locks_held_at_fork_are_not_taken)
{
    churn_t churn = {0};
    pthread_t threads[2];
    link_t link = {0};

    if (SANITIZED)
        SKIP("a sanitizer's own locks do not survive a fork among threads");
    churn.dispatcher = dispatcher_new();
    churn.pending = pair_new();
    churn.chain = stator_future_chain(churn.pending.future, churn.dispatcher,
                                      link_fn, &link);
    churn.combined = stator_future_all(&churn.chain, 1);
    for (int i = 0; i < 2; i++)
        threads[i] = thread_start(churn_main, &churn);
    for (int i = 0; i < 300; i++)
        in_child(child_of_churn, &churn);
    atomic_store(&churn.stop, true);
    for (int i = 0; i < 2; i++)
        thread_join(threads[i]);
    assert_state(churn.combined, STATOR_FUTURE_PENDING);
    stator_future_unref(churn.combined);
    stator_future_unref(churn.chain);
    stator_dispatcher_unref(churn.dispatcher);
    pair_free(&churn.pending);
}
END_TEST

SUITE(fork)
{
    tcase_add_test(tc, pending_reads_as_forked);
    tcase_add_test(tc, settled_keeps_its_result);
    tcase_add_test(tc, inherited_promise_settles_nothing);
    tcase_add_test(tc, inherited_dispatcher_is_refused);
    tcase_add_test(tc, child_wakes_nobody);
    tcase_add_test(tc, parents_adapter_stays);
    tcase_add_test(tc, inherited_composed_ones_read_as_forked);
    tcase_add_test(tc, child_makes_its_own);
    tcase_add_test(tc, child_builds_on_a_forked_one);
    tcase_add_test(tc, child_builds_on_a_settled_one);
    tcase_add_test(tc, grandchild_inherits_from_both);
    tcase_add_test(tc, fork_inside_a_continuation);
    tcase_add_loop_test(tc, a_child_may_return_from_the_continuation, 0, 6);
    tcase_add_test(tc, a_child_may_return_from_nested_dispatches);
    tcase_add_test(tc, fork_while_a_thread_waits);
    tcase_add_test(tc, locks_held_at_fork_are_not_taken);
}
