/* SPDX-License-Identifier: Apache-2.0 */
/* futures_only.c - futures without a database (no driver is linked): two
 * threads count primes, the main thread adds up what comes in. */
#include <pthread.h>
#include <stator/dispatcher.h>
#include <stator/promise.h>
#include <stdatomic.h>
#include <stdio.h>

enum { LIMIT = 2000000, SLICES = 64, SLICE = LIMIT / SLICES, THREADS = 2 };
static stator_promise_t *promises[SLICES];
static atomic_int next_slice;

static bool is_prime(int n)
{
    for (int d = 2; d * d <= n; d++)
        if (n % d == 0)
            return false;
    return n > 1;
}

static void *count_primes(void *unused)
{
    for (int i; (i = atomic_fetch_add(&next_slice, 1)) < SLICES;) {
        bson_t result = BSON_INITIALIZER;
        int primes = 0;

        for (int n = SLICE * i; n < SLICE * (i + 1); n++)
            primes += is_prime(n);
        BSON_APPEND_INT32(&result, "primes", primes);
        stator_promise_resolve(promises[i], &result, NULL);
        stator_promise_unref(promises[i]);
        bson_destroy(&result);
    }
    return unused;
}

/* On the main thread, inside run_until: `sum` needs no lock. */
static void add(stator_future_t *future, void *sum)
{
    bson_iter_t it;

    if (bson_iter_init_find(&it, stator_future_document(future), "primes"))
        *(int *)sum += bson_iter_int32(&it);
}

static stator_future_t *report(stator_future_t *all, void *sum)
{
    (void)all;
    printf("%d primes below %d\n", *(int *)sum, LIMIT);
    return NULL; /* settle as `all` did */
}

int main(void)
{
    stator_dispatcher_t *dispatcher = stator_dispatcher_new(NULL);
    stator_future_t *futures[SLICES], *all, *done;
    pthread_t threads[THREADS];
    int sum = 0, error = 0;

    for (int i = 0; i < SLICES; i++) {
        promises[i] = stator_promise_new();
        futures[i] = stator_promise_future(promises[i]);
        error |= stator_future_then(futures[i], dispatcher, add, &sum);
    }
    all = stator_future_all(futures, SLICES);
    done = stator_future_chain(all, dispatcher, report, &sum);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, count_primes, NULL) != 0)
            abort();
    error |= stator_dispatcher_run_until(dispatcher, done, -1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < SLICES; i++)
        stator_future_unref(futures[i]);
    stator_future_unref(all);
    stator_future_unref(done);
    stator_dispatcher_unref(dispatcher);
    return error == 0 && sum == 148933 ? EXIT_SUCCESS : EXIT_FAILURE;
}
