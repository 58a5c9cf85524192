/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - the server under the tests. */
#include "tests/spec/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/spec/match.h"
#include "tests/spec/value.h"

mongoc_client_t *server_client(const char *uri, bson_error_t *error)
{
    mongoc_uri_t *parsed = mongoc_uri_new_with_error(uri, error);
    mongoc_client_t *client = NULL;

    if (parsed != NULL) {
        mongoc_uri_set_appname(parsed, "spec_runner");
        /* What waits for the lock of a lost transaction shall say so. */
        mongoc_uri_set_option_as_int32(parsed, MONGOC_URI_SOCKETTIMEOUTMS,
                                       60000);
        client = mongoc_client_new_from_uri_with_error(parsed, error);
        mongoc_uri_destroy(parsed);
    }
    if (client != NULL)
        mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    return client;
}

static bool ask(mongoc_client_t *internal, const char *what, bson_t *reply,
                bson_error_t *error)
{
    bson_t command = BSON_INITIALIZER;
    bool fine;

    bson_append_int32(&command, what, -1, 1);
    fine = mongoc_client_command_simple(internal, "admin", &command, NULL,
                                        reply, error);
    bson_destroy(&command);
    return fine;
}

static const char *topology_of(const bson_t *hello, const char *uri)
{
    if (strstr(uri, "loadBalanced=true") != NULL)
        return "load-balanced";
    if (strcmp(value_utf8(hello, "msg", ""), "isdbgrid") == 0)
        return "sharded";
    return value_utf8(hello, "setName", NULL) != NULL ? "replicaset"
                                                      : "single";
}

/* Without its name, the driver takes a set for a single server, and the tests
 * of sets would see another wire. */
static void find_set_name(server_t *server, const mongoc_uri_t *given,
                          const bson_t *hello)
{
    mongoc_uri_t *uri = mongoc_uri_copy(given);
    const bson_t *options = mongoc_uri_get_options(given);
    const char *name = value_utf8(hello, "setName", NULL);
    mongoc_client_t *client;
    bson_t reply;

    if (strcmp(server->topology, "replicaset") == 0 &&
        mongoc_uri_get_replica_set(given) == NULL &&
        !value_has(options, MONGOC_URI_DIRECTCONNECTION) &&
        strlen(name) < sizeof server->set_name) {
        mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_REPLICASET, name);
        mongoc_uri_set_option_as_int32(
            uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, 3000);
        client = mongoc_client_new_from_uri(uri);
        /* Its members may be known to it by names that are not ours. */
        if (client != NULL) {
            if (ask(client, "ping", &reply, NULL))
                memcpy(server->set_name, name, strlen(name) + 1);
            bson_destroy(&reply);
            mongoc_client_destroy(client);
        }
    }
    mongoc_uri_destroy(uri);
}

bool server_ask(server_t *server, const char *uri, mongoc_client_t *internal,
                bson_error_t *error)
{
    mongoc_uri_t *parsed = mongoc_uri_new(uri);
    bson_t reply;
    bool fine;

    memset(server, 0, sizeof *server);
    server->auth = mongoc_uri_get_username(parsed) != NULL;
    fine = ask(internal, "hello", &reply, error);
    if (fine) {
        server->topology = topology_of(&reply, uri);
        find_set_name(server, parsed, &reply);
    }
    mongoc_uri_destroy(parsed);
    bson_destroy(&reply);
    if (!fine)
        return false;
    fine = ask(internal, "buildInfo", &reply, error);
    snprintf(server->version, sizeof server->version, "%s",
             value_utf8(&reply, "version", "0.0"));
    /* It is built from no commit. */
    server->embedded =
        strspn(value_utf8(&reply, "gitVersion", "1"), "0") == 40;
    bson_destroy(&reply);
    return fine;
}

/* "4.0.10" after "4.0.9"; what a version has not counts as 0. */
static int compare_versions(const char *a, const char *b)
{
    int i;

    for (i = 0; i < 3; i++) {
        char *end_a, *end_b;
        long x = strtol(a, &end_a, 10), y = strtol(b, &end_b, 10);

        if (x != y)
            return x < y ? -1 : 1;
        a = *end_a == '.' ? end_a + 1 : end_a;
        b = *end_b == '.' ? end_b + 1 : end_b;
    }
    return 0;
}

static bool has_topology(const server_t *server, const bson_t *topologies)
{
    if (value_has_word(topologies, server->topology))
        return true;
    return strcmp(server->topology, "sharded") == 0 &&
           value_has_word(topologies, "sharded-replicaset");
}

static bool has_parameter(mongoc_client_t *internal, const bson_iter_t *want)
{
    bson_t command = BSON_INITIALIZER, reply;
    verdict_t quiet = {.kind = VERDICT_PASSED};
    bson_iter_t got;
    bool has;

    bson_append_int32(&command, "getParameter", -1, 1);
    bson_append_int32(&command, bson_iter_key(want), -1, 1);
    has = mongoc_client_command_simple(internal, "admin", &command, NULL,
                                       &reply, NULL) &&
          value_find(&reply, bson_iter_key(want), &got) &&
          match_value("", want, &got, MATCH_NESTED, NULL, &quiet);
    bson_destroy(&reply);
    bson_destroy(&command);
    return has;
}

static bool has_mechanism(mongoc_client_t *internal, const char *name)
{
    bson_t command = BSON_INITIALIZER, reply, list;
    bson_iter_t at;
    bool has = false;

    bson_append_int32(&command, "getParameter", -1, 1);
    bson_append_int32(&command, "authenticationMechanisms", -1, 1);
    mongoc_client_command_simple(internal, "admin", &command, NULL, &reply,
                                 NULL);
    value_view(&reply, "authenticationMechanisms", &list);
    bson_iter_init(&at, &list);
    while (bson_iter_next(&at))
        has |= BSON_ITER_HOLDS_UTF8(&at) &&
               strcasecmp(bson_iter_utf8(&at, NULL), name) == 0;
    bson_destroy(&reply);
    bson_destroy(&command);
    return has;
}

static bool has_parameters(mongoc_client_t *internal,
                           const bson_t *requirement, verdict_t *verdict)
{
    bson_t view;
    bson_iter_t at;

    value_view(requirement, "serverParameters", &view);
    bson_iter_init(&at, &view);
    while (bson_iter_next(&at))
        if (!has_parameter(internal, &at))
            return verdict_skip(verdict, "the server's %s is another",
                                bson_iter_key(&at));
    return true;
}

static bool meets(const server_t *server, mongoc_client_t *internal,
                  const bson_t *requirement, verdict_t *verdict)
{
    const char *least = value_utf8(requirement, "minServerVersion", "0.0");
    const char *most = value_utf8(requirement, "maxServerVersion", NULL);
    const char *mechanism = value_utf8(requirement, "authMechanism", NULL);
    bson_t view;
    text_t text;

    if (compare_versions(server->version, least) < 0)
        return verdict_skip(verdict, "needs server %s, this is %s", least,
                            server->version);
    if (most != NULL && compare_versions(server->version, most) > 0)
        return verdict_skip(verdict, "for servers to %s, this is %s", most,
                            server->version);
    if (value_view(requirement, "topologies", &view) &&
        !has_topology(server, &view))
        return verdict_skip(verdict, "for %s, this is %s",
                            value_json(&view, &text), server->topology);
    if (strcmp(value_utf8(requirement, "serverless", ""), "require") == 0)
        return verdict_skip(verdict, "for a serverless server");
    if (value_has(requirement, "auth") &&
        value_bool(requirement, "auth", false) != server->auth)
        return verdict_skip(verdict, "for a server with%s authentication",
                            server->auth ? "out" : "");
    if (value_bool(requirement, "csfle", true) &&
        value_has(requirement, "csfle"))
        return verdict_skip(verdict, "needs client-side encryption");
    if (mechanism != NULL && !has_mechanism(internal, mechanism))
        return verdict_skip(verdict, "needs %s", mechanism);
    return has_parameters(internal, requirement, verdict);
}

bool server_meets(const server_t *server, mongoc_client_t *internal,
                  const bson_t *requirements, verdict_t *verdict)
{
    verdict_t last = {.kind = VERDICT_PASSED};
    bson_iter_t at;
    bson_t view;

    if (bson_empty(requirements))
        return true;
    bson_iter_init(&at, requirements);
    while (bson_iter_next(&at)) {
        last.kind = VERDICT_PASSED;
        if (value_look(&at, &view) &&
            meets(server, internal, &view, &last))
            return true;
    }
    return verdict_skip(verdict, "%s", last.text);
}

static void kill_sessions(mongoc_client_t *internal, const char *name,
                          const bson_t *which)
{
    bson_t command = BSON_INITIALIZER;

    bson_append_array(&command, name, -1, which);
    mongoc_client_command_simple(internal, "admin", &command, NULL, NULL,
                                 NULL);
    bson_destroy(&command);
}

void server_kill_sessions(mongoc_client_t *internal)
{
    bson_t all = BSON_INITIALIZER;

    kill_sessions(internal, "killAllSessions", &all);
}

void server_kill_session(mongoc_client_t *internal, const bson_t *lsid)
{
    bson_t one = BSON_INITIALIZER;
    uint32_t n = 0;

    value_push(&one, &n, lsid);
    kill_sessions(internal, "killSessions", &one);
    bson_destroy(&one);
}
