/* SPDX-License-Identifier: Apache-2.0 */
/* test_handles.c - what a database's and a collection's own options come to at
 * the servers: a primary and a secondary, which tell what they were asked. */
#include <mongoc/mongoc.h>

#include "tests/lib/wired.h"

typedef struct set {
    wire_server_t *primary;
    wire_server_t *secondary;
    stage_t *stage;
    wire_command_t command; /* the one that was looked at last */
} set_t;

static set_t *set_new(const char *extra)
{
    set_t *t = calloc(1, sizeof *t);
    wire_options_t options = {.documents = 3};
    wire_member_t member = {.role = WIRE_PRIMARY};
    char hosts[64], primary[32], uri[256];

    t->primary = wire_server_new(&options);
    t->secondary = wire_server_new(&options);
    ck_assert_ptr_nonnull(t->primary);
    ck_assert_ptr_nonnull(t->secondary);
    snprintf(primary, sizeof primary, "127.0.0.1:%u",
             wire_server_port(t->primary));
    snprintf(hosts, sizeof hosts, "%s,127.0.0.1:%u", primary,
             wire_server_port(t->secondary));
    member.hosts = hosts;
    wire_server_set_member(t->primary, &member);
    member.role = WIRE_SECONDARY;
    member.primary = primary;
    wire_server_set_member(t->secondary, &member);
    snprintf(uri, sizeof uri, "mongodb://%s/?replicaSet=rs&%s", hosts, extra);
    t->stage = stage_new(uri, "{'workers': 1}", false);
    /* Until both are known, the one that is would do for most modes. */
    done(stator_database_command(t->stage->database, J("{'ping': 1}"), NULL));
    done(stator_database_read_command(
        t->stage->database, J("{'ping': 1}"),
        J("{'readPreference': {'mode': 'secondary'}}")));
    return t;
}

static void set_free(set_t *t)
{
    wire_command_clear(&t->command);
    stage_free(t->stage);
    wire_server_free(t->primary);
    wire_server_free(t->secondary);
    free(t);
}

static stator_collection_t *collection_with(set_t *t, const char *json)
{
    bson_error_t error = {0};
    stator_collection_t *c = stator_collection_with_opts(
        t->stage->collection, J("%s", json), &error);

    ck_assert_msg(c != NULL, "%s: %s", json, error.message);
    return c;
}

static stator_database_t *database_with(set_t *t, const char *json)
{
    bson_error_t error = {0};
    stator_database_t *d =
        stator_database_with_opts(t->stage->database, J("%s", json), &error);

    ck_assert_msg(d != NULL, "%s: %s", json, error.message);
    return d;
}

/* ---- read preferences -------------------------------------------------- */

enum { TO_PRIMARY = 1, TO_SECONDARY = 2, TO_ANY = 3 };

static const struct {
    const char *mode;
    int goes;
} modes[] = {
    {"primary", TO_PRIMARY},
    {"primaryPreferred", TO_PRIMARY},
    {"secondary", TO_SECONDARY},
    {"secondaryPreferred", TO_SECONDARY},
    {"nearest", TO_ANY},
};

enum { N_MODES = sizeof modes / sizeof *modes };

/* Where the last `name` went, and that it bears the mode: `n_before` are the
 * counts of both servers before it. */
static void check_mode(set_t *t, const char *name, int which,
                       const int64_t n_before[2])
{
    int64_t first = wire_count(t->primary, name) - n_before[0];
    int64_t second = wire_count(t->secondary, name) - n_before[1];
    const bson_t *c;

    ck_assert_int_eq(first + second, 1);
    ck_assert_msg((modes[which].goes & (first ? TO_PRIMARY : TO_SECONDARY)),
                  "%s: the %s went to the %s", modes[which].mode, name,
                  first ? "primary" : "secondary");
    c = sent_to(first ? t->primary : t->secondary, name, &t->command);
    if (which > 0) {
        char text[32];

        snprintf(text, sizeof text, "'%s'", modes[which].mode);
        ck_at(c, "$readPreference.mode", text);
    }
}

static void count_both(set_t *t, const char *name, int64_t n[2])
{
    n[0] = wire_count(t->primary, name);
    n[1] = wire_count(t->secondary, name);
}

START_TEST(reads_of_a_collection_go_where_it_says)
{
    set_t *t = set_new("retryReads=false");
    char json[80];
    stator_collection_t *c;
    stator_cursor_t *cursor;
    int64_t n[2];

    snprintf(json, sizeof json, "{'readPreference': {'mode': '%s'}}",
             modes[_i].mode);
    c = collection_with(t, json);
    count_both(t, "find", n);
    counts(stator_collection_find_one(c, NULL, NULL), 1);
    check_mode(t, "find", _i, n);
    count_both(t, "distinct", n);
    done(stator_collection_distinct(c, "k", NULL, NULL));
    check_mode(t, "distinct", _i, n);
    count_both(t, "find", n);
    cursor = stator_collection_find(c, NULL, NULL);
    counts(stator_cursor_to_list(cursor, 0), 3);
    check_mode(t, "find", _i, n);
    stator_cursor_unref(cursor);
    stator_collection_unref(c);
    set_free(t);
}
END_TEST

START_TEST(reads_of_a_database_go_where_it_says)
{
    set_t *t = set_new("retryReads=false");
    char json[80];
    stator_database_t *d;
    stator_collection_t *c;
    stator_cursor_t *cursor;
    int64_t n[2];

    snprintf(json, sizeof json, "{'readPreference': {'mode': '%s'}}",
             modes[_i].mode);
    d = database_with(t, json);
    count_both(t, "aggregate", n);
    cursor = stator_database_aggregate(d, J("{'0': {'$match': {}}}"), NULL);
    done(stator_cursor_next(cursor));
    check_mode(t, "aggregate", _i, n);
    stator_cursor_unref(cursor);
    count_both(t, "count", n);
    done(stator_database_read_command(d, J("{'count': 'x'}"), NULL));
    check_mode(t, "count", _i, n);
    c = stator_database_get_collection(d, "things");
    count_both(t, "find", n);
    done(stator_collection_find_one(c, NULL, NULL));
    check_mode(t, "find", _i, n);
    stator_collection_unref(c);
    stator_database_unref(d);
    set_free(t);
}
END_TEST

START_TEST(an_operations_own_preference_goes_first)
{
    set_t *t = set_new("retryReads=false");
    stator_collection_t *c =
        collection_with(t, "{'readPreference': {'mode': 'secondary'}}");

    done(stator_collection_find_one(
        c, NULL, J("{'readPreference': {'mode': 'primary'}}")));
    ck_assert_int_eq(wire_count(t->primary, "find"), 1);
    ck_assert_int_eq(wire_count(t->secondary, "find"), 0);
    stator_collection_unref(c);
    set_free(t);
}
END_TEST

START_TEST(tags_choose_the_server)
{
    set_t *t = set_new("serverSelectionTimeoutMS=300");
    /* No server bears a tag, so only the empty set fits. */
    stator_collection_t *none = collection_with(
        t, "{'readPreference': {'mode': 'secondary', "
           "'tags': [{'dc': 'north'}]}}");
    stator_collection_t *some = collection_with(
        t, "{'readPreference': {'mode': 'secondary', "
           "'tags': [{'dc': 'north'}, {}]}}");

    fails(stator_collection_find_one(none, NULL, NULL),
          MONGOC_ERROR_SERVER_SELECTION,
          MONGOC_ERROR_SERVER_SELECTION_FAILURE, "");
    counts(stator_collection_find_one(some, NULL, NULL), 1);
    ck_at(sent_to(t->secondary, "find", &t->command),
          "$readPreference.tags.0.dc", "'north'");
    stator_collection_unref(none);
    stator_collection_unref(some);
    set_free(t);
}
END_TEST

/* These servers do not say when they were last written to. */
START_TEST(staleness_is_judged_by_the_driver)
{
    set_t *t = set_new("retryReads=false");
    stator_collection_t *good = collection_with(
        t, "{'readPreference': {'mode': 'primaryPreferred', "
           "'maxStalenessSeconds': 120}}");

    fails(stator_collection_find_one(good, NULL, NULL), MONGOC_ERROR_COMMAND,
          MONGOC_ERROR_PROTOCOL_BAD_WIRE_VERSION, "lastWriteDate");
    stator_collection_unref(good);
    set_free(t);
}
END_TEST

/* ---- concerns ---------------------------------------------------------- */

static const struct {
    const char *json, *w, *j, *wtimeout;
} concerns[] = {
    {"{'w': 1}", "1", "", ""},
    {"{'w': 2, 'wtimeout': 70}", "2", "", "70"},
    {"{'w': 'majority'}", "'majority'", "", ""},
    {"{'w': 'twoRooms'}", "'twoRooms'", "", ""},
    {"{'j': true}", "", "true", ""},
    {"{'w': 1, 'j': false}", "1", "false", ""},
    {"{'w': 'majority', 'j': true, 'wtimeout': 5}", "'majority'", "true",
     "5"},
};

enum { N_CONCERNS = sizeof concerns / sizeof *concerns };

static void check_concern(const bson_t *command, int which)
{
    ck_at(command, "writeConcern.w", concerns[which].w);
    ck_at(command, "writeConcern.j", concerns[which].j);
    ck_at(command, "writeConcern.wtimeout", concerns[which].wtimeout);
}

START_TEST(writes_bear_the_write_concern_of_their_handle)
{
    set_t *t = set_new("retryWrites=false");
    char json[120];
    stator_collection_t *c;
    stator_database_t *d;

    snprintf(json, sizeof json, "{'writeConcern': %s}", concerns[_i].json);
    c = collection_with(t, json);
    d = database_with(t, json);
    done(stator_collection_insert_one(c, J("{}"), NULL));
    check_concern(sent_to(t->primary, "insert", &t->command), _i);
    done(stator_collection_find_one_and_delete(c, J("{}"), NULL));
    check_concern(sent_to(t->primary, "findAndModify", &t->command), _i);
    done(stator_database_drop(d, NULL));
    check_concern(sent_to(t->primary, "dropDatabase", &t->command), _i);
    stator_collection_unref(c);
    stator_database_unref(d);
    set_free(t);
}
END_TEST

START_TEST(reads_bear_the_read_concern_of_their_database)
{
    set_t *t = set_new("readConcernLevel=majority");
    stator_database_t *d =
        database_with(t, "{'readConcern': {'level': 'available'}}");
    stator_cursor_t *cursor =
        stator_database_aggregate(d, J("{'0': {'$match': {}}}"), NULL);

    done(stator_cursor_next(cursor));
    ck_at(sent_to(t->primary, "aggregate", &t->command), "readConcern.level",
          "'available'");
    stator_cursor_unref(cursor);
    stator_database_unref(d);
    set_free(t);
}
END_TEST

/* ---- the handles themselves -------------------------------------------- */

START_TEST(a_handle_lives_as_long_as_its_last_reference)
{
    set_t *t = set_new("retryReads=false");
    stator_collection_t *c =
        stator_client_get_collection(t->stage->client, "d", "c");
    stator_database_t *d = stator_client_get_database(t->stage->client, "d");

    ck_assert_ptr_eq(stator_collection_ref(c), c);
    stator_collection_unref(c);
    done(stator_collection_find_one(c, NULL, NULL));
    ck_assert_str_eq(stator_collection_get_name(c), "c");
    ck_assert_ptr_eq(stator_database_ref(d), d);
    stator_database_unref(d);
    ck_assert_str_eq(stator_database_get_name(d), "d");
    stator_collection_unref(c);
    stator_database_unref(d);
    ck_assert_ptr_null(stator_collection_ref(NULL));
    stator_collection_unref(NULL);
    set_free(t);
}
END_TEST

START_TEST(options_are_refused_by_name)
{
    set_t *t = set_new("retryReads=false");
    bson_error_t error = {0};

    ck_assert_ptr_null(stator_collection_with_opts(NULL, NULL, &error));
    ck_assert_uint_eq(error.code, STATOR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "the handle is NULL"));
    ck_assert_ptr_null(stator_database_with_opts(NULL, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "the handle is NULL"));
    ck_assert_ptr_null(stator_database_with_opts(t->stage->database,
                                                 lib_corrupt(), &error));
    ck_assert_ptr_nonnull(strstr(error.message, "opts is corrupt BSON at"));
    ck_assert_ptr_null(stator_database_with_opts(
        t->stage->database, J("{'readConcern': {'level': 1}}"), NULL));
    set_free(t);
}
END_TEST

START_TEST(without_options_it_is_the_same_again)
{
    set_t *t = set_new("retryReads=false");
    stator_collection_t *far =
        collection_with(t, "{'readPreference': {'mode': 'secondary'}}");
    stator_collection_t *same = stator_collection_with_opts(far, NULL, NULL);

    stator_collection_unref(far);
    done(stator_collection_find_one(same, NULL, NULL));
    ck_assert_int_eq(wire_count(t->secondary, "find"), 1);
    stator_collection_unref(same);
    set_free(t);
}
END_TEST

SUITE(handles)
{
    tcase_add_loop_test(tc, reads_of_a_collection_go_where_it_says, 0,
                        N_MODES);
    tcase_add_loop_test(tc, reads_of_a_database_go_where_it_says, 0, N_MODES);
    tcase_add_test(tc, an_operations_own_preference_goes_first);
    tcase_add_test(tc, tags_choose_the_server);
    tcase_add_test(tc, staleness_is_judged_by_the_driver);
    tcase_add_loop_test(tc, writes_bear_the_write_concern_of_their_handle, 0,
                        N_CONCERNS);
    tcase_add_test(tc, reads_bear_the_read_concern_of_their_database);
    tcase_add_test(tc, a_handle_lives_as_long_as_its_last_reference);
    tcase_add_test(tc, options_are_refused_by_name);
    tcase_add_test(tc, without_options_it_is_the_same_again);
}
