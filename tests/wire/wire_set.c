/* SPDX-License-Identifier: Apache-2.0 */
/* wire_set.c - a replica set of wire servers. */
#include "tests/wire/wire_set.h"

#include <stdio.h>

enum { HOST_SIZE = 32, HOSTS_SIZE = WIRE_SET_MAX * HOST_SIZE };

char *wire_set_host(const wire_set_t *set, int member, char *out, size_t size)
{
    snprintf(out, size, "127.0.0.1:%u",
             wire_server_port(set->members[member]));
    return out;
}

static void list_hosts(const wire_set_t *set, char out[HOSTS_SIZE])
{
    size_t n = 0;

    for (int i = 0; i < set->n; i++)
        n += (size_t)snprintf(out + n, HOSTS_SIZE - n, "%s127.0.0.1:%u",
                              i == 0 ? "" : ",",
                              wire_server_port(set->members[i]));
}

char *wire_set_uri(const wire_set_t *set, const char *extra, char *out,
                   size_t size)
{
    char hosts[HOSTS_SIZE];

    list_hosts(set, hosts);
    snprintf(out, size, "mongodb://%s/?replicaSet=rs%s%s", hosts,
             extra == NULL ? "" : "&", extra == NULL ? "" : extra);
    return out;
}

void wire_set_tell(wire_set_t *set)
{
    char hosts[HOSTS_SIZE], primary[HOST_SIZE] = "";

    list_hosts(set, hosts);
    if (set->primary >= 0)
        wire_set_host(set, set->primary, primary, sizeof primary);
    for (int i = 0; i < set->n; i++) {
        const wire_member_t member = {
            .role = i == set->primary ? WIRE_PRIMARY : WIRE_SECONDARY,
            .hosts = hosts,
            .primary = set->primary < 0 ? NULL : primary,
            .election = set->election,
            .tags = set->tags[i],
            .awaitable = !set->polled,
        };

        wire_server_set_member(set->members[i], &member);
    }
}

void wire_set_elect(wire_set_t *set, int member)
{
    set->primary = member;
    set->election++;
    wire_set_tell(set);
}

void wire_set_down(wire_set_t *set, int member, wire_end_t how)
{
    set->is_down[member] = true;
    wire_server_down(set->members[member], how);
    if (member == set->primary) {
        set->primary = -1;
        wire_set_tell(set);
    }
}

bool wire_set_up(wire_set_t *set, int member)
{
    set->is_down[member] = !wire_server_up(set->members[member]);
    return !set->is_down[member];
}

wire_set_t *wire_set_new(int n, int64_t documents)
{
    wire_set_t *set = bson_malloc0(sizeof *set);

    for (int i = 0; i < n && i < WIRE_SET_MAX; i++) {
        set->members[i] =
            wire_server_new(&(wire_options_t){.documents = documents});
        if (set->members[i] == NULL) {
            wire_set_free(set);
            return NULL;
        }
        set->n++;
    }
    wire_set_elect(set, 0);
    return set;
}

void wire_set_free(wire_set_t *set)
{
    if (set == NULL)
        return;
    for (int i = 0; i < set->n; i++)
        wire_server_free(set->members[i]);
    bson_free(set);
}
