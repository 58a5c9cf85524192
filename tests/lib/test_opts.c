/* SPDX-License-Identifier: Apache-2.0 */
/* test_opts.c - the options that are Stator's own: taken out, checked, named
 * when they are wrong; and the options of handles. */
#include "lib/opts.h"
#include "lib/handle.h"

#include "tests/lib/support.h"

static char problem[STL_PROBLEM_SIZE];
static struct stl_opts parsed;

static bool parse(bool is_cursor, const char *json)
{
    problem[0] = '\0';
    return stl_opts_parse(J("%s", json), is_cursor, &parsed, problem);
}

/* Refused, and the text names the key. */
static void refused(bool is_cursor, const char *json, const char *text)
{
    ck_assert_msg(!parse(is_cursor, json), "%s was taken", json);
    ck_assert_msg(strstr(problem, text) != NULL, "%s: \"%s\" without \"%s\"",
                  json, problem, text);
}

START_TEST(nothing_means_the_defaults)
{
    ck_assert(stl_opts_parse(NULL, false, &parsed, problem));
    ck_assert_int_eq(parsed.timeout_ms, 0);
    ck_assert_int_eq(parsed.priority, STC_NORMAL);
    ck_assert_int_eq(parsed.timeout_mode, STC_CURSOR_LIFETIME);
    ck_assert_int_eq(parsed.prefetch, 0);
    ck_assert_int_eq(parsed.max_bytes, 0);
    ck_assert(!parsed.has_own);
    ck_assert(bson_empty(&parsed.read_preference));
    ck_assert(parse(false, "{'comment': 1}"));
    ck_assert(!parsed.has_own);
    lib_forget();
}
END_TEST

START_TEST(own_keys_are_taken_and_the_rest_is_the_drivers)
{
    const char *all = "{'sort': {'a': 1}, 'timeoutMS': 250, 'hint': 'x', "
                      "'priority': 'low', 'timeoutMode': 'iteration', "
                      "'prefetch': 1, 'maxBytes': 4096, 'limit': 3, "
                      "'readPreference': {'mode': 'nearest', "
                      "'tags': [{'dc': 'a'}, {}], "
                      "'maxStalenessSeconds': 120}}";
    bson_t rest;

    ck_assert_msg(parse(true, all), "%s", problem);
    ck_assert_int_eq(parsed.timeout_ms, 250);
    ck_assert_int_eq(parsed.priority, STC_LOW);
    ck_assert_int_eq(parsed.timeout_mode, STC_ITERATION);
    ck_assert_int_eq(parsed.prefetch, 1);
    ck_assert_int_eq(parsed.max_bytes, 4096);
    ck_at(&parsed.read_preference, "mode", "'nearest'");
    ck_assert(parsed.has_own);

    stl_opts_copy_driver_part(J("%s", all), &rest);
    ck_assert(bson_equal(
        &rest, J("{'sort': {'a': 1}, 'hint': 'x', 'limit': 3}")));
    bson_destroy(&rest);
    lib_forget();
}
END_TEST

START_TEST(timeout_must_be_a_whole_number)
{
    ck_assert(parse(false, "{'timeoutMS': 0}"));
    ck_assert(parse(false, "{'timeoutMS': {'$numberLong': '9'}}"));
    ck_assert(parse(false, "{'timeoutMS': 9.0}"));
    refused(false, "{'timeoutMS': -1}", "timeoutMS must be 0 or more, is -1");
    refused(false, "{'timeoutMS': 'x'}", "timeoutMS");
    refused(false, "{'timeoutMS': 1.5}", "timeoutMS");
    refused(false, "{'timeoutMS': null}", "timeoutMS");
    refused(false, "{'timeoutMS': true}", "timeoutMS");
    lib_forget();
}
END_TEST

START_TEST(priority_has_three_names)
{
    ck_assert(parse(false, "{'priority': 'high'}"));
    ck_assert_int_eq(parsed.priority, STC_HIGH);
    refused(false, "{'priority': 'urgent'}", "is urgent");
    refused(false, "{'priority': 1}", "priority");
    lib_forget();
}
END_TEST

START_TEST(read_preference_is_checked_in_depth)
{
    static const struct {
        const char *json, *text;
    } wrong[] = {
        {"{'readPreference': 'nearest'}", "readPreference must be a doc"},
        {"{'readPreference': {}}", "readPreference.mode is missing"},
        {"{'readPreference': {'mode': 'fastest'}}", "is fastest"},
        {"{'readPreference': {'mode': 1}}", "readPreference.mode"},
        {"{'readPreference': {'mode': 'nearest', 'tags': {}}}", "tags"},
        {"{'readPreference': {'mode': 'nearest', 'tags': [1]}}", "tags[0]"},
        {"{'readPreference': {'mode': 'nearest', "
         "'maxStalenessSeconds': 0}}", "maxStalenessSeconds"},
        {"{'readPreference': {'mode': 'nearest', "
         "'maxStalenessSeconds': 'x'}}", "maxStalenessSeconds"},
        {"{'readPreference': {'mode': 'primary', 'tags': [{'a': 'b'}]}}",
         "tags does not go with the mode primary"},
        {"{'readPreference': {'mode': 'nearest', 'hedge': true}}",
         "readPreference.hedge must be a document, is a bool"},
        {"{'readPreference': {'mode': 'primary', "
         "'hedge': {'enabled': true}}}",
         "hedge does not go with the mode primary"},
        {"{'readPreference': {'mode': 'nearest', 'colour': 1}}",
         "readPreference.colour is unknown"},
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refused(false, wrong[i].json, wrong[i].text);
    ck_assert(parse(false, "{'readPreference': {'mode': 'primary', "
                           "'tags': [], 'maxStalenessSeconds': -1}}"));
    lib_forget();
}
END_TEST

START_TEST(cursor_keys_are_for_cursors_only)
{
    static const char *const keys[] = {
        "{'timeoutMode': 'iteration'}", "{'prefetch': 1}", "{'maxBytes': 5}",
    };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        ck_assert(parse(true, keys[i]));
        refused(false, keys[i], "is an option of cursors only");
    }
    refused(true, "{'timeoutMode': 'never'}", "is never");
    refused(true, "{'timeoutMode': 1}", "timeoutMode");
    refused(true, "{'prefetch': 2}", "prefetch");
    refused(true, "{'prefetch': true}", "prefetch");
    refused(true, "{'maxBytes': 0}", "maxBytes");
    refused(true, "{'maxBytes': 'x'}", "maxBytes");
    lib_forget();
}
END_TEST

START_TEST(a_key_given_twice_is_refused)
{
    bson_t *twice = bson_new();

    BSON_APPEND_INT32(twice, "timeoutMS", 1);
    BSON_APPEND_INT32(twice, "timeoutMS", 2);
    ck_assert(!stl_opts_parse(twice, false, &parsed, problem));
    ck_assert_str_eq(problem, "timeoutMS is given twice");
    bson_reinit(twice);
    BSON_APPEND_INT32(twice, "comment", 1);
    BSON_APPEND_INT32(twice, "x", 1);
    BSON_APPEND_INT32(twice, "comment", 2);
    ck_assert(!stl_opts_parse(twice, false, &parsed, problem));
    ck_assert_str_eq(problem, "comment is given twice");
    bson_reinit(twice);
    for (int i = 0; i <= 256; i++) {
        char key[16];

        snprintf(key, sizeof key, "k%d", i);
        BSON_APPEND_INT32(twice, key, i);
    }
    ck_assert(!stl_opts_parse(twice, false, &parsed, problem));
    ck_assert_str_eq(problem, "opts has more than 256 keys");
    bson_destroy(twice);
    lib_forget();
}
END_TEST

START_TEST(options_of_handles_override_key_by_key)
{
    const bson_t *old = J("{'readConcern': {'level': 'local'}, "
                          "'writeConcern': {'w': 1}}");
    bson_t new;

    ck_assert(stl_handle_options(
        old, J("{'writeConcern': {'w': 'majority', 'j': true, "
               "'wtimeout': 5}, 'readPreference': {'mode': 'secondary'}}"),
        &new, problem));
    ck_at(&new, "readConcern.level", "'local'");
    ck_at(&new, "writeConcern.w", "'majority'");
    ck_at(&new, "readPreference.mode", "'secondary'");
    bson_destroy(&new);
    lib_forget();
}
END_TEST

START_TEST(options_of_handles_are_named_when_wrong)
{
    static const struct {
        const char *json, *text;
    } wrong[] = {
        {"{'colour': 1}", "colour is unknown"},
        {"{'timeoutMS': 1}", "timeoutMS is unknown"},
        {"{'readConcern': 'local'}", "readConcern must be a document"},
        {"{'readConcern': {}}", "readConcern.level is missing"},
        {"{'readConcern': {'level': 1}}", "readConcern.level"},
        {"{'readConcern': {'x': 1}}", "readConcern.x is unknown"},
        {"{'writeConcern': 1}", "writeConcern must be a document"},
        {"{'writeConcern': {'w': -1}}", "writeConcern.w"},
        {"{'writeConcern': {'w': true}}", "writeConcern.w"},
        {"{'writeConcern': {'w': ''}}", "writeConcern.w is empty"},
        {"{'writeConcern': {'j': 1}}", "writeConcern.j"},
        {"{'writeConcern': {'wtimeout': -5}}", "writeConcern.wtimeout"},
        {"{'writeConcern': {'W': 1}}", "writeConcern.W is unknown"},
        {"{'writeConcern': {'w': 0, 'j': true}}", "writeConcern.j"},
        {"{'readPreference': {'mode': 'x'}}", "readPreference.mode"},
    };
    stage_t *s = stage_nowhere();
    bson_error_t error;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const bson_t *opts = J("%s", wrong[i].json);

        memset(&error, 0, sizeof error);
        ck_assert_ptr_null(
            stator_collection_with_opts(s->collection, opts, &error));
        ck_assert_uint_eq(error.domain, STATOR_ERROR_DOMAIN);
        ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
        ck_assert_msg(strstr(error.message, wrong[i].text) != NULL, "%s",
                      error.message);
        ck_assert_ptr_null(
            stator_database_with_opts(s->database, opts, NULL));
    }
    stage_free(s);
}
END_TEST

START_TEST(wrong_opts_fail_every_verb_by_name)
{
    stage_t *s = stage_nowhere();
    stator_collection_t *c = s->collection;
    const bson_t *x = J("{'a': 1}"), *set = J("{'$set': {'a': 1}}");
    const bson_t *models[] = {J("{'deleteOne': {'filter': {}}}")};
    const bson_t *index = J("{'key': {'a': 1}}");
    const bson_t *o = J("{'timeoutMS': 'soon'}");
    const char *t = "timeoutMS must be an integer, is a string";

    faulty(stator_collection_insert_one(c, x, o), t);
    faulty(stator_collection_insert_many(c, &x, 1, o), t);
    faulty(stator_collection_find_one(c, x, o), t);
    faulty_cursor(stator_collection_find(c, x, o), t);
    faulty_cursor(stator_collection_aggregate(c, J("{}"), o), t);
    faulty(stator_collection_update_one(c, x, set, o), t);
    faulty(stator_collection_update_many(c, x, set, o), t);
    faulty(stator_collection_replace_one(c, x, x, o), t);
    faulty(stator_collection_delete_one(c, x, o), t);
    faulty(stator_collection_delete_many(c, x, o), t);
    faulty(stator_collection_find_one_and_update(c, x, set, o), t);
    faulty(stator_collection_find_one_and_replace(c, x, x, o), t);
    faulty(stator_collection_find_one_and_delete(c, x, o), t);
    faulty(stator_collection_bulk_write(c, models, 1, o), t);
    faulty(stator_collection_count_documents(c, x, o), t);
    faulty(stator_collection_estimated_document_count(c, o), t);
    faulty(stator_collection_distinct(c, "a", x, o), t);
    faulty(stator_collection_create_index(c, index, o), t);
    faulty(stator_collection_create_indexes(c, &index, 1, o), t);
    faulty_cursor(stator_collection_list_indexes(c, o), t);
    faulty(stator_collection_drop_index(c, "a_1", o), t);
    faulty(stator_collection_drop_indexes(c, o), t);
    faulty(stator_collection_rename(c, "d", "n", false, o), t);
    faulty(stator_collection_drop(c, o), t);
    faulty(stator_database_command(s->database, x, o), t);
    faulty(stator_database_read_command(s->database, x, o), t);
    faulty(stator_database_write_command(s->database, x, o), t);
    faulty_cursor(stator_database_aggregate(s->database, J("{}"), o), t);
    faulty(stator_database_create_collection(s->database, "n", o), t);
    faulty_cursor(stator_database_list_collections(s->database, o), t);
    faulty(stator_database_list_collection_names(s->database, o), t);
    faulty(stator_database_has_collection(s->database, "n", o), t);
    faulty(stator_database_drop(s->database, o), t);
    faulty(stator_client_command(s->client, "d", x, o), t);
    faulty(stator_client_ping(s->client, o), t);
    faulty_cursor(stator_client_list_databases(s->client, o), t);
    faulty(stator_client_list_database_names(s->client, o), t);
    faulty(stator_client_drop_database(s->client, "d", o), t);
    stage_free(s);
}
END_TEST

START_TEST(corrupt_opts_are_said_to_be_so)
{
    stage_t *s = stage_nowhere();

    faulty(stator_collection_find_one(s->collection, NULL, lib_corrupt()),
           "collection.find_one: opts is corrupt BSON at offset 7");
    faulty_cursor(stator_collection_find(s->collection, NULL, lib_corrupt()),
                  "collection.find: opts is corrupt BSON at offset 7");
    stage_free(s);
}
END_TEST

SUITE(opts)
{
    tcase_add_test(tc, nothing_means_the_defaults);
    tcase_add_test(tc, own_keys_are_taken_and_the_rest_is_the_drivers);
    tcase_add_test(tc, timeout_must_be_a_whole_number);
    tcase_add_test(tc, priority_has_three_names);
    tcase_add_test(tc, read_preference_is_checked_in_depth);
    tcase_add_test(tc, cursor_keys_are_for_cursors_only);
    tcase_add_test(tc, a_key_given_twice_is_refused);
    tcase_add_test(tc, options_of_handles_override_key_by_key);
    tcase_add_test(tc, options_of_handles_are_named_when_wrong);
    tcase_add_test(tc, wrong_opts_fail_every_verb_by_name);
    tcase_add_test(tc, corrupt_opts_are_said_to_be_so);
}
