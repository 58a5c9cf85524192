/* SPDX-License-Identifier: Apache-2.0 */
/* faults.c - what the proxies of a soak do, by a seeded schedule.
 *
 *   calm, 0.1 to 1.5 s -> one fault, for 50 to 700 ms -> calm -> ..
 */
#include "tests/soak/faults.h"

#include "tests/proxy/random.h"

enum { MS = 1000 };

static void slow(backend_t *b)
{
    proxy_fault_t fault = {0};

    fault.latency_us = random_range(&b->random, 1, 30) * MS;
    fault.jitter_us = fault.latency_us / 2;
    fault.way = (proxy_way_t)random_range(&b->random, 0, 2);
    b->slow_spells++;
    proxy_set(b->proxy, PROXY_ALL, &fault);
}

static void narrow(backend_t *b)
{
    proxy_fault_t fault = {
        .bytes_per_second = random_range(&b->random, 20, 500) * 1000,
    };

    b->slow_spells++;
    proxy_set(b->proxy, PROXY_ALL, &fault);
}

static void slice(backend_t *b)
{
    proxy_fault_t fault = {
        .slice = (size_t)random_range(&b->random, 1, 64),
        .slice_gap_us = random_range(&b->random, 0, 200),
    };

    b->sliced_spells++;
    proxy_set(b->proxy, PROXY_ALL, &fault);
}

static int64_t one_of(backend_t *b)
{
    int64_t number = proxy_pick(b->proxy, random_next(&b->random));

    return number != 0 ? number : -1; /* -1: there is no such connection */
}

static void end_one(backend_t *b)
{
    proxy_end(b->proxy, one_of(b),
              random_percent(&b->random, 50) ? WIRE_RST : WIRE_FIN);
}

static void end_all(backend_t *b)
{
    proxy_end(b->proxy, PROXY_ALL,
              random_percent(&b->random, 50) ? WIRE_RST : WIRE_FIN);
}

static void half_close(backend_t *b)
{
    proxy_half_close(b->proxy, one_of(b),
                     random_percent(&b->random, 50) ? PROXY_TO_CLIENT
                                                    : PROXY_TO_SERVER);
}

/* In the middle of a message, of one connection or of all. */
static void cut(backend_t *b)
{
    proxy_fault_t fault = {
        .way = random_percent(&b->random, 70) ? PROXY_TO_CLIENT
                                              : PROXY_TO_SERVER,
        .after = (size_t)random_range(&b->random, 1, 3000),
        .cut = (proxy_cut_t)random_range(&b->random, 0, 2),
    };

    proxy_set(b->proxy, random_percent(&b->random, 70) ? one_of(b) : PROXY_ALL,
              &fault);
}

/* One that swallows does so for good: the driver has to find out. */
static void hole(backend_t *b)
{
    proxy_fault_t fault = {
        .way = (proxy_way_t)random_range(&b->random, 0, 2),
        .black_hole = true,
    };

    b->holes++;
    proxy_set(b->proxy, random_percent(&b->random, 80) ? one_of(b) : PROXY_ALL,
              &fault);
}

static void refuse(backend_t *b)
{
    b->refused_spells++;
    proxy_refuse(b->proxy, true);
    if (random_percent(&b->random, 50))
        proxy_end(b->proxy, PROXY_ALL, WIRE_RST);
}

static void stop(backend_t *b)
{
    b->stops++;
    proxy_stop(b->proxy);
}

static void heal(backend_t *b)
{
    proxy_resume(b->proxy);
    proxy_heal(b->proxy);
    if (!proxy_refuse(b->proxy, false))
        ledger_blame(b->ledger, "the proxy could not listen again");
}

void faults_tick(backend_t *b, int64_t now, bool is_calm)
{
    static void (*const all[])(backend_t *) = {
        slow, narrow,     slice, end_one, end_all,
        cut,  half_close, hole,  refuse,  stop,
    };

    if (b->heal_us != 0 && (is_calm || now >= b->heal_us)) {
        heal(b);
        b->heal_us = 0;
        b->fault_us = now + random_range(&b->random, 100, 1500) * MS;
    } else if (b->heal_us == 0 && !is_calm && now >= b->fault_us) {
        all[random_range(&b->random, 0, sizeof all / sizeof all[0] - 1)](b);
        b->heal_us = now + random_range(&b->random, 50, 700) * MS;
    }
}
