/* SPDX-License-Identifier: Apache-2.0 */
/* redact.c - finds what is secret in a connection string.
 *
 *   mongodb://user:SECRET@host/db?tlsCertificateKeyFilePassword=SECRET&..
 *
 * A string with a mistake in it is the likeliest to be printed, so nothing
 * here needs a string that parses: with an unescaped '@' or '/' in the
 * password, all up to the last '@' is taken for secret. */
#include "redact.h"

#include <mongoc/mongoc.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SECRETS_MAX = 16 };

static const char mask[] = "***";

static const char *const secret_keys[] = {
    "tlsCertificateKeyFilePassword", "sslClientCertificateKeyPassword",
    "authMechanismProperties", "proxyPassword", "password"};

static char *secrets[SECRETS_MAX];
static size_t n_secrets;

typedef void span_fn(const char *from, size_t length, void *arg);

static bool is_secret_key(const char *key, size_t length)
{
    for (size_t i = 0; i < sizeof secret_keys / sizeof *secret_keys; i++) {
        if (strlen(secret_keys[i]) == length &&
            strncasecmp(secret_keys[i], key, length) == 0)
            return true;
    }
    return false;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *percent_decoded(const char *text)
{
    char *out = bson_strdup(text), *to = out;

    for (; *text != '\0'; text++) {
        if (*text == '%' && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
            *to++ = (char)(hex(text[1]) * 16 + hex(text[2]));
            text += 2;
        } else {
            *to++ = *text;
        }
    }
    *to = '\0';
    return out;
}

/* In a string that parses: the '@' that ends the password, which is known. */
static const char *end_of_password(const char *start, const char *password)
{
    const char *colon = strchr(start, ':');
    const char *at = colon == NULL ? NULL : strchr(colon, '@');

    for (; at != NULL; at = strchr(at + 1, '@')) {
        char *written = bson_strndup(colon + 1, (size_t)(at - colon - 1));
        char *decoded = percent_decoded(written);
        bool found = strcmp(decoded, password) == 0;

        bson_free(written);
        bson_free(decoded);
        if (found)
            return at;
    }
    return strrchr(start, '@');
}

/* Where the user's name and password end, or NULL: the last '@', unless it
 * is known to be another one. */
static const char *end_of_userinfo(const char *uri, const char *start)
{
    const char *at = strrchr(start, '@');
    mongoc_uri_t *parsed;

    if (at == NULL || memchr(start, '?', (size_t)(at - start)) == NULL)
        return at;
    parsed = mongoc_uri_new_with_error(uri, NULL);
    if (parsed == NULL)
        return at;
    at = NULL;
    if (mongoc_uri_get_password(parsed) != NULL)
        at = end_of_password(start, mongoc_uri_get_password(parsed));
    mongoc_uri_destroy(parsed);
    return at;
}

/* Call `fn` for each secret part of `uri`, from left to right. */
static void each_secret(const char *uri, span_fn *fn, void *arg)
{
    const char *start = strstr(uri, "://");
    const char *at, *colon, *p;

    start = start == NULL ? uri : start + 3;
    at = end_of_userinfo(uri, start);
    if (at != NULL) {
        colon = memchr(start, ':', (size_t)(at - start));
        if (colon != NULL)
            fn(colon + 1, (size_t)(at - colon - 1), arg);
        start = at + 1;
    }

    p = strchr(start, '?');
    while (p != NULL) {
        const char *key = p + 1;
        size_t length = strcspn(key, "=&;");
        const char *value = key + length;

        if (*value == '=') {
            value++;
            if (is_secret_key(key, length))
                fn(value, strcspn(value, "&;"), arg);
        }
        p = strpbrk(value, "&;");
    }
}

struct copy {
    const char *from;
    bson_string_t *text;
};

static void append_until(struct copy *copy, const char *end)
{
    char *part = bson_strndup(copy->from, (size_t)(end - copy->from));

    bson_string_append(copy->text, part);
    bson_free(part);
    copy->from = end;
}

static void append_masked(const char *from, size_t length, void *arg)
{
    struct copy *copy = arg;

    append_until(copy, from);
    bson_string_append(copy->text, mask);
    copy->from = from + length;
}

char *redact_uri(const char *uri)
{
    struct copy copy = {uri, bson_string_new(NULL)};

    each_secret(uri, append_masked, &copy);
    append_until(&copy, uri + strlen(uri));
    return bson_string_free(copy.text, false);
}

static void keep(char *secret)
{
    for (size_t i = 0; i < n_secrets; i++) {
        if (strcmp(secrets[i], secret) == 0)
            goto known;
    }
    if (*secret != '\0' && n_secrets < SECRETS_MAX) {
        secrets[n_secrets++] = secret;
        return;
    }
known:
    bson_free(secret);
}

static void learn(const char *from, size_t length, void *arg)
{
    char *secret = bson_strndup(from, length);

    (void)arg;
    keep(percent_decoded(secret));
    keep(secret);
}

void redact_learn(const char *uri)
{
    each_secret(uri, learn, NULL);
}

char *redact_text(const char *text)
{
    bson_string_t *out = bson_string_new(NULL);

    while (*text != '\0') {
        size_t longest = 0;

        for (size_t i = 0; i < n_secrets; i++) {
            size_t length = strlen(secrets[i]);

            if (length > longest && strncmp(text, secrets[i], length) == 0)
                longest = length;
        }
        if (longest > 0)
            bson_string_append(out, mask);
        else
            bson_string_append_printf(out, "%c", *text);
        text += longest > 0 ? longest : 1;
    }
    return bson_string_free(out, false);
}

static void blank(const char *from, size_t length, void *arg)
{
    char *uri = arg;

    memset(uri + (from - (const char *)uri), 'x', length);
}

void redact_scrub(char *uri)
{
    each_secret(uri, blank, uri);
}

void redact_forget(void)
{
    while (n_secrets > 0)
        bson_free(secrets[--n_secrets]);
}
