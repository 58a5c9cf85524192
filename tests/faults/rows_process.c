/* SPDX-License-Identifier: Apache-2.0 */
/* rows_process.c - 15, 16, 17, 18: what the system refuses. */
#include <pthread.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/faults/rows.h"

/* ---- 15 ----------------------------------------------------------------- */

enum { BIG = 15 << 20 };

static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* More than `room` bytes in one piece are not to be had; what was before. */
static struct rlimit limit_memory(rlim_t room)
{
    struct rlimit before, now;

    ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
    now = before;
    now.rlim_cur = address_space() + room;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &now), 0);
    return before;
}

/* The driver ends the process when it has no memory, so only what is asked
 * for in the library's own calls may be out of reach here; each single call
 * is made to fail by the tests in tests/torture. */
START_TEST(row_15_no_memory)
{
    scene_t *s;
    const bson_t *big, *many[2];
    struct rlimit before;
    stator_future_t *f[3];

    if (memory_is_watched())
        EXCUSE(15, "what looks after memory can not live within a limit of "
                   "it; `make torture` does this");
    fault_begin(15, "RLIMIT_AS: the copy of 15 MiB can not be allocated (by "
                "each single call: make torture)");
    s = scene_new(NULL);
    big = lib_big(1, BIG);
    many[0] = many[1] = big;
    ck_reads(s->things, 0); /* the driver has what it needs */
    before = limit_memory(BIG / 2);
    ck_assert_ptr_null(malloc(BIG));
    f[0] = lend(stator_collection_insert_one(s->things, big, NULL));
    f[1] = lend(stator_collection_insert_many(s->things, many, 2, NULL));
    f[2] = lend(stator_collection_find_one(s->things, big, NULL));
    ck_reads(s->things, 0); /* small ones go on */
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
    for (int i = 0; i < 3; i++) {
        ck_fails(f[i], STATOR_ERROR_DOMAIN, STATOR_ERROR_MEMORY, "memory");
        ck_assert_int_eq(stator_future_outcome(f[i]), STATOR_NOT_SENT);
    }
    fault_saw("3 of 3: \"%s\", NOT_SENT; small ones go on", reason(f[0]));
    ck_assert_int_eq(wire_count(s->server, "insert"), 0);
    ck_done(lend(stator_collection_insert_one(s->things, big, NULL)));
    fault_saw("done when there is memory");
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 16 ----------------------------------------------------------------- */

/* A stack that no address space holds: pthread_create answers EAGAIN. */
static pthread_attr_t forbid_threads(void)
{
    pthread_attr_t before, now;

    ck_assert_int_eq(pthread_getattr_default_np(&before), 0);
    now = before;
    ck_assert_int_eq(pthread_attr_setstacksize(&now, (size_t)1 << 47), 0);
    ck_assert_int_eq(pthread_setattr_default_np(&now), 0);
    return before;
}

START_TEST(row_16_no_thread)
{
    scene_t *s = scene_new("{'workers': 1}");
    bson_error_t error = {0};
    pthread_attr_t before;
    int threads, fds;

    fault_begin(16, "pthread_create answers EAGAIN: a default stack that no "
                "address space holds");
    ck_reads(s->things, 0);
    threads = threads_named("");
    fds = count_fds();
    before = forbid_threads();
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_null(stator_client_new(s->uri, NULL, &error));
    ck_assert_int_eq(error.domain, STATOR_ERROR_DOMAIN);
    ck_assert_int_eq(error.code, STATOR_ERROR_REFUSED);
    fault_saw("no client: \"%s\"", error.message);
    ck_assert(!stator_client_resize(s->client, 4, &error));
    ck_assert_int_eq(error.code, STATOR_ERROR_REFUSED);
    fault_saw("no resize: \"%s\"", error.message);
    ck_reads(s->things, 0); /* with those that it has */
    ck_assert_int_eq(threads_named(""), threads);
    ck_assert_int_eq(count_fds(), fds);
    ck_assert_int_eq(pthread_setattr_default_np(&before), 0);
    ck_assert(stator_client_resize(s->client, 4, &error));
    end_client(new_client(s->uri, NULL));
    fault_saw("no thread and no descriptor stays, both work later");
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 17 ----------------------------------------------------------------- */

/* From now on the lowest free descriptor is not to be had. */
static struct rlimit forbid_descriptors(void)
{
    struct rlimit before, now;
    int lowest = dup(0);

    close(lowest);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    now.rlim_cur = (rlim_t)lowest;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
    return before;
}

static int64_t recovers(void *arg)
{
    scene_t *s = arg;
    int64_t start = now_us();

    hold_worker(s); /* the second connection */
    return now_us() - start;
}

START_TEST(row_17_no_descriptor)
{
    scene_t *s = scene_new("{'workers': 2}");
    bson_error_t error = {0};
    struct rlimit before;
    stator_future_t *held, *f;
    int64_t us;

    fault_begin(17, "RLIMIT_NOFILE: eventfd and socket answer EMFILE");
    wire_collection(s->server, "core.things", 10, NULL, NULL);
    held = hold_worker(s); /* one connection there is */
    before = forbid_descriptors();
    ck_assert_ptr_null(stator_dispatcher_new(&error));
    ck_assert_int_eq(error.code, STATOR_ERROR_REFUSED);
    fault_saw("no dispatcher: \"%s\"", error.message);
    f = ask_one(s, "{'timeoutMS': 60000}"); /* needs another */
    us = us_to_settle(f);
    ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_FAILED);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    ck_assert_ptr_nonnull(strstr(reason(f), "Too many open files"));
    stator_future_error(f, &error);
    fault_saw("after %.0f ms %u/%u \"%s\"", (double)us / 1000, error.domain,
              error.code, error.message);
    ck_pending(held);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    fault_within("raised: connects within", recovers, s, 1500000);
    wire_gate_open(s->gate);
    ck_done(held); /* the first never noticed */
    ck_reads(s->things, 7);
    scene_free(s);
    fault_end();
}
END_TEST

/* ---- 18 ----------------------------------------------------------------- */

static void count_one(stator_future_t *f, void *arg)
{
    (void)f;
    ++*(int *)arg;
}

START_TEST(row_18_the_eventfd_is_full)
{
    enum { N = 1000 };
    const uint64_t most = UINT64_MAX - 1;
    stator_dispatcher_t *d = stator_dispatcher_new(NULL);
    int ran = 0, fd = stator_dispatcher_fd(d), turns = 0;

    fault_begin(18, "2^64 - 2 written into it, before each of %d", N);
    for (int i = 0; i < N; i++) {
        stator_promise_t *p = stator_promise_new();
        stator_future_t *f = stator_promise_future(p);
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

        ck_assert_int_eq(write(fd, &most, sizeof most), sizeof most);
        ck_assert_int_eq(stator_future_then(f, d, count_one, &ran), 0);
        ck_assert(stator_promise_resolve(p, NULL, NULL));
        ck_assert_int_eq(poll(&poll_fd, 1, 0), 1);
        while (stator_dispatcher_dispatch(d, 0) > 0)
            turns++;
        ck_assert_int_eq(poll(&poll_fd, 1, 0), 0); /* nothing waits */
        stator_future_unref(f);
        stator_promise_unref(p);
    }
    ck_assert_int_eq(ran, N);
    fault_saw("readable each time, %d of %d continuations ran", ran, N);
    stator_dispatcher_unref(d);
    fault_end();
}
END_TEST

void add_process_faults(TCase *tc)
{
    tcase_add_test(tc, row_15_no_memory);
    tcase_add_test(tc, row_16_no_thread);
    tcase_add_test(tc, row_17_no_descriptor);
    tcase_add_test(tc, row_18_the_eventfd_is_full);
}
