/* SPDX-License-Identifier: Apache-2.0 */
/* rows_peer.c - 2, 3, 9, 10, 11: peers that are not there, hang, or refuse. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/daemon.h"
#include "tests/harness/stopwatch.h"
#include "tests/faults/netns.h"
#include "tests/faults/rows.h"
#include "tests/security/secure.h"

static own_daemon_t own_server;

/* How long a find on `uri` takes to fail; it must be in that way. */
struct asked {
    const char *uri, *opts;
    uint32_t domain, code;
    int64_t less_us; /* this much of it was meant */
    bson_error_t error;
};

static int64_t ask_once(void *arg)
{
    struct asked *a = arg;
    stator_client_t *client = new_client(a->uri, "{'workers': 1}");
    stator_collection_t *things =
        stator_client_get_collection(client, "core", "things");
    stopwatch_t watch = stopwatch_start();
    stator_future_t *f = stator_collection_find_one(
        things, NULL, a->opts == NULL ? NULL : J("%s", a->opts));
    int64_t us = us_to_settle(f);

    stator_future_error(f, &a->error);
    if (a->error.code != a->code && stopwatch_stalled_us(&watch) > 0)
        us += LIB_PATIENCE_MS * 1000; /* both times were up: no measure */
    else
        ck_fails(f, a->domain, a->code, "");
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    stator_future_unref(f);
    stator_collection_unref(things);
    end_client(client);
    ck_assert_int_ge(us, a->less_us - 20000); /* clocks have grains */
    return us - a->less_us;
}

/* At the selection's time-out of `uri`, 400 ms, saying `why`; and at a
 * deadline of 150. */
static void ask_a_void(const char *uri, const char *why)
{
    struct asked slow = {.uri = uri,
                         .domain = MONGOC_ERROR_SERVER_SELECTION,
                         .code = MONGOC_ERROR_SERVER_SELECTION_FAILURE,
                         .less_us = 400000};
    struct asked quick = {.uri = uri,
                          .opts = "{'timeoutMS': 150}",
                          .domain = STATOR_ERROR_DOMAIN,
                          .code = STATOR_ERROR_EXPIRED,
                          .less_us = 150000};
    const char *cause;

    fault_within("15/13053 after the selection's 400 ms +", ask_once, &slow,
                 200000);
    cause = strstr(slow.error.message, ": [");
    ck_assert_msg(strstr(slow.error.message, why) != NULL, "%s",
                  slow.error.message);
    fault_saw("\"%.90s\"", cause == NULL ? why : cause + 3);
    fault_within("EXPIRED after timeoutMS +", ask_once, &quick, 50000);
}

START_TEST(row_2_connection_refused)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char uri[128];

    fault_begin(2, "a port that nobody listens on");
    /* Taken, so that nobody else does. */
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(uri, sizeof uri,
             "mongodb://127.0.0.1:%d/?serverSelectionTimeoutMS=400",
             ntohs(address.sin_port));
    ask_a_void(uri, "Connection refused");
    close(fd);
    lib_forget();
    fault_end();
}
END_TEST

/* ---- 3 ------------------------------------------------------------------ */

enum { TIMEOUT_MS = 400, NETWORK_PINGS = 50, FREE_US = 5000 };

struct half {
    scene_t *scene;
    int64_t worker_us, ping_us;
};

/* One operation has a deadline, one is cancelled, when both have lost their
 * peer; the third worker connects anew and goes on.  How long after its time
 * the first is settled. */
static int64_t lose_peers(void *arg)
{
    struct half *h = arg;
    scene_t *s = h->scene;
    stator_future_t *expires, *cancelled = hold_worker(s);
    int64_t start = now_us(), cut;

    expires = lend(stator_collection_find_one(
        s->held, NULL, J("{'timeoutMS': %d}", TIMEOUT_MS)));
    ck_assert(wire_gate_wait_held(s->gate, 2, WIRE_WAIT));
    ck_assert_int_gt(netns_lose_all(), 2);
    wire_gate_pass(s->gate, 2); /* the answers are lost */
    for (int i = 0; i < NETWORK_PINGS; i++) {
        stator_future_t *f = stator_client_ping(s->client, NULL);
        int64_t us = us_to_settle(f);

        ck_assert_int_eq(stator_future_poll(f), STATOR_FUTURE_DONE);
        h->ping_us = us > h->ping_us ? us : h->ping_us;
        stator_future_unref(f);
    }
    cut = now_us();
    ck_pending(cancelled);
    ck_assert(stator_future_cancel(cancelled));
    while (stat_of(s->client, "busy") > 1)
        sched_yield();
    h->worker_us = now_us() - cut;
    ck_cancelled(cancelled, STATOR_MAYBE_SENT);
    if (now_us() - start < TIMEOUT_MS * 1000)
        ck_pending(expires);
    ck_expired(expires);
    ck_assert_int_eq(stator_future_outcome(expires), STATOR_MAYBE_SENT);
    return us_to_idle(s->client, start) - TIMEOUT_MS * 1000;
}

/* It is told by lose_peers; only if it took too long is there one more. */
static int64_t free_worker(void *arg)
{
    struct half *h = arg;

    if (h->worker_us > FREE_US)
        lose_peers(h);
    return h->worker_us;
}

static void half_open_by_network(void)
{
    struct half h = {.scene = scene_new("{'workers': 3}")};

    fault_within("packets lost: settled, worker free, after timeoutMS +",
                 lose_peers, &h, 50000);
    fault_within("after a cancel", free_worker, &h, FREE_US);
    fault_saw("%d pings of the third worker, the longest %.1f ms",
              NETWORK_PINGS, (double)h.ping_us / 1000);
    scene_free(h.scene);
}

/* ---- a server that was stopped ------------------------------------------ */

struct stopped {
    stator_client_t *client;
    stator_collection_t *things;
};

static int64_t stopped_deadline(void *arg)
{
    struct stopped *s = arg;
    stator_future_t *f;
    int64_t start;

    done(stator_client_ping(s->client, NULL));
    daemon_signal(&own_server, SIGSTOP);
    start = now_us();
    f = lend(stator_collection_insert_one(
        s->things, J("{}"), J("{'timeoutMS': %d}", TIMEOUT_MS)));
    ck_expired(f);
    ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    start = us_to_idle(s->client, start) - TIMEOUT_MS * 1000;
    daemon_signal(&own_server, SIGCONT);
    done(stator_client_ping(s->client, NULL));
    return start;
}

static int64_t stopped_cancel(void *arg)
{
    struct stopped *s = arg;
    stator_future_t *f;
    int64_t start;

    daemon_signal(&own_server, SIGSTOP);
    f = lend(stator_collection_insert_one(s->things, J("{}"), NULL));
    while (stator_future_phase(f) != STATOR_PHASE_SENT)
        sched_yield();
    start = now_us();
    ck_assert(stator_future_cancel(f));
    start = us_to_idle(s->client, start);
    daemon_signal(&own_server, SIGCONT);
    done(stator_client_ping(s->client, NULL));
    return start;
}

static void half_open_by_signal(void)
{
    struct stopped s;
    char uri[128];

    snprintf(uri, sizeof uri,
             "mongodb://127.0.0.1:%d/?retryReads=false&retryWrites=false",
             daemon_start(&own_server, 0, DAEMON_ON_DISK));
    s.client = new_client(uri, "{'workers': 1}");
    s.things = stator_client_get_collection(s.client, "faults", "things");
    fault_within("stopped: after timeoutMS +", stopped_deadline, &s, 50000);
    fault_within("after a cancel", stopped_cancel, &s, FREE_US);
    give_back_lent();
    lib_forget();
    stator_collection_unref(s.things);
    end_client(s.client);
    daemon_end(&own_server);
}

START_TEST(row_3_half_open_peer)
{
    bool has_network = netns_enter(), has_daemon = daemon_is_here();

    if (!has_network && !has_daemon)
        EXCUSE(3, "no right to a network of its own, no embedded server");
    fault_begin(3, "%s%s%s",
                has_network ? "all packets of two connections lost (a "
                              "namespace, ip rule blackhole)"
                            : "no right to a network of its own",
                "; ",
                has_daemon ? "SIGSTOP of an embedded server"
                           : "no embedded server to stop");
    if (has_network)
        half_open_by_network();
    if (has_daemon)
        half_open_by_signal();
    fault_end();
}
END_TEST

/* ---- 9 ------------------------------------------------------------------ */


static void add_user(int port)
{
    char uri[64];
    stator_client_t *client;

    snprintf(uri, sizeof uri, "mongodb://127.0.0.1:%d/", port);
    client = new_client(uri, NULL);
    done(stator_client_command(
        client, "admin",
        J("{'createUser': 'reader', 'pwd': 'right', 'roles': [{'role':"
          " 'readWriteAnyDatabase', 'db': 'admin'}], 'mechanisms':"
          " ['SCRAM-SHA-256']}"), NULL));
    end_client(client);
}

static int64_t knock(void *arg)
{
    stator_client_t *client = arg;
    stator_future_t *f = lend(stator_client_ping(client, NULL));
    int64_t us = us_to_settle(f);

    ck_fails(f, MONGOC_ERROR_CLIENT, MONGOC_ERROR_CLIENT_AUTHENTICATE,
             "uthentication failed");
    ck_assert_int_eq(stator_future_outcome(f), STATOR_NOT_SENT);
    return us;
}

START_TEST(row_9_authentication_fails)
{
    stator_client_t *client;
    char uri[160];
    int port;

    if (!daemon_is_here())
        EXCUSE(9, "there is no embedded server in build/venv");
    fault_begin(9, "a wrong password, twice; the server asks for one");
    add_user(daemon_start(&own_server, 0, DAEMON_ON_DISK "--sync-on-commit"));
    daemon_signal(&own_server, SIGKILL);
    port = daemon_start(&own_server, 0, DAEMON_ON_DISK "--auth");
    snprintf(uri, sizeof uri,
             "mongodb://reader:wrong@127.0.0.1:%d/?"
             "serverSelectionTimeoutMS=60000", port);
    client = new_client(uri, "{'workers': 1}");
    fault_within("1/11 after", knock, client, 1000000);
    fault_within("again, when the driver has seen the server anew, after",
                 knock, client, 2000000);
    give_back_lent();
    end_client(client);
    snprintf(uri, sizeof uri, "mongodb://reader:right@127.0.0.1:%d/",
             port);
    client = new_client(uri, NULL);
    done(stator_client_ping(client, NULL));
    end_client(client);
    lib_forget();
    daemon_end(&own_server);
    fault_end();
}
END_TEST

/* ---- 10 ----------------------------------------------------------------- */

enum { SELECT_MS = 700 };

static void ck_says(int port, const char *ca, const char *why)
{
    char uri[256];
    struct asked a = {.uri = uri,
                      .domain = MONGOC_ERROR_SERVER_SELECTION,
                      .code = MONGOC_ERROR_SERVER_SELECTION_FAILURE};
    bool is_said = false;
    int64_t us = 0;

    snprintf(uri, sizeof uri,
             "mongodb://127.0.0.1:%d/?directConnection=true&tls=true&"
             "tlsCAFile=%s/%s&connectTimeoutMS=300&"
             "serverSelectionTimeoutMS=%d", port, secure_folder, ca,
             SELECT_MS);
    /* Not when the time is up before the handshake. */
    for (chances_t c = {0}; !is_said && chances_next(&c);) {
        us = ask_once(&a);
        is_said = strstr(a.error.message, why) != NULL;
    }
    ck_assert_msg(is_said, "\"%s\" is not in: %s", why, a.error.message);
    fault_saw("\"%s\" %.0f ms", why, (double)us / 1000);
}

static int start_tls(const char *alt_name, int days)
{
    char top[256], options[1024];

    ck_assert_ptr_nonnull(getcwd(top, sizeof top));
    secure_certificate("server", "ca", alt_name, days);
    snprintf(options, sizeof options,
             DAEMON_ON_DISK "--tls-cert-file '%s/%s/server.pem' "
             "--tls-key-file '%s/%s/server.key'", top, secure_folder, top,
             secure_folder);
    return daemon_start(&own_server, 0, options);
}

START_TEST(row_10_tls)
{
    int port;

    if (secure_lacks() != NULL)
        EXCUSE(10, secure_lacks());
    fault_begin(10, "certificates of an embedded server, made by openssl; an "
                "embedded server without TLS");
    secure_authority("ca");
    secure_authority("other");
    port = start_tls("IP:127.0.0.2,DNS:elsewhere.test", 2);
    ck_says(port, "other.pem", "unable to get local issuer certificate");
    ck_says(port, "ca.pem", "IP address mismatch");
    daemon_signal(&own_server, SIGKILL);
    port = start_tls("IP:127.0.0.1", -1);
    ck_says(port, "ca.pem", "certificate has expired");
    daemon_signal(&own_server, SIGKILL);
    ck_says(daemon_start(&own_server, 0, DAEMON_ON_DISK), "ca.pem", "TLS handshake");
    lib_forget();
    daemon_end(&own_server);
    fault_end();
}
END_TEST

/* ---- 11 ----------------------------------------------------------------- */

START_TEST(row_11_a_name_that_does_not_resolve)
{
    bool hangs = netns_enter() && netns_hang_lookups();

    fault_begin(11, "%s", hangs ? "a name server that never answers "
                                  "(namespaces, /etc/resolv.conf)"
                                : "stator.invalid");
    ask_a_void("mongodb://stator.invalid/?serverSelectionTimeoutMS=400",
               "No suitable servers found");
    lib_forget();
    fault_end();
}
END_TEST

void add_peer_faults(TCase *tc)
{
    TCase *secure = suite_case("faults_secure");

    tcase_add_test(tc, row_2_connection_refused);
    tcase_add_test(tc, row_3_half_open_peer);
    tcase_add_test(tc, row_11_a_name_that_does_not_resolve);
    tcase_add_test(tc, row_9_authentication_fails);
    tcase_add_checked_fixture(secure, secure_setup, secure_teardown);
    tcase_add_test(secure, row_10_tls);
}
