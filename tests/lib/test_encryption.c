/* SPDX-License-Identifier: Apache-2.0 */
/* test_encryption.c - a pool that has encryption enabled, adopted.
 *
 * The key is a local one.  Nothing decides by itself what to encrypt here:
 * that needs a program (mongocryptd or crypt_shared) which is not there.
 * What was encrypted comes back decrypted all the same. */
#include <mongoc/mongoc.h>

#include "tests/lib/support.h"
#include "tests/wire/wire.h"

#define KEY_VAULT "keyvault"

static bson_t *providers(void)
{
    static const uint8_t key[96] = {1, 2, 3};

    return BCON_NEW("local", "{", "key",
                    BCON_BIN(BSON_SUBTYPE_BINARY, key, sizeof key), "}");
}

/* NULL: the driver was built without it, and says so. */
static mongoc_client_pool_t *pool_new(const char *text, const char *vault_db,
                                      bool decides)
{
    mongoc_auto_encryption_opts_t *opts = mongoc_auto_encryption_opts_new();
    bson_t *extra = BCON_NEW("mongocryptdBypassSpawn", BCON_BOOL(true),
                             "mongocryptdURI",
                             "mongodb://127.0.0.1:1/"
                             "?serverSelectionTimeoutMS=50");
    mongoc_uri_t *uri = mongoc_uri_new(text);
    mongoc_client_pool_t *pool = mongoc_client_pool_new(uri);
    bson_t *kms = providers();
    bson_error_t error;
    bool ok;

    mongoc_auto_encryption_opts_set_keyvault_namespace(opts, vault_db,
                                                       KEY_VAULT);
    mongoc_auto_encryption_opts_set_kms_providers(opts, kms);
    mongoc_auto_encryption_opts_set_bypass_auto_encryption(opts, !decides);
    mongoc_auto_encryption_opts_set_extra(opts, extra);
    ok = mongoc_client_pool_enable_auto_encryption(pool, opts, &error);
    if (!ok) {
        ck_assert_msg(strstr(error.message, "libmongocrypt") != NULL ||
                          strstr(error.message, "encryption") != NULL,
                      "%s", error.message);
        mongoc_client_pool_destroy(pool);
        pool = NULL;
    }
    mongoc_auto_encryption_opts_destroy(opts);
    bson_destroy(kms);
    bson_destroy(extra);
    mongoc_uri_destroy(uri);
    return pool;
}

/* Encrypt "secret" with a new key, as a document {v: ..}: blocking code of
 * one's own, on a worker. */
static void encrypt(mongoc_client_t *client, stator_promise_t *promise,
                    void *vault_db)
{
    mongoc_client_encryption_opts_t *opts =
        mongoc_client_encryption_opts_new();
    mongoc_client_encryption_datakey_opts_t *how =
        mongoc_client_encryption_datakey_opts_new();
    mongoc_client_encryption_encrypt_opts_t *what =
        mongoc_client_encryption_encrypt_opts_new();
    mongoc_client_encryption_t *encryption;
    bson_value_t key = {0}, cipher = {0}, plain = {0};
    bson_t *kms = providers(), result = BSON_INITIALIZER;
    bson_error_t error = {0};
    bool ok;

    mongoc_client_encryption_opts_set_keyvault_client(opts, client);
    mongoc_client_encryption_opts_set_keyvault_namespace(opts, vault_db,
                                                         KEY_VAULT);
    mongoc_client_encryption_opts_set_kms_providers(opts, kms);
    plain.value_type = BSON_TYPE_UTF8;
    plain.value.v_utf8.str = (char *)"secret";
    plain.value.v_utf8.len = 6;
    encryption = mongoc_client_encryption_new(opts, &error);
    ok = encryption != NULL &&
         mongoc_client_encryption_create_datakey(encryption, "local", how,
                                                 &key, &error);
    if (ok) {
        mongoc_client_encryption_encrypt_opts_set_keyid(what, &key);
        mongoc_client_encryption_encrypt_opts_set_algorithm(
            what, MONGOC_AEAD_AES_256_CBC_HMAC_SHA_512_RANDOM);
        ok = mongoc_client_encryption_encrypt(encryption, &plain, what,
                                              &cipher, &error);
    }
    if (ok) {
        BSON_APPEND_VALUE(&result, "v", &cipher);
        bson_value_destroy(&cipher);
        stator_promise_resolve(promise, &result, NULL);
    } else {
        stator_promise_fail(promise, &error, NULL);
    }
    if (key.value_type != 0)
        bson_value_destroy(&key);
    mongoc_client_encryption_encrypt_opts_destroy(what);
    mongoc_client_encryption_datakey_opts_destroy(how);
    mongoc_client_encryption_destroy(encryption);
    mongoc_client_encryption_opts_destroy(opts);
    bson_destroy(kms);
    bson_destroy(&result);
}

static void close_client(stator_client_t *client)
{
    stator_future_t *closed = stator_client_close(client, NULL);

    ck_assert_int_eq(stator_future_wait(closed, LIB_PATIENCE_MS), 0);
    stator_future_unref(closed);
    stator_client_unref(client);
}

START_TEST(an_adopted_pool_decrypts)
{
    stage_t *s;
    mongoc_client_pool_t *pool;
    stator_client_t *client;
    stator_collection_t *c;
    stator_cursor_t *cursor;
    bson_error_t error;
    bson_t document;
    stator_future_t *f;

    NEED_SERVER();
    s = stage_live();
    pool = pool_new(lib_server(), s->db, false);
    if (pool == NULL) {
        stage_free(s);
        SKIP("libmongoc was built without encryption");
    }
    client = stator_client_new_from_pool(pool, NULL, &error);
    ck_assert_ptr_nonnull(client);
    c = stator_client_get_collection(client, s->db, s->name);

    f = done(stator_client_run(client, encrypt, s->db, NULL));
    bson_init(&document);
    BSON_APPEND_INT32(&document, "_id", 1);
    bson_concat(&document, stator_future_document(f));
    done(stator_collection_insert_one(c, &document, NULL));
    bson_destroy(&document);

    /* Somebody without the key sees bytes of subtype 6. */
    f = done(stator_collection_find_one(s->collection, NULL, NULL));
    ck_assert_str_ne(at(stator_future_document(f), "v"), "'secret'");
    f = done(stator_collection_find_one(c, NULL, NULL));
    ck_at(stator_future_document(f), "v", "'secret'");
    cursor = stator_collection_find(c, J("{}"), NULL);
    f = done(stator_cursor_next(cursor));
    ck_at(stator_future_document(f), "v", "'secret'");
    stator_cursor_unref(cursor);
    stator_collection_unref(c);
    lib_forget();
    close_client(client);
    stage_free(s);
}
END_TEST

START_TEST(without_the_program_that_decides_it_fails_and_says_so)
{
    wire_server_t *server = wire_server_new(NULL);
    mongoc_client_pool_t *pool;
    stator_client_t *client;
    stator_collection_t *c;
    char uri[WIRE_URI_SIZE];
    bson_error_t error;

    ck_assert_ptr_nonnull(server);
    pool = pool_new(wire_server_uri(server, NULL, uri, sizeof uri), "d",
                    true);
    if (pool == NULL) {
        wire_server_free(server);
        SKIP("libmongoc was built without encryption");
    }
    client = stator_client_new_from_pool(pool, NULL, &error);
    ck_assert_ptr_nonnull(client);
    c = stator_client_get_collection(client, "d", "things");
    fails(stator_collection_insert_one(c, J("{'a': 1}"), NULL),
          MONGOC_ERROR_SERVER_SELECTION, MONGOC_ERROR_SERVER_SELECTION_FAILURE,
          "mongocryptd");
    ck_assert_int_eq(wire_count(server, "insert"), 0);
    done(stator_client_ping(client, NULL)); /* nothing in it to encrypt */
    stator_collection_unref(c);
    lib_forget();
    close_client(client);
    wire_server_free(server);
}
END_TEST

SUITE(encryption)
{
    tcase_add_test(tc, an_adopted_pool_decrypts);
    tcase_add_test(tc, without_the_program_that_decides_it_fails_and_says_so);
}
