/* SPDX-License-Identifier: Apache-2.0 */
/* test_tls.c - who is refused over TLS, and what the error says.
 *
 * The reason is OpenSSL's, in brackets behind the driver's own words.  Where
 * the driver gives none that tells the cases apart, the test says so by what
 * it asks for. */
#include "tests/harness/stopwatch.h"
#include "tests/security/secure.h"

#include <stdarg.h>
#include <stdio.h>

static told_t told;
static char ca[128]; /* the path of the authority that the servers have */

static void setup(void)
{
    memset(&told, 0, sizeof told);
    secure_setup();
    if (secure_lacks() == NULL)
        secure_authority("ca");
    snprintf(ca, sizeof ca, "%s/ca.pem", secure_folder);
}

static void teardown(void)
{
    told_clear(&told);
    secure_teardown();
}

#ifdef MONGOC_ENABLE_SSL_OPENSSL
#define NEED_TLS() NEED_DAEMON()
#else
#define NEED_TLS() SKIP("the driver has no TLS, or not OpenSSL's")
#endif

#define SELECT_MS "serverSelectionTimeoutMS=1200"

static int start_tls(const char *alt_name, int days)
{
    secure_certificate("server", "ca", alt_name, days);
    return secure_start("--storage-path :memory: --tls-cert-file server.pem "
                        "--tls-key-file server.key");
}

static void ck_done(void)
{
    ck_assert_msg(told.state == STATOR_FUTURE_DONE, "%s", told.all);
}

static bool gives(const char *reason)
{
    return told.state == STATOR_FUTURE_FAILED &&
           strstr(told.error.message, reason) != NULL;
}

/* The driver found it, nothing was sent, and `reason` is part of why. */
static void ck_refused(const char *reason)
{
    ck_assert_msg(told.state == STATOR_FUTURE_FAILED, "%s", told.all);
    ck_assert_int_eq(told.origin, STATOR_ORIGIN_DRIVER);
    ck_assert_uint_eq(told.error.domain, MONGOC_ERROR_SERVER_SELECTION);
    ck_assert_uint_eq(told.error.code,
                      MONGOC_ERROR_SERVER_SELECTION_FAILURE);
    ck_assert_msg(gives(reason), "\"%s\" is not in: %s", reason,
                  told.error.message);
}

/* There is no reason when the time is up before the handshake is over. */
static void ask_until(const char *reason, int timeout_ms, const char *uri)
{
    for (chances_t c = {0}; !gives(reason) && chances_next(&c);) {
        told_clear(&told);
        told_ask(&told, timeout_ms, "%s", uri);
    }
}

__attribute__((format(printf, 2, 3))) static void
ask_refused(const char *reason, const char *format, ...)
{
    char uri[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(uri, sizeof uri, format, args);
    va_end(args);
    ask_until(reason, 0, uri);
    ck_refused(reason);
}

START_TEST(the_right_server_is_taken)
{
    int port;

    NEED_TLS();
    port = start_tls("IP:127.0.0.1", 2);
    told_ask(&told, 0, "mongodb://127.0.0.1:%d/?tls=true&tlsCAFile=%s", port,
             ca);
    ck_done();
}
END_TEST

START_TEST(an_unknown_authority_is_refused)
{
    int port;

    NEED_TLS();
    secure_authority("other");
    port = start_tls("IP:127.0.0.1", 2);
    ask_refused("certificate verify failed",
                "mongodb://127.0.0.1:%d/?tls=true&tlsCAFile=%s/other.pem&"
                SELECT_MS, port, secure_folder);
    ck_refused("unable to get local issuer certificate");
}
END_TEST

START_TEST(another_address_is_refused)
{
    int port;

    NEED_TLS();
    port = start_tls("IP:127.0.0.2,DNS:elsewhere.test", 2);
    ask_refused("IP address mismatch",
                "mongodb://127.0.0.1:%d/?tls=true&tlsCAFile=%s&" SELECT_MS,
                port, ca);
}
END_TEST

START_TEST(another_name_is_refused)
{
    int port;

    NEED_TLS();
    port = start_tls("IP:127.0.0.1,DNS:elsewhere.test", 2);
    /* Not as a member of a set, or the driver would go on to the address that
     * the server gives. */
    /* The driver has it lower case and upper, by version of OpenSSL. */
    ask_refused("ostname mismatch",
                "mongodb://localhost:%d/?directConnection=true&tls=true&"
                "tlsCAFile=%s&" SELECT_MS, port, ca);
}
END_TEST

START_TEST(an_expired_certificate_is_refused)
{
    int port;

    NEED_TLS();
    port = start_tls("IP:127.0.0.1", -1);
    ask_refused("certificate has expired",
                "mongodb://127.0.0.1:%d/?tls=true&tlsCAFile=%s&" SELECT_MS,
                port, ca);
}
END_TEST

/* A plain server waits for the rest of what it takes for a message; only
 * connectTimeoutMS ends that, and it has to come first. */
START_TEST(a_plain_server_is_refused)
{
    int port;

    NEED_TLS();
    port = secure_start("--storage-path :memory:");
    ask_refused("the server speaks no TLS",
                "mongodb://127.0.0.1:%d/?tls=true&tlsCAFile=%s&"
                "connectTimeoutMS=300&" SELECT_MS, port, ca);
}
END_TEST

/* The driver does not say that the server speaks TLS. */
START_TEST(a_tls_server_refuses_a_plain_client)
{
    int port;

    NEED_TLS();
    port = start_tls("IP:127.0.0.1", 2);
    ask_refused("Failed to read 4 bytes",
                "mongodb://127.0.0.1:%d/?" SELECT_MS, port);
}
END_TEST

/* The error has no name of a file; the driver's log does. */
START_TEST(a_missing_authority_file_is_named_in_the_log)
{
    int port;

    NEED_TLS();
    port = start_tls("IP:127.0.0.1", 2);
    ask_refused("TLS can not be set up",
                "mongodb://127.0.0.1:%d/?tls=true&tlsCAFile=%s/none.pem&"
                SELECT_MS, port, secure_folder);
    ck_assert_ptr_nonnull(strstr(told.all, "none.pem"));
}
END_TEST

static int start_mutual(void)
{
    secure_certificate("server", "ca", "IP:127.0.0.1", 2);
    secure_certificate("client", "ca", "DNS:client.test", 2);
    ck_assert(secure_shell("cat client.pem client.key >plain.pem"));
    ck_assert(secure_shell("openssl ec -in client.key -aes128 -out locked.key "
                           "-passout pass:key-" SECRET " && "
                           "cat client.pem locked.key >locked.pem"));
    return secure_start("--storage-path :memory: --tls-cert-file server.pem "
                        "--tls-key-file server.key --tls-ca-file ca.pem "
                        "--tls-require-client-cert");
}

static void ask_mutual(int port, const char *more)
{
    told_clear(&told);
    told_ask(&told, 0,
             "mongodb://127.0.0.1:%d/?tls=true&tlsCAFile=%s%s", port, ca,
             more);
}

static void ask_with_key(int port, const char *file, const char *more)
{
    char option[256];

    snprintf(option, sizeof option, "&tlsCertificateKeyFile=%s/%s%s",
             secure_folder, file, more);
    ask_mutual(port, option);
}

START_TEST(a_client_without_certificate_is_refused)
{
    int port;

    NEED_TLS();
    port = start_mutual();
    ask_with_key(port, "plain.pem", "");
    ck_done();
    ask_mutual(port, "&" SELECT_MS);
    ck_refused("["); /* a reason there is, but the words differ */
}
END_TEST

START_TEST(the_password_of_a_key_is_not_told)
{
    int port;

    NEED_TLS();
    port = start_mutual();
    ask_with_key(port, "locked.pem",
                 "&tlsCertificateKeyFilePassword=key-" SECRET);
    ck_done();
    ck_no_secret(told.all);
    ask_with_key(port, "locked.pem",
                 "&tlsCertificateKeyFilePassword=wrong-" SECRET "&" SELECT_MS);
    ck_refused("TLS can not be set up");
    ck_no_secret(told.all);
}
END_TEST

/* Server selection would go on for longer: timeoutMS ends it.  What the
 * handshake met is not known to the error then. */
START_TEST(timeout_bounds_a_refusal)
{
    int port;

    NEED_TLS();
    port = start_tls("IP:127.0.0.1", -1);
    told_ask(&told, 200,
             "mongodb://127.0.0.1:%d/?tls=true&tlsCAFile=%s&"
             "serverSelectionTimeoutMS=3000", port, ca);
    ck_assert_int_eq(told.state, STATOR_FUTURE_FAILED);
    ck_assert_uint_eq(told.error.domain, STATOR_ERROR_DOMAIN);
    ck_assert_uint_eq(told.error.code, STATOR_ERROR_EXPIRED);
}
END_TEST

/* The operation's time is up long before the driver's; the reason is told
 * nevertheless. */
START_TEST(a_refusal_has_its_reason_when_timeout_comes_first)
{
    char uri[512];
    int port;

    NEED_TLS();
    secure_authority("other");
    port = start_tls("IP:127.0.0.1", 2);
    snprintf(uri, sizeof uri,
             "mongodb://127.0.0.1:%d/?tls=true&tlsCAFile=%s/other.pem&"
             "serverSelectionTimeoutMS=2500", port, secure_folder);
    ask_until("certificate", 900, uri);
    ck_assert_int_eq(told.state, STATOR_FUTURE_FAILED);
    ck_assert_uint_eq(told.error.domain, STATOR_ERROR_DOMAIN);
    ck_assert_uint_eq(told.error.code, STATOR_ERROR_EXPIRED);
    ck_assert_msg(strstr(told.error.message, "certificate") != NULL, "%s",
                  told.error.message);
}
END_TEST

SUITE(tls)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_right_server_is_taken);
    tcase_add_test(tc, an_unknown_authority_is_refused);
    tcase_add_test(tc, another_address_is_refused);
    tcase_add_test(tc, another_name_is_refused);
    tcase_add_test(tc, an_expired_certificate_is_refused);
    tcase_add_test(tc, a_plain_server_is_refused);
    tcase_add_test(tc, a_tls_server_refuses_a_plain_client);
    tcase_add_test(tc, a_missing_authority_file_is_named_in_the_log);
    tcase_add_test(tc, a_client_without_certificate_is_refused);
    tcase_add_test(tc, the_password_of_a_key_is_not_told);
    tcase_add_test(tc, timeout_bounds_a_refusal);
    tcase_add_test(tc, a_refusal_has_its_reason_when_timeout_comes_first);
}
